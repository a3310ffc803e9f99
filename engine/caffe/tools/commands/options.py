"""The flags of `caffe <command>`, which all its commands share, and what they mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ... import _caffe
from ..._caffe.errors import CaffeError
from ..._caffe.log import log
from ..command import device_wish
from ..flags import Flag, Value

FLAGS = {
    "checkpointing": Flag(False, "train: drop blobs in the forward pass and compute them again in the "
                          "backward pass, to train in less memory"),
    "gpu": Flag("", "device ids separated by ',', or 'all'; train: one process per device, which multiplies "
                "the effective batch size. Default: the CPU, or what the solver's solver_mode says"),
    "iterations": Flag(50, "test, time: number of batches"),
    "level": Flag(0, "level of the network's state"),
    "model": Flag("", "test, time: the network's prototxt"),
    "phase": Flag("", "time: TRAIN (default) or TEST"),
    "precision": Flag("float32", "train, test, time: of what is multiplied: float32, tf32 or bfloat16, which "
                      "are for GPUs with tensor cores"),
    "sighup_effect": Flag("snapshot", "train: what SIGHUP does: snapshot, stop or none"),
    "sigint_effect": Flag("stop", "train: what SIGINT does: snapshot, stop or none"),
    "snapshot": Flag("", "train: solver state to resume from; not together with -weights"),
    "solver": Flag("", "train: the solver's prototxt"),
    "stage": Flag("", "stages of the network's state, separated by ','"),
    "weights": Flag("", "weights to start from (train: any number, separated by ',') or to test"),
}  # fmt: skip


#: How not to ask for a GPU.
CPU_INSTEAD = "leave out -gpu to compute on the CPU"


@dataclass(frozen=True)
class Options:
    """The values of `FLAGS`, by the same names."""

    checkpointing: bool
    gpu: str
    iterations: int
    level: int
    model: str
    phase: str
    precision: str
    sighup_effect: str
    sigint_effect: str
    snapshot: str
    solver: str
    stage: str
    weights: str

    @classmethod
    def of(cls, values: Mapping[str, Value]) -> Options:
        """From what `command.parse_flags` returned."""
        return cls(**{name: values[name] for name in cls.__dataclass_fields__})  # type: ignore[arg-type]

    @property
    def stages(self) -> list[str]:
        """The stages; without the flag there is one, whose name is empty (Caffe splits the empty string)."""
        return self.stage.split(",")


def require(condition: object, message: str) -> None:
    """Raise CaffeError(message) unless `condition` holds."""
    if not condition:
        raise CaffeError(message)


def gpu_ids(gpu: str) -> list[int]:
    """The device ids that `-gpu` names; none is the CPU.

    Raises:
        CaffeError: it is not a list of different whole numbers. DeviceError: `all`, and there is none.
    """
    if not gpu:
        return []
    if gpu == "all":
        ids = list(range(_caffe.gpu_count()))
        if not ids:
            _caffe.set_mode_gpu()  # says that there is none, or that CAFFE_FALLBACK allows the CPU
        return ids
    words = [word.strip() for word in gpu.split(",")]
    require(all(word.isdecimal() for word in words), f"-gpu {gpu}: ids such as 0,1 are needed, or all")
    ids = [int(word) for word in words]
    require(len(set(ids)) == len(ids), f"-gpu {gpu}: a device is named twice")
    return ids


def use_device(gpu: str) -> None:
    """Compute on the first of the devices that `-gpu` names, or on the CPU; say which.

    Raises:
        CaffeError: see `gpu_ids`. DeviceError: there is no such device.
    """
    with device_wish(f"-gpu {gpu}", CPU_INSTEAD):
        ids = gpu_ids(gpu)
        if not ids:
            log.info("Use CPU.")
            _caffe.set_mode_cpu()
            return
        log.info("Use GPU with device ID %d", ids[0])
        _caffe.set_device(ids[0])
        _caffe.set_mode_gpu()
    if _caffe.gpu_count():
        log.info("GPU device name: %s", _caffe.gpu_properties(ids[0])["Name"])


def use_precision(name: str) -> None:
    """Multiply in the precision that `-precision` names.

    Raises:
        CaffeError: there is no such precision.
    """
    try:
        _caffe.set_precision(name)
    except ValueError as error:
        raise CaffeError(f"-precision {name}: {error}") from error


def usage(commands: Mapping[str, str], tools: Mapping[str, str]) -> str:
    """The usage text of `caffe`."""
    width = max(map(len, [*commands, *tools])) + 2
    lines = ["train, test and time networks", "usage: caffe <command> <flags>", "", "commands:"]
    lines += [f"  {name:<{width}}{what}" for name, what in commands.items()]
    lines += ["", "further tools, each with its own arguments (caffe <tool> -help):"]
    return "\n".join(lines + [f"  {name:<{width}}{what}" for name, what in tools.items()])
