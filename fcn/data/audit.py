"""A folder as a whole: each pair read once, each split checked, and what the splits have in common."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from typing import Any

from voc_layers.folder import Folder, Split
from voc_layers.reading import SampleError, read_split

from .alike import alike
from .check import Check, check_looks, count_of
from .look import Look, look
from .parallel import each

#: Of a list of names in a message.
SHOWN = 3


@dataclass
class Audit:
    """What was found in a folder.

    Attributes:
        checks: of each split.
        sizes: (height, width) -> pairs. kinds: suffixes of image and label -> pairs.
        shared: of each two splits that have ids in common, those.
        alike: of each two splits, the pairs of ids whose images look alike and are not the same id.
        unlisted: ids of labels that are in no list of the folder.
    """

    folder: Folder
    checks: list[Check]
    sizes: Counter[tuple[int, int]]
    kinds: Counter[tuple[str, str]]
    shared: dict[tuple[str, str], list[str]] = field(default_factory=dict)
    alike: dict[tuple[str, str], list[tuple[str, str]]] = field(default_factory=dict)
    unlisted: list[str] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        return list(dict.fromkeys(problem for check in self.checks for problem in check.problems))

    @property
    def warnings(self) -> list[str]:
        return [*(warning for check in self.checks for warning in check.warnings), *self.across()]

    def across(self) -> list[str]:
        """Warnings of what is between splits, or outside of them."""
        lines = [
            f"{count_of(len(ids), 'id')} in both {a} and {b} ({_some(ids)}): scores on what was trained on "
            "are too good"
            for (a, b), ids in self.shared.items()
        ]
        for (a, b), pairs in self.alike.items():
            some = [f"{two} is like {one}" for one, two in pairs]
            lines.append(f"{count_of(len(pairs), 'image')} of {b} look like images of {a}: {_some(some)}")
        if self.unlisted:
            lines.append(f"{count_of(len(self.unlisted), 'label')} in no list: {_some(self.unlisted)}")
        return lines

    def text(self) -> str:
        """All of it for people: the folder, each split, what is between them."""
        head = [
            str(self.folder.root),
            *(f"  {line}" for line in (_sizes(self.sizes), _kinds(self.kinds)) if line),
        ]
        parts = ["\n".join(head), *(check.text(self.folder.classes) for check in self.checks)]
        across = [f"warning: {line}" for line in self.across()]
        return "\n\n".join([*parts, "\n".join(across)] if across else parts)

    def as_json(self) -> dict[str, Any]:
        """All of it for programs, in JSON's types."""
        names = (*self.folder.classes, "void")
        return {
            "folder": str(self.folder.root),
            "classes": list(self.folder.classes),
            "problems": self.problems,
            "warnings": self.warnings,
            "splits": {
                check.split: {
                    "images": check.images,
                    "problems": check.problems,
                    "warnings": check.warnings,
                    "pixels": dict(zip(names, check.pixels.tolist())),
                    "labels": dict(zip(names, check.labels.tolist())),
                }
                for check in self.checks
            },
            "sizes": [{"height": h, "width": w, "pairs": n} for (h, w), n in self.sizes.most_common()],
            "kinds": [{"image": a, "label": b, "pairs": n} for (a, b), n in self.kinds.most_common()],
            "shared": [{"splits": list(key), "ids": ids} for key, ids in self.shared.items()],
            "alike": [{"splits": list(key), "ids": pairs} for key, pairs in self.alike.items()],
            "unlisted": self.unlisted,
        }


def audit(folder: Folder, names: Sequence[str]) -> Audit:
    """Read every pair of the named splits once, and check them by themselves and against each other.

    Raises:
        SampleError: a list that is not there, or that is none.
    """
    splits = [Split(folder, name, tuple(folder.ids(name))) for name in names]
    ids = list(dict.fromkeys(id_ for split in splits for id_ in split.ids))
    looks = dict(zip(ids, each(lambda id_: look(folder, id_), ids, "checking")))
    sound = {name: seen for name, seen in looks.items() if isinstance(seen, Look)}
    return Audit(
        folder,
        [check_looks(split, [looks[id_] for id_ in split.ids]) for split in splits],
        Counter(seen.size for seen in sound.values()),
        Counter(seen.kinds for seen in sound.values()),
        {(a.name, b.name): both for a, b in combinations(splits, 2) if (both := _shared(a, b))},
        {(a.name, b.name): pairs for a, b in combinations(splits, 2) if (pairs := _alike(a, b, sound))},
        _unlisted(folder, splits),
    )


def _shared(a: Split, b: Split) -> list[str]:
    return sorted(set(a.ids) & set(b.ids))


def _alike(a: Split, b: Split, looks: Mapping[str, Look]) -> list[tuple[str, str]]:
    """The pairs of ids, one of each split and of none in both, whose images look alike."""
    both = set(_shared(a, b))
    small = [{n: looks[n].thumbnail for n in split.ids if n in looks and n not in both} for split in (a, b)]
    first, second = ({name: seen for name, seen in part.items() if seen is not None} for part in small)
    return alike(first, second)


def _unlisted(folder: Folder, splits: Sequence[Split]) -> list[str]:
    """Labels whose ids no list of the folder has, whichever splits were asked for."""
    listed = {id_ for split in splits for id_ in split.ids}
    for path in folder.list_file("train").parent.glob("*.txt"):
        try:
            listed |= set(read_split(path))
        except SampleError:
            continue  # a list that is not asked for
    return [stem for stem in folder.parts()[1].stems() if stem not in listed]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", ..." if len(names) > SHOWN else "")


def _sizes(sizes: Counter[tuple[int, int]]) -> str:
    """The sizes of the pairs in a line."""
    if not sizes:
        return ""
    if len(sizes) == 1:
        (height, width), count = next(iter(sizes.items()))
        return f"{count_of(count, 'pair')} of {width} x {height} pixels"
    small, large = min(sizes, key=_area), max(sizes, key=_area)
    return (
        f"{count_of(sum(sizes.values()), 'pair')} of {len(sizes)} sizes, from {small[1]} x {small[0]} to "
        f"{large[1]} x {large[0]} pixels"
    )


def _area(size: tuple[int, int]) -> int:
    return size[0] * size[1]


def _kinds(kinds: Counter[tuple[str, str]]) -> str:
    return ", ".join(f"{count} {image} with {label}" for (image, label), count in kinds.most_common())
