"""The transformation of images: against the formula, where mirroring and crops fall, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe
from caffe._caffe.data.transform import Transformer
from caffe._caffe.errors import CaffeError, DataError
from caffe.proto.caffe_pb2 import BlobProto, TransformationParameter


def image(channels: int = 3, height: int = 6, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (channels, height, width), dtype=np.uint8)


def transformed(pixels: np.ndarray, phase: int = caffe.TEST, **fields: Any) -> np.ndarray:
    return apply(Transformer(TransformationParameter(**fields), phase), pixels)


def apply(transformer: Transformer, pixels: np.ndarray) -> np.ndarray:
    out = np.full(transformer.shape(pixels.shape, "the image"), np.nan, np.float32)
    transformer.apply(pixels, out)
    return out


def write_mean(values: np.ndarray, legacy: bool = False) -> str:
    proto = BlobProto(data=values.ravel())
    if legacy:
        proto.num, proto.channels, proto.height, proto.width = values.shape
    else:
        proto.shape.dim.extend(values.shape)
    Path("mean.binaryproto").write_bytes(proto.SerializeToString())
    return "mean.binaryproto"


@given(
    size=st.tuples(st.integers(1, 4), st.integers(1, 9), st.integers(1, 9)),
    crop=st.integers(0, 9),
    scale=st.floats(-2, 2, width=32),
    means=st.lists(st.floats(-200, 200, width=32), max_size=4),
)
def test_a_centre_crop_with_mean_values_and_scale(size, crop, scale, means) -> None:
    if len(means) not in (0, 1, size[0]) or crop > min(size[1:]):
        return
    pixels = image(*size)
    mean = np.broadcast_to(np.array(means or [0], np.float32), size[0])[:, None, None]
    top, left = ((side - crop) // 2 if crop else 0 for side in size[1:])
    part = pixels[:, top : top + (crop or size[1]), left : left + (crop or size[2])]
    found = transformed(pixels, crop_size=crop, scale=scale, mean_value=means)
    np.testing.assert_array_equal(found, (part - mean) * np.float32(scale))


def test_floats_stay_floats() -> None:
    values = image().astype(np.float32) / 7 - 3
    np.testing.assert_array_equal(transformed(values, scale=0.5), values * np.float32(0.5))


@pytest.mark.parametrize("legacy", [False, True])
def test_the_mean_image_is_that_of_the_place_before_mirroring(in_tmp, legacy) -> None:
    caffe.set_random_seed(0)
    pixels = image()
    mean = np.random.default_rng(1).random((1, 3, 6, 8), np.float32)
    path = write_mean(mean, legacy)
    difference = pixels - mean[0]
    transformer = Transformer(
        TransformationParameter(mean_file=path, mirror=True, crop_size=4, scale=2), caffe.TRAIN
    )
    windows = [difference[:, y : y + 4, x : x + 4] * 2 for y in range(3) for x in range(5)]
    expected = {w.tobytes() for part in windows for w in (part, np.ascontiguousarray(part[..., ::-1]))}
    found = {apply(transformer, pixels).tobytes() for _ in range(400)}
    assert found == expected


def test_mirroring_is_a_fair_coin_in_both_phases() -> None:
    caffe.set_random_seed(3)
    pixels = image()
    for phase in (caffe.TRAIN, caffe.TEST):
        transformer = Transformer(TransformationParameter(mirror=True), phase)
        flips = 0
        for _ in range(400):
            found = apply(transformer, pixels)
            flipped = (found == pixels[..., ::-1]).all()
            assert flipped or (found == pixels).all()
            flips += flipped
        assert 150 < flips < 250


def test_a_state_brings_the_same_numbers_again() -> None:
    transformer = Transformer(TransformationParameter(mirror=True, crop_size=2), caffe.TRAIN)
    state = transformer.state()
    first = [apply(transformer, image()) for _ in range(10)]
    transformer.restore(state)
    np.testing.assert_array_equal([apply(transformer, image()) for _ in range(10)], first)
    with pytest.raises(DataError, match="not what they were"):
        transformer.restore(None)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"crop_size": 7}, r"the image is \(3, 6, 8\) .*smaller than crop_size 7"),
        ({"mean_value": [1, 2]}, "either 1 mean_value or as many as channels: 3, not 2"),
        ({"mean_value": [1], "mean_file": "m"}, "mean_file and mean_value at the same time"),
        ({"mean_file": "nowhere"}, "Could not open file nowhere"),
        ({"mean_file": "mean.binaryproto"}, r"is \(3, 6, 7\).*the image is \(3, 6, 8\) .*before cropping"),
    ],
)
def test_what_does_not_fit_is_refused(in_tmp, fields, message) -> None:
    write_mean(np.zeros((1, 3, 6, 7), np.float32))
    with pytest.raises(CaffeError, match=message):
        transformed(image(), **fields)
