"""Completion of `fcn` in a shell: a script made once, so that a press of the key starts no Python."""

from __future__ import annotations

import argparse
import importlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import nets

SHELLS = ("bash", "zsh", "tcsh")
#: What stands in a command's help where it takes a model, a file or a folder.
MODEL, FILE, FOLDER = ("ID", "MODEL"), ("FILE", "IMAGE", "RUN", "SRC"), ("DIR",)

IDS = " ".join(nets.MODELS)
#: Functions of bash's script, which are given the word so far.
PREAMBLE = f"""_fcn_models() {{ compgen -W "{IDS}" -- "$1"; }}
_fcn_nets_or_files() {{ _fcn_models "$1"; compgen -f -- "$1"; }}"""
MODELS = {"bash": "_fcn_models", "zsh": f"({IDS})", "tcsh": f"({IDS})"}
MODELS_OR_FILES = {"bash": "_fcn_nets_or_files", "zsh": "_files", "tcsh": "f"}


def script(shell: str, commands: Mapping[str, str]) -> str:
    """The script for one of SHELLS.

    Args:
        commands: name -> what it does; each a module of `fcn.commands` with `arguments(prog)`.

    Raises:
        RuntimeError: the extra `completion` is not installed.
    """
    try:
        import shtab
    except ImportError as error:
        raise RuntimeError("--print-completion needs shtab: pip install 'caffe-fcn[completion]'") from error
    whole = argparse.ArgumentParser(prog="fcn")
    whole.add_argument("--print-completion", choices=SHELLS, help="print a script for the shell")
    below = whole.add_subparsers()
    for name, what in commands.items():
        command = importlib.import_module(f".{name}", __package__).arguments(f"fcn {name}")
        below.add_parser(name, help=what, parents=[command], add_help=False)
    for action in _values(whole):
        if action.choices:
            action.choices = tuple(action.choices)  # shtab takes a mapping for commands
        elif wanted := _completed(action, shtab):
            action.complete = wanted  # type: ignore[attr-defined]  # where shtab looks for it
    return shtab.complete(whole, shell, preamble=PREAMBLE if shell == "bash" else "")


def _values(parser: argparse.ArgumentParser) -> Iterable[argparse.Action]:
    """The arguments that take something, those of commands below too."""
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for below in action.choices.values():
                yield from _values(below)
        elif action.nargs != 0:
            yield action


def _completed(action: argparse.Action, shtab: Any) -> Any:
    """What an argument is completed with, as shtab takes it; None: with nothing."""
    if action.dest == "net" and action.metavar in MODEL:
        return MODELS_OR_FILES
    if action.dest == "model" or action.metavar in MODEL:
        return MODELS
    if action.metavar in FOLDER:
        return shtab.DIRECTORY
    return shtab.FILE if action.type is Path or action.metavar in FILE else None
