"""NetSpec writes the nets that pycaffe's writes, and fails where and as it does."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe import layers as L
from caffe import params as P
from caffe.net_spec import Function, Top, assign_proto, param_name_dict
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter


def net(text: str) -> NetParameter:
    return text_format.Parse(text, NetParameter())


def spec(**tops: Any) -> caffe.NetSpec:
    n = caffe.NetSpec()
    for name, top in tops.items():
        n[name] = top
    return n


def test_import_does_not_load_the_engine() -> None:
    program = (
        "import sys, caffe, caffe.coord_map, caffe.net_spec; from caffe import layers as L;"
        "caffe.to_proto(L.ReLU(L.Input()));"
        "print([m for m in ('torch', 'h5py', 'scipy', 'PIL', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_settings_go_to_the_message_that_has_them() -> None:
    data = L.Input(shape=[{"dim": [1, 3]}, {"dim": [1]}], ntop=2)
    n = spec(data=data[0], label=data[1])
    n.ip = L.InnerProduct(
        n.data, num_output=np.int64(2), weight_filler={"type": "xavier"},
        param=[{"lr_mult": 1}, {"lr_mult": 0}], include={"phase": caffe.TEST}, propagate_down=False,
    )  # fmt: skip
    n.loss = L.SoftmaxWithLoss(n.ip, n.label, loss_weight=2, loss_param={"ignore_label": 255})
    assert n.to_proto() == net(
        """
        layer { name: "data" type: "Input" top: "data" top: "label"
                input_param { shape { dim: 1 dim: 3 } shape { dim: 1 } } }
        layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
                param { lr_mult: 1 } param { lr_mult: 0 } propagate_down: false include { phase: TEST }
                inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" loss_weight: 2
                loss_param { ignore_label: 255 } }
        """
    )


def test_text_of_a_net_is_caffes_text() -> None:
    n = spec(data=L.Input(shape={"dim": [1]}))
    start = 'layer {\n  name: "data"\n  type: "Input"\n  top: "data"\n'
    assert str(n.to_proto()) == start + "  input_param {\n    shape {\n      dim: 1\n    }\n  }\n}\n"


def test_automatic_names_count_tops_per_type() -> None:
    a, b = L.Data(ntop=2, source="s")
    c = L.Data(source="t")
    layers = caffe.to_proto(L.Eltwise(a, c), L.ReLU(b)).layer
    names = [(layer.name, list(layer.bottom), list(layer.top)) for layer in layers]
    assert names == [
        ("Data1", [], ["Data1", "Data2"]),
        ("Data3", [], ["Data3"]),
        ("Eltwise1", ["Data1", "Data3"], ["Eltwise1"]),
        ("ReLU1", ["Data2"], ["ReLU1"]),
    ]


def test_depth_first_from_first_to_last_input() -> None:
    x = L.Input()
    left, right = L.TanH(L.Exp(x)), L.Log(x)
    order = [layer.type for layer in caffe.to_proto(L.Eltwise(left, right)).layer]
    assert order == ["Input", "Exp", "TanH", "Log", "Eltwise"]


def test_chain_deeper_than_pythons_stack() -> None:
    top = L.Input()
    for _ in range(3 * sys.getrecursionlimit()):
        top = L.ReLU(top)
    layers = top.to_proto().layer
    assert layers[-1].bottom == layers[-2].top and len(layers) == 3 * sys.getrecursionlimit() + 1


def test_in_place_keeps_blob_names_and_names_the_layer() -> None:
    n = spec(x=L.Input(), y=L.Input())
    n.relu = L.ReLU(n.x, in_place=True)
    n.both = L.Python(n.relu, n.y, in_place=True, ntop=2)[0]
    n.end = L.AbsVal(n.both)
    last = n.to_proto().layer[2:]
    assert [(layer.name, layer.bottom[0], layer.top[0]) for layer in last] == [
        ("relu", "x", "x"),
        ("both", "x", "x"),
        ("end", "x", "end"),
    ]
    assert last[1].top == ["x", "y"]


def test_ntop_decides_what_a_call_returns() -> None:
    assert isinstance(L.Data(), Top)
    assert [type(top) for top in L.Data(ntop=3)] == [Top] * 3
    silence = L.Silence(L.Data(), ntop=0)
    assert isinstance(silence, Function) and not hasattr(silence, "to_proto")
    n = spec(quiet=silence)
    assert [layer.name for layer in n.to_proto().layer] == ["Data1", "quiet"]


def test_same_top_twice_and_reassignment() -> None:
    x = L.Input()
    n = spec(a=x, b=x)
    assert n.to_proto().layer[0].name == "b"
    n.b = L.ReLU(x)
    n["a"] = n.b
    assert [layer.name for layer in n.to_proto().layer] == ["Input1", "b"]
    del n["a"]
    assert list(n.tops) == ["b"]


def test_to_proto_without_tops() -> None:
    assert caffe.to_proto() == NetParameter() == caffe.NetSpec().to_proto()


def test_enum_values() -> None:
    assert (P.Pooling.MAX, P.Pooling.AVE, P.Eltwise.SUM, P.Data.LMDB, P.LRN.WITHIN_CHANNEL) == (0, 1, 1, 1, 1)


def test_param_name_dict() -> None:
    names = param_name_dict()
    assert (names["Convolution"], names["ReLU"], names["HDF5Data"]) == ("convolution", "relu", "hdf5_data")
    assert "Deconvolution" not in names


def test_assign_proto_wraps_a_single_value() -> None:
    layer = LayerParameter()
    assign_proto(layer, "loss_weight", 2)
    assign_proto(layer, "param", {"name": "w"})
    assert layer == LayerParameter(loss_weight=[2], param=[{"name": "w"}])


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (
            lambda: L.Convolution(kernel=3),
            AttributeError,
            "layer 'x' (Convolution), kernel=3: no field kernel",
        ),
        (
            lambda: L.Convolution(weight_filler={"kind": 1}),
            AttributeError,
            "no field kind in FillerParameter",
        ),
        (lambda: L.Convolution(weight_filler="xavier"), AttributeError, "weight_filler"),
        (lambda: L.Deconvolution(num_output=3), AttributeError, "num_output"),
        (lambda: L.Convolution(num_output=[2, 3]), AttributeError, "num_output takes one value"),
        (lambda: L.Convolution(kernel_size=[]), IndexError, "kernel_size"),
        (lambda: L.Convolution(kernel_size=(3, 3)), TypeError, "kernel_size"),
        (lambda: L.Convolution(num_output="4"), TypeError, "num_output"),
        (lambda: L.Convolution(num_output=2.5), TypeError, "num_output"),
        (lambda: L.Convolution(num_output=-1), ValueError, "num_output"),
        (lambda: 3, AttributeError, "'x' of the NetSpec is not a Top but of type int"),
        (lambda: L.Data(ntop=2), AttributeError, "not a Top but of type tuple"),
    ],
)
def test_mistakes_surface_in_to_proto(make, kind: type[Exception], words: str) -> None:
    n = spec(x=make())
    with pytest.raises(kind) as caught:
        n.to_proto()
    assert words in str(caught.value)


def test_mistakes_at_the_call_and_at_reading() -> None:
    with pytest.raises(TypeError, match=r"ReLU input 1 is not a Top \(type is <class 'str'>\)"):
        L.ReLU(L.Input(), "data")
    with pytest.raises(KeyError, match="nope"):
        caffe.NetSpec().nope  # noqa: B018
    with pytest.raises(KeyError):
        hasattr(caffe.NetSpec(), "nope")
    with pytest.raises(AttributeError, match="params.Pooling.NOPE: known are MAX, AVE"):
        P.Pooling.NOPE  # noqa: B018
    with pytest.raises(AttributeError, match="PoolinggParameter"):
        P.Poolingg.MAX  # noqa: B018
    with pytest.raises(AttributeError, match="argument 0 is not a Top but of type tuple"):
        caffe.to_proto(L.Data(ntop=2))
