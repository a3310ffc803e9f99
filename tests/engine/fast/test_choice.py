"""CAFFE_ALGORITHMS: which algorithms run, and that measuring them changes nothing but the time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")


def convolution(kernel: int, bottom: str, top: str) -> str:
    return (
        f'layer {{ name: "{top}" type: "Convolution" bottom: "{bottom}" top: "{top}" convolution_param {{ '
        f"num_output: 32 kernel_size: {kernel} pad: {kernel // 2} "
        'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.1 } } }'
    )


TEXT = "\n".join([
    'layer { name: "data" type: "Input" top: "data" '
    "input_param { shape { dim: 1 dim: 32 dim: 46 dim: 37 } } }",
    *(convolution(kernel, below, top)
      for kernel, below, top in ((3, "data", "a"), (5, "a", "b"), (7, "b", "c"), (1, "c", "score"))),
])  # fmt: skip


@pytest.fixture
def net(net_of: Callable) -> caffe.Net:
    """Convolutions of four sizes, two of them with a choice, enough for the fast path to be worth it."""
    caffe.set_random_seed(3)
    made = net_of(TEXT)
    made.blobs["data"].data[...] = np.random.default_rng(0).normal(size=made.blobs["data"].shape)
    return made


def scores(net: caffe.Net, monkeypatch: pytest.MonkeyPatch, algorithms: str) -> np.ndarray:
    monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
    return net.forward()["score"].copy()


def test_measuring_chooses_once_and_the_results_stay(net, monkeypatch):
    from caffe._caffe.fast import choice

    wanted = scores(net, monkeypatch, "reference")
    before = len(choice._measured)
    found = scores(net, monkeypatch, "measure")
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())
    measured = dict(choice._measured)
    assert len(measured) - before in (0, 2), (
        "each convolution that has a choice, unless they were timed before"
    )
    assert len(measured) >= 2
    assert np.array_equal(scores(net, monkeypatch, "measure"), found)
    assert choice._measured == measured, "a second pass measures nothing"


def test_every_algorithm_of_a_convolution_gives_the_same_plane(net, monkeypatch):
    from caffe._caffe.fast.operations.convolve import Convolve

    scores(net, monkeypatch, "fast")
    convolutions = [item for item in net.runner._fast._items if isinstance(item, Convolve)]
    (first, _) = net.runner._fast._plane(0, {}, 0)
    sources = [first, *(made.plane for made in convolutions[:-1])]
    rivals = 0
    for operation, source in zip(convolutions, sources):
        planes = []
        for way in operation._ways:
            operation._compute(way, [source])
            planes.append(operation.plane.values().numpy())
        rivals += len(planes) - 1
        for plane in planes[1:]:
            np.testing.assert_allclose(plane, planes[0], rtol=0, atol=1e-5 * np.abs(planes[0]).max())
    assert rivals == 2, "those of 3 x 3 and 5 x 5"


@pytest.mark.parametrize("algorithms", ["auto", "measure"])
def test_small_nets_are_left_to_the_reference_path_bit_for_bit(net_of, monkeypatch, algorithms):
    net = net_of(TEXT.replace("dim: 46 dim: 37", "dim: 4 dim: 4"))
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=net.blobs["data"].shape)
    wanted = scores(net, monkeypatch, "reference")
    assert np.array_equal(scores(net, monkeypatch, algorithms), wanted)


def test_a_net_that_has_grown_is_worth_the_fast_path(net_of, monkeypatch):
    net = net_of(TEXT.replace("dim: 46 dim: 37", "dim: 4 dim: 4"))
    scores(net, monkeypatch, "auto")
    net.blobs["data"].reshape(1, 32, 46, 37)
    net.blobs["data"].data[...] = np.random.default_rng(0).normal(size=net.blobs["data"].shape)
    assert np.array_equal(scores(net, monkeypatch, "auto"), scores(net, monkeypatch, "fast"))
