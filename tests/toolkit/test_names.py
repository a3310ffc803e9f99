"""Output k of a net is the class it was trained as: names in another order are noticed wherever they are."""

from __future__ import annotations

from pathlib import Path

import pytest

import infer
import score
import solve
from tests.toolkit.conftest import WIDTH


@pytest.fixture
def trained(data: Path, base: Path) -> Path:
    """FCN-32s on sky, road, car; then classes.txt says sky, car, road."""
    options = ["--data", str(data), "--weights", str(base), "--width", str(WIDTH), "--iters", "1"]
    assert solve.main(["voc-fcn32s", *options, "--runs", str(data.parent / "runs"), "--test-every", "0"]) == 0
    (data / "classes.txt").write_text("sky\ncar\nroad\n")
    return data.parent / "runs/voc-fcn32s"


SAYS = "class 1 is 'car', but the net was trained on it as 'road' (of sky, road, car)"


def test_scores_stop(trained: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([str(trained)], [str(trained), "--data", str(data)]):
        assert score.main(arguments) == 1
        assert SAYS in capsys.readouterr().err


def test_scores_are_named_by_the_run_where_the_folder_names_nothing(
    trained: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "classes.txt").unlink()
    assert score.main([str(trained), "--data", str(data), "--format", "csv"]) == 0
    assert [line.split(",")[0] for line in capsys.readouterr().out.splitlines()[1:4]] == [
        "sky",
        "road",
        "car",
    ]


def test_the_next_stage_and_a_resumed_one_stop(
    trained: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--data", str(data), "--width", str(WIDTH), "--runs", str(trained.parent), "--iters", "2"]
    for arguments in (
        ["voc-fcn16s", *common],
        ["voc-fcn16s", *common, "--weights", str(trained)],
        ["voc-fcn32s", *common, "--resume", "auto"],
        ["--resume", str(trained), "--iters", "2"],
    ):
        assert solve.main(arguments) == 1, arguments
        assert SAYS in capsys.readouterr().err


def test_pictures_are_named_by_the_run(
    trained: Path,
    data: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    image = [str(data / "JPEGImages/3.jpg"), "--weights", str(trained), "-o", str(tmp_path / "out")]
    assert infer.main(image) == 0
    assert "the names of the run are used" in caplog.text and SAYS in caplog.text
    assert infer.main([*image, "--classes", str(data / "classes.txt")]) == 1
    assert SAYS in capsys.readouterr().err


def test_classes_without_names_contradict_nobody(data: Path, base: Path) -> None:
    names = (data / "classes.txt").read_text()
    (data / "classes.txt").unlink()
    common = ["--data", str(data), "--width", str(WIDTH), "--runs", str(data.parent / "runs"), "--iters", "1"]
    assert (
        solve.main(["voc-fcn32s", *common, "--classes", "3", "--weights", str(base), "--test-every", "0"])
        == 0
    )
    (data / "classes.txt").write_text(names)
    assert score.main([str(data.parent / "runs/voc-fcn32s")]) == 0
