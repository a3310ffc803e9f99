"""What all commands share: how they end, and where their log goes.

A command is a function of its arguments that returns its exit status. Errors end it as they end Caffe's
tools: what is wrong with the command line with status 1, everything else with one FATAL line and the
status of an abort.
"""

from __future__ import annotations

import functools
import getpass
import logging
import os
import socket
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Protocol

from .._caffe.errors import CaffeError, DeviceError
from .._caffe.formats.files import replacing_stream
from .._caffe.log import SEVERITIES, GlogFormatter, log
from .flags import Answer, Value, read
from .usage import Program, answer, misuse

#: What a shell sees of a process that aborted (SIGABRT), as every failed check of Caffe makes it.
ABORTED = 134
_HEADER = """Log file created at: {time}
Running on machine: {host}
Log line format: [IWEF]mmdd hh:mm:ss.uuuuuu threadid file:line] msg
"""

Command = Callable[[Sequence[str]], int]


class Main(Protocol):
    """A command as the outside calls it: with its arguments, or with those of the process."""

    def __call__(self, argv: Sequence[str] | None = None) -> int: ...


def command(body: Command) -> Main:
    """Decorator of a command's `main(argv=None)`: arguments from `sys.argv`, errors to exit statuses."""

    @functools.wraps(body)
    def main(argv: Sequence[str] | None = None) -> int:
        try:
            return body(sys.argv[1:] if argv is None else argv)
        except Answer as given:
            print(given, file=getattr(sys, given.stream))
            return given.status
        except BrokenPipeError:
            # Whoever read our output has seen enough; nothing is left to flush at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return 1
        except (CaffeError, OSError) as error:
            return fatal(error)
        except KeyboardInterrupt:
            return 130

    return main


def fatal(error: BaseException) -> int:
    """Log `error` as a FATAL line from where it was raised; returns the exit status to end with."""
    frames = traceback.extract_tb(error.__traceback__)
    file, line = (os.path.basename(frames[-1].filename), frames[-1].lineno or 0) if frames else ("caffe", 0)
    record = log.makeRecord(log.name, logging.CRITICAL, file, line, "%s", (_said(error),), None)
    log.handle(record)
    return ABORTED


def _said(error: BaseException) -> str:
    """The message of an error; the system's without its number."""
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{os.fspath(error.filename)!r}: {error.strerror}"
    return str(error)


def parse_flags(argv: Sequence[str], program: Program) -> tuple[dict[str, Value], list[str]]:
    """The flags and words of a tool's command line; the logger is set up by its flags.

    Raises:
        Answer: help or the version is asked for, or there is another number of words.
        UsageError: flags that are not known or have no fitting value.
    """
    line = read(argv, program.flags, program.name)
    answer(program, line.values)
    line.check()
    least, most = program.words
    if not least <= len(line.words) <= most:
        raise misuse(program)
    set_up_log(line.values)
    return line.values, line.words


@contextmanager
def mistakes_of_the_user() -> Iterator[None]:
    """ValueError and IndexError, by which functions refuse what was asked for, as errors of the command."""
    try:
        yield
    except (ValueError, IndexError) as error:
        raise CaffeError(str(error)) from error


@contextmanager
def device_wish(wish: str, way_out: str) -> Iterator[None]:
    """A device that is not there, in the words of the command line: what asked for it, and how not to."""
    try:
        yield
    except DeviceError as error:
        raise DeviceError(f"{wish}: {error}; {way_out}") from error


def check_output(path: str, *inputs: str) -> None:
    """Look whether a file can be written, before the work that leads to it.

    Args:
        inputs: what it is made from, and would replace if it were the same file.

    Raises:
        CaffeError: it is a folder or an input, its folder is not there, or one may not write.
    """
    if any(os.path.exists(file) and os.path.exists(path) and os.path.samefile(file, path) for file in inputs):
        raise CaffeError(f"cannot write '{path}': it is read here, and would be replaced")
    folder = os.path.dirname(path) or "."
    if os.path.isdir(path):
        raise CaffeError(f"cannot write '{path}': it is a folder")
    if not os.path.isdir(folder):
        raise CaffeError(f"cannot write '{path}': there is no folder '{folder}'")
    if not os.access(path if os.path.exists(path) else folder, os.W_OK):
        raise CaffeError(f"cannot write '{path}': no permission")


def write_file(path: str, data: bytes) -> None:
    """Write a file, which appears whole or not at all; a pipe or a device that is there gets the bytes.

    Raises:
        CaffeError: it cannot be written.
    """
    check_output(path)
    is_special = os.path.exists(path) and not os.path.isfile(path)
    try:
        with open(path, "wb") if is_special else replacing_stream(path) as file:
            file.write(data)
    except OSError as error:
        raise CaffeError(f"cannot write '{path}': {error.strerror}") from error


def set_up_log(values: Mapping[str, Value]) -> None:
    """Apply the logger's flags: the least severity, and a log file if a folder is named for it."""
    if values["minloglevel"]:
        log.setLevel(SEVERITIES[min(int(values["minloglevel"]), len(SEVERITIES) - 1)])
    folder = str(values["log_dir"] or os.environ.get("GLOG_log_dir", ""))
    to_stderr = values["logtostderr"] or os.environ.get("GLOG_logtostderr", "0") not in ("", "0")
    if folder and not to_stderr:
        _add_log_file(folder)


def _add_log_file(folder: str) -> None:
    """Log to `<program>.<host>.<user>.log.INFO.<time>.<pid>` too, with a link `<program>.INFO` to it."""
    program = os.path.basename(sys.argv[0])
    program = "caffe" if program in ("", "__main__.py", "caffe_command.py") else program
    host, clock = socket.gethostname(), time.strftime("%Y%m%d-%H%M%S")
    name = f"{program}.{host}.{_user()}.log.INFO.{clock}.{os.getpid()}"
    path, link = os.path.join(folder, name), os.path.join(folder, f"{program}.INFO")
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(_HEADER.format(time=time.strftime("%Y/%m/%d %H:%M:%S"), host=host))
        if os.path.islink(link):
            os.unlink(link)
        if not os.path.exists(link):
            os.symlink(name, link)
    except OSError as error:
        log.error("Could not create a log file in '%s': %s", folder, error.strerror)
        return
    handler = logging.FileHandler(path, encoding="utf-8")
    handler.setFormatter(GlogFormatter())
    log.addHandler(handler)


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # no name for this user id, as in many containers
        return "unknown"
