"""Split lists that no archive holds, made of those that they do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from voc_layers.reading import read_split

from ..fetching import Source
from ..outputs import replace_text


def write_list(path: Path, ids: Iterable[str]) -> None:
    """Write ids, one a line; nobody sees a half of the list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, "".join(f"{name}\n" for name in ids))


def without(ids: Sequence[str], others: Iterable[str]) -> list[str]:
    """`ids` in their order, but for those among `others`."""
    unwanted = set(others)
    return [name for name in ids if name not in unwanted]


def published(path: Path, source: Source) -> bool:
    """Whether a list is the published one, byte for byte."""
    return path.is_file() and source.fault(path) is None


def join_train_and_val(folder: Path) -> None:
    """Write trainval.txt where train.txt and val.txt are there and it is not."""
    parts, whole = [folder / "train.txt", folder / "val.txt"], folder / "trainval.txt"
    if all(part.is_file() for part in parts) and not whole.is_file():
        write_list(whole, [name for part in parts for name in read_split(part)])


def write_if_published(path: Path, ids: Iterable[str], source: Source) -> bool:
    """Write a list if it is the published one, byte for byte; returns whether it is."""
    aside = path.with_name(f"{path.name}.made")
    write_list(aside, ids)
    if not published(aside, source):
        aside.unlink()
        return False
    os.replace(aside, path)
    return True
