"""PyTorch's threads in a process that forks.

A fork copies the memory of a process and one of its threads. GNU's OpenMP, which computes for PyTorch,
goes on believing in the threads it had, and a forked process that once computed waits for them for ever.
So they are ended before every fork and started again, in both processes, by the next operation.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from pathlib import Path

import torch

_SOFT = 1  # omp_pause_soft: the number of threads and other settings stay


def survive_forks() -> None:
    """Let forked processes (`os.fork`, `multiprocessing`, `joblib`) compute, with as many threads as here.

    With an OpenMP older than version 5.0, which cannot end its threads, a forked process gets one thread.
    """
    if not hasattr(os, "register_at_fork"):  # Windows never forks
        return
    pause = _omp_pause()
    if pause is None:
        os.register_at_fork(after_in_child=lambda: torch.set_num_threads(1))
    else:
        os.register_at_fork(before=lambda: pause(_SOFT))


def _omp_pause() -> Callable[[int], int] | None:
    """`omp_pause_resource_all` of the OpenMP that PyTorch uses, which acts on the calling thread's team."""
    for library in (Path(torch.__file__).parent / "lib").glob("libtorch_cpu.*"):
        try:
            return ctypes.CDLL(str(library)).omp_pause_resource_all
        except (OSError, AttributeError):
            continue
    return None
