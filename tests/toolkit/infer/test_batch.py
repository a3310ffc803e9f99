"""`fcn infer` with many files: scores, tiles, limits, the page, several processes."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import numpy as np
import pytest
import torch
from PIL import Image

from fcn.commands import infer
from fcn.infer.scores import score_file
from tests.source_tree import ROOT


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Five images of noise, and one that is damaged."""
    folder, rng = tmp_path / "photos", np.random.default_rng(0)
    folder.mkdir()
    for name in "abcde":
        Image.fromarray(rng.integers(0, 256, (30, 40, 3), np.uint8)).save(folder / f"{name}.png")
    (folder / "c2.png").write_bytes((folder / "c.png").read_bytes()[:100])
    return folder


def labels(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.glob("?.png")}


def test_several_processes_write_and_say_what_one_does(
    fcn_run: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    said = []
    for jobs in (1, 2):
        out = tmp_path / str(jobs)
        assert infer.main([str(photos), "--weights", str(fcn_run), "-o", str(out), "--jobs", str(jobs)]) == 1
        said.append(capfd.readouterr())
    assert said[0].out == said[1].out and said[0].out.count("\n") == 5
    assert said[0].err == said[1].err and "c2.png" in said[0].err and "1 of 6 images" in said[0].err
    assert labels(tmp_path / "1") == labels(tmp_path / "2") and len(labels(tmp_path / "1")) == 5


def test_a_program_reads_what_became_of_each_file(
    fcn_run: Path, photos: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    line = [str(photos), "--weights", str(fcn_run), "-o", str(tmp_path / "out"), "--json", "--page"]
    assert infer.main([*line, "--tile", "500"]) == 1
    found = {Path(one["path"]).name: one for one in json.loads(capfd.readouterr().out)}
    assert found.keys() == {path.name for path in photos.iterdir()}
    assert found["c2.png"]["problem"] and not found["c2.png"]["shares"]
    for one in (one for name, one in found.items() if name != "c2.png"):
        (shares,) = one["shares"]
        assert one["problem"] is None and sum(shares.values()) == pytest.approx(1)


def test_on_several_gpus_each_has_a_process(
    fcn_run: Path,
    photos: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """On the CPU instead: both processes ask for a GPU, and say what one process says."""
    monkeypatch.setenv("CAFFE_FALLBACK", "cpu")
    said = []
    for place, device in enumerate((["--cpu"], ["--gpu", "0,1"])):
        given = [str(photos), "--weights", str(fcn_run), "-o", str(tmp_path / str(place)), "--page"]
        assert infer.main([*given, *device]) == 1
        said.append(capfd.readouterr())
    assert said[0].out.splitlines()[:5] == said[1].out.splitlines()[:5]
    assert labels(tmp_path / "0") == labels(tmp_path / "1") and len(labels(tmp_path / "0")) == 5
    assert "c2.png" in said[1].err
    monkeypatch.delenv("CAFFE_FALLBACK")
    given = [str(photos / "a.png"), str(photos / "b.png"), "--weights", str(fcn_run), "-o"]
    if not torch.cuda.is_available():
        assert infer.main([*given, str(tmp_path / "none"), "--gpu", "0,1"]) == 1
        told = capfd.readouterr().err
        assert "--gpu 0: " in told and "--gpu 1: " in told and "a.png, " in told


@pytest.mark.parametrize("options", [["--jobs", "2"], ["--gpu", "0,1"]])
def test_a_camera_is_watched_by_one_process(
    options: list[str], brightest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        infer.main(["--camera", "0", "--weights", str(brightest), "-o", str(tmp_path), *options])
    assert "one process watches it" in capsys.readouterr().err


def test_a_process_that_dies_is_told_with_what_it_left_undone(
    fcn_run: Path, photos: Path, tmp_path: Path
) -> None:
    names = [str(photos / f"{name}.png") for name in "abde"]
    command = [sys.executable, "-m", "fcn", "infer", *names, "--weights", str(fcn_run), "--jobs", "2"]
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path / "out"), "--page"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    os.kill(_second_worker(running.pid), signal.SIGKILL)  # while it loads what it needs
    said, wrong = running.communicate(timeout=120)
    assert running.returncode == 1
    assert [line.split(":")[0] for line in said.splitlines()[:2]] == [names[0], names[2]]
    assert f"process 2 of 2 was ended by signal 9; not done: {names[1]}, {names[3]}" in wrong
    assert "a.png" in (tmp_path / "out/index.html").read_text()


def test_ctrl_c_ends_all_processes_with_a_line(fcn_run: Path, photos: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "fcn", "infer", str(photos), "--weights", str(fcn_run), "--jobs", "2"]
    running = subprocess.Popen(
        [*command, "-o", str(tmp_path)], cwd=ROOT, stderr=subprocess.PIPE, text=True, start_new_session=True
    )
    worker = _second_worker(running.pid)
    os.killpg(running.pid, signal.SIGINT)  # as a terminal does
    assert running.communicate(timeout=60)[1] == "fcn infer: interrupted\n"
    assert running.returncode == 130 and not Path(f"/proc/{worker}").exists()


def _second_worker(pid: int) -> int:
    """The second of the processes that another has started to share its work."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    while True:
        found = [int(child) for child in children.read_text().split()]
        workers = [one for one in found if b"spawn_main" in Path(f"/proc/{one}/cmdline").read_bytes()]
        if len(workers) == 2:
            return max(workers)
        time.sleep(0.01)


def test_scores_are_written_with_the_names_of_their_classes(
    brightest: Path, photos: Path, tmp_path: Path
) -> None:
    options = ["--weights", str(brightest), "-o", str(tmp_path), "--scores"]
    assert infer.main([str(photos / "a.png"), *options]) == 0
    assert infer.main([str(photos / "b.png"), *options, "float16"]) == 0
    with np.load(tmp_path / "a_scores.npz") as one, np.load(tmp_path / "b_scores.npz") as other:
        assert one["classes"].tolist() == ["sea", "grass", "brick"]
        assert one["scores"].shape == (3, 30, 40) and one["scores"].dtype == np.float32
        assert other["scores"].dtype == np.float16
        with Image.open(tmp_path / "a.png") as label:
            np.testing.assert_array_equal(one["scores"].argmax(0), np.array(label))
        blue = np.array(Image.open(photos / "a.png"))[..., 2].astype(np.float32)
        np.testing.assert_allclose(one["scores"][0], blue - np.float32(104.00699), atol=1e-4)
    assert not [path.name for path in tmp_path.iterdir() if path.name.startswith(".")]


@pytest.mark.skipif(not hasattr(os, "posix_fallocate"), reason="of Linux")
def test_scores_have_their_room_on_the_disk_before_they_are_computed(tmp_path: Path) -> None:
    """On a disk that is too full, a hole in the file that is written to would end the process by SIGBUS."""
    with score_file(tmp_path / "a_scores.npz", (200, 300), ("sea", "grass", "brick")):
        (raw,) = tmp_path.glob(".*.npy.*")
        assert raw.stat().st_blocks * 512 >= raw.stat().st_size > 3 * 200 * 300 * 4


@pytest.mark.skipif(sys.platform != "linux", reason="names of any bytes")
def test_names_of_any_bytes_are_shown_and_command_no_terminal(
    brightest: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = [b"\xff\xfe.png", b"up\x1b[2J.png", b"<script>.png"]
    odd, out = tmp_path / "odd", tmp_path / "out"
    odd.mkdir()
    for name in names:
        os.link(photos / "a.png", odd / os.fsdecode(name))
    assert infer.main([str(odd), "--weights", str(brightest), "-o", str(out), "--page"]) == 0
    said = capsys.readouterr()
    assert "\x1b" not in said.out + said.err
    assert "up\\x1b[2J.png" in said.out and "\\xff\\xfe.png" in said.out
    text = (out / "index.html").read_text()
    assert "<script>" not in text and 'src="%FF%FE_image.jpg"' in text


def test_scores_that_float16_does_not_hold_are_no_file(tmp_path: Path) -> None:
    place = (slice(0, 1), slice(0, 2))
    with (
        pytest.raises(ValueError, match="float32"),
        score_file(tmp_path / "a_scores.npz", (1, 2), ["a"], "float16") as file,
    ):
        file.put(place, np.array([[[1, 1e5]]], np.float32))
    assert list(tmp_path.iterdir()) == []


def test_a_tiled_image_has_the_files_of_a_whole_one(
    fcn_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = np.random.default_rng(1).integers(0, 256, (380, 40, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "tall.png")
    options = [str(tmp_path / "tall.png"), "--weights", str(fcn_run), "--scores", "-o"]
    assert infer.main([*options, str(tmp_path / "whole")]) == 0
    capsys.readouterr()
    assert infer.main([*options, str(tmp_path / "tiled"), "--tile", "330"]) == 0
    assert capsys.readouterr().out.startswith("tiles of 330, overlap 266, margin 121 + 137: as of the whole")
    with (
        np.load(tmp_path / "whole/tall_scores.npz") as whole,
        np.load(tmp_path / "tiled/tall_scores.npz") as tiled,
    ):
        np.testing.assert_allclose(
            tiled["scores"], whole["scores"], rtol=0, atol=1e-5 * np.abs(whole["scores"]).max()
        )
    with Image.open(tmp_path / "tiled/tall_overlay.png") as overlay:
        assert overlay.size == (40, 380)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--tile", "100"], "take tiles of"),
        (["--tile", "400", "--overlap", "399"], "take tiles of 431 or more"),
    ],
)
def test_tiles_that_cannot_be_are_told_before_the_work(
    options: list[str], said: str, fcn_run: Path, photos: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [str(photos / "a.png"), "--weights", str(fcn_run), "-o", str(tmp_path / "out")]
    assert infer.main([*given, *options]) == 1
    assert said in capsys.readouterr().err and not (tmp_path / "out").exists()


def test_images_beyond_the_limit_are_read_by_choice(
    brightest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 500)  # and refuses above twice as many
    Image.new("RGB", (50, 40), (0, 255, 0)).save(tmp_path / "large.png")
    given = [str(tmp_path / "large.png"), "--weights", str(brightest), "-o", str(tmp_path / "out")]
    assert infer.main(given) == 1
    said = capsys.readouterr().err
    assert "large.png" in said and "--max-pixels" in said
    assert infer.main([*given, "--max-pixels", "1999"]) == 1
    assert infer.main([*given, "--max-pixels", "2000"]) == 0
    assert Image.MAX_IMAGE_PIXELS == 500


class Links(HTMLParser):
    """What a page refers to, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.links += [value or "" for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_shows_what_could_be_segmented(brightest: Path, photos: Path, tmp_path: Path) -> None:
    (photos / "a.png").rename(photos / "<a & #1>.png")
    out = tmp_path / "out"
    assert infer.main([str(photos), "--weights", str(brightest), "-o", str(out), "--page"]) == 1
    page = Links((out / "index.html").read_text())
    assert "<a & #1>.png" in page.text and "c2.png" not in page.text and "brick" in page.text
    assert len(page.links) == 5 * 4
    for link in page.links:
        assert (out / unquote(link)).is_file(), link


def test_a_photograph_that_lies_on_its_side_is_told(
    brightest: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tags = Image.Exif()
    tags[0x0112] = 6
    Image.open(photos / "a.png").save(photos / "a.png", exif=tags)
    given = [str(photos / "a.png"), str(photos / "b.png"), "--weights", str(brightest), "-o"]
    assert infer.main([*given, str(tmp_path / "stored")]) == 0
    assert "1 of 2 images" in capsys.readouterr().err
    assert infer.main([*given, str(tmp_path / "upright"), "--upright"]) == 0
    assert capsys.readouterr().err == ""
    with Image.open(tmp_path / "upright/a.png") as turned, Image.open(tmp_path / "stored/a.png") as stored:
        np.testing.assert_array_equal(np.array(turned), np.rot90(np.array(stored), -1))


def test_a_full_disk_leaves_no_half_label(brightest: Path, photos: Path, tmp_path: Path) -> None:
    """A file of more than the limit cannot be written: the old label stays as it was."""
    out = tmp_path / "out"
    out.mkdir()
    (out / "a.png").write_bytes(b"old")
    program = (
        "import resource, signal, sys; signal.signal(signal.SIGXFSZ, signal.SIG_IGN);"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (200, 200));"
        "from fcn.__main__ import main; sys.exit(main())"
    )
    command = [sys.executable, "-c", program, "infer", str(photos / "a.png"), "--weights", str(brightest)]
    done = subprocess.run([*command, "-o", str(out)], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1 and "a.png" in done.stderr and "Traceback" not in done.stderr
    assert (out / "a.png").read_bytes() == b"old" and len(list(out.iterdir())) == 1
