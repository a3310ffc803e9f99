"""The log of a run: what the toolkit and caffe say goes to `train.log`, in the form that log parsers read."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..engine import quiet


@contextmanager
def log_to(path: Path) -> Iterator[None]:
    """Write what is logged to `path`, as glog lines; caffe itself shows warnings only meanwhile."""
    file = logging.FileHandler(path)
    file.setFormatter(
        logging.Formatter(
            "%(levelname).1s%(asctime)s.%(msecs)03d000 %(process)d %(filename)s:%(lineno)d] %(message)s",
            "%m%d %H:%M:%S",
        )
    )
    loggers = [logging.getLogger(name) for name in ("fcn", "surgery", "caffe")]
    with quiet():
        for logger in loggers:
            logger.addHandler(file)
        try:
            yield
        finally:
            for logger in loggers:
                logger.removeHandler(file)
            file.close()
