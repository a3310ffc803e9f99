"""Layers written in Python, named by module and class in the prototxt."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import caffe
from tests.engine.support.layer_case import random

MODULE = """
import caffe

class Scaled(caffe.Layer):
    def setup(self, bottom, top):
        self.seen = [self.param_str, self.phase, len(bottom), len(top)]
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = float(self.param_str or 1)

    def reshape(self, bottom, top):
        self.seen.append('reshape')
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        self.seen.append('forward')
        top[0].data[...] = bottom[0].data * self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.seen.append(list(propagate_down))
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data

class Nothing(caffe.Layer):
    def setup(self, bottom, top): pass
    def reshape(self, bottom, top): top[0].reshape(1)

class Picky(Nothing):
    def __init__(self, size): self.size = size

class Stranger: pass
"""


@pytest.fixture
def layer(
    net_of: Callable[..., caffe.Net], in_tmp: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., caffe.Net]]:
    """Builds a net of an Input and one Python layer of the module above."""
    Path("own_layers.py").write_text(MODULE)
    monkeypatch.syspath_prepend(str(in_tmp))

    def build(name: str = "Scaled", module: str = "own_layers", more: str = "", **kwargs) -> caffe.Net:
        return net_of(
            'force_backward: true layer { name: "in" type: "Input" top: "x" '
            "input_param { shape { dim: 2 dim: 3 } } }"
            f'layer {{ name: "p" type: "Python" bottom: "x" top: "y" '
            f'python_param {{ module: "{module}" layer: "{name}" {more} }} loss_weight: 1 }}',
            **kwargs,
        )

    yield build
    sys.modules.pop("own_layers", None)


def test_the_life_of_a_layer(layer):
    net = layer(more='param_str: "3"', phase=caffe.TRAIN)
    mine = net.layer_dict["p"]
    assert type(mine).__name__ == "Scaled" and mine.type == "Python"
    assert mine.seen == ["3", caffe.TRAIN, 1, 1, "reshape"]
    net.forward()
    net.backward()
    assert mine.seen[5:] == ["reshape", "forward", [True]]


def test_values_and_gradients_are_those_it_writes(layer):
    net = layer(more='param_str: "3"')
    x = random(2, 3).astype(np.float32)
    net.blobs["x"].data[...] = x
    np.testing.assert_array_equal(net.forward()["y"], 3 * x)
    for times in (1, 2):  # parameter diffs accumulate, bottom diffs do not
        net.backward()
        np.testing.assert_allclose(net.params["p"][0].diff, [times * x.sum()], rtol=1e-5)
        np.testing.assert_array_equal(net.blobs["x"].diff, np.full((2, 3), 3))


def test_param_str_has_its_first_name_too(layer):
    Path("own_layers.py").write_text(MODULE.replace("self.param_str or", "self.param_str_ or"))
    net = layer(more='param_str: "3"')
    net.blobs["x"].data[...] = 1
    np.testing.assert_array_equal(net.forward()["y"], np.full((2, 3), 3))


def test_its_reshape_follows_the_input(layer):
    net = layer()
    net.blobs["x"].reshape(5, 3)
    net.blobs["x"].data[...] = 1
    assert net.forward()["y"].shape == (5, 3)


def test_a_method_it_lacks_is_an_attribute_error(layer):
    net = layer("Nothing")
    with pytest.raises(AttributeError, match="'Nothing' object has no attribute 'forward'"):
        net.forward()
    with pytest.raises(AttributeError, match="backward"):
        net.backward()


@pytest.mark.parametrize(
    ("name", "module", "message"),
    [
        ("Scaled", "nowhere_to_be_found", r"cannot import module 'nowhere_to_be_found'.*searched: "),
        ("Absent", "own_layers", "module 'own_layers' has no class 'Absent'"),
        ("Stranger", "own_layers", r"own_layers\.Stranger is not a subclass of caffe\.Layer"),
        ("Picky", "own_layers", r"does its work in setup\(\) and defines no __init__"),
    ],
)
def test_what_cannot_be_made_into_a_layer_says_why(layer, name, module, message):
    if name == "Picky":
        more = MODULE.replace("def __init__(self, size)", "def __init__(self, size, more)")
        Path("own_layers.py").write_text(more)
    with pytest.raises(caffe.LayerError, match=rf"layer 'p' \(Python\): .*{message}"):
        layer(name, module)


def test_a_module_that_does_not_parse_or_lies_beside(layer, in_tmp, monkeypatch):
    Path("broken.py").write_text("def (:")
    with pytest.raises(caffe.LayerError, match="SyntaxError"):
        layer(module="broken")
    monkeypatch.setattr(sys, "path", [entry for entry in sys.path if entry not in ("", str(in_tmp))])
    Path("lies_here.py").write_text(MODULE)
    with pytest.raises(caffe.LayerError, match=r"lies_here\.py is here, in .*PYTHONPATH"):
        layer(module="lies_here")


def test_layers_of_a_python_layer_can_be_walked_through(in_tmp, monkeypatch):
    Path("walker.py").write_text(
        "import caffe\n"
        "class Walker(caffe.Layer):\n"
        "    def setup(self, bottom, top): self.counts = [blob.count for blob in bottom]\n"
        "    def reshape(self, bottom, top):\n"
        "        for blob in top: blob.reshape(1)\n"
        "    def forward(self, bottom, top): pass\n"
    )
    monkeypatch.syspath_prepend(str(in_tmp))
    Path("net.prototxt").write_text(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "w" type: "Python" bottom: "x" top: "w" '
        'python_param { module: "walker" layer: "Walker" } }'
    )
    net = caffe.Net("net.prototxt", caffe.TEST)
    del sys.modules["walker"]
    assert net.layer_dict["w"].counts == [6]
