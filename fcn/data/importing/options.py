"""What may be said of a source instead of having it found out, and how it is to be divided."""

from __future__ import annotations

from dataclasses import dataclass

from .table import Table


@dataclass(frozen=True)
class Options:
    """How to import.

    Attributes:
        form: how the source is laid out; None: found out.
        classes: names in the order of the label values.
        table: which colour or value is which class.
        values: what the values of label images are: `index`, `color` or `binary`; None: found out.
        threshold: of masks of two classes: from which value on a pixel is the second.
        void: a label value, or a packed colour, that is void; `void_is_colour` tells which.
        val: the share of pairs to score on, where the source has no such split.
        seed: of that division.
        group_by: pairs alike in this stay on one side: `folder`, or a regular expression on their paths.
        exif: `apply` or `ignore` the orientation in images whose sizes do not tell whether labels follow it.
        mat_name: which array of .mat files is the label.
        skip: leave out what cannot be imported, instead of importing nothing.
        yes: take a table that was found in the labels as it is.
    """

    form: str | None = None
    classes: tuple[str, ...] = ()
    table: Table | None = None
    values: str | None = None
    threshold: int | None = None
    void: int | None = None
    void_is_colour: bool = False
    val: float = 0.2
    seed: int = 0
    group_by: str | None = None
    exif: str | None = None
    mat_name: str | None = None
    skip: bool = False
    yes: bool = False

    @property
    def void_value(self) -> int | None:
        return None if self.void_is_colour else self.void

    @property
    def void_colour(self) -> int | None:
        return self.void if self.void_is_colour else None
