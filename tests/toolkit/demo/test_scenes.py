"""The drawn data set: determinism, layout, and that its task is the one it claims to be."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from fcn.data import check_split
from fcn.demo.dataset import make_dataset
from fcn.demo.scenes import CLASSES, CROP, SIDES, classification_image, segmentation_scene
from fcn.demo.shapes import SHAPES, draw
from fcn.score import Scores, fast_hist
from fcn.score.baseline import ColourClassifier, baselines
from voc_layers import VocFolder


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("demo"), seed=3, n_train=24, n_val=24, n_class_images=44)


def digest(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): hashlib.sha256(p.read_bytes()).hexdigest()
        for p in folder.rglob("*")
        if p.is_file()
    }


def test_the_same_seed_draws_the_same_files(drawn: Path, tmp_path: Path) -> None:
    again = make_dataset(tmp_path / "again", seed=3, n_train=24, n_val=24, n_class_images=44)
    assert digest(again) == digest(drawn)


def test_processes_draw_the_same_files(drawn: Path, tmp_path: Path) -> None:
    shared = make_dataset(tmp_path / "shared", seed=3, n_train=24, n_val=24, n_class_images=44, jobs=2)
    assert digest(shared) == digest(drawn)


def test_a_place_that_is_taken_is_named_and_nothing_looks_finished(tmp_path: Path) -> None:
    blocked = tmp_path / "JPEGImages/train_0001.jpg"
    blocked.mkdir(parents=True)
    (tmp_path / "classes.txt").write_text("".join(f"{name}\n" for name in CLASSES))
    with pytest.raises(OSError, match=re.escape(str(blocked))):
        make_dataset(tmp_path, seed=3, n_train=2, n_val=1, n_class_images=0, jobs=2)
    assert not (tmp_path / "drawn.json").exists()


def test_another_seed_or_split_draws_other_images() -> None:
    images = [
        segmentation_scene(seed, split, 0).image for seed, split in ((0, "train"), (0, "val"), (1, "train"))
    ]
    assert len({image.tobytes() for image in images}) == 3


def test_an_image_does_not_depend_on_how_many_there_are(drawn: Path, tmp_path: Path) -> None:
    fewer = digest(make_dataset(tmp_path, seed=3, n_train=2, n_val=1, n_class_images=0))
    all_of_them = digest(drawn)
    assert fewer["JPEGImages/train_0001.jpg"] == all_of_them["JPEGImages/train_0001.jpg"]
    assert fewer["SegmentationClass/val_0000.png"] == all_of_them["SegmentationClass/val_0000.png"]


def test_a_finished_drawing_is_left_alone(drawn: Path) -> None:
    image = drawn / "JPEGImages/train_0000.jpg"
    before = image.stat().st_mtime_ns
    make_dataset(drawn, seed=3, n_train=24, n_val=24, n_class_images=44)
    assert image.stat().st_mtime_ns == before


def test_the_layout_is_vocs_and_every_pair_is_sound(drawn: Path) -> None:
    data = VocFolder.open(drawn)
    assert data.classes == CLASSES and len(data.classes) >= 9
    for split, images in (("train", 24), ("val", 24)):
        check = check_split(data.split(split))
        assert check.problems == [] and check.images == images
        assert (check.pixels > 0).all()  # every class and void occur
    assert not set(data.ids("train")) & set(data.ids("val"))
    with Image.open(drawn / "SegmentationClass/val_0000.png") as label:
        assert label.mode == "P"
    sizes = {data.image(name).shape[:2] for name in data.ids("train")}
    assert len(sizes) > 15 and {side for size in sizes for side in size} <= set(range(SIDES[0], SIDES[1] + 1))


def test_classification_lists_hold_every_class_and_share_no_image(drawn: Path) -> None:
    lists = {
        split: (drawn / f"Classification/{split}.txt").read_text().splitlines() for split in ("train", "val")
    }
    assert len(lists["train"]) + len(lists["val"]) == 44 and not set(lists["train"]) & set(lists["val"])
    assert {int(line.split()[1]) for line in lists["train"]} == set(range(len(CLASSES)))
    path, label = lists["train"][5].split()
    with Image.open(drawn / path) as image:
        assert image.size == (CROP, CROP)
    assert classification_image(3, 5)[1] == int(label)


def test_void_separates_every_two_labels() -> None:
    label = segmentation_scene(0, "train", 3).label.astype(int)
    for a, b in ((label[:, 1:], label[:, :-1]), (label[1:], label[:-1])):
        meet = (a != b) & (a != 255) & (b != 255)
        assert not meet.any()


def test_labels_follow_the_drawn_outline() -> None:
    """Void is a band one pixel to either side of an outline: closing it by a pixel leaves the objects."""
    label = segmentation_scene(0, "val", 1).label
    void = label == 255
    assert ndimage.binary_erosion(void, np.ones((3, 3))).sum() < 0.02 * void.sum()
    for index in set(np.unique(label)) - {0, 255}:
        grown = ndimage.binary_dilation(label == index, iterations=2)
        assert set(np.unique(label[grown])) >= {int(index), 255}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_shapes_keep_their_holes_and_gaps_when_small(name: str) -> None:
    shape = SHAPES[name]()
    small = draw(shape, 6 * shape.min_size, 6) >= 0.5
    large = draw(shape, 160, 160 / shape.min_size) >= 0.5

    def topology(mask: np.ndarray) -> tuple[int, int]:
        return ndimage.label(mask, np.ones((3, 3)))[1], ndimage.label(~np.pad(mask, 1))[1]

    assert topology(small) == topology(large)
    assert topology(large)[0] == 1


def resampled(label: np.ndarray, stride: int) -> np.ndarray:
    """The best map at a stride: class shares of each cell, scaled up bilinearly (paper, appendix A)."""
    height, width = (-(-n // stride) * stride for n in label.shape)
    planes = np.zeros((len(CLASSES), height, width), np.float32)
    for index in range(len(CLASSES)):
        planes[index, : label.shape[0], : label.shape[1]] = label == index
    cells = planes.reshape(len(CLASSES), height // stride, stride, width // stride, stride).mean((2, 4))
    up = [Image.fromarray(c).resize((width, height), Image.Resampling.BILINEAR) for c in cells]
    return np.stack([np.asarray(u) for u in up]).argmax(0)[: label.shape[0], : label.shape[1]]


def test_finer_strides_can_draw_more(drawn: Path) -> None:
    data = VocFolder.open(drawn)
    names = data.ids("train") + data.ids("val")
    bound = {
        stride: Scores(
            sum(fast_hist(data.label(n), resampled(data.label(n), stride), len(CLASSES)) for n in names)
        ).mean_iu
        for stride in (32, 16, 8)
    }
    assert bound[16] > bound[32] + 0.15 and bound[8] > bound[16] + 0.15


def test_colour_does_not_tell_one_shape_from_another(drawn: Path) -> None:
    data = VocFolder.open(drawn)
    scores = baselines(data.split("train"), data.split("val"))
    assert scores["best constant"].mean_iu < 0.1
    assert scores["colour per pixel"].class_iu[1:].mean() < 0.1


def test_the_colour_classifier_learns_where_colour_does_tell() -> None:
    image = np.zeros((2, 4, 3), np.uint8)
    image[:, 2:] = (250, 10, 10)
    label = np.array([[0, 0, 1, 1], [0, 0, 1, 255]], np.uint8)
    model = ColourClassifier(2)
    model.add(image, label)
    assert model.predict(image).tolist() == [[0, 0, 1, 1], [0, 0, 1, 1]]
    unseen = np.full((1, 1, 3), 128, np.uint8)
    assert model.predict(unseen).tolist() == [[0]]  # the commonest class


def test_the_balanced_classifier_weighs_rare_classes_up() -> None:
    image = np.zeros((1, 10, 3), np.uint8)
    label = np.array([[0] * 7 + [1] * 3], np.uint8)  # one colour: 7 of 10 are class 0 ...
    model = ColourClassifier(2)
    model.add(image, label)
    model.add(
        np.full((1, 90, 3), 200, np.uint8), np.zeros((1, 90), np.uint8)
    )  # ... but few of class 0 have it
    assert model.predict(image)[0, 0] == 0
    assert model.predict(image, balanced=True)[0, 0] == 1
