"""What a caffemodel holds, read without a net; random weights."""

from __future__ import annotations

import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import nets
from caffe.proto import caffe_pb2
from fcn.weights import caffemodel, save_random
from tests.toolkit.conftest import WIDTH


def test_shapes_of_current_and_old_caffemodels(tmp_path: Path, base: Path) -> None:
    found = caffemodel.shapes(base)
    assert found["fc6"] == [(204, 24 * 49), (204,)] and found["conv1_1"] == [(4, 3, 3, 3), (4,)]
    old = caffe_pb2.NetParameter()
    layer = old.layers.add(name="fc6", type=caffe_pb2.V1LayerParameter.INNER_PRODUCT)
    layer.blobs.add(num=1, channels=1, height=2, width=3, data=range(6))
    layer.blobs.add(num=1, channels=1, height=1, width=2, data=range(2))
    path = tmp_path / "old.caffemodel"
    path.write_bytes(old.SerializeToString())
    assert caffemodel.shapes(path) == {"fc6": [(1, 1, 2, 3), (1, 1, 1, 2)]}
    blobs = [SimpleNamespace(data=np.zeros(shape)) for shape in ((2, 3), (2,))]
    caffemodel.check_fit(path, {"fc6": blobs}, caffemodel.shapes(path))
    with pytest.raises(ValueError, match=r"'fc6', parameter 1: file \(1, 1, 1, 2\), net \(3,\)"):
        caffemodel.check_fit(
            path, {"fc6": [blobs[0], SimpleNamespace(data=np.zeros(3))]}, caffemodel.shapes(path)
        )


@pytest.mark.parametrize("content", ["", "<html>not a model</html>", "half"])
def test_a_file_that_is_no_caffemodel_is_said_to_be_none(tmp_path: Path, base: Path, content: str) -> None:
    path = tmp_path / "x.caffemodel"
    path.write_bytes(base.read_bytes()[:-1000] if content == "half" else content.encode())
    with pytest.raises(ValueError, match=re.escape(str(path))):
        caffemodel.shapes(path)


def test_random_weights_are_those_of_the_seed(tmp_path: Path, base: Path) -> None:
    def made(seed: int) -> bytes:
        save_random("vgg16", tmp_path / "w.caffemodel", seed=seed, arch=nets.VGG16.scaled(WIDTH), classes=4)
        return (tmp_path / "w.caffemodel").read_bytes()

    assert made(1337) == base.read_bytes() and made(1) != base.read_bytes()
    with pytest.raises(ValueError, match="one of vgg16, caffenet"):
        save_random("voc-fcn8s", tmp_path / "w.caffemodel")


def test_random_weights_may_start_from_even_scores(tmp_path: Path, base: Path) -> None:
    path = tmp_path / "w.caffemodel"
    arch = nets.VGG16.scaled(WIDTH)
    save_random("vgg16", path, arch=arch, classes=4, gain=(0.5, 0))
    of_ours, of_base = (
        {layer.name: np.array(layer.blobs[0].data) for layer in _parsed(file).layer if layer.blobs}
        for file in (path, base)
    )
    assert not of_ours.pop("fc8").any() and of_base.pop("fc8").any()
    for layer, weights in of_base.items():
        np.testing.assert_array_equal(of_ours[layer], weights / 2)


def _parsed(path: Path) -> caffe_pb2.NetParameter:
    return caffe_pb2.NetParameter.FromString(path.read_bytes())
