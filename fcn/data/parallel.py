"""Files read in a few threads, results in order: decoding an image lets other threads work."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from ..waiting import progress

Item = TypeVar("Item")
Result = TypeVar("Result")

#: More threads than this wait for the disk and for each other.
MOST_THREADS = 8


def each(work: Callable[[Item], Result], items: Sequence[Item], what: str) -> Iterator[Result]:
    """`work` of every item, in order, with a bar called `what`; what it raises ends the rest."""
    pool = ThreadPoolExecutor(min(MOST_THREADS, os.cpu_count() or 1))
    try:
        yield from progress(pool.map(work, items), what, len(items))
    finally:
        pool.shutdown(cancel_futures=True)
