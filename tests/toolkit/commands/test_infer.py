"""`infer.py`: the three pictures of an image, from a run and from weights alone."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import infer
import nets
import solvers
from fcn.figures import contact_sheet, curves, legend, shares
from fcn.job import Job
from fcn.runs import Run
from vis import make_palette
from voc_layers import VocFolder

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 3 kernel_size: 1 } }
"""


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A net whose class is the brightest channel: 0 blue, 1 green, 2 red."""
    run = tmp_path / "run"
    (run / "snapshot").mkdir(parents=True)
    (run / "deploy.prototxt").write_text(NET)
    net = caffe.Net(str(run / "deploy.prototxt"), caffe.TEST)
    net.params["score"][0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
    net.params["score"][1].data[...] = 0
    net.save(str(run / "snapshot/train_iter_1.caffemodel"))
    data = VocFolder(tmp_path, ("sea", "grass", "brick"))
    layers = {"train": nets.PythonData.reading(data, "train", seed=1)}
    Run(run).record(Job("voc-fcn8s", solvers.recipe("voc-fcn8s"), layers, data.classes), {})
    return run


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """5 x 4 pixels: a row red, the rest green."""
    picture = np.zeros((5, 4, 3), np.uint8)
    picture[..., 1] = 255
    picture[0] = (255, 0, 0)
    Image.fromarray(picture).save(tmp_path / "field.png")
    return tmp_path / "field.png"


def test_three_pictures_and_the_shares(
    run_folder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert infer.main([str(image), "--weights", str(run_folder), "-o", str(out), "--cpu"]) == 0
    assert sorted(p.name for p in out.iterdir()) == ["field.png", "field_legend.png", "field_overlay.png"]
    with Image.open(out / "field.png") as label:
        assert label.mode == "P" and label.getpalette()[:9] == [0, 0, 0, 128, 0, 0, 0, 128, 0]
        assert np.array(label).tolist() == [[2] * 4] + [[1] * 4] * 4
    with Image.open(out / "field_overlay.png") as overlay:
        assert overlay.size == (4, 5)
        assert np.array(overlay)[0, 0].tolist() == [127, 64, 0]  # half red, half the palette's green
    assert capsys.readouterr().out == f"{image}: grass 80.0 %, brick 20.0 %\n"


def test_folders_and_patterns_mean_the_images_in_them(
    run_folder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("b.JPG", "a.png", "[1].png"):
        Image.open(image).convert("RGB").save(photos / name)
    (photos / "notes.txt").write_text("no image")
    options = ["--weights", str(run_folder), "-o", str(out)]
    assert infer.main([str(photos), str(tmp_path / "f*.png"), *options]) == 0
    read = [line.partition(":")[0] for line in capsys.readouterr().out.splitlines()]
    assert read == [str(photos / name) for name in ("[1].png", "a.png", "b.JPG")] + [str(image)]
    assert (out / "b_legend.png").is_file()
    assert infer.main([str(photos / "[1].png"), *options]) == 0


def test_a_bad_image_does_not_stop_the_others(
    run_folder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photos, out = tmp_path / "photos", tmp_path / "out"
    photos.mkdir()
    for name in ("a.png", "c.png"):
        Image.open(image).save(photos / name)
    (photos / "b.png").write_bytes(image.read_bytes()[:40])
    assert (
        infer.main([str(photos), str(tmp_path / "gone.jpg"), "--weights", str(run_folder), "-o", str(out)])
        == 1
    )
    said = capsys.readouterr()
    assert [line.partition(":")[0] for line in said.out.splitlines()] == [
        str(photos / n) for n in ("a.png", "c.png")
    ]
    bad, gone, count = said.err.splitlines()
    assert str(photos / "b.png") in bad and "gone.jpg" in gone
    assert count == "2 of 4 images could not be segmented"
    assert not (out / "b.png").exists() and (out / "c_overlay.png").is_file()


def test_a_picture_that_cannot_be_written_is_told_and_does_not_take_the_label_with_it(
    run_folder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out/field_legend.png").mkdir(parents=True)
    assert infer.main([str(image), "--weights", str(run_folder), "-o", str(tmp_path / "out")]) == 1
    assert (tmp_path / "out/field.png").is_file() and (tmp_path / "out/field_overlay.png").is_file()
    assert "out/field_legend.png" in capsys.readouterr().err


def test_a_folder_that_is_a_file_is_named(
    run_folder: Path, image: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "out").touch()
    assert infer.main([str(image), "--weights", str(run_folder), "-o", str(tmp_path / "out")]) == 1
    assert str(tmp_path / "out") in capsys.readouterr().err


def test_a_snapshot_finds_the_net_of_its_run(run_folder: Path, image: Path, tmp_path: Path) -> None:
    weights = run_folder / "snapshot/train_iter_1.caffemodel"
    assert infer.main([str(image), "--weights", str(weights), "-o", str(tmp_path / "out")]) == 0
    assert (tmp_path / "out/field.png").is_file()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{image}", "--weights", "{tmp}/none.caffemodel"], "none.caffemodel: expected a weights file"),
        (["{image}", "--weights", "{tmp}"], "expected a run with snapshots"),
        (["{tmp}/none.jpg", "--weights", "{run}"], "none.jpg: expected an image, found nothing"),
        (["{tmp}/*.jpg", "--weights", "{run}"], "*.jpg: expected an image, found nothing"),
        (["{run}/snapshot", "--weights", "{run}"], "snapshot: expected images (.jpg, .jpeg, .png,"),
        (["{image}", "{tmp}/other/field.png", "--weights", "{run}"], "pictures of field would overwrite"),
        (["{image}", "--weights", "{run}", "--model", "fcn9"], "no model is called 'fcn9'; there are vgg16"),
        (["{image}", "--weights", "{run}", "--classes", "{tmp}/two.txt"], "gives 3 scores, but there are 2"),
    ],
)
def test_what_is_wrong_is_named(
    arguments: list[str], says: str, run_folder: Path, image: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    (tmp_path / "two.txt").write_text("a\nb\n")
    given = [a.format(image=image, tmp=tmp_path, run=run_folder) for a in arguments]
    assert infer.main([*given, "-o", str(tmp_path / "out")]) == 1
    assert says in capsys.readouterr().err


def test_shares_are_sorted_and_leave_out_void_and_absent_classes() -> None:
    label = np.array([[1, 1, 1, 0], [255, 1, 0, 1]])
    assert shares(label, ("a", "b", "c")) == {"b": 5 / 8, "a": 2 / 8}


def test_the_legend_has_a_patch_of_each_class_colour() -> None:
    picture = np.array(legend(np.array([[1, 2, 2]]), ("a", "b", "c")))
    colours = {tuple(c) for c in picture.reshape(-1, 3).tolist()}
    palette = [tuple(c) for c in make_palette(3).tolist()]
    assert palette[1] in colours and palette[2] in colours and palette[0] not in colours


def test_a_contact_sheet_shows_labels_in_their_colours_and_void_white() -> None:
    photo = np.full((10, 20, 3), 77, np.uint8)
    label = np.full((10, 20), 1, np.uint8)
    label[:, 10:] = 255
    sheet = np.array(contact_sheet({"image": [photo], "truth": [label]}, classes=2, cell=40, gap=4))
    assert sheet[24 + 4 + 20, 4 + 20].tolist() == [77, 77, 77]
    assert sheet[24 + 4 + 20, 4 + 44 + 10].tolist() == [128, 0, 0]
    assert sheet[24 + 4 + 20, 4 + 44 + 30].tolist() == [255, 255, 255]


def test_curves_are_drawn_to_a_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    losses = {"32s": ([1, 2, 3], [3.0, 2.0, 1.0])}
    scores = {"32s": ([3], [0.5]), "16s": ([3], [0.6])}
    path = curves({"loss": losses, "mean IU": scores}, tmp_path / "figures/curves.svg", log_scale=("loss",))
    assert path is not None
    text = path.read_text()
    assert "<svg" in text and text.count('<g id="axes_') == 2


def test_without_matplotlib_there_are_no_curves_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.backends.backend_agg", None)
    assert curves({"loss": {}}, tmp_path / "curves.png") is None
    assert list(tmp_path.iterdir()) == [] and "caffe-fcn[report]" in caplog.text
