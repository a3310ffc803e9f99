"""Settings without effect are listed, once per net."""

from __future__ import annotations

import logging

import pytest

from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.ignored import MESSAGES, WITHOUT_EFFECT, ignored_fields, report_ignored
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter

NET = parse_text(
    """
    layer { name: "a" convolution_param { engine: CUDNN kernel_size: 1 } }
    layer { name: "b" convolution_param { engine: CAFFE } relu_param { } }
    layer { name: "d" type: "Data" data_param { source: "s" mirror: true } transform_param { mirror: true } }
    """,
    NetParameter(),
)


def test_lists_fields_and_layers() -> None:
    assert ignored_fields(NET) == {"convolution_param.engine": ["a", "b"], "data_param.mirror": ["d"]}


def test_a_message_that_the_type_does_not_read_is_listed_whole() -> None:
    net = parse_text(
        """
        layer { name: "a" type: "InnerProduct" convolution_param { num_output: 3 } }
        layer { name: "b" type: "EuclideanLoss" loss_param { ignore_label: 3 } }
        layer { name: "c" type: "ImageData" data_param { prefetch: 2 } image_data_param { source: "s" } }
        layer { name: "d" type: "SomebodysOwn" convolution_param { num_output: 3 } }
        """,
        NetParameter(),
    )
    assert ignored_fields(net) == {"convolution_param": ["a"], "loss_param": ["b"]}


def test_every_type_and_every_message_is_in_the_table() -> None:
    import caffe

    assert set(MESSAGES) == set(caffe.layer_type_list())
    read = {message for messages in MESSAGES.values() for message in messages}
    assert read == {field.name for field in LayerParameter.DESCRIPTOR.fields if field.name.endswith("_param")}


def test_logs_one_line_or_none(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    report_ignored(NetParameter(layer=[LayerParameter(name="x")]), "plain.prototxt")
    report_ignored(NET, "net.prototxt")
    assert {record.getMessage() for record in caplog.records} == {
        "net.prototxt: accepted, but without effect: convolution_param.engine (a, b); data_param.mirror (d)"
    }


def test_table_names_real_fields() -> None:
    layer = LayerParameter()
    for message, fields in WITHOUT_EFFECT.items():
        assert set(fields) <= {field.name for field in getattr(layer, message).DESCRIPTOR.fields}
