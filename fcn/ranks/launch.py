"""`fcn train --gpu 0,1,2,3`: a process for each GPU of this computer, as torchrun would start them."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from ..runs import COMMAND, command
from .team import several
from .world import LAUNCHER, UID

log = logging.getLogger("fcn")

#: Runs `fcn train` under a given name; the working folder does not come first on Python's path.
_PROGRAM = (
    "import sys; sys.path.pop(0); from fcn.__main__ import carry_out; "
    "sys.exit(carry_out('train', sys.argv[2:], sys.argv[1]))"
)
#: Signals that are handed on.
_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")
#: Seconds that the others have to end by themselves once one has ended, and between two looks.
GRACE, LOOK = 60.0, 0.1


def launch(count: int, argv: Sequence[str], prog: str) -> int:
    """Start the command in so many processes, and wait for them; returns the exit status.

    Args:
        argv, prog: the command's arguments and name.

    Raises:
        RuntimeError: this caffe trains in one process only.
    """
    uid = bytes(several().new_uid()).hex()
    processes: list[subprocess.Popen[bytes]] = []
    with _handing_on(processes):
        for rank in range(count):
            program = [sys.executable, "-c", _PROGRAM, prog, *argv]
            # In a session of its own: what the terminal sends comes through this process, and once.
            processes.append(
                subprocess.Popen(program, env=_environment(rank, count, uid), start_new_session=True)
            )
        return _wait(processes)


def _environment(rank: int, count: int, uid: str) -> dict[str, str]:
    """What a process is told."""
    root = str(Path(__file__).resolve().parents[2])
    path = [*os.environ.get("PYTHONPATH", "").split(os.pathsep), root]
    told = {
        "RANK": rank,
        "WORLD_SIZE": count,
        "LOCAL_RANK": rank,
        "LOCAL_WORLD_SIZE": count,
        UID: uid,
        LAUNCHER: os.getpid(),
        COMMAND: command(),
        "PYTHONPATH": os.pathsep.join(filter(None, path)),
    }
    return {**os.environ, **{name: str(value) for name, value in told.items()}}


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """The exit status of all: that of the first process, unless another one failed first."""
    status: int | None = None
    until = float("inf")
    while any(process.poll() is None for process in processes):
        for rank, process in enumerate(processes):
            if status is None and process.poll() not in (None, 0):
                status = _status(process)
                log.warning("the process of rank %d has ended with status %d", rank, status)
        if until == float("inf") and (status is not None or processes[0].poll() is not None):
            until = time.monotonic() + GRACE
        if time.monotonic() > until:
            for process in (each for each in processes if each.poll() is None):
                process.kill()
        time.sleep(LOOK)
    return _status(processes[0]) if status is None else status


def _status(process: subprocess.Popen[bytes]) -> int:
    """An exit status as a shell has it."""
    return 128 - process.returncode if process.returncode < 0 else process.returncode


@contextmanager
def _handing_on(processes: Sequence[subprocess.Popen[bytes]]) -> Iterator[None]:
    """Hand signals on to the processes; none of them outlives this block."""

    def hand_on(number: int, frame: FrameType | None) -> None:
        for process in processes:
            if process.poll() is None:
                process.send_signal(number)

    numbers = [getattr(signal, name) for name in _SIGNALS if hasattr(signal, name)]
    before = {n: signal.signal(n, hand_on) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    try:
        yield
    finally:
        for process in processes:
            if process.poll() is None:
                process.kill()
            process.wait()
        for number, handler in before.items():
            signal.signal(number, handler)
