"""Protobuf's text format without a schema: its words, where they stand, and values by the look of them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from google.protobuf.message import Message

from ...proto import caffe_pb2
from ..errors import ParseError
from . import fork_settings
from .schema import LAYERS

CLOSING = {"{": "}", "<": ">"}
NOT_FINITE = {"inf": float("inf"), "infinity": float("inf"), "nan": float("nan")}
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
_BOOLS = {"true": True, "True": True, "false": False, "False": False}
_DEEPEST = 100  # as protobuf's parser

#: Digits, leading zeros included; 64 bits take 22 at most, in octal.
_LONGEST_INTEGER = 1000


class Token(NamedTuple):
    """A word of the text, and where it starts."""

    kind: str  # word, float, integer, string, symbol, end
    text: str
    start: int

    def is_symbol(self, symbols: str) -> bool:
        """Whether it is one of these characters."""
        return self.kind == "symbol" and self.text in symbols


class Open(NamedTuple):
    """A field whose message is being read, and which one it is where the field is repeated."""

    name: str
    message: Message
    number: int | None = None


class Reader:
    """The words of a text one after another, and where in it we are.

    Args:
        source: what to call the text in errors.
    """

    def __init__(self, text: str, source: str) -> None:
        self.text = text
        self.source = source
        self._tokens = _tokenize(text)
        self.token = next(self._tokens)
        self.open: list[Open] = []  # the fields and messages that we are inside of

    # ---- tokens ------------------------------------------------------------------------------

    def next(self) -> Token:
        """The present token; the one after it becomes the present one."""
        token, self.token = self.token, next(self._tokens)
        return token

    def take(self, symbol: str) -> bool:
        """Go past `symbol` if it is the present token."""
        if self.token.is_symbol(symbol):
            self.next()
            return True
        return False

    def integer(self, token: Token) -> int:
        """The number that an integer's token stands for."""
        text = token.text
        if len(text) > _LONGEST_INTEGER:
            raise self.error(token, f"an integer of {len(text)} digits does not fit 64 bits")
        if len(text) > 1 and text[0] == "0" and text.isdigit():
            if not set(text) <= set("01234567"):
                raise self.error(token, f"{text}: numbers with a leading zero are octal")
            return int(text, 8)
        return int(text, 0)

    def string(self, field: str = "") -> bytes:
        """The strings that follow each other here, as one."""
        data = b""
        while self.token.kind == "string":
            token = self.next()
            try:
                data += _ESCAPE.sub(_unescape, token.text[1:-1]).encode("utf-8", "surrogateescape")
            except ValueError as error:
                raise self.error(token, str(error), field) from error
        return data

    # ---- errors ------------------------------------------------------------------------------

    def expected(self, what: str) -> ParseError:
        """The error that something else than `what` comes here."""
        token = self.token
        got = token.text if token.kind in ("end", "string") else f"'{token.text}'"
        if token.is_symbol("\"'"):
            got = "a string that does not end on its line"
        return self.error(token, f"expected {what}, got {got}")

    def error(self, token: Token, problem: str, field: str = "") -> ParseError:
        """An error at `token`."""
        return ParseError(f"{self.place(token)}: {where(self.open, field)}{problem}")

    def line(self, token: Token) -> int:
        """The line of `token`, from 1."""
        return self.text.count("\n", 0, token.start) + 1

    def place(self, token: Token) -> str:
        """``SOURCE:LINE:COLUMN``."""
        column = token.start - self.text.rfind("\n", 0, token.start)
        return f"{self.source}:{self.line(token)}:{column}"

    # ---- values that no schema describes -----------------------------------------------------

    def any_field(self, name: str, depth: int = 0) -> Any:
        """What follows the name of a field: a dictionary, a scalar, or a list of these."""
        colon = self.take(":")
        value: Any
        if self.token.is_symbol("{<"):
            value = self._any_message(name, depth + 1)
        elif not colon:
            raise self.expected(f"':' or '{{' after '{name}'")
        elif self.take("["):
            value = self._any_list(name, depth + 1)
        else:
            value = self._any_scalar()
        self.take(";") or self.take(",")
        return value

    def _any_list(self, name: str, depth: int) -> list[Any]:
        values: list[Any] = []
        while not self.take("]"):
            if values and not self.take(","):
                raise self.expected("',' or ']'")
            is_message = self.token.is_symbol("{<")
            values.append(self._any_message(name, depth) if is_message else self._any_scalar())
        return values

    def _any_message(self, name: str, depth: int) -> dict[str, Any]:
        start = self.next()
        if depth > _DEEPEST:
            raise self.error(start, f"messages are nested more than {_DEEPEST} deep", name)
        closing = CLOSING[start.text]
        result: dict[str, Any] = {}
        while not self.take(closing):
            if self.token.kind != "word":
                raise self.expected(f"'{closing}' for the '{start.text}' of line {self.line(start)}")
            inner = self.next().text
            fork_settings.put(result, (), inner, self.any_field(inner, depth))
        return result

    def _any_scalar(self) -> Any:
        negative = self.take("-")
        token = self.token
        value: Any
        if token.kind == "integer":
            value = self.integer(self.next())
        elif token.kind == "float":
            value = float(self.next().text.rstrip("fF"))
        elif token.kind == "word" and token.text.lower() in NOT_FINITE:
            value = NOT_FINITE[self.next().text.lower()]
        elif token.kind == "word" and not negative:
            return _BOOLS.get(token.text, self.next().text)
        elif token.kind == "string" and not negative:
            return self.string().decode("utf-8", "replace")
        else:
            raise self.expected("a value")
        return -value if negative else value


def where(inside: Sequence[Open], field: str) -> str:
    """The innermost layer of these fields, and the path of fields from it; for the beginning of a message."""
    path = [entry.name for entry in inside] + ([field] if field else [])
    for depth in range(len(inside), 0, -1):
        message = inside[depth - 1].message
        if isinstance(message, LAYERS) and message.name:
            path = [_describe(message), *path[depth:]]
            break
    if len(path) > 1 and path[0].startswith("layer '"):
        return f"{path[0]}, {'.'.join(path[1:])}: "
    return f"{'.'.join(path)}: " if path else ""


def _describe(layer: Any) -> str:
    """The layer as far as it has been read."""
    kind = layer.type
    if isinstance(kind, int):
        kind = caffe_pb2.V1LayerParameter.LayerType.Name(kind) if layer.HasField("type") else ""
    return f"layer '{layer.name}'" + (f" ({kind})" if kind else "")


def _tokenize(text: str) -> Iterator[Token]:
    for match in _TOKEN.finditer(text):
        if match.lastgroup != "blank":
            yield Token(match.lastgroup or "", match.group(), match.start())
    while True:
        yield Token("end", "end of file", len(text))


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
