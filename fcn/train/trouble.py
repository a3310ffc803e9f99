"""What goes wrong in a step through no fault of the training: data that go bad, memory that is not enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError

from ..job import Job
from ..protocols import SolverLike

#: How libraries say that there is no memory left; NumPy and Python raise MemoryError.
_NO_MEMORY = re.compile(r"out of memory|not enough memory|can't allocate memory|bad_alloc", re.IGNORECASE)
_NEEDED = re.compile(
    r"tried to allocate (\d+) bytes|(?:tried to allocate|unable to allocate) ([\d.]+ [KMGT]?i?B)", re.I
)


class OutOfMemory(RuntimeError):
    """The memory is not enough for an image of the training."""


@contextmanager
def kept(job: Job, solver: SolverLike, keep: Callable[[], object]) -> Iterator[None]:
    """Have `keep` take a snapshot where a step fails for its data or for memory: the last step is whole.

    Raises:
        OutOfMemory: in the place of what a library raised; names the image, its size, and what helps.
    """
    try:
        yield
    except SampleError:
        _keep(solver, keep)
        raise
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        told = out_of_memory(job, solver, str(error))
        _keep(solver, keep)
        raise told from error


def _keep(solver: SolverLike, keep: Callable[[], object]) -> None:
    if solver.iter:
        keep()


def out_of_memory(job: Job, solver: SolverLike, said: str) -> OutOfMemory:
    """The error, from where the solver stands and what the library said."""
    images = ", ".join(job.images(solver.iter)) or "unknown"
    height, width = solver.net.blobs["data"].data.shape[-2:]
    needed = _NEEDED.search(said)
    asked = "" if needed is None else f", of which one more piece is {_size(needed)}"
    free = free_memory()
    return OutOfMemory(
        f"iteration {solver.iter + 1}: out of memory at image {images}, {(height, width)} (H, W): what a "
        f"step needs grows with its pixels{asked}{free}. Make the larger images smaller, take a narrower net "
        f"(--width) or leave out --cache; on a GPU, leave out --gpu. The library says: {_first(said)}"
    )


def _size(match: re.Match[str]) -> str:
    return f"{int(match[1]) / 1e6:.0f} MB" if match[1] else match[2]


def _first(said: str) -> str:
    return (said.strip().splitlines() or ["nothing"])[0][:200]


def free_memory() -> str:
    """How much the computer has left, as a part of a message; '' where the system does not say."""
    try:
        found = re.search(r"^MemAvailable:\s+(\d+) kB", Path("/proc/meminfo").read_text(), re.MULTILINE)
    except OSError:
        return ""
    return f"; the computer has {int(found[1]) / 1e3:.0f} MB left" if found else ""
