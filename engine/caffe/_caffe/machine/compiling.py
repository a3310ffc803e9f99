"""Numba functions of this package, each compiled when it is first called, and kept on disk.

What is kept lies under a name made of this package's sources: a changed kernel is never answered with an old
one. The folder is Numba's own choice (`NUMBA_CACHE_DIR`, or the user's cache); where nothing can be written,
each process compiles for itself, and `caffe doctor` says so.
"""

from __future__ import annotations

import gc
import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Lock
from typing import Any, TypeAlias, TypeVar

import numba
import numpy as np
from numba import int64, void
from numba.core.compiler_lock import global_compiler_lock

from ..log import log

Address: TypeAlias = int  #: of memory, in bytes
Array: TypeAlias = "np.ndarray[Any, Any]"

#: Nobody calls the kernels as C would: a wrapper for that would be compiled in vain.
_OPTIONS: dict[str, Any] = {"nogil": True, "error_model": "numpy", "no_cfunc_wrapper": True}

#: How much LLVM does, of 0 to 3. Loops are written as they shall run: more takes time and gains nothing.
LEVEL = 1

#: The signature of a kernel that does a task in pieces: address of its work, number of the piece, address of
#: memory to work in.
PIECE = void(int64, int64, int64)

_F = TypeVar("_F", bound=Callable[..., Any])


def part(function: _F) -> _F:
    """Decorator of what kernels call in several places: compiled once, and a part of each.

    What is called in one place takes less time to compile with `njit(inline="always")`.
    """
    options: dict[str, Any] = {**_OPTIONS, "no_cpython_wrapper": True, "forceinline": True}
    return numba.njit(**options)(function)  # type: ignore[no-any-return]


def compiled(signature: Any) -> Callable[[_F], _F]:
    """Class of decorators: machine code of this signature, without the interpreter's lock while it runs."""

    def declare(function: _F) -> _F:
        return Kernel(function, signature)  # type: ignore[return-value]

    return declare


class Kernel:
    """A function that is compiled for one signature at its first call, by whichever thread comes first."""

    def __init__(self, function: Callable[..., Any], signature: Any) -> None:
        self._function, self._signature = function, signature
        self._code: Callable[..., Any] | None = None
        self._entry: Address = 0
        self._lock = Lock()

    def __call__(self, *args: Any) -> Any:
        return (self._code or self._compiled())(*args)

    @property
    def entry(self) -> Address:
        """Where the machine code begins, for callers that are machine code themselves."""
        if not self._entry:
            code: Any = self._code or self._compiled()
            (made,) = code.overloads.values()
            self._entry = made.library.get_pointer_to_function(made.fndesc.llvm_func_name)
        return self._entry

    def _compiled(self) -> Callable[..., Any]:
        with self._lock:
            if self._code is None:
                self._code = self._made()
            return self._code

    def _made(self) -> Callable[..., Any]:
        folder = cache_folder()
        if folder is not None:
            try:
                return _compile(self._function, self._signature, folder)
            except Exception as error:  # noqa: BLE001 - damaged files raise anything; a mistake of ours comes again
                log.info("compiling anew, what %s keeps cannot be used: %r", folder, error)
                shutil.rmtree(folder, ignore_errors=True)
        return _compile(self._function, self._signature, None)


def cache_folder() -> Path | None:
    """Where compiled code is kept, or None where no folder can be written."""
    for root in (os.environ.get("NUMBA_CACHE_DIR"), _user_cache()):
        if not root:
            continue
        folder = Path(root) / f"caffe-fcn-{_stamp()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()
        except OSError:
            continue
        return folder
    return None


def _user_cache() -> str:
    root = os.environ.get("XDG_CACHE_HOME") or os.path.join(os.path.expanduser("~"), ".cache")
    return os.path.join(root, "numba")


@cache
def _stamp() -> str:
    """A name for the present state of this package's sources; Numba itself asks one file at a time."""
    found = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        found.update(source.read_bytes())
    return found.hexdigest()[:16]


def _compile(function: _F, signature: Any, folder: Path | None) -> _F:
    with global_compiler_lock, _without_collector():  # nobody else compiles
        dispatcher = _declare(function, signature, folder)
        # Numba has its target now, which is for everybody's code.
        level = numba.config.OPT  # type: ignore[attr-defined]  # its names are made when it is loaded
        numba.config.OPT = type(level)(min(LEVEL, int(level)))  # type: ignore[attr-defined]
        try:
            dispatcher.compile(signature)
        finally:
            numba.config.OPT = level  # type: ignore[attr-defined]
    dispatcher.disable_compile()
    return dispatcher  # type: ignore[no-any-return]


def _declare(function: _F, signature: Any, folder: Path | None) -> Any:
    # Pieces are called by `crew`, never by Python.
    options = {**_OPTIONS, "no_cpython_wrapper": signature is PIECE}
    before = numba.config.CACHE_DIR  # type: ignore[attr-defined]
    numba.config.CACHE_DIR = str(folder or before)  # type: ignore[attr-defined]
    try:
        return numba.njit(cache=folder is not None, **options)(function)
    finally:
        numba.config.CACHE_DIR = before  # type: ignore[attr-defined]


@contextmanager
def _without_collector() -> Iterator[None]:
    """Numba makes objects by the hundred thousand, which the garbage collector would look through in vain."""
    runs = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if runs:
            gc.enable()
