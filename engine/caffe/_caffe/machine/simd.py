"""Vectors of float32 for Numba: a type, its operations, and three unrolled kernels made of them.

Numba vectorises loops where it can prove that it may; a convolution cannot leave that to luck. Here a vector
is a value of its own, as wide as the machine's registers, and what must stay in registers is written out when
the kernel is made. Addresses are plain integers, in bytes; whoever calls answers for what they point at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba.core import cgutils, types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic


def _lanes() -> int:
    features = llvm.get_host_cpu_features()
    if features.get("avx512f"):
        return 16
    return 8 if features.get("avx2") else 4


def processor() -> str:
    """The processor that code is compiled for, and the vectors that are used of it."""
    return f"{llvm.get_host_cpu_name()} with vectors of {LANES} numbers"


#: How many numbers a vector register holds.
LANES = _lanes()
#: What `product` makes at a time: rows, and vectors of columns. They fill the registers, two loads aside.
ROWS, VECTORS = (12, 2) if LANES == 16 else (6, 2)
#: Columns that `product` makes at a time.
COLUMNS = VECTORS * LANES

#: What a maximum starts from in Caffe: -FLT_MAX.
LOWEST = np.float32(-np.finfo(np.float32).max)

_FLOAT = ir.FloatType()
_INT = ir.IntType(64)
_VECTOR = ir.VectorType(_FLOAT, LANES)
_ITEM = 4  # bytes of a float32
_LINE = 64  # bytes of a cache line


class VectorType(types.Type):
    """Numba's name for a vector register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _VECTOR)  # type: ignore[no-untyped-call]


# ---- LLVM, in the words used below -----------------------------------------------------------------------


def _load(builder: Any, address: Any, kind: Any = _VECTOR) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=_ITEM)


def _store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=_ITEM)


def _plus(builder: Any, address: Any, items: int) -> Any:
    return builder.add(address, _INT(_ITEM * items)) if items else address


def _spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(_VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, everywhere)


def _constant(number: float) -> Any:
    return ir.Constant(_VECTOR, [number] * LANES)


def _call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(_VECTOR, [_VECTOR] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, args)


def _fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return _call(builder, "fmuladd", a, b, c)  # in one step where the processor has one


def _larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def operation(result: Any, arguments: Sequence[Any], emit: Callable[..., Any]) -> Any:
    """The intrinsic of these types whose code `emit(builder, *arguments)` writes."""
    signature = result(*arguments)

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        value = emit(builder, *args)
        return context.get_dummy_value() if result is types.void else value

    return intrinsic(_TYPING[len(arguments)](lambda: (signature, generate)))


#: Numba counts the parameters of the function that types an intrinsic: one for each number in use.
_TYPING: dict[int, Callable[[Callable[[], Any]], Callable[..., Any]]] = {
    1: lambda found: lambda context, a: found(),
    2: lambda found: lambda context, a, b: found(),
    3: lambda found: lambda context, a, b, c: found(),
    4: lambda found: lambda context, a, b, c, d: found(),
    5: lambda found: lambda context, a, b, c, d, e: found(),
    6: lambda found: lambda context, a, b, c, d, e, f: found(),
    11: lambda found: lambda context, a, b, c, d, e, f, g, h, i, j, k: found(),
    12: lambda found: lambda context, a, b, c, d, e, f, g, h, i, j, k, m: found(),
}

ADDRESS = types.int64

load = operation(vector, [ADDRESS], _load)
store = operation(types.void, [vector, ADDRESS], lambda b, value, address: _store(b, value, address))
spread = operation(vector, [types.float32], _spread)
add = operation(vector, [vector] * 2, lambda b, x, y: b.fadd(x, y))
times = operation(vector, [vector] * 2, lambda b, x, y: b.fmul(x, y))
divide = operation(vector, [vector] * 2, lambda b, x, y: b.fdiv(x, y))
root = operation(vector, [vector], lambda b, x: _call(b, "sqrt", x))
#: The first where it is larger than the second, and the second elsewhere, where one of them is NaN too.
larger = operation(vector, [vector] * 2, _larger)
fma = operation(vector, [vector] * 3, _fma)


def _rectified(builder: Any, value: Any, slope: Any) -> Any:
    """Caffe's ReLU: what is below zero times `slope`, the rest and NaN as it is."""
    zero = _constant(0.0)
    scaled = builder.select(builder.fcmp_ordered("==", slope, zero), zero, builder.fmul(value, slope))
    return builder.select(builder.fcmp_ordered("<", value, zero), scaled, value)


def _passed(builder: Any, result: Any, grad: Any, slope: Any) -> Any:
    """The gradient of Caffe's ReLU in place: as it is where the result is above zero, else times `slope`."""
    above = builder.fcmp_unordered(">", result, _constant(0.0))
    return builder.select(above, grad, builder.fmul(grad, slope))


passed = operation(vector, [vector] * 3, _passed)
#: The third where the first two are equal, and 0 elsewhere; and the other way round.
where_equal = operation(
    vector, [vector] * 3, lambda b, x, y, z: b.select(b.fcmp_ordered("==", x, y), z, _constant(0.0))
)
where_unequal = operation(
    vector, [vector] * 3, lambda b, x, y, z: b.select(b.fcmp_ordered("==", x, y), _constant(0.0), z)
)
rectified = operation(vector, [vector] * 2, _rectified)


def load_number(builder: Any, address: Any) -> Any:
    return _load(builder, address, _FLOAT)


number_at = operation(types.float32, [ADDRESS], load_number)
put_number = operation(
    types.void, [types.float32, ADDRESS], lambda b, value, address: _store(b, value, address)
)
index_at = operation(types.int64, [ADDRESS], lambda b, address: _load_index(b, address))
put_index = operation(types.void, [ADDRESS] * 2, lambda b, value, address: _store(b, value, address))


def record(fields: type) -> tuple[Any, Any]:
    """Numba's type for a NamedTuple of int64, and the intrinsic that reads one at an address."""
    names: Any = fields._fields  # type: ignore[attr-defined]
    kind = types.NamedUniTuple(types.int64, len(names), fields)
    memory = ir.ArrayType(_INT, len(names)).as_pointer()
    return kind, operation(kind, [ADDRESS], lambda b, address: b.load(b.inttoptr(address, memory)))


def bits(number: float) -> int:
    """A float32 as an item of such a tuple."""
    return int(np.float32(number).view(np.int32))


#: The float32 that is an item of such a tuple.
number_of = operation(
    types.float32, [ADDRESS], lambda b, item: b.bitcast(b.trunc(item, ir.IntType(32)), _FLOAT)
)


def _load_index(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, _INT.as_pointer()))


# ---- matrix products ---------------------------------------------------------------------------------------


def _product(rows: int) -> Any:
    """C (rows x COLUMNS) = A (rows x depth) B (depth x COLUMNS), or C += A B.

    Arguments: addresses of A, B, C; how many numbers apart are A's rows and the steps of its depth, the
    steps of B's depth, the rows of C; the depth; 0, or 1 to add to what C holds; an address that is read
    soon, and how many bytes of what follows it, two cache lines at most, each step of the depth asks for.
    """

    def emit(builder: Any, a: Any, b: Any, c: Any, *rest: Any) -> None:
        *steps, depth, adds, soon, pace = rest
        row_a, deep_a, deep_b, row_c = (builder.mul(step, _INT(_ITEM)) for step in steps)
        sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(VECTORS)] for _ in range(rows)]
        rows_c = [builder.add(c, builder.mul(row_c, _INT(row))) for row in range(rows)]
        places = [[_plus(builder, row, LANES * v) for v in range(VECTORS)] for row in rows_c]
        flat = [pair for row in zip(sums, places) for pair in zip(*row)]
        with builder.if_else(builder.icmp_signed("!=", adds, _INT(0))) as (going_on, starting):
            with going_on:
                for total, place in flat:
                    builder.store(_load(builder, place), total)
            with starting:
                for total, _ in flat:
                    builder.store(_constant(0.0), total)
        rows_a = [builder.mul(row_a, _INT(row)) for row in range(rows)]
        with cgutils.for_range(builder, depth) as loop:
            left = builder.add(a, builder.mul(loop.index, deep_a))
            right = builder.add(b, builder.mul(loop.index, deep_b))
            asked = builder.add(soon, builder.mul(loop.index, pace))
            _ask(builder, asked)
            _ask(builder, builder.add(asked, _INT(_LINE)))
            columns = [_load(builder, _plus(builder, right, LANES * v)) for v in range(VECTORS)]
            for row, total_row in zip(rows_a, sums):
                factor = _spread(builder, _load(builder, builder.add(left, row), _FLOAT))
                for column, total in zip(columns, total_row):
                    builder.store(_fma(builder, factor, column, builder.load(total)), total)
        for total, place in flat:
            _store(builder, builder.load(total), place)

    return operation(types.void, [ADDRESS] * 11, emit)


def _ask(builder: Any, address: Any) -> None:
    """Have the cache line at an address brought to the second cache; where there is no memory, nothing."""
    kinds = [_FLOAT.as_pointer(), ir.IntType(32), ir.IntType(32), ir.IntType(32)]
    kind = ir.FunctionType(ir.VoidType(), kinds)
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
    hints = [ir.IntType(32)(number) for number in (0, 2, 1)]  # to read, moderate locality, data
    builder.call(function, [builder.inttoptr(address, _FLOAT.as_pointer()), *hints])


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

    def emit(builder: Any, pieces: Any, taps: Any, deep: Any, b: Any, places: Any, *rest: Any) -> None:
        c, scale, shift, slope, third, soon, pace = rest
        sums = [[cgutils.alloca_once(builder, _VECTOR) for _ in range(vectors)] for _ in range(rows)]
        right, asked = cgutils.alloca_once(builder, _INT), cgutils.alloca_once(builder, _INT)
        builder.store(b, right)
        builder.store(soon, asked)
        flat = [(row, v) for row in range(rows) for v in range(vectors)]
        for row, v in flat:
            builder.store(_constant(0.0), sums[row][v])
        with cgutils.for_range(builder, taps) as tap:
            list_ = builder.add(pieces, builder.mul(tap.index, _INT(8 * PIXELS)))
            starts = [_load_index(builder, builder.add(list_, _INT(8 * row))) for row in range(rows)]
            with cgutils.for_range(builder, deep) as loop:
                along = builder.mul(loop.index, _INT(_ITEM))
                line = builder.load(right)
                columns = [_load(builder, _plus(builder, line, LANES * v)) for v in range(vectors)]
                builder.store(_plus(builder, line, LANES * VECTORS), right)
                _ask(builder, builder.load(asked))
                builder.store(builder.add(builder.load(asked), pace), asked)
                for row, start in enumerate(starts):
                    factor = _spread(builder, _load(builder, builder.add(start, along), _FLOAT))
                    for v, column in enumerate(columns):
                        total = builder.load(sums[row][v])
                        builder.store(_fma(builder, factor, column, total), sums[row][v])
        by = [_load(builder, _plus(builder, scale, LANES * v)) for v in range(vectors)]
        plus = [_load(builder, _plus(builder, shift, LANES * v)) for v in range(vectors)]
        for row, v in flat:
            builder.store(_fma(builder, builder.load(sums[row][v]), by[v], plus[v]), sums[row][v])
        offsets = [_load_index(builder, builder.add(places, _INT(8 * row))) for row in range(rows)]
        with builder.if_then(builder.icmp_signed("!=", third, _INT(0))):
            for row, v in flat:
                other = _load(builder, _plus(builder, builder.add(third, offsets[row]), LANES * v))
                builder.store(builder.fadd(builder.load(sums[row][v]), other), sums[row][v])
        slopes = _spread(builder, slope)
        for row, v in flat:
            value = _rectified(builder, builder.load(sums[row][v]), slopes)
            _store(builder, value, _plus(builder, builder.add(c, offsets[row]), LANES * v))

    kinds = [ADDRESS] * 8 + [types.float32] + [ADDRESS] * 3
    return operation(types.void, kinds, emit)


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
        return _constant(0.0)
    (first, value), *rest = terms
    total = value if first == 1 else builder.fmul(value, _constant(first))
    for number, value in rest:
        if abs(number) == 1:
            total = builder.fadd(total, value) if number == 1 else builder.fsub(total, value)
        else:
            total = _fma(builder, value, _constant(number), total)
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

    def emit(builder: Any, source: Any, rows: Any, columns: Any, target: Any, apart: Any) -> None:
        four = _INT(_ITEM)
        starts = [
            builder.add(source, builder.mul(_load_index(builder, builder.add(rows, _INT(8 * i))), four))
            for i in range(size)
        ]
        steps = [
            builder.mul(_load_index(builder, builder.add(columns, _INT(8 * j))), four) for j in range(size)
        ]
        tile = [[_load(builder, builder.add(start, step)) for step in steps] for start in starts]
        apart = builder.mul(apart, four)
        for row in _sandwich(builder, matrix, tile):
            for value in row:
                _store(builder, value, target)
                target = builder.add(target, apart)

    return operation(types.void, [ADDRESS] * 5, emit)


def transform_out(matrix: Matrix) -> Any:
    """The intrinsic that turns n x n products into m x m results, times a scale, plus a shift, rectified.

    Arguments: address of the first product, and how many numbers they are apart; where the results go, one
    after another; addresses of scale and shift; what to multiply negative results with (1: nothing).
    """

    def emit(builder: Any, source: Any, apart: Any, target: Any, scale: Any, shift: Any, slope: Any) -> None:
        size = len(matrix[0])
        apart = builder.mul(apart, _INT(_ITEM))
        tile = []
        for _ in range(size):
            row = []
            for _ in range(size):
                row.append(_load(builder, source))
                source = builder.add(source, apart)
            tile.append(row)
        scale, shift, slope = _load(builder, scale), _load(builder, shift), _spread(builder, slope)
        for row in _sandwich(builder, matrix, tile):
            for value in row:
                _store(builder, _rectified(builder, _fma(builder, value, scale, shift), slope), target)
                target = _plus(builder, target, LANES)

    return operation(types.void, [ADDRESS] * 5 + [types.float32], emit)
