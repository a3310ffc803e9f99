"""What caffe.proto says of a message, as the reader of texts asks it."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

from google.protobuf.message_factory import GetMessageClass

from ...proto import caffe_pb2

#: The messages that are a layer, in the three formats there have been.
LAYERS = (caffe_pb2.LayerParameter, caffe_pb2.V1LayerParameter, caffe_pb2.V0LayerParameter)
#: The messages that are a file.
FILES = (caffe_pb2.NetParameter, caffe_pb2.SolverParameter)


class Field(NamedTuple):
    """A field of a message."""

    name: str
    repeated: bool
    descriptor: Any


@cache
def fields(descriptor: Any) -> dict[str, Field]:
    """The fields of a message by name."""
    sample = GetMessageClass(descriptor)()
    return {
        field.name: Field(field.name, hasattr(getattr(sample, field.name), "extend"), field)
        for field in descriptor.fields
    }


@cache
def required(descriptor: Any) -> list[str]:
    """The names of the fields that a message must have."""
    sample: Any = GetMessageClass(descriptor)()
    missing: list[str] = sample.FindInitializationErrors()
    return missing


@cache
def homes(name: str) -> list[str]:
    """The settings of layers that have a field of this name, and the layer itself."""
    layer = caffe_pb2.LayerParameter.DESCRIPTOR
    found = ["the layer itself"] if name in fields(layer) else []
    for field in layer.fields:
        if field.name.endswith("_param") and name in fields(field.message_type):
            found.append(field.name)
    return found
