"""Mode, device, seed and number type, for the whole process.

Caffe keeps these per thread; here they are one object, so that a thread started by a user computes
in the mode the main thread chose.
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from hashlib import blake2b
from operator import index

import torch

from . import threads
from .errors import DeviceError
from .log import log

threads.survive_forks()

#: The CPU. `current` returns this very object, so that `is` tells.
HOST = torch.device("cpu")
#: What `set_precision` takes.
PRECISIONS = ("float32", "tf32", "bfloat16")


@dataclass
class _State:
    gpu: bool = False
    memory_saving: bool = False
    precision: str = "float32"
    checkpointing: bool = False
    graphs: bool = False
    device_id: int = 0
    dtype: torch.dtype = torch.float32
    generators: dict[str, torch.Generator] = field(default_factory=dict)
    solver_count: int = 1
    solver_rank: int = 0
    multiprocess: bool = False


_state = _State()


def gpu_kind() -> str | None:
    """The accelerator torch can use here: ``"cuda"``, ``"mps"`` (Apple), or None."""
    if torch.cuda.is_available():
        return "cuda"
    if torch.backends.mps.is_available():
        return "mps"
    return None


def gpu_count() -> int:
    """How many devices `set_device` may name."""
    kind = gpu_kind()
    return torch.cuda.device_count() if kind == "cuda" else int(kind == "mps")


def device_summary() -> list[tuple[str, str]]:
    """What there is to compute on: (name, description) of the CPU and of every GPU PyTorch can use."""
    found = [("cpu", f"{torch.get_num_threads()} threads")]
    kind = gpu_kind()
    if kind == "cuda":
        for number in range(gpu_count()):
            card = torch.cuda.get_device_properties(number)
            found.append((f"gpu {number}", f"{card.name}, {card.total_memory / 2**30:.0f} GiB"))
    elif kind:
        found.append(("gpu 0", "Apple's, through PyTorch's mps"))
    else:
        build = f"CUDA {torch.version.cuda}" if torch.version.cuda else "the CPU only"
        found.append(("no gpu", f"PyTorch {torch.__version__}, built for {build}, finds none"))
    return found


def gpu_properties(device_id: int) -> dict[str, object]:
    """What torch knows of a GPU, by the names Caffe's device_query prints.

    Raises:
        DeviceError: there is no such GPU (or see `set_mode_gpu` on ``CAFFE_FALLBACK``).
    """
    if gpu_kind() is None:
        _no_gpu(device_id)
        return {}
    if not 0 <= device_id < gpu_count():
        raise _not_among(device_id)
    if gpu_kind() == "mps":
        return {"Name": "Apple GPU", "Total global memory": torch.mps.recommended_max_memory()}
    known = torch.cuda.get_device_properties(device_id)
    return {
        "Major revision number": known.major,
        "Minor revision number": known.minor,
        "Name": known.name,
        "Total global memory": known.total_memory,
        "Number of multiprocessors": known.multi_processor_count,
    }


def set_mode_cpu() -> None:
    """Compute on the CPU (the default)."""
    _state.gpu = False


def set_mode_gpu() -> None:
    """Compute on the GPU chosen by `set_device` (0 if none was).

    Raises:
        DeviceError: there is no GPU: call `set_mode_cpu`. With ``CAFFE_FALLBACK=cpu`` in the environment
            the CPU is used instead, with a warning.
    """
    if gpu_kind() is None:
        _no_gpu(_state.device_id)
        return
    _state.gpu = True


def set_device(device_id: int) -> None:
    """Choose the GPU by number; does not switch the mode.

    Raises:
        DeviceError: there is no such GPU (or see `set_mode_gpu` on ``CAFFE_FALLBACK``).
    """
    if not isinstance(device_id, int):
        raise TypeError(f"set_device: an int is needed, not {type(device_id).__name__}")
    if gpu_kind() is None:
        _no_gpu(device_id)
        return
    if not 0 <= device_id < gpu_count():
        raise _not_among(device_id)
    _state.device_id = device_id
    if gpu_kind() == "cuda":
        torch.cuda.set_device(device_id)


def _not_among(device_id: int) -> DeviceError:
    return DeviceError(f"there is no GPU {device_id}: this machine has GPUs 0 to {gpu_count() - 1}")


def _no_gpu(device_id: int) -> None:
    """Words for any interface: a program is told of functions by their documentation, a user of flags."""
    found = f"there is no GPU {device_id}: PyTorch {torch.__version__} finds no GPU here"
    if os.environ.get("CAFFE_FALLBACK", "").lower() == "cpu":
        log.warning("%s; running on the CPU (CAFFE_FALLBACK=cpu)", found)
        return
    raise DeviceError(
        f"{found} (with CAFFE_FALLBACK=cpu in the environment the CPU takes its place, with a warning)"
    )


def current() -> torch.device:
    """The device the next operation runs on."""
    if not _state.gpu:
        return HOST
    kind = gpu_kind()
    return torch.device(kind, _state.device_id) if kind == "cuda" else torch.device(kind or "cpu")


def plain() -> bool:
    """Whether passes run on the host, in full precision, and keep all their blobs."""
    return current() is HOST and not (_state.checkpointing or _state.precision == "bfloat16")


def synchronize() -> None:
    """Wait for the device; the CPU is always done."""
    device = current()
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def dtype() -> torch.dtype:
    """The number type of blobs made from now on (float32)."""
    return _state.dtype


def set_dtype(value: torch.dtype) -> None:
    """float64 makes gradient checks exact; Caffe's numbers are float32."""
    _state.dtype = value


def set_memory_saving(wanted: bool) -> None:
    """Whether nets of phase TEST on the CPU forget in a pass what no later layer reads (off unless set).

    Their forward passes then need memory for the blobs that are alive at a time instead of for all. A blob
    that was forgotten is computed again when it is read, with the same value, which takes time. It concerns
    the fast path; the reference path keeps every blob.

    Raises:
        CaffeError: when a blob is read, if an input or a parameter that it depends on was changed since the
            forward pass.
    """
    _state.memory_saving = bool(wanted)


def memory_saving() -> bool:
    """What `set_memory_saving` set."""
    return _state.memory_saving


def set_checkpointing(wanted: bool) -> None:
    """Whether nets of phase TRAIN drop blobs in the forward pass and make them again in the backward pass.

    Training then needs a fraction of the memory, for up to one more forward pass a step, by the layers of the
    reference path; its numbers are the same (off unless set). Python layers, data and losses run once.
    Blobs can be read and written between the passes; after the backward pass their diffs are gone, and so are
    the blobs once a parameter or an input has changed.

    Raises:
        CaffeError: when a blob or a diff is read that is gone.
    """
    _state.checkpointing = bool(wanted)


def checkpointing() -> bool:
    """What `set_checkpointing` set."""
    return _state.checkpointing


def set_graphs(wanted: bool) -> None:
    """Whether forward passes of nets of phase TEST on a CUDA device are replayed from CUDA graphs.

    After two passes over inputs of the same shapes the next is recorded, and those that follow are started by
    the host as one; the results are the same. A graph holds memory for all blobs of the net, and a net keeps
    up to four, for as many shapes. Nets with losses or other layers that read labels, Python layers, data
    layers and recurrent ones run layer by layer, as all do while callbacks look on (off unless set).
    """
    _state.graphs = bool(wanted)


def graphs() -> bool:
    """What `set_graphs` set."""
    return _state.graphs


def set_precision(name: str) -> None:
    """With how many bits convolutions and inner products multiply: float32 unless set, as Caffe does.

    Blobs, parameters, their gradients, sums, losses and all that a solver does are float32 in any case, and
    so are the layers that make a net's scores: those between the last activation and an output or a loss.

    Args:
        name: ``"float32"``; ``"tf32"``, in which a CUDA device multiplies numbers of 10 bits after the point,
            and every other device as in float32; ``"bfloat16"``, in which factors and products are rounded
            to 7 bits, on any device: on a CPU without its speed.

    Raises:
        ValueError: another name.
    """
    if name not in PRECISIONS:
        raise ValueError(f"set_precision: one of {', '.join(PRECISIONS)} is needed, not {name!r}")
    _state.precision = name


def precision() -> str:
    """What `set_precision` set."""
    return _state.precision


def set_random_seed(seed: int) -> None:
    """Seed fillers, Dropout and data layers (an unsigned int, as in pycaffe).

    Raises:
        OverflowError: `seed` is negative, or has more than 32 bits.
    """
    if not isinstance(seed, int):
        raise TypeError(f"set_random_seed: an int is needed, not {type(seed).__name__}")
    if not 0 <= seed < 2**32:
        raise OverflowError(f"set_random_seed: {seed} is no unsigned int: 0 to {2**32 - 1}")
    _state.generators.clear()
    _state.generators["seed"] = torch.Generator().manual_seed(int(seed))


def cpu_generator() -> torch.Generator:
    """The generator fillers draw from: the same numbers whatever the device."""
    if "seed" not in _state.generators:
        generator = torch.Generator()
        generator.seed()
        _state.generators["seed"] = generator
    return _state.generators["seed"]


def generator() -> torch.Generator:
    """The generator of the current device, seeded from `cpu_generator` when first used."""
    device = current()
    if device.type == "cpu":
        return cpu_generator()
    key = str(device)
    if key not in _state.generators:
        _state.generators[key] = torch.Generator(device).manual_seed(draw_seed())
    return _state.generators[key]


def draw_seed() -> int:
    """A seed for somebody's private generator."""
    return int(torch.randint(0, 2**31 - 1, (1,), generator=cpu_generator()))


def random_state() -> dict[str, torch.Tensor]:
    """The state of every generator, for an exact resume."""
    return {key: value.get_state() for key, value in _state.generators.items()}


def restore_random_state(state: dict[str, torch.Tensor]) -> None:
    """Put back what `random_state` returned; generators of absent devices are left out."""
    for key, value in state.items():
        if key == "seed":
            cpu_generator().set_state(value)
        elif str(current()) == key:
            generator().set_state(value)


def solver_count() -> int:
    """How many solvers train together."""
    return _state.solver_count


def set_solver_count(count: int) -> None:
    """Say how many solvers train together (bookkeeping of parallel training)."""
    _state.solver_count = index(count)


def solver_rank() -> int:
    """Which of the solvers this process is; 0 logs, tests and snapshots."""
    return _state.solver_rank


def set_solver_rank(rank: int) -> None:
    """Say which of the solvers this process is."""
    _state.solver_rank = index(rank)


def root_solver() -> bool:
    """Whether this is the solver that logs, tests and writes snapshots."""
    return _state.solver_rank == 0


def set_multiprocess(value: bool) -> None:
    """Say that the solvers are processes of their own, as they always are here; pycaffe's scripts call it.

    It makes what Dropout draws follow from the place of a pass among those of all solvers: any number of
    solvers, one too, draw the same for the same training.
    """
    _state.multiprocess = bool(value)


def pass_seed(seed: int) -> int:
    """What `seed_pass` takes: the seed of a training, or a drawn one where that is negative."""
    return draw_seed() if seed < 0 and _state.multiprocess else seed


def seed_pass(seed: int, number: int) -> None:
    """Draw the numbers of a pass, where solvers are processes of their own.

    Args:
        seed: of the training.
        number: of the pass among those of this solver, from 0. Those of all solvers take turns.
    """
    if not _state.multiprocess:
        return
    place = f"{seed} {number * _state.solver_count + _state.solver_rank}"
    drawn = int.from_bytes(blake2b(place.encode(), digest_size=4).digest(), "big")
    cpu_generator().manual_seed(drawn)
    for key, value in _state.generators.items():
        if key != "seed":
            value.manual_seed(drawn)
