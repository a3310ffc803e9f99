"""The class of each pixel is what NumPy's argmax says."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fcn.predictor import best_class

#: So few values that most maps have ties.
VALUES = st.sampled_from([-np.inf, -1.0, -0.0, 0.0, 1.0, 1.5, np.inf, np.nan])


@given(
    arrays.arrays(
        st.sampled_from([np.float32, np.float64]),
        arrays.array_shapes(min_dims=3, max_dims=3, min_side=1, max_side=6),
        elements=VALUES,
    )
)
def test_ties_infinities_and_nan_fall_as_in_argmax(scores: np.ndarray) -> None:
    kept = scores.copy()
    found = best_class(scores)
    assert found.dtype == np.uint8
    np.testing.assert_array_equal(found, scores.argmax(0))
    np.testing.assert_array_equal(best_class(scores.transpose(0, 2, 1)), scores.argmax(0).T)
    np.testing.assert_array_equal(scores, kept)


@pytest.mark.parametrize("classes", [255, 256, 257, 300])
def test_many_classes_keep_their_numbers(classes: int) -> None:
    scores = np.random.default_rng(classes).permutation(classes * 7).reshape(classes, 7, 1).astype(np.float32)
    scores[-1, 3] = classes * 7
    found = best_class(scores)
    assert found[3, 0] == classes - 1
    np.testing.assert_array_equal(found, scores.argmax(0))
