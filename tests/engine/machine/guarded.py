"""A plugin of pytest: memory that kernels work in ends where nobody may read or write, at a page of its own.

Who does all the same ends the process: `python -m pytest -p tests.engine.machine.guarded ...`.
"""

from __future__ import annotations

import ctypes
import math
import mmap
from typing import Any

import numpy as np
import torch

_NOBODY = 0  # PROT_NONE


def _guarded(size: int) -> tuple[mmap.mmap, int]:
    """Memory of so many bytes at the end of a mapping, and where in it that begins."""
    room = -(-size // mmap.PAGESIZE) * mmap.PAGESIZE
    memory = mmap.mmap(-1, room + mmap.PAGESIZE)
    start = ctypes.addressof(ctypes.c_char.from_buffer(memory))
    failed = ctypes.CDLL(None, use_errno=True).mprotect(
        ctypes.c_void_p(start + room), ctypes.c_size_t(mmap.PAGESIZE), _NOBODY
    )
    assert not failed, ctypes.get_errno()
    return memory, room - size


def pytest_configure() -> None:
    of_torch, of_numpy = torch.empty, np.empty

    def tensor(*shape: Any, **options: Any) -> torch.Tensor:
        dims = shape[0] if len(shape) == 1 and not isinstance(shape[0], int) else shape
        count = math.prod(dims)
        if options or not count:
            return of_torch(*shape, **options)
        memory, start = _guarded(4 * count)
        return torch.frombuffer(memory, dtype=torch.float32, count=count, offset=start).view(*dims)

    def array(shape: Any, dtype: Any = float, **options: Any) -> np.ndarray:
        if options or not isinstance(shape, int) or not shape or np.dtype(dtype) != np.uint8:
            return of_numpy(shape, dtype, **options)
        memory, start = _guarded(shape)
        return np.frombuffer(memory, np.uint8, shape, start)

    torch.empty, np.empty = tensor, array
