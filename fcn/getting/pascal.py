"""The lists that VOC and SBD have only together: what to score on, and what to train on without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from voc_layers.folder import SbdFolder, VocFolder

from ..fetching import FetchError, fetch
from .catalogue import DATA_SETS, SEG11VALID, TRAIN_NOVAL
from .lists import published, without, write_if_published, write_list

Lines = list[str]


@dataclass(frozen=True)
class Pascal:
    """The folder in which VOC 2011, VOC 2012 and SBD lie, those of them that are there."""

    out: Path

    @property
    def voc(self) -> dict[int, VocFolder]:
        """Year -> VOC of that year."""
        found = {year: VocFolder(self.out / DATA_SETS[f"voc{year}"].place) for year in (2011, 2012)}
        return {year: folder for year, folder in found.items() if folder.root.is_dir()}

    @property
    def sbd(self) -> SbdFolder | None:
        folder = SbdFolder(self.out / DATA_SETS["sbd"].place)
        return folder if folder.root.is_dir() else None

    @property
    def folders(self) -> list[Path]:
        """Of all of them."""
        return [folder.root for folder in (*self.voc.values(), self.sbd) if folder]

    @property
    def to_train(self) -> tuple[Path, Path] | None:
        """VOC with the list to score on, and SBD; None where one of them is not there."""
        for folder in self.voc.values():
            if self.sbd and published(folder.list_file("seg11valid"), SEG11VALID):
                return folder.root, self.sbd.root
        return None

    def write_lists(self, asked: Path, mirrors: Sequence[str], offline: bool) -> tuple[Lines, Lines]:
        """seg11valid.txt in every VOC, and train_noval.txt in SBD; what is wrong, and what is to be known.

        asked: the one of `folders` whose lists may come from the network, where they cannot be made.
        """
        problems: Lines = []
        notes: Lines = []
        for year, folder in self.voc.items():
            path = folder.list_file("seg11valid")
            if published(path, SEG11VALID):
                continue
            if path.exists():
                problems.append(f"{path}: not the published list; remove it, and that one takes its place")
            elif 2011 in self.voc and self.sbd:
                problems += self._make_seg11valid(path, self.sbd)
            elif folder.root == asked and year == 2011:
                notes.append(f"{path} is made as soon as SBD is in {self.out} too")
            elif folder.root == asked:
                problems += _fetch_seg11valid(path, mirrors, offline)
        if self.sbd and self.voc:
            notes.append(self._write_train_noval(self.sbd))
        return problems, notes

    def _make_seg11valid(self, path: Path, sbd: SbdFolder) -> Lines:
        """VOC 2011's val without SBD's train, and proof that these are the published 736 images."""
        ids = without(self.voc[2011].ids("val"), sbd.ids("train"))
        if write_if_published(path, ids, SEG11VALID):
            return []
        return [
            f"{path}: not written: VOC 2011's val without SBD's train has {len(ids)} images that are not "
            f"the published 736 ({SEG11VALID.digests[0]}): {self.voc[2011].list_file('val')} or "
            f"{sbd.list_file('train')} is not the list of its archive"
        ]

    def _write_train_noval(self, sbd: SbdFolder) -> str:
        """SBD's train without VOC's val: to train on where the whole of val is scored."""
        made = {year: without(sbd.ids("train"), folder.ids("val")) for year, folder in self.voc.items()}
        path = sbd.list_file("train_noval")
        if not path.exists():
            write_list(path, made[max(made)])
        if published(path, TRAIN_NOVAL):
            return f"{path}: the published list"
        for year, ids in made.items():
            if ids == sbd.ids("train_noval"):
                what = f"SBD's train without VOC {year}'s val, {len(ids)} images"
                return f"{path}: {what}; not the published list byte for byte"
        return f"{path}: a list of your own, left as it is"


def _fetch_seg11valid(path: Path, mirrors: Sequence[str], offline: bool) -> Lines:
    """VOC 2012 does not say which of its val was that of 2011: the list has to come from elsewhere."""
    try:
        fetch(SEG11VALID, path.parent, mirrors, offline)
    except (FetchError, FileNotFoundError) as error:
        return [
            f"{error}\n  {path} cannot be made of VOC 2012, which does not tell VOC 2011's val from its own: "
            "put the list there, or get VOC 2011 and SBD too"
        ]
    return []
