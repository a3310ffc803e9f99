"""Images changed at random: image and label alike, from the seed alone; batches filled up."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import caffe
from voc_layers import SampleError
from voc_layers.augment import Augmentation
from voc_layers.facts import MEAN_BGR

SIDES = st.integers(1, 40)
SIZES = ((12, 20), (30, 9), (16, 16))


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Three images of different sizes; of image i all label values are 2 i or 2 i + 1, by its brightness."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for i, size in enumerate(SIZES):
        bright = np.random.default_rng(i).random(size) < 0.5
        Image.fromarray(np.repeat((200 * bright)[..., None], 3, 2).astype(np.uint8)).save(
            tmp_path / f"JPEGImages/{i}.png"
        )
        Image.fromarray((2 * i + bright).astype(np.uint8)).save(tmp_path / f"SegmentationClass/{i}.png")
    for split in ("train", "val"):
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text("0\n1\n2\n")
    return tmp_path


def net_of(voc: Path, more: str = "", **params: Any) -> caffe.Net:
    settings = {"voc_dir": str(voc), "split": "train", "mean": MEAN_BGR, "seed": 5, "prefetch": 0, **params}
    path = voc / "net.prototxt"
    path.write_text(f'''layer {{ name: "data" type: "Python" top: "data" top: "label" python_param {{
        module: "voc_layers" layer: "VOCSegDataLayer" param_str: "{settings!r}" }} }} {more}''')
    return caffe.Net(str(path), caffe.TRAIN)


def passes(net: caffe.Net, count: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Data and label of so many forward passes."""
    found = []
    for _ in range(count):
        net.forward()
        found.append((np.array(net.blobs["data"].data), np.array(net.blobs["label"].data)))
    return found


def same(one: list[tuple[np.ndarray, ...]], other: list[tuple[np.ndarray, ...]]) -> bool:
    return all(np.array_equal(a, b) for x, y in zip(one, other, strict=True) for a, b in zip(x, y))


@given(size=st.tuples(SIDES, SIDES), crop=st.tuples(SIDES, SIDES), mirror=st.booleans(), seed=st.integers())
def test_a_piece_of_the_image_has_the_labels_of_that_piece(
    size: tuple[int, int], crop: tuple[int, int], mirror: bool, seed: int
) -> None:
    label = np.random.default_rng(0).integers(0, 256, size).astype(np.uint8)
    image = np.stack([label, 255 - label, label], axis=2)
    changed, labels = Augmentation(crop=crop, mirror=mirror).apply((image, label), random.Random(seed))
    assert labels.shape == tuple(map(min, size, crop))
    assert np.array_equal(changed[..., 0], labels) and np.array_equal(changed[..., 1], 255 - labels)
    rows = {tuple(row) for row in np.lib.stride_tricks.sliding_window_view(label, labels.shape[1], 1)
            .reshape(-1, labels.shape[1]).tolist()}  # fmt: skip
    assert all(tuple(row) in rows or (mirror and tuple(row[::-1]) in rows) for row in labels.tolist())


@given(factor=st.floats(0.25, 4), seed=st.integers())
def test_scaled_labels_stay_labels_and_lie_where_the_image_has_them(factor: float, seed: int) -> None:
    label = np.full((24, 36), 3, np.uint8)
    label[:, 18:], label[:4] = 7, 255
    image = np.repeat(np.where(label == 7, 250, 0).astype(np.uint8)[..., None], 3, 2)
    changed, labels = Augmentation(scale=(factor, factor)).apply((image, label), random.Random(seed))
    assert changed.shape[:2] == labels.shape == (round(24 * factor), round(36 * factor))
    assert set(np.unique(labels)) <= {3, 7, 255}
    middle = round(18 * factor)
    away = np.abs(np.arange(labels.shape[1]) - middle) > 1 + factor
    assert (labels[-1] == np.where(changed[-1, :, 0] > 125, 7, 3))[away].all()


def test_what_is_drawn_follows_from_the_seed_and_changes_no_order(voc: Path) -> None:
    given = {"mirror": True, "scale": (0.5, 1.5), "crop": (10, 10)}
    once = passes(net_of(voc, **given), 12)
    assert same(once, passes(net_of(voc, prefetch=3, cache=1, **given), 12))
    assert same(once[7:], passes(net_of(voc, start=7, **given), 5))
    assert not same(once, passes(net_of(voc, **{**given, "seed": 6}), 12))
    plain = passes(net_of(voc), 12)
    assert [label.max() // 2 for _, label in plain] == [label[label < 255].max() // 2 for _, label in once]
    turned = {bool(np.array_equal(a[..., ::-1], b)) for (a, _), (b, _) in
              zip(plain, passes(net_of(voc, mirror=True), 12), strict=True)}  # fmt: skip
    assert turned == {True, False}


@pytest.mark.parametrize("prefetch", [0, 2])
def test_a_restored_layer_draws_on(voc: Path, prefetch: int) -> None:
    given = {"mirror": True, "scale": (0.5, 2), "crop": (8, 8), "batch": 2, "prefetch": prefetch}
    net = net_of(voc, **given)
    passes(net, 3)
    state = net.layers[0].snapshot_state()
    expected = passes(net, 4)
    again = net_of(voc, **given)
    again.layers[0].restore_state(state)
    assert same(expected, passes(again, 4))


def test_a_crop_beyond_the_image_is_filled_up_with_mean_and_void(voc: Path) -> None:
    for data, label in passes(net_of(voc, crop=(25, 25), batch=2), 4):
        assert data.shape == (2, 3, 25, 25) and label.shape == (2, 1, 25, 25)
        for image, labels in zip(data, label):
            height, width = next(size for i, size in enumerate(SIZES) if (labels // 2 == i).any())
            inside = np.zeros((25, 25), bool)
            inside[:height, :width] = True
            assert np.array_equal(labels[0] != 255, inside) and not image[:, ~inside].any()


def test_the_loss_of_a_batch_of_mixed_sizes_is_the_mean_of_its_images(voc: Path) -> None:
    """A summed loss is divided by the number of images: a rate means the same for any batch."""
    more = """layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {
        num_output: 6 kernel_size: 1 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
        loss_param { normalize: false ignore_label: 255 } }"""
    weights = np.random.default_rng(1).normal(0, 0.01, (6, 3, 1, 1))

    def losses(count: int, **params: Any) -> list[float]:
        net = net_of(voc, more, **params)
        net.params["score"][0].data[...] = weights
        return [float(net.forward()["loss"]) for _ in range(count)]

    single = losses(6)
    np.testing.assert_allclose(losses(2, batch=3), np.reshape(single, (2, 3)).mean(1), rtol=1e-5)


@pytest.mark.parametrize(("changes", "says"), [
    ({"scale": (2, 1)}, "scale must be two factors"),
    ({"scale": "half"}, "scale must be two factors"),
    ({"scale": (0, 1)}, "scale must be two factors"),
    ({"crop": (0, 5)}, r"crop must be \(H, W\)"),
    ({"crop": 5}, r"crop must be \(H, W\)"),
    ({"mirror": 1}, "mirror must be True or False"),
    ({"batch": 0}, "batch must be how many images are in a batch, a whole number from 1"),
])  # fmt: skip
def test_settings_without_meaning_are_named(voc: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SampleError, match=f"VOCSegDataLayer: {says}"):
        net_of(voc, **changes)
