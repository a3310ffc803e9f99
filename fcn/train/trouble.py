"""What goes wrong in a step through no fault of the training: data that go bad, memory that is not enough."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError, read_size

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
    """Have `keep` take a snapshot where a step fails for its data or for memory: the last step is whole."""
    try:
        with enough_memory(job, lambda: solver.iter):
            yield
    except (SampleError, OutOfMemory):
        if solver.iter:
            keep()
        raise


@contextmanager
def enough_memory(job: Job, step: Callable[[], int]) -> Iterator[None]:
    """Raise OutOfMemory in the place of what a library raises; `step`: the one at work, from 0."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if not isinstance(error, MemoryError) and not _NO_MEMORY.search(str(error)):
            raise
        raise out_of_memory(job, step(), str(error)) from error


def out_of_memory(job: Job, step: int, said: str) -> OutOfMemory:
    """The error, from the step at work and what the library said."""
    split, images = job.split("train"), job.images(step)
    sizes = [f"{name} {read_size(split.folder.image_path(name))}" for name in images] if split else []
    needed = _NEEDED.search(said)
    asked = "" if needed is None else f", of which one more piece is {_size(needed)}"
    return OutOfMemory(
        f"iteration {step + 1}: out of memory at image {', '.join(sizes) or 'unknown'} (H, W): what a "
        f"step needs grows with its pixels{asked}{free_memory()}. Make the larger images smaller, take a "
        f"narrower net (--width) or leave out --cache; on a GPU, leave out --gpu. "
        f"The library says: {_first(said)}"
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
