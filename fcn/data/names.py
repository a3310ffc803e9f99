"""Class names that contradict each other: output k of a net is the class it was trained as, and no other."""

from __future__ import annotations

from collections.abc import Sequence

from voc_layers.folder import Folder, VocFolder
from voc_layers.reading import SampleError, read_classes


def names_in(folder: Folder) -> tuple[str, ...] | None:
    """The names in the folder's classes.txt, as it is now; None where there is none."""
    if not isinstance(folder, VocFolder) or not folder.class_file.is_file():
        return None
    return read_classes(folder.class_file).names


def check_names(trained: Sequence[str], names: Sequence[str] | None, where: object) -> None:
    """Raise SampleError where as many classes have other names, or stand in another order.

    Numbers are no names, and say nothing. Another number of classes is found out by the net.
    """
    if names is None or len(names) != len(trained) or list(names) == list(trained):
        return
    if all(name.isdigit() for name in trained) or all(name.isdigit() for name in names):
        return
    first = next(i for i, (a, b) in enumerate(zip(trained, names)) if a != b)
    raise SampleError(
        f"{where}: class {first} is '{names[first]}', but the net was trained on it as '{trained[first]}' "
        f"(of {', '.join(trained)}); the numbers in the labels must mean the same: put the names back in "
        "that order, or train on the new ones"
    )
