"""Layers of one's own under a type name, as docs/registering-layers.md has it."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe._caffe import registry
from caffe.proto import caffe_pb2
from tests.engine.support.layer_case import check_gradient, random, run

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "registering-layers.md"
EXAMPLE, OWN_SETTINGS = re.findall(r"```python\n(.*?)```", DOCUMENT.read_text(), re.S)


@pytest.fixture(autouse=True)
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    """Types registered by a test are gone after it."""
    caffe.layer_type_list()  # the built-in ones are there
    monkeypatch.setattr(registry, "_TYPES", dict(registry._TYPES))


@pytest.fixture
def upsample() -> type[caffe.Layer]:
    scope: dict[str, object] = {}
    exec(compile(EXAMPLE, str(DOCUMENT), "exec"), scope)
    return scope["Upsample"]


def test_the_documents_layer_is_a_type_like_any_other(upsample):
    assert "Upsample" in list(caffe.layer_type_list())
    x = random(1, 2, 2, 3)
    text = """type: "Upsample" python_param { param_str: "{'scale': 3}" }"""
    np.testing.assert_array_equal(
        run(text, {"x": x}).tops["top"], np.kron(x, np.ones((1, 1, 3, 3))).astype(np.float32)
    )
    check_gradient(text, {"x": x})


def test_the_two_ways_of_the_document_are_one(upsample, in_tmp, monkeypatch):
    Path("my_layers.py").write_text(EXAMPLE.replace("caffe.register_layer", "# "))
    monkeypatch.syspath_prepend(str(in_tmp))
    x = random(2, 1, 3, 2)
    texts = re.findall(r"```\nlayer \{ name: \"up\" (type: .*?) \}\n```", DOCUMENT.read_text(), re.S)
    assert len(texts) == 2
    python, own = (re.sub(r' bottom: "x" top: "up"', "", text) for text in texts)
    np.testing.assert_array_equal(run(python, {"x": x}).tops["top"], run(own, {"x": x}).tops["top"])
    del sys.modules["my_layers"]


class Shift(caffe.Layer):
    """Adds a learned number."""

    def setup(self, bottom, top):
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = 2

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data + self.blobs[0].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += top[0].diff.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff


def test_its_parameters_are_trained_saved_and_shared(in_tmp):
    caffe.register_layer("Shift", Shift)
    Path("solver.prototxt").write_text(
        """base_lr: 0.5 lr_policy: "fixed" test_iter: 1 test_interval: 10 test_initialization: false
        net_param { layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 } } }
                    layer { name: "s" type: "Shift" bottom: "x" top: "y" }
                    layer { name: "r" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 } }"""
    )
    solver = caffe.SGDSolver("solver.prototxt")
    solver.step(1)
    assert solver.net.params["s"][0].data == 2 - 0.5 * 3  # the gradient is the number of values
    solver.net.save("s.caffemodel")
    solver.net.params["s"][0].data[...] = 0
    solver.net.copy_from("s.caffemodel")
    solver.share_weights(solver.test_nets[0])
    solver.test_nets[0].blobs["x"].data[...] = 1
    assert solver.test_nets[0].forward()["l"] == 3 * (1 + 0.5)


def test_a_taken_name_needs_replace():
    with pytest.raises(caffe.NetError, match="ReLU exists; pass replace=True to put Shift"):
        caffe.register_layer("ReLU", Shift)
    caffe.register_layer("ReLU", Shift, replace=True)
    np.testing.assert_array_equal(run('type: "ReLU"', {"x": np.zeros(2)}).tops["top"], [2, 2])


@pytest.mark.parametrize("thing", [object, Shift.setup, "Shift", None])
def test_only_layers_can_be_registered(thing):
    with pytest.raises(caffe.NetError, match=r"not a subclass of caffe\.Layer"):
        caffe.register_layer("Thing", thing)


def test_the_second_example_reads_a_forks_prototxt():
    text = re.search(r'layer { name: "perm" .*? } }', DOCUMENT.read_text(), re.S)[0]
    x = random(2, 3, 4, 5).astype(np.float32)
    exec(OWN_SETTINGS, {})
    np.testing.assert_array_equal(run(text, {"x": x}, tops=["perm"]).tops["perm"], x.transpose(0, 2, 3, 1))
    inside = 'type: "Permute" permute_param { order: 1 }'  # one value is no list
    np.testing.assert_array_equal(run(inside, {"x": x}).tops["top"], x.transpose(1, 0, 2, 3))
    check_gradient(inside, {"x": random(2, 3, 2)})


class Keeps(Shift):
    """Keeps what its layer says of itself."""

    def setup(self, bottom, top):
        super().setup(bottom, top)
        Keeps.found = (self.fork_params, self.layer_param.convolution_param.num_output)


def test_settings_pass_filters_splits_and_a_caffemodel(in_tmp, net_of):
    caffe.register_layer("Keeps", Keeps)
    text = """layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 } } }
        layer { name: "k" type: "Keeps" bottom: "x" top: "y" keeps_param { a: 1 } include { phase: TEST } }
        layer { name: "r" type: "Keeps" bottom: "x" top: "y" include { phase: TRAIN } }
        layer { name: "z" type: "Eltwise" bottom: "x" bottom: "y" top: "z" }"""
    net = net_of(text)
    assert Keeps.found[0] == {"keeps_param": {"a": 1}}
    net.save("k.caffemodel")
    assert b"keeps_param" not in Path("k.caffemodel").read_bytes()
    net.params["k"][0].data[...] = 0
    net.copy_from("k.caffemodel")
    assert net.params["k"][0].data == 2
    net_of(text, caffe.TRAIN)
    assert Keeps.found[0] == {}


def test_a_replaced_type_receives_a_forks_fields_of_it(net_of):
    caffe.register_layer("Convolution", Keeps, replace=True)
    net_of("""layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 } } }
              layer { name: "c" bottom: "x" top: "y"
                      convolution_param { num_output: 8 hole: 2 engine: MKLDNN } type: "Convolution" }""")
    assert Keeps.found == ({"convolution_param": {"hole": 2, "engine": "MKLDNN"}}, 8)


def test_a_caffemodel_of_a_fork_gives_its_weights(in_tmp, net_of):
    """Fields of the fork's schema, known by number only, lie around the blobs."""
    caffe.register_layer("Keeps", Keeps)
    net = net_of("""layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 3 } } }
                    layer { name: "k" type: "Keeps" bottom: "x" top: "y" keeps_param { a: 1 } }""")
    model = caffe_pb2.NetParameter()
    model.layer.add(name="k", type="Keeps").blobs.add(data=[7]).shape.dim.append(1)
    foreign = b"\xfa\xc7\xe1\x1f" + b"\x02\x08\x03"  # field 8266719: a message
    model.layer[0].MergeFromString(foreign)
    Path("fork.caffemodel").write_bytes(model.SerializeToString() + foreign)
    net.copy_from("fork.caffemodel")
    assert net.params["k"][0].data == 7


def test_all_unknown_types_are_named_at_once(net_of):
    with pytest.raises(caffe.NetError) as caught:
        net_of("""layer { name: "a" type: "PriorBox" top: "a" } layer { name: "b" type: "RELU" top: "b" }
                  layer { name: "c" type: "PriorBox" top: "c" }""")
    lines = str(caught.value).split("\n")
    assert "'a', 'c'" in lines[0] and "SSD" in lines[0] and "1 of 2" in lines[0]
    assert "'b'" in lines[1] and "ReLU" in lines[1]


def test_an_unknown_type_says_how_to_register_it(net_of):
    with pytest.raises(caffe.NetError, match=r"caffe\.register_layer"):
        net_of('layer { name: "x" type: "Shift" top: "x" }')


def test_its_own_exceptions_pass_unchanged(net_of):
    class Failing(caffe.Layer):
        def setup(self, bottom, top):
            raise KeyError("mine")

    caffe.register_layer("Failing", Failing)
    with pytest.raises(KeyError, match="mine"):
        net_of('layer { name: "x" type: "Failing" top: "x" }')
