"""The truth made coarse and fine again: what a block becomes, and the table."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from fcn.commands import bound
from fcn.score.bound import METHODS, in_blocks, interpolated, shares
from surgery import upsample_filt

MAPS = arrays.arrays(
    np.uint8, st.tuples(st.integers(1, 9), st.integers(1, 9)), elements=st.sampled_from([0, 1, 2, 255])
).filter(lambda label: (label < 255).any())


@given(label=MAPS, factor=st.integers(1, 10))
def test_a_block_becomes_the_class_of_most_of_its_pixels(label: np.ndarray, factor: int) -> None:
    coarse = in_blocks(label, factor)
    for top in range(0, label.shape[0], factor):
        for left in range(0, label.shape[1], factor):
            block = label[top : top + factor, left : left + factor]
            said = np.unique(coarse[top : top + factor, left : left + factor])
            counts = np.bincount(block[block < 255], minlength=3)
            assert said.size == 1 and (counts[said[0]] == counts.max())


@given(label=MAPS)
def test_a_factor_of_one_changes_nothing_that_counts(label: np.ndarray) -> None:
    for coarse in METHODS.values():
        np.testing.assert_array_equal(coarse(label, 1)[label < 255], label[label < 255])


@pytest.mark.parametrize("factor", [2, 4, 8])
def test_shares_are_interpolated_as_a_deconvolution_does(factor: int) -> None:
    label = np.random.default_rng(0).integers(0, 3, (6 * factor, 5 * factor), np.uint8)
    label[0, 0] = 255
    present, parts = shares(label, factor)
    assert present.tolist() == [0, 1, 2]
    np.testing.assert_allclose(parts.sum(0), 1, rtol=1e-6)
    fine = np.zeros((3, 7 * factor, 6 * factor))
    for (k, y, x), share in np.ndenumerate(parts):  # kernels of 2 x factor, at every stride of factor
        place = (k, slice(y * factor, (y + 2) * factor), slice(x * factor, (x + 2) * factor))
        fine[place] += share * upsample_filt(2 * factor)
    inner = slice(factor, -factor)
    expected, half = fine[:, inner, inner].argmax(0), factor // 2
    found = interpolated(label, factor)[half:-half, half:-half]
    assert np.mean(found == expected) > 0.98  # but for ties


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two label maps in VOC layout, one of them void."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    disc = (np.hypot(*np.mgrid[-32:32, -32:32]) < 20).astype(np.uint8)
    disc[:2] = 255
    for name, label in (("disc", disc), ("void", np.full((9, 9), 255, np.uint8))):
        Image.fromarray(label).save(tmp_path / f"SegmentationClass/{name}.png")
    (tmp_path / "ImageSets/Segmentation/val.txt").write_text("disc\nvoid\n")
    return tmp_path


def test_the_table_stands_beside_the_published_row(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bound.main(["--data", str(data), "--factors", "128,32,16,2"]) == 0
    text = capsys.readouterr().out
    row = next(line for line in text.splitlines() if line.startswith("published"))
    assert row.split() == ["published", "50.90", "86.10", "92.80", "-"] and "2 label maps" in text
    assert bound.main(["--data", str(data), "--factors", "128,32,16,2,1", "--format", "json"]) == 0
    measured = json.loads(capsys.readouterr().out)["measured"]
    for by_factor in measured.values():
        numbers = [scores["mean IU"] for scores in by_factor.values()]
        assert numbers == sorted(numbers) and numbers[-1] == 1 and numbers[0] < 0.5


def test_a_list_that_is_not_there_is_named(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert bound.main(["--data", str(data), "--split", "train"]) == 1
    assert "train.txt" in capsys.readouterr().err


@pytest.mark.data
def test_labels_of_voc_have_bounds_near_the_papers(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = shared / "data/voc-sample/VOC2011"
    assert bound.main(["--data", str(folder), "--split", "trainval", "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    for factor in ("16", "8", "4"):  # of four images the coarser ones say little
        published = facts["published_mean_iu"][factor] / 100
        assert facts["measured"]["bilinear"][factor]["mean IU"] == pytest.approx(published, abs=0.02)
