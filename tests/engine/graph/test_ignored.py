"""Settings without effect are listed, once per net."""

from __future__ import annotations

import logging

import pytest

from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.ignored import ignored_fields, report_ignored
from caffe._caffe.registry import layer_types
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter

NET = parse_text(
    """
    layer { name: "a" type: "Convolution" convolution_param { engine: CUDNN kernel_size: 1 } }
    layer { name: "b" type: "Im2col" convolution_param { engine: CAFFE } }
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


def test_every_message_is_read_by_some_type() -> None:
    types = {name: cls for name, cls in layer_types().items() if cls.__module__.startswith("caffe._caffe.")}
    assert all(cls.reads is not None for cls in types.values())
    read = {message for cls in types.values() for message in cls.reads}
    assert read == {field.name for field in LayerParameter.DESCRIPTOR.fields if field.name.endswith("_param")}


def test_logs_one_line_or_none(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    report_ignored(NetParameter(layer=[LayerParameter(name="x")]), "plain.prototxt")
    report_ignored(NET, "net.prototxt")
    assert {record.getMessage() for record in caplog.records} == {
        "net.prototxt: accepted, but without effect: convolution_param.engine (a, b); data_param.mirror (d)"
    }


def test_what_a_class_states_names_real_fields() -> None:
    for cls in layer_types().values():
        for setting in cls.without_effect:
            message, field = setting.split(".")
            assert message in cls.reads
            assert field in getattr(LayerParameter(), message).DESCRIPTOR.fields_by_name
