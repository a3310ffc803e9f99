"""How threads share the pieces of a task without Python: tickets, compiled.

A task is a kernel `void(work, piece, scratch)`. Each thread has a range of the pieces, draws the next number
of it and computes that piece, so that maps that one layer makes and the next reads stay in the same core's
cache; who is done takes from the others' ranges. Threads that find nothing to do spin for a while before they
give up: waking them takes as long as a small layer.

The board, int64 each, has what `Board` says and then for each thread a line of what `Desk` says.
"""

from __future__ import annotations

import os
import platform
from enum import IntEnum
from typing import Any

from llvmlite import ir
from numba import int64, types, void
from numba.core import cgutils

from .compiling import Address, compiled, part
from .simd import ADDRESS, index_at, operation, put_index


class Board(IntEnum):
    """What is written where. What threads write has a cache line of its own."""

    DONE = 0  #: pieces that are finished
    KERNEL = 8  #: the task
    WORK = 9
    PIECES = 10
    THREADS = 11  #: how many threads take part
    MORE = 12  #: above 0 while more tasks come at once
    DESKS = 16  #: of the first thread


class Desk(IntEnum):
    """What a thread has of its own."""

    TICKET = 0  #: the number of the task, and below it that of the next piece of the thread's range
    SCRATCH = 1  #: the address of memory to work in
    AWAKE = 2  #: whether it looks at the board, or is about to


DESK = 8  # numbers of one
ROW = 3  #: what a list of tasks has for each, int64 each: kernel, work, pieces

_DONE, _KERNEL, _WORK, _PIECES, _THREADS, _MORE, _DESKS = (8 * int(place) for place in Board)
_PIECE = 2**32  # above every number of a piece
_CLOSED = _PIECE - 1  # the number of no piece
_TASKS = 2**31 - 1  # numbers of tasks come again after so many
_SCRATCH, _AWAKE = (8 * int(place) for place in (Desk.SCRATCH, Desk.AWAKE))
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
#: What is written before it is seen before what is written after it.
_fence = operation(types.void, [ADDRESS], lambda b, _: b.fence("seq_cst"))
_call = operation(types.void, [ADDRESS] * 4, _run)
_wait = operation(types.void, [ADDRESS], _pause)
_step_aside = operation(types.void, [ADDRESS], _yield)


#: The address of a thread's desk: (board, thread).
_desk = operation(
    ADDRESS,
    [ADDRESS] * 2,
    lambda b, board, thread: b.add(b.add(board, _INT(_DESKS)), b.mul(thread, _INT(8 * DESK))),
)
#: The first piece of a thread's range, which ends where the next one's begins: (pieces, threads, thread).
_first = operation(
    ADDRESS,
    [ADDRESS] * 3,
    lambda b, pieces, threads, thread: b.sdiv(b.mul(pieces, thread), threads),
)


@part
def _take(board: Address, thread: int) -> bool:
    """Compute a piece; False if there is none to take."""
    present = index_at(board + _THREADS)
    for away in range(present):
        other = (thread + away) % present
        ticket = _seen(_desk(board, other))
        # What is read from here on belongs to the ticket's task, or the ticket is another by now. Fewer
        # threads may share that task than were present: only those have memory for it.
        kernel, work, pieces = index_at(board + _KERNEL), index_at(board + _WORK), index_at(board + _PIECES)
        threads = index_at(board + _THREADS)
        there = max(thread, other) < threads and ticket % _PIECE < _first(pieces, threads, other + 1)
        if there and _swap(_desk(board, other), ticket, ticket + 1):
            _call(kernel, work, ticket % _PIECE, index_at(_desk(board, thread) + _SCRATCH))
            _count(board + _DONE)
            return True
    return False


@compiled(void(int64, int64, int64))
def serve(board: Address, thread: int, patience: int) -> None:
    """Take pieces until there were none to take for `patience` looks, and no more come at once."""
    idle, awake = 0, _desk(board, thread) + _AWAKE
    while True:
        if thread < index_at(board + _THREADS) and _take(board, thread):
            idle = 0
        elif idle < patience:
            _wait(board)
            idle += 1
        elif _seen(board + _MORE):
            _step_aside(board)
        else:
            _show(0, awake)
            # Whoever has said meanwhile that more come either saw this, or is seen here.
            if not _seen(board + _MORE) or not _swap(awake, 0, 1):
                return


@compiled(int64(int64, int64))
def rouse(board: Address, thread: int) -> int:
    """1 if a thread does not look at the board: it is to be woken, and counts as awake."""
    return int(_swap(_desk(board, thread) + _AWAKE, 0, 1))


@compiled(int64(int64, int64, int64, int64, int64))
def lead(board: Address, rows: Address, first: int, count: int, threads: int) -> int:
    """Hang tasks out from `first` on, one after another, take pieces of them, wait for the others.

    Returns how many were hung out: `count`, or fewer if of the last one a piece is still at work after some
    time, see `finished`.
    """
    for at in range(first, count):
        row = rows + 8 * ROW * at
        pieces = index_at(row + 16)
        number = (_seen(_desk(board, 0)) // _PIECE + 1) % _TASKS
        share = min(threads, pieces)
        # All desks that have tickets, and those that are to: no ticket is taken for one of another task.
        for thread in range(max(share, index_at(board + _THREADS))):
            _show(number * _PIECE + _CLOSED, _desk(board, thread))
        _fence(board)
        put_index(index_at(row), board + _KERNEL)
        put_index(index_at(row + 8), board + _WORK)
        put_index(pieces, board + _PIECES)
        put_index(share, board + _THREADS)
        _show(0, board + _DONE)
        for thread in range(share):
            _show(number * _PIECE + _first(pieces, share, thread), _desk(board, thread))
        while _take(board, 0):
            pass
        if not _finished(board):
            return at + 1
    return count


@part
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
