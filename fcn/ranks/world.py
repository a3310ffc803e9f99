"""Which of the processes of a training this is, by what a launcher says in the environment.

torchrun's variables (RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR, ...) and two of `fcn.ranks.launch`'s own.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

#: What `fcn train --gpu 0,1` hands its processes: where they meet, and who started them.
UID, LAUNCHER = "FCN_RANKS_UID", "FCN_RANKS_LAUNCHER"


@dataclass(frozen=True)
class World:
    """This process among those of a training.

    Attributes:
        rank: its number; 0 logs, scores and writes the run.
        count: how many there are, on all computers.
        local: its number among those of this computer.
        locals: how many run on this computer.
        uid: where they meet, as `caffe.NCCL` takes it; empty where nothing has launched this process.
        restarts: how often torchrun has started all of them anew.
        launcher: the number of the process that started them, if that was `fcn train`.
    """

    rank: int = 0
    count: int = 1
    local: int = 0
    locals: int = 1
    uid: bytes = b""
    restarts: int = 0
    launcher: int | None = None

    @classmethod
    def of(cls, variables: Mapping[str, str] = os.environ) -> World:
        """What the environment says.

        Raises:
            ValueError: a variable that is missing or has no fitting value, by name.
        """
        if "RANK" not in variables or "WORLD_SIZE" not in variables:
            return cls()
        count = _whole(variables, "WORLD_SIZE", 1)
        rank = _whole(variables, "RANK", 0, count - 1)
        local = _whole(variables, "LOCAL_RANK", 0, count - 1, "0" if count == 1 else None)
        return cls(
            rank,
            count,
            local,
            _whole(variables, "LOCAL_WORLD_SIZE", local + 1, count, str(local + 1)),
            _uid(variables),
            _whole(variables, "TORCHELASTIC_RESTART_COUNT", 0, default="0"),
            _whole(variables, LAUNCHER, 1) if LAUNCHER in variables else None,
        )

    @property
    def launched(self) -> bool:
        """Whether a launcher started this process, be it as the only one."""
        return bool(self.uid)

    @property
    def orphaned(self) -> bool:
        """Whether `fcn train`, which started this process, is gone."""
        return self.launcher is not None and os.getppid() != self.launcher

    def device(self, gpus: tuple[int, ...] | None) -> int | None:
        """The GPU of this process, of those that --gpu names for this computer; () is 'all', None the CPU.

        Raises:
            ValueError: they are fewer than its processes.
        """
        if gpus is None:
            return None
        if not gpus:
            return self.local
        if self.locals > len(gpus) or self.local >= len(gpus):
            raise ValueError(
                f"--gpu {','.join(map(str, gpus))}: {max(self.locals, self.local + 1)} processes run on this "
                "computer, and each needs a GPU of its own; name as many, or all"
            )
        return gpus[self.local]


def _whole(
    variables: Mapping[str, str], name: str, least: int, most: int | None = None, default: str | None = None
) -> int:
    text = variables.get(name, default)
    if text is None:
        raise ValueError(f"{name} is not set, but RANK is: start with torchrun, or unset RANK")
    if not text.isdecimal() or int(text) < least or (most is not None and int(text) > most):
        upper = "" if most is None else f" to {most}"
        raise ValueError(f"{name}={text}: a whole number from {least}{upper} is needed (a launcher sets it)")
    return int(text)


def _uid(variables: Mapping[str, str]) -> bytes:
    if UID in variables:
        return bytes.fromhex(variables[UID])
    host, port = variables.get("MASTER_ADDR", ""), variables.get("MASTER_PORT", "")
    if not host or not port:
        raise ValueError("MASTER_ADDR or MASTER_PORT is not set, but RANK is: start with torchrun")
    return f"tcp://{f'[{host}]' if ':' in host else host}:{port}".encode()
