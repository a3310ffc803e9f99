"""Outlines and run lengths as masks, against definitions written out pixel by pixel."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from fcn.data.importing.sources.rle import counts_of, mask_of
from fcn.data.importing.sources.shapes import circle, polygon, rectangle
from tests.toolkit.data.importing import raw

points = st.lists(st.tuples(st.integers(-20, 60), st.integers(-20, 60)), min_size=3, max_size=8)


def inside(x: float, y: float, outline: list[tuple[float, float]]) -> bool:
    """Whether a ray to the left crosses the outline an odd number of times."""
    odd = False
    for (x0, y0), (x1, y1) in zip(outline, [*outline[1:], outline[0]]):
        if (y0 <= y) != (y1 <= y) and x0 + (y - y0) * (x1 - x0) / (y1 - y0) <= x:
            odd = not odd
    return odd


@given(points, st.integers(1, 12), st.integers(1, 12))
def test_a_pixel_is_inside_where_its_centre_is(
    corners: list[tuple[int, int]], height: int, width: int
) -> None:
    outline = [(x * np.sqrt(2) / 6 + 0.1, y * np.pi / 13 + 0.2) for x, y in corners]  # no centre on an edge
    drawn = polygon(np.array(outline), height, width)
    for (row, column), value in np.ndenumerate(drawn):
        assert value == inside(column + 0.5, row + 0.5, outline)


def test_neighbours_share_no_pixel_and_leave_none() -> None:
    left = polygon(np.array([(0, 0), (7, 0), (2, 9), (0, 9)], float), 9, 12)
    right = polygon(np.array([(7, 0), (12, 0), (12, 9), (2, 9)], float), 9, 12)
    assert (left ^ right).all()


def test_corners_may_come_in_any_order_and_lie_outside() -> None:
    for corners in ([(-3, 2), (4, 99)], [(4, 99), (-3, 2)], [(4, 2), (-3, 99)]):
        drawn = rectangle(np.array(corners, float), 8, 8)
        assert drawn[2:, :4].all() and drawn.sum() == 6 * 4


def test_a_circle_has_the_area_of_one() -> None:
    drawn = circle(np.array([(50, 60), (50, 90)], float), 120, 100)
    assert abs(drawn.sum() - np.pi * 30**2) < 30
    assert drawn[60, 50] and not drawn[60, 82] and not drawn[95, 50]


masks = arrays.arrays(bool, st.tuples(st.integers(1, 40), st.integers(1, 40)))


@given(masks)
def test_run_lengths_and_their_compressed_form_are_read_back(mask: np.ndarray) -> None:
    counts = raw.runs(mask)
    assert counts_of(raw.compressed(counts)) == counts
    np.testing.assert_array_equal(mask_of(counts, *mask.shape), mask)


@given(st.text(max_size=30))
def test_any_text_is_run_lengths_or_a_value_error(text: str) -> None:
    try:
        mask_of(counts_of(text), 3, 4)
    except ValueError:
        pass


@pytest.mark.parametrize("counts", [[11], [13], [-1, 13], [0, 10**30], [10**30, -(10**30) + 12]])
def test_runs_that_do_not_fit_are_refused(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="add up to 3 x 4"):
        mask_of(counts, 3, 4)
