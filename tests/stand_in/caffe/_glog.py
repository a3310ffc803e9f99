"""glog as a process has it that never set it up: every line to file descriptor 2, past Python."""

from __future__ import annotations

import logging
import os
import time
from typing import NoReturn


def line(letter: str, place: str, text: str) -> None:
    """One message, with the prefix of glog 0.6, which has the year."""
    now = time.time()
    stamp = f"{time.strftime('%Y%m%d %H:%M:%S', time.localtime(now))}.{int(now % 1 * 1e6):06d}"
    os.write(2, f"{letter}{stamp} {os.getpid():5d} {place}] {text}\n".encode())


def log(message: str) -> None:
    """pycaffe's `caffe.log`."""
    line("I", "_caffe.cpp:67", message)


def fatal(text: str) -> NoReturn:
    """What a failed CHECK does."""
    line("F", "net.cpp:1", f"Check failed: {text}")
    os.write(2, b"*** Check failure stack trace: ***\n    @     0x7f7f7f7f7f7f  google::LogMessage::Fail()\n")
    os.abort()


def set_up() -> None:
    """Let what the engine logs come out of glog: Python's logger `caffe` has no handler here."""

    def through_glog(record: logging.LogRecord) -> bool:
        letter = {"INFO": "I", "DEBUG": "I", "WARNING": "W", "ERROR": "E"}.get(record.levelname, "F")
        line(letter, f"{record.module}.cpp:{record.lineno}", record.getMessage())
        return False

    logger = logging.getLogger("caffe")
    logger.handlers.clear()
    logger.addFilter(through_glog)
