"""Prototxts are read by the rules of the C++ parser; errors say file, line, column, layer and field."""

from __future__ import annotations

import math
import re

import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe._caffe.errors import ParseError
from caffe._caffe.formats import fork_settings
from caffe._caffe.formats.proto_io import parse_text, read_binary, read_text
from caffe._caffe.formats.strange_text import LayerTypes
from caffe._caffe.graph.upgrade import upgrade_net
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import BlobProto, LayerParameter, NetParameter, SolverParameter
from tests.engine.support.messages import messages


def layer(text: str) -> LayerParameter:
    return parse_text(text, LayerParameter(), "l.prototxt")


def error(text: str, message: type = NetParameter) -> str:
    with pytest.raises(ParseError) as caught:
        parse_text(text, message(), "net.prototxt")
    return str(caught.value)


@given(messages(NetParameter))
def test_reads_what_protobuf_writes(net: NetParameter) -> None:
    assert parse_text(str(net), NetParameter()) == net
    assert parse_text(text_format.MessageToString(net, as_one_line=True), NetParameter()) == net


WORDS = [
    "layer", "{", "}", "<", ">", "[", "]", ":", ",", ";", "name", "type", '"a"', "'b'", "loss_weight", "0.5",
    "1f", "2", "-1", "phase", "TEST", "propagate_down", "true", "t", "include {", "min_level", "0x1F", "top",
    "bottom :", "relu_param {", "negative_slope :", "1.", ".5e1", "} }", "# note\n", "\n",
]  # fmt: skip


@given(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join))
@settings(max_examples=300)
def test_agrees_with_protobuf_or_refuses(text: str) -> None:
    try:
        want = text_format.Parse(text, NetParameter())
    except text_format.ParseError:
        want = None
    try:
        got = parse_text(text, NetParameter())
    except ParseError:
        got = None
    assert got == want


@given(st.text(max_size=30))
def test_any_text_is_read_or_refused_with_a_place(text: str) -> None:
    try:
        parse_text(text, NetParameter(), "f")
    except ParseError as caught:
        assert re.match(r"f:\d+:\d+: ", str(caught))


@pytest.mark.parametrize(
    ("text", "value"),
    [("1", 1), ("1.", 1), (".5", 0.5), ("1f", 1), ("1.5F", 1.5), ("2e3", 2000), ("-2E-1", -0.2), ("- 3", -3),
     ("inf", math.inf), ("-Infinity", -math.inf), ("99999999999999999999", 1e20)],
)  # fmt: skip
def test_floats(text: str, value: float) -> None:
    assert layer(f"relu_param {{ negative_slope: {text} }}").relu_param.negative_slope == pytest.approx(value)


def test_nan() -> None:
    assert math.isnan(layer("loss_weight: nan").loss_weight[0])


@pytest.mark.parametrize(("text", "value"), [("7", 7), ("0x1f", 31), ("017", 15), ("4294967295", 2**32 - 1)])
def test_integers(text: str, value: int) -> None:
    assert layer(f"crop_param {{ offset: {text} }}").crop_param.offset == [value]


@pytest.mark.parametrize(
    ("text", "value"),
    [("true", True), ("True", True), ("t", True), ("1", True), ("false", False), ("f", False), ("0", False)],
)
def test_bools(text: str, value: bool) -> None:
    assert layer(f"propagate_down: {text}").propagate_down == [value]


def test_enums_by_name_and_number() -> None:
    assert layer("phase: TEST").phase == layer("phase: 1").phase == caffe_pb2.TEST


@pytest.mark.parametrize(
    ("text", "value"),
    [(r'"a\n\t\"\\"', 'a\n\t"\\'), (r"'it\'s'", "it's"), (r'"\x41\102"', "AB"), (r'"\303\244"', "ä"),
     ('"ä"', "ä"), ('"a" \'b\'\n"c"', "abc"), (r'"\u00e4"', "ä"), ('""', "")],
)  # fmt: skip
def test_strings(text: str, value: str) -> None:
    assert layer(f"name: {text}").name == value


def test_bytes_of_any_value() -> None:
    assert parse_text(r'data: "\377\x00"', caffe_pb2.Datum()).data == b"\xff\x00"


def test_separators_comments_and_brackets() -> None:
    text = """# a net
    name:'x',top:"a";top:"b" # two
    crop_param: < axis: 1, offset: [1, 2] offset: [] offset: 3 >; loss_weight:1loss_weight:2"""
    want = LayerParameter(name="x", top=["a", "b"], loss_weight=[1, 2])
    want.crop_param.axis = 1
    want.crop_param.offset.extend([1, 2, 3])
    assert layer(text) == want


def test_present_but_empty_message() -> None:
    assert layer("relu_param { }").HasField("relu_param")


def test_replaces_what_was_there() -> None:
    assert parse_text('name: "new"', NetParameter(name="old", input=["x"])) == NetParameter(name="new")


NET = 'name: "n"\nlayer { name: "c" type: "Convolution"\n'


@pytest.mark.parametrize(
    ("text", "want"),
    [
        (NET + " convolution_param { num_output: -4 } }",
         "3:34: layer 'c' (Convolution), convolution_param.num_output: expected an integer that is not neg"),
        (NET + ' convolution_param { num_output: "4" } }', 'integer that is not negative, got "4"'),
        (NET + " convolution_param { num_output: 4.0 } }", "got '4.0'"),
        (NET + " convolution_param { num_output: 4294967296 } }", "does not fit 32 bits"),
        (NET + " convolution_param { kernel: 4 } }", "3:22: layer 'c' (Convolution), convolution_param: no "),
        (NET + " convolution_param { kernel: 4 } }", "did you mean 'kernel_size'?"),
        (NET + " convolution_param { group: 1 group: 1 } }", "3:31: layer 'c' (Convolution), "),
        (NET + " convolution_param { group: 1 group: 1 } }", "convolution_param.group: given twice"),
        (NET + " relu_param { } relu_param { } }", "relu_param: given twice"),
        (NET + " convolution_param { engine: FAST } }", "unknown value 'FAST'; known: DEFAULT, CAFFE, CUDNN"),
        (NET + " convolution_param { engine: 9 } }", "unknown value '9'"),
        (NET + ' phase: "TEST" }', "expected one of TRAIN, TEST (no quotes)"),
        (NET + " propagate_down: 2 }", "expected true or false, got '2'"),
        (NET + " name: \"d\" }", "given twice"),
        (NET + " crop_param { offset: 08 } }", "octal"),
        (NET + " relu_param { negative_slope: 0x1 } }", "expected a decimal number"),
        (NET + ' top: "open }', "a string that does not end on its line"),
        (NET + r' top: "\q" }', r"invalid escape \q"),
        (NET + r' top: "\377" }', "not UTF-8"),
        (NET + ' top "x" }', "3:6: layer 'c' (Convolution): expected ':' after 'top'"),
        (NET + " ignore_label: 255 }", "it belongs in loss_param or accuracy_param"),
        (NET + " top: [] loss_weight: [1 2] }", "expected ',' or ']'"),
        (NET, "expected '}' for the '{' of line 2, got end of file"),
        ("layer { clip_param { min: 0 } }", "clip_param: max must be given"),
        ("layer { clip_param { } }", "min and max must be given"),
        ("%", "net.prototxt:1:1: expected the name of a field, got '%'"),
        ("}", "1:1: expected the name of a field"),
        ("base_lr: 1", "field of SolverParameter; is this the right file?"),
        ('layers { name: "x" type: NOTHING }', "layer 'x', type: unknown value 'NOTHING'"),
        ('layers { layer { name: "x" type: "conv" kernel_size: 1 } }', "layer 'x' (conv): no field 'kern"),
    ],
)  # fmt: skip
def test_errors_name_place_layer_and_field(text: str, want: str) -> None:
    assert want in error(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ('layer { name: "up" type: "Upsample" upsample_param { scale: 2 } }',
         ["layer 'up' (Upsample)", "'upsample_param'", "SegNet", "caffe.register_layer"]),
        ('layer { name: "l" loss_param { weight_by_label_freqs: true } }',
         ["layer 'l'", "SegNet", "InfogainLoss"]),
        ('layer { name: "n" type: "Normalize" norm_param { } }', ["SSD", "caffe.register_layer"]),
        ('layer { name: "i" type: "Interp" interp_param { } }', ["DeepLab", "caffe.register_layer"]),
        ('layer { name: "c" convolution_param { engine: MKL2017 } }', ["Intel's Caffe", "leave it out"]),
        ('layers { name: "u" type: UPSAMPLE }', ["layer 'u'", "SegNet"]),
        ('layers { type: PRIOR_BOX name: "u" }', ["layer 'u'", "SSD", "caffe.register_layer"]),
        ("default_forward_type: FLOAT16", ["NVIDIA's Caffe", "leave it out"]),
        ('layer { pooling_param { ceil_mode: false } type: "Pooling" name: "p" }', ["layer 'p' (Pooling)"]),
    ],
)  # fmt: skip
def test_foreign_fields_name_their_fork(text: str, names: list[str]) -> None:
    message = error(text)
    assert all(name in message for name in names), message


TYPES = LayerTypes(
    known={"ReLU", "PReLU", "Pooling", "Twice", "DenseImageData"}, own={"Twice", "DenseImageData"}
)


def test_all_that_is_refused_is_refused_at_once() -> None:
    text = """layer { name: "a" type: "Prior" prior_param { } }
layer { name: "b" type: "Pooling" pooling_param { ceil_mode: false pool: LOWEST } }
layer { name: "c" type: "Twice" twice_param { } }
layer { prior_param { } name: "d" type: "Prior" }
fast: true
layer { name: "e" type: }"""
    with pytest.raises(ParseError) as caught:
        parse_text(text, NetParameter(), "n", TYPES)
    lines = str(caught.value).split("\n")
    places = [re.match(r"n:(\d+):\d+: ", line) for line in lines]
    assert [int(place[1]) for place in places if place] == [1, 1, 2, 2, 4, 4, 5, 6]
    assert lines[0].endswith("(1 of 7 refusals)")
    assert "Unknown layer type: Prior" in lines[0] and "'prior_param'" in lines[1]
    assert "ceil_mode" in lines[2] and "layer 'b' (Pooling)" in lines[3] and "'LOWEST'" in lines[3]
    assert lines[4].endswith("no field 'prior_param' in LayerParameter: as in line 1")
    assert "expected a text in quotes" in lines[7]


def test_a_type_that_is_not_known_is_no_error_of_the_text() -> None:
    assert parse_text('layer { type: "Prior" }', NetParameter(), "n", TYPES).layer[0].type == "Prior"


def test_values_without_a_schema() -> None:
    text = """layer { twice_param { times: 3 times: -2 by: 1.5e1 how: FAST on: true name: 'a' "b"
        list: [1, 0x10]
        one: [7] inner: < x: 1 > inner { x: -inf, y: { } } big: 1f } other_flag: false type: "Twice" }"""
    layer = parse_text(text, NetParameter(), "n", TYPES).layer[0]
    copy = NetParameter()
    copy.layer.add().CopyFrom(layer)
    assert fork_settings.read(copy.layer[0]) == {
        "twice_param": {
            "times": [3, -2], "by": 15.0, "how": "FAST", "on": True, "name": "ab",
            "list": [1, 16], "one": [7], "inner": [{"x": 1}, {"x": -math.inf, "y": {}}], "big": 1.0,
        },
        "other_flag": False,
    }  # fmt: skip
    assert LayerParameter.FromString(copy.layer[0].SerializeToString()).type == "Twice"


def test_what_is_strange_in_known_messages_keeps_its_place() -> None:
    text = """layer { type: "Twice" pooling_param { kernel_size: 2 ceil: true pool: LOWEST }
        param { lr_mult: 1 } param { lr_mult: 2 slow: 1 } }"""
    layer = parse_text(text, NetParameter(), "n", TYPES).layer[0]
    assert layer.pooling_param.kernel_size == 2 and layer.param[1].lr_mult == 2
    assert fork_settings.read(layer) == {
        "pooling_param": {"ceil": True, "pool": "LOWEST"}, "param": [{}, {"slow": 1}]
    }  # fmt: skip


def test_a_layer_of_2014_may_be_of_a_registered_type() -> None:
    text = 'layers { dense_image_data_param { source: "x" } name: "d" type: DENSE_IMAGE_DATA }'
    net, _ = upgrade_net(parse_text(text, NetParameter(), "n", TYPES))
    assert net.layer[0].type == "DenseImageData"
    assert fork_settings.read(net.layer[0]) == {"dense_image_data_param": {"source": "x"}}


def test_types_that_2014_did_not_have_are_written_as_today() -> None:
    with pytest.raises(ParseError, match="layer 'p', type: .*'PRELU'.* layer { type: \"PReLU\" .. }"):
        parse_text('layers { type: PRELU name: "p" }', NetParameter(), "n", TYPES)
    with pytest.raises(ParseError, match=r"layer 'r', type: expected a text in quotes \(type: \"ReLU\"\)"):
        parse_text('layer { name: "r" type: RELU }', NetParameter(), "n", TYPES)


@pytest.mark.parametrize(
    "text", ["a { " * 200, "a: [" * 200, "a { b: [1 }", "a { b: }", "a { b", "a { b 1 }", "a: -x"]
)
def test_bad_texts_inside_of_what_is_not_known(text: str) -> None:
    with pytest.raises(ParseError, match="n:1:"):
        parse_text(f'layer {{ type: "Twice" {text}', NetParameter(), "n", TYPES)


def test_unknown_solver_field() -> None:
    message = error("net: 'x' learning_rate: 1", SolverParameter)
    assert message == "net.prototxt:1:10: no field 'learning_rate' in SolverParameter"


def test_files(tmp_path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_bytes(b"\xef\xbb\xbf" + 'name: "ä"\r\n'.encode())
    assert read_text(path, NetParameter()).name == "ä"
    path.write_bytes(b"name: 'x' # f\xfcr")
    assert read_text(str(path), NetParameter()).name == "x"
    path.write_bytes(NetParameter(name="n", input=["a"]).SerializeToString() + b"\0")
    with pytest.raises(ParseError, match="is a binary file, not a NetParameter in text"):
        read_text(path, NetParameter())
    path.write_bytes(b"\x89HDF\r\n")
    with pytest.raises(ParseError, match="is an HDF5 file"):
        read_text(path, NetParameter())


@pytest.mark.parametrize("read", [read_text, read_binary])
def test_missing_file_is_pycaffes_runtime_error(read) -> None:
    with pytest.raises(RuntimeError, match="Could not open file nowhere.prototxt"):
        read("nowhere.prototxt", NetParameter())


def test_binary_files(tmp_path) -> None:
    path = tmp_path / "mean.binaryproto"
    blob = BlobProto(num=1, data=[1, 2])
    path.write_bytes(blob.SerializeToString())
    assert read_binary(path, BlobProto()) == blob
    path.write_bytes(blob.SerializeToString()[:-1])
    with pytest.raises(ParseError, match=r"Failed to parse BlobProto file '.*mean.binaryproto'"):
        read_binary(path, BlobProto())
