"""Contestants on one case: each in a process of its own, taking turns, held against the float64 run."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np

from .case import Case
from .machine import memory_bytes
from .peers import BVLC, CONTESTANTS, OURS, PEERS

ROOT = Path(__file__).resolve().parents[1]
#: The largest error beside the largest score with which an output still counts as the same.
TOLERANCE = 1e-3
#: Seconds between two turns, in which the threads of the one before stop waiting for work.
PAUSE = 0.3
#: The part of the machine's memory that loaded processes may need together.
_SHARE = 0.75
#: Seconds after which a contestant that does not answer is given up.
LIMIT = 900.0


@dataclass
class Row:
    """What one contestant did with one case.

    Attributes:
        seconds: of each round, the median of its turn.
        error: largest difference from the float64 result, over the largest value of that.
        peak: most memory that its process held, in bytes, loading included.
        reason: why there is no time, or why it does not count; empty for a good row.
    """

    contestant: str
    version: str = ""
    seconds: list[float] = field(default_factory=list)
    error: float | None = None
    peak: int | None = None
    reason: str = ""

    @property
    def median(self) -> float | None:
        """The median over the rounds in seconds; None where the row does not count."""
        return statistics.median(self.seconds) if self.seconds and not self.reason else None


class Failure(Exception):
    """A contestant cannot be run; the message is the reason that its row gives."""


@dataclass(frozen=True)
class Interpreters:
    """The Python of each kind of contestant; a missing one is None.

    `caffe_root` is the folder of a built BVLC Caffe.
    """

    peers: Path
    bvlc: str = "python3"
    caffe_root: Path | None = None

    def command(self, name: str) -> tuple[str, dict[str, str]]:
        """The interpreter that runs the contestant `name`, and the environment it needs.

        Raises:
            Failure: there is no such interpreter.
        """
        kind = CONTESTANTS[name].python
        if kind == BVLC:
            if self.caffe_root is None:
                raise Failure("CAFFE_ROOT names no BVLC Caffe")
            return self.bvlc, {"PYTHONPATH": f"{self.caffe_root / 'python'}:{ROOT}"}
        engine = {"PYTHONPATH": f"{ROOT}:{ROOT / 'engine'}"}
        if kind == PEERS and not self.peers.exists():
            raise Failure(f"no interpreter {self.peers}: `make bench` makes it")
        return sys.executable if kind == OURS else str(self.peers), engine


def environment(threads: int, extra: Mapping[str, str]) -> dict[str, str]:
    """A process's environment: `threads` for every library, no overrides of OpenBLAS, no INFO log."""
    kept = {k: v for k, v in os.environ.items() if k not in ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")}
    pools = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
    return {"GLOG_minloglevel": "1", **kept, **dict.fromkeys(pools, str(threads)), **extra}


def ask(module: str, *arguments: str, threads: int) -> str:
    """What a module of ours prints, run in a process of its own in our interpreter.

    Raises:
        Failure: it ended with an error.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(
        command, cwd=ROOT, env=environment(threads, {}), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise Failure(f"{module} {' '.join(arguments)}: {_last_line(done.stderr)}")
    return done.stdout


class Worker:
    """One contestant's process, loaded.

    Raises:
        Failure: it cannot be started, or ended before it answered.
    """

    def __init__(self, name: str, task: str, case: Case, interpreters: Interpreters) -> None:
        python, extra = interpreters.command(name)
        self._log = case.file(f"{name}.{task}.log")
        self._errors: IO[bytes] = self._log.open("wb")
        extra = {**extra, "TORCHINDUCTOR_CACHE_DIR": str(case.folder.parent / "inductor")}
        self._process = subprocess.Popen(
            [python, "-m", "benchmarks.worker", name, task, str(case.folder)],
            cwd=ROOT, env=environment(case.threads, extra), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._errors,
        )  # fmt: skip
        self.version: str = "" if task == "prepare" else self._answer()

    def ask(self, command: str) -> Any:
        """The answer to `first`, `turn` or `memory`, see `benchmarks.worker`."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(command + "\n")
            self._process.stdin.flush()
        except BrokenPipeError:
            pass  # it has ended: the answer below says how
        return self._answer()

    def _answer(self) -> Any:
        assert self._process.stdout is not None
        late = threading.Timer(LIMIT, self._process.kill)
        late.start()
        line = self._process.stdout.readline()
        late.cancel()
        if not line:
            self.end()
        return json.loads(line)

    def end(self) -> None:
        """End the process; raises Failure if it did not end well."""
        assert self._process.stdin is not None and self._process.stdout is not None
        try:
            self._process.stdin.close()
        except BrokenPipeError:
            pass  # it has ended already
        try:
            status = self._process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            status = self._process.wait()
        self._process.stdout.close()
        self._errors.close()
        if status:
            said = _last_line(self._log.read_text(errors="replace"))
            raise Failure(f"{said} (status {status})" if said else f"ended with status {status}")


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


class Contest:
    """Runs `names` on a case, `rounds` turns each, in turn.

    Processes stay loaded between their turns as long as all together need less than a part of
    the machine's memory; one that does not fit is ended after its turn and loaded anew for the next.
    """

    def __init__(self, case: Case, task: str, interpreters: Interpreters) -> None:
        self._case, self._task, self._interpreters = case, task, interpreters
        self._loaded: dict[str, Worker] = {}
        self._peaks: dict[str, int] = {}

    def run(self, names: Sequence[str], rounds: int) -> list[Row]:
        """One row for each name, in that order; a contestant that fails has the reason in its row."""
        rows = {name: Row(name) for name in names}
        for number in range(rounds + 1):
            for name in [name for name in names if not rows[name].reason]:
                try:
                    self._turn(rows[name], warm_up=number == 0)
                except Failure as failure:
                    rows[name].reason = str(failure)
                    self._loaded.pop(name, None)
        for name in list(self._loaded):
            self._unload(rows[name])
        return list(rows.values())

    def _turn(self, row: Row, warm_up: bool) -> None:
        name = row.contestant
        if warm_up:
            self._qualify(row)
        worker = self._loaded.get(name) or self._load(row)
        time.sleep(PAUSE)
        if not warm_up:
            row.seconds.append(statistics.median(worker.ask("turn")))
        self._peaks[name] = row.peak = max(row.peak or 0, int(worker.ask("memory")))
        if sum(self._peaks[other] for other in self._loaded) > _SHARE * memory_bytes():
            self._unload(row)

    def _qualify(self, row: Row) -> None:
        """Let it make its files; raises Failure if it takes no part in this case."""
        contestant = CONTESTANTS[row.contestant]
        if self._task not in contestant.tasks:
            raise Failure("does not train")
        if self._case.gpu and not contestant.on_gpu:
            raise Failure("runs on the CPU only here")
        Worker(row.contestant, "prepare", self._case, self._interpreters).end()

    def _load(self, row: Row) -> Worker:
        """Load it, and compare what it computes first."""
        worker = Worker(row.contestant, self._task, self._case, self._interpreters)
        self._loaded[row.contestant] = worker
        row.version = worker.version
        found, wanted = np.load(worker.ask("first")), self._case.read(self._task)
        row.error = relative_error(found, wanted)
        if not row.error <= TOLERANCE:
            self._unload(row)
            raise Failure(f"computes something else: error {row.error:.1e} of the largest value")
        return worker

    def _unload(self, row: Row) -> None:
        try:
            self._loaded.pop(row.contestant).end()
        except Failure as failure:
            row.reason = f"after its runs: {failure}"


def relative_error(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the largest value wanted; infinite if the sizes differ.

    Axes of length one do not count: some libraries drop them.
    """
    if found.size != wanted.size or np.squeeze(found).shape != np.squeeze(wanted).shape:
        return float("inf")
    largest = float(np.abs(np.squeeze(found) - np.squeeze(wanted)).max())
    return largest / float(np.abs(wanted).max())
