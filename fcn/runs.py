"""A run is a folder: prototxts, solver, snapshots, log, curves and `run.json`; nothing lies elsewhere."""

from __future__ import annotations

import csv
import io
import json
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

import caffe
from voc_layers.whole import read_whole

from .job import Job
from .outputs import flush, replace_text

CURVES = ("iteration", "images", "loss_per_image", "loss_per_pixel", "images_per_second", "seconds")
WEIGHTS = (".caffemodel", ".caffemodel.h5")
STATES = (".solverstate", ".solverstate.h5")
#: Of run.json: raised when another release could not read it.
VERSION = 1
#: The variable in which a command that starts processes tells them what was typed.
COMMAND = "FCN_COMMAND"


@dataclass(frozen=True)
class Run:
    """The folder of one run and the names of what is in it."""

    path: Path

    @classmethod
    def holding(cls, weights: Path) -> Run | None:
        """The run that a file of weights is a snapshot of; None where it lies elsewhere."""
        return cls(weights.parent.parent) if weights.parent.name == "snapshot" else None

    def make(self) -> Run:
        """Make the folder if it is not there; returns the run."""
        self.prefix.parent.mkdir(parents=True, exist_ok=True)
        return self

    @property
    def solver(self) -> Path:
        return self.path / "solver.prototxt"

    @property
    def prefix(self) -> Path:
        """What snapshot names start with: `<prefix>_iter_<N>.caffemodel`."""
        return self.path / "snapshot" / "train"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def curves(self) -> Path:
        return self.path / "curves.csv"

    @property
    def scores(self) -> Path:
        return self.path / "scores.csv"

    @property
    def picture(self) -> Path:
        """Losses and scores, drawn at the end of a training."""
        return self.path / "curves.png"

    @property
    def events(self) -> Path:
        """The folder of what TensorBoard reads."""
        return self.path / "tensorboard"

    @property
    def info(self) -> Path:
        return self.path / "run.json"

    def net(self, form: str) -> Path:
        """The prototxt of 'train', 'val' or 'deploy'."""
        return self.path / f"{form}.prototxt"

    def snapshots(self, suffixes: tuple[str, ...] = WEIGHTS) -> dict[int, Path]:
        """iteration -> file, ascending; `suffixes` are WEIGHTS or STATES."""
        found = {}
        for path in self.prefix.parent.glob(f"{self.prefix.name}_iter_*"):
            match = re.fullmatch(rf"{re.escape(self.prefix.name)}_iter_(\d+)(\..+)", path.name)
            if match and match[2] in suffixes:
                found[int(match[1])] = path
        return dict(sorted(found.items()))

    def newest(self, suffixes: tuple[str, ...] = WEIGHTS) -> Path | None:
        """The snapshot of the highest iteration, or None."""
        found = self.snapshots(suffixes)
        return found[max(found)] if found else None

    def job(self) -> Job | None:
        """What the run is, as run.json says; None where there is no run.json.

        Raises:
            ValueError: a run.json that is damaged or of another release.
        """
        found = self._read()
        if not found:
            return None
        if found.get("version") != VERSION:
            raise ValueError(
                f"{self.info}: expected version {VERSION}, found {found.get('version', 'none')}: another "
                "release made this run; go on with that one, or rename the folder and train again"
            )
        try:
            job = Job.from_dict(found["job"])
            _ = job.folder, job.inputs, job.labelings  # which may not be what they should be either
            return job
        except (LookupError, TypeError, ValueError, AttributeError, OverflowError) as error:
            raise ValueError(f"{self.info}: not the job of a run: {error!r}") from error

    def launches(self) -> list[dict[str, Any]]:
        """An entry for each start of the solver, in order: see `launch`."""
        return list(self._read().get("launches", []))

    def record(self, job: Job, launch: dict[str, Any]) -> None:
        """Write `run.json`: the job, and one more entry in the list of launches."""
        facts = {"version": VERSION, "job": job.as_dict(), "launches": [*self.launches(), launch]}
        replace_text(self.info, json.dumps(facts, indent=2) + "\n")

    def _read(self) -> dict[str, Any]:
        if not self.info.is_file():
            return {}
        try:
            found = json.loads(read_whole(self.info))
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{self.info}: not JSON: {error}") from error
        return found if isinstance(found, dict) else {"version": "none"}

    def append(self, path: Path, row: dict[str, Any]) -> None:
        """Add a row to a CSV file (`curves` or `scores`), with its header if the file is new.

        Raises:
            OSError: it cannot be written; names the file.
        """
        new = not path.exists()
        try:
            with path.open("a", newline="") as file:
                writer = csv.DictWriter(file, fieldnames=list(row))
                if new:
                    writer.writeheader()
                writer.writerow(row)
        except OSError as error:
            raise OSError(error.errno, error.strerror, str(path)) from error

    def scored(self) -> set[int]:
        """The iterations that have a row in `scores`."""
        return {int(row["iteration"]) for row in read_rows(self.scores)} if self.scores.is_file() else set()

    def best(self) -> int | None:
        """The iteration with the best mean IU (of a classifier, accuracy) so far; None without any."""
        rows = read_rows(self.scores) if self.scores.is_file() else []
        measure = "mean IU" if rows and "mean IU" in rows[0] else "accuracy"
        known = [row for row in rows if row.get(measure) not in (None, "", "nan")]
        return int(max(known, key=lambda row: float(row[measure]))["iteration"]) if known else None

    def add_scores(self, row: dict[str, Any]) -> None:
        """Add a row to `scores`, at its place; see `append`."""
        self.append(self.scores, row)
        rows = sorted(read_rows(self.scores), key=lambda row: int(row["iteration"]))
        self._rewrite(self.scores, rows)

    def rewind(self, iteration: int) -> None:
        """Drop the rows of `curves` and `scores` beyond `iteration`: a resumed run writes them anew."""
        for path in (self.curves, self.scores):
            if path.is_file():
                self._rewrite(path, [row for row in read_rows(path) if int(row["iteration"]) <= iteration])

    def _rewrite(self, path: Path, rows: list[dict[str, str]]) -> None:
        """Replace the rows of a CSV file: it is whole at any time."""
        out = io.StringIO()
        if rows:
            writer = csv.DictWriter(out, fieldnames=list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
        if not rows:
            path.unlink()
        elif out.getvalue().encode() != path.read_bytes():
            replace_text(path, out.getvalue())

    def flush_tables(self) -> None:
        """Have the rows of `curves` and `scores` on the disk: they do not go with the power."""
        for path in (self.curves, self.scores):
            if path.is_file():
                flush(path)

    def tidy(self) -> None:
        """Remove what a process left that was killed while it wrote; nobody else may be at work here."""
        for path in (*self.path.glob(".*.tmp"), *self.prefix.parent.glob(".*.tmp")):
            path.unlink(missing_ok=True)
        for path in self.path.glob("resume-*"):
            shutil.rmtree(path, ignore_errors=True)


def read_rows(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file, as text; without a last one that its writer was killed in.

    Raises:
        ValueError: a file that is no table of iterations.
    """
    try:
        lines = read_whole(path).decode().rpartition("\n")[0]
        rows = list(csv.DictReader(io.StringIO(lines)))
        if any(not row["iteration"].isdigit() for row in rows):
            raise ValueError("a row without its iteration")
    except (ValueError, KeyError, AttributeError, csv.Error) as error:
        raise ValueError(f"{path}: not a table of a training ({error}); rename it to go on") from error
    return rows


def versions() -> dict[str, str]:
    """What ran: Python, NumPy, caffe and where it came from, and the commit of this toolkit if known."""
    facts = {
        "python": platform.python_version(),
        "numpy": np.__version__,
        "caffe": getattr(caffe, "__version__", "unknown"),
        "engine": getattr(caffe, "__engine__", "unknown"),
        "caffe_file": caffe.__file__,
    }
    try:
        head = subprocess.run(
            ["git", "rev-parse", "HEAD"],
            cwd=Path(__file__).parent,
            check=True,
            capture_output=True,
            text=True,
            timeout=10,
        ).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        head = "unknown"
    return {**facts, "commit": head}


def command() -> str:
    """The command line of this process, or of the one that launched it, as one would type it."""
    return os.environ.get(COMMAND) or shlex.join([Path(sys.orig_argv[0]).name, *sys.orig_argv[1:]])


def launch(iteration: int, source: str, data: Mapping[str, Any]) -> dict[str, Any]:
    """The entry of `run.json` for one start of the solver: when, how, from what, on which data, with what."""
    return {
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "from_iteration": iteration,
        "from": source,
        "data": dict(data),
        "versions": versions(),
    }
