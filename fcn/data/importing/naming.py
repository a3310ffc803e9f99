"""Ids for images whose names come from anywhere: plain file names, each once."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

#: Characters of an id: file systems take no more bytes than 255, suffix included.
LONGEST = 100


def ids_of(names: Sequence[str]) -> list[str]:
    """An id for each name, a path with '/'.

    It is the last part of the path. Where several have that in common, regardless of case, as many folders
    are put before it as tell them apart, and in the end a number.
    """
    depth = dict.fromkeys(range(len(names)), 1)
    deepest = max((name.count("/") + 1 for name in names), default=1)
    for _ in range(deepest):
        alike: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(names):
            alike[_plain(name, depth[i]).lower()].append(i)
        for group in alike.values():
            if len(group) > 1:
                depth.update({i: depth[i] + 1 for i in group})
    return _numbered([_plain(name, depth[i]) for i, name in enumerate(names)])


def _plain(name: str, parts: int) -> str:
    """The last parts of a path as one name of letters, digits, '_', '-' and '.'."""
    joined = "_".join(name.split("/")[-parts:])
    return re.sub(r"[^\w.-]", "_", joined).lstrip(".-").rstrip(".")[-LONGEST:].lstrip(".-") or "image"


def _numbered(ids: Sequence[str]) -> list[str]:
    """The ids, with a number behind those that are there already."""
    taken = Counter(name.lower() for name in ids)
    seen: set[str] = set()
    unique = []
    for name in ids:
        chosen, number = name, 1
        while chosen.lower() in seen or (number > 1 and chosen.lower() in taken):
            number += 1
            chosen = f"{name}-{number}"
        seen.add(chosen.lower())
        unique.append(chosen)
    return unique
