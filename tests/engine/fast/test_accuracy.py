"""How far the fast path is from what float64 gives, and where its results are of another kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import torch

import caffe
from caffe._caffe import device

pytest.importorskip("numba", reason="the fast path needs numba")

LARGEST = 1e-5  #: error over the largest score
RATIO = 3.0  #: error over that of the reference path


def convolution(bottom: str, top: str, outputs: int, kernel: int, pad: int) -> str:
    return (
        f'layer {{ name: "{top}" type: "Convolution" bottom: "{bottom}" top: "{top}" '
        f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} "
        'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.1 } } }\n'
        f'layer {{ name: "relu_{top}" type: "ReLU" bottom: "{top}" top: "{top}" }}\n'
    )


def deep_net(wide: int) -> str:
    """Convolutions of 3 x 3 in five stages with poolings, one of `wide` x `wide` and two of 1 x 1."""
    text = (
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 3 dim: 71 dim: 83 } } }\n"
    )
    bottom = "data"
    for stage, (count, outputs) in enumerate(((2, 16), (2, 32), (3, 48), (3, 64), (3, 64))):
        for number in range(count):
            top = f"conv{stage}_{number}"
            text += convolution(bottom, top, outputs, 3, 60 if bottom == "data" else 1)
            bottom = top
        text += (
            f'layer {{ name: "pool{stage}" type: "Pooling" bottom: "{bottom}" top: "pool{stage}" '
            "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }\n"
        )
        bottom = f"pool{stage}"
    text += convolution(bottom, "fc6", 128, wide, wide // 2) + convolution("fc6", "fc7", 128, 1, 0)
    return text + convolution("fc7", "score", 21, 1, 0).split("\n")[0]


@pytest.fixture
def errors(
    net_of: Callable, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[int, int], dict[str, float]]]:
    """errors(wide, seed): each path's largest error over the largest score, against the net in float64."""

    def measured(wide: int, seed: int) -> dict[str, float]:
        caffe.set_random_seed(seed)
        net = net_of(deep_net(wide))
        image = np.random.default_rng(seed).normal(0, 50, net.blobs["data"].shape).astype(np.float32)
        found = {}
        for algorithms in ("reference", "fast"):
            monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
            net.blobs["data"].data[...] = image
            found[algorithms] = net.forward()["score"].astype("d")
        device.set_dtype(torch.float64)
        exact = net_of(deep_net(wide))
        for name, params in net.params.items():
            for blob, other in zip(exact.params[name], params):
                blob.data[...] = other.data
        exact.blobs["data"].data[...] = image
        wanted = exact.forward()["score"].copy()
        device.set_dtype(torch.float32)
        assert wanted.dtype == np.float64
        return {name: np.abs(scores - wanted).max() / np.abs(wanted).max() for name, scores in found.items()}

    yield measured
    device.set_dtype(torch.float32)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("wide", [1, 3, 5, 7])
def test_errors_are_small_beside_the_largest_score(errors, wide, seed):
    assert 0 < errors(wide, seed)["fast"] <= LARGEST


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("wide", [1, 3, 5, 7])
def test_errors_are_of_the_size_of_the_reference_paths(errors, wide, seed):
    found = errors(wide, seed)
    assert found["fast"] <= RATIO * found["reference"]


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_not_finite_stays_near_its_pixel(net_of, monkeypatch, value):
    """A tile has 4 x 4 results, which share what they are made of."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    caffe.set_random_seed(0)
    net = net_of(
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 32 dim: 20 dim: 20 } } }\n" + convolution("data", "top", 32, 3, 1)
    )
    net.blobs["data"].data[...] = 1
    net.blobs["data"].data[0, :, 9, 9] = value
    broken = ~np.isfinite(net.forward()["top"][0]).all(axis=0)
    assert broken[8:11, 8:11].any()
    broken[4:16, 4:16] = False
    assert not broken.any()
