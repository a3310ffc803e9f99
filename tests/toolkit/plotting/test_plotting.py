"""Curves of runs: what is read of their tables, in which order stages are drawn, and `fcn plot`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import nets
import solvers
from fcn.commands.plot import main
from fcn.job import Job
from fcn.plotting import History, draw_run, histories, smoothed
from fcn.runs import Run


def run_at(folder: Path, losses: list[float], scores: list[float], after: Path | None = None) -> Run:
    """The tables of a run that wrote a loss every ten steps; `after`: the run that its weights come from."""
    run = Run(folder).make()
    weights = () if after is None else (Run(after).prefix.with_name("train_iter_10.caffemodel"),)
    layers = {"train": nets.PythonData("Images")}
    row = replace(solvers.recipe("voc-fcn32s"), max_iter=10 * len(losses))
    run.record(Job("voc-fcn32s", row, layers, ("a", "b"), weights=weights), {"from_iteration": 0})
    for k, loss in enumerate(losses, 1):
        run.append(run.curves, {"iteration": 10 * k, "images": 10 * k, "loss_per_pixel": loss, "seconds": k})
    for k, score in enumerate(scores, 1):
        run.append(run.scores, {"iteration": 20 * k, "loss": 1.0, "mean IU": score})
    return run


def test_a_run_has_the_curves_of_its_tables(tmp_path: Path) -> None:
    run = run_at(tmp_path / "a", [3.0, float("nan"), 1.0], [0.25])
    (found,) = histories(run.path)
    assert found.curves == {
        "loss_per_pixel": ([10, 30], [3, 1]), "loss": ([20], [1]), "mean IU": ([20], [0.25])
    }  # fmt: skip
    assert found.end == 30


def test_a_stage_is_drawn_after_the_one_it_started_from(tmp_path: Path) -> None:
    """By their weights and not by their names; a run of nobody's weights starts at 0."""
    run_at(tmp_path / "z-first", [3, 2], [])
    run_at(tmp_path / "m-second", [2, 1, 1], [], tmp_path / "z-first")
    run_at(tmp_path / "a-third", [1, 0.5], [], Path("moved since") / "m-second")
    run_at(tmp_path / "other", [5], [])
    found = {stage.name: (stage.start, stage.end) for stage in histories(tmp_path)}
    assert found == {"z-first": (0, 20), "other": (0, 10), "m-second": (20, 50), "a-third": (50, 70)}


def test_runs_that_started_from_each_other_are_drawn_all_the_same(tmp_path: Path) -> None:
    run_at(tmp_path / "a", [3, 2], [], tmp_path / "b")
    run_at(tmp_path / "b", [2, 1], [], tmp_path / "a")
    assert {stage.name for stage in histories(tmp_path)} == {"a", "b"}


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30), st.integers(1, 40))
def test_smoothing_is_the_mean_of_the_values_around(values: list[float], points: int) -> None:
    x, y = smoothed((list(range(len(values))), values), points)
    assert x == list(range(len(values)))
    for i, value in enumerate(y):
        window = values[max(0, i - points // 2) : i - points // 2 + points]
        assert value == pytest.approx(sum(window) / len(window), abs=1e-6)


def test_the_command_draws_runs_and_chains(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    a = run_at(tmp_path / "runs/a", [3, 2, 1], [0.2, 0.3]).path
    run_at(tmp_path / "runs/b", [1, 0.5], [0.4], a)
    out = tmp_path / "pictures/all.svg"
    metrics = ["--metric", "mean IU", "--metric", "loss_per_pixel"]
    assert main([str(a.parent), "-o", str(out), *metrics, "--smooth", "2", "--linear"]) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert out.read_text().count('<g id="axes_') == 2
    picture = tmp_path / "one.png"
    assert main([str(a), "-o", str(picture), "--log"]) == 0
    with Image.open(picture) as image:
        assert image.format == "PNG" and image.width > image.height
    assert sorted(p.name for p in tmp_path.iterdir()) == ["one.png", "pictures", "runs"]


def test_runs_of_one_name_are_told_apart(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    paths = [run_at(tmp_path / f"{name}/voc-fcn32s", [3, 2], []).path for name in ("slow", "fast")]
    assert main([*map(str, paths), str(paths[0]), "-o", str(tmp_path / "both.svg")]) == 0
    drawn = (tmp_path / "both.svg").read_text()
    assert [f"<!-- {name}/voc-fcn32s -->" in drawn for name in ("slow", "fast")] == [True, True]


def test_what_cannot_be_drawn_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    a = run_at(tmp_path / "a", [3, 2], [0.2]).path
    out = ["-o", str(tmp_path / "x.png")]
    assert main([str(a), "--metric", "mean UI", *out]) == 1
    said = capsys.readouterr().err
    assert "no column 'mean UI'" in said and "loss_per_pixel, loss, mean IU" in said
    for wrong in (tmp_path / "nowhere", tmp_path / "a/snapshot"):
        assert main([str(wrong), *out]) == 1
        assert f"{wrong}: expected the folder of a run" in capsys.readouterr().err
    assert main([str(a), "-o", str(tmp_path / "x.docx")]) == 1
    assert "docx" in capsys.readouterr().err
    (a / "curves.csv").write_text("step;loss\n1;2\n")
    assert main([str(a), *out]) == 1
    assert f"{a / 'curves.csv'}: not a table of a training" in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_without_matplotlib_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    a = run_at(tmp_path / "a", [3, 2], [0.2]).path
    assert main([str(a), "-o", str(tmp_path / "x.png")]) == 1
    assert "pip install 'caffe-fcn[report]'" in caplog.text


def test_a_run_draws_itself_where_there_is_something_to_draw(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    assert draw_run(run_at(tmp_path / "short", [3], [])) is None
    run = run_at(tmp_path / "long", [3, 2], [])
    assert draw_run(run) == run.path / "curves.png" and run.picture.is_file()
    (run.path / "curves.csv").write_text("no table")
    assert draw_run(run) is None
    assert History("gone", Run(tmp_path / "gone")).end == 0
