"""The numbers of each image, the worst of them, and the file with their histograms."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import score
from fcn.score import METRICS, Scores, Tally
from fcn.score.counts import Cells, ImageCount, Stored
from fcn.score.images import image_scores, worst
from voc_layers.reading import SampleError

NAMES = ("sky", "road", "car")
MAPS = {  # truth, prediction
    "good": ([[0, 1, 1]], [[0, 1, 1]]),
    "half": ([[0, 0, 255]], [[0, 2, 1]]),
    "void": ([[255, 255]], [[0, 0]]),
    "bad": ([[1, 1, 1]], [[0, 0, 0]]),
}


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """`MAPS` as files: predictions, and labels with a file of class names beside them."""
    for folder, place in (("labels", 0), ("maps", 1)):
        (tmp_path / folder).mkdir()
        for name, pair in MAPS.items():
            Image.fromarray(np.array(pair[place], np.uint8)).save(tmp_path / folder / f"{name}.png")
    (tmp_path / "classes.txt").write_text("\n".join(NAMES))
    return tmp_path / "maps", tmp_path / "labels"


@pytest.fixture
def scored(folders: tuple[Path, Path], tmp_path: Path) -> Path:
    """The folder with their score."""
    maps, labels = map(str, folders)
    classes, out = str(tmp_path / "classes.txt"), tmp_path / "out"
    assert score.main([maps, "--labels", labels, "--classes", classes, "--out", str(out)]) == 0
    return out


def test_each_image_has_its_numbers_in_json_and_csv(scored: Path) -> None:
    facts = {row["name"]: row for row in json.loads((scored / "score.json").read_text())["per_image"]}
    assert list(facts) == sorted(MAPS)
    assert facts["half"]["overall accuracy"] == 0.5
    assert facts["half"]["mean IU"] == 0.25  # sky 1 of 2, car predicted and not there, road in neither
    assert facts["half"]["mean accuracy"] == 0.5 and facts["half"]["mean Dice"] == pytest.approx(1 / 3)
    assert (facts["half"]["scored_pixels"], facts["half"]["void_pixels"]) == (2, 1)
    assert {facts["void"][name] for name in METRICS} == {None}
    rows = {row["name"]: row for row in csv.DictReader((scored / "images.csv").read_text().splitlines())}
    assert float(rows["half"]["mean IU"]) == 0.25 and rows["void"]["mean IU"] == ""


def test_the_worst_images_are_listed_worst_first(scored: Path) -> None:
    text = (scored / "score.txt").read_text()
    listed = text.split("worst images", 1)[1].split("\n\n")[0].splitlines()[2:]
    assert [line.split()[0] for line in listed] == ["bad", "half", "good"]


def test_the_histograms_of_the_images_are_kept_and_add_up(scored: Path) -> None:
    facts = json.loads((scored / "score.json").read_text())
    stored = Stored.load(scored / "images.npz")
    tally = stored.tally
    assert stored.classes == NAMES and tally.hist.tolist() == facts["confusion"]
    assert [one.name for one in tally.images] == sorted(MAPS) and tally.void == facts["void_pixels"] == 3
    again = [one.as_dict() for one in image_scores(tally)]
    assert json.loads(json.dumps(again)) == facts["per_image"]


def test_a_damaged_file_of_histograms_is_named(scored: Path) -> None:
    path = scored / "images.npz"
    whole = path.read_bytes()
    for damaged in (b"", whole[:200], b"no archive"):
        path.write_bytes(damaged)
        with pytest.raises(SampleError, match=r"images\.npz: .* score again"):
            Stored.load(path)
    path.write_bytes(whole)
    with np.load(path) as found:
        kept = {name: found[name] for name in found}
    np.savez(path, **{**kept, "where": kept["where"] + 99})
    with pytest.raises(SampleError, match="do not belong together"):
        Stored.load(path)


@given(hists=st.lists(arrays.arrays(np.int64, (3, 3), elements=st.integers(0, 5)), min_size=1, max_size=5))
def test_sparse_histograms_say_what_the_dense_ones_do(hists: list[np.ndarray]) -> None:
    images = tuple(ImageCount(str(k), Cells.of(hist)) for k, hist in enumerate(hists))
    tally = Tally(3, images)
    np.testing.assert_array_equal(tally.hist, sum(hists))
    for one, hist in zip(images, hists):
        np.testing.assert_array_equal(one.cells.hist(3), hist)
        assert one.scored == hist.sum()
    numbers = image_scores(tally)
    for one, hist in zip(numbers, hists):
        np.testing.assert_equal(tuple(one.numbers.values())[:4], Scores(hist).four())
    found = [one.mean_iu for one in worst(numbers)]
    assert found == sorted(found) and not np.isnan(found).any()


@given(hist=arrays.arrays(np.int64, (4, 4), elements=st.integers(0, 9)))
def test_dice_is_twice_the_intersection_over_both_areas(hist: np.ndarray) -> None:
    scores = Scores(hist)
    for k, dice in enumerate(scores.class_dice):
        both = hist[k].sum() + hist[:, k].sum()
        assert dice == pytest.approx(2 * hist[k, k] / both) if both else np.isnan(dice)
    known = scores.class_dice[~np.isnan(scores.class_dice)]
    assert scores.mean_dice == pytest.approx(known.mean()) if known.size else np.isnan(scores.mean_dice)
    assert not scores.mean_dice < scores.mean_iu
