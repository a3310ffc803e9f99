"""Scores along boundaries: which pixels they are of, and where the numbers stand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import score
from fcn.score.counts import COUNTS, Stored
from fcn.score.metrics import fast_hist
from fcn.score.trimap import bands, boundary_distance

LABELS = st.sampled_from([0, 1, 2, 255])
MAPS = arrays.arrays(np.uint8, st.tuples(st.integers(1, 7), st.integers(1, 7)), elements=LABELS)


@given(truth=MAPS)
def test_the_distance_is_to_the_nearest_pixel_of_another_label(truth: np.ndarray) -> None:
    found = boundary_distance(truth)
    places = list(np.ndindex(truth.shape))
    for here in places:
        others = [there for there in places if truth[there] != truth[here]]
        nearest = min((np.hypot(*np.subtract(here, there)) for there in others), default=np.inf)
        assert found[here] == pytest.approx(np.inf if truth[here] == 255 else nearest)


@given(truth=MAPS, data=st.data())
def test_bands_grow_with_their_width_up_to_all_that_has_a_boundary(
    truth: np.ndarray, data: st.DataObject
) -> None:
    guess = data.draw(arrays.arrays(np.uint8, truth.shape, elements=st.integers(0, 2)))
    found = [cells.hist(3) for cells in bands(truth, guess, (1, 2, 4, 100), 3).values()]
    for narrow, wide in zip(found, found[1:]):
        assert (narrow <= wide).all()
    whole = fast_hist(truth, guess, 3) if len(np.unique(truth)) > 1 else np.zeros((3, 3))
    np.testing.assert_array_equal(found[-1], whole)


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Two halves of 8 x 8 pixels with a line of void between; the prediction is off by one column."""
    truth = np.zeros((8, 9), np.uint8)
    truth[:, 4], truth[:, 5:] = 255, 1
    guess = np.zeros((8, 9), np.uint8)
    guess[:, 6:] = 1
    for folder, array in (("labels", truth), ("maps", guess)):
        (tmp_path / folder).mkdir()
        Image.fromarray(array).save(tmp_path / folder / "a.png")
    (tmp_path / "classes.txt").write_text("left\nright\n")
    return tmp_path / "maps", tmp_path / "labels"


def test_a_score_has_the_numbers_of_each_width(
    folders: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, labels = map(str, folders)
    out = tmp_path / "out"
    command = [maps, "--labels", labels, "--classes", str(tmp_path / "classes.txt"), "--out", str(out)]
    assert score.main([*command, "--trimap", "1,2,4"]) == 0
    text = capsys.readouterr().out
    facts = json.loads((out / "score.json").read_text())["trimap"]
    rows = {row["width"]: row for row in facts["widths"]}
    assert {width: row["pixels"] for width, row in rows.items()} == {1: 16, 2: 32, 4: 64}
    assert rows[1]["overall accuracy"] == 0.5  # of the columns beside the line one is right
    assert rows[2]["mean IU"] == pytest.approx((2 / 3 + 1 / 2) / 2)
    assert "void is a label" in facts["rule"] and "void is a label" in text
    with Image.open(out / "trimap.png") as picture:
        assert picture.width > 400
    kept = Stored.load(out / COUNTS).tally.bands
    assert {width: int(hist.sum()) for width, hist in kept.items()} == {1: 16, 2: 32, 4: 64}
    assert score.main(command) == 0
    assert "trimap" not in json.loads((out / "score.json").read_text())
    assert not (out / "trimap.png").exists()


@pytest.mark.parametrize("widths", ["0", "1,x", "2,2", ""])
def test_widths_that_are_none_are_refused(widths: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as stop:
        score.main(["maps", "--trimap", widths])
    assert stop.value.code == 2 and "--trimap" in capsys.readouterr().err
