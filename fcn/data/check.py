"""Reading every image and label of a split, to find what is wrong before a training does."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from vis import make_palette
from voc_layers.facts import VOC_CLASSES, VOID
from voc_layers.folder import Folder, Split, VocFolder
from voc_layers.reading import SampleError

from ..tables import percent, table

Colour = tuple[int, ...]


@dataclass
class Check:
    """What a check of one split found.

    Attributes:
        pixels: per class, and void last.
        problems: what has to be mended before the split can be used.
        warnings: what may be meant, and seldom is.
        colours: index -> its colour in the palettes of the labels, and the first label that has it.
    """

    split: str
    images: int
    pixels: np.ndarray
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    colours: dict[int, tuple[Colour, str]] = field(default_factory=dict)

    def text(self, classes: tuple[str, ...]) -> str:
        """How many pixels each class has, the problems and the warnings."""
        total = max(int(self.pixels.sum()), 1)
        rows = [
            (name, str(count), percent(count / total))
            for name, count in zip((*classes, "void"), self.pixels.tolist())
        ]
        title = f"{self.split}: {self.images} images, {_count(len(self.problems), 'problem')}"
        if self.warnings:
            title += f", {_count(len(self.warnings), 'warning')}"
        said = [*self.problems, *(f"warning: {text}" for text in self.warnings)]
        return "\n".join([title, *(f"  {line}" for line in said), table(("class", "pixels", "%"), rows)])


def _count(number: int, what: str) -> str:
    return f"{number or 'no'} {what}{'' if number == 1 else 's'}"


def check_split(split: Split, decode: bool = True) -> Check:
    """Read every pair of a split: missing files, sizes that differ, values that are no class, odd labels.

    decode: read images whole, and not only their sizes.
    """
    folder = split.folder
    count = len(folder.classes)
    check = Check(split.name, len(split.ids), np.zeros(count + 1, np.int64))
    void_only: list[str] = []
    clash: list[str] = []
    for name in split.ids:
        try:
            label, palette = folder.sample(name)[1:] if decode else folder.peek(name)
        except SampleError as problem:
            check.problems.append(str(problem))
            continue
        pixels = np.bincount(label.ravel(), minlength=VOID + 1)
        check.pixels += np.append(pixels[:count], pixels[VOID])
        if pixels[VOID] == label.size:
            void_only.append(name)
        if palette:
            clash += _new_colours(check.colours, np.flatnonzero(pixels[:VOID]), palette, name)
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
            f"the palettes of {_count(len(clash), 'label')} differ from those before: {clash[0]}. If the "
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
