"""The data layers inside a net: values, order, state, and what they say about bad data."""

from __future__ import annotations

import gc
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import caffe
from voc_layers import SampleError
from voc_layers.cache import Cache
from voc_layers.facts import MEAN_BGR
from voc_layers.order import Order, ReadAhead
from voc_layers.reading import check_label, read_image, read_label_png

SIZES = ((7, 5), (4, 9), (6, 6), (3, 8), (5, 5))  # H, W of the images of `voc`


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Five images, 0 .. 4, of different sizes in VOC layout; lossless, so that pixels are known."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for i, (height, width) in enumerate(SIZES):
        Image.fromarray(picture(i, height, width)).save(tmp_path / f"JPEGImages/{i}.png")
        label = np.full((height, width), i, np.uint8)
        label[0, 0] = 255
        palette_png = Image.fromarray(label)
        palette_png.putpalette([(7 * k) % 256 for k in range(768)])
        palette_png.save(tmp_path / f"SegmentationClass/{i}.png")
    for split in ("train", "val"):
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text("0\n1\n2\n3\n4\n")
    return tmp_path


def make_net(folder: Path, layer: str, **params: Any) -> caffe.Net:
    path = folder / "net.prototxt"
    path.write_text(f'''layer {{ name: "data" type: "Python" top: "data" top: "label" python_param {{
        module: "voc_layers" layer: "{layer}" param_str: {json.dumps(repr(params))} }} }}''')
    return caffe.Net(str(path), caffe.TEST)


def voc_net(voc: Path, split: str = "val", **params: Any) -> caffe.Net:
    return make_net(
        voc, "VOCSegDataLayer", **{"voc_dir": str(voc), "split": split, "mean": MEAN_BGR, **params}
    )


def read_order(net: caffe.Net, count: int) -> list[int]:
    """The image of each of `count` forward passes, told by its label."""
    order = []
    for _ in range(count):
        net.forward()
        order.append(int(net.blobs["label"].data.flat[-1]))
    return order


def test_data_is_bgr_with_the_mean_subtracted_and_labels_are_indices(voc: Path) -> None:
    net = voc_net(voc)
    for i, size in enumerate(SIZES):
        net.forward()
        assert tuple(net.blobs["data"].shape) == (1, 3, *size)
        assert tuple(net.blobs["label"].shape) == (1, 1, *size)
        bgr = (picture(i, *size)[:, :, ::-1].astype(np.float64) - MEAN_BGR).astype(np.float32)
        np.testing.assert_array_equal(net.blobs["data"].data[0], bgr.transpose(2, 0, 1))
        expected = np.full(size, i)
        expected[0, 0] = 255
        np.testing.assert_array_equal(net.blobs["label"].data[0, 0], expected)


@pytest.mark.parametrize("prefetch", [0, 1, 3, 9])
def test_a_validation_split_is_read_in_turn_whatever_randomize_says(voc: Path, prefetch: int) -> None:
    net = voc_net(voc, randomize=True, seed=3, prefetch=prefetch)
    assert read_order(net, 12) == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1]


@pytest.mark.parametrize("prefetch", [0, 2, 7])
def test_a_training_split_is_drawn_as_the_seeded_generator_draws(voc: Path, prefetch: int) -> None:
    random.seed(1337)
    expected = [random.randint(0, 4) for _ in range(30)]
    random.seed(99)
    undisturbed = random.Random(99).random()
    assert read_order(voc_net(voc, "train", seed=1337, prefetch=prefetch), 30) == expected
    assert random.random() == undisturbed  # the process's own generator was left alone


def test_a_training_split_without_randomize_is_read_in_turn(voc: Path) -> None:
    assert read_order(voc_net(voc, "train", randomize=False), 6) == [0, 1, 2, 3, 4, 0]


def test_reshaping_the_net_does_not_skip_an_image(voc: Path) -> None:
    net = voc_net(voc)
    net.reshape()
    net.reshape()
    assert read_order(net, 2) == [0, 1]


@pytest.mark.parametrize(("split", "passes"), [("train", 0), ("train", 5), ("val", 3)])
def test_a_restored_layer_continues_exactly(voc: Path, split: str, passes: int) -> None:
    first = voc_net(voc, split, seed=5, prefetch=4)
    read_order(first, passes)
    state = json.loads(json.dumps(first.layers[0].snapshot_state()))  # plain data
    second = voc_net(voc, split, seed=6, prefetch=1)
    read_order(second, 2)
    second.layers[0].restore_state(state)
    assert read_order(second, 20) == read_order(first, 20)


def test_a_state_of_another_list_is_refused(voc: Path) -> None:
    state = voc_net(voc, "train", seed=1).layers[0].snapshot_state()
    (voc / "ImageSets/Segmentation/train.txt").write_text("0\n1\n")
    with pytest.raises(ValueError, match=r"list of 5 images.*this layer has 2"):
        voc_net(voc, "train", seed=1).layers[0].restore_state(state)


def test_sbd_labels_come_from_mat_files(tmp_path: Path) -> None:
    for folder in ("img", "cls"):
        (tmp_path / folder).mkdir()
    Image.fromarray(picture(0, 4, 6)).save(tmp_path / "img/a.png")
    label = np.arange(24, dtype=np.uint8).reshape(4, 6)
    scipy.io.savemat(tmp_path / "cls/a.mat", {"GTcls": {"Segmentation": label, "Boundaries": 0}})
    (tmp_path / "train.txt").write_text("a\n")
    net = make_net(tmp_path, "SBDDSegDataLayer", sbdd_dir=str(tmp_path), split="train", mean=MEAN_BGR, seed=1)
    net.forward()
    np.testing.assert_array_equal(net.blobs["label"].data[0, 0], label)


def test_the_param_str_gives_the_range_and_the_void_of_labels(voc: Path) -> None:
    Image.fromarray(np.full(SIZES[0], 9, np.uint8)).save(voc / "SegmentationClass/0.png")
    net = voc_net(voc, classes=5, void=9)
    net.forward()
    assert (net.blobs["label"].data == 255).all()
    with pytest.raises(SampleError, match=r"1\.png: expected label values 0 \.\. 4 or 9 \(void\), found 255"):
        net.forward()


def test_a_classes_txt_beside_the_images_changes_nothing(voc: Path) -> None:
    (voc / "classes.txt").write_text("only\none\n# void: 4\n")
    assert read_order(voc_net(voc), 5) == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"split": "nowhere"},
            r"nowhere\.txt: expected one image id a line.*splits there: train, val",
        ),
        ({"mean": (1, 2)}, "three numbers"),
        ({"classes": "classes.txt"}, "classes must be how many there are, found 'classes.txt'"),
        (
            {"classes": 3},
            r"SegmentationClass/3\.png: expected label values 0 \.\. 2 or 255 .*found 3 in 23 pixels",
        ),
        ({"prefetch": -1}, "prefetch must be how many batches are read ahead, a whole number from 0"),
        ({"cache": True}, "cache must be MiB .* found True"),
        ({"start": 1.5}, "start must be .* found 1.5"),
        ({"splt": "val"}, "unknown splt; it takes mean, split, voc_dir and optionally batch, cache, classes"),
    ],
)
def test_bad_settings_are_named(voc: Path, changes: dict[str, Any], says: str) -> None:
    with pytest.raises(SampleError, match=says):
        read_order(voc_net(voc, **changes), 5)


def test_a_missing_key_and_text_that_is_no_literal_are_refused(voc: Path) -> None:
    with pytest.raises(SampleError, match="lacks mean"):
        make_net(voc, "VOCSegDataLayer", voc_dir=str(voc), split="val")
    path = voc / "net.prototxt"
    path.write_text(path.read_text().replace("{'voc_dir'", "dict(a=__import__('os').getpid(), **{'voc_dir'"))
    with pytest.raises(SampleError, match="not a Python dict literal"):
        caffe.Net(str(path), caffe.TEST)


def test_image_and_label_of_different_sizes_are_refused(voc: Path) -> None:
    Image.fromarray(picture(0, 5, 7)).save(voc / "JPEGImages/0.png")
    with pytest.raises(SampleError, match=r"0\.png: expected a label of \(5, 7\).*found \(7, 5\); .*EXIF"):
        voc_net(voc).forward()


def test_a_missing_label_is_named(voc: Path) -> None:
    (voc / "SegmentationClass/1.png").unlink()
    with pytest.raises(SampleError, match=r"SegmentationClass/1\.png: expected a file .*found nothing"):
        read_order(voc_net(voc), 2)


def test_colour_pictures_of_labels_are_refused(tmp_path: Path) -> None:
    Image.fromarray(picture(0, 3, 3)).save(tmp_path / "x.png")
    with pytest.raises(SampleError, match=r"x\.png: expected one channel.*mode RGB of 3 channels"):
        read_label_png(tmp_path / "x.png")


def test_grey_images_become_rgb_and_transparent_ones_are_refused(tmp_path: Path) -> None:
    grey = np.arange(12, dtype=np.uint8).reshape(3, 4)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), np.stack([grey] * 3, -1))
    rgba = np.dstack([picture(1, 3, 4), np.full((3, 4), 255, np.uint8)])
    Image.fromarray(rgba).save(tmp_path / "opaque.png")
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), rgba[:, :, :3])
    rgba[0, 0, 3] = 7
    Image.fromarray(rgba).save(tmp_path / "clear.png")
    with pytest.raises(SampleError, match=r"clear\.png: expected an RGB or grey image.*mode RGBA"):
        read_image(tmp_path / "clear.png")


def test_a_file_that_is_no_image_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.png").write_bytes(b"<html>not found</html>")
    with pytest.raises(SampleError, match=r"x\.png: .*does not decode"):
        read_image(tmp_path / "x.png")


def test_label_values_beyond_a_byte_are_refused_even_without_classes() -> None:
    with pytest.raises(SampleError, match=r"found 300 in 2 pixels"):
        check_label(np.array([[1, 300], [300, 2]], np.int32), "a.png")


def test_image_label_layer_gives_batches(tmp_path: Path) -> None:
    for i in range(4):
        Image.fromarray(picture(i, 6, 6)).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("0.png 3\n1.png 1\n2.png 0\n3.png 2\n")
    net = make_net(
        tmp_path,
        "ImageLabelLayer",
        source=str(tmp_path / "list.txt"),
        root=str(tmp_path),
        batch=3,
        size=6,
        mean=MEAN_BGR,
        seed=8,
    )
    generator = random.Random(8)
    for _ in range(4):
        drawn = [generator.randint(0, 3) for _ in range(3)]
        net.forward()
        assert net.blobs["label"].data.tolist() == [[3, 1, 0, 2][i] for i in drawn]
        expected = np.stack([picture(i, 6, 6)[:, :, ::-1] - np.array(MEAN_BGR) for i in drawn]).transpose(
            0, 3, 1, 2
        )
        np.testing.assert_allclose(net.blobs["data"].data, expected, atol=1e-5)


def test_the_prefetcher_raises_where_the_bad_sample_is_due() -> None:
    def load(indices: list[int], numbers: Sequence[int]) -> int:
        assert list(numbers) == indices, "read in turn, a draw has the number of its image"
        if indices == [2]:
            raise SampleError("the third is bad")
        return indices[0]

    samples = ReadAhead(load, Order(5), depth=3)
    for expected in (0, 1):
        assert samples.current() == expected
        samples.advance()
    with pytest.raises(SampleError, match="third"):
        samples.current()


def test_the_thread_ends_with_the_net(voc: Path) -> None:
    def reading() -> set[threading.Thread]:
        return {thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")}

    others = reading()
    net = voc_net(voc)
    net.forward()
    (thread,) = reading() - others
    gc.disable()  # nothing but the last reference ends it
    try:
        del net
        thread.join(60)
    finally:
        gc.enable()
    assert not thread.is_alive()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("prefetch", [0, 3])
def test_a_forked_process_reads_on(voc: Path, prefetch: int) -> None:
    voc_net(voc, prefetch=prefetch)
    program = """
import os, caffe
def read(net, count):
    return [int(net.blobs["label"].data.flat[-1]) for _ in range(count) if net.forward()]
net = caffe.Net("net.prototxt", caffe.TEST)
assert read(net, 2) == [0, 1]
if os.fork() == 0:
    os._exit(read(net, 5) != [2, 3, 4, 0, 1])
assert os.waitstatus_to_exitcode(os.wait()[1]) == 0
assert read(net, 5) == [2, 3, 4, 0, 1]
"""
    subprocess.run([sys.executable, "-c", program], cwd=voc, check=True, timeout=120)


@pytest.mark.parametrize("prefetch", [0, 2])
def test_what_is_kept_in_memory_is_what_is_read(voc: Path, prefetch: int) -> None:
    plain, kept = (voc_net(voc, "train", seed=4, prefetch=prefetch, cache=size) for size in (0, 1))
    for _ in range(20):
        for net in (plain, kept):
            net.forward()
        for name in ("data", "label"):
            np.testing.assert_array_equal(plain.blobs[name].data, kept.blobs[name].data)
    for i in range(len(SIZES)):
        (voc / f"JPEGImages/{i}.png").unlink()
    read_order(kept, 20)  # from memory alone
    with pytest.raises(SampleError, match="JPEGImages/[0-9]"):
        read_order(plain, 20)


@given(sizes=st.lists(st.integers(1, 40), min_size=1, max_size=8), limit=st.integers(0, 100), data=st.data())
def test_the_cache_holds_no_more_than_its_bound(sizes: list[int], limit: int, data: st.DataObject) -> None:
    cache, reads = Cache(limit), []

    def read(index: int) -> tuple[np.ndarray, ...]:
        reads.append(index)
        return (np.full(sizes[index], index, np.uint8),)

    asked = data.draw(st.lists(st.integers(0, len(sizes) - 1), max_size=30))
    for index in asked:
        (found,) = cache.get(index, read)
        assert found.tolist() == [index] * sizes[index]
    kept = {index for index in asked if asked.count(index) > reads.count(index)}
    assert sum(sizes[index] for index in kept) <= limit
    room = limit  # the first ones that fit are kept
    for index in dict.fromkeys(asked):
        fits = sizes[index] <= room
        room -= sizes[index] * fits
        assert reads.count(index) == (1 if fits else asked.count(index))


@pytest.mark.data
def test_real_voc_and_sbd_labels_agree_on_where_objects_are(shared: Path) -> None:
    sample = shared / "data/voc-sample"
    voc = make_net_in_memory("VOCSegDataLayer", voc_dir=str(sample / "VOC2011"), split="val", mean=MEAN_BGR)
    sbd = make_net_in_memory(
        "SBDDSegDataLayer", sbdd_dir=str(sample / "sbd/dataset"), split="val", mean=MEAN_BGR
    )
    assert voc.layers[0].indices == sbd.layers[0].indices
    for _ in voc.layers[0].indices:
        voc.forward()
        sbd.forward()
        np.testing.assert_array_equal(voc.blobs["data"].data, sbd.blobs["data"].data)
        a, b = voc.blobs["label"].data, sbd.blobs["label"].data
        assert set(np.unique(a)) - {255} == set(np.unique(b)) - {255}
        known = (a != 255) & (b != 255)
        assert (a == b)[known].mean() > 0.9


def make_net_in_memory(layer: str, **params: Any) -> caffe.Net:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        return make_net(Path(folder), layer, **params)
