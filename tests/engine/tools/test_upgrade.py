"""The three upgrade tools."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from google.protobuf import text_format

import caffe
from caffe.proto import caffe_pb2
from caffe.tools import upgrade

V1 = """
name: "old" input: "data" input_dim: 1 input_dim: 2 input_dim: 3 input_dim: 4
layers { name: "fc" type: INNER_PRODUCT bottom: "data" top: "fc" blobs_lr: 1 blobs_lr: 2 weight_decay: 1
         weight_decay: 0 inner_product_param { num_output: 5 } }
"""
V0 = """
name: "older" input: "data" input_dim: 1 input_dim: 2 input_dim: 6 input_dim: 6
layers { layer { name: "conv" type: "conv" num_output: 3 kernelsize: 3 stride: 2 %s }
         bottom: "data" top: "conv" }
"""


def net_text(path: str) -> caffe_pb2.NetParameter:
    return text_format.Parse(Path(path).read_text(), caffe_pb2.NetParameter())


def test_a_net_of_each_age(in_tmp):
    for text, types in ((V1, ["Input", "InnerProduct"]), (V0 % "", ["Input", "Convolution"])):
        Path("old").write_text(text)
        assert upgrade.net_text(["old", "new"]) == 0
        net = net_text("new")
        assert [layer.type for layer in net.layer] == types and not (net.layers or net.input)
        assert caffe.Net("new", caffe.TEST).blobs.keys() == caffe.Net("old", caffe.TEST).blobs.keys()
    assert net.layer[1].convolution_param.stride[0] == 2


def test_a_current_net_is_written_too(in_tmp, capsys):
    Path("now").write_text('name: "now" layer { name: "s" type: "Silence" }')
    assert upgrade.net_text(["now", "new"]) == 0
    assert net_text("new") == net_text("now")
    assert "E" in capsys.readouterr().err[:1]


def test_settings_that_are_lost_are_named_and_end_with_1(in_tmp, capsys):
    Path("old").write_text(V0 % "new_height: 3")
    assert upgrade.net_text(["old", "new"]) == 1
    assert net_text("new").layer[1].type == "Convolution"
    assert "new_height" in capsys.readouterr().err


def test_weights_survive(in_tmp):
    old = text_format.Parse(V1, caffe_pb2.NetParameter())
    weights = np.arange(120, dtype=np.float32)
    blob = old.layers[0].blobs.add(num=1, channels=1, height=5, width=24)
    blob.data.extend(weights.tolist())
    old.layers[0].blobs.add(num=1, channels=1, height=1, width=5).data.extend([0] * 5)
    Path("old.caffemodel").write_bytes(old.SerializeToString())
    assert upgrade.net_binary(["old.caffemodel", "new.caffemodel"]) == 0
    new = caffe_pb2.NetParameter.FromString(Path("new.caffemodel").read_bytes())
    assert [layer.type for layer in new.layer] == ["Input", "InnerProduct"] and not new.layers
    Path("net").write_text(V1)
    net = caffe.Net("net", caffe.TEST, weights="new.caffemodel")
    np.testing.assert_array_equal(net.params["fc"][0].data.ravel(), weights)


def test_a_solver(in_tmp):
    Path("old").write_text('net: "n" base_lr: 0.1 solver_type: ADAM')
    assert upgrade.solver_text(["old", "new"]) == 0
    solver = text_format.Parse(Path("new").read_text(), caffe_pb2.SolverParameter())
    assert solver == caffe_pb2.SolverParameter(net="n", base_lr=0.1, type="Adam")


def test_nets_inside_a_solver_are_upgraded(in_tmp):
    old = 'layers { name: "d" type: DUMMY_DATA top: "d" dummy_data_param { shape { dim: 1 } } }'
    Path("old").write_text(
        f"""base_lr: 0.1 lr_policy: "fixed" max_iter: 1 solver_type: NESTEROV train_net_param {{ {old} }}
            test_net_param {{ {old} }} test_net_param {{ {old} }} test_iter: [1, 1] test_interval: 1"""
    )
    assert upgrade.solver_text(["old", "new"]) == 0
    solver = caffe.get_solver("new")
    assert isinstance(solver, caffe.NesterovSolver)
    assert [list(net.blobs) for net in (solver.net, *solver.test_nets)] == [["d"]] * 3


TOOLS = [upgrade.net_text, upgrade.net_binary, upgrade.solver_text]


@pytest.mark.parametrize("tool", TOOLS)
def test_exit_statuses_of_what_cannot_be_done(tool, in_tmp, capsys):
    assert tool(["old"]) == 1
    assert "usage: upgrade_" in capsys.readouterr().err
    assert tool(["nowhere", "new"]) == 2
    Path("rubbish").write_bytes(b"\xff\xff rubbish {")
    assert tool(["rubbish", "new"]) == 2
    assert "rubbish" in capsys.readouterr().err and not Path("new").exists()
    Path("empty").write_text("")
    assert tool(["empty", "no/such/folder/new"]) == 134
    assert "no/such/folder" in capsys.readouterr().err
