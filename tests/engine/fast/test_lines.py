"""Dense convolutions along lines: the sums of a plain convolution, of any size and of the present weights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe

pytest.importorskip("numba", reason="needs the extra `fast`")

from caffe._caffe.fast.operations.dense import Dense
from caffe._caffe.machine.transforms.circle import line

#: Enough that a layer has more weights than pixels are worth, and whole vectors of every processor.
CHANNELS, OUTPUTS = 64, 512


@given(outputs=st.integers(2, 12), taps=st.integers(2, 11), seed=st.integers(0, 99))
def test_a_short_convolution_is_a_convolution(outputs: int, taps: int, seed: int) -> None:
    by, stream = line(outputs, taps), np.random.default_rng(seed)
    kernel, numbers = stream.normal(size=taps), stream.normal(size=outputs + taps - 1)
    made = by.back @ ((by.kernel @ kernel) * (by.into @ numbers))
    np.testing.assert_allclose(made, np.correlate(numbers, kernel, "valid"), atol=1e-12)
    assert by.products < 2 * (outputs + taps - 1)


@pytest.fixture
def dense_net(net_of: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    """dense_net(batch, height, width, kernel, pad): one random dense convolution with a ReLU."""

    def made(batch: int, height: int, width: int, kernel: int = 7, pad: int = 0) -> Any:
        monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
        caffe.set_random_seed(batch + height)
        return net_of(
            f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {batch} '
            f"dim: {CHANNELS} dim: {height} dim: {width} }} }} }}\n"
            'layer { name: "fc6" type: "Convolution" bottom: "data" top: "fc6" convolution_param { '
            f"num_output: {OUTPUTS} kernel_size: {kernel} pad: {pad} "
            'weight_filler { type: "msra" } bias_filler { type: "gaussian" } } }\n'
            'layer { name: "relu6" type: "ReLU" bottom: "fc6" top: "fc6" }\n'
        )

    return made


def passed(net: Any, seed: int = 0) -> np.ndarray:
    """What the net makes of a random image."""
    data = net.blobs["data"]
    data.data[...] = np.random.default_rng(seed).normal(size=data.shape)
    made: np.ndarray = net.forward()["fc6"].copy()
    return made


def by_lines(net: Any) -> bool:
    """Whether the layer's weights are there as lines take them."""
    (operation,) = [item for item in net.runner._fast._items if isinstance(item, Dense)]
    return operation._lines is not None and operation._lines._packed._made is not None


def exact(monkeypatch: pytest.MonkeyPatch, net: Any, seed: int = 0) -> np.ndarray:
    with monkeypatch.context() as patch:
        patch.setenv("CAFFE_ALGORITHMS", "reference")
        return passed(net, seed)


@pytest.mark.parametrize(
    "batch, height, width, kernel, pad",
    [
        (1, 17, 22, 7, 0),
        (2, 22, 17, 7, 0),
        (1, 13, 13, 7, 3),
        (1, 24, 20, 9, 2),
        (2, 14, 14, 7, 1),
        (1, 5, 6, 2, 1),
    ],
)
def test_the_sums_are_those_of_a_plain_convolution(
    dense_net: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    batch: int,
    height: int,
    width: int,
    kernel: int,
    pad: int,
) -> None:
    net = dense_net(batch, height, width, kernel, pad)
    made = passed(net)
    assert by_lines(net)
    wanted = exact(monkeypatch, net)
    np.testing.assert_allclose(made, wanted, atol=3e-6 * np.abs(wanted).max())


def test_the_same_image_has_the_same_sums_whatever_came_before(dense_net: Callable[..., Any]) -> None:
    fresh, used = dense_net(1, 17, 22), dense_net(1, 17, 22)
    for size in ((30, 12), (9, 9), (17, 22)):
        used.blobs["data"].reshape(1, CHANNELS, *size)
        passed(used)
    np.testing.assert_array_equal(passed(fresh, 5), passed(used, 5))


def test_weights_and_sizes_that_change_between_passes(
    dense_net: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    net = dense_net(1, 17, 22)
    held = net.params["fc6"][0].data
    for number, (change, size) in enumerate(
        [(1.0, (17, 22)), (1.0, (17, 22)), (0.5, (17, 22)), (1.0, (17, 22)), (1.0, (25, 19)), (2.0, (40, 40))]
    ):
        held *= change
        net.blobs["data"].reshape(1, CHANNELS, *size)
        made, wanted = passed(net, number), exact(monkeypatch, net, number)
        np.testing.assert_allclose(made, wanted, atol=3e-6 * np.abs(wanted).max(), err_msg=str(number))
    assert by_lines(net)


def test_nothing_is_kept_where_memory_is_to_be_saved(dense_net: Callable[..., Any]) -> None:
    net = dense_net(1, 17, 22)
    caffe.set_memory_saving(True)
    try:
        passed(net)
    finally:
        caffe.set_memory_saving(False)
    assert not by_lines(net)
