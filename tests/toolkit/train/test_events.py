"""What a training leaves for people to watch: events for TensorBoard, and the picture of its curves."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest

from fcn.commands.train import main
from fcn.runs import Run, read_rows
from tests.toolkit.conftest import WIDTH


def train(data: Path, base: Path, iters: int, *options: str) -> int:
    known = ["--resume", str(data.parent / "runs/voc-fcn32s")] if "--resume" in options else [
        "voc-fcn32s", "--data", str(data), "--weights", str(base), "--width", str(WIDTH),
        "--runs", str(data.parent / "runs"),
    ]  # fmt: skip
    more = [option for option in options if option != "--resume"]
    return main([*known, "--iters", str(iters), "--test-every", "20", "--snapshot", "20", *more])


def scalars(folder: Path) -> list[tuple[str, int, float]]:
    """Tag, step and value of each scalar in the one event file of a folder."""
    from tensorboardX.proto.event_pb2 import Event

    (path,) = folder.iterdir()
    data, found = path.read_bytes(), []
    while data:
        (size,) = struct.unpack("<Q", data[:8])
        event = Event.FromString(data[12 : 12 + size])  # between the checksums of the length and the record
        found += [(value.tag, event.step, value.simple_value) for value in event.summary.value]
        data = data[16 + size :]
    return found


def test_events_are_the_rows_of_the_tables_after_going_on_too(data: Path, base: Path) -> None:
    pytest.importorskip("tensorboardX", reason="the extra 'tensorboard' is not installed")
    pytest.importorskip("matplotlib")
    run = Run(data.parent / "runs/voc-fcn32s")
    for iters, options in ((20, ()), (40, ("--tensorboard", "--resume"))):
        assert train(data, base, iters, *options) == 0
    found = scalars(run.events)
    for table, path in (("train", run.curves), ("score", run.scores)):
        for column in ("loss_per_pixel",) if table == "train" else ("loss", "mean IU", "overall accuracy"):
            told = {step: value for tag, step, value in found if tag == f"{table}/{column}"}
            written = {int(row["iteration"]): float(row[column]) for row in read_rows(path)}
            assert told == pytest.approx(written, rel=1e-6) and set(told) == {20, 40}
    assert len(found) == len({(tag, step) for tag, step, _ in found})
    assert run.picture.read_bytes().startswith(b"\x89PNG")


def test_without_the_extra_nothing_is_trained(
    data: Path, base: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert train(data, base, 2, "--tensorboard") == 1
    assert "pip install 'caffe-fcn[tensorboard]'" in capsys.readouterr().err
    assert not (data.parent / "runs").exists()


def test_a_full_disk_ends_the_events_and_not_the_training(
    data: Path, base: Path, caplog: pytest.LogCaptureFixture
) -> None:
    pytest.importorskip("tensorboardX", reason="the extra 'tensorboard' is not installed")
    run = Run(data.parent / "runs/voc-fcn32s").make()
    run.events.write_text("a file where the folder should be")
    assert train(data, base, 2, "--tensorboard") == 0
    assert "the events for TensorBoard end here" in caplog.text and run.newest() is not None
