"""Command lines in the style of gflags, which Caffe's tools use.

`-flag value`, `-flag=value`, one dash or two, anywhere on the line; `-flag` and `-noflag` for booleans;
`--` ends the flags; of a flag given twice the last counts. Flags also come from files (`-flagfile`) and from
the environment (`-fromenv`, `-tryfromenv`), read where they stand on the line.
"""

from __future__ import annotations

import fnmatch
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

Value = str | int | bool
_BOOLS = {
    **dict.fromkeys(("1", "t", "true", "y", "yes"), True),
    **dict.fromkeys(("0", "f", "false", "n", "no"), False),
}
#: The types of flags, as gflags calls them.
TYPE_NAMES = {str: "string", int: "int32", bool: "bool"}
_INT32 = re.compile(r"\s*([-+]?[0-9]+|0[xX][0-9a-fA-F]+)")


class Flag(NamedTuple):
    """A flag: its default, whose type is the flag's, and what it is for."""

    default: Value
    help: str


#: The logger's own flags. The log always goes to stderr too, as it does for Caffe's tools.
LOGGING: Mapping[str, Flag] = {
    "alsologtoemail": Flag("", "accepted; no mail is sent"),
    "alsologtostderr": Flag(True, "log to stderr besides the log file (always so)"),
    "colorlogtostderr": Flag(False, "accepted; the log is never coloured"),
    "drop_log_memory": Flag(True, "accepted; without effect"),
    "log_backtrace_at": Flag("", "accepted; without effect"),
    "log_dir": Flag("", "write a log file into this folder; also the environment's GLOG_log_dir"),
    "log_link": Flag("", "accepted; the link lies beside the log file"),
    "log_prefix": Flag(True, "accepted; every line has its prefix"),
    "logbuflevel": Flag(0, "accepted; nothing is buffered"),
    "logbufsecs": Flag(30, "accepted; nothing is buffered"),
    "logemaillevel": Flag(999, "accepted; no mail is sent"),
    "logmailer": Flag("", "accepted; no mail is sent"),
    "logtostderr": Flag(False, "log to stderr only: no log file"),
    "max_log_size": Flag(1800, "accepted; the log file is never cut"),
    "minloglevel": Flag(0, "least severity shown: 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL"),
    "stderrthreshold": Flag(0, "accepted; every severity shown goes to stderr"),
    "stop_logging_if_full_disk": Flag(False, "accepted; without effect"),
    "symbolize_stacktrace": Flag(True, "accepted; without effect"),
    "v": Flag(0, "accepted; there are no verbose messages"),
    "vmodule": Flag("", "accepted; there are no verbose messages"),
}
#: The flags of gflags itself, which every tool has.
OWN: Mapping[str, Flag] = {
    "flagfile": Flag("", "read flags from this file, or from several separated by ','"),
    "fromenv": Flag("", "take these flags, separated by ',', from the environment: FLAGS_<flag>=value"),
    "help": Flag(False, "print the usage and all flags"),
    "helpfull": Flag(False, "the same as -help"),
    "helpmatch": Flag("", "print the flags of the modules whose name contains this"),
    "helpon": Flag("", "print the flags of the module with this name"),
    "helppackage": Flag(False, "print the tool's own flags"),
    "helpshort": Flag(False, "print the tool's own flags"),
    "helpxml": Flag(False, "print all flags as XML"),
    "tab_completion_columns": Flag(80, "width of what -tab_completion_word prints"),
    "tab_completion_word": Flag("", "print the flags that begin with this, for a shell to complete"),
    "tryfromenv": Flag("", "as -fromenv, but a flag that the environment has not keeps its value"),
    "undefok": Flag("", "flags, separated by ',', that may be on the line without being known"),
    "version": Flag(False, "print the version"),
}


class Answer(Exception):
    """A command line that is answered with a text instead of a run.

    Args:
        text: what to print.
        status: the exit status.
        stream: `stdout` or `stderr`.
    """

    def __init__(self, text: str, status: int, stream: str = "stdout") -> None:
        super().__init__(text)
        self.status, self.stream = status, stream


class UsageError(Answer):
    """A command line that says nothing runnable: printed to stderr, exit status 1."""

    def __init__(self, text: str) -> None:
        super().__init__(text, 1, "stderr")


@dataclass
class CommandLine:
    """What a command line says.

    Attributes:
        values: the value of every flag, the logger's and gflags' included.
        words: what is no flag, in order.
        errors: what is wrong, by the name of the flag.
    """

    values: dict[str, Value]
    words: list[str] = field(default_factory=list)
    errors: dict[str, str] = field(default_factory=dict)

    def check(self) -> None:
        """Raises UsageError if anything is wrong, with one line for each mistake."""
        if self.errors:
            raise UsageError("\n".join(f"ERROR: {text}" for _, text in sorted(self.errors.items())))


def read(argv: Sequence[str], flags: Mapping[str, Flag], program: str) -> CommandLine:
    """Read a command line, and the files and the environment that it refers to.

    Args:
        flags: the tool's own.
        program: its name, for flag files that have sections for several programs.

    Raises:
        UsageError: a flag file that cannot be read or refers to itself, or a list of flags that is none.
            All other mistakes are in `errors`, so that a request for help is answered in spite of them.
    """
    return _Reader({**flags, **LOGGING, **OWN}, program).read(argv)


class _Reader:
    def __init__(self, flags: Mapping[str, Flag], program: str) -> None:
        self._flags = flags
        self._programs = {program, sys.argv[0], os.path.basename(sys.argv[0])}
        self._line = CommandLine({name: flag.default for name, flag in flags.items()})
        self._unknown: set[str] = set()
        self._sources: list[str] = []  # files and variables that are being read, to find circles

    def read(self, argv: Sequence[str]) -> CommandLine:
        rest = list(argv)
        while rest:
            argument = rest.pop(0)
            if argument in ("--", "-") or not argument.startswith("-"):
                self._line.words += [argument] if argument != "--" else rest
                rest = rest if argument != "--" else []
                continue
            name, value = self._split(argument.removeprefix("-").removeprefix("-"), self._line.errors)
            if name is None:
                continue
            if value is None and not rest:
                text = (
                    f"flag '{argument}' is missing its argument; flag description: {self._flags[name].help}"
                )
                self._line.errors[name] = text
                break
            self._set(name, rest.pop(0) if value is None else value)
        for name in _names(str(self._line.values["undefok"])):
            allowed = name if name in self._unknown else f"no{name}"
            if allowed in self._unknown:
                self._line.errors.pop(allowed, None)
        return self._line

    def _split(self, text: str, errors: dict[str, str]) -> tuple[str | None, str | None]:
        """The flag that `text`, as it stands after the dashes, sets, and to what; None where it says neither.

        A flag that is not known is noted in `errors`.
        """
        key, equals, value = text.partition("=")
        for name in (key, key.replace("-", "_")):
            if name in self._flags:
                without = "1" if isinstance(self._flags[name].default, bool) else None
                return name, value if equals else without
            positive = self._flags.get(name.removeprefix("no")) if name.startswith("no") else None
            if positive and isinstance(positive.default, bool):
                return name.removeprefix("no"), "0"
            if positive:
                kind = TYPE_NAMES[type(positive.default)]
                errors[key] = f"boolean value ({key}) specified for {kind} command line flag"
                break
        self._unknown.add(key)
        errors.setdefault(key, f"unknown command line flag '{key}'")
        return None, None

    def _set(self, name: str, text: str) -> None:
        try:
            self._line.values[name] = _convert(text, type(self._flags[name].default))
        except (KeyError, ValueError):
            kind = TYPE_NAMES[type(self._flags[name].default)]
            self._line.errors[name] = f"illegal value '{text}' specified for {kind} flag '{name}'"
            return
        if name == "flagfile":
            for path in _names(text):
                self._read_file(path)
        elif name in ("fromenv", "tryfromenv"):
            for wanted in _names(text):
                self._read_variable(wanted, needed=name == "fromenv")

    def _read_file(self, path: str) -> None:
        """Take the flags of a file.

        Lines that begin with `#` are comments. Other lines without a dash in front name the programs that the
        lines after them are for, as patterns separated by spaces. As in gflags, flags that are not known or
        have no value are passed over.
        """
        try:
            with open(path, encoding="utf-8-sig") as file:
                lines = file.read().splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
        self._enter(path)
        ours, in_names = True, False
        for line in map(str.lstrip, lines):
            if not line or line.startswith("#"):
                continue
            if not line.startswith("-"):
                found = any(fnmatch.filter(self._programs, pattern) for pattern in line.split(" "))
                ours, in_names = found or (ours and in_names), True
                continue
            in_names = False
            name, value = self._split(line.removeprefix("-").removeprefix("-"), {}) if ours else (None, None)
            if name is not None and value is not None:
                self._set(name, value)
        self._sources.pop()

    def _read_variable(self, name: str, needed: bool) -> None:
        """Take a flag from the environment's FLAGS_<name>."""
        if name not in self._flags:
            self._unknown.add(name)
            self._line.errors[name] = f"unknown command line flag '{name}' (via --fromenv or --tryfromenv)"
            return
        variable = f"FLAGS_{name}"
        if variable in os.environ:
            self._enter(variable)
            self._set(name, os.environ[variable])
            self._sources.pop()
        elif needed:
            self._line.errors[name] = f"{variable} not found in environment"

    def _enter(self, source: str) -> None:
        if source in self._sources:
            raise UsageError(f"ERROR: infinite recursion: {' -> '.join([*self._sources, source])}")
        self._sources.append(source)


def _names(text: str) -> list[str]:
    """The names in a list separated by commas; of an empty text none."""
    names = text.split(",") if text else []
    for name in names:
        if not name:
            raise UsageError("ERROR: empty flaglist entry")
        if name.startswith("-"):
            raise UsageError(f"ERROR: flag \"{name}\" begins with '-'")
    return names


def _convert(text: str, kind: type) -> Value:
    """The value that `text` stands for. Raises KeyError or ValueError."""
    if kind is str:
        return text
    if kind is bool:
        return _BOOLS[text.lower()]
    if not _INT32.fullmatch(text):
        raise ValueError(text)
    value = int(text, 16 if text.lower().startswith("0x") else 10)
    if not -(2**31) <= value < 2**31:
        raise ValueError(text)
    return value
