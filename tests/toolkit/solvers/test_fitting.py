"""Recipes for other data: what follows from how many images there are, and how large."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

import nets
import solvers
from solvers import Load, fitted

PUBLISHED = [solvers.recipe(model, kind) for model in nets.CHAIN for kind in ("heavy", "accum")]


@pytest.mark.parametrize("row", PUBLISHED, ids=lambda row: f"{row.model}-{row.kind}")
def test_on_the_data_it_was_published_for_a_recipe_is_as_published(row: solvers.Recipe) -> None:
    assert fitted(row, Load(8498, scored=736)) == row


def test_a_quarter_of_the_images_gets_half_the_steps_and_as_many_snapshots() -> None:
    row = fitted(solvers.recipe("voc-fcn32s"), Load(8498 // 4, scored=100))
    assert row.max_iter == pytest.approx(50_000, rel=1e-3)
    assert row.snapshot == row.test_every == pytest.approx(2000, rel=1e-3) and row.test_iter == 100
    assert fitted(solvers.recipe("voc-fcn32s"), Load(8498, batch=4)).max_iter == 25_000


def test_the_rate_of_a_summed_loss_goes_with_the_pixels_and_no_other() -> None:
    small = Load(100, pixels=125_000)
    assert fitted(solvers.recipe("voc-fcn32s"), small).base_lr == pytest.approx(2e-10)
    assert fitted(solvers.recipe("voc-fcn32s", "accum"), small).base_lr == pytest.approx(1e-4)
    light = solvers.recipe("voc-fcn8s", "light")
    assert fitted(light, small) == fitted(light, Load(100))


def test_a_narrower_trunk_learns_at_a_higher_rate_by_adam_up_to_a_bound() -> None:
    light = solvers.recipe("voc-fcn8s", "light")
    rates = [fitted(light, Load(100, width=width)).base_lr for width in (1, 0.5, 0.25, 0.01)]
    assert rates[1] == pytest.approx(2 * rates[0]) and rates[2] == pytest.approx(4 * rates[0])
    assert rates[3] == pytest.approx(1e-3)


def test_short_runs_are_seldom_saved_and_scored() -> None:
    light = solvers.recipe("voc-fcn8s", "light")
    row = fitted(light, Load(50, scored=500), 1500)
    assert (row.max_iter, row.test_every, row.snapshot) == (1500, 1000, 1000)
    assert (fitted(light, Load(50, scored=2), 500).snapshot, fitted(light, Load(50), 4).snapshot) == (100, 4)


@given(
    st.sampled_from(("heavy", "accum")),
    st.integers(1, 10**6), st.floats(1, 1e8), st.integers(1, 64),
)  # fmt: skip
def test_finer_stages_refine_whatever_the_data(kind: str, images: int, pixels: float, batch: int) -> None:
    load = Load(images, pixels, batch=batch)
    coarse, *finer = (fitted(solvers.recipe(model, kind), load) for model in nets.CHAIN)
    for row in finer:
        assert 0 < row.base_lr <= coarse.base_lr / 10 * (1 + 1e-9) and math.isfinite(row.base_lr)
        assert 1 <= row.snapshot <= row.max_iter <= 100_000
