"""The log of a run: what the toolkit and caffe say goes to `train.log`, in the form that log parsers read."""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ..engine import quiet

log = logging.getLogger("fcn")


class _LogFile(logging.FileHandler):
    """A log that ends where the disk is full: a training has more to do than to be written about."""

    full = False

    def emit(self, record: logging.LogRecord) -> None:
        if not self.full:
            super().emit(record)

    def handleError(self, record: logging.LogRecord) -> None:
        self.full = True
        log.warning("%s: %s: the log ends here", self.baseFilename, sys.exc_info()[1])

    def close(self) -> None:
        try:
            super().close()
        except OSError:
            pass  # it has been said


@contextmanager
def log_to(path: Path) -> Iterator[Callable[[str], None]]:
    """Write what is logged to `path`, as glog lines; caffe itself shows warnings only meanwhile.

    Gives a function that adds a line to the file alone.
    """
    file = _LogFile(path)
    file.setFormatter(
        logging.Formatter(
            "%(levelname).1s%(asctime)s.%(msecs)03d000 %(process)d %(filename)s:%(lineno)d] %(message)s",
            "%m%d %H:%M:%S",
        )
    )

    def note(text: str) -> None:
        file.handle(log.makeRecord("fcn", logging.INFO, __file__, 0, text, (), None))

    loggers = [logging.getLogger(name) for name in ("fcn", "surgery", "caffe")]
    with quiet(path):
        for logger in loggers:
            logger.addHandler(file)
        try:
            yield note
        finally:
            for logger in loggers:
                logger.removeHandler(file)
            file.close()
