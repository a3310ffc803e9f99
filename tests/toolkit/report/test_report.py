"""What a report is made of, and the commands that write one."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import replace
from html import unescape
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import nets
from fcn.commands import report as report_command
from fcn.commands import score as score_command
from fcn.commands import train as train_command
from fcn.figures import ClassColours, legend
from fcn.report import NAME, of_run
from fcn.report.chart import Scale, chart, log_ticks, thinned, ticks
from fcn.report.choice import chosen
from fcn.report.numbers import confusion, tiles
from fcn.report.page import render
from fcn.report.pictures import SIDE, Example
from fcn.runs import Run
from fcn.score import ImageScore
from tests.toolkit.conftest import WIDTH
from tests.toolkit.report.cards import EVIL, report, scorecard
from vis import make_palette

pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

FRACTIONS = st.one_of(st.just(float("nan")), st.floats(0, 1))


@given(st.lists(FRACTIONS, max_size=40))
def test_the_images_shown_are_the_best_the_middle_and_the_worst(values: list[float]) -> None:
    scores = [ImageScore(str(k), {"mean IU": value}, 1, 0) for k, value in enumerate(values)]
    kinds = chosen(scores, each=3)
    shown = [one.name for images in kinds.values() for one in images]
    known = sorted((value for value in values if value == value), reverse=True)
    assert len(shown) == len(set(shown)) and len(shown) == min(9, len(known) if len(known) < 3 else
                                                               3 * min(3, len(known) // 3))  # fmt: skip
    best = [one.mean_iu for one in kinds["Best"]]
    worst = [one.mean_iu for one in kinds["Worst"]]
    assert best == known[: len(best)] and worst == known[len(known) - len(worst) :]
    for one in kinds.get("Median", []):
        assert min(best) >= one.mean_iu >= max(worst)


@given(st.floats(-1e6, 1e6), st.floats(1e-3, 1e6))
def test_ticks_are_round_and_within(low: float, size: float) -> None:
    found = ticks(low, low + size)
    room = 1e-6 * max(size, abs(low))
    assert 1 <= len(found) <= 6 and low - room <= found[0] and found[-1] <= low + size + room
    gaps = np.diff(found)
    assert len(found) < 2 or np.allclose(gaps, gaps[0], rtol=1e-6)


@given(st.floats(1e-6, 1e3), st.floats(1.01, 1e9))
def test_logarithmic_ticks_are_within(low: float, factor: float) -> None:
    assert all(low <= tick <= low * factor for tick in log_ticks(low, low * factor))


def test_a_scale_maps_its_ends_to_its_ends() -> None:
    assert [Scale(1, 100, 10, 20, log).at(v) for log in (True, False) for v in (1, 10, 100)] == [
        10, 15, 20, 10, 10.9, 20
    ]  # fmt: skip


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=900), st.integers(1, 50))
def test_thinned_curves_keep_their_mean(values: list[float], points: int) -> None:
    x, y = thinned((list(range(len(values))), values), points)
    assert len(x) == len(y) <= points and x == sorted(x)
    assert min(values) - 1e-9 <= min(y) and max(y) <= max(values) + 1e-9


def test_charts_of_nothing_and_of_constants() -> None:
    assert chart("loss", {"": ([], [])}) is None and chart("loss", {"": ([1], [2])}) is None
    for values in ([2.0, 2.0], [0.0, 0.0], [-1.0, 3.0]):
        drawn = chart("loss", {"": ([0.0, 10.0], values)}, log=True)
        assert drawn is not None and drawn["y_ticks"] and "nan" not in drawn["lines"][0]["points"]


def test_the_numbers_stand_beside_the_papers() -> None:
    card = scorecard(21, model="voc-fcn8s")
    iu = next(tile for tile in tiles(card) if tile["name"] == "mean IU")
    paper = iu["published"][0]
    assert paper["source"] == "CVPR 2015, table 2" and paper["value"] == "62.7"
    assert float(paper["gap"]) == pytest.approx(100 * card.scores.mean_iu - 62.7, abs=0.01)
    assert all(not tile["published"] for tile in tiles(scorecard(20, model="voc-fcn8s")))


def test_the_confusion_is_by_rows() -> None:
    rows = confusion(scorecard(3))
    wrong = round(100 * sum(range(12)) / (12 * 36))
    assert [cell["text"] for cell in rows[0]["cells"]] == [str(100 - wrong), "", str(wrong)]
    assert [cell["right"] for cell in rows[1]["cells"]] == [False, True, False]
    assert all(cell["text"] == "" for cell in rows[2]["cells"])


def test_large_pictures_are_made_smaller_and_keep_their_classes() -> None:
    truth = np.zeros((1500, 3000), np.uint8)
    truth[:, 1500:], truth[:300] = 1, 255
    score = ImageScore("a", {"mean IU": 0.5, "overall accuracy": 0.5}, 1, 0)
    colours = ClassColours.of(("road", "sky"))
    shown = Example(score, np.zeros((1500, 3000, 3), np.uint8), truth, truth % 255).context(colours)
    assert (shown["width"], shown["height"]) == (SIDE, SIDE // 2)
    assert [name for name, _ in shown["pictures"]] == ["image", "truth", "prediction"]
    assert [entry["name"] for entry in shown["legend"]] == ["road", "sky"] and shown["more"] == 0


def test_colours_of_class_0() -> None:
    """It is clear where it is the ground, and has a colour of its own where it is something."""
    voc = make_palette(256)
    ground = ClassColours.of(("background", "cat"))
    assert ground.clear == 0 and (ground.palette == voc).all()
    own = ClassColours.of(("sky", "road", "car"))
    assert own.clear is None and own.palette[0].max() >= 64 and (own.palette[1:3] == voc[1:3]).all()
    assert len(np.unique(own.palette, axis=0)) == 256 and (own.palette[255] == voc[255]).all()
    assert len(np.unique(ClassColours.of([str(k + 1) for k in range(255)]).palette, axis=0)) == 256
    image, label = np.full((1, 3, 3), 100, np.uint8), np.array([[0, 1, 2]], np.uint8)
    half = (100 + own.palette[:3].astype(int)) // 2
    assert own.overlay(image, label, 0.5).tolist() == [half.tolist()]
    assert ground.overlay(image, label, 0.5)[0, 0].tolist() == [100, 100, 100]
    assert (np.array(legend(label[:, :1], own.classes)) == own.palette[0]).all(-1).any()


def test_nothing_in_the_page_leads_out_of_it() -> None:
    text = render(report(3))
    assert EVIL not in text and EVIL in unescape(text)
    addresses = re.findall(r"""(?:src|href|action|url)\s*[=(]\s*["']?([^"')\s>]+)""", text)
    assert addresses and all(address.startswith(("data:image/", "#")) for address in addresses)


# -- the commands -------------------------------------------------------------------------------------


@pytest.fixture
def run(data: Path, base: Path) -> Run:
    """A net that was trained for a step."""
    args = ["voc-fcn32s", "--data", data, "--weights", base, "--width", WIDTH, "--runs", data.parent / "runs"]
    assert train_command.main([*map(str, args), "--iters", "1", "--test-every", "1"]) == 0
    return Run(data.parent / "runs/voc-fcn32s")


def test_a_run_is_reported(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    """It is scored once; going on with it makes the stored score old."""
    page = run.path / "score-val" / NAME
    assert report_command.main([str(run.path), "-q"]) == 0
    assert capsys.readouterr().out == f"{page}\n"
    text = unescape(page.read_text())
    for shown in (
        "voc-fcn32s on data val",
        "3 images, Segmentation/train.txt",
        "class balance",
        "1 of 1",
        "at most 32",
    ):
        assert shown in text
    score = json.loads((run.path / "score-val/score.json").read_text())
    assert f"{100 * score['metrics']['mean IU']:.2f}" in text
    before = (run.path / "score-val/score.json").stat().st_mtime_ns
    assert of_run(run.path).card.as_dict() == score
    assert (run.path / "score-val/score.json").stat().st_mtime_ns == before
    assert train_command.main(["--resume", str(run.path), "--iters", "2"]) == 0
    assert of_run(run.path).card.weights == "train_iter_2.caffemodel"


def test_the_page_of_a_score(run: Run, data: Path, tmp_path: Path) -> None:
    """Of a run, and of saved predictions against a folder of labels, which has no photographs."""
    saved, pages = tmp_path / "saved", tmp_path / "pages"
    assert score_command.main([str(run.path), "--save", str(saved), "--report", str(pages / "run")]) == 0
    labels = data / "SegmentationClass"
    for extra in labels.glob("[012].png"):
        extra.unlink()
    against = ["--labels", str(labels), "--classes", str(data / "classes.txt")]
    assert score_command.main([str(saved), *against, "--report", str(pages / "saved")]) == 0
    of_net, of_files = (unescape((pages / name / NAME).read_text()) for name in ("run", "saved"))
    assert "Recipe" in of_net and "Recipe" not in of_files
    assert of_net.count("data:image/jpeg") == 2 and of_files.count("data:image/jpeg") == 0
    assert of_files.count("data:image/png") == 4


def test_what_cannot_be_reported_is_told(
    tmp_path: Path, run: Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert report_command.main([str(tmp_path / "nowhere")]) == 1
    assert "expected the folder of a run" in capsys.readouterr().err
    job, info = run.job(), run.info.read_text()
    own = nets.PythonData("MyLayer", {}, module="my_layers")
    run.record(replace(job, layers={"train": own, "val": own}), {})
    assert report_command.main([str(run.path)]) == 1
    assert f"fcn score {run.path} --data" in capsys.readouterr().err
    run.record(replace(job, model="vgg16"), {})
    assert report_command.main([str(run.path)]) == 1
    assert "the run of a classifier" in capsys.readouterr().err
    run.info.write_text(info)
    (tmp_path / "file").write_text("")
    assert report_command.main([str(run.path), "-o", str(tmp_path / "file")]) == 1
    assert "expected a folder to write into" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "jinja2", None)
    for command in (report_command.main, score_command.main):
        where = ["-o"] if command is report_command.main else ["--report"]
        assert command([str(run.path), *where, str(tmp_path / "pages")]) == 1
        assert "pip install 'caffe-fcn[report]'" in capsys.readouterr().err
    assert not (run.path / "score-val").exists() and not (tmp_path / "pages").exists()


def test_a_damaged_score_is_told(run: Run, capsys: pytest.CaptureFixture[str]) -> None:
    assert report_command.main([str(run.path), "-q"]) == 0
    (run.path / "score-val/images.npz").write_bytes(b"PK damaged")
    assert report_command.main([str(run.path), "-q"]) == 1
    assert "images.npz" in capsys.readouterr().err
