"""Vectors of float32 for Numba: a type and its operations.

Numba vectorises loops where it can prove that it may; a convolution cannot leave that to luck. Here a vector
is a value of its own, as wide as the machine's registers. Addresses are plain integers, in bytes; whoever
calls answers for what they point at.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from ctypes import c_float, c_int32
from typing import Any

import numpy as np
from llvmlite import ir
from numba.core import types
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.extending import intrinsic

from . import emit
from .emit import LANES as LANES

#: What a maximum starts from in Caffe: -FLT_MAX.
LOWEST = np.float32(-np.finfo(np.float32).max)


class VectorType(types.Type):
    """Numba's name for a vector register."""

    def __init__(self) -> None:
        super().__init__(name=f"float32x{LANES}")


vector = VectorType()


@register_default(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, emit.VECTOR)  # type: ignore[no-untyped-call]


def operation(result: Any, arguments: Sequence[Any], write: Callable[..., Any]) -> Any:
    """The intrinsic of these types whose code `write(builder, *arguments)` makes."""
    signature = result(*arguments)

    def generate(context: Any, builder: Any, _: Any, args: Any) -> Any:
        value = write(builder, *args)
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

load = operation(vector, [ADDRESS], emit.load)
store = operation(types.void, [vector, ADDRESS], lambda b, value, address: emit.store(b, value, address))
spread = operation(vector, [types.float32], emit.spread)
add = operation(vector, [vector] * 2, lambda b, x, y: b.fadd(x, y))
subtract = operation(vector, [vector] * 2, lambda b, x, y: b.fsub(x, y))
times = operation(vector, [vector] * 2, lambda b, x, y: b.fmul(x, y))
divide = operation(vector, [vector] * 2, lambda b, x, y: b.fdiv(x, y))
root = operation(vector, [vector], lambda b, x: emit.call(b, "sqrt", x))
#: The first where it is larger than the second, and the second elsewhere, where one of them is NaN too.
larger = operation(vector, [vector] * 2, emit.larger)
fma = operation(vector, [vector] * 3, emit.fma)


def _passed(builder: Any, result: Any, grad: Any, slope: Any) -> Any:
    """The gradient of Caffe's ReLU in place: as it is where the result is above zero, else times `slope`."""
    above = builder.fcmp_unordered(">", result, emit.constant(0.0))
    return builder.select(above, grad, builder.fmul(grad, slope))


passed = operation(vector, [vector] * 3, _passed)
#: The third where the first two are equal, and 0 elsewhere; and the other way round.
where_equal = operation(
    vector, [vector] * 3, lambda b, x, y, z: b.select(b.fcmp_ordered("==", x, y), z, emit.constant(0.0))
)
where_unequal = operation(
    vector, [vector] * 3, lambda b, x, y, z: b.select(b.fcmp_ordered("==", x, y), emit.constant(0.0), z)
)
rectified = operation(vector, [vector] * 2, emit.rectified)


def load_number(builder: Any, address: Any) -> Any:
    return emit.load(builder, address, emit.FLOAT)


number_at = operation(types.float32, [ADDRESS], load_number)
put_number = operation(
    types.void, [types.float32, ADDRESS], lambda b, value, address: emit.store(b, value, address)
)
index_at = operation(types.int64, [ADDRESS], lambda b, address: emit.load_index(b, address))
put_index = operation(types.void, [ADDRESS] * 2, lambda b, value, address: emit.store(b, value, address))


def record(fields: type) -> tuple[Any, Any]:
    """Numba's type for a NamedTuple of int64, and the intrinsic that reads one at an address."""
    names: Any = fields._fields  # type: ignore[attr-defined]
    kind = types.NamedUniTuple(types.int64, len(names), fields)
    memory = ir.ArrayType(emit.INT, len(names)).as_pointer()
    return kind, operation(kind, [ADDRESS], lambda b, address: b.load(b.inttoptr(address, memory)))


def bits(number: float) -> int:
    """A float32 as an item of such a tuple."""
    return c_int32.from_buffer(c_float(number)).value


#: The float32 that is an item of such a tuple.
number_of = operation(
    types.float32, [ADDRESS], lambda b, item: b.bitcast(b.trunc(item, ir.IntType(32)), emit.FLOAT)
)
