"""One data set, from an archive to a folder that a training can use."""

from __future__ import annotations

import logging
import os
import re
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from voc_layers.reading import SampleError, read_split

from ..fetching import ArchiveError, FetchError, fetch, unpack
from ..lock import locked
from ..outputs import check_folder, written
from .catalogue import DATA_SETS, DataSet
from .lists import join_train_and_val
from .pascal import Pascal

log = logging.getLogger("fcn")


@dataclass(frozen=True)
class Wanted:
    """What to get.

    Attributes:
        key: of `DATA_SETS`.
        out: the folder in which the data set gets its own.
        archive: a file on this machine that is used instead of a download, in any form that circulates.
        mirrors: see `fcn.fetching.fetch`.
        offline: download nothing.
        keep_archive: leave what was downloaded.
    """

    key: str
    out: Path
    archive: Path | None = None
    mirrors: Sequence[str] = ()
    offline: bool = False
    keep_archive: bool = False

    @property
    def data_set(self) -> DataSet:
        return DATA_SETS[self.key]

    @property
    def folder(self) -> Path:
        """Where the data set comes to lie."""
        return self.out / self.data_set.place


@dataclass
class Outcome:
    """What is in the folder now. images: list -> how many are in it. problems: what is missing of it."""

    folder: Path
    images: dict[str, int] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def get(wanted: Wanted) -> Outcome:
    """Get a data set, write the lists that its archive does not hold, and check that all of it is there.

    What an earlier call left, whenever it was stopped, is used where it is whole and made anew where it is
    not.

    Raises:
        FetchError, FileNotFoundError, ArchiveError, NoSpace: the archive cannot be had or unpacked.
        Locked: another process is at it in the same folder.
        SampleError: what lies in the data set's place is something else.
    """
    check_folder(wanted.out)
    wanted.out.mkdir(parents=True, exist_ok=True)
    with locked(wanted.out, "getting data", "choose another folder"):
        if not wanted.folder.exists():
            _unpack(wanted)
        elif _aside(wanted).exists():
            _tidy(wanted)
        _require_whole(wanted)
        outcome = Outcome(wanted.folder)
        _add_lists(wanted, outcome)
        _count(wanted, outcome)
        return outcome


def _unpack(wanted: Wanted) -> None:
    """Put the unpacked data set in its place, at once: where it lies, it is whole."""
    archive, aside = _archive(wanted), _aside(wanted)
    shutil.rmtree(aside, ignore_errors=True)
    log.info("unpacking %s", archive)
    try:
        with written(wanted.folder, aside):
            unpack(archive, aside)
            root = _root(wanted, archive, aside)
            if wanted.data_set.convert:
                wanted.data_set.convert(root)
            wanted.folder.parent.mkdir(parents=True, exist_ok=True)
            os.replace(root, wanted.folder)
    except BaseException as error:
        shutil.rmtree(aside, ignore_errors=True)
        if isinstance(error, ArchiveError) and not wanted.archive:
            raise ArchiveError(f"{error}; remove it, and it is downloaded again") from error
        raise
    _tidy(wanted)


def _aside(wanted: Wanted) -> Path:
    """Where the archive is unpacked; as long as it is there, its call has not ended."""
    return wanted.out / f".unpacking-{wanted.key}"


def _tidy(wanted: Wanted) -> None:
    """Remove the archive, if it was downloaded, and then what else it took to unpack it."""
    if not wanted.archive and not wanted.keep_archive:
        (wanted.out / wanted.data_set.archive.file).unlink(missing_ok=True)
    shutil.rmtree(_aside(wanted), ignore_errors=True)


def _archive(wanted: Wanted) -> Path:
    """The archive: the one that is given, or the one that is downloaded."""
    source = wanted.data_set.archive
    if wanted.archive is None:
        return fetch(source, wanted.out, wanted.mirrors, wanted.offline)
    if not wanted.archive.is_file():
        raise SampleError(f"{wanted.archive}: expected {source.name} as an archive, found no file")
    if fault := source.fault(wanted.archive):
        log.warning("%s: %s; it is unpacked nevertheless", wanted.archive, fault)
    return wanted.archive


def _root(wanted: Wanted, archive: Path, top: Path) -> Path:
    """Where the data set is in what was unpacked; ArchiveError where it is not, or is another year's."""
    folders = wanted.data_set.folders
    root = next((path for path in _folders(top) if all((path / part).is_dir() for part in folders)), None)
    if root is None:
        found = ", ".join(sorted(path.name for path in top.iterdir())) or "nothing"
        raise ArchiveError(
            f"{archive}: expected {wanted.data_set.name}, a folder with {', '.join(folders)}; found {found}"
        )
    if re.fullmatch(r"VOC20\d\d", root.name) and root.name != wanted.folder.name:
        raise ArchiveError(f"{archive}: expected {wanted.data_set.name}, found {root.name}")
    return root


def _folders(top: Path) -> Iterator[Path]:
    """A folder and all below it, the nearest first."""
    level = [top]
    while level:
        yield from level
        level = [path for folder in level for path in sorted(folder.iterdir()) if path.is_dir()]


def _require_whole(wanted: Wanted) -> None:
    """SampleError where something else is in the place of the data set."""
    parts = dict.fromkeys(str(Path(file).parent) for file in wanted.data_set.files)
    missing = [str(wanted.folder / part) for part in parts if not (wanted.folder / part).is_dir()]
    if missing:
        raise SampleError(
            f"{wanted.folder}: expected {wanted.data_set.name} or nothing, but there is something without "
            f"{', '.join(missing)}; move it away"
        )


def _add_lists(wanted: Wanted, outcome: Outcome) -> None:
    """The lists that the archive does not hold."""
    lists = wanted.folder / wanted.data_set.lists
    mirrors = [mirror for mirror in wanted.mirrors if mirror.endswith("/")]
    for source in wanted.data_set.extra:
        if not (lists / source.file).exists():
            try:
                fetch(source, lists, mirrors, wanted.offline)
            except (FetchError, FileNotFoundError) as error:
                outcome.problems.append(str(error))
    if "trainval" in wanted.data_set.counts:
        join_train_and_val(lists)
    pascal = Pascal(wanted.out)
    if wanted.folder in pascal.folders:
        problems, notes = pascal.write_lists(wanted.folder, mirrors, wanted.offline)
        outcome.problems += problems
        outcome.notes += notes


def _count(wanted: Wanted, outcome: Outcome) -> None:
    """How many images each list names, and which of their files are missing."""
    data_set = wanted.data_set
    for split, expected in data_set.counts.items():
        path = wanted.folder / data_set.lists / f"{split}.txt"
        if not path.is_file():
            if not any(str(path) in line for line in (*outcome.problems, *outcome.notes)):
                outcome.problems.append(f"{path}: the list is not there")
            continue
        ids = read_split(path)
        outcome.images[split] = len(ids)
        if expected not in (None, len(ids)):
            outcome.problems.append(f"{path}: {len(ids)} images, expected {expected}")
        files = [wanted.folder / file.format(name) for name in ids for file in data_set.files]
        missing = [file for file in files if not file.is_file()]
        if missing:
            outcome.problems.append(
                f"{path}: {len(missing)} of {len(files)} files are not there: {missing[0]}, ...; to "
                f"unpack the archive again, remove {wanted.folder}"
            )
