"""Steps of gradient descent, compiled: each reads weights, gradients and their history once.

The gradient, with `decay` times the weights, becomes the update, which is subtracted from the weights.
Records end with how many vectors a piece has, and how many there are.
"""

from __future__ import annotations

from typing import NamedTuple

from .compiling import PIECE, Address, compiled
from .simd import LANES, add, divide, fma, load, number_of, record, root, spread, store, subtract, times

_VECTOR = 4 * LANES  # bytes


class Momentum(NamedTuple):
    """history = momentum history + rate gradient, which is the update."""

    data: int
    diff: int
    history: int
    rate: int  #: a float32, as are those that follow
    momentum: int
    decay: int
    size: int = 0
    items: int = 0


_, _momentum_at = record(Momentum)


@compiled(PIECE)
def momentum(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Momentum`."""
    g = _momentum_at(work)
    rate, keep, decay = spread(number_of(g.rate)), spread(number_of(g.momentum)), spread(number_of(g.decay))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        value, grad = load(g.data + at), load(g.diff + at)
        if g.decay != 0:
            grad = fma(value, decay, grad)
        step = fma(grad, rate, times(load(g.history + at), keep))
        store(step, g.history + at)
        store(step, g.diff + at)
        store(subtract(value, step), g.data + at)


class Moments(NamedTuple):
    """first = beta1 first + rest1 gradient, second = beta2 second + rest2 gradient^2.

    The update is rate first / (root of second + delta).
    """

    data: int
    diff: int
    first: int
    second: int
    rate: int  #: a float32, as are those that follow
    beta1: int
    beta2: int
    rest1: int
    rest2: int
    delta: int
    decay: int
    size: int = 0
    items: int = 0


_, _moments_at = record(Moments)


@compiled(PIECE)
def moments(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Moments`."""
    g = _moments_at(work)
    rate, decay, delta = spread(number_of(g.rate)), spread(number_of(g.decay)), spread(number_of(g.delta))
    beta1, rest1 = spread(number_of(g.beta1)), spread(number_of(g.rest1))
    beta2, rest2 = spread(number_of(g.beta2)), spread(number_of(g.rest2))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        value, grad = load(g.data + at), load(g.diff + at)
        if g.decay != 0:
            grad = fma(value, decay, grad)
        first = fma(grad, rest1, times(load(g.first + at), beta1))
        second = fma(times(grad, rest2), grad, times(load(g.second + at), beta2))
        step = times(divide(first, add(root(second), delta)), rate)
        store(first, g.first + at)
        store(second, g.second + at)
        store(step, g.diff + at)
        store(subtract(value, step), g.data + at)
