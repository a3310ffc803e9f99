"""Calls of the C library that fail when told to, below one folder (`faults.c`).

As on a disk that is full, damaged, read-only or slow, and as in a process that is killed. Needs a C compiler
and Linux.
"""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

#: What a call ends with, by what is wrong. slow: nothing, after a while; killed: it never does.
KINDS = {
    "full": errno.ENOSPC,
    "damaged": errno.EIO,
    "read-only": errno.EROFS,
    "slow": -1,
    "killed": -2,
}  # fmt: skip
_LIBRARY = "FCN_FAULTS"


def build(folder: Path) -> Path:
    """Compile the library into a folder; needs `cc`."""
    library, source = folder / "faults.so", Path(__file__).with_name("faults.c")
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run(["cc", *flags, "-o", library, source, "-ldl"], check=True)
    return library


def tried(module: str, *words: str) -> list[str]:
    """Run a module of this package with the library loaded; what went wrong, in a line."""
    name = module.rpartition(".")[2]
    if shutil.which("cc") is None or not sys.platform.startswith("linux"):
        print(f"{name}: not tried: needs a C compiler and Linux")
        return []
    with tempfile.TemporaryDirectory() as folder:
        library = str(build(Path(folder)))
        env = {**os.environ, "LD_PRELOAD": library, _LIBRARY: library}
        sys.stdout.flush()
        done = subprocess.run([sys.executable, "-m", module, *words], env=env, check=False)
    return [] if done.returncode == 0 else [f"{name} fails"]


class Faults:
    """What the library shall do, in this process and those forked from it."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(os.environ[_LIBRARY])

    def arm(self, folder: Path, number: int, kind: str, lasts: bool) -> None:
        """From now on call `number` below `folder` fails, and where it `lasts` each after it. 0: none."""
        path = str(folder.resolve()).encode()
        self._library.fault_set(path, ctypes.c_long(number), KINDS[kind], int(lasts))

    def calls(self) -> int:
        """How many there were since."""
        self._library.fault_calls.restype = ctypes.c_long
        return int(self._library.fault_calls())
