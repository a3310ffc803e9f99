"""Runs side by side: the numbers, the intervals, and what cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import caffe
import nets
import solvers
from fcn.commands import compare as command
from fcn.commands import score as score_command
from fcn.compare.bootstrap import interval, margins, resampled
from fcn.compare.comparison import compare
from fcn.job import Job
from fcn.runs import Run
from fcn.score import METRICS, ImageCount, Scores, Tally
from fcn.score.counts import Cells, Stored
from voc_layers import VocFolder

CLASSES = ("sky", "road", "car")


def stored(hists: list[np.ndarray]) -> Stored:
    images = tuple(ImageCount(f"im{k}", Cells.of(hist)) for k, hist in enumerate(hists))
    return Stored(Tally(3, images), CLASSES)


@settings(max_examples=30)
@given(
    hists=st.lists(arrays.arrays(np.int64, (3, 3), elements=st.integers(0, 9)), min_size=1, max_size=6),
    unseen=st.sampled_from([(), (1,)]),
)
def test_a_draw_has_the_numbers_of_the_images_drawn(hists: list[np.ndarray], unseen: tuple[int, ...]) -> None:
    found = resampled(margins(stored(hists).tally, unseen), 20, seed=3)
    chosen = np.random.default_rng(3).multinomial(len(hists), np.full(len(hists), 1 / len(hists)), size=20)
    for times, numbers in zip(chosen, found):
        total = sum(int(n) * hist for n, hist in zip(times, hists))
        np.testing.assert_allclose(numbers, Scores(total, unseen).four(), rtol=1e-12)


def test_an_interval_has_as_much_on_either_side() -> None:
    low, high = interval(np.arange(101.0), 0.9)
    assert (low, high) == (pytest.approx(5), pytest.approx(95))
    assert np.isnan(interval(np.full(3, np.nan), 0.9)).all()


def test_a_difference_in_every_image_is_told_from_chance() -> None:
    rng = np.random.default_rng(1)
    true = rng.integers(50, 400, (40, 3))
    rate = rng.uniform(0.4, 0.9, (40, 1))  # images differ far more than runs do

    def answered(better: np.ndarray) -> Stored:
        right = (true * np.minimum(rate + better, 1)).astype(int)
        return stored([np.diag(r) + np.roll(np.diag(t - r), 1, axis=1) for r, t in zip(right, true)])

    worse, better = answered(np.zeros((40, 1))), answered(np.full((40, 1), 0.03))
    noise = answered(rng.normal(0, 0.02, (40, 1)))
    found = compare([("a", worse), ("b", better), ("c", noise)], draws=500)
    a, b, c = found.rows
    assert b.differences and all(one.excludes_zero and one.low > 0.01 for one in b.differences)
    assert c.differences and not c.differences[0].excludes_zero
    assert a.numbers[0].high > b.numbers[0].low  # apart, the two would look alike
    assert found == compare([("a", worse), ("b", better), ("c", noise)], draws=500)
    same = compare([("a", worse), ("again", worse)], draws=100).rows[1].differences
    assert same and {(one.value, one.low, one.high) for one in same} == {(0, 0, 0)}


# -- the command --------------------------------------------------------------------------------------


@pytest.fixture
def scores(tmp_path: Path) -> dict[str, Path]:
    """Scores of two predictions of five images."""
    rng = np.random.default_rng(0)
    (tmp_path / "classes.txt").write_text("\n".join(CLASSES))
    for i in range(5):
        truth = rng.integers(0, 3, (8, 8), np.uint8)
        blurred = np.where(rng.random((8, 8)) < 0.3, 0, truth).astype(np.uint8)
        for folder, array in (("labels", truth), ("good", truth), ("bad", blurred)):
            (tmp_path / folder).mkdir(exist_ok=True)
            Image.fromarray(array).save(tmp_path / folder / f"im{i}.png")
    return {name: scored(tmp_path, name) for name in ("good", "bad")}


def scored(root: Path, name: str, *more: str) -> Path:
    out = root / f"score-{name}{len(more)}"
    against = ["--labels", str(root / "labels"), "--classes", str(root / "classes.txt"), *more]
    assert score_command.main([str(root / name), *against, "--out", str(out)]) == 0
    return out


def test_scores_that_were_written_are_compared(
    scores: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good, bad = map(str, scores.values())
    capsys.readouterr()
    assert command.main([good, bad, "--out", str(tmp_path / "compared.json")]) == 0
    text, facts = capsys.readouterr().out, json.loads((tmp_path / "compared.json").read_text())
    assert f"difference to {Path(good).name} " in text and " *" in text
    assert [run["run"] for run in facts["runs"]] == [good, bad] and facts["images"] == 5
    one, other = facts["runs"]
    assert one["metrics"]["mean IU"] == {"value": 1.0, "low": 1.0, "high": 1.0}
    gap = other["differences"]["mean IU"]
    assert gap["low"] < gap["value"] < gap["high"] < 0 and gap["excludes_zero"]
    assert list(other["metrics"]) == list(METRICS) and "differences" not in one
    assert command.main([good, bad, "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == facts


def test_what_is_not_of_the_same_images_is_refused(
    scores: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    fewer = scored(tmp_path, "bad", "--limit", "3")
    assert command.main([str(scores["good"]), str(fewer)]) == 1
    assert f"only in {scores['good']}: im3, im4" in capsys.readouterr().err
    Image.fromarray(np.ones((8, 8), np.uint8)).save(tmp_path / "labels/im1.png")
    other = scored(tmp_path, "bad", "--cpu")
    assert command.main([str(scores["good"]), str(other)]) == 1
    assert "different labels of im1" in capsys.readouterr().err
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    assert command.main([str(scores["good"]), str(scored(tmp_path, "bad", "--limit", "5"))]) == 1
    assert "different classes" in capsys.readouterr().err
    assert command.main([str(scores["good"]), str(tmp_path / "bad")]) == 1
    assert "expected a run, or a folder that fcn score wrote" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main([str(scores["good"])])


NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 3 kernel_size: 1 } }
"""


def test_runs_are_scored_first_and_again_when_they_have_gone_on(
    data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = VocFolder.open(data)
    layers = {form: nets.PythonData.reading(folder, form, seed=1) for form in ("train", "val")}
    runs = [tmp_path / "one", tmp_path / "two"]
    for k, run in enumerate(runs):
        (run / "snapshot").mkdir(parents=True)
        (run / "deploy.prototxt").write_text(NET)
        net = caffe.Net(str(run / "deploy.prototxt"), caffe.TEST)
        net.params["score"][1].data[...] = np.eye(3)[k]  # one class everywhere
        net.save(str(run / "snapshot/train_iter_1.caffemodel"))
        Run(run).record(Job("voc-fcn8s", solvers.recipe("voc-fcn8s"), layers, folder.classes), {})
    assert command.main([*map(str, runs), "--draws", "100", "--format", "json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert first["images"] == 2 and (runs[1] / "score-val/score.json").is_file()
    (runs[1] / "snapshot/train_iter_2.caffemodel").write_bytes(
        (runs[0] / "snapshot/train_iter_1.caffemodel").read_bytes()
    )
    assert command.main([*map(str, runs), "--draws", "100", "--format", "json"]) == 0
    again = json.loads(capsys.readouterr().out)
    assert again["runs"][0] == first["runs"][0] != first["runs"][1]
    assert again["runs"][1]["metrics"] == again["runs"][0]["metrics"]
