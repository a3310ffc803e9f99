"""``parse_log LOG OUTDIR``: a training log, Caffe's or ours, to the tables LOG.train and LOG.test.

The columns are NumIters, Seconds (since the line "Solving"), LearningRate and the network's outputs, by
name. Of an output with several elements the first has its name, the others `name#2` and so on by their
number in the log; the outputs of test nets after the first are `net1.name` and so on.
"""

from __future__ import annotations

import argparse
import csv
import datetime
import io
import math
import os
import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from .._caffe.errors import CaffeError
from .command import command, write_file

Row = dict[str, float]

_PREFIX = re.compile(r"[IWEF](\d{4})?(\d\d)(\d\d) (\d\d):(\d\d):(\d\d)(?:\.(\d{1,6}))?")
_ITERATION = re.compile(r"Iteration (\d+)")
_RATE = re.compile(r"lr = ([-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)")
_TESTING = re.compile(r"Testing net \(#(\d+)\)")
_OUTPUT = re.compile(
    r"(Train|Test) net output #(\d+): (\S+) = ([-+]?(?:(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?|nan|inf))"
)


@command
def main(argv: Sequence[str]) -> int:
    """Write the tables of a log.

    Raises:
        CaffeError: the log has no line "Solving", so no training begins in it.
    """
    parser = argparse.ArgumentParser("parse_log", description="A training log to two tables (CSV).")
    parser.add_argument("logfile_path", help="the log")
    parser.add_argument("output_dir", help="folder for <log>.train and <log>.test")
    parser.add_argument("--verbose", action="store_true", help="print what is written")
    parser.add_argument("--delimiter", default=",", help="column separator (default: a comma)")
    args = parser.parse_args(argv)
    if len(args.delimiter) != 1:
        parser.error(f"--delimiter is one character, not '{args.delimiter}'")
    if not os.path.isdir(args.output_dir):
        raise CaffeError(f"there is no folder '{args.output_dir}' to write the tables into")
    base = os.path.join(args.output_dir, os.path.basename(args.logfile_path))
    for rows, kind in zip(parse_log(args.logfile_path), ("train", "test")):
        if not rows:
            if args.verbose:
                print(f"Not writing {base}.{kind}: the log has no such lines")
            continue
        _write(f"{base}.{kind}", rows, args.delimiter)
        if args.verbose:
            print(f"Wrote {base}.{kind}")
    return 0


def _write(path: str, rows: Sequence[Row], delimiter: str) -> None:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    table = io.StringIO(newline="")
    writer = csv.DictWriter(table, columns, delimiter=delimiter)
    writer.writeheader()
    writer.writerows(rows)
    write_file(path, table.getvalue().encode())


def parse_log(path: str) -> tuple[list[Row], list[Row]]:
    """The rows of the training table and of the test table.

    Raises:
        CaffeError: the log has no line "Solving". OSError: it cannot be read.
    """
    # glog's time stamps have no year: it is taken from the file, for the sake of leap days.
    clock = _Clock(datetime.datetime.fromtimestamp(os.path.getmtime(path)).year)
    with open(path, encoding="utf-8", errors="replace") as file:
        for line in file:
            if "Solving" in line and (begun := clock.read(line)):
                return _rows(file, clock, begun)
    raise CaffeError(f"'{path}': no line with a time stamp says 'Solving': is it the log of a training?")


class _Clock:
    """Reads the time stamps of successive lines; a month that goes back is the next year's."""

    def __init__(self, year: int) -> None:
        self._year, self._month = year, 0

    def read(self, line: str) -> datetime.datetime | None:
        """The line's time; None if it has no time stamp."""
        found = _PREFIX.match(line)
        if not found:
            return None
        year, month, day, hour, minute, second, micros = found.groups()
        if int(month) < self._month and not year:
            self._year += 1
        self._month = int(month)
        try:
            return datetime.datetime(
                int(year or self._year), int(month), int(day), int(hour), int(minute), int(second),
                int((micros or "0").ljust(6, "0")),
            )  # fmt: skip
        except ValueError:
            return None


@dataclass
class _Table:
    """Rows of one kind; a row ends where another iteration begins."""

    rows: list[Row] = field(default_factory=list)
    numbers: set[tuple[str, str]] = field(default_factory=set)

    def add(self, head: Row, net: str, number: str, name: str, value: float) -> None:
        """Take one output line; `head` has the columns that every row begins with."""
        again = (net, number) in self.numbers
        if not self.rows or self.rows[-1]["NumIters"] != head["NumIters"] or again:
            self.rows.append(head)
            self.numbers.clear()
        self.numbers.add((net, number))
        column = name if net == "0" else f"net{net}.{name}"
        self.rows[-1][f"{column}#{number}" if column in self.rows[-1] else column] = value

    def finish(self) -> list[Row]:
        """The rows. The first knows no rate yet and takes the second's; a last one cut short is dropped."""
        rows = self.rows
        if len(rows) > 1:
            rows[0]["LearningRate"] = rows[1]["LearningRate"]
            if len(rows[-1]) < len(rows[0]):
                rows.pop()
        return rows


def _rows(lines: Iterable[str], clock: _Clock, begun: datetime.datetime) -> tuple[list[Row], list[Row]]:
    tables = {"Train": _Table(), "Test": _Table()}
    iteration, rate, net = -1, math.nan, "0"
    for line in lines:
        time = clock.read(line)
        if time is None:
            continue
        if found := _ITERATION.search(line):
            iteration = int(found[1])
        if found := _TESTING.search(line):
            net = found[1]
        if found := _RATE.search(line):
            rate = float(found[1])
        if (found := _OUTPUT.search(line)) and iteration >= 0:
            kind, number, name, value = found.groups()
            seconds = (time - begun).total_seconds()
            head = {"NumIters": float(iteration), "Seconds": seconds, "LearningRate": rate}
            tables[kind].add(head, net if kind == "Test" else "0", number, name, float(value))
    return tables["Train"].finish(), tables["Test"].finish()


if __name__ == "__main__":
    sys.exit(main())
