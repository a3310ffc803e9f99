"""The log of a Caffe that writes to standard error by itself, as glog does: kept in a file, warnings shown.

Run as a program, this file is the reader at the other end of standard error. It is a process of its own
because a Caffe that finds something wrong ends the process it runs in: the reason is its last line, and has
to reach the console.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from pathlib import Path
from typing import BinaryIO

#: glog's prefix: severity, from 0.6 on the year, month and day.
PREFIX = re.compile(rb"([IWEF])(?:20\d\d)?([01]\d[0-3]\d \d\d:\d\d:\d\d)")
STDERR = 2


@contextmanager
def captured(file: Path | None = None) -> Iterator[None]:
    """Show only warnings and errors of what the process writes to its standard error past Python.

    Python's own `sys.stderr` goes on to the console.

    Args:
        file: all of it is added there, with the dates as log parsers read them.
    """
    sys.stderr.flush()
    console = os.dup(STDERR)
    command = [sys.executable, "-I", "-S", __file__, *([str(file)] if file else [])]
    # In a session of its own: Ctrl-C is for the training, which has more to say.
    reader = subprocess.Popen(command, stdin=subprocess.PIPE, start_new_session=True)
    assert reader.stdin
    os.dup2(reader.stdin.fileno(), STDERR)
    reader.stdin.close()
    try:
        with open(console, "w", buffering=1, closefd=False) as shown:
            if _is_standard(sys.stderr):
                with redirect_stderr(shown):
                    yield
            else:
                yield
    finally:
        os.dup2(console, STDERR)
        os.close(console)
        reader.wait()


def _is_standard(stream: object) -> bool:
    """Whether a stream is the process's standard error, and not something that a program put in its place."""
    try:
        return stream.fileno() == STDERR  # type: ignore[attr-defined,no-any-return]
    except (AttributeError, OSError, ValueError):
        return False


def read(lines: BinaryIO, console: BinaryIO, log: BinaryIO | None) -> None:
    """Pass lines on: all of them to `log`, what is not information to `console`, until there are no more.

    Lines without a prefix belong to the one before; those before the first prefix are for the log alone.
    """
    show = False
    for line in lines:
        prefix = PREFIX.match(line)
        if prefix:
            show = prefix[1] != b"I"
            line = prefix[1] + prefix[2] + line[prefix.end() :]
        if show:
            console.write(line)
            console.flush()
        if log is not None:
            log = _write(log, line, console)


def _write(log: BinaryIO, line: bytes, console: BinaryIO) -> BinaryIO | None:
    """Add a line to the log; the log, or None where it takes no more, which is said once."""
    try:
        log.write(line)
        log.flush()
        return log
    except OSError as error:
        console.write(f"{log.name}: {error.strerror}: the log ends here\n".encode())
        console.flush()
        return None


if __name__ == "__main__":
    if sys.argv[1:]:
        with open(sys.argv[1], "ab", buffering=0) as opened:
            read(sys.stdin.buffer, sys.stderr.buffer, opened)
    else:
        read(sys.stdin.buffer, sys.stderr.buffer, None)
