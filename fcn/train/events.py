"""What TensorBoard reads of a run: the rows of its tables as scalars. Needs the extra `tensorboard`."""

from __future__ import annotations

import importlib.util
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..runs import Run, read_rows

log = logging.getLogger("fcn")

#: Adds a row of `curves.csv` ('train') or `scores.csv` ('score').
Recorder = Callable[[str, Mapping[str, Any]], None]
#: Columns that say when, and are no curves.
_PLACES = ("iteration", "images", "seconds")


def need_tensorboard() -> None:
    """Raise ValueError, naming the extra, where tensorboardX is not installed."""
    if importlib.util.find_spec("tensorboardX") is None:
        raise ValueError("--tensorboard needs tensorboardX: pip install 'caffe-fcn[tensorboard]'")


def unrecorded(table: str, row: Mapping[str, Any]) -> None:
    """A Recorder of a run that nobody watches."""


@contextmanager
def recording(run: Run, wanted: bool) -> Iterator[Recorder]:
    """Give what adds rows to the events in `run.events`; where they are not wanted, it does nothing.

    The events are made anew, from the rows that are in the run's tables: those of steps that a resumed run
    repeats are not there twice. A disk that is full ends them and not the training.

    Raises:
        ValueError: tensorboardX is not installed, or a table is damaged.
    """
    if not wanted:
        yield unrecorded
        return
    need_tensorboard()
    file = _EventFile(run.events)
    try:
        for table, path in (("train", run.curves), ("score", run.scores)):
            for row in read_rows(path) if path.is_file() else ():
                file.add(table, row)
        yield file.add
    finally:
        file.close()


class _EventFile:
    """An event file that is written as the rows come; the training waits for no thread of a writer."""

    def __init__(self, folder: Path) -> None:
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        self._event, self._summary, self._writer = Event, Summary, None
        try:
            folder.mkdir(exist_ok=True)
            for old in folder.glob("events.out.tfevents.*"):
                old.unlink()
            self._writer = EventsWriter(str(folder / "events"))
        except OSError as error:
            self._ends(error)

    def add(self, table: str, row: Mapping[str, Any]) -> None:
        """Write the numbers of a row; those that are infinite or none too, as TensorBoard shows them."""
        if self._writer is None:
            return
        values = [
            self._summary.Value(tag=f"{table}/{name}", simple_value=float(value or math.nan))
            for name, value in row.items()
            if name not in _PLACES
        ]
        step = int(row["iteration"])
        event = self._event(wall_time=time.time(), step=step, summary=self._summary(value=values))
        try:
            self._writer.write_event(event)
            self._writer.flush()
        except OSError as error:
            self._ends(error)

    def close(self) -> None:
        """Write what is left."""
        if self._writer is not None:
            try:
                self._writer.close()
            except OSError as error:
                self._ends(error)

    def _ends(self, error: OSError) -> None:
        log.warning("the events for TensorBoard end here: %s", error)
        self._writer = None
