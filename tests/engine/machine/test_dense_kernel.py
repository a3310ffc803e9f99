"""The dense product writes what it is asked for and nothing beside it, whatever the registers hold."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("numba", reason="needs the extra `fast`")

from caffe._caffe.machine import dense
from caffe._caffe.machine.unrolled import COLUMNS, FEW, ROWS
from caffe._caffe.machine.workers import Jobs, shared, workers


@pytest.mark.parametrize("outputs", [FEW, ROWS, ROWS + FEW, 3 * ROWS - FEW])
@pytest.mark.parametrize("taps", [COLUMNS, dense.DEPTH + COLUMNS])
def test_the_rows_after_the_last_stay_as_they_were(outputs: int, taps: int) -> None:
    stream = np.random.default_rng(outputs * taps)
    weights = stream.normal(size=(outputs, taps)).astype(np.float32)
    panels = stream.normal(size=(2, taps, COLUMNS)).astype(np.float32)
    made = np.full((outputs + ROWS, 2 * COLUMNS), 7, np.float32)
    addresses = [int(array.ctypes.data) for array in (weights, panels, made)]
    work = dense.Dense(2 * COLUMNS, 2 * COLUMNS, taps, outputs, 2 * ROWS, *addresses)
    blocks = -(-outputs // work.block)
    copies = 4 * work.block * dense.DEPTH
    workers.do(Jobs([shared(dense.multiply, work, blocks, 1, copies)]))
    expected = weights.astype(np.float64) @ np.concatenate(panels.astype(np.float64), axis=1)
    np.testing.assert_allclose(made[:outputs], expected, atol=1e-4)
    assert (made[outputs:] == 7).all()
