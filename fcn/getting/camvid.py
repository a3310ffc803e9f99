"""CamVid as the SegNet tutorial holds it, 480 x 360 and 11 classes, in VOC layout."""

from __future__ import annotations

from pathlib import Path

from voc_layers.folder import VocFolder

from .lists import write_list

#: In the order of the label values; 11 is void.
CLASSES = (
    "Sky", "Building", "Pole", "Road", "Pavement", "Tree", "SignSymbol", "Fence", "Car", "Pedestrian",
    "Bicyclist",
)  # fmt: skip
COUNTS = {"train": 367, "val": 101, "test": 233}
#: Where the tutorial has the images and the labels of each split.
FOLDERS = tuple(f"{split}{kind}" for split in COUNTS for kind in ("", "annot"))


def to_voc_layout(root: Path) -> None:
    """Move the files of the tutorial's folder `CamVid`; no pixel is changed, so that void stays 11."""
    folder = VocFolder(root)
    for part in (folder.images, folder.labels, folder.lists):
        (root / part).mkdir(parents=True)
    for split in COUNTS:
        names = sorted((root / split).glob("*.png"))
        for name in names:
            name.rename(root / folder.images / name.name)
        for name in sorted((root / f"{split}annot").glob("*.png")):
            name.rename(root / folder.labels / name.name)
        write_list(folder.list_file(split), [name.stem for name in names])
    folder.class_file.write_text("\n".join([*CLASSES, f"# void: {len(CLASSES)}", ""]))
