"""`caffe.Detector`: windows, and the context around them, against boxes worked out by hand."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import caffe.io

MEANS = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 3 dim: 3 dim: 8 dim: 8 } } }
layer { name: "scale" type: "Scale" bottom: "data" top: "scale" }
layer { name: "mean" type: "Pooling" bottom: "scale" top: "mean"
        pooling_param { pool: AVE global_pooling: true } }
layer { name: "flat" type: "Flatten" bottom: "mean" top: "flat" }
"""
RGB_MEAN = np.array([0.4, 0.5, 0.6], np.float32)


@pytest.fixture
def detector(in_tmp: Path) -> Callable[..., caffe.Detector]:
    """Builds a Detector whose scores are channel means."""
    Path("deploy.prototxt").write_text(MEANS)
    net = caffe.Net("deploy.prototxt", caffe.TEST)
    net.params["scale"][0].data[...] = 1
    net.save("weights.caffemodel")
    return lambda **settings: caffe.Detector("deploy.prototxt", "weights.caffemodel", **settings)


@pytest.fixture
def image() -> np.ndarray:
    return np.random.default_rng(0).random((40, 50, 3), np.float32)


def test_a_window_is_a_slice(detector, image: np.ndarray) -> None:
    crop = detector().crop(image, (3, 4, 10, 20))
    np.testing.assert_array_equal(crop, image[3:10, 4:20])
    np.testing.assert_array_equal(detector().crop(image, np.array([3.0, 4.0, 10.0, 20.0])), crop)


def test_context_inside_the_image(detector, image: np.ndarray) -> None:
    # Two of eight pixels on each side: twice the window's 4 + 1 pixels about 12.5, so 7.5 to 17.5, rounded to
    # even. The window 10:14 fills the middle, its surroundings the rest.
    crop = detector(context_pad=2).crop(image, np.array([10, 20, 14, 24]))
    np.testing.assert_allclose(crop, caffe.io.resize_image(image[8:18, 18:28], (8, 8)), atol=1e-6)


def test_beyond_the_image_lies_the_mean(detector, image: np.ndarray) -> None:
    # -2.5 to 7.5, rounded -2 to 8: 11 pixels on 8. Two rows lie outside, 1.45 of 8; the rest is 6.5 of 8.
    settings = {"mean": RGB_MEAN[::-1] * 255, "channel_swap": (2, 1, 0), "raw_scale": 255}
    crop = detector(context_pad=2, **settings).crop(image, [0, 0, 4, 4])
    np.testing.assert_allclose(crop[1:, 1:], caffe.io.resize_image(image[:8, :8], (7, 7)), atol=1e-6)
    for outside in (crop[0], crop[:, 0]):
        np.testing.assert_allclose(outside, np.tile(RGB_MEAN, (8, 1)), atol=1e-6)


def test_without_a_mean_it_is_zero(detector, image: np.ndarray) -> None:
    # At the far corner 33.5 to 43.5 (44), clipped at 40 and 50: 7 of 11 pixels on 5 of 8.
    crop = detector(context_pad=2).crop(image, [36, 46, 40, 50])
    np.testing.assert_allclose(crop[:5, :5], caffe.io.resize_image(image[34:40, 44:50], (5, 5)), atol=1e-6)
    assert not crop[5:].any() and not crop[:, 5:].any()


def test_a_mean_image_is_cropped_as_it_lies(detector, image: np.ndarray) -> None:
    mean = np.random.default_rng(1).random((3, 8, 8), np.float32)
    crop = detector(context_pad=2, mean=mean).crop(image, [0, 0, 4, 4])
    np.testing.assert_allclose(crop[0], mean.transpose(1, 2, 0)[0], atol=1e-6)


def test_windows_of_several_images(detector, in_tmp: Path) -> None:
    colours = {"red.png": (255, 0, 0), "grey.png": (51, 51, 51)}
    for name, colour in colours.items():
        Image.new("RGB", (30, 20), colour).save(name)
    windows = {"red.png": [(0, 0, 5, 5), (2, 3, 20, 30)], "grey.png": np.array([[1, 1, 9, 9], [0, 5, 9, 9]])}
    found = detector(mean=np.array([0.1, 0.1, 0.1])).detect_windows((f, w) for f, w in windows.items())
    assert [detection["filename"] for detection in found] == ["red.png"] * 2 + ["grey.png"] * 2
    assert [tuple(detection["window"]) for detection in found] == [
        tuple(window) for windows in windows.values() for window in windows
    ]
    for detection in found:
        ymin, xmin, ymax, xmax = detection["window"]
        colour = np.array(colours[detection["filename"]]) / 255
        warped = caffe.io.resize_image(np.tile(colour, (ymax - ymin, xmax - xmin, 1)), (8, 8))
        np.testing.assert_allclose(detection["prediction"], warped.mean((0, 1)) - 0.1, atol=1e-6)


def test_selective_search_comes_from_a_module_of_its_own(detector, in_tmp: Path, monkeypatch) -> None:
    with pytest.raises(ImportError, match="selective_search_ijcv_with_python.*detect_windows"):
        detector().detect_selective_search(["a.png"])
    Image.new("RGB", (30, 20), (255, 0, 0)).save("a.png")
    Path("selective_search_ijcv_with_python.py").write_text(
        "def get_windows(names, cmd):\n"
        "    assert cmd == 'selective_search_rcnn' and all(name.startswith('/') for name in names)\n"
        "    return [[(0, 0, 9, 9)] for name in names]\n"
    )
    monkeypatch.syspath_prepend(in_tmp)
    (found,) = detector().detect_selective_search(["a.png"])
    del sys.modules["selective_search_ijcv_with_python"]
    assert found["filename"] == str(in_tmp / "a.png")
    np.testing.assert_allclose(found["prediction"], [1, 0, 0], atol=1e-6)


@pytest.mark.parametrize("pad", [None, 2])
def test_a_window_outside_the_image_is_refused(detector, image: np.ndarray, pad: int | None) -> None:
    with pytest.raises(ValueError, match=r"\[90, 90, 95, 95\].*no pixels in an image of \(40, 50\)"):
        detector(context_pad=pad).crop(image, [90, 90, 95, 95])


def test_settings_that_leave_nothing_are_refused(detector) -> None:
    with pytest.raises(ValueError, match="context_pad 4"):
        detector(context_pad=4)
    with pytest.raises(IndexError, match="no windows"):
        detector().detect_windows([])
