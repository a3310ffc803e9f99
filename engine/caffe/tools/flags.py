"""Command lines in the style of gflags, which Caffe's tools use.

`-flag value`, `-flag=value`, one dash or two, anywhere on the line; `-flag` and `-noflag` for booleans;
`--` ends the flags; of a flag given twice the last counts.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import NamedTuple

Value = str | int | bool
_BOOLS = {
    **dict.fromkeys(("1", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "n", "no"), False),
}
_TYPE_NAMES = {str: "string", int: "int32", bool: "bool"}


class Flag(NamedTuple):
    """A flag: its default, whose type is the flag's, and what it is for."""

    default: Value
    help: str


#: The logger's own flags. The log always goes to stderr too, as it does for Caffe's tools.
LOGGING: Mapping[str, Flag] = {
    "alsologtostderr": Flag(True, "log to stderr besides the log file (always so)"),
    "colorlogtostderr": Flag(False, "accepted; the log is never coloured"),
    "log_dir": Flag("", "write a log file into this folder; also the environment's GLOG_log_dir"),
    "logtostderr": Flag(False, "log to stderr only: no log file"),
    "minloglevel": Flag(0, "least severity shown: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL"),
    "stderrthreshold": Flag(0, "accepted; every severity shown goes to stderr"),
    "v": Flag(0, "accepted; there are no verbose messages"),
}


class UsageError(Exception):
    """A command line that says nothing runnable: printed to stderr, exit status 1."""


def parse(argv: Sequence[str], flags: Mapping[str, Flag]) -> tuple[dict[str, Value], list[str]]:
    """The value of every flag (the logger's included), and the words that are no flags.

    Raises:
        UsageError: an unknown flag, a flag without its value, or a value of the wrong type.
    """
    flags = {**flags, **LOGGING}
    values = {name: flag.default for name, flag in flags.items()}
    words: list[str] = []
    unknown: list[str] = []
    rest = list(argv)
    while rest:
        argument = rest.pop(0)
        if argument == "--":
            words += rest
            break
        if len(argument) < 2 or argument[0] != "-":
            words.append(argument)
            continue
        text, equals, value = argument.removeprefix("--" if argument[1] == "-" else "-").partition("=")
        name, negated = _resolve(text, flags)
        if name not in flags:
            unknown.append(text)
        elif isinstance(flags[name].default, bool) and not equals:
            values[name] = not negated
        elif equals or rest:
            values[name] = _convert(name, value if equals else rest.pop(0), type(flags[name].default))
        else:
            raise UsageError(f"ERROR: flag '-{name}' is missing its argument; {flags[name].help}")
    if unknown:
        raise UsageError("\n".join(f"ERROR: unknown command line flag '{name}'" for name in unknown))
    return values, words


def _resolve(text: str, flags: Mapping[str, Flag]) -> tuple[str, bool]:
    """The flag that `text` names, and whether as `no<flag>`."""
    for name in (text, text.replace("-", "_")):
        if name in flags:
            return name, False
        positive = name.removeprefix("no")
        if positive != name and positive in flags and isinstance(flags[positive].default, bool):
            return positive, True
    return text, False


def _convert(name: str, text: str, kind: type) -> Value:
    if kind is str:
        return text
    try:
        return _BOOLS[text.lower()] if kind is bool else _int32(text)
    except (KeyError, ValueError):
        kind_name = _TYPE_NAMES[kind]
        raise UsageError(f"ERROR: illegal value '{text}' specified for {kind_name} flag '{name}'") from None


def _int32(text: str) -> int:
    value = int(text, 16 if text.lower().lstrip("+-").startswith("0x") else 10)
    if not -(2**31) <= value < 2**31:
        raise ValueError(text)
    return value


def describe(flags: Mapping[str, Flag]) -> str:
    """The flags with what they are for, their types and defaults, as a usage text lists them."""
    blocks = []
    for name, flag in sorted(flags.items()):
        default = f'"{flag.default}"' if isinstance(flag.default, str) else str(flag.default).lower()
        text = f"-{name} ({flag.help}) type: {_TYPE_NAMES[type(flag.default)]} default: {default}"
        wrap = textwrap.TextWrapper(78, initial_indent=" " * 4, subsequent_indent=" " * 6)
        blocks.append(wrap.fill(text))
    return "\n".join(blocks)
