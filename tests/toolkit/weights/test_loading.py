"""Weights that give a net nothing, part of what it needs, or values that are no numbers are an error."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2
from fcn.weights.loading import load

HEAD = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }'
CONV = """layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
  convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }"""
SCORE = """layer { name: "score" type: "Convolution" bottom: "conv" top: "score"
  convolution_param { num_output: 2 kernel_size: 1 %s } }"""
UP = """layer { name: "up" type: "Deconvolution" bottom: "conv" top: "up"
  convolution_param { num_output: 2 kernel_size: 4 stride: 2 group: 2 bias_term: false %s } }"""
SCALE = 'layer { name: "scale" type: "Scale" bottom: "conv" top: "scale" scale_param { %s } }'


def net(folder: Path, *layers: str) -> caffe.Net:
    path = folder / "net.prototxt"
    path.write_text(HEAD + "".join(layers))
    return caffe.Net(str(path), caffe.TEST)


@pytest.fixture(params=["x.caffemodel", "x.caffemodel.h5"])
def trained(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """Weights of conv and score, in each of Caffe's formats."""
    path, source = tmp_path / request.param, net(tmp_path, CONV, SCORE % "")
    for blobs in source.params.values():
        blobs[0].data[...] = np.random.default_rng(1).standard_normal(blobs[0].data.shape)
    (source.save_hdf5 if path.suffix == ".h5" else source.save)(str(path))
    return path


def test_what_the_file_has_is_copied(trained: Path, tmp_path: Path) -> None:
    target = net(tmp_path, CONV, SCORE % "")
    assert load(target, trained) == []
    assert target.params["score"][0].data.any()


@pytest.mark.parametrize("filler", ["", 'weight_filler { type: "xavier" }'])
def test_a_layer_that_receives_nothing_is_named(trained: Path, tmp_path: Path, filler: str) -> None:
    mine = (SCORE % filler).replace('name: "score"', 'name: "my_score"')
    target = net(tmp_path, CONV, mine)
    with pytest.raises(ValueError, match=r"nothing in it for 1 of 2 layers, my_score; it has conv, score"):
        load(target, trained)
    assert not target.params["conv"][0].data.any()
    assert load(target, trained, may_lack=lambda layer: layer == "my_score") == ["my_score"]


@pytest.mark.parametrize(
    "layer",
    [
        UP % 'weight_filler { type: "bilinear" }',
        SCALE % 'filler { type: "constant" value: 0.01 }',
        SCALE % "",
    ],
)
def test_a_filler_that_needs_no_training_is_enough(trained: Path, tmp_path: Path, layer: str) -> None:
    assert load(net(tmp_path, CONV, layer), trained) in (["up"], ["scale"])


def test_a_deconvolution_without_a_filler_needs_weights(trained: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="up"):
        load(net(tmp_path, CONV, UP % ""), trained)


def test_another_nets_file_is_refused_even_where_layers_may_lack(trained: Path, tmp_path: Path) -> None:
    other = CONV.replace('name: "conv"', 'name: "other"')
    with pytest.raises(ValueError, match="it has conv, score, the net other"):
        load(net(tmp_path, other), trained, may_lack=lambda layer: True)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_no_numbers_are_refused(tmp_path: Path, value: float) -> None:
    source = net(tmp_path, CONV)
    source.params["conv"][1].data[...] = (1, value)
    source.params["conv"][0].data[...] = 1
    source.save(str(tmp_path / "x.caffemodel"))
    with pytest.raises(ValueError, match=r"x\.caffemodel: values that are no numbers in conv"):
        load(net(tmp_path, CONV), tmp_path / "x.caffemodel")


def test_a_file_of_zeros_is_loaded_with_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    net(tmp_path, CONV).save(str(tmp_path / "x.caffemodel"))
    load(net(tmp_path, CONV), tmp_path / "x.caffemodel")
    assert "all zero in conv" in caplog.text


def test_a_layer_with_fewer_parameters_does_not_fit(trained: Path, tmp_path: Path) -> None:
    target = net(tmp_path, CONV, SCORE % "bias_term: false")
    with pytest.raises(ValueError, match="layer 'score': file 2 parameters, net 1"):
        load(target, trained)


def test_values_and_shapes_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    message = caffe_pb2.NetParameter()
    blob = message.layer.add(name="conv", type="Convolution").blobs.add(data=[1.0] * 5)
    blob.shape.dim.extend([2, 3, 3, 3])
    (tmp_path / "x.caffemodel").write_bytes(message.SerializeToString())
    with pytest.raises(ValueError, match=r"5 values for the shape \(2, 3, 3, 3\)"):
        load(net(tmp_path, CONV), tmp_path / "x.caffemodel")


def test_the_oldest_format_is_read(tmp_path: Path) -> None:
    """V0: a layer inside a layer, four axes a parameter."""
    message = caffe_pb2.NetParameter()
    old = message.layers.add().layer
    old.name, old.type = "conv", "conv"
    old.num_output, old.kernelsize, old.pad = 2, 3, 1
    old.blobs.add(num=2, channels=3, height=3, width=3, data=range(54))
    old.blobs.add(num=1, channels=1, height=1, width=2, data=(7, 8))
    (tmp_path / "x.caffemodel").write_bytes(message.SerializeToString())
    target = net(tmp_path, CONV)
    assert load(target, tmp_path / "x.caffemodel") == []
    assert target.params["conv"][0].data.ravel().tolist() == list(range(54))
