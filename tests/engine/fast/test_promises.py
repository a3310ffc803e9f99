"""Blobs that are made when they are read: who keeps what alive, and what happens in the meantime."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable

import numpy as np
import pytest

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")

TEXT = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 16 dim: 12 dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
    num_output: 16 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
    pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
"""


@pytest.fixture
def net(net_of: Callable, monkeypatch: pytest.MonkeyPatch) -> caffe.Net:
    """A net after a forward by the fast path, which left `conv` out."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    made = net_of(TEXT)
    made.blobs["data"].data[...] = np.random.default_rng(0).normal(size=made.blobs["data"].shape)
    made.forward()
    assert made.blobs["conv"].data_memory.promised
    return made


def test_a_net_that_nobody_holds_is_freed_at_once(net_of, net):
    layer = weakref.ref(net.layers[0])
    gc.collect()
    gc.disable()
    try:
        other = net_of(TEXT)
        other.forward()
        layer = weakref.ref(other.layers[0])
        del other
        assert layer() is None
    finally:
        gc.enable()


def test_a_blob_that_outlives_its_net_can_be_read(net_of, net):
    wanted = net.blobs["conv"].data.copy()
    other = net_of(TEXT)
    other.params["conv"][0].data[...] = net.params["conv"][0].data
    other.blobs["data"].data[...] = net.blobs["data"].data
    other.forward()
    blob = other.blobs["conv"]
    del other
    assert np.array_equal(blob.data, wanted)


def test_the_input_may_be_replaced_before_it_is_read(net):
    pooled = net.blobs["pool"].data.copy()
    net.blobs["data"].data[...] = 0
    conv = net.blobs["conv"].data
    tiles = conv.reshape(1, 16, 6, 2, 5, 2).max(axis=(3, 5))
    np.testing.assert_allclose(pooled, tiles, rtol=0, atol=1e-5 * np.abs(conv).max())


@pytest.mark.parametrize("held", [False, True])
def test_changed_parameters_are_an_error_and_not_a_wrong_value(net, held):
    weights = net.params["conv"][0].data
    net.forward()
    if not held:
        del weights
    net.params["conv"][0].data[...] *= 2
    for _ in range(2):
        with pytest.raises(caffe.CaffeError, match="parameters of .* 'conv' changed"):
            _ = net.blobs["conv"].data
    net.forward()
    assert np.abs(net.blobs["conv"].data).max() > 0
