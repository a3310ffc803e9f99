"""Which file of a folder an id means: ids have no suffix, and suffixes are written in either case.

Imports no caffe.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from .reading import SampleError, beside

#: Of images, in lower case; what Pillow reads of what people keep photographs in.
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp", ".gif")
#: Of label maps: of those, what keeps every value. Writers of GIF sort the palette, and WebP has no indices.
LABEL_SUFFIXES = (".png", ".bmp", ".tif", ".tiff")
#: Of the label maps of the Semantic Boundaries Dataset.
MAT_SUFFIXES = (".mat",)


def has_suffix(name: str | Path, suffixes: Iterable[str]) -> bool:
    """Whether a name ends in one of the suffixes, in any case."""
    return os.path.splitext(name)[1].lower() in suffixes


class Files:
    """The files of a folder, by id.

    An id is the path of a file below the folder, without its suffix: `im0`, or `city/im0`; and without the
    `prefix` that all names start with. A folder is listed once, and again where a file is not where the list
    has it.
    """

    def __init__(self, folder: Path, suffixes: Sequence[str], prefix: str = "") -> None:
        self.folder, self.suffixes, self.prefix = folder, tuple(suffixes), prefix
        self._listed: dict[Path, dict[str, list[str]]] = {}

    def named(self, name: str) -> list[Path]:
        """The files that an id may mean, by the list as it is known; one, where the folder is in order."""
        parent, stem = os.path.split(self.folder / name)
        return [Path(parent, file) for file in self._stems(Path(parent)).get(self.prefix + stem, ())]

    def find(self, name: str) -> Path:
        """The file of an id.

        Raises:
            SampleError: there is none, or there are several; what is there instead.
        """
        found = self.named(name)
        if not found or not all(path.is_file() for path in found):
            self._listed.clear()
            found = self.named(name)
        if not found:
            raise SampleError(
                f"{self.expected(name)}: expected a file ({', '.join(self.suffixes)}), found nothing"
                f"{self.instead(name)}"
            )
        if len(found) > 1:
            names = ", ".join(path.name for path in found)
            raise SampleError(f"{self.folder / name}: expected one file of this id, found {names}; keep one")
        return found[0]

    def expected(self, name: str) -> Path:
        """Where the file of an id is usually looked for."""
        below, stem = os.path.split(name)
        return self.folder / below / f"{self.prefix}{stem}{self.suffixes[0]}"

    def instead(self, name: str) -> str:
        """What may have been meant by an id that has no file, as the end of a message; '' if nothing."""
        first = (name.split() or [name])[0]
        meant = os.path.basename(first)
        if has_suffix(meant, (*IMAGE_SUFFIXES, *MAT_SUFFIXES)):
            meant = os.path.splitext(meant)[0]
        for below in (os.path.dirname(first), ""):
            there = {stem.lower(): stem for stem in self._stems(self.folder / below)}.get(meant.lower())
            if there and (known := os.path.join(below, there)) != name:
                return f"; an id is a file's path below that folder without its suffix, here '{known}'"
        return beside(self.expected(name))

    def stems(self) -> list[str]:
        """The ids of the files in the folder itself, sorted."""
        return sorted(self._stems(self.folder))

    def _stems(self, folder: Path) -> dict[str, list[str]]:
        """id -> names of its files."""
        if folder not in self._listed:
            found: dict[str, list[str]] = {}
            for name in sorted(os.listdir(folder)) if folder.is_dir() else ():
                if has_suffix(name, self.suffixes):
                    found.setdefault(os.path.splitext(name)[0], []).append(name)
            self._listed[folder] = found
        return self._listed[folder]
