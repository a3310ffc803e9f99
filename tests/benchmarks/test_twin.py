"""The PyTorch twin of a prototxt, which other libraries are given in benchmarks, is the net."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from google.protobuf import text_format
from hypothesis import assume, given
from hypothesis import strategies as st

import caffe
from benchmarks.models import MODELS
from benchmarks.peers import reference
from benchmarks.peers.twin import Twin
from caffe.proto import caffe_pb2


def both(proto: Any, image: np.ndarray, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """The last top of the engine and of the twin in float64, with the same random parameters."""
    stream = np.random.default_rng(seed)
    net = caffe.Net.from_proto(proto)
    for name, blobs in net.params.items():
        for index, blob in enumerate(blobs):
            fan_in = max(1, int(np.prod(tuple(blob.shape)[1:])))
            blob.data[...] = stream.standard_normal(tuple(blob.shape)) / np.sqrt(fan_in)
            if net.layer_dict[name].type == "BatchNorm" and index:
                blob.data[...] = np.abs(blob.data) + 0.5
    net.blobs["data"].data[...] = image
    (output,) = net.forward().values()
    arrays = {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}
    return np.array(output), reference.outputs(Twin(proto, arrays), image)


def net_of(text: str) -> caffe_pb2.NetParameter:
    proto = text_format.Parse(text, caffe_pb2.NetParameter())
    proto.state.phase = caffe_pb2.TEST
    return proto


SLOW = [pytest.param(model, marks=pytest.mark.slow) for model in ("alexnet", "resnet50", "googlenet")]


@pytest.mark.parametrize("model", ["squeezenet", "mobilenet", *SLOW])
def test_twin_computes_what_the_engine_does(model: str) -> None:
    size = (64, 80) if MODELS[model].any_size else MODELS[model].sizes[0]
    image = np.random.default_rng(1).standard_normal((1, 3, *size)).astype(np.float32)
    proto = MODELS[model].deploy(size)
    proto.layer.pop()  # without the softmax, which would hide errors
    proto.state.phase = caffe_pb2.TEST
    engine, twin = both(proto, image)
    assert engine.shape == twin.shape
    assert np.abs(engine - twin).max() <= 1e-4 * np.abs(twin).max()


@given(
    pool=st.sampled_from(["MAX", "AVE"]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    pad=st.integers(0, 2),
)
def test_pooling_windows_are_caffes(
    pool: str, size: tuple[int, int], kernel: int, stride: int, pad: int
) -> None:
    assume(2 * pad <= kernel and stride <= kernel <= min(size) + 2 * pad)
    height, width = size
    proto = net_of(
        'layer { name: "i" type: "Input" top: "data" '
        f"input_param {{ shape {{ dim: [1, 3, {height}, {width}] }} }} }}"
        f'layer {{ name: "p" type: "Pooling" bottom: "data" top: "p" pooling_param {{ pool: {pool} '
        f"kernel_size: {kernel} stride: {stride} pad: {pad} }} }}"
    )
    image = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    engine, twin = both(proto, image)
    np.testing.assert_allclose(engine, twin, rtol=1e-5, atol=1e-6)


@given(
    size=st.tuples(st.integers(3, 9), st.integers(3, 9)),
    kernel=st.integers(1, 3),
    stride=st.integers(1, 3),
    pad=st.integers(0, 2),
    group=st.sampled_from([1, 2, 4]),
)
def test_float64_convolution_is_pytorchs(
    size: tuple[int, int], kernel: int, stride: int, pad: int, group: int
) -> None:
    """The reference sums over the kernel's elements; PyTorch unfolds."""
    torch.manual_seed(0)
    conv = torch.nn.Conv2d(4, 8, kernel, stride, pad, groups=group, dtype=torch.float64)
    x = torch.randn(1, 4, *size, dtype=torch.float64)
    with torch.inference_mode():
        torch.testing.assert_close(reference.ConvolutionByTaps(conv)(x), conv(x))


def test_what_has_no_module_is_refused_by_name() -> None:
    proto = net_of('layer { name: "odd" type: "SPP" bottom: "data" top: "odd" }')
    with pytest.raises(ValueError, match=r"'odd'.*SPP"):
        Twin(proto, {})


def test_activations_are_let_go_of() -> None:
    """What nothing reads later is listed once, and nothing that is read again."""
    twin = Twin(net_of(Path(__file__).with_name("diamond.prototxt").read_text()), {})
    assert [step.done for step in twin.steps] == [(), ("data",), (), ("left", "right")]
