"""Protobuf's text format, by the rules of the C++ parser that Caffe reads its prototxts with.

A parser of our own, because Python's text_format differs from it (it does not ask for required fields,
reads a sign only next to its number) and its errors know the line but not the layer. This one also
reads on past names that it does not know: see `strange_text`.
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message

from ...proto import caffe_pb2
from ..errors import ParseError
from . import schema
from .schema import Field
from .strange_text import LayerTypes, Strange
from .text_reader import CLOSING, NOT_FINITE, Open, Reader

M = TypeVar("M", bound=Message)

_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}


def parse(text: str, message: M, source: str, types: LayerTypes | None = None) -> M:
    """Replace the contents of `message` by what `text` says, and return it.

    Args:
        source: what to call the text in errors, as a rule the path of the file.
        types: the layer types there are; without it none is the user's own, and none is judged. What the
            schema does not know in a layer of the user's own types, the layer carries (`fork_settings`).

    Raises:
        ParseError: `SOURCE:LINE:COLUMN: layer .., field ..: what is wrong`; one line for each name that is
            not known, their number in the first.
    """
    return _Parser(text, source, types).parse(message)


class _NoValue(NamedTuple):
    """A name or number that an enum does not have."""

    name: str


class _Parser(Reader):
    def __init__(self, text: str, source: str, types: LayerTypes | None) -> None:
        super().__init__(text, source)
        self.strange = Strange(self, types)

    def parse(self, message: M) -> M:
        message.Clear()
        try:
            while self.token.kind != "end":
                self._field(message)
            self._check_complete(message)
        except ParseError as error:
            self.strange.give_up(message)
            raise ParseError("\n".join([*self.strange.refusals(), str(error)])) from error
        self.strange.leave_layer(message)
        refusals = self.strange.refusals()
        if refusals:
            raise ParseError("\n".join(refusals))
        return message

    # ---- messages ----------------------------------------------------------------------------

    def _field(self, message: Message) -> None:
        token = self.token
        if token.kind != "word":
            raise self.expected("the name of a field")
        self.next()
        field = schema.fields(message.DESCRIPTOR).get(token.text)
        if field is None:
            self.strange.add(message, token.text, token, self.any_field(token.text), is_field=True)
            return
        if field.name == "type" and isinstance(message, caffe_pb2.LayerParameter):
            self.strange.note_type()
        if not field.repeated and message.HasField(field.name):
            raise self.error(token, "given twice, but it can have one value only", field.name)
        if field.descriptor.message_type is not None:
            self.take(":")
            self._values(message, field, self._message)
        else:
            if not self.take(":"):
                raise self.expected(f"':' after '{field.name}'")
            self._values(message, field, self._scalar)
        self.take(";") or self.take(",")

    def _values(self, message: Message, field: Field, read: Any) -> None:
        """One value, or a list of them in brackets."""
        if not (field.repeated and self.take("[")):
            read(message, field)
            return
        if self.take("]"):
            return
        read(message, field)
        while not self.take("]"):
            if not self.take(","):
                raise self.expected("',' or ']'")
            read(message, field)

    def _message(self, message: Message, field: Field) -> None:
        start = self.token
        if not (self.take("{") or self.take("<")):
            raise self.expected(f"'{{' after '{field.name}'")
        inner = getattr(message, field.name)
        if field.repeated:
            inner = inner.add()
        else:
            inner.SetInParent()
        number = len(getattr(message, field.name)) - 1 if field.repeated else None
        self.open.append(Open(field.name, inner, number))
        is_layer = isinstance(inner, schema.LAYERS)
        if is_layer:
            self.strange.enter_layer()
        closing = CLOSING[start.text]
        while not self.token.is_symbol(closing):
            if self.token.kind == "end":
                raise self.expected(f"'{closing}' for the '{start.text}' of line {self.line(start)}")
            self._field(inner)
        self._check_complete(inner)
        if is_layer:
            self.strange.leave_layer(inner)
        self.next()
        self.open.pop()

    def _check_complete(self, message: Message) -> None:
        missing = [name for name in schema.required(message.DESCRIPTOR) if not message.HasField(name)]
        if missing:
            raise self.error(self.token, f"{' and '.join(missing)} must be given, and is not")

    # ---- scalars -----------------------------------------------------------------------------

    def _scalar(self, message: Message, field: Field) -> None:
        token = self.token
        value = _READERS[field.descriptor.cpp_type](self, field)
        if isinstance(value, _NoValue):
            self.strange.add(message, field.name, token, value.name, is_field=False)
        elif field.repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def _integer(self, field: Field) -> int:
        descriptor = field.descriptor
        bits = 64 if descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64) else 32
        signed = descriptor.cpp_type in (descriptor.CPPTYPE_INT32, descriptor.CPPTYPE_INT64)
        token = self.token
        negative = signed and self.take("-")
        if self.token.kind != "integer":
            raise self._expected_value(field, "an integer" if signed else "an integer that is not negative")
        value = self.integer(self.next())
        limit = 1 << (bits - 1 if signed else bits)
        if value > limit - 1 + negative:
            raise self.error(token, f"{'-' * negative}{value} does not fit {bits} bits", field.name)
        return -value if negative else value

    def _number(self, field: Field) -> float:
        negative = self.take("-")
        token = self.token
        if token.kind == "integer" and (token.text.isdigit() and (token.text == "0" or token.text[0] != "0")):
            value = float(self.next().text)
        elif token.kind == "float":
            value = float(self.next().text.rstrip("fF"))
        elif token.kind == "word" and token.text.lower() in NOT_FINITE:
            value = NOT_FINITE[self.next().text.lower()]
        else:
            raise self._expected_value(field, "a decimal number")
        return -value if negative else value

    def _bool(self, field: Field) -> bool:
        token = self.token
        if token.kind == "integer" and self.integer(token) <= 1:
            return bool(self.integer(self.next()))
        if token.kind == "word" and token.text in _BOOLS:
            return _BOOLS[self.next().text]
        raise self._expected_value(field, "true or false")

    def _enum(self, field: Field) -> int | _NoValue:
        values = field.descriptor.enum_type
        sign = "-" if self.take("-") else ""
        if self.token.kind == "word" and not sign:
            found = values.values_by_name.get(self.token.text)
        elif self.token.kind == "integer":
            found = values.values_by_number.get(int(sign + str(self.integer(self.token))))
        else:
            raise self._expected_value(field, f"one of {', '.join(values.values_by_name)} (no quotes)")
        token = self.next()
        return _NoValue(sign + token.text) if found is None else found.number

    def _string(self, field: Field) -> str | bytes:
        if self.token.kind != "string":
            is_type = field.descriptor.full_name == "caffe.LayerParameter.type"
            spelling = self.strange.v1_spelling(self.token.text) if is_type else ""
            raise self._expected_value(field, f"a text in quotes{spelling}")
        start = self.token
        data = self.string(field.name)
        if field.descriptor.type == field.descriptor.TYPE_BYTES:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self.error(start, f"the text is not UTF-8: {error}", field.name) from error

    def _expected_value(self, field: Field, what: str) -> ParseError:
        self.open.append(Open(field.name, caffe_pb2.NetParameter()))
        return self.expected(what)


_KINDS = caffe_pb2.NetParameter.DESCRIPTOR.fields[0]
_READERS = {
    _KINDS.CPPTYPE_INT32: _Parser._integer,
    _KINDS.CPPTYPE_INT64: _Parser._integer,
    _KINDS.CPPTYPE_UINT32: _Parser._integer,
    _KINDS.CPPTYPE_UINT64: _Parser._integer,
    _KINDS.CPPTYPE_FLOAT: _Parser._number,
    _KINDS.CPPTYPE_DOUBLE: _Parser._number,
    _KINDS.CPPTYPE_BOOL: _Parser._bool,
    _KINDS.CPPTYPE_ENUM: _Parser._enum,
    _KINDS.CPPTYPE_STRING: _Parser._string,
}
