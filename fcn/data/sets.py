"""The data sets of the paper: which one a model is for, its folders and lists, and how to get it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import nets
from voc_layers.folder import Folder, VocFolder
from voc_layers.sets.nyud import NyudFolder
from voc_layers.sets.pascalcontext import ContextFolder
from voc_layers.sets.siftflow import SiftFlowFolder

#: Folders by the names of the options, without their dashes: `nyud_dir` is --nyud-dir.
Folders = Mapping[str, Path]

PASCAL_HELP = """\
how to get them, and seg11valid.txt with them (docs/getting-data.md):
  fcn data get voc2011 -o data     (an archive that you have: --archive VOCtrainval_25-May-2011.tar)
  fcn data get sbd -o data
    then --voc-dir (make: VOC_DIR=) data/VOCdevkit/VOC2011, --sbd-dir (SBD_DIR=) data/benchmark_RELEASE
  seg11valid.txt where these are unpacked already; VOC 2011's val.txt is needed, that of 2012 is another:
    lists=VOCdevkit/VOC2011/ImageSets/Segmentation
    grep -vxFf benchmark_RELEASE/dataset/train.txt $lists/val.txt > $lists/seg11valid.txt
  or your own images in the layout of the first folder: --data DIR"""
NYUD_HELP = """\
how to get it (data/nyud/README.md has the layout): fcn data get nyud -o data
  then --nyud-dir (make: NYUD_DIR=) data/nyud; trainval is train.txt and val.txt, and needs no file"""
SIFTFLOW_HELP = """\
how to get it (data/sift-flow/README.md has the layout): fcn data get siftflow -o data
  then --siftflow-dir (make: SIFTFLOW_DIR=) data/sift-flow"""
CONTEXT_HELP = """\
how to get it (data/pascal-context/README.md has the layout):
  fcn data get voc2010 -o data
  fcn data get pascal-context -o data
  then --voc-dir (make: VOC_DIR=) data/VOCdevkit/VOC2010 and --context-dir (make: CONTEXT_DIR=)
  data/pascal-context, the folder with labels.txt, 59_labels.txt and trainval/"""


@dataclass(frozen=True)
class DataSet:
    """What is to know of a published data set.

    Attributes:
        title: its name.
        open: the folder with the images to score on, of the folders given and what a net looks at.
        folders: the options that name its folders, and where they are looked for.
        splits: the lists to train and to score on.
        help: how to get it.
    """

    title: str
    open: Callable[[Folders, tuple[str, ...]], Folder]
    folders: Folders
    splits: tuple[str, str]
    help: str


SETS: dict[str, DataSet] = {
    "voc": DataSet(
        "PASCAL VOC",
        lambda at, views: VocFolder.open(at["voc_dir"]),
        {"voc_dir": Path("data/pascal/VOC2011"), "sbd_dir": Path("data/sbdd/dataset")},
        ("train", "seg11valid"),
        PASCAL_HELP,
    ),
    "nyud": DataSet(
        "NYUDv2",
        lambda at, views: NyudFolder(at["nyud_dir"], views=views),
        {"nyud_dir": Path("data/nyud")},
        ("trainval", "test"),
        NYUD_HELP,
    ),
    "siftflow": DataSet(
        "SIFT Flow",
        lambda at, views: SiftFlowFolder(at["siftflow_dir"]),
        {"siftflow_dir": Path("data/sift-flow")},
        ("trainval", "test"),
        SIFTFLOW_HELP,
    ),
    "pascalcontext": DataSet(
        "PASCAL-Context",
        lambda at, views: ContextFolder(at["voc_dir"], annotations=at["context_dir"]),
        {"voc_dir": Path("data/pascal"), "context_dir": Path("data/pascal-context")},
        ("train", "val"),
        CONTEXT_HELP,
    ),
}
#: The options that name folders, of all sets.
FOLDER_OPTIONS = tuple(dict.fromkeys(name for one in SETS.values() for name in one.folders))


def dataset_of(model: str) -> DataSet:
    """The data set that a model is for: PASCAL VOC where it is a classifier."""
    task = nets.get(model).task
    return SETS[task.dataset if task else "voc"]


def folder_of(model: str, given: Folders | None = None) -> Folder:
    """The folder that a model is scored on. given: folders that lie elsewhere than by default."""
    task, one = nets.get(model).task, dataset_of(model)
    return one.open({**one.folders, **(given or {})}, task.views if task else ())


def check_given(models: list[str], given: Folders) -> None:
    """See that models are of one data set, and that the folders given are its own.

    Raises:
        ValueError: they are not; in the words of the command line.
    """
    kinds = {model: dataset_of(model) for model in models}
    first = kinds[models[0]]
    other = next((model for model, one in kinds.items() if one is not first), None)
    if other:
        raise ValueError(
            f"{models[0]} reads {first.title} and {other} reads {kinds[other].title}: train them one by one"
        )
    own = " and ".join(f"--{name.replace('_', '-')}" for name in first.folders)
    for name in given:
        if name not in first.folders:
            raise ValueError(f"--{name.replace('_', '-')}: {models[0]} reads {first.title}: {own}")
