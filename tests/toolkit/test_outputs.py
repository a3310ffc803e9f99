"""What is read is not replaced: outputs that are inputs, by any path or link, are refused."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import infer
import nets
import score
import solvers
from fcn.commands import data as data_command
from fcn.commands import demo as demo_command
from fcn.commands import train as train_command
from fcn.commands import weights as weights_command
from fcn.job import Job
from fcn.runs import Run
from fcn.score import save_label
from nets.__main__ import main as nets_main
from solvers.__main__ import main as solvers_main
from voc_layers import VocFolder

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 3 kernel_size: 1 } }
"""


@pytest.fixture
def run(data: Path) -> Path:
    """A run on `data`, and photos of the user's."""
    folder = data.parent / "runs/voc-fcn32s"
    (folder / "snapshot").mkdir(parents=True)
    (folder / "deploy.prototxt").write_text(NET)
    net = caffe.Net(str(folder / "deploy.prototxt"), caffe.TEST)
    net.params["score"][0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
    net.save(str(folder / "snapshot/train_iter_1.caffemodel"))
    found = VocFolder.open(data)
    layers = {form: nets.PythonData.reading(found, form, seed=1) for form in ("train", "val")}
    Run(folder).record(Job("voc-fcn32s", solvers.recipe("voc-fcn32s"), layers, found.classes), {})
    (data.parent / "photos").mkdir()
    Image.fromarray(np.full((4, 5, 3), 90, np.uint8)).save(data.parent / "photos/cat.png")
    return folder


def digests(folder: Path) -> dict[Path, str]:
    return {p: hashlib.sha256(p.read_bytes()).hexdigest() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("way", ["same", "relative", "linked folder", "hard link", "overlay"])
def test_photos_are_not_replaced(
    run: Path, way: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    top = run.parents[1]
    monkeypatch.chdir(top)
    out, images = top / "photos", ["photos"]
    if way == "relative":
        out = Path("runs/../photos")
    elif way == "linked folder":
        out = top / "other"
        out.symlink_to("photos")
    elif way == "hard link":
        out = top / "other"
        out.mkdir()
        os.link(top / "photos/cat.png", out / "cat.png")
    elif way == "overlay":
        (top / "photos/cat.png").rename(top / "photos/dog_overlay.png")
        Image.fromarray(np.full((4, 5, 3), 90, np.uint8)).save(top / "dog.jpg")
        images = ["dog.jpg", "photos"]
    before = digests(top)
    assert infer.main([*images, "--weights", str(run), "-o", str(out)]) == 1
    assert "would " in capsys.readouterr().err
    assert digests(top) == before


@pytest.mark.parametrize("save", ["data/SegmentationClass", "data/JPEGImages/../SegmentationClass", "link"])
def test_the_truth_is_not_replaced(
    run: Path, save: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    top = run.parents[1]
    monkeypatch.chdir(top)
    (top / "link").symlink_to("data/SegmentationClass")
    before = digests(top)
    assert score.main([str(run), "--save", save]) == 1
    assert "would replace" in capsys.readouterr().err
    assert digests(top) == before


def test_predictions_are_not_replaced(run: Path, data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    maps = data.parent / "maps"
    assert score.main([str(run), "--save", str(maps), "--out", str(data.parent / "s")]) == 0
    before = digests(maps)
    assert score.main([str(maps), "--data", str(data), "--save", str(maps)]) == 1
    assert "would replace" in capsys.readouterr().err
    assert digests(maps) == before


def test_a_list_cannot_lead_out_of_the_folder(
    run: Path, data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data / "ImageSets/Segmentation/odd.txt").write_text("../precious\n")
    assert score.main([str(run), "--split", "odd", "--save", str(data.parent / "maps/sub")]) == 1
    assert "leads out of it" in capsys.readouterr().err
    assert not (data.parent / "maps").exists()


def test_weights_are_not_converted_onto_themselves(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    weights = run / "snapshot/train_iter_1.caffemodel"
    before = digests(run)
    assert weights_command.main(["import", str(weights), "-o", str(weights)]) == 1
    assert "would replace" in capsys.readouterr().err
    assert digests(run) == before


def test_images_are_not_drawn_over_somebody_elses(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = digests(data)
    assert data_command.main(["draw", str(data), "--train", "1", "--val", "1", "--class-images", "0"]) == 1
    assert "another data set" in capsys.readouterr().err
    assert digests(data) == before


@pytest.mark.parametrize("out", ["taken", "taken/below", "dangling"])
def test_a_folder_that_cannot_be_is_told_before_the_work(
    run: Path, data: Path, out: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    top = run.parents[1]
    monkeypatch.chdir(top)
    (top / "taken").write_text("a file")
    (top / "dangling").symlink_to("nowhere/at/all")
    before = digests(top)
    for main, argv in (
        (infer.main, ["photos", "--weights", str(run), "-o", out]),
        (score.main, [str(run), "--save", out]),
        (score.main, [str(run), "--out", out]),
        (train_command.main, ["voc-fcn32s", "--data", str(data), "--runs", out]),
        (demo_command.main, ["--quick", "--runs", out]),
        (data_command.main, ["draw", out]),
    ):
        assert main(argv) == 1
        said = capsys.readouterr().err
        assert f"{out}: expected a folder" in said and "Errno" not in said
    assert digests(top) == before


@pytest.mark.parametrize("command", [nets_main, solvers_main])
def test_prototxts_that_cannot_be_written_are_told(
    command: Callable[[list[str]], int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(SystemExit) as stop:
        command(["voc-fcn8s", "--out", str(tmp_path / "taken")])
    assert stop.value.code == 2 and f"--out {tmp_path / 'taken'}: " in capsys.readouterr().err


def test_random_weights_are_in_the_format_that_their_name_says(tmp_path: Path) -> None:
    argv = ["random", "vgg16", "--width", "0.05", "--classes", "2", "-o"]
    assert weights_command.main([*argv, str(tmp_path / "w.npz")]) == 0
    with np.load(tmp_path / "w.npz") as arrays:
        assert "conv1_1.0" in arrays
    assert weights_command.main([*argv, str(tmp_path / "w.txt")]) == 1
    assert not (tmp_path / "w.txt").exists()


def test_what_a_killed_process_left_is_removed_an_hour_later(tmp_path: Path) -> None:
    """Not what a process that runs is making, nor what another computer may be."""
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    old, young, running = (
        tmp_path / f".{name}.png.{process}.tmp"
        for name, process in (("old", gone.pid), ("young", gone.pid), ("running", os.getpid()))
    )
    folder = tmp_path / f".folder.{gone.pid}.tmp"
    folder.mkdir()
    for path in (old, young, running, tmp_path / ".hidden.tmp", folder / "x"):
        path.touch()
    for path in (old, running, tmp_path / ".hidden.tmp", folder):
        os.utime(path, (0, 0))
    save_label(np.zeros((30, 40), np.uint8), tmp_path / "new.png")
    assert {*tmp_path.iterdir()} == {young, running, tmp_path / ".hidden.tmp", tmp_path / "new.png"}


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="of Linux")
def test_a_full_disk_is_told_with_the_file_that_was_meant(tmp_path: Path) -> None:
    path = tmp_path / "label.png"
    path.write_bytes(b"before")
    (tmp_path / f".label.png.{os.getpid()}.tmp").symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left") as error:
        save_label(np.zeros((30, 40), np.uint8), path)
    assert error.value.filename == str(path)
    assert path.read_bytes() == b"before" and os.listdir(tmp_path) == ["label.png"]
