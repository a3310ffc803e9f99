"""The folder that an import makes: whole or not at all, and in nobody's place."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from voc_layers.reading import SampleError

from ...outputs import check_folder, making
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
    _recover(out.resolve())
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
    with making(out) as folder:
        yield folder
        _replace(out, folder)


def _replace(out: Path, by: Path) -> None:
    """Put a folder in the place of another one, which is there until the moment that the new one is."""
    if not out.is_dir():
        by.rename(out)
        return
    before = _before(out)
    out.rename(before)
    try:
        by.rename(out)
    except OSError:
        before.rename(out)
        raise
    shutil.rmtree(before, ignore_errors=True)


def _before(out: Path) -> Path:
    """Where a folder lies for the moment in which another one takes its place."""
    return out.with_name(f".{out.name}.before")


def _recover(out: Path) -> None:
    """Put a folder back that lies there since a process was killed in that moment."""
    before = _before(out)
    if before.is_dir() and not out.exists():
        before.rename(out)
    shutil.rmtree(before, ignore_errors=True)
