"""Random protobuf messages of any type, for property tests."""

from __future__ import annotations

from typing import Any

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass
from hypothesis import strategies as st

_INT32 = st.integers(-(2**31), 2**31 - 1)
_FLOAT = st.floats(width=32, allow_nan=False)


def messages(kind: type[Message], most_fields: int = 4, depth: int = 3) -> st.SearchStrategy[Any]:
    """Messages of type `kind` with up to `most_fields` fields set, and all required ones."""
    return _messages(kind, most_fields, depth)


@st.composite
def _messages(draw: st.DrawFn, kind: type[Message], most_fields: int, depth: int) -> Message:
    message = kind()
    fields = {field.name: field for field in kind.DESCRIPTOR.fields if depth or not field.message_type}
    chosen = (
        draw(st.lists(st.sampled_from(sorted(fields)), unique=True, max_size=most_fields)) if fields else []
    )
    for name in dict.fromkeys([*chosen, *message.FindInitializationErrors()]):
        field = fields[name]
        if hasattr(getattr(message, name), "extend"):
            getattr(message, name).extend(
                draw(st.lists(_values(field, most_fields, depth), min_size=1, max_size=3))
            )
        elif field.message_type:
            getattr(message, name).CopyFrom(draw(_values(field, most_fields, depth)))
            getattr(message, name).SetInParent()
        else:
            setattr(message, name, draw(_values(field, most_fields, depth)))
    return message


def _values(field: Any, most_fields: int, depth: int) -> st.SearchStrategy[Any]:
    if field.message_type:
        return _messages(GetMessageClass(field.message_type), most_fields, depth - 1)
    if field.enum_type:
        return st.sampled_from([value.number for value in field.enum_type.values])
    return {
        field.TYPE_INT32: _INT32,
        field.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
        field.TYPE_UINT32: st.integers(0, 2**32 - 1),
        field.TYPE_FLOAT: _FLOAT,
        field.TYPE_DOUBLE: st.floats(allow_nan=False),
        field.TYPE_BOOL: st.booleans(),
        field.TYPE_STRING: st.text(max_size=8),
        field.TYPE_BYTES: st.binary(max_size=8),
    }[field.type]
