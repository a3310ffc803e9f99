"""Steps of gradient descent, compiled: each reads weights, gradients and their history once.

The gradient, with `decay` times the weights, becomes the update, which is subtracted from the weights, by the
rules of `solvers.updates`. Records end with how many vectors a piece has, and how many there are.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from .compiling import PIECE, Address, compiled, part
from .simd import LANES, add, divide, fma, load, number_of, record, root, spread, store, subtract, times

_VECTOR = 4 * LANES  # bytes


class Momentum(NamedTuple):
    """history = momentum history + rate gradient."""

    data: int
    diff: int
    history: int
    rate: int  #: a float32, as are those that follow
    momentum: int
    decay: int
    size: int = 0
    items: int = 0


class Squares(NamedTuple):
    """squares = keep squares + rest gradient^2; the update is rate gradient / (root of squares + delta)."""

    data: int
    diff: int
    squares: int
    rate: int  #: a float32, as are those that follow
    keep: int
    rest: int
    delta: int
    decay: int
    size: int = 0
    items: int = 0


class Deltas(NamedTuple):
    """squares = keep squares + rest gradient^2, steps = keep steps + rest step^2.

    A step is gradient root of ((steps + delta) / (squares + delta)), the update rate times that.
    """

    data: int
    diff: int
    squares: int
    steps: int
    rate: int  #: a float32, as are those that follow
    keep: int
    rest: int
    delta: int
    decay: int
    size: int = 0
    items: int = 0


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


_, _momentum_at = record(Momentum)
_, _squares_at = record(Squares)
_, _deltas_at = record(Deltas)
_, _moments_at = record(Moments)


@part
def _gradient(data: Address, diff: Address, decay: int) -> Any:
    """The gradient of the weights at `data`, decayed."""
    grad = load(diff)
    if decay != 0:  # 0 times infinity would be NaN
        grad = fma(load(data), spread(number_of(decay)), grad)
    return grad


@part
def _descend(data: Address, diff: Address, step: Any) -> None:
    """Leave an update where the gradient was, and subtract it from the weights."""
    store(step, diff)
    store(subtract(load(data), step), data)


@part
def _averaged(before: Address, keep: Any, value: Any, rest: Any) -> Any:
    """keep times what is at `before` and rest times the square of `value`, which is left there."""
    made = fma(times(value, rest), value, times(load(before), keep))
    store(made, before)
    return made


@compiled(PIECE)
def momentum(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Momentum` whose update is the history."""
    g = _momentum_at(work)
    rate, keep = spread(number_of(g.rate)), spread(number_of(g.momentum))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        grad = _gradient(g.data + at, g.diff + at, g.decay)
        step = fma(grad, rate, times(load(g.history + at), keep))
        store(step, g.history + at)
        _descend(g.data + at, g.diff + at, step)


@compiled(PIECE)
def ahead(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Momentum` whose update is (1 + momentum) history - momentum times the history before."""
    g = _momentum_at(work)
    rate, keep = spread(number_of(g.rate)), spread(number_of(g.momentum))
    more = add(spread(1), keep)
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        grad = _gradient(g.data + at, g.diff + at, g.decay)
        kept = times(load(g.history + at), keep)
        history = fma(grad, rate, kept)
        store(history, g.history + at)
        _descend(g.data + at, g.diff + at, subtract(times(history, more), kept))


@compiled(PIECE)
def squares(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Squares`."""
    g = _squares_at(work)
    rate, delta = spread(number_of(g.rate)), spread(number_of(g.delta))
    keep, rest = spread(number_of(g.keep)), spread(number_of(g.rest))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        grad = _gradient(g.data + at, g.diff + at, g.decay)
        mean = _averaged(g.squares + at, keep, grad, rest)
        _descend(g.data + at, g.diff + at, divide(times(grad, rate), add(root(mean), delta)))


@compiled(PIECE)
def deltas(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Deltas`."""
    g = _deltas_at(work)
    rate, delta = spread(number_of(g.rate)), spread(number_of(g.delta))
    keep, rest = spread(number_of(g.keep)), spread(number_of(g.rest))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        grad = _gradient(g.data + at, g.diff + at, g.decay)
        mean = _averaged(g.squares + at, keep, grad, rest)
        step = times(grad, root(divide(add(load(g.steps + at), delta), add(mean, delta))))
        _averaged(g.steps + at, keep, step, rest)
        _descend(g.data + at, g.diff + at, times(step, rate))


@compiled(PIECE)
def moments(work: Address, piece: int, scratch: Address) -> None:
    """A piece of a `Moments`."""
    g = _moments_at(work)
    rate, delta = spread(number_of(g.rate)), spread(number_of(g.delta))
    beta1, rest1 = spread(number_of(g.beta1)), spread(number_of(g.rest1))
    beta2, rest2 = spread(number_of(g.beta2)), spread(number_of(g.rest2))
    for at in range(_VECTOR * piece * g.size, _VECTOR * min((piece + 1) * g.size, g.items), _VECTOR):
        grad = _gradient(g.data + at, g.diff + at, g.decay)
        first = fma(grad, rest1, times(load(g.first + at), beta1))
        store(first, g.first + at)
        second = _averaged(g.second + at, beta2, grad, rest2)
        _descend(g.data + at, g.diff + at, times(divide(first, add(root(second), delta)), rate))
