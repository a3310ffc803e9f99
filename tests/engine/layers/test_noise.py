"""Dropout: the identity at TEST, an inverted random mask at TRAIN, the same for the gradient."""

from __future__ import annotations

import numpy as np
import pytest

import caffe
from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, forward, random, run

IN_PLACE = ' top: "x"'
BOTH_WAYS = pytest.mark.parametrize("where", ["", IN_PLACE], ids=["apart", "in_place"])


@BOTH_WAYS
def test_test_phase_changes_nothing(where: str) -> None:
    x, dy = random(3, 4), random(3, 4, seed=1)
    result = run('type: "Dropout"' + where, {"x": x}, topdiff=dy)
    (y,) = result.tops.values()
    np.testing.assert_array_equal(y, x.astype(np.float32))
    np.testing.assert_array_equal(result.bottom_diffs["x"], dy.astype(np.float32))


@BOTH_WAYS
@pytest.mark.parametrize("ratio", [0.25, 0.5, 0.75])
def test_training_zeroes_and_scales_values_and_gradients_alike(ratio: float, where: str) -> None:
    caffe.set_random_seed(1)
    text = f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }} {where}'
    result = run(text, {"x": np.full((100, 100), 3.0)}, phase=caffe.TRAIN, topdiff=np.full((100, 100), 5.0))
    (y,) = result.tops.values()
    dropped = y == 0
    np.testing.assert_allclose(y[~dropped], 3 / (1 - ratio), rtol=1e-6)
    np.testing.assert_allclose(result.bottom_diffs["x"], np.where(dropped, 0, 5 / (1 - ratio)), rtol=1e-6)
    assert abs(dropped.mean() - ratio) < 0.025  # five standard deviations of 10000 draws


def test_every_forward_draws_a_new_mask_and_a_seed_repeats_them() -> None:
    x = np.ones((20, 20))

    def masks() -> list[np.ndarray]:
        caffe.set_random_seed(7)
        net = build('type: "Dropout"', {"x": x}, phase=caffe.TRAIN)
        return [forward(net, {"x": x})["top"] for _ in range(2)]

    first, second = masks()
    assert (first != second).any()
    np.testing.assert_array_equal(masks(), [first, second])


def test_a_layer_with_a_phase_of_its_own_drops_at_test() -> None:
    y = run('type: "Dropout" phase: TRAIN', {"x": np.ones((20, 20))}, phase=caffe.TEST).tops["top"]
    assert sorted(np.unique(y)) == [0, 2]


def test_ratio_zero_drops_nothing() -> None:
    x = random(10, 10)
    y = run('type: "Dropout" dropout_param { dropout_ratio: 0 }', {"x": x}, phase=caffe.TRAIN).tops["top"]
    np.testing.assert_array_equal(y, x.astype(np.float32))


@pytest.mark.parametrize("ratio", [-0.5, 1.5])
def test_ratio_must_be_a_probability(ratio: float) -> None:
    text = f'type: "Dropout" dropout_param {{ dropout_ratio: {ratio} }}'
    with pytest.raises(LayerError, match=f"dropout_ratio is a probability, not {ratio}"):
        build(text, {"x": random(2, 2)}, phase=caffe.TRAIN)
