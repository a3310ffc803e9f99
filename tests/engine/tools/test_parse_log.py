"""parse_log and plot_training_log, on Caffe's own logs and on ours."""

from __future__ import annotations

import csv
import math
import re
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from caffe.__main__ import main as caffe_main
from caffe.tools import parse_log, plot_training_log
from tests.engine.support import cli_case, golden


def caffe_log(name: str, path: str) -> None:
    """A recorded log with time stamps in place of the placeholders: a line every quarter second."""
    text = (golden.GOLDEN / "cli" / name / "stderr.txt").read_text()
    clock = iter(range(10**6))

    def stamp(found: re.Match[str]) -> str:
        ticks = next(clock)
        minutes, seconds = divmod(ticks // 4, 60)
        return f"{found[1]}1231 23:{minutes:02d}:{seconds:02d}.{ticks % 4 * 250000:06d}  4242"

    text = re.sub(r"([IWEF])<DATE> <TIME> <PID>", stamp, text)
    Path(path).write_text(text.replace("<RATE>", "12.5").replace("<SECONDS>", "0.4"))


def table(path: str, delimiter: str = ",") -> list[dict[str, str]]:
    with open(path, newline="") as file:
        return list(csv.DictReader(file, delimiter=delimiter))


def column(rows: list[dict[str, str]], name: str) -> list[float]:
    return [float(row[name]) for row in rows]


def test_a_log_of_caffe(in_tmp):
    Path("out").mkdir()
    caffe_log("train_finetune", "finetune.log")
    assert parse_log.main(["finetune.log", "out"]) == 0
    train, test = table("out/finetune.log.train"), table("out/finetune.log.test")
    assert list(train[0]) == ["NumIters", "Seconds", "LearningRate", "loss"]
    assert column(train, "NumIters") == [0, 5, 10, 15]
    assert column(train, "loss") == [2.23461, 0.881361, 0.816602, 0.271504]
    # The rate known when the row begins is the one of the display before; the first takes the second's.
    assert column(train, "LearningRate") == [0.1, 0.1, 0.1, 0.05]
    assert list(test[0]) == ["NumIters", "Seconds", "LearningRate", "accuracy", "loss"]
    assert column(test, "NumIters") == [0, 10, 20]
    assert column(test, "accuracy") == [0.111111, 0.888889, 0.777778]
    # Lines after "Solving": policy, testing, accuracy of test 0.
    assert column(test, "Seconds")[0] == 0.75


def test_our_log_has_the_same_tables(in_tmp, capsys):
    for name in ("train_finetune", "train_two_test_nets", "train_iter_size_adam"):
        caffe_log(name, "theirs")
        cli_case.bring(name)
        assert caffe_main(cli_case.CASES[name]["args"]) == 0
        Path("ours").write_text(capsys.readouterr().err)
        for ours, theirs in zip(parse_log.parse_log("ours"), parse_log.parse_log("theirs")):
            assert [list(row) for row in ours] == [list(row) for row in theirs]
            for mine, want in zip(ours, theirs):
                mine["Seconds"] = want["Seconds"]
                assert mine == pytest.approx(want, rel=2e-3)


def test_several_elements_and_several_test_nets_have_columns_of_their_own(in_tmp):
    caffe_log("train_two_test_nets", "log")
    _, test = parse_log.parse_log("log")
    assert [row["NumIters"] for row in test] == [2, 4]
    assert test[0]["accuracy"] == 0.166667 and test[0]["net1.accuracy"] == 0.333333
    assert (test[0]["net1.prob"], test[1]["net1.prob#10"]) == (0.233284, 0.07378)


def lines(*messages: str, stamp: str = "0102 03:04:05.000006") -> str:
    return "".join(f"I{stamp}  1 solver.cpp:1] {message}\n" for message in messages)


def output(kind: str, value: str, name: str = "loss") -> str:
    return f"    {kind} net output #0: {name} = {value} (* 1 = {value} loss)"


def test_numbers_in_every_spelling_and_what_is_not_a_number(in_tmp):
    values = ["1e-05", "87.3365", "-3", "nan", "inf", "-nan", "0"]
    body = [(f"Iteration {i}, loss = 1", output("Train", value)) for i, value in enumerate(values)]
    Path("log").write_text(lines("Solving x", *(line for pair in body for line in pair)))
    train, test = parse_log.parse_log("log")
    got = [row["loss"] for row in train]
    assert got[:3] + got[4:5] + got[6:] == [1e-5, 87.3365, -3, math.inf, 0] and math.isnan(got[3] + got[5])
    assert test == []


def test_foreign_lines_and_a_row_cut_short_do_no_harm(in_tmp):
    text = (
        "a line of a job queue: Iteration 99\n"
        + lines("Initializing", "Solving net", "Iteration 0, Testing net (#0)")
        + "Iteration 77 printed by a Python layer\n"
        + lines(output("Test", "0.5", "acc"), output("Test", "2").replace("#0", "#1"))
        + lines("Iteration 10, Testing net (#0)", output("Test", "0.6", "acc"))
    )
    Path("log").write_text(text)
    _, test = parse_log.parse_log("log")
    assert [(row["NumIters"], row["acc"], row["loss"]) for row in test] == [(0, 0.5, 2)]
    assert math.isnan(test[0]["LearningRate"])


def test_time_goes_on_over_new_year_and_with_newer_glog_s_dates(in_tmp):
    for before, after in (
        ("1231 23:59:59.500000", "0101 00:00:01.000000"),
        ("20201231 23:59:59.500000", "20210101 00:00:01.000000"),
    ):
        Path("log").write_text(
            lines("Solving net", stamp=before) + lines("Iteration 1", output("Train", "1"), stamp=after)
        )
        train, _ = parse_log.parse_log("log")
        assert train[0]["Seconds"] == 1.5


def test_the_options(in_tmp, capsys):
    caffe_log("train_multistep", "log")
    assert parse_log.main(["log", ".", "--verbose", "--delimiter", ";"]) == 0
    assert column(table("log.train", ";"), "NumIters") == [0, 2, 4, 6, 8]
    said = capsys.readouterr().out
    assert "Wrote ./log.train" in said and "Not writing ./log.test" in said and not Path("log.test").exists()


def test_a_log_without_training(in_tmp, capsys):
    Path("log").write_text(lines("Use CPU."))
    assert parse_log.main(["log", "."]) == 134
    assert "'Solving'" in capsys.readouterr().err
    assert parse_log.main(["nowhere", "."]) == 134


@pytest.mark.parametrize("number", range(8))
def test_charts(number, in_tmp):
    pytest.importorskip("matplotlib")
    caffe_log("train_finetune", "a.log")
    caffe_log("train_resume", "b.log")
    assert plot_training_log.main([str(number), "chart.png", "a.log", "b.log"]) == 0
    with Image.open("chart.png") as image:
        assert len(np.unique(np.asarray(image.convert("L")))) > 10


def test_the_numbers_of_the_charts_are_those_of_caffe_s_script():
    assert [str(chart) for chart in plot_training_log.CHARTS] == [
        "Test accuracy vs. Iters", "Test accuracy vs. Seconds",
        "Test loss vs. Iters", "Test loss vs. Seconds",
        "Train learning rate vs. Iters", "Train learning rate vs. Seconds",
        "Train loss vs. Iters", "Train loss vs. Seconds",
    ]  # fmt: skip


def test_a_chart_shows_the_table(in_tmp):
    caffe_log("train_finetune", "a.log")
    points = [plot_training_log.points(plot_training_log.CHARTS[number], "a.log") for number in (0, 4, 6)]
    assert points[0] == ([0, 10, 20], [0.111111, 0.888889, 0.777778])
    assert points[1][1] == [0.1, 0.1, 0.1, 0.05]
    assert points[2][1] == [2.23461, 0.881361, 0.816602, 0.271504]


def test_a_chart_of_what_the_log_has_not(in_tmp, capsys):
    pytest.importorskip("matplotlib")
    caffe_log("train_multistep", "a.log")
    assert plot_training_log.main(["0", "chart.png", "a.log"]) == 134
    assert "'a.log' has nothing for 'Test accuracy vs. Iters'" in capsys.readouterr().err
    assert plot_training_log.main(["6", "chart.nonsense", "a.log"]) == 134
    assert "chart.nonsense" in capsys.readouterr().err


def test_without_matplotlib_the_extra_is_named(in_tmp, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    caffe_log("train_multistep", "a.log")
    assert plot_training_log.main(["6", "chart.png", "a.log"]) == 134
    assert "caffe-fcn[report]" in capsys.readouterr().err
