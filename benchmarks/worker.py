"""One contestant in a process of its own: `python -m benchmarks.worker CONTESTANT TASK FOLDER`.

TASK is `prepare`, which makes the contestant's files and ends, or what is timed. Then one line of JSON is
written for each line that is read: `first` runs it and keeps the result that is compared, `turn` times some
runs, `memory` is the peak so far. Standard output is the channel: whatever a library prints there goes to
standard error, and a mistake is left to Python, whose last line there says what it was.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from .case import COMPARED, Case, Run
from .memory import peak_bytes
from .peers import CONTESTANTS

#: A turn lasts at least this many seconds, and a run that is shorter is first run once untimed.
TURN = 0.3


def turn(run: Run, image: np.ndarray) -> list[float]:
    """The seconds of each run of one turn."""
    seconds: list[float] = []
    begun = time.perf_counter()
    run(image)
    first = time.perf_counter() - begun
    if first >= TURN:
        return [first]
    while sum(seconds) < TURN:
        begun = time.perf_counter()
        run(image)
        seconds.append(time.perf_counter() - begun)
    return seconds


def first(run: Run, image: np.ndarray, path: Path, steps: int) -> str:
    """Where the result of the first run (the losses of the first `steps`) is kept as float64."""
    results = [np.asarray(run(image), np.float64) for _ in range(steps)]
    np.save(path, np.stack(results) if steps > 1 else results[0])
    return str(path)


def main() -> None:
    """Serve one contestant until standard input ends."""
    name, task, folder = sys.argv[1:]
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    case, contestant = Case.open(Path(folder)), CONTESTANTS[name]
    if task == "prepare":
        contestant.library.prepare(case)
        return

    def say(value: Any) -> None:
        channel.write(json.dumps(value) + "\n")
        channel.flush()

    run, image = contestant.library.load(case, task, contestant.variant), case.read("image")
    say(contestant.library.version())
    for line in sys.stdin:
        if line == "first\n":
            say(first(run, image, case.file(f"{name}.{task}.npy"), COMPARED[task]))
        elif line == "turn\n":
            say(turn(run, image))
        elif line == "memory\n":
            say(peak_bytes())
        else:
            raise ValueError(f"unknown command {line!r}")


if __name__ == "__main__":
    main()
