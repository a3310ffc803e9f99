"""What a tool says of itself: its usage, its flags, its version, and completions for a shell."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Callable, Mapping
from typing import NamedTuple
from xml.sax.saxutils import escape

from .. import __engine__, __version__
from .flags import LOGGING, OWN, TYPE_NAMES, Answer, Flag, Value

_WIDTH = 78


class Program(NamedTuple):
    """A tool with flags in the style of gflags.

    Attributes:
        name: what it is called.
        usage: what it does, its words, and what they are.
        flags: its own.
        words: least and greatest number of words.
        misuse: exit status for another number of words, and the stream that the usage goes to then.
    """

    name: str
    usage: str
    flags: Mapping[str, Flag]
    words: tuple[int, int]
    misuse: tuple[int, str] = (1, "stdout")

    @property
    def modules(self) -> dict[str, Mapping[str, Flag]]:
        """All flags, by where they come from."""
        own = {f"tools/{self.name}": self.flags} if self.flags else {}
        return {"glog": LOGGING, "gflags": OWN, **own}


def answer(program: Program, values: Mapping[str, Value]) -> None:
    """Answer the flags that ask for help, a version or completions.

    Raises:
        Answer: there is such a flag. The status is gflags': 1 for help, 0 for the others.
    """
    own = f"tools/{program.name}"
    if word := str(values["tab_completion_word"]):
        raise Answer(completions(program, word, int(values["tab_completion_columns"])), 0)
    if values["helpshort"]:
        raise Answer(text(program, lambda module: module == own), 1)
    if values["help"] or values["helpfull"]:
        raise Answer(text(program, lambda module: True), 1)
    if name := str(values["helpon"]):
        raise Answer(text(program, lambda module: os.path.basename(module) == name), 1)
    if part := str(values["helpmatch"]):
        raise Answer(text(program, lambda module: part in module), 1)
    if values["helppackage"]:
        raise Answer(text(program, lambda module: module == own), 1)
    if values["helpxml"]:
        raise Answer(_xml(program, values), 1)
    if values["version"]:
        raise Answer(f"{program.name} version {__version__}\n{__engine__}", 0)


def misuse(program: Program) -> Answer:
    """The answer to a wrong number of words."""
    own = f"tools/{program.name}"
    return Answer(text(program, lambda module: module == own), *program.misuse)


def text(program: Program, shown: Callable[[str], bool]) -> str:
    """The usage, and the flags of the modules that `shown` accepts."""
    blocks = [
        f"\n  Flags from {module}:\n{describe(flags)}"
        for module, flags in program.modules.items()
        if shown(module)
    ]
    if not blocks and program.flags:
        blocks = ["\n  No modules matched: use -help"]
    return "\n".join([f"{program.name}: {program.usage}", *blocks])


def describe(flags: Mapping[str, Flag]) -> str:
    """The flags with what they are for, their types and defaults, as a usage text lists them."""
    wrap = textwrap.TextWrapper(_WIDTH, initial_indent=" " * 4, subsequent_indent=" " * 6)
    return "\n".join(
        wrap.fill(f"-{name} ({flag.help}) type: {_type(flag)} default: {_shown(flag.default)}")
        for name, flag in sorted(flags.items())
    )


def _type(flag: Flag) -> str:
    return TYPE_NAMES[type(flag.default)]


def _shown(value: Value) -> str:
    return f'"{value}"' if isinstance(value, str) else _plain(value)


def _plain(value: Value) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _xml(program: Program, values: Mapping[str, Value]) -> str:
    """All flags as XML, one a line."""
    lines = ['<?xml version="1.0"?>', "<AllFlags>", f"<program>{escape(program.name)}</program>",
             f"<usage>{escape(program.usage)}</usage>"]  # fmt: skip
    for module, flags in program.modules.items():
        for name, flag in sorted(flags.items()):
            fields = {
                "file": module, "name": name, "meaning": flag.help, "default": _plain(flag.default),
                "current": _plain(values[name]), "type": _type(flag),
            }  # fmt: skip
            tags = "".join(f"<{tag}>{escape(value)}</{tag}>" for tag, value in fields.items())
            lines.append(f"<flag>{tags}</flag>")
    return "\n".join([*lines, "</AllFlags>"])


def completions(program: Program, word: str, columns: int) -> str:
    """What a shell completes `word` to: what all flags that begin so have in common, or else their list."""
    wanted = word.lstrip("-").rstrip("?+")
    flags = {name: flag for module in reversed(program.modules.values()) for name, flag in module.items()}
    found = {name: flag for name, flag in flags.items() if name.startswith(wanted)}
    common = os.path.commonprefix(list(found))
    if len(common) > len(wanted) or len(found) == 1:
        return f"--{common}"
    lines = (f"--{name} [{_shown(flag.default)}] {flag.help}" for name, flag in found.items())
    return "\n".join(line if len(line) <= columns else f"{line[: columns - 3]}..." for line in lines)
