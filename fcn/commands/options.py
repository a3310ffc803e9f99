"""What the commands share: options that mean the same everywhere, and how a mistake is told."""

from __future__ import annotations

import argparse
import logging
import os
import re
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

import nets
from nets.arguments import several, whole

from ..engine import PRECISIONS, multiplying, use_device
from ..outputs import told
from ..ranks import ALONE, Team, World
from ..score.scoring import Setting
from ..train import Interrupted

# At run time the class takes no parameter before Python 3.11.
if TYPE_CHECKING:
    _TextHandler = logging.StreamHandler[TextIO]
else:
    _TextHandler = logging.StreamHandler


def parser(prog: str, description: str | None) -> argparse.ArgumentParser:
    """The parser of one command, whose examples in `description` start with `fcn NAME`.

    A script of the root folder calls itself by its own name, in its examples too.
    """
    text = description or ""
    if prog.endswith(".py"):
        text = re.sub(r"^    fcn \w+", f"    python {prog}", text, flags=re.MULTILINE)
    return argparse.ArgumentParser(
        prog=prog, description=text, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_device(to: argparse.ArgumentParser, many: bool = False) -> None:
    """--gpu N or --cpu, as `args.gpu`: a number or None; `many`: numbers (see `gpus`) or None."""
    device = to.add_mutually_exclusive_group()
    if many:
        device.add_argument("--gpu", type=gpus, metavar="N[,N...]", help="train on these GPUs, a process on "
            "each; with torchrun those of this computer, or all")  # fmt: skip
    else:
        device.add_argument("--gpu", type=whole(), metavar="N", help="run on GPU N")
    device.add_argument(
        "--cpu", dest="gpu", action="store_const", const=None, help="run on the CPU (default)"
    )


def gpus(text: str) -> tuple[int, ...]:
    """The type of an option that names GPUs: '0,1,2'; () for 'all', for what torchrun starts."""
    return () if text == "all" else several(whole())(text)


def compute_on(gpu: int | None) -> None:
    """What `add_device` reads, carried out; a RuntimeError that speaks of the option where it cannot be."""
    try:
        use_device(gpu)
    except RuntimeError as error:
        raise RuntimeError(f"--gpu {gpu}: {error}; leave out --gpu to compute on the CPU") from error


def add_precision(to: argparse.ArgumentParser, default: str | None = "float32") -> None:
    """--precision, as `args.precision`: one of `PRECISIONS`."""
    to.add_argument(
        "--precision",
        choices=PRECISIONS,
        default=default,
        help="of what is multiplied (default: float32); the others are for GPUs with tensor cores",
    )


@contextmanager
def computing(gpu: int | None, precision: str) -> Iterator[None]:
    """What `add_device` and `add_precision` read, carried out; the precision of before afterwards.

    Raises:
        RuntimeError: it cannot be; the message speaks of the option.
    """
    compute_on(gpu)
    with entered(multiplying(precision), f"--precision {precision}"):
        yield


@contextmanager
def entered(context: AbstractContextManager[None], option: str) -> Iterator[None]:
    """Inside `context`, which an option asks for; where it cannot be entered, the message speaks of that."""
    with ExitStack() as stack:
        try:
            stack.enter_context(context)
        except RuntimeError as error:
            raise RuntimeError(f"{option}: {error}; leave out {option.split()[0]}") from error
        yield


def add_devices(to: argparse.ArgumentParser) -> None:
    """--gpu N[,N ...], --cpu and --jobs N: on what, and in how many processes; see `settings`, `as_one`."""
    device = to.add_mutually_exclusive_group()
    device.add_argument("--gpu", type=gpus, metavar="N[,N...]", help="run on GPU N; on several, a process on "
        "each; with torchrun those of this computer, or all")  # fmt: skip
    device.add_argument(
        "--cpu", dest="gpu", action="store_const", const=None, help="run on the CPU (default)"
    )
    to.add_argument("--jobs", type=whole(1), metavar="N", help="share the images among N processes")


def settings(args: argparse.Namespace) -> Sequence[Setting]:
    """What `add_devices` and `add_precision` read: in what each process works, see `score`.

    Raises:
        ValueError: several GPUs, each of which has a process, and a number of processes; or all GPUs, which
            only processes that torchrun has started can have.
    """
    if args.gpu == ():
        raise ValueError("--gpu all: it is for processes that torchrun starts; name the GPUs, as in 0,1,2,3")
    gpus = args.gpu or (None,)
    if gpus[1:] and args.jobs is not None:
        raise ValueError("--jobs: several GPUs have a process each; leave out --jobs, or name one GPU")
    return [partial(computing, gpu, args.precision) for gpu in gpus] * (args.jobs or 1)


def as_one(prog: str, args: argparse.Namespace, work: Callable[[Team], int]) -> int:
    """Carry out a command in this process, or as one of those that torchrun has started, which end alike.

    Args:
        args: with what `add_devices` and `add_precision` read; the team computes on it.
        work: given the team, `ALONE` where nothing has started this process.
    """

    def begin() -> int:
        world = World.of()
        if not world.launched:
            return work(ALONE)
        return carry_out(f"{prog}, rank {world.rank} of {world.count}", lambda: in_team(Team(world)))

    def in_team(team: Team) -> int:
        if args.jobs is not None:
            raise ValueError("--jobs: torchrun has started the processes that share the images; leave it out")
        with computing(team.world.device(args.gpu), args.precision):
            team.meet()
            with team.busy("at work on its part"):
                status = work(team)
            return max(team.most([status]))

    return carry_out(prog, begin)


def add_format(to: argparse.ArgumentParser, *others: str) -> None:
    """--format and --json, as `args.format`: text, json, or one of `others`."""
    to.add_argument("--format", choices=("text", "json", *others), default="text", help="what to print")
    short = "for programs: as --format json"
    to.add_argument("--json", dest="format", action="store_const", const="json", help=short)


def add_net(to: argparse.ArgumentParser) -> None:
    """--net and --model: which net weights are for that lie in no run."""
    net = to.add_argument_group("the net")
    net.add_argument("--net", type=Path, metavar="FILE", help="deploy prototxt (default: that of the run)")
    net.add_argument("--model", metavar="ID", help=f"one of {', '.join(nets.MODELS)} (default: the run's)")


def add_class_file(to: argparse.ArgumentParser) -> None:
    """--classes, as `args.classes`: a file with a name a line, or None."""
    to.add_argument(
        "--classes", type=Path, metavar="FILE", help="class names (default: those of the run or the data set)"
    )


#: Signs that would command a terminal: those below a space, but for the ends of lines and tabs, and C1's. And
#: bytes of names that are no UTF-8, as Python holds them: it would not print them.
_NOT_SHOWN = {
    **{code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\n\t"},
    **{0xDC00 + byte: f"\\x{byte:02x}" for byte in range(128, 256)},
}


def plain(text: str) -> str:
    """A text as a terminal may get it: names of files and classes come from others, and may hold anything."""
    return text.translate(_NOT_SHOWN)


class _Console(_TextHandler):
    """Writes to what `sys.stderr` is at that moment: while caffe works, it is another than at the start."""

    def format(self, record: logging.LogRecord) -> str:
        return plain(super().format(record))

    @property
    def stream(self) -> TextIO:
        return sys.stderr

    @stream.setter
    def stream(self, value: TextIO) -> None:
        """There is no other."""


def add_verbosity(to: argparse.ArgumentParser) -> None:
    """-q and -v, as `args.verbosity`: a level of `logging`."""
    level = to.add_mutually_exclusive_group()
    level.add_argument(
        "-q",
        "--quiet",
        dest="verbosity",
        action="store_const",
        const=logging.WARNING,
        default=logging.INFO,
        help="say only what is wrong",
    )
    level.add_argument(
        "-v", "--verbose", dest="verbosity", action="store_const", const=logging.DEBUG, help="say more"
    )


def show_progress(verbosity: int = logging.INFO) -> None:
    """Show on the console what is logged, from the level `verbosity` on."""
    logging.basicConfig(format="%(message)s", handlers=[_Console()])
    logging.getLogger("fcn").setLevel(verbosity)


def carry_out(prog: str, work: Callable[[], int]) -> int:
    """Do a command's work; returns its exit status, and tells a mistake in one message."""
    try:
        status = work()
        sys.stdout.flush()
        return status
    except Interrupted as stop:
        tell(str(stop))
        return stop.status
    except KeyboardInterrupt:
        tell(f"{prog}: interrupted")
        return 128 + signal.SIGINT
    except BrokenPipeError:  # whoever read the output has seen enough; nothing is left to flush at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        tell(f"{prog}: {told(error)}")
        return 1
    except MemoryError as error:
        tell(f"{prog}: not enough memory: {error or 'the computer has none left'}")
        return 1
    except (ValueError, RuntimeError) as error:
        tell(f"{prog}: {error}")
        return 1


def tell(text: str) -> None:
    """A line on the console, if it is still there: at SIGHUP it is not."""
    try:
        print(plain(text), file=sys.stderr, flush=True)
    except OSError:
        pass
