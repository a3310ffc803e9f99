"""The schema is Caffe's, and the generated module runs on old and new protobuf."""

from __future__ import annotations

import csv
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto
from hypothesis import given, settings

from caffe.proto import caffe_pb2
from tests.engine.support.messages import messages

FILE = FileDescriptorProto.FromString(caffe_pb2.DESCRIPTOR.serialized_pb)
Row = tuple[str, ...]


def number(text: str) -> str:
    """Numbers in one spelling."""
    try:
        return repr(float(np.float32(text)))
    except ValueError:
        return text


def schema(prefix: str, scope: Any) -> set[Row]:
    """(kind, message or enum, name, number, label, type, default, packed) of all there is."""
    rows = {("enum", f"{prefix}{enum.name}", value.name, str(value.number), "", "", "", "")
            for enum in scope.enum_type for value in enum.value}  # fmt: skip
    for message in scope.message_type if scope is FILE else scope.nested_type:
        name = prefix + message.name
        for field in message.field:
            kind = field.type_name or FieldDescriptorProto.Type.Name(field.type)[5:].lower()
            label = FieldDescriptorProto.Label.Name(field.label)[6:].lower()
            packed = "packed=true" if field.options.packed else ""
            default = number(field.default_value)
            row = (
                "field",
                name,
                field.name,
                str(field.number),
                label,
                kind.removeprefix(".caffe."),
                default,
                packed,
            )
            rows.add(row)
        rows |= schema(f"{name}.", message)
    return rows


@pytest.mark.data
def test_schema_is_the_field_table(shared: Path) -> None:
    path = shared / "spec" / "caffe-proto-fields.tsv"
    if not path.exists():
        pytest.skip(f"no field table at {path}")
    with path.open(newline="") as file:
        table = {
            (r["kind"], r["message_or_enum"], r["name"], r["number"], r["label"], r["type"],
             number(r["default"]), r["options"])
            for r in csv.DictReader(file, delimiter="\t")
        }  # fmt: skip
    assert schema("", FILE) == table


@given(messages(caffe_pb2.NetParameter))
def test_wire_round_trip(net: caffe_pb2.NetParameter) -> None:
    assert caffe_pb2.NetParameter.FromString(net.SerializeToString()) == net


@given(messages(caffe_pb2.SolverParameter, depth=2))
@settings(max_examples=50)
def test_text_round_trip(solver: caffe_pb2.SolverParameter) -> None:
    assert text_format.Parse(str(solver), caffe_pb2.SolverParameter()) == solver


def test_known_bytes() -> None:
    """Encoded by hand from protobuf's encoding rules and Caffe's numbers: what caffemodels look like."""
    net = caffe_pb2.NetParameter.FromString(
        b"\x0a\x01n"  # name (1): "n"
        b"\xa2\x06\x14"  # layer (100), 20 bytes
        b"\x0a\x01c"  # name (1): "c"
        b"\x3a\x0f"  # blobs (7), 15 bytes
        b"\x3a\x03\x0a\x01\x02"  # shape (7) { dim (1, packed): 2 }
        b"\x2a\x08\x00\x00\x80\x3f\x00\x00\x00\xc0"  # data (5, packed): 1.0, -2.0
    )
    blob = net.layer[0].blobs[0]
    assert (net.name, net.layer[0].name, list(blob.shape.dim), list(blob.data)) == (
        "n",
        "c",
        [2],
        [1.0, -2.0],
    )


@pytest.mark.parametrize("implementation", ["upb", "python"])
def test_generated_module_imports_without_warnings(implementation: str) -> None:
    env = os.environ | {"PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION": implementation}
    program = "from caffe.proto import caffe_pb2 as c; print(c.NetParameter(name='x'), c.TRAIN, c.TEST)"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", program], env=env, capture_output=True, text=True
    )
    assert (done.stdout.split(), done.stderr) == (["name:", '"x"', "0", "1"], "")


def test_generated_module_does_not_ask_for_a_runtime_version() -> None:
    assert "ValidateProtobufRuntimeVersion" not in Path(caffe_pb2.__file__).read_text()
