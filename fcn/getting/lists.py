"""Split lists that no archive holds, made of those that they do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from voc_layers.reading import read_split

from ..fetching import Source


def write_list(path: Path, ids: Iterable[str]) -> None:
    """Write ids, one a line; nobody sees a half of the list."""
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.new")
    aside.write_text("".join(f"{name}\n" for name in ids))
    os.replace(aside, path)


def without(ids: Sequence[str], others: Iterable[str]) -> list[str]:
    """`ids` in their order, but for those among `others`."""
    unwanted = set(others)
    return [name for name in ids if name not in unwanted]


def difference(of: Path, others: Path, to: Path) -> list[str]:
    """Write the ids of one list that are not in another; returns them."""
    ids = without(read_split(of), read_split(others))
    write_list(to, ids)
    return ids


def published(path: Path, source: Source) -> bool:
    """Whether a list is the published one, byte for byte."""
    return path.is_file() and source.fault(path) is None


def join_train_and_val(folder: Path) -> None:
    """Write trainval.txt where train.txt and val.txt are there and it is not."""
    parts, whole = [folder / "train.txt", folder / "val.txt"], folder / "trainval.txt"
    if all(part.is_file() for part in parts) and not whole.is_file():
        write_list(whole, [name for part in parts for name in read_split(part)])
