"""WindowData: which windows, how they are warped, and window files that are wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe._caffe import LayerError
from caffe.proto.caffe_pb2 import BlobProto
from tests.engine.support.data_case import (
    IMAGES,
    RNG,
    WINDOWS,
    labels,
    make_images,
    make_windows,
    window_data,
)


@pytest.fixture(autouse=True)
def a_seed() -> None:
    caffe.set_random_seed(0)


def test_background_comes_before_foreground_with_the_labels_of_the_file(net_of) -> None:
    make_windows()
    net = net_of(window_data("batch_size: 9 fg_fraction: 0.45 fg_threshold: 0.7"))
    found = np.array(labels(net, 30)).reshape(30, 9)
    assert (found[:, :5] == 0).all()
    assert set(found[:, 5:].ravel()) == {1, 2}


def test_windows_are_cropped_scaled_and_their_mean_subtracted(net_of) -> None:
    make_windows("# 5 im0.png 3 6 8 1 2 0.5 1 2 4 5\n# 3 im1.png 3 6 8 2 0 0.49 0 0 3 3 1 0.3 0 0 3 3\n")
    mean = RNG.random((1, 3, 6, 8), np.float32)
    proto = BlobProto(num=1, channels=3, height=6, width=8, data=mean.ravel())
    Path("m").write_bytes(proto.SerializeToString())
    net = net_of(
        window_data(
            "batch_size: 2 fg_fraction: 0.5 bg_threshold: 0.4 scale: 0.5 cache_images: true",
            'crop_size: 4 mean_file: "m" scale: 100',
        )
    )
    found = net.forward()
    np.testing.assert_array_equal(found["label"], [0, 2])
    boxes = [IMAGES[1, :, 0:4, 0:4], IMAGES[0, :, 2:6, 1:5]]
    for item, box in zip(found["data"], boxes):
        np.testing.assert_array_equal(item, (box - mean[0, :, 2:6, 2:6]) * 0.5)


def test_a_window_over_the_edge_leaves_zeros_on_the_mirrored_side(net_of) -> None:
    flat = np.broadcast_to(np.array([50, 100, 150], np.uint8)[:, None, None], (3, 6, 8))
    make_images(flat[None])
    # 4x4 at the right edge, doubled about its centre: 4 columns before, 4 of 8 columns inside the image.
    Path("windows.txt").write_text("# 0 im0.png 3 6 8 2 1 1 4 1 7 4 0 0 4 1 7 4\n")
    net = net_of(window_data("batch_size: 1 fg_fraction: 1 context_pad: 2", "crop_size: 8 mirror: true"))
    seen = set()
    for _ in range(40):
        image = net.forward()["data"][0]
        filled = (image == flat[:, :1, :1]).all(0)
        assert ((image == 0).all(0) | filled).all()
        columns = tuple(filled.any(0))
        assert filled.sum() == filled.any(0).sum() * filled.any(1).sum()
        seen.add(columns)
    first = next(iter(seen))
    assert seen == {first, first[::-1]} and len(seen) == 2


def test_a_square_window_keeps_the_proportions(net_of) -> None:
    make_windows("# 0 im0.png 3 6 8 2 1 1 2 2 5 3 0 0 0 0 7 5\n")
    net = net_of(window_data('batch_size: 1 fg_fraction: 1 crop_mode: "square"', "crop_size: 5"))
    # 4x2 about (4, 3), made 4x4: rows 1 to 5, columns 2 to 6, as many as the crop has.
    np.testing.assert_array_equal(net.forward()["data"][0], IMAGES[0, :, 1:6, 2:7])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "Window file is empty"),
        ("x 0", r"windows.txt:1: expected '# index' of the next image, found 'x'"),
        ("# 0\nim0.png\n3 6 8\n1\n2 0.9 1 1 5", r"windows.txt:5: the file ends in the middle"),
        ("# 0\nim0.png\n3 six 8\n", r"windows.txt:3: expected the image's height, found 'six'"),
        ("# 0\nim0.png\n3 6 8\n1\n2 0.9 1 1 5 4.5\n", r"windows.txt:5: a window is 'class overlap"),
        ("# 0\nim0.png\n3 6 8\n1\n0 0.9 1 1 5 4\n", r"windows.txt:5: .* class 0"),
        ("# 0\nim0.png\n3 6 8\n1\n2 0.9 1 1 5 4\n", "has no background windows"),
        ("# 0\nim0.png\n3 6 8\n1\n2 0.1 1 1 5 4\n", "has no foreground windows"),
        (WINDOWS.replace("im3.png 3", "im3.png 1"), "the last image of 'windows.txt' has 1 channels"),
    ],
)
def test_window_files_that_are_wrong(net_of, text, message) -> None:
    make_windows(text)
    with pytest.raises(LayerError, match=message):
        net_of(window_data())


@pytest.mark.parametrize(
    ("fields", "transform", "message"),
    [
        ("batch_size: 2", "", "crop_size must be positive"),
        ("", "crop_size: 4", "batch_size must be positive"),
        ("batch_size: 2 context_pad: 2", "crop_size: 4", "context_pad 2 leaves nothing of crop_size 4"),
        ("batch_size: 2 fg_fraction: 1.5", "crop_size: 4", "fg_fraction is 1.5"),
        ("batch_size: 2", "crop_size: 4 mean_value: 1 mean_value: 2", "as many as channels: 3, not 2"),
        (
            'batch_size: 2 root_folder: "no/" cache_images: true',
            "crop_size: 4",
            "could not open image 'no/im0.png'",
        ),
    ],
)
def test_window_settings_that_are_wrong(net_of, fields, transform, message) -> None:
    make_windows()
    with pytest.raises(LayerError, match=message):
        net_of(window_data(fields, transform))


def test_windows_outside_their_image_are_refused(net_of) -> None:
    make_windows(WINDOWS.replace("0 0.1 2 2 7 5", "0 0.1 2 2 8 5").replace("0 0 0 0 6 4", "0 0 9 0 12 4"))
    for fields in ("batch_size: 9", "batch_size: 9 context_pad: 1"):
        with pytest.raises(LayerError, match=r"image 'im\d.png' .*window \[.*inside"):
            net_of(window_data(fields)).forward()


def test_settings_without_effect_are_named(net_of, glog) -> None:
    make_windows()
    net_of(window_data(transform="crop_size: 4 scale: 2 force_gray: true"))
    assert "input: transform_param.scale has no effect on WindowData" in glog
    assert "input: transform_param.force_gray has no effect on WindowData" in glog
