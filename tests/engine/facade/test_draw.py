"""`caffe.draw`: the graph that Graphviz is given, read back by pydot's own parser."""

from __future__ import annotations

import re
import shutil
import sys

import pytest
from google.protobuf import text_format

import caffe
from caffe import draw
from caffe.proto import caffe_pb2

pydot = pytest.importorskip("pydot", reason="the extra 'draw' is not installed")
# pydot's parser calls pyparsing by its older names.
pytestmark = pytest.mark.filterwarnings("ignore:.*deprecated - use:DeprecationWarning")

NET = """
name: "little net"
layer { name: "d" type: "Data" top: "x" top: "y" data_param { batch_size: 7 } include { phase: TRAIN } }
layer { name: "in" type: "Input" top: "x" include { phase: TEST } }
layer { name: "block/a:1" type: "Convolution" bottom: "x" top: "c" param { lr_mult: 2 }
        convolution_param { num_output: 5 kernel_size: 3 stride: 2 pad: 1 } }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "pool" type: "Pooling" bottom: "c" top: "p"
        pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "odd {name}|" type: "InnerProduct" bottom: "p" top: "fc"
        inner_product_param { num_output: 10 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "y" top: "l" exclude { phase: TEST } }
"""


@pytest.fixture
def net() -> caffe_pb2.NetParameter:
    return text_format.Parse(NET, caffe_pb2.NetParameter())


def read(text: bytes) -> tuple[dict[str, dict[str, str]], list[tuple[str, ...]]]:
    """(nodes by name, edges as (source, target, label)) of dot text."""
    (graph,) = pydot.graph_from_dot_data(text.decode())
    nodes = {node.get_name().strip('"'): node.get_attributes() for node in graph.get_nodes()}
    ends = [(edge.get_source(), edge.get_destination(), edge.get_label() or "") for edge in graph.get_edges()]
    return nodes, [tuple(text.strip('"') for text in edge) for edge in ends]


def test_the_graph_is_the_net(net) -> None:
    nodes, edges = read(draw.draw_net(net, "LR", "raw"))
    assert nodes["block/a:1_Convolution"]["label"] == (
        r'"block/a:1\n(Convolution)\nkernel size: 3\nstride: 2\npad: 1"'
    )
    assert nodes["pool_Pooling"]["label"].startswith(r'"pool\n(Pooling AVE)\nkernel size: 2')
    assert nodes["relu_ReLU"]["fillcolor"] == '"#90EE90"'
    assert {nodes[f"{blob}_blob"].get("shape") for blob in ("x", "y", "c", "p", "fc")} == {"octagon"}
    assert "shape" not in nodes["l_blob"]
    for edge in [
        ("d_Data", "x_blob", "Batch 7"), ("x_blob", "block/a:1_Convolution", ""),
        ("block/a:1_Convolution", "c_blob", "5"), ("relu_ReLU", "c_blob", ""), ("c_blob", "relu_ReLU", ""),
        ("odd {name}|_InnerProduct", "fc_blob", "10"), ("y_blob", "loss_SoftmaxWithLoss", ""),
    ]:  # fmt: skip
        assert edge in edges
    assert len(edges) == 14


@pytest.mark.parametrize(("phase", "drawn"), [(caffe.TRAIN, {"d", "loss"}), (caffe.TEST, {"in"})])
def test_a_phase_hides_the_others_layers(net, phase: int, drawn: set[str]) -> None:
    nodes, _ = read(draw.draw_net(net, "TB", "raw", phase=phase))
    names = {re.sub("_[^_]*$", "", name) for name in nodes if not name.endswith("_blob")}
    assert names == drawn | {"block/a:1", "relu", "pool", "odd {name}|"}


def test_include_and_exclude_together_are_refused_when_a_phase_is_asked_for(net) -> None:
    net.layer[0].exclude.add(phase=caffe.TEST)
    draw.get_pydot_graph(net, "LR")
    with pytest.raises(ValueError, match="layer d has both include and exclude"):
        draw.get_pydot_graph(net, "LR", phase=caffe.TRAIN)


def test_labels(net) -> None:
    conv, fc = net.layer[2], net.layer[5]
    assert draw.get_layer_label(conv, "TB", display_lrm=True) == (
        '"block/a:1 (Convolution) kernel size: 3 stride: 2 pad: 1 lr mult: 2.0, 1.0"'
    )
    assert draw.get_layer_label(fc, "TB") == r'"odd \{name\}\| (InnerProduct)"'
    assert draw.get_edge_label(net.layer[3]) == '""'
    graph = draw.get_pydot_graph(net, "LR", label_edges=False)
    assert {edge.get_label() for edge in graph.get_edges()} == {'""'}
    assert draw.get_pooling_types_dict() == {0: "MAX", 1: "AVE", 2: "STOCHASTIC"}
    assert draw.choose_color_by_layertype("Pooling") != draw.choose_color_by_layertype("LRN")


def test_learning_rate_multipliers(net) -> None:
    assert draw.get_layer_lr_mult(net.layer[2]) == (2, 1)
    assert draw.get_layer_lr_mult(net.layer[5]) == (1, 1)
    with pytest.raises(ValueError, match="ReLU layers do not have a learning rate"):
        draw.get_layer_lr_mult(net.layer[3])


def test_files_take_their_format_from_the_extension(net, tmp_path, monkeypatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("net.raw", "net.dot"):
        draw.draw_net_to_file(net, str(tmp_path / name), "BT")
        assert len(read((tmp_path / name).read_bytes())[1]) == 14
    with pytest.raises(caffe.CaffeError, match=r"'svg'.*install Graphviz, or write a \.raw"):
        draw.draw_net_to_file(net, str(tmp_path / "net.svg"))
    assert not (tmp_path / "net.svg").exists()


@pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")
def test_pictures(net) -> None:
    assert draw.draw_net(net, "LR").startswith(b"\x89PNG")
    assert b"kernel size: 3" in draw.draw_net(net, "LR", "svg")


def test_without_pydot_the_extra_is_named(net, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "pydot", None)
    with pytest.raises(caffe.MissingExtraError, match=r"pip install 'caffe-fcn\[draw\]'"):
        draw.draw_net(net, "LR")


FOLDED = """
input: "image" input_dim: 1 input_dim: 3 input_dim: 8 input_dim: 8
layer { name: "block/of/a/rather/long/name/conv" type: "Convolution" bottom: "image" top: "c"
        convolution_param { num_output: 5 kernel_size: 3 stride: 2 } }
layer { name: "norm" type: "BatchNorm" bottom: "c" top: "c" }
layer { name: "relu" type: "ReLU" bottom: "c" top: "c" }
layer { name: "twice" type: "Split" bottom: "c" top: "c0" top: "c1" }
layer { name: "pool" type: "Pooling" bottom: "c0" top: "p" pooling_param { kernel_size: 2 stride: 2 pad: 1 } }
layer { name: "pool relu" type: "ReLU" bottom: "p" top: "p" }
layer { name: "side" type: "InnerProduct" bottom: "c1" top: "s" inner_product_param { num_output: 2 } }
layer { name: "both" type: "Silence" bottom: "p" bottom: "s" }
"""


def test_a_folded_graph_has_a_node_for_each_layer_that_makes_a_blob() -> None:
    net = text_format.Parse(FOLDED, caffe_pb2.NetParameter())
    nodes, edges = read(draw.draw_net(net, "TB", "raw", fold=True))
    conv = "block/of/a/rather/long/name/conv_Convolution"
    assert nodes.keys() == {"image_blob", conv, "pool_Pooling", "side_InnerProduct", "both_Silence"}
    assert nodes[conv]["label"] == (
        r'"block/of/a/rather/long/name/\nconv\n(Convolution 3 x 3, stride 2)'
        r'\n+ norm (BatchNorm)\n+ relu (ReLU)"'
    )
    assert nodes["pool_Pooling"]["label"] == (
        r'"pool\n(Pooling MAX 2 x 2, stride 2, pad 1)\n+ pool relu (ReLU)"'
    )
    assert sorted(edges) == [
        (conv, "pool_Pooling", "5"), (conv, "side_InnerProduct", "5"), ("image_blob", conv, ""),
        ("pool_Pooling", "both_Silence", ""), ("side_InnerProduct", "both_Silence", "2"),
    ]  # fmt: skip


def test_what_a_folded_net_begins_with_stands_in_one_row(net) -> None:
    (graph,) = pydot.graph_from_dot_data(draw.draw_net(net, "LR", "raw", caffe.TRAIN, fold=True).decode())
    first, last = graph.get_subgraphs()
    assert {part.get("rank") for part in (first, last)} == {"same"}
    assert [[node.get_name().strip('"') for node in part.get_nodes()] for part in (first, last)] == [
        ["d_Data"], ["loss_SoftmaxWithLoss"]
    ]  # fmt: skip
