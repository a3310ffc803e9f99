"""A bar with the time left, on a terminal, for work that takes longer than two seconds."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from tqdm import tqdm

T = TypeVar("T")
log = logging.getLogger("fcn")

#: Seconds; work that ends sooner shows no bar.
PATIENCE = 2.0


def progress(items: Iterable[T], what: str, total: int | None = None, unit: str = "images") -> Iterator[T]:
    """`items` one by one, with a bar called `what` that counts `unit`; `total` where `len` can't say it."""
    yield from tqdm(items, what, total, unit=f" {unit}", **_looks())


def aside(text: str) -> None:
    """A line on standard output, above the bar if one is drawn."""
    tqdm.write(text)
    sys.stdout.flush()


def transfer(what: str, total: int | None, start: int = 0) -> tqdm[Any]:
    """A context whose `update(n)` says that n more bytes of `total` have come, `start` of which lay there."""
    return tqdm(None, what, total, unit="B", unit_scale=True, unit_divisor=1024, initial=start, **_looks())


def _looks() -> dict[str, Any]:
    """None is drawn where standard error is no terminal, or where the logger `fcn` keeps INFO to itself."""
    hidden = not log.isEnabledFor(logging.INFO) or not sys.stderr.isatty()
    return {"leave": False, "file": sys.stderr, "disable": hidden, "delay": PATIENCE, "dynamic_ncols": True}
