"""What every form of source is read as: images, each with its label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from .report import Record
from .table import Table


@dataclass(frozen=True)
class Raster:
    """A label as it is stored, before its values are made classes.

    Attributes:
        values: H x W whole numbers, or uint8 H x W x 3, RGB, where colours tell the classes.
        palette: R, G, B of each index; empty where the file has none.
        note: what reading it took, if that is worth a word.
        fitted: it was drawn for the size of the image as that is stored, and has none of its own.
    """

    values: np.ndarray
    palette: tuple[int, ...] = ()
    note: str = ""
    fitted: bool = False

    @property
    def size(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.values.shape[0]), int(self.values.shape[1])

    @property
    def coloured(self) -> bool:
        return self.values.ndim == 3


class Label(Protocol):
    """Where the label of an image comes from."""

    @property
    def path(self) -> Path:
        """The file, for reports."""

    def read(self, size: tuple[int, int]) -> Raster:
        """The label; SampleError where it is none. size: H and W of the image, for those that are drawn."""


@dataclass(frozen=True)
class Sample:
    """An image and its label.

    Attributes:
        name: the image's path in the source, without what all of them share and without its suffix; with '/'.
        split: train, val or test, where the source says; else None.
    """

    image: Path
    label: Label
    name: str
    split: str | None = None


@dataclass(frozen=True)
class Source:
    """All that a folder holds, in one of the forms that people keep data in.

    Attributes:
        form: which one.
        fixed: its labels are read as class indices with 255 for void, so that nothing has to be found out.
        names: the classes by label value, where the form fixes or spells them.
        table: the classes by colour or value, where a file in the source says.
        void: the label value that is void, where the form fixes it.
        records: of the files that are no samples.
        problems: of samples that the source speaks of and that can't be had.
        notes: what whoever imports should know of how it was read.
    """

    form: str
    samples: tuple[Sample, ...]
    names: tuple[str, ...] = ()
    table: Table | None = None
    void: int | None = None
    fixed: bool = False
    records: tuple[Record, ...] = ()
    problems: tuple[Record, ...] = ()
    notes: tuple[str, ...] = ()
