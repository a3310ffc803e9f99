"""Old files to the current format: nets as text, nets in binary, solvers as text."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from google.protobuf.message import Message

from .._caffe.errors import ParseError
from .._caffe.formats.proto_io import read_binary, read_text
from .._caffe.graph.upgrade import (
    inline_nets,
    net_needs_upgrade,
    solver_needs_upgrade,
    upgrade_inline_nets,
    upgrade_net,
    upgrade_solver,
)
from .._caffe.log import log
from ..proto.caffe_pb2 import NetParameter, SolverParameter
from .command import command, parse_flags, write_file
from .usage import Program

UNREADABLE = 2


#: The message that a tool reads and writes.
M = TypeVar("M", NetParameter, SolverParameter)


@dataclass(frozen=True)
class Tool(Generic[M]):
    """What one of the three does; `what` and `name` are for its usage text."""

    name: str
    what: str
    read: Callable[[str], M]
    outdated: Callable[[M], bool]
    upgrade: Callable[[M, str], tuple[M, bool]]
    write: Callable[[M], bytes]


def _as_text(message: Message) -> bytes:
    return str(message).encode()


NET_TEXT = Tool(
    "upgrade_net_proto_text",
    "an old network prototxt",
    lambda path: read_text(path, NetParameter()),
    net_needs_upgrade,
    upgrade_net,
    _as_text,
)
NET_BINARY = Tool(
    "upgrade_net_proto_binary",
    "an old caffemodel",
    lambda path: read_binary(path, NetParameter()),
    net_needs_upgrade,
    upgrade_net,
    NetParameter.SerializeToString,
)
SOLVER_TEXT = Tool(
    "upgrade_solver_proto_text",
    "an old solver prototxt",
    lambda path: read_text(path, SolverParameter()),
    lambda solver: (
        solver_needs_upgrade(solver) or any(net_needs_upgrade(net) for _, net in inline_nets(solver))
    ),
    lambda solver, source: upgrade_inline_nets(upgrade_solver(solver, source), source),
    _as_text,
)


def _run(tool: Tool[M], argv: Sequence[str]) -> int:
    """Upgrade the file that the first word names into the second's. The result is always written.

    Returns:
        0; 1 if settings were lost on the way; 2 if the input cannot be read.
    """
    usage = f"{tool.what} to the current format\nusage: {tool.name} IN OUT"
    program = Program(tool.name, usage, flags={}, words=(2, 2), misuse=(1, "stderr"))
    _, (source, target) = parse_flags(argv, program)
    try:
        message = tool.read(source)
    except ParseError as error:
        log.error("Failed to parse input file: %s", error)
        return UNREADABLE
    complete = True
    if tool.outdated(message):
        message, complete = tool.upgrade(message, source)
        if not complete:
            log.error("Encountered one or more problems upgrading '%s' (see above); continuing", source)
    else:
        log.error("File already in latest proto format: %s", source)
    write_file(target, tool.write(message))
    log.info("Wrote upgraded %s to %s", message.DESCRIPTOR.name, target)
    return 0 if complete else 1


@command
def net_text(argv: Sequence[str]) -> int:
    """`upgrade_net_proto_text IN OUT`; see `_run` for the exit status."""
    return _run(NET_TEXT, argv)


@command
def net_binary(argv: Sequence[str]) -> int:
    """`upgrade_net_proto_binary IN OUT`; see `_run` for the exit status."""
    return _run(NET_BINARY, argv)


@command
def solver_text(argv: Sequence[str]) -> int:
    """`upgrade_solver_proto_text IN OUT`; see `_run` for the exit status."""
    return _run(SOLVER_TEXT, argv)
