"""What training reads: the lists, images and labels of 'train' and 'val', and what of them is missing."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nets
from voc_layers.reading import IMAGE_SUFFIXES, ClassList, read_classes, read_split

VOC_LAYOUT = """\
{voc}/
  JPEGImages/ID.jpg
  SegmentationClass/ID.png                 palette PNG: class index of each pixel, 255 = void
  ImageSets/Segmentation/{val}.txt    one ID a line
"""
OWN_LAYOUT = """\
  ImageSets/Segmentation/{train}.txt
  classes.txt                              one class name a line
"""
SBD_LAYOUT = """\
{sbd}/
  img/ID.jpg
  cls/ID.mat                               GTcls.Segmentation
  {train}.txt                                one ID a line
"""
OWN_HELP = "How to lay out your own images: data/own/README.md"
PASCAL_HELP = """\
how to get them (checksums and mirrors: data/pascal/README.md):
  PASCAL VOC 2011, or 2012, which contains it: http://host.robots.ox.ac.uk/pascal/VOC/
    tar xf VOCtrainval_25-May-2011.tar; then --voc-dir (make: VOC_DIR=) TrainVal/VOCdevkit/VOC2011
  SBD: http://home.bharathh.info/pubs/codes/SBD/download.html
    tar xf benchmark.tgz; then --sbd-dir (make: SBD_DIR=) benchmark_RELEASE
  seg11valid.txt, the ids of VOC 2011's val.txt that are not in SBD's train.txt:
    cd VOC_DIR/ImageSets/Segmentation; grep -vxFf SBD_DIR/train.txt val.txt > seg11valid.txt
  or your own images: --data DIR (data/own/README.md)"""


class MissingInputs(FileNotFoundError):
    """Files that a run needs and that are not there: one message for all of them."""


@dataclass(frozen=True)
class Inputs:
    """Where images and labels lie. Trains on SBD, or on the VOC folder itself when ``sbd_dir`` is None."""

    voc_dir: Path
    sbd_dir: Path | None
    train_split: str = "train"
    val_split: str = "seg11valid"

    @classmethod
    def pascal(cls, voc_dir: str | Path, sbd_dir: str | Path, val_split: str = "seg11valid") -> Inputs:
        """PASCAL VOC with SBD's training labels; ``sbd_dir`` may be the folder above SBD's ``dataset``."""
        sbd = Path(sbd_dir)
        inner = sbd / "dataset"
        return cls(Path(voc_dir), inner if inner.is_dir() else sbd, val_split=val_split)

    @classmethod
    def own(cls, folder: str | Path, val_split: str = "val") -> Inputs:
        """A folder in VOC layout with a ``classes.txt``, trained on its own 'train' list."""
        return cls(Path(folder), None, val_split=val_split)

    def class_list(self) -> ClassList | None:
        """Names, mean and void value of ``classes.txt``; None where there is none."""
        path = self.voc_dir / "classes.txt"
        return read_classes(path) if path.is_file() else None

    def list_file(self, form: str) -> Path:
        """The list of image ids of 'train' or 'val'."""
        if form == "train" and self.sbd_dir is not None:
            return self.sbd_dir / f"{self.train_split}.txt"
        split = self.train_split if form == "train" else self.val_split
        return self.voc_dir / "ImageSets/Segmentation" / f"{split}.txt"

    def ids(self, form: str) -> list[str]:
        """The image ids of 'train' or 'val', in order."""
        return read_split(self.list_file(form))

    def folders(self, form: str) -> tuple[tuple[Path, tuple[str, ...]], tuple[Path, tuple[str, ...]]]:
        """(folder, file suffixes) of the images and of the labels of 'train' or 'val'."""
        if form == "train" and self.sbd_dir is not None:
            return (self.sbd_dir / "img", IMAGE_SUFFIXES), (self.sbd_dir / "cls", (".mat",))
        return (self.voc_dir / "JPEGImages", IMAGE_SUFFIXES), (self.voc_dir / "SegmentationClass", (".png",))

    def layers(self, seed: int = 1337, **extra: Any) -> dict[str, nets.PythonData]:
        """The data layers of the 'train' and 'val' nets; ``extra`` are further keys of ``param_str``."""
        listed = self.class_list()
        return nets.pascal(
            str(self.voc_dir),
            None if self.sbd_dir is None else str(self.sbd_dir),
            train_split=self.train_split,
            val_split=self.val_split,
            mean=listed.mean if listed else nets.MEAN_BGR,
            seed=seed,
            **extra,
        )

    def missing(self, forms: tuple[str, ...] = ("train", "val")) -> list[str]:
        """A line for each list, and each file of a list, that is not there; many files count as one."""
        lines: list[str] = []
        for form in forms:
            if not self.list_file(form).is_file():
                lines.append(f"{self.list_file(form)}   (the list of {form} images)")
                lines += [f"{folder}   (a folder)" for folder, _ in self.folders(form) if not folder.is_dir()]
                continue
            ids = self.ids(form)
            for folder, suffixes in self.folders(form):
                present = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
                absent = [i for i in ids if not any(i + suffix in present for suffix in suffixes)]
                lines += [str(folder / (i + suffixes[0])) for i in absent[:3]]
                if len(absent) > 3:
                    lines.append(f"{folder}/...   ({len(absent)} of its {len(ids)} files of {form} in all)")
        return list(dict.fromkeys(lines))

    def layout(self) -> str:
        """The folders and files expected, as a picture."""
        picture = VOC_LAYOUT + (OWN_LAYOUT if self.sbd_dir is None else SBD_LAYOUT)
        return picture.format(voc=self.voc_dir, sbd=self.sbd_dir, train=self.train_split, val=self.val_split)

    def shared_ids(self) -> list[str]:
        """Ids in both lists: scoring on them measures images that were trained on."""
        return sorted(set(self.ids("train")) & set(self.ids("val")))

    def fingerprint(self, form: str) -> dict[str, Any]:
        """The list of 'train' or 'val', how many images, and a digest of their ids and file sizes."""
        ids, digest = self.ids(form), hashlib.sha256()
        for folder, suffixes in self.folders(form):
            for name in ids:
                found = (path for path in (folder / (name + suffix) for suffix in suffixes) if path.is_file())
                size = next((path.stat().st_size for path in found), None)
                digest.update(f"{name} {size}\n".encode())
        return {"list": str(self.list_file(form)), "images": len(ids), "digest": digest.hexdigest()[:16]}


def require(data: Inputs, forms: tuple[str, ...], weights_missing: list[str]) -> None:
    """Raise MissingInputs with every missing file, the layout expected and how to get or make it.

    ``weights_missing`` are lines about weight files, each with the command that makes the file.
    """
    files = data.missing(forms)
    if not files and not weights_missing:
        return
    parts = ["missing input:", *(f"  {line}" for line in files + weights_missing)]
    if files:
        parts += [
            "the layout expected:",
            *(f"  {line}" for line in data.layout().splitlines()),
            OWN_HELP if data.sbd_dir is None else PASCAL_HELP,
        ]
    raise MissingInputs("\n".join(parts))
