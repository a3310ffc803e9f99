"""Reading every image and label of a split, to find what is wrong before a training does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vis import make_palette
from voc_layers.facts import VOC_CLASSES, VOID
from voc_layers.folder import Folder, Split, VocFolder

from ..tables import percent, table
from .look import Colour, Fault, Look, look
from .parallel import each


@dataclass
class Check:
    """What a check of one split found.

    Attributes:
        pixels: per class, and void last.
        labels: how many labels have any such pixel, in the same order.
        problems: what has to be mended before the split can be used.
        warnings: what may be meant, and seldom is.
        colours: index -> its colour in the palettes of the labels, and the first label that has it.
    """

    split: str
    images: int
    pixels: np.ndarray
    labels: np.ndarray
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    colours: dict[int, tuple[Colour, str]] = field(default_factory=dict)

    def text(self, classes: tuple[str, ...]) -> str:
        """How many pixels each class has, the problems and the warnings."""
        total = max(int(self.pixels.sum()), 1)
        rows = [
            (name, str(count), percent(count / total), str(labels))
            for name, count, labels in zip((*classes, "void"), self.pixels.tolist(), self.labels.tolist())
        ]
        title = f"{self.split}: {self.images} images, {count_of(len(self.problems), 'problem')}"
        if self.warnings:
            title += f", {count_of(len(self.warnings), 'warning')}"
        said = [*self.problems, *(f"warning: {text}" for text in self.warnings)]
        header = ("class", "pixels", "%", "labels")
        return "\n".join([title, *(f"  {line}" for line in said), table(header, rows)])


def count_of(number: int, what: str) -> str:
    """`no problems`, `1 problem`, `2 problems`."""
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def check_split(split: Split, decode: bool = True) -> Check:
    """Read every pair of a split: missing files, sizes that differ, values that are no class, odd labels.

    decode: read images whole, and not only their sizes.
    """
    folder = split.folder
    found = each(lambda name: look(folder, name, decode), split.ids, f"checking {split.name}")
    return check_looks(split, list(found))


def check_looks(split: Split, looks: Sequence[Look | Fault]) -> Check:
    """What the pairs of a split, in its order, say together."""
    folder = split.folder
    count = len(folder.classes)
    check = Check(split.name, len(split.ids), np.zeros(count + 1, np.int64), np.zeros(count + 1, np.int64))
    void_only: list[str] = []
    clash: list[str] = []
    for pair in looks:
        if isinstance(pair, Fault):
            check.problems.append(pair.problem)
            continue
        pixels = np.append(pair.pixels[:count], pair.pixels[VOID])
        check.pixels += pixels
        check.labels += pixels > 0
        if pair.pixels[VOID] == pair.pixels.sum():
            void_only.append(pair.name)
        if pair.palette:
            clash += _new_colours(check.colours, np.flatnonzero(pair.pixels[:VOID]), pair.palette, pair.name)
    if not check.problems:
        _judge(check, folder, void_only, clash)
    return check


def _new_colours(
    known: dict[int, tuple[Colour, str]], indices: np.ndarray, palette: Colour, name: str
) -> list[str]:
    """Add the colours of the indices that a label uses; a line where another label has another colour."""
    for index in indices.tolist():
        colour = palette[3 * index : 3 * index + 3]
        first, where = known.setdefault(index, (colour, name))
        if first != colour:
            return [f"index {index} is {first} in {where} and {colour} in {name}"]
    return []


def _judge(check: Check, folder: Folder, void_only: list[str], clash: list[str]) -> None:
    """Add what the labels of a split say together: problems where no training can be meant, else warnings."""
    present = {name for name, count in zip(folder.classes, check.pixels) if count}
    if len(folder.classes) == 1:
        check.problems.append(f"one class, '{folder.classes[0]}': a net has to tell at least two apart")
    if not present:
        check.problems.append(
            f"every pixel of its {check.images} labels is {folder.void}, which is void: nothing can be "
            "trained or scored on them"
        )
        return
    absent = [name for name in folder.classes if name not in present and name not in folder.unseen]
    if absent:
        check.warnings += _of_absent(check, folder, absent)
    if void_only:
        share, some = f"{len(void_only)} of {check.images} labels", ", ".join(void_only[:3])
        check.warnings.append(f"{share} are void altogether ({some}): no loss comes of them")
    if clash:
        check.warnings.append(
            f"the palettes of {count_of(len(clash), 'label')} differ from those before: {clash[0]}. If the "
            "colour tells the class, the indices have to be made equal"
        )


def _of_absent(check: Check, folder: Folder, absent: list[str]) -> list[str]:
    """What it may mean that classes are in no label."""
    void, shown = int(check.pixels[-1]), ", ".join(absent[:5]) + (" ..." if absent[5:] else "")
    which = f"class {shown} is" if len(absent) == 1 else f"classes {shown} are"
    present = len(folder.classes) - len(absent)
    if present == 1 and void:
        lines = [
            f"{which} in no label, and {percent(void / check.pixels.sum())} % of the pixels are "
            f"{folder.void}, which is void: are these masks with {folder.void} for the object? Its pixels "
            "have to be 1 then"
        ]
    else:
        lines = [f"{which} in no label: {present} of {len(folder.classes)} classes occur"]
    if _is_taken_for_voc(folder) and not _has_voc_colours(check):
        lines.append(
            f"no classes.txt in {folder.root}: the labels are taken for PASCAL VOC's {len(folder.classes)} "
            "classes; if they are others, write one, a name a line"
        )
    return lines


def _is_taken_for_voc(folder: Folder) -> bool:
    """Whether nothing says which classes the labels have."""
    return isinstance(folder, VocFolder) and folder.classes == VOC_CLASSES and not folder.class_file.is_file()


def _has_voc_colours(check: Check) -> bool:
    """Whether the palettes of the labels are PASCAL VOC's."""
    own = make_palette(VOID + 1)
    found = check.colours.items()
    return bool(found) and all(colour == tuple(own[index].tolist()) for index, (colour, _) in found)
