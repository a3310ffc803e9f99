"""Crops that find their offset themselves, as in the Caffe of the first FCN models and of HED."""

from __future__ import annotations

import logging

import pytest

import caffe
from caffe import layers as L
from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.read import read_net
from caffe._caffe.graph.upgrade import upgrade_net
from caffe.coord_map import crop
from caffe.proto.caffe_pb2 import NetParameter

DATA = "input: 'data' input_dim: 1 input_dim: 3 input_dim: 20 input_dim: 24\n"


def conv(name: str, bottom: str, settings: str, kind: str = "CONVOLUTION") -> str:
    return (
        f"layers {{ type: {kind} name: '{name}' bottom: '{bottom}' top: '{name}'"
        f" convolution_param {{ num_output: 2 {settings} }} }}\n"
    )


def pool(name: str, bottom: str) -> str:
    return (
        f"layers {{ name: '{name}' type: POOLING bottom: '{bottom}' top: '{name}'"
        " pooling_param { kernel_size: 2 stride: 2 } }\n"
    )


def cut(name: str, first: str, second: str) -> str:
    return f"layers {{ type: CROP name: '{name}' bottom: '{first}' bottom: '{second}' top: '{name}' }}\n"


def offsets(text: str) -> dict[str, list[int]]:
    net, _ = upgrade_net(parse_text(DATA + text, NetParameter()))
    assert all(layer.crop_param.axis == 2 for layer in net.layer if layer.type == "Crop")
    return {layer.name: list(layer.crop_param.offset) for layer in net.layer if layer.type == "Crop"}


SKIP_NET = (
    conv("conv1", "data", "pad: 10 kernel_size: 3")
    + "layers { name: 'relu1' type: RELU bottom: 'conv1' top: 'conv1' }\n"
    + pool("pool1", "conv1")
    + pool("pool2", "pool1")
    + conv("score", "pool2", "kernel_size: 3")
    + conv("up", "score", "kernel_size: 4 stride: 2", "DECONVOLUTION")
    + conv("skip", "pool1", "kernel_size: 1")
    + cut("skipc", "skip", "up")
    + "layers { name: 'fuse' type: ELTWISE bottom: 'up' bottom: 'skipc' top: 'fuse' }\n"
    + conv("bigscore", "fuse", "kernel_size: 4 stride: 2", "DECONVOLUTION")
    + cut("upscore", "bigscore", "data")
)


def test_the_crops_of_a_skip_net_of_2014(net_of) -> None:
    """The offsets are those that `coord_map` finds in the same net, and the net runs."""
    data = L.Input(shape={"dim": [1, 3, 20, 24]})
    pool1 = L.Pooling(L.Convolution(data, num_output=2, pad=10, kernel_size=3), kernel_size=2, stride=2)
    score = L.Convolution(L.Pooling(pool1, kernel_size=2, stride=2), num_output=2, kernel_size=3)
    up = L.Deconvolution(score, convolution_param={"num_output": 2, "kernel_size": 4, "stride": 2})
    skipc = crop(L.Convolution(pool1, num_output=2, kernel_size=1), up)
    big = L.Deconvolution(
        L.Eltwise(up, skipc), convolution_param={"num_output": 2, "kernel_size": 4, "stride": 2}
    )
    want = {"skipc": skipc, "upscore": crop(big, data)}
    found = offsets(SKIP_NET)
    assert {name: offset[:1] for name, offset in found.items()} == {
        name: top.fn.params["crop_param"]["offset"] for name, top in want.items()
    }
    assert all(offset[0] == offset[1] > 0 for offset in found.values())
    net = net_of(DATA + SKIP_NET)
    assert net.blobs["upscore"].data.shape == (1, 2, 20, 24)


def test_both_axes_have_their_own_offset() -> None:
    text = conv("c", "data", "pad_h: 4 pad_w: 7 kernel_h: 3 kernel_w: 5") + cut("crop", "c", "data")
    assert offsets(text) == {"crop": [3, 5]}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (cut("c", "data", "data"), "two bottoms"),
        ("layers { name: 'r' type: RELU bottom: 'data' top: 'r' }" + cut("c", "r", "data"), "no layer"),
        (conv("s", "data", "kernel_size: 2 stride: 2") + cut("c", "s", "data"), "one pixel"),
        (conv("s", "data", "kernel_size: 2 pad: 1") + cut("c", "s", "data"), "no number of pixels"),
        (conv("s", "data", "kernel_size: 3") + cut("c", "s", "data"), "no number of pixels"),
        ("layers { name: 'f' type: FLATTEN bottom: 'data' top: 'f' }" + conv("s", "f", "kernel_size: 1")
         + cut("c", "s", "data"), r"layer 'f' \(Flatten\)"),
        (conv("s", "data", "kernel_size: 1") + cut("c", "s", "nowhere"), "no layer above makes 'nowhere'"),
    ],
)  # fmt: skip
def test_what_cannot_be_told_is_refused_with_the_way_out(text: str, reason: str) -> None:
    with pytest.raises(caffe.NetError, match=rf"layer 'c' \(Crop\): its offset, .*{reason}.*crop_param"):
        offsets(text)


def test_a_crop_of_today_starts_at_zero_and_says_what_a_fork_would_do(tmp_path, caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    path = tmp_path / "hed.prototxt"
    text = """input: "data" input_shape { dim: 1 dim: 3 dim: 20 dim: 24 }
        layer { name: "c" type: "Convolution" bottom: "data" top: "c"
                convolution_param { num_output: 1 pad: 35 kernel_size: 3 } }
        layer { name: "crop" type: "Crop" bottom: "c" bottom: "data" top: "out" %s }"""
    path.write_text(text % "")
    with caplog.at_level(logging.WARNING, "caffe"):
        assert not read_net(str(path)).layer[2].crop_param.offset
        assert "layer 'crop' (Crop)" in caplog.text and "offset: 34 offset: 34" in caplog.text
        caplog.clear()
        path.write_text(text % "crop_param { offset: 0 }")
        read_net(str(path))
        assert not caplog.text
