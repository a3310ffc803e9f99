"""Protobuf's text format, by the rules of the C++ parser that Caffe reads its prototxts with.

A parser of our own, because Python's text_format differs from it (it does not ask for required fields,
reads a sign only next to its number) and its errors know the line but not the layer. This one also
knows where a misplaced setting belongs and which fork of Caffe a foreign one comes from.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple, TypeVar

from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from ...proto import caffe_pb2
from ..errors import ParseError
from .forks import hint

M = TypeVar("M", bound=Message)

_TOKEN = re.compile(
    r"""
    (?P<blank>   [ \t\n\r\v\f]+ | \#[^\n]* )
  | (?P<word>    [A-Za-z_][A-Za-z0-9_]* )
  | (?P<float>   (?: [0-9]+\.[0-9]* | \.[0-9]+ ) (?: [eE][+-]?[0-9]+ )? [fF]?
               | [0-9]+ [eE][+-]?[0-9]+ [fF]?
               | [0-9]+ [fF] )
  | (?P<integer> 0[xX][0-9a-fA-F]+ | [0-9]+ )
  | (?P<string>  "(?:[^"\\\n]|\\[^\n])*" | '(?:[^'\\\n]|\\[^\n])*' )
  | (?P<symbol>  . )
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"""\\([0-7]{1,3}|x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U[0-9a-fA-F]{8}|.)""", re.DOTALL)
_ESCAPED = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_BOOLS = {"true": True, "True": True, "t": True, "false": False, "False": False, "f": False}
_NOT_FINITE = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}
_CLOSING = {"{": "}", "<": ">"}
_LAYERS = (caffe_pb2.LayerParameter, caffe_pb2.V1LayerParameter, caffe_pb2.V0LayerParameter)
_FILES = (caffe_pb2.NetParameter, caffe_pb2.SolverParameter)


def parse(text: str, message: M, source: str) -> M:
    """Replace the contents of `message` by what `text` says, and return it.

    Args:
        source: what to call the text in errors, as a rule the path of the file.

    Raises:
        ParseError: `SOURCE:LINE:COLUMN: layer .., field ..: what is wrong`.
    """
    return _Parser(text, source).parse(message)


class _Token(NamedTuple):
    kind: str  # word, float, integer, string, symbol, end
    text: str
    start: int


class _Field(NamedTuple):
    name: str
    repeated: bool
    descriptor: Any


@cache
def _fields(descriptor: Any) -> dict[str, _Field]:
    sample = GetMessageClass(descriptor)()
    return {
        field.name: _Field(field.name, hasattr(getattr(sample, field.name), "extend"), field)
        for field in descriptor.fields
    }


@cache
def _required(descriptor: Any) -> list[str]:
    message: Any = GetMessageClass(descriptor)()
    missing: list[str] = message.FindInitializationErrors()
    return missing


class _Parser:
    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self.tokens = self._tokenize()
        self.token = next(self.tokens)
        self.open: list[tuple[str, Message]] = []  # the fields and messages that we are inside of

    def _tokenize(self) -> Iterator[_Token]:
        for match in _TOKEN.finditer(self.text):
            if match.lastgroup != "blank":
                yield _Token(match.lastgroup or "", match.group(), match.start())
        while True:
            yield _Token("end", "end of file", len(self.text))

    def parse(self, message: M) -> M:
        message.Clear()
        while self.token.kind != "end":
            self._field(message)
        self._check_complete(message)
        return message

    # ---- tokens ------------------------------------------------------------------------------

    def _next(self) -> _Token:
        token, self.token = self.token, next(self.tokens)
        return token

    def _take(self, symbol: str) -> bool:
        if self.token.kind == "symbol" and self.token.text == symbol:
            self.token = next(self.tokens)
            return True
        return False

    def _expected(self, what: str) -> ParseError:
        token = self.token
        got = token.text if token.kind in ("end", "string") else f"'{token.text}'"
        if token.kind == "symbol" and token.text in "\"'":
            got = "a string that does not end on its line"
        return self._error(token, f"expected {what}, got {got}")

    def _error(self, token: _Token, problem: str, field: str = "") -> ParseError:
        line = self.text.count("\n", 0, token.start) + 1
        column = token.start - self.text.rfind("\n", 0, token.start)
        return ParseError(f"{self.source}:{line}:{column}: {self._where(field)}{problem}")

    def _where(self, field: str) -> str:
        """The innermost layer we are in, and the path of fields from it."""
        path = [name for name, _ in self.open] + ([field] if field else [])
        for depth in range(len(self.open), 0, -1):
            message = self.open[depth - 1][1]
            if isinstance(message, _LAYERS) and message.name:
                path = [_describe(message), *path[depth:]]
                break
        if len(path) > 1 and path[0].startswith("layer '"):
            return f"{path[0]}, {'.'.join(path[1:])}: "
        return f"{'.'.join(path)}: " if path else ""

    # ---- messages ----------------------------------------------------------------------------

    def _field(self, message: Message) -> None:
        token = self.token
        if token.kind != "word":
            raise self._expected("the name of a field")
        self._next()
        field = _fields(message.DESCRIPTOR).get(token.text)
        if field is None:
            raise self._error(token, self._unknown(message, token.text))
        if not field.repeated and message.HasField(field.name):
            raise self._error(token, "given twice, but it can have one value only", field.name)
        if field.descriptor.message_type is not None:
            self._take(":")
            self._values(message, field, self._message)
        else:
            if not self._take(":"):
                raise self._expected(f"':' after '{field.name}'")
            self._values(message, field, self._scalar)
        self._take(";") or self._take(",")

    def _values(self, message: Message, field: _Field, read: Any) -> None:
        """One value, or a list of them in brackets."""
        if not (field.repeated and self._take("[")):
            read(message, field)
            return
        if self._take("]"):
            return
        read(message, field)
        while not self._take("]"):
            if not self._take(","):
                raise self._expected("',' or ']'")
            read(message, field)

    def _message(self, message: Message, field: _Field) -> None:
        start = self.token
        if not (self._take("{") or self._take("<")):
            raise self._expected(f"'{{' after '{field.name}'")
        inner = getattr(message, field.name)
        if field.repeated:
            inner = inner.add()
        else:
            inner.SetInParent()
        self.open.append((field.name, inner))
        closing = _CLOSING[start.text]
        while self.token.text != closing or self.token.kind != "symbol":
            if self.token.kind == "end":
                line = self.text.count("\n", 0, start.start) + 1
                raise self._expected(f"'{closing}' for the '{start.text}' of line {line}")
            self._field(inner)
        self._check_complete(inner)
        self._next()
        self.open.pop()

    def _check_complete(self, message: Message) -> None:
        missing = [name for name in _required(message.DESCRIPTOR) if not message.HasField(name)]
        if missing:
            raise self._error(self.token, f"{' and '.join(missing)} must be given, and is not")

    def _unknown(self, message: Message, name: str) -> str:
        """What to say of a field that the message does not have."""
        problem = f"no field '{name}' in {message.DESCRIPTOR.name}"
        for other in _FILES:
            if not self.open and name in _fields(other.DESCRIPTOR):
                return f"{problem}: it is a field of {other.DESCRIPTOR.name}; is this the right file?"
        known = hint(name)
        if known:
            return f"{problem}: {known}"
        homes = _homes(name)
        if 0 < len(homes) <= 4:
            return f"{problem}: it belongs in {' or '.join(homes)}"
        return problem + _choices(name, _fields(message.DESCRIPTOR))

    # ---- scalars -----------------------------------------------------------------------------

    def _scalar(self, message: Message, field: _Field) -> None:
        value = _READERS[field.descriptor.cpp_type](self, field)
        if field.repeated:
            getattr(message, field.name).append(value)
        else:
            setattr(message, field.name, value)

    def _integer(self, field: _Field) -> int:
        descriptor = field.descriptor
        bits = 64 if descriptor.cpp_type in (descriptor.CPPTYPE_INT64, descriptor.CPPTYPE_UINT64) else 32
        signed = descriptor.cpp_type in (descriptor.CPPTYPE_INT32, descriptor.CPPTYPE_INT64)
        token = self.token
        negative = signed and self._take("-")
        if self.token.kind != "integer":
            raise self._expected_value(field, "an integer" if signed else "an integer that is not negative")
        value = _int(self, self._next())
        limit = 1 << (bits - 1 if signed else bits)
        if value > limit - 1 + negative:
            raise self._error(token, f"{'-' * negative}{value} does not fit {bits} bits", field.name)
        return -value if negative else value

    def _number(self, field: _Field) -> float:
        negative = self._take("-")
        token = self.token
        if token.kind == "integer" and (token.text.isdigit() and (token.text == "0" or token.text[0] != "0")):
            value = float(self._next().text)
        elif token.kind == "float":
            value = float(self._next().text.rstrip("fF"))
        elif token.kind == "word" and token.text.lower() in _NOT_FINITE:
            value = _NOT_FINITE[self._next().text.lower()]
        else:
            raise self._expected_value(field, "a decimal number")
        return -value if negative else value

    def _bool(self, field: _Field) -> bool:
        token = self.token
        if token.kind == "integer" and _int(self, token) <= 1:
            return bool(_int(self, self._next()))
        if token.kind == "word" and token.text in _BOOLS:
            return _BOOLS[self._next().text]
        raise self._expected_value(field, "true or false")

    def _enum(self, field: _Field) -> int:
        values = field.descriptor.enum_type
        token = self.token
        sign = "-" if self._take("-") else ""
        if self.token.kind == "word" and not sign:
            found = values.values_by_name.get(self.token.text)
        elif self.token.kind == "integer":
            found = values.values_by_number.get(int(sign + str(_int(self, self.token))))
        else:
            raise self._expected_value(field, f"one of {', '.join(values.values_by_name)} (no quotes)")
        if found is None:
            name = sign + self.token.text
            known = hint(name)
            advice = f": {known}" if known else _choices(name, values.values_by_name)
            raise self._error(token, f"unknown value '{name}'{advice}", field.name)
        self._next()
        number: int = found.number
        return number

    def _string(self, field: _Field) -> str | bytes:
        if self.token.kind != "string":
            raise self._expected_value(field, "a text in quotes")
        data = b""
        start = self.token
        while self.token.kind == "string":
            token = self._next()
            try:
                data += _ESCAPE.sub(_unescape, token.text[1:-1]).encode("utf-8", "surrogateescape")
            except ValueError as error:
                raise self._error(token, str(error), field.name) from error
        if field.descriptor.type == field.descriptor.TYPE_BYTES:
            return data
        try:
            return data.decode()
        except UnicodeDecodeError as error:
            raise self._error(start, f"the text is not UTF-8: {error}", field.name) from error

    def _expected_value(self, field: _Field, what: str) -> ParseError:
        self.open.append((field.name, caffe_pb2.NetParameter()))
        return self._expected(what)


def _int(parser: _Parser, token: _Token) -> int:
    text = token.text
    if len(text) > 1 and text[0] == "0" and text.isdigit():
        if not set(text) <= set("01234567"):
            raise parser._error(token, f"{text}: numbers with a leading zero are octal")
        return int(text, 8)
    return int(text, 0)


def _unescape(match: re.Match[str]) -> str:
    """Bytes from octal and hexadecimal escapes come out as lone surrogates, one per byte above 127."""
    code = match.group(1)
    if code[0] in "01234567" or (code[0] == "x" and len(code) > 1):
        value = int(code, 8) & 0xFF if code[0] != "x" else int(code[1:], 16)
        return bytes([value]).decode("ascii", "surrogateescape")
    if code[0] in "uU" and len(code) > 1:
        return chr(int(code[1:], 16))
    if code in "\\?'\"":
        return code
    if code not in _ESCAPED:
        raise ValueError(f"invalid escape \\{code} in a text")
    return _ESCAPED[code]


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


def _describe(layer: Any) -> str:
    """The layer as far as it has been read."""
    kind = layer.type
    if isinstance(kind, int):
        kind = caffe_pb2.V1LayerParameter.LayerType.Name(kind) if layer.HasField("type") else ""
    return f"layer '{layer.name}'" + (f" ({kind})" if kind else "")


@cache
def _homes(name: str) -> list[str]:
    """The settings of layers that have a field of this name, and the layer itself."""
    layer = caffe_pb2.LayerParameter.DESCRIPTOR
    homes = ["the layer itself"] if name in _fields(layer) else []
    for field in layer.fields:
        if field.name.endswith("_param") and name in _fields(field.message_type):
            homes.append(field.name)
    return homes


def _choices(name: str, names: Iterable[str]) -> str:
    """What a misspelt name was meant to be; else all names, if they are few."""
    names = list(names)
    near = [known for known in names if known.startswith(name + "_")]
    near = near or difflib.get_close_matches(name, names, 1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names)}" if len(names) <= 12 else ""
