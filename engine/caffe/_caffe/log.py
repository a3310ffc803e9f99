"""The engine's logger: Python's ``logging``, written as glog lines so that log parsers keep working.

glog's prefix is ``I<MMDD> HH:MM:SS.uuuuuu <thread> <file>:<line>] ``. ``GLOG_minloglevel`` (0 info to
3 fatal) is honoured as glog does, when `caffe` is imported. A program quiets the engine through it, through
`caffe.init_log`, or through `logging.getLogger("caffe")`; all of these work before anything is computed.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

from .errors import CaffeError

log = logging.getLogger("caffe")

#: glog severities 0..3 as levels of ``logging``.
SEVERITIES = (logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL)
_initialised = False


class GlogFormatter(logging.Formatter):
    """One glog line per line of the message."""

    def format(self, record: logging.LogRecord) -> str:
        letter = {"INFO": "I", "DEBUG": "I", "WARNING": "W", "ERROR": "E"}.get(record.levelname, "F")
        clock = time.strftime("%m%d %H:%M:%S", time.localtime(record.created))
        micros = int(record.created % 1 * 1e6)
        thread = threading.get_native_id() % 100000
        prefix = f"{letter}{clock}.{micros:06d} {thread:5d} {record.filename}:{record.lineno}] "
        text = record.getMessage()
        if record.exc_info:
            text += "\n" + self.formatException(record.exc_info)
        return prefix + text


if TYPE_CHECKING:
    _StreamHandler = logging.StreamHandler[TextIO]
else:
    _StreamHandler = logging.StreamHandler


class _StderrHandler(_StreamHandler):
    """Writes to whatever ``sys.stderr`` is at that moment."""

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        pass


@contextmanager
def quiet() -> Iterator[None]:
    """Only warnings and errors of the engine are logged while somebody is inside."""

    def is_loud(record: logging.LogRecord) -> bool:
        return record.levelno >= logging.WARNING

    log.addFilter(is_loud)
    try:
        yield
    finally:
        log.removeFilter(is_loud)


def set_up_log() -> None:
    """Let the logger write to stderr, unless the program gave it handlers already; `import caffe` does it."""
    if log.handlers:
        return
    handler = _StderrHandler()
    handler.setFormatter(GlogFormatter())
    log.addHandler(handler)
    log.propagate = False
    level = os.environ.get("GLOG_minloglevel", "0")
    log.setLevel(SEVERITIES[min(int(level), 3)] if level.isdigit() else logging.INFO)


def init_log(level: int = 0, stderr: bool = True) -> None:
    """Set the least severity shown (0 INFO to 3 FATAL) and whether the log goes to stderr.

    Raises:
        TypeError: `level` is not an int.
        CaffeError: called a second time (glog refuses that too), or no such level.
    """
    global _initialised
    if not isinstance(level, int):
        raise TypeError(f"init_log(level): an int from 0 to 3 is needed, not {type(level).__name__}")
    if not 0 <= level < len(SEVERITIES):
        raise CaffeError(f"init_log: level {level} is not one of 0 INFO, 1 WARNING, 2 ERROR, 3 FATAL")
    if _initialised:
        raise CaffeError("init_log: the log is initialised already; call it once per process")
    _initialised = True
    log.setLevel(SEVERITIES[level])
    if not stderr:
        log.handlers[:] = [logging.NullHandler()]


def log_message(message: str) -> None:
    """Write one INFO line (pycaffe's ``caffe.log``)."""
    if not isinstance(message, str):
        raise TypeError(f"log(message): a str is needed, not {type(message).__name__}")
    log.info("%s", message)
