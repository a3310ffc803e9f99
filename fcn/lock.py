"""One process at a time works in a folder."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .outputs import aside, sweep, written

NAME = "run.lock"
#: Seconds that a lock may be without its text: the other process is about to write it.
YOUNG = 5.0

Owner = dict[str, object]


class Locked(RuntimeError):
    """Another process is at work in the folder."""


@contextmanager
def locked(
    folder: Path, work: str = "training", instead: str = "choose another folder with --runs"
) -> Iterator[None]:
    """Keep other processes out of a folder, a run's for example, meanwhile.

    A file says who is in it: the process, its start and its computer. One that is gone, because it was killed
    or the computer was switched off, keeps nobody out.

    Raises:
        Locked: somebody else is in the folder, and who that is.
    """
    path = folder / NAME
    mine = {**identity(os.getpid()), "since": time.strftime("%Y-%m-%d %H:%M:%S"), "job": _job()}
    while not _made(path, mine):
        owner = _owner(path)
        if owner is not None and not _gone(owner, path):
            raise Locked(
                f"{folder}: process {owner.get('pid', '?')} on {owner.get('host', '?')} has been {work} "
                f"here since {owner.get('since', '?')}; wait for it, or {instead}. "
                f"If it is no longer there, remove {path}"
            )
        _remove(path, owner)
    sweep(folder)
    try:
        yield
    finally:
        _remove(path, mine)


def identity(pid: int) -> Owner:
    """A process: its number, its start, and the computer (or container) where the number means it.

    `start` is None where there is no such process, or the system does not say.
    """
    found: Owner = {"pid": pid, "host": socket.gethostname(), "space": None, "start": None}
    try:
        found["space"] = os.readlink("/proc/self/ns/pid")
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        # `man 5 proc_pid_stat`, after the name, which may hold anything: the state, 19 further on the start.
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return found
    return {**found, "start": None if fields[0] in "ZX" else f"{boot} {fields[19]}"}


def _job() -> str | None:
    """The job of torchrun that this process belongs to."""
    names = [os.environ.get(name) for name in ("TORCHELASTIC_RUN_ID", "MASTER_ADDR", "MASTER_PORT")]
    return " ".join(name for name in names if name) if names[0] else None


def _gone(owner: Owner, path: Path) -> bool:
    """Whether the owner was here and is not any more; the number of a process may be another one's by now."""
    pid = owner.get("pid")
    restarted = os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") != "0"
    if restarted and owner.get("job") is not None and owner["job"] == _job():
        return True  # torchrun ended it before it started this one, on whichever computer
    if not isinstance(pid, int):
        return path.exists() and time.time() - path.stat().st_mtime > YOUNG
    now = identity(pid)
    if any(owner.get(key) != now[key] for key in ("host", "space")):
        return False
    if owner.get("start") is not None:
        return owner["start"] != now["start"]
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except OSError:
        pass  # it is there, and somebody else's
    return False


def _made(path: Path, owner: Owner) -> bool:
    """Whether the file could be made: not where there is one. OSError where the disk says no."""
    try:
        file = path.open("x")
    except FileExistsError:
        return False
    try:
        with written(path), file:
            file.write(json.dumps(owner))
    except OSError:
        path.unlink(missing_ok=True)  # one without text would keep everybody out
        raise
    return True


def _owner(path: Path) -> Owner | None:
    """What the file says; None where there is none. One without text says nothing."""
    try:
        found = json.loads(path.read_text())
    except FileNotFoundError:
        return None
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _remove(path: Path, owner: Owner | None) -> None:
    """Remove the file of this owner, and of nobody else who came in the meantime."""
    taken = aside(path)
    try:
        path.rename(taken)
    except FileNotFoundError:
        return
    if _owner(taken) != owner and not path.exists():
        taken.rename(path)
    else:
        taken.unlink()
