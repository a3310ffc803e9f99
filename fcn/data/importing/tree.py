"""What lies in the folder that is imported: listed once, and found by names that come from its files."""

from __future__ import annotations

import os
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from voc_layers.files import IMAGE_SUFFIXES, has_suffix
from voc_layers.reading import SampleError

#: Words for the parts that a data set is divided into, and the lists they are written to.
SPLITS = {
    "train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


@dataclass(frozen=True)
class Tree:
    """A folder and the files below it.

    Attributes:
        files: their paths below `root`, with '/', sorted.
        hidden: those that file browsers leave behind, whose names start with a dot, or in `__MACOSX`.
        start: the one file that was named instead of a folder: a list, or annotations.
    """

    root: Path
    files: tuple[str, ...]
    hidden: tuple[str, ...] = ()
    start: str | None = None

    @classmethod
    def of(cls, source: Path) -> Tree:
        """List a folder, or the folder of a file; if that holds no images, the one above.

        Raises:
            FileNotFoundError: there is nothing there.
            SampleError: a file that is no list and holds no annotations.
        """
        if source.is_dir():
            files = sorted(_walk(source))
            hidden = tuple(name for name in files if _is_hidden(name))
            return cls(source, tuple(name for name in files if not _is_hidden(name)), hidden)
        if not source.exists():
            raise FileNotFoundError(f"{source}: expected a folder of images and labels, found nothing")
        if not has_suffix(source, (".txt", ".csv", ".lst", ".json")):
            raise SampleError(
                f"{source}: expected a folder, a list of images and labels (.txt, .csv) or COCO's "
                "annotations (.json); unpack an archive first"
            )
        above = cls.of(source.parent)
        if not any(has_suffix(name, IMAGE_SUFFIXES) for name in above.files):
            above = cls.of(source.absolute().parent.parent)  # as of annotations/ and images/ side by side
        start = source.absolute().relative_to(above.root.absolute()).as_posix()
        return cls(above.root, above.files, above.hidden, start)

    def path(self, name: str) -> Path:
        """The file of one of `files`."""
        return self.root / name

    def with_suffix(self, *suffixes: str) -> list[str]:
        """The files with one of these suffixes, in any case; of these only `start`, where that is one."""
        if self.start is not None and has_suffix(self.start, suffixes):
            return [self.start]
        return [name for name in self.files if has_suffix(name, suffixes)]

    def find(self, written: str, beside: str = "", by_name: bool = False) -> str | None:
        """The file that is meant by a path written in another file; None where none is, or several may be.

        The path may be one below the folder of that file, `beside`, or below the root, or one of the computer
        where it was written: then what counts is the longest end, of two parts or more, that one file here
        shares with it. A path with '..' is followed only as far as it stays inside.

        Args:
            by_name: the last part is enough.
        """
        asked = written.strip().replace("\\", "/")
        for start in (beside, ""):
            inside = os.path.normpath(os.path.join(start, asked))
            if inside in self._known:
                return inside
        parts = PurePosixPath(asked).parts[::-1]
        if not parts:
            return None
        shared = {name: _shared(PurePosixPath(name).parts[::-1], parts) for name in self._named[parts[0]]}
        best = max(shared.values(), default=0)
        found = [name for name, count in shared.items() if count == best]
        return found[0] if len(found) == 1 and (best > 1 or by_name or len(parts) == 1) else None

    @cached_property
    def _known(self) -> frozenset[str]:
        return frozenset(self.files)

    @cached_property
    def _named(self) -> dict[str, list[str]]:
        named: dict[str, list[str]] = defaultdict(list)
        for name in self.files:
            named[name.rpartition("/")[2]].append(name)
        return named


def split_named(text: str) -> str | None:
    """The split that a word, a folder or a file is called by: `train`, `val`, `test`."""
    words = [word for word in re.split(r"[\W_]+|(?<=[a-z])(?=[0-9A-Z])", text) if word]
    found = {SPLITS[word.lower()] for word in words if word.lower() in SPLITS}
    return found.pop() if len(found) == 1 else None


def _walk(root: Path) -> Iterator[str]:
    """All files, links to folders followed, each folder once."""
    seen: set[str] = set()
    for folder, inner, names in os.walk(root, followlinks=True, onerror=_raise):
        real = os.path.realpath(folder)
        if real in seen:
            inner.clear()
            continue
        seen.add(real)
        below = Path(folder).relative_to(root).as_posix()
        yield from (name if below == "." else f"{below}/{name}" for name in names)


def _raise(error: OSError) -> None:
    raise error


def _is_hidden(name: str) -> bool:
    parts = name.split("/")
    return any(part.startswith(".") for part in parts) or parts[0] == "__MACOSX" or parts[-1] in _LITTER


_LITTER = ("Thumbs.db", "desktop.ini")


def _shared(one: Iterable[str], other: Iterable[str]) -> int:
    """How many parts two paths, both from their ends, have in common."""
    count = 0
    for a, b in zip(one, other):
        if a != b:
            break
        count += 1
    return count
