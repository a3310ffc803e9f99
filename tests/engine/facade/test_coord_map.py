"""Coordinate maps against where an impulse really goes, and crops against known offsets."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st

from caffe import layers as L
from caffe.coord_map import (
    AxisMismatchException,
    UndefinedMapException,
    compose,
    coord_map,
    coord_map_from_to,
    crop,
    inverse,
)

SIZE = 400
Kernel = tuple[str, int, int, int, int]
kernels = st.tuples(
    st.sampled_from(["Convolution", "Pooling", "Deconvolution"]),
    st.integers(1, 7),
    st.integers(1, 3),
    st.integers(0, 3),
    st.integers(1, 3),
)


def layer(bottom: Any, kind: str, size: int, stride: int, pad: int, dilation: int) -> Any:
    settings = {"kernel_size": size, "stride": stride, "pad": pad}
    if kind == "Pooling":
        return L.Pooling(bottom, **settings)
    return getattr(L, kind)(bottom, convolution_param=settings | {"dilation": dilation})


def run(x: torch.Tensor, kind: str, size: int, stride: int, pad: int, dilation: int) -> torch.Tensor:
    dilation = 1 if kind == "Pooling" else dilation
    ones = torch.ones(1, 1, size, dtype=torch.float64)
    function = F.conv_transpose1d if kind == "Deconvolution" else F.conv1d
    return function(x, ones, stride=stride, padding=pad, dilation=dilation)


def centre(weights: torch.Tensor) -> float:
    flat = weights.flatten()
    return float((flat * torch.arange(len(flat), dtype=flat.dtype)).sum() / flat.sum())


@given(kernels, st.integers(10, 20))
def test_map_of_one_layer_is_where_its_window_lies(kernel: Kernel, index: int) -> None:
    """An output of a convolution sees a window around its place; an input of a deconvolution makes one."""
    kind, _, _, pad, _ = kernel
    x = torch.zeros(1, 1, SIZE, dtype=torch.float64)
    axis, a, b = coord_map(layer(L.Input(), *kernel).fn)
    assert axis == 1
    if kind == "Deconvolution":
        x[0, 0, index] = 1
        assert centre(run(x, *kernel)) == pytest.approx(a[0] * index + b[0])
    else:
        x.requires_grad_()
        run(x, *kernel)[0, 0, index].backward()
        assert a[0] * centre(x.grad) + b[0] == pytest.approx(index)


@given(st.lists(kernels, min_size=1, max_size=4), st.floats(-50, 50))
def test_maps_compose_along_a_chain_and_invert(chain: list[Kernel], x: float) -> None:
    tops = [L.Input()]
    for kernel in chain:
        tops.append(layer(L.ReLU(tops[-1], in_place=True), *kernel))
    _, a, b = coord_map_from_to(tops[-1], tops[0])
    y = x
    for top in tops[1:]:
        _, step_a, step_b = coord_map(top.fn)
        y = step_a[0] * y + step_b[0]
    _, back_a, back_b = coord_map_from_to(tops[0], tops[-1])
    assert (a * y + b)[0] == pytest.approx(x, abs=1e-6)
    assert (back_a * x + back_b)[0] == pytest.approx(y, abs=1e-6)


# Floating point, here as in pycaffe, holds halves exactly and thirds not, on the way too.
@given(st.lists(kernels.filter(lambda k: k[0] == "Deconvolution" or k[2] != 3), min_size=1, max_size=3))
def test_crop_offset_is_exact(chain: list[Kernel]) -> None:
    """Fractions as the judge: the crop is refused exactly when the offset is no whole number."""
    top = data = L.Input()
    scale, shift = Fraction(1), Fraction(0)
    for kind, size, stride, pad, dilation in chain:
        top = layer(top, kind, size, stride, pad, dilation)
        half = Fraction((size - 1) * (1 if kind == "Pooling" else dilation), 2)
        if kind == "Deconvolution":
            scale, shift = stride * scale, stride * shift + half - pad
        else:
            scale, shift = scale / stride, (shift + pad - half) / stride
    if scale == 1 and shift >= 0 and shift.denominator == 1:
        settings = crop(top, data).fn.params["crop_param"]
        assert settings == {"axis": 2, "offset": [int(shift)]}
    else:
        with pytest.raises(AssertionError):
            crop(top, data)


def test_known_offsets() -> None:
    data = L.Input()
    strided = L.Convolution(data, kernel_size=3, stride=2, pad=1)
    up = L.Deconvolution(strided, convolution_param={"kernel_size": 4, "stride": 2})
    assert coord_map_from_to(up, data) == (1, 1.0, -1.5)
    with pytest.raises(AssertionError, match=r"noninteger offset \(b = \[-1.5\]\)"):
        crop(up, data)
    plain = L.Deconvolution(L.Convolution(data, kernel_size=3), convolution_param={"kernel_size": 5})
    assert crop(plain, data).fn.params["crop_param"] == {"axis": 2, "offset": [1]}


def test_crop_is_followed_through_its_first_input_only() -> None:
    data = L.Input()
    conv = L.Convolution(data, kernel_size=1, pad=5)
    cut = L.Crop(conv, L.Softmax(data), crop_param={"axis": 2, "offset": [3, 3]})
    axis, a, b = coord_map_from_to(L.ReLU(cut), data)
    assert (axis, a, b.tolist()) == (1, 1.0, [-2, -2])


def test_branches_meet_at_their_common_ancestor() -> None:
    pool = L.Pooling(L.Convolution(L.Input(), kernel_size=3, pad=100), kernel_size=2, stride=2)
    side, deep = L.Convolution(pool, kernel_size=1), L.Convolution(pool, kernel_size=7, pad=0)
    assert crop(side, deep).fn.params["crop_param"]["offset"] == [3]


def test_many_joined_branches_take_no_time() -> None:
    top = data = L.Convolution(L.Input(), kernel_size=1)
    for _ in range(60):
        top = L.Eltwise(L.Convolution(top, kernel_size=3, pad=1), L.ReLU(top))
    assert coord_map_from_to(top, data) == (1, 1.0, 0.0)


def test_compose_and_inverse() -> None:
    assert compose((None, 2, 3), (1, 5, 7)) == (1, 10, 17)
    assert inverse((1, 2, 3)) == (1, 0.5, -1.5)
    with pytest.raises(AxisMismatchException):
        compose((1, 1, 0), (2, 1, 0))


def test_refusals() -> None:
    data = L.Input()
    conv = L.Convolution(data, kernel_size=3, pad=1)
    with pytest.raises(UndefinedMapException, match="Softmax"):
        coord_map(L.Softmax(data).fn)
    with pytest.raises(RuntimeError, match="are they connected by spatial layers"):
        crop(L.Concat(conv, conv), data)
    with pytest.raises(AssertionError, match="scale mismatch"):
        crop(L.Pooling(data, kernel_size=2, stride=2), data)
    with pytest.raises(AssertionError, match="negative offset"):
        crop(L.Convolution(data, kernel_size=3), data)
    with pytest.raises(AxisMismatchException):
        crop(L.Convolution(conv, axis=2, kernel_size=1), data)
    with pytest.raises(KeyError, match="kernel_size"):
        crop(L.Pooling(data, global_pooling=True), data)
    with pytest.raises(AssertionError, match="legacy _h/_w"):
        crop(L.Convolution(data, kernel_size=3, pad_h=1), data)
    with pytest.raises(AttributeError, match="no layer with a kernel"):
        crop(L.ReLU(data), data)


def test_rectangular_kernels() -> None:
    data = L.Input()
    conv = L.Convolution(data, kernel_size=[3, 5], pad=[4, 6])
    assert crop(conv, data).fn.params["crop_param"]["offset"] == [3, 4]
    assert np.array_equal(coord_map(conv.fn)[2], [3, 4])
