"""LLVM code for vectors of float32, as wide as the machine's registers: what kernels are written in.

A function here writes code: it takes LLVM's builder and values, and returns the value of the result.
"""

from __future__ import annotations

from typing import Any

import llvmlite.binding as llvm
from llvmlite import ir
from numba.core import cgutils


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
FLOAT = ir.FloatType()
INT = ir.IntType(64)
VECTOR = ir.VectorType(FLOAT, LANES)
ITEM = 4  # bytes of a float32
LINE = 64  # bytes of a cache line


def load(builder: Any, address: Any, kind: Any = VECTOR) -> Any:
    return builder.load(builder.inttoptr(address, kind.as_pointer()), align=ITEM)


def store(builder: Any, value: Any, address: Any) -> None:
    builder.store(value, builder.inttoptr(address, value.type.as_pointer()), align=ITEM)


def plus(builder: Any, address: Any, items: int) -> Any:
    return builder.add(address, INT(ITEM * items)) if items else address


def spread(builder: Any, number: Any) -> Any:
    undefined = ir.Constant(VECTOR, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.IntType(32)(0))
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, everywhere)


def constant(number: float) -> Any:
    return ir.Constant(VECTOR, [number] * LANES)


def call(builder: Any, name: str, *args: Any) -> Any:
    kind = ir.FunctionType(VECTOR, [VECTOR] * len(args))
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.{name}.v{LANES}f32")
    return builder.call(function, args)


def fma(builder: Any, a: Any, b: Any, c: Any) -> Any:
    return call(builder, "fmuladd", a, b, c)  # in one step where the processor has one


def larger(builder: Any, a: Any, b: Any) -> Any:
    return builder.select(builder.fcmp_ordered(">", a, b), a, b)


def rectified(builder: Any, value: Any, slope: Any) -> Any:
    """Caffe's ReLU: what is below zero times `slope`, the rest and NaN as it is."""
    zero = constant(0.0)
    scaled = builder.select(builder.fcmp_ordered("==", slope, zero), zero, builder.fmul(value, slope))
    return builder.select(builder.fcmp_ordered("<", value, zero), scaled, value)


def load_index(builder: Any, address: Any) -> Any:
    return builder.load(builder.inttoptr(address, INT.as_pointer()))
