"""What a trained net says of a pixel: its labelings, and the names of their classes."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from voc_layers.reading import ClassList, SampleError, read_classes

from ..data.names import check_names, names_in
from ..trained import Trained

log = logging.getLogger("fcn")


class Said(NamedTuple):
    """A labeling of a net: what the names of its files end in, its blob of scores, its classes, its name."""

    end: str
    layer: str
    classes: Sequence[str]
    title: str = ""


def class_list(trained: Trained, file: Path | None) -> ClassList:
    """The class names: of a file, else of the net's run, else of its model's data set.

    A run's data may name other classes by now; then a warning says so.

    Raises:
        SampleError: the file has the classes of the run in another order, or under other names.
    """
    names = trained.class_names
    if file is not None:
        found = read_classes(file)
        check_names(names or found.names, found.names, file)
        return found
    split = trained.job.split("train") if trained.job else None
    if names and split:
        try:
            check_names(names, names_in(split.folder), split.folder.root)
        except SampleError as error:
            log.warning("the names of the run are used: %s", error)
    return ClassList(names or trained.folder.classes)


def labelings(trained: Trained, classes: Sequence[str]) -> list[Said]:
    """All that the net says of a pixel; `classes` are those of its first labeling."""
    first, *others = trained.labelings
    more = [
        Said(one.suffix, one.score, trained.folder.labeled(one.name).classes, one.title) for one in others
    ]
    return [Said("", first.score, classes, first.title), *more]
