"""Videos frame by frame, through OpenCV and through the program ffmpeg; cameras that are not there."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import infer
from fcn.figures import ClassColours
from fcn.infer.video import ffmpeg
from tests.source_tree import ROOT

cv2 = pytest.importorskip("cv2", reason="the extra 'video' is not installed")

WAYS = [
    "opencv",
    pytest.param("ffmpeg", marks=pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg on PATH")),
]
COLOURS = [(200, 0, 0), (0, 200, 0), (0, 0, 200)]  # R, G, B: brick, grass, sea


#: Those of the net `brightest`.
CLASSES = ("sea", "grass", "brick")


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """Twelve frames of 48 x 64, four red, four green, four blue, 12.5 a second."""
    path = tmp_path / "clip.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 12.5, (64, 48))
    for number in range(12):
        writer.write(np.full((48, 64, 3), COLOURS[number // 4][::-1], np.uint8))
    writer.release()
    return path


@pytest.fixture(params=WAYS)
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Reads and writes by OpenCV, or by ffmpeg as where OpenCV is missing."""
    if request.param == "ffmpeg":
        found = importlib.util.find_spec
        monkeypatch.setattr(
            "importlib.util.find_spec", lambda name, *rest: None if name == "cv2" else found(name)
        )
    return str(request.param)


def frames(path: Path) -> tuple[float, list[np.ndarray]]:
    """Frames in a second, and the frames of a video, RGB."""
    capture, found = cv2.VideoCapture(str(path)), []
    fps = capture.get(cv2.CAP_PROP_FPS)
    while True:
        there, frame = capture.read()
        if not there:
            return fps, found
        found.append(frame[..., ::-1])


def test_a_video_becomes_label_maps_and_an_overlay(
    way: str, clip: Path, brightest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert infer.main([str(clip), "--weights", str(brightest), "-o", str(out), "--page"]) == 0
    said = capsys.readouterr().out
    assert said.startswith(f"{clip}: 12 frames, ") and said.count("33.3 %") == 3
    assert sorted(p.name for p in out.iterdir()) == ["clip", "clip_overlay.mp4", "index.html"]
    names = sorted(p.name for p in (out / "clip").iterdir())
    assert names == [f"{number:06d}.png" for number in range(1, 13)]
    for number, name in enumerate(names):
        with Image.open(out / "clip" / name) as label:
            assert (np.array(label) == 2 - number // 4).all() and label.mode == "P"
    fps, shown = frames(out / "clip_overlay.mp4")
    assert fps == 12.5 and len(shown) == 12 and shown[0].shape == (48, 64, 3)
    own = ClassColours.of(CLASSES).palette[0] / 2  # class 0 is no background, and is not left clear
    for number, blended in ((1, (100, 64, 0)), (9, own + np.array((0, 0, 100)))):
        np.testing.assert_allclose(shown[number].mean((0, 1)), blended, atol=12)


def test_a_video_that_is_cut_off_is_told_and_what_there_was_is_kept(
    way: str, clip: Path, brightest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    noise = tmp_path / "noise.avi"
    writer, rng = (
        cv2.VideoWriter(str(noise), cv2.VideoWriter.fourcc(*"MJPG"), 10, (64, 48)),
        np.random.default_rng(0),
    )
    for _ in range(20):
        writer.write(rng.integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    noise.write_bytes(noise.read_bytes()[: noise.stat().st_size // 2])
    out = tmp_path / "out"
    assert infer.main([str(noise), str(clip), "--weights", str(brightest), "-o", str(out)]) == 1
    said = capsys.readouterr()
    count = len(list((out / "noise").iterdir()))
    assert 5 < count < 15 and f"noise.avi: {count}" in said.err and "damaged or cut off" in said.err
    assert len(frames(out / "noise_overlay.mp4")[1]) == count
    assert f"{clip}: 12 frames" in said.out


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no video at all" * 100,
        b"#EXTM3U\nhttp://127.0.0.1:1/clip.ts\n",
        b"ffconcat version 1.0\nfile x.mp4\n",
    ],
)
def test_what_is_no_video_is_told_with_its_name(
    way: str, content: bytes, brightest: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bad.mp4").write_bytes(content)
    given = [str(tmp_path / "bad.mp4"), "--weights", str(brightest), "-o", str(tmp_path / "out")]
    assert infer.main(given) == 1
    assert "bad.mp4: expected a video" in capsys.readouterr().err
    assert not list((tmp_path / "out").iterdir())


def test_names_that_mean_something_to_ffmpeg_are_files(
    way: str, clip: Path, brightest: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "-i http:%02d 'x'.mp4"
    clip.rename(odd)
    assert infer.main([str(odd), "--weights", str(brightest), "-o", str(tmp_path / "out")]) == 0
    assert len(list((tmp_path / "out" / odd.stem).iterdir())) == 12


def test_ctrl_c_keeps_the_part_that_is_done(clip: Path, brightest: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from fcn.__main__ import main\n"
        "from fcn.infer import pictures\n"
        "write = pictures.write_frame\n"
        "def stopped(label, folder, number):\n"
        "    if number == 6: raise KeyboardInterrupt\n"
        "    return write(label, folder, number)\n"
        "pictures.write_frame = stopped\n"
        "sys.exit(main())\n"
    )
    command = [sys.executable, "-c", program, "infer", str(clip), "--weights", str(brightest), "-o"]
    done = subprocess.run([*command, str(tmp_path / "out")], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 130 and "Traceback" not in done.stderr
    assert len(frames(tmp_path / "out/clip_overlay.mp4")[1]) == 5


def test_without_opencv_and_ffmpeg_the_extra_is_named(clip: Path, brightest: Path, tmp_path: Path) -> None:
    hide = "import sys; sys.modules['cv2'] = None; from fcn.__main__ import main; sys.exit(main())"
    (tmp_path / "empty").mkdir()
    command = [
        sys.executable,
        "-c",
        hide,
        "infer",
        str(clip),
        "--weights",
        str(brightest),
        "-o",
        str(tmp_path / "out"),
    ]
    env = {**os.environ, "PATH": str(tmp_path / "empty")}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 1 and "caffe-fcn[video]" in done.stderr and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--camera", "63"], "camera 63: "),
        (["{clip}", "--scores"], "--scores: there are none of videos"),
    ],
)
def test_what_cannot_be_is_told(
    arguments: list[str], said: str, clip: Path, brightest: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    given = [one.format(clip=clip) for one in arguments]
    assert infer.main([*given, "--weights", str(brightest), "-o", str(tmp_path / "out")]) == 1
    assert said in capsys.readouterr().err


OPENED = """
import cv2, signal, sys
from fcn.__main__ import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # who starts the tests may have it ignored
device, capture = sys.argv.pop(), cv2.VideoCapture
cv2.VideoCapture = lambda number: capture(f"file:{device}", cv2.CAP_FFMPEG)
sys.exit(main())
"""


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="no ffmpeg on PATH")
@pytest.mark.parametrize("stopped", [False, True], ids=["that stops", "until Ctrl-C"])
def test_a_camera_is_watched(stopped: bool, clip: Path, brightest: Path, tmp_path: Path) -> None:
    """Its device is a pipe that ffmpeg plays a clip into, at its own pace: frames are waited for."""
    device, out = tmp_path / "video7", tmp_path / "out"
    os.mkfifo(device)
    again = ["-stream_loop", "-1"] if stopped else []
    playing = ["ffmpeg", "-v", "error", "-y", "-re", *again, "-i", str(clip), "-c", "copy", "-f", "matroska"]
    command = [sys.executable, "-c", OPENED, "infer", "--camera", "7", "--weights", str(brightest), "-o"]
    player = subprocess.Popen([*playing, str(device)], stderr=subprocess.DEVNULL)
    try:
        watching = subprocess.Popen(
            [*command, str(out), str(device)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        while stopped and not (out / "camera7/000003_overlay.png").is_file() and watching.poll() is None:
            time.sleep(0.05)
        if stopped:
            watching.send_signal(signal.SIGINT)
        said, told = watching.communicate()
    finally:
        player.kill()
        player.wait()
    found = sorted((out / "camera7").glob("??????.png"))
    assert "Traceback" not in told and len(found) >= 3
    assert [path.name for path in found] == [f"{number:06d}.png" for number in range(1, len(found) + 1)]
    with Image.open(found[0]) as label:
        assert (np.array(label) == 2).all() and label.mode == "P"
    with Image.open(out / "camera7/000001_overlay.png") as overlay:
        np.testing.assert_allclose(np.array(overlay).mean((0, 1)), (100, 64, 0), atol=12)
    if stopped:
        assert watching.returncode == 0 and f"{len(found)} label maps of camera 7 are in {out}" in said
    else:
        assert watching.returncode == 1 and "camera 7: gives no more pictures" in told and len(found) == 12


def test_a_video_that_changes_nothing_stays_in_little_memory(clip: Path) -> None:
    """Frames are handed out one by one: the second is not asked for before the first is done with."""
    with ffmpeg.opened(clip) as film:
        reading = film.frames()
        assert next(reading).shape == (48, 64, 3) and film.fps == 12.5
        reading.close()  # type: ignore[attr-defined]
