"""Reading inputs in forked processes, and what counts as an escape.

A reader may return, or raise one of our errors: an exception of a class that the docstrings of readers
name, raised by a line of this project, with a message that names the file. Everything else is an escape:
other exceptions, a process that dies, and one that needs more than `SECONDS` or `ROOM`.
"""

from __future__ import annotations

import json
import mmap
import os
import random
import resource
import signal
import struct
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import caffe
from fcn.data.importing import Unconfirmed
from fcn.fetching.archive import ArchiveError
from voc_layers.matfile import MatError
from voc_layers.reading import SampleError

from . import targets
from .formats import Format

ROOT = Path(__file__).resolve().parents[2]
#: Of processor time for one input; of waiting, which counts for what is stuck.
SECONDS, STUCK = 20, 300
#: Bytes of memory that reading may take beyond what the process has: Pillow's limit for images is 1 GiB.
ROOM = 3 << 30
#: Inputs that one process reads.
BATCH = 500

#: What readers raise; subclasses of ValueError such as UnicodeDecodeError are not among it.
REFUSALS = (ValueError, SampleError, MatError, ArchiveError, Unconfirmed)


class Escape(NamedTuple):
    """An input that ended in something else. what: one line. trace: where, as far as that is known."""

    format: str
    number: int
    what: str
    trace: str


def made(form: Format, corpus: list[bytes], seed: int, index: int) -> bytes:
    """Input `index` of a format; the first are the files of the corpus themselves."""
    if index < len(corpus):
        return corpus[index]
    return form.vary(random.Random(f"{seed} {form.name} {index}"), corpus)


def escapes(form: Format, corpus: list[bytes], seed: int, numbers: range, folder: Path) -> Iterator[Escape]:
    """Read the inputs of these numbers in `folder`."""
    at = numbers.start
    while at < numbers.stop:
        part = range(at, min(at + BATCH, numbers.stop))
        found, at = _process(form, corpus, seed, part, folder)
        yield from found


def _process(
    form: Format, corpus: list[bytes], seed: int, part: range, folder: Path
) -> tuple[list[Escape], int]:
    """What one process finds, and the number to go on from."""
    notes = folder / "escapes.txt"
    notes.write_text("")
    place = mmap.mmap(-1, 8)
    sys.stdout.flush()
    child = os.fork()
    if not child:
        _read_all(form, corpus, seed, part, folder, notes, place)
    _, status = os.waitpid(child, 0)
    found = [Escape(*json.loads(line)) for line in notes.read_text().splitlines()]
    if status == 0:
        return found, part.stop
    (index,) = struct.unpack("q", place[:])
    killed = os.WIFSIGNALED(status)
    end = f"signal {signal.Signals(os.WTERMSIG(status)).name}" if killed else "an exit of the process"
    return [*found, Escape(form.name, index, end, "")], index + 1


def _read_all(  # noqa: PLR0913
    form: Format, corpus: list[bytes], seed: int, part: range, folder: Path, notes: Path, place: mmap.mmap
) -> NoReturn:
    """What the child does. place: where its parent sees which input it is at."""
    status = 1
    try:
        _limit(folder)
        for index in part:
            place[:] = struct.pack("q", index)
            _one(form, made(form, corpus, seed, index), index, notes)
        status = 0
    except BaseException:  # noqa: BLE001  said to the parent
        _note(notes, Escape(form.name, part.start, "the trial itself fails", traceback.format_exc()))
    finally:
        os._exit(status)


def _note(notes: Path, escape: Escape) -> None:
    with notes.open("a") as file:
        file.write(json.dumps(escape) + "\n")


def _limit(folder: Path) -> None:
    """Make this process one that reads inputs: limits, and nothing of what is said is shown."""
    os.chdir(folder)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + ROOM,) * 2)
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 30,) * 2)
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, 1)
    os.dup2(null, 2)
    warnings.simplefilter("ignore")


def _one(form: Format, data: bytes, index: int, notes: Path) -> None:
    """Read one input by each reader, and note the escapes."""
    path = Path(form.file).absolute()
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    for read in form.readers:
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, STUCK)
        try:
            read(path)
        except (Exception, SystemExit) as error:  # noqa: BLE001  the question is which
            if what := _strange(form, path, error):
                trace = "".join(traceback.format_exception(error))
                _note(notes, Escape(form.name, index, f"{read.__name__}: {what}", trace))
        targets.clean()
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.setitimer(signal.ITIMER_REAL, 0)


def _strange(form: Format, path: Path, error: BaseException) -> str:
    """Why this is not one of our errors; '' if it is."""
    kind: Any = type(error)
    what = f"{kind.__name__}: {str(error)[:200]!r}"
    if not (issubclass(kind, caffe.CaffeError) or kind in REFUSALS):
        return what
    frames = traceback.extract_tb(error.__traceback__)
    if not Path(frames[-1].filename).is_relative_to(ROOT) or ".venv" in frames[-1].filename:
        return f"{what}, which a library raised"
    if form.named and path.name not in str(error):
        return f"{what}, which does not name the file"
    return ""
