"""What the three upgrade tools share: read, bring to the current format, write."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from google.protobuf.message import Message

from .._caffe.errors import ParseError
from .._caffe.log import log
from .command import parse_flags

M = TypeVar("M", bound=Message)
UNREADABLE = 2


def run(
    argv: Sequence[str],
    usage: str,
    read: Callable[[str], M],
    outdated: Callable[[M], bool],
    upgrade: Callable[[M, str], bool],
    write: Callable[[M], bytes],
) -> int:
    """Upgrade the file that the first word names into the second's. The result is always written.

    Returns:
        0; 1 if settings were lost on the way; 2 if the input cannot be read.
    """
    _, (source, target) = parse_flags(argv, {}, usage, (2, 2))
    try:
        message = read(source)
    except ParseError as error:
        log.error("Failed to parse input file: %s", error)
        return UNREADABLE
    complete = True
    if outdated(message):
        complete = upgrade(message, source)
        if not complete:
            log.error("Encountered one or more problems upgrading '%s' (see above); continuing", source)
    else:
        log.error("File already in latest proto format: %s", source)
    with open(target, "wb") as file:
        file.write(write(message))
    log.info("Wrote upgraded %s to %s", message.DESCRIPTOR.name, target)
    return 0 if complete else 1


def as_text(message: Message) -> bytes:
    """The message in the text format."""
    return str(message).encode()
