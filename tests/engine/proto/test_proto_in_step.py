"""`caffe_pb2.py` is generated from `caffe.proto`: the same fields, numbers, types and defaults in both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from google.protobuf.descriptor_pb2 import DescriptorProto, FieldDescriptorProto
from google.protobuf.descriptor_pb2 import FileDescriptorProto as File

import caffe
from caffe.proto import caffe_pb2

FIELD = re.compile(r"(optional|repeated|required) ([\w.]+) (\w+) = (\d+) ?(?:\[(.*)\])?")
VALUE = re.compile(r"(\w+) = (-?\d+)")
Row = tuple[str, ...]


def default(text: str) -> str:
    """A default in one spelling: numbers rounded to float32, strings without quotes."""
    try:
        return str(np.float32(text))
    except ValueError:
        return text.strip('"')


def options(text: str) -> tuple[str, bool]:
    """(default, packed) of what stands in a field's brackets."""
    given = dict(re.findall(r"(\w+) ?= ?([^,]+)", text))
    return default(given.get("default", "").strip()), given.get("packed") == "true"


def declared(text: str) -> Iterator[Row]:
    """A row for each field and each enum value of a proto2 file."""
    scope: list[str] = []
    for statement, end in re.findall(r"([^;{}]*)([;{}])", re.sub(r"//[^\n]*", "", text)):
        statement = " ".join(statement.split())
        if end == "{":
            scope.append(statement.split()[1])
        elif end == "}":
            scope.pop()
        elif field := FIELD.fullmatch(statement):
            label, kind, name, number, brackets = field.groups(default="")
            value, packed = options(brackets)
            yield ".".join([*scope, name]), label, kind.rsplit(".", 1)[-1], number, value, str(packed)
        elif entry := VALUE.fullmatch(statement):
            yield ".".join([*scope, entry[1]]), entry[2]


def field_row(prefix: str, field: FieldDescriptorProto) -> Row:
    label = FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower()
    kind = field.type_name.rsplit(".", 1)[-1]
    kind = kind or FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    packed = str(field.options.packed)
    return f"{prefix}{field.name}", label, kind, str(field.number), default(field.default_value), packed


def generated(prefix: str, scope: File | DescriptorProto) -> Iterator[Row]:
    """The same rows of a descriptor."""
    for enum in scope.enum_type:
        for value in enum.value:
            yield f"{prefix}{enum.name}.{value.name}", str(value.number)
    for message in scope.message_type if isinstance(scope, File) else scope.nested_type:
        inner = f"{prefix}{message.name}."
        yield from (field_row(inner, field) for field in message.field)
        yield from generated(inner, message)


def test_generated_module_declares_what_the_proto_file_declares() -> None:
    text = (Path(caffe.__file__).parent / "proto" / "caffe.proto").read_text()
    file = File.FromString(caffe_pb2.DESCRIPTOR.serialized_pb)
    written, made = set(declared(text)), set(generated("", file))
    assert written == made, f"run `make proto`; only one side has {sorted(written ^ made)[:10]}"
    assert len(written) > 500
