"""Which colour, or which number, in a label is which class: a table that people can edit."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from voc_layers.facts import VOID
from voc_layers.reading import SampleError, read_text

#: Names, in lower case, of what is neither trained nor scored.
VOID_NAMES = ("void", "ignore", "__ignore__", "_ignore_", "ignored")

_NUMBER = r"(\d{1,3})"
_BREAK = r"[\s,;:]+"
#: `#rrggbb name`; `r g b name`; `name r g b`, as CVAT and Kaggle's class_dict.csv have it; `value name`.
_HEX = re.compile(rf"#([0-9a-fA-F]{{6}})(?:{_BREAK}(.+))?")
_RGB_FIRST = re.compile(_BREAK.join([_NUMBER] * 3) + rf"{_BREAK}(.+)")
_RGB_LAST = re.compile(rf"(.+?){_BREAK}" + _BREAK.join([_NUMBER] * 3) + r"(?:[:;,\s].*)?")
_VALUE = re.compile(rf"(-?\d{{1,5}}){_BREAK}(.+)")

Row = tuple[int, str]


def packed(colours: np.ndarray) -> np.ndarray:
    """Colours, uint8 ... x 3, as one number each: 0xRRGGBB, int32."""
    red, green, blue = np.moveaxis(colours.astype(np.int32), -1, 0)
    numbers: np.ndarray = red << 16 | green << 8 | blue
    return numbers


def as_text(key: int, coloured: bool) -> str:
    """A colour as `#rrggbb`, a value as a number."""
    return f"#{key:06x}" if coloured else str(key)


@dataclass(frozen=True)
class Table:
    """Keys, packed colours or label values, with the names of their classes; two may have the same name."""

    rows: tuple[Row, ...]
    coloured: bool
    origin: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes, in the order of their first rows; void is none."""
        return tuple(dict.fromkeys(name for _, name in self.rows if name.lower() not in VOID_NAMES))

    def classes(self) -> dict[int, int]:
        """key -> class index, or 255 for void."""
        index = {name: i for i, name in enumerate(self.names)}
        return {key: index.get(name, VOID) for key, name in self.rows}

    def text(self, remarks: Iterable[str] = ()) -> str:
        """The table as `read_table` reads it; `remarks`: a line of comment for each row."""
        lines = ["# a colour (or a value), and the class it means; 'void' is neither trained nor scored"]
        for (key, name), remark in zip(self.rows, remarks):
            lines += [f"# {remark}", f"{as_text(key, self.coloured)} {name}"]
        return "\n".join(lines) + "\n"


def read_table(path: Path) -> Table:
    """Read a table: a class a line, in one of the forms above; lines of comment start with '# ' or '//'.

    Raises:
        SampleError: a line that is in none of them, colours beside values, or a key that stands twice.
    """
    rows: list[Row] = []
    kinds: set[bool] = set()
    for number, line in enumerate(read_text(path).splitlines(), 1):
        line = line.strip().strip("\ufeff")
        if not line or line.startswith(("//", "# ")) or line == "#":
            continue
        row = _row(line)
        if row is None and not rows and not re.search(r"\d", line):
            continue  # the header of a .csv
        if row is None:
            raise SampleError(
                f"{path}:{number}: expected '#rrggbb name', 'R G B name', 'name,R,G,B' or 'value name', "
                f"found '{line}'"
            )
        kinds.add(row[1])
        rows.append(row[0])
    _check(path, rows, kinds)
    return Table(tuple(rows), kinds.pop(), str(path))


def _row(line: str) -> tuple[Row, bool] | None:
    """A line's key and name, and whether the key is a colour."""
    if found := _HEX.fullmatch(line):
        key, name = int(found[1], 16), found[2] or ""
    elif found := _RGB_FIRST.fullmatch(line):
        key, name = _colour(*found.groups()[:3]), found[4]
    elif found := _RGB_LAST.fullmatch(line):
        key, name = _colour(*found.groups()[1:4]), found[1]
    elif (found := _VALUE.fullmatch(line)) and found[2].strip():
        return (int(found[1]), found[2].strip()), False
    else:
        return None
    return ((key, name.strip(" \t,;:\"'")), True) if key >= 0 and name.strip(" \t,;:\"'") else None


def _colour(red: str, green: str, blue: str) -> int:
    """The packed colour; -1 where a part is above 255."""
    parts = [int(red), int(green), int(blue)]
    return -1 if max(parts) > 255 else parts[0] << 16 | parts[1] << 8 | parts[2]


def _check(path: Path, rows: list[Row], kinds: set[bool]) -> None:
    if len(kinds) != 1:
        found = "both" if kinds else "none of them"
        raise SampleError(f"{path}: expected colours, or values, with the names of classes; found {found}")
    keys = [key for key, _ in rows]
    if twice := sorted({key for key in keys if keys.count(key) > 1}):
        raise SampleError(
            f"{path}: {as_text(twice[0], kinds == {True})} stands there twice; keep one line of it"
        )
    names = {name for _, name in rows if name.lower() not in VOID_NAMES}
    if not 1 <= len(names) <= VOID:
        raise SampleError(f"{path}: expected 1 to {VOID} classes, found {len(names)}")


def parse_key(text: str) -> tuple[int, bool]:
    """A value `N` or a colour `#rrggbb`, and whether it is a colour. ValueError for others."""
    if found := re.fullmatch(r"#([0-9a-fA-F]{6})", text):
        return int(found[1], 16), True
    if re.fullmatch(r"-?\d{1,5}", text):
        return int(text), False
    raise ValueError(f"expected a label value or a colour #rrggbb, found '{text}'")
