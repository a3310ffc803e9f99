"""Hours of work are not lost: full disks, data that go bad, an update that breaks, kills at any moment."""

from __future__ import annotations

from pathlib import Path

import pytest

import solve
from fcn.runs import Run, read_rows
from tests.toolkit.conftest import WIDTH


def run_solve(data: Path, base: Path, *more: object) -> int:
    options = ["--data", data, "--weights", base, "--width", WIDTH, "--runs", data.parent / "runs", *more]
    return solve.main(["voc-fcn32s", *map(str, options)])


def run_of(data: Path) -> Run:
    return Run(data.parent / "runs/voc-fcn32s")


@pytest.mark.parametrize("full", ["curves.csv", "train.log", "scores.csv"])
def test_a_full_disk_ends_the_notes_and_not_the_training(
    data: Path, base: Path, full: str, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    run = run_of(data)
    run.path.mkdir(parents=True)
    (run.path / full).symlink_to("/dev/full")
    every = 1 if full == "scores.csv" else 0
    assert run_solve(data, base, "--iters", 30, "--test-every", every and 30) == 0
    assert [
        record.message for record in caplog.records if full in record.message and "space" in record.message
    ]
    assert "Traceback" not in capsys.readouterr().err
    assert list(run.snapshots()) == [30]


def test_scores_that_were_cut_short_are_made_up_for(data: Path, base: Path) -> None:
    common = ("--snapshot", 2, "--test-every", 2, "--base-lr", 1e-6)
    assert run_solve(data, base, "--iters", 6, *common) == 0
    run = run_of(data)
    whole = run.scores.read_text().splitlines()
    assert [line.split(",")[0] for line in whole] == ["iteration", "2", "4", "6"]
    for missing in ([3], [1], [1, 2, 3]):
        run.scores.write_text("".join(f"{line}\n" for i, line in enumerate(whole) if i not in missing))
        assert run_solve(data, base, "--iters", 6, *common, "--resume", "auto") == 0
        assert run.scores.read_text().splitlines() == whole


def test_an_update_that_breaks_the_weights_at_the_end_is_noticed(
    data: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    breaking = ("--recipe", "heavy", "--iters", 1, "--base-lr", 1e38)
    assert run_solve(data, base, *breaking, "--snapshot", 1, "--test-every", 0) == 1
    said = capsys.readouterr().err
    assert "at iteration 1 of voc-fcn32s (image " in said and "first in layer 'score_fr'" in said
    assert not run_of(data).snapshots()


def test_an_image_that_goes_bad_leaves_a_snapshot(
    data: Path, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The check before the start was passed; then a disk or a colleague changes the file."""
    run = run_of(data)

    def bad_from_now_on(*arguments: object) -> None:
        for path in (data / "JPEGImages").iterdir():
            path.write_bytes(b"gone")

    monkeypatch.setattr(Run, "rewind", bad_from_now_on)
    assert run_solve(data, base, "--iters", 1000, "--test-every", 0) == 1
    assert "expected an image" in capsys.readouterr().err
    (iteration,) = run.snapshots()
    assert 0 < iteration < 1000


def test_what_a_killed_process_left_is_removed(data: Path, base: Path) -> None:
    run = run_of(data).make()
    left = [run.prefix.parent / ".train_iter_4.caffemodel.123.tmp", run.path / ".run.json.123.tmp"]
    for path in left:
        path.write_bytes(b"half")
    (run.path / "resume-abc").mkdir()
    assert run_solve(data, base, "--iters", 1, "--test-every", 0) == 0
    assert not [path for path in [*left, run.path / "resume-abc"] if path.exists()]


def test_scores_stand_in_order(tmp_path: Path) -> None:
    run = Run(tmp_path)
    for iteration in (4, 2, 8):
        run.add_scores({"iteration": iteration, "mean IU": 0.5})
    assert [row["iteration"] for row in read_rows(run.scores)] == ["2", "4", "8"]
    assert run.scored() == {2, 4, 8}
    assert not list(tmp_path.glob("*.tmp"))
