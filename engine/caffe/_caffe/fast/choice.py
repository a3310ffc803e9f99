"""Which algorithms run: as the environment says, and, where it asks for that, as was measured."""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from time import perf_counter

from ..errors import CaffeError

ALGORITHMS = ("auto", "fast", "measure", "reference")
#: What was the fastest of several ways, by what they were to compute.
_measured: dict[Hashable, int] = {}


def chosen() -> str:
    """Which algorithms run, by the environment.

    "auto" (the default) is the fast path for nets that have enough to compute, "fast" for all; "measure" is
    "auto" with each convolution's algorithm timed once instead of reckoned; "reference" runs layer by layer.

    Raises:
        CaffeError: ``CAFFE_ALGORITHMS`` is none of them.
    """
    name = os.environ.get("CAFFE_ALGORITHMS", "") or "auto"
    if name not in ALGORITHMS:
        raise CaffeError(f"CAFFE_ALGORITHMS={name}: it is one of {', '.join(ALGORITHMS)}")
    return name


def fastest(work: Hashable, ways: Sequence[Callable[[], None]]) -> int:
    """The number of the way that takes the least time for `work`, measured once in a process."""
    if work not in _measured:
        times = [_seconds(way) for way in ways]
        _measured[work] = times.index(min(times))
    return _measured[work]


def _seconds(way: Callable[[], None]) -> float:
    way()  # packs weights, fills caches
    times = []
    for _ in range(2):
        start = perf_counter()
        way()
        times.append(perf_counter() - start)
    return min(times)
