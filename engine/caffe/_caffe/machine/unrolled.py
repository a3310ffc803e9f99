"""Kernels with their loops written out, so that what must stay in registers does: products, transforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils, types

from . import emit
from .emit import FLOAT, INT, ITEM, LANES, VECTOR
from .simd import ADDRESS, operation

#: What `product` makes at a time: rows, and vectors of columns. They fill the registers, two loads aside.
ROWS, VECTORS = (12, 2) if LANES == 16 else (6, 2)
#: Columns that `product` makes at a time.
COLUMNS = VECTORS * LANES


def _product(rows: int) -> Any:
    """C (rows x COLUMNS) = A (rows x depth) B (depth x COLUMNS), or C += A B.

    Arguments: addresses of A, B, C; how many numbers apart are A's rows and the steps of its depth, the
    steps of B's depth, the rows of C; the depth; 0, or 1 to add to what C holds; an address that is read
    soon, and how many bytes of what follows it, two cache lines at most, each step of the depth asks for.
    """

    def write(builder: Any, a: Any, b: Any, c: Any, *rest: Any) -> None:
        *steps, depth, adds, soon, pace = rest
        row_a, deep_a, deep_b, row_c = (builder.mul(step, INT(ITEM)) for step in steps)
        sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(VECTORS)] for _ in range(rows)]
        rows_c = [builder.add(c, builder.mul(row_c, INT(row))) for row in range(rows)]
        places = [[emit.plus(builder, row, LANES * v) for v in range(VECTORS)] for row in rows_c]
        flat = [pair for row in zip(sums, places) for pair in zip(*row)]
        with builder.if_else(builder.icmp_signed("!=", adds, INT(0))) as (going_on, starting):
            with going_on:
                for total, place in flat:
                    builder.store(emit.load(builder, place), total)
            with starting:
                for total, _ in flat:
                    builder.store(emit.constant(0.0), total)
        rows_a = [builder.mul(row_a, INT(row)) for row in range(rows)]
        with cgutils.for_range(builder, depth) as loop:
            left = builder.add(a, builder.mul(loop.index, deep_a))
            right = builder.add(b, builder.mul(loop.index, deep_b))
            asked = builder.add(soon, builder.mul(loop.index, pace))
            _ask(builder, asked)
            _ask(builder, builder.add(asked, INT(emit.LINE)))
            columns = [emit.load(builder, emit.plus(builder, right, LANES * v)) for v in range(VECTORS)]
            for row, total_row in zip(rows_a, sums):
                factor = emit.spread(builder, emit.load(builder, builder.add(left, row), FLOAT))
                for column, total in zip(columns, total_row):
                    builder.store(emit.fma(builder, factor, column, builder.load(total)), total)
        for total, place in flat:
            emit.store(builder, builder.load(total), place)

    return operation(types.void, [ADDRESS] * 11, write)


def _ask(builder: Any, address: Any) -> None:
    """Have the cache line at an address brought to the second cache; where there is no memory, nothing."""
    kinds = [FLOAT.as_pointer(), ir.IntType(32), ir.IntType(32), ir.IntType(32)]
    kind = ir.FunctionType(ir.VoidType(), kinds)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hints = [ir.IntType(32)(number) for number in (0, 2, 1)]  # to read, moderate locality, data
    builder.call(function, [builder.inttoptr(address, FLOAT.as_pointer()), *hints])


#: Rows that the smaller product makes at a time; ROWS is a multiple of it.
FEW = ROWS // 3
#: The product of ROWS rows, and that of FEW for what is left.
product, product_of_few = _product(ROWS), _product(FEW)


#: What `product_at` makes at a time; maps halved from 224 are multiples of the 7 and 14 rows.
PIXELS, FEW_PIXELS = (14, 7) if LANES == 16 else (6, 3)


def _product_at(rows: int, vectors: int) -> Any:
    """Rows of A, each where a list of addresses says, times B (depth x COLUMNS), to rows of C.

    Of B's columns the first `vectors` vectors count. A row of A lies in `taps` pieces of `deep` numbers. What
    is made is scaled and shifted per column, then a number of a third matrix is added, then it is rectified.

    Arguments: addresses of the pieces, PIXELS for the first, as many for the second, ...; taps; deep; B;
    the rows of C, in bytes from the address that is next; C's; scale; shift; what to multiply negative
    results with (1: nothing); where the third matrix is, its rows as far apart as C's, or 0; an address that
    is read soon, and how many bytes of what follows it each step of the depth asks the memory for.
    """

    def write(builder: Any, pieces: Any, taps: Any, deep: Any, b: Any, places: Any, *rest: Any) -> None:
        c, scale, shift, slope, third, soon, pace = rest
        sums = [[cgutils.alloca_once(builder, VECTOR) for _ in range(vectors)] for _ in range(rows)]
        right, asked = cgutils.alloca_once(builder, INT), cgutils.alloca_once(builder, INT)
        builder.store(b, right)
        builder.store(soon, asked)
        flat = [(row, v) for row in range(rows) for v in range(vectors)]
        for row, v in flat:
            builder.store(emit.constant(0.0), sums[row][v])
        with cgutils.for_range(builder, taps) as tap:
            list_ = builder.add(pieces, builder.mul(tap.index, INT(8 * PIXELS)))
            starts = [emit.load_index(builder, builder.add(list_, INT(8 * row))) for row in range(rows)]
            with cgutils.for_range(builder, deep) as loop:
                along = builder.mul(loop.index, INT(ITEM))
                line = builder.load(right)
                columns = [emit.load(builder, emit.plus(builder, line, LANES * v)) for v in range(vectors)]
                builder.store(emit.plus(builder, line, LANES * VECTORS), right)
                _ask(builder, builder.load(asked))
                builder.store(builder.add(builder.load(asked), pace), asked)
                for row, start in enumerate(starts):
                    factor = emit.spread(builder, emit.load(builder, builder.add(start, along), FLOAT))
                    for v, column in enumerate(columns):
                        total = builder.load(sums[row][v])
                        builder.store(emit.fma(builder, factor, column, total), sums[row][v])
        by = [emit.load(builder, emit.plus(builder, scale, LANES * v)) for v in range(vectors)]
        plus = [emit.load(builder, emit.plus(builder, shift, LANES * v)) for v in range(vectors)]
        for row, v in flat:
            builder.store(emit.fma(builder, builder.load(sums[row][v]), by[v], plus[v]), sums[row][v])
        offsets = [emit.load_index(builder, builder.add(places, INT(8 * row))) for row in range(rows)]
        with builder.if_then(builder.icmp_signed("!=", third, INT(0))):
            for row, v in flat:
                other = emit.load(builder, emit.plus(builder, builder.add(third, offsets[row]), LANES * v))
                builder.store(builder.fadd(builder.load(sums[row][v]), other), sums[row][v])
        slopes = emit.spread(builder, slope)
        for row, v in flat:
            value = emit.rectified(builder, builder.load(sums[row][v]), slopes)
            emit.store(builder, value, emit.plus(builder, builder.add(c, offsets[row]), LANES * v))

    kinds = [ADDRESS] * 8 + [types.float32] + [ADDRESS] * 3
    return operation(types.void, kinds, write)


#: The product of PIXELS rows, that of FEW_PIXELS for what is left, that of half of the columns.
product_at, product_at_few = _product_at(PIXELS, VECTORS), _product_at(FEW_PIXELS, VECTORS)
product_at_half = _product_at(PIXELS, 1)


# ---- transforms of tiles -----------------------------------------------------------------------------------

Matrix = Sequence[Sequence[float]]


def _combine(builder: Any, matrix: Matrix, values: Sequence[Any]) -> list[Any]:
    """Each row of `matrix` times the vectors `values`.

    Rows (or columns) of opposite points differ in the signs of every other number: what they share is
    computed once.
    """
    if _columns_pair(matrix):
        first, *rest = values
        mixed = [first]
        for a, b in zip(rest[::2], rest[1::2]):
            mixed += [builder.fadd(a, b), builder.fsub(a, b)]
        mixed += rest[len(rest) // 2 * 2 :]
        halves = [_unpaired(row) for row in matrix]
        return [_row(builder, row, mixed) for row in halves]
    made: list[Any] = []
    for number, row in enumerate(matrix):
        before = matrix[number - 1] if number else row
        if number and len(made) == number and _opposite(before, row):
            even = _row(builder, [(a + b) / 2 for a, b in zip(before, row)], values)
            odd = _row(builder, [(a - b) / 2 for a, b in zip(before, row)], values)
            made[-1:] = [builder.fadd(even, odd), builder.fsub(even, odd)]
        else:
            made.append(_row(builder, row, values))
    return made


def _opposite(first: Sequence[float], second: Sequence[float]) -> bool:
    same = [a == b for a, b in zip(first, second) if a or b]
    return list(map(abs, first)) == list(map(abs, second)) and any(same) and not all(same)


def _columns_pair(matrix: Matrix) -> bool:
    """Whether columns 1 and 2, 3 and 4, ... differ in signs only (a last one may stand alone)."""
    columns = list(zip(*matrix))
    pairs = list(zip(columns[1::2], columns[2::2]))
    return len(columns) > len(matrix) and all(list(map(abs, a)) == list(map(abs, b)) for a, b in pairs)


def _unpaired(row: Sequence[float]) -> list[float]:
    """`row` for the sums and differences of paired columns."""
    found = [row[0]]
    for a, b in zip(row[1::2], row[2::2]):
        found += [(a + b) / 2, (a - b) / 2]
    return found + list(row[len(row) - (len(row) - 1) % 2 :] if (len(row) - 1) % 2 else [])


def _row(builder: Any, row: Sequence[float], values: Sequence[Any]) -> Any:
    terms = sorted(
        ((c, v) for c, v in zip(row, values) if c), key=lambda term: abs(term[0]) != 1 or term[0] < 0
    )
    if not terms:
        return emit.constant(0.0)
    (first, value), *rest = terms
    total = value if first == 1 else builder.fmul(value, emit.constant(first))
    for number, value in rest:
        if abs(number) == 1:
            total = builder.fadd(total, value) if number == 1 else builder.fsub(total, value)
        else:
            total = emit.fma(builder, value, emit.constant(number), total)
    return total


def _sandwich(builder: Any, matrix: Matrix, tile: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """matrix x tile x its transpose."""
    columns = [_combine(builder, matrix, column) for column in zip(*tile)]
    return [_combine(builder, matrix, row) for row in zip(*columns)]


def transform_in(matrix: Matrix) -> Any:
    """The intrinsic that reads m x m pixels and writes their transform by an n x m matrix.

    Arguments: address of the first channel; addresses of m row and m column offsets (in numbers); where
    the first of the n x n results goes, and how many numbers they are apart.
    """
    size = len(matrix[0])

    def write(builder: Any, source: Any, rows: Any, columns: Any, target: Any, apart: Any) -> None:
        four = INT(ITEM)
        starts = [
            builder.add(source, builder.mul(emit.load_index(builder, builder.add(rows, INT(8 * i))), four))
            for i in range(size)
        ]
        steps = [
            builder.mul(emit.load_index(builder, builder.add(columns, INT(8 * j))), four) for j in range(size)
        ]
        tile = [[emit.load(builder, builder.add(start, step)) for step in steps] for start in starts]
        apart = builder.mul(apart, four)
        for row in _sandwich(builder, matrix, tile):
            for value in row:
                emit.store(builder, value, target)
                target = builder.add(target, apart)

    return operation(types.void, [ADDRESS] * 5, write)


def transform_out(matrix: Matrix) -> Any:
    """The intrinsic that turns n x n products into m x m results, times a scale, plus a shift, rectified.

    Arguments: address of the first product, and how many numbers they are apart; where the results go, one
    after another; addresses of scale and shift; what to multiply negative results with (1: nothing).
    """

    def write(builder: Any, source: Any, apart: Any, target: Any, scale: Any, shift: Any, slope: Any) -> None:
        size = len(matrix[0])
        apart = builder.mul(apart, INT(ITEM))
        tile = []
        for _ in range(size):
            row = []
            for _ in range(size):
                row.append(emit.load(builder, source))
                source = builder.add(source, apart)
            tile.append(row)
        scale, shift, slope = (
            emit.load(builder, scale),
            emit.load(builder, shift),
            emit.spread(builder, slope),
        )
        for row in _sandwich(builder, matrix, tile):
            for value in row:
                emit.store(
                    builder, emit.rectified(builder, emit.fma(builder, value, scale, shift), slope), target
                )
                target = emit.plus(builder, target, LANES)

    return operation(types.void, [ADDRESS] * 5 + [types.float32], write)
