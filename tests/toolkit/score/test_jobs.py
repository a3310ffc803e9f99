"""Scoring by several processes: the same files as by one, and no image lost in silence."""

from __future__ import annotations

import json
import signal
from contextlib import nullcontext
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import score as script
from fcn.score import ScoreRequest, score
from fcn.sharding import ShardError


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path]:
    """Seven predictions and labels, of different sizes."""
    rng = np.random.default_rng(0)
    for i in range(7):
        for folder, values in (("maps", (0, 1, 2)), ("labels", (0, 1, 2, 255))):
            (tmp_path / folder).mkdir(exist_ok=True)
            array = rng.choice(values, (5 + i, 9)).astype(np.uint8)
            Image.fromarray(array).save(tmp_path / folder / f"im{i}.png")
    return tmp_path / "maps", tmp_path / "labels"


NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score" convolution_param {
        num_output: 3 kernel_size: 5 pad: 2 weight_filler { type: "gaussian" std: 0.1 } } }
"""


def test_processes_write_the_files_of_one(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST).save(str(tmp_path / "w.caffemodel"))
    net = [str(tmp_path / "w.caffemodel"), "--net", str(tmp_path / "net.prototxt")]
    command = [*net, "--data", str(data), "--split", "train", "--trimap", "1,3", "--format", "json"]
    monkeypatch.setenv("CAFFE_FALLBACK", "cpu")  # what GPUs are asked for is computed on the CPU
    written, printed = [], []
    for place, processes in enumerate((["--jobs", "1"], ["--jobs", "2"], ["--gpu", "0,1"])):
        out, save = tmp_path / f"score{place}", tmp_path / f"saved{place}"
        assert script.main([*command, *processes, "--out", str(out), "--save", str(save)]) == 0
        files = [path for path in sorted(out.iterdir()) if path.suffix != ".png"]
        written.append({path.name: path.read_bytes() for path in [*files, *sorted(save.iterdir())]})
        printed.append(capsys.readouterr().out)
    assert written[0] == written[1] == written[2] and len(written[0]) == 6 + 3
    assert printed[0] == printed[1] == printed[2]
    facts = json.loads(printed[0])
    assert [row["name"] for row in facts["per_image"]] == ["0", "1", "2"]
    assert len([row for row in facts["classes"] if row["predicted_pixels"]]) == 3


def test_an_image_that_cannot_be_scored_ends_with_its_name(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    maps, labels = folders
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(maps / "im3.png")
    assert script.main([str(maps), "--labels", str(labels), "--jobs", "2"]) == 1
    said = capsys.readouterr()
    assert "im3.png" in said.err and "not done: im3, im5" in said.err and said.out == ""


def test_a_process_that_is_killed_leaves_the_names_of_its_images(folders: tuple[Path, Path]) -> None:
    maps, labels = folders
    killed = partial(signal.raise_signal, signal.SIGKILL)
    with pytest.raises(ShardError, match="process 2 of 2 .*signal 9; not done: im1, im3, im5") as stop:
        score(ScoreRequest(maps, labels=labels), [nullcontext, killed])  # type: ignore[list-item]
    assert stop.value.missing == ("im1", "im3", "im5")


def test_gpus_with_a_process_each_take_no_number_of_processes(
    folders: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    assert script.main([str(folders[0]), "--labels", str(folders[1]), "--gpu", "0,1", "--jobs", "2"]) == 1
    assert "leave out --jobs" in capsys.readouterr().err
