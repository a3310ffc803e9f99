"""How threads share the pieces of a task without Python: tickets, compiled.

A task is a kernel `void(work, piece, scratch)`. Whoever draws the next number computes that piece. Threads
that find nothing to do spin for a while before they give up: waking them takes as long as a small layer.

The board, int64 each, has what `Board` says and then one address of scratch memory for each thread.
"""

from __future__ import annotations

import os
import platform
from enum import IntEnum
from typing import Any

from llvmlite import ir
from numba import int64, njit, types, void
from numba.core import cgutils

from .compiling import Address, compiled
from .simd import ADDRESS, index_at, operation, put_index


class Board(IntEnum):
    """What is written where. What threads write has a cache line of its own."""

    TICKET = 0  #: the number of the task, and below it that of the next piece
    DONE = 8  #: pieces that are finished
    KERNEL = 16  #: the task
    WORK = 17
    PIECES = 18
    THREADS = 19  #: how many threads may take part
    MORE = 20  #: whether more tasks come at once
    SCRATCH = 24  #: of the first thread


ROW = 3  #: what a list of tasks has for each, int64 each: kernel, work, pieces

_TICKET, _DONE, _KERNEL, _WORK, _PIECES, _THREADS, _MORE, _SCRATCH = (8 * int(place) for place in Board)
_PIECE = 2**32  # above every number of a piece
_CLOSED = _PIECE - 1  # the number of no piece
_TASKS = 2**31 - 1  # numbers of tasks come again after so many
SPINS = 4000  # looks at the board before a thread gives up: a fifth of a millisecond or so

_INT, _POINTER = ir.IntType(64), ir.IntType(8).as_pointer()


def _place(builder: Any, address: Any) -> Any:
    return builder.inttoptr(address, _INT.as_pointer())


def _swapped(builder: Any, address: Any, before: Any, after: Any) -> Any:
    result = builder.cmpxchg(_place(builder, address), before, after, "seq_cst", "seq_cst")
    return builder.zext(builder.extract_value(result, 1), _INT)


def _run(builder: Any, kernel: Any, work: Any, piece: Any, scratch: Any) -> None:
    """Call a kernel as Numba's machine code calls another: status returned, result and error by pointers."""
    kind = ir.FunctionType(ir.IntType(32), [_POINTER.as_pointer()] * 2 + [_INT] * 3)
    nowhere = [cgutils.alloca_once(builder, _POINTER) for _ in range(2)]
    builder.call(builder.inttoptr(kernel, kind.as_pointer()), [*nowhere, work, piece, scratch])


def _pause(builder: Any, _: Any) -> None:
    """Tell the processor that this is a loop that waits."""
    if platform.machine().lower() in ("x86_64", "amd64"):
        kind = ir.FunctionType(ir.VoidType(), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
    elif platform.machine().lower() in ("aarch64", "arm64"):
        kind = ir.FunctionType(ir.VoidType(), [ir.IntType(32)])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.aarch64.hint")
        builder.call(function, [ir.IntType(32)(1)])


def _yield(builder: Any, _: Any) -> None:
    """Let another thread have the processor, if one waits for it."""
    if os.name == "posix":
        kind = ir.FunctionType(ir.IntType(32), [])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, "sched_yield"), [])
    else:
        _pause(builder, _)


_seen = operation(ADDRESS, [ADDRESS], lambda b, address: b.load_atomic(_place(b, address), "seq_cst", 8))
_show = operation(
    types.void,
    [ADDRESS] * 2,
    lambda b, value, address: b.store_atomic(value, _place(b, address), "seq_cst", 8),
)
_swap = operation(ADDRESS, [ADDRESS] * 3, _swapped)
_count = operation(
    ADDRESS, [ADDRESS], lambda b, address: b.atomic_rmw("add", _place(b, address), _INT(1), "seq_cst")
)
_call = operation(types.void, [ADDRESS] * 4, _run)
_wait = operation(types.void, [ADDRESS], _pause)
_step_aside = operation(types.void, [ADDRESS], _yield)


@njit(inline="always")
def _take(board: Address, thread: int) -> bool:
    """Compute a piece; False if there is none to take."""
    ticket = _seen(board + _TICKET)
    piece = ticket % _PIECE
    kernel, work, pieces = index_at(board + _KERNEL), index_at(board + _WORK), index_at(board + _PIECES)
    if piece >= pieces or not _swap(board + _TICKET, ticket, ticket + 1):
        return False
    _call(kernel, work, piece, index_at(board + _SCRATCH + 8 * thread))
    _count(board + _DONE)
    return True


@compiled(void(int64, int64, int64))
def serve(board: Address, thread: int, patience: int) -> None:
    """Take pieces until there were none to take for `patience` looks, and no more come at once."""
    idle = 0
    while idle < patience or _seen(board + _MORE):
        if thread < index_at(board + _THREADS) and _take(board, thread):
            idle = 0
        elif idle < patience:
            _wait(board)
            idle += 1
        else:
            _step_aside(board)


@compiled(int64(int64, int64, int64, int64, int64))
def lead(board: Address, rows: Address, first: int, count: int, threads: int) -> int:
    """Hang tasks out from `first` on, one after another, take pieces of them, wait for the others.

    Returns how many were hung out: `count`, or fewer if of the last one a piece is still at work after some
    time, see `finished`.
    """
    for at in range(first, count):
        row = rows + 8 * ROW * at
        pieces = index_at(row + 16)
        number = (_seen(board + _TICKET) // _PIECE + 1) % _TASKS
        _show(number * _PIECE + _CLOSED, board + _TICKET)
        put_index(index_at(row), board + _KERNEL)
        put_index(index_at(row + 8), board + _WORK)
        put_index(pieces, board + _PIECES)
        put_index(min(threads, pieces), board + _THREADS)
        _show(0, board + _DONE)
        _show(number * _PIECE, board + _TICKET)
        while _seen(board + _TICKET) % _PIECE < pieces:
            _take(board, 0)
        if not _finished(board):
            return at + 1
    return count


@njit(inline="always")
def _finished(board: Address) -> int:
    for _ in range(SPINS):
        if _seen(board + _DONE) == index_at(board + _PIECES):
            return 1
        _wait(board)
    return 0


@compiled(int64(int64))
def finished(board: Address) -> int:
    """1 when every piece is done, 0 after some time in which it was not."""
    return _finished(board)
