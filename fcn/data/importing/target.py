"""The folder that an import makes: whole or not at all, and in nobody's place."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError

from ...outputs import check_folder
from .report import shown

#: The account of an import, by which its folder is known.
ACCOUNT, ACCOUNT_TEXT = "import.json", "import.txt"
MADE_BY = "fcn data import"


def check_target(source: Path, out: Path, force: bool) -> None:
    """See that the folder may be made.

    Raises:
        SampleError: it is in the source or around it; it holds files, other than those of an earlier
            import that `force` allows to replace.
    """
    check_folder(out)
    inside, around = out.resolve(), source.resolve()
    if inside == around or around in inside.parents or inside in around.parents:
        raise SampleError(f"{out}: expected a folder apart from {source}, which is only read")
    held = sorted(p for p in out.rglob("*") if not p.is_dir()) if out.is_dir() else []
    if not held:
        return
    own = _written(out)
    strange = [path for path in held if path.relative_to(out).as_posix() not in own]
    if strange:
        raise SampleError(
            f"{out}: holds files that no import wrote, {shown(strange[0])} among them; choose another folder"
        )
    if not force:
        raise SampleError(f"{out}: holds an import already; --force replaces it")


def _written(out: Path) -> set[str]:
    """The files that the account of a folder says an import wrote."""
    try:
        account = json.loads((out / ACCOUNT).read_text(encoding="utf-8"))
        if account["made by"] != MADE_BY:
            return set()
        outputs = {name for names in account["outputs"].values() for name in names}
        return outputs | set(account["lists"]) | {ACCOUNT, ACCOUNT_TEXT, "classes.txt"}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return set()


@contextmanager
def staged(out: Path) -> Iterator[Path]:
    """A folder beside `out` to write into, which takes its place at the end; removed if that fails."""
    out = out.resolve()
    out.parent.mkdir(parents=True, exist_ok=True)
    folder = out.with_name(f".{out.name}.{os.getpid()}.part")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    try:
        yield folder
        _replace(out, folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _replace(out: Path, by: Path) -> None:
    """Put a folder in the place of another one, which is there until the moment that the new one is."""
    if not out.is_dir():
        by.rename(out)
        return
    aside = out.with_name(f".{out.name}.{os.getpid()}.old")
    out.rename(aside)
    try:
        by.rename(out)
    except OSError:
        aside.rename(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)
