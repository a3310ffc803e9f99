"""Several processes read one order: each its part, from wherever any number of them stopped."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voc_layers.order import Order, ReadAhead, Share

Draws = list[tuple[int, int]]  # the number of a draw, and what was drawn


def reader(share: Share, batch: int, randomize: bool, count: int = 7, depth: int = 0) -> ReadAhead:
    def load(indices: list[int], numbers: Sequence[int]) -> Draws:
        return list(zip(numbers, indices, strict=True))

    return ReadAhead(load, Order(count, randomize, seed=5), batch, depth, share)


def read(samples: ReadAhead, batches: int) -> Draws:
    found = []
    for _ in range(batches):
        found += samples.current()
        samples.advance()
    return found


def together(
    solvers: int, batch: int, batches: int, randomize: bool, state: dict[str, Any] | None = None
) -> Draws:
    """What all read, in the order of the draws."""
    found = []
    for rank in range(solvers):
        samples = reader(Share(rank, solvers), batch, randomize)
        if state is not None:
            samples.restore(state)
        found += read(samples, batches)
    return sorted(found)


@given(st.integers(1, 5), st.integers(1, 3), st.integers(0, 4), st.booleans())
def test_all_parts_are_the_whole_order(solvers: int, batch: int, batches: int, randomize: bool) -> None:
    """Each element once, by one of them, with the number that one process would give it."""
    assert together(solvers, batch, batches, randomize) == read(
        reader(Share(), 1, randomize), solvers * batch * batches
    )


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 3), st.booleans())
def test_any_number_goes_on_from_any_other(
    before: int, after: int, batch: int, done: int, randomize: bool
) -> None:
    samples = reader(Share(before - 1, before), batch, randomize, depth=0)
    read(samples, done)
    state = json.loads(json.dumps(samples.state()))
    whole = read(reader(Share(), 1, randomize), (before * done + after * 2) * batch)
    assert together(after, batch, 2, randomize, state) == whole[before * done * batch :]


def test_a_state_of_an_older_release_goes_on_in_one_process() -> None:
    order = Order(7)
    order.skip(4)
    state = {"indices": [2, 3], "number": 2, "order": order.state(), "count": 7}
    alone = reader(Share(), 2, False)
    alone.restore(state)
    assert alone.state() == state  # until the sample has been read, it is the same place
    assert read(alone, 2) == [(2, 2), (3, 3), (4, 4), (5, 5)]
    with pytest.raises(ValueError, match="an older release"):
        reader(Share(0, 2), 2, False).restore(state)
