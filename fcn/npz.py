"""NumPy's archives of arrays, `.npz`, of whatever origin: nothing is unpickled, and sizes stay in bounds."""

from __future__ import annotations

import lzma
import struct
import sys
import zipfile
import zlib
from pathlib import Path
from tokenize import TokenError

import numpy as np

#: An archive may unpack to so many times its size; to `FREELY` bytes it always may.
RATIO, FREELY = 20, 1 << 30

#: What `zipfile` and NumPy raise for archives that are damaged. Heads of arrays are read as Python literals.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, EOFError, OSError, RuntimeError,
    LookupError, ValueError, TypeError, OverflowError, MemoryError, SyntaxError, TokenError,
)  # fmt: skip


def read_npz(path: Path) -> dict[str, np.ndarray]:
    """name -> array.

    Raises:
        ValueError: the file is damaged, holds objects, which would have to be unpickled, or claims to unpack
            to far more than such a file can.
        OSError: it cannot be opened.
    """
    with path.open("rb") as file:
        size = path.stat().st_size
        try:
            with zipfile.ZipFile(file) as archive:
                members = archive.infolist()
                _check_size(sum(member.file_size for member in members), size)
                return {member.filename.removesuffix(".npy"): _array(archive, member) for member in members}
        except _DAMAGED as error:
            raise ValueError(
                f"{path}: expected arrays of numbers; the file is cut off or damaged ({size} bytes): {error}"
            ) from error


def _check_size(unpacked: int, size: int) -> None:
    """ValueError for an archive of `size` bytes that holds too many."""
    if unpacked > max(FREELY, RATIO * size):
        raise ValueError(f"it claims to unpack to {unpacked} bytes")


def _array(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> np.ndarray:
    with archive.open(member) as content:
        array: np.ndarray = np.lib.format.read_array(content, allow_pickle=False)
    if array.dtype.kind == "U":
        letters = np.frombuffer(array.tobytes(), np.dtype("u4").newbyteorder(array.dtype.byteorder))
        if (letters > sys.maxunicode).any():  # which would be an error of Python when a text is looked at
            raise ValueError(f"'{member.filename}' holds letters that there are not")
    return array
