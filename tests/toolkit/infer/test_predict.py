"""`fcn.load(...).predict(...)`: files, Pillow's images and arrays, and what a prediction shows."""

from __future__ import annotations

import io
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import fcn
import nets
from fcn.commands import infer
from fcn.infer import Model
from voc_layers.reading import SampleError


@pytest.fixture(scope="module")
def net(brightest: Path) -> Model:
    return fcn.load(brightest)


@pytest.fixture
def field() -> np.ndarray:
    """5 x 4 pixels: a row red, the rest green."""
    picture = np.zeros((5, 4, 3), np.uint8)
    picture[..., 1] = 255
    picture[0] = (255, 0, 0)
    return picture


def test_a_file_an_image_and_an_array_say_the_same(net: Model, field: np.ndarray, tmp_path: Path) -> None:
    Image.fromarray(field).save(tmp_path / "field.png")
    found = [net.predict(one) for one in (tmp_path / "field.png", Image.fromarray(field), field)]
    for one in found:
        assert one.label.dtype == np.uint8 and one.label.tolist() == [[2] * 4] + [[1] * 4] * 4
        assert one.shares == {"grass": 0.8, "brick": 0.2} and one.classes == ("sea", "grass", "brick")
    assert [one.name for one in found] == ["field", "image", "image"]


def test_what_it_saves_is_what_the_command_writes(
    brightest: Path, net: Model, field: np.ndarray, tmp_path: Path
) -> None:
    Image.fromarray(field).save(tmp_path / "field.png")
    files = net.predict(tmp_path / "field.png").save(tmp_path / "mine")
    assert (
        infer.main([str(tmp_path / "field.png"), "--weights", str(brightest), "-o", str(tmp_path / "out")])
        == 0
    )
    assert sorted(path.name for path in files) == sorted(p.name for p in (tmp_path / "out").iterdir())
    for path in files:
        assert path.read_bytes() == (tmp_path / "out" / path.name).read_bytes()


def test_scores_are_the_same_kept_or_computed_again(fcn_run: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    net = fcn.load(fcn_run)
    kept, later = net.predict(image, scores=True), net.predict(image)
    net.predict(image[:30])  # the net has seen another image since
    assert kept.scores.shape == (3, 40, 50) and kept.scores.dtype == np.float32
    np.testing.assert_array_equal(later.scores, kept.scores)
    np.testing.assert_array_equal(kept.scores.argmax(0), kept.label)


def test_tiles_give_the_labels_of_the_whole(fcn_run: Path) -> None:
    image = np.random.default_rng(1).integers(0, 256, (400, 60, 3), np.uint8)
    net = fcn.load(fcn_run)
    whole, tiled = net.predict(image, scores=True), net.predict(image, tile=330, scores=True)
    np.testing.assert_allclose(tiled.scores, whole.scores, rtol=0, atol=1e-5 * np.abs(whole.scores).max())
    assert (tiled.label == whole.label).mean() > 0.99


def test_a_photograph_is_turned_when_that_is_asked_for(net: Model, field: np.ndarray, tmp_path: Path) -> None:
    photo, tags = Image.fromarray(field), Image.Exif()
    tags[0x0112] = 6  # to be turned to the right
    photo.save(tmp_path / "photo.png", exif=tags)
    assert net.predict(tmp_path / "photo.png").label.shape == (5, 4)
    upright = net.predict(tmp_path / "photo.png", upright=True)
    assert upright.label.tolist() == [[1, 1, 1, 1, 2]] * 4


def test_a_notebook_shows_the_overlay_and_the_legend(
    brightest: Path, field: np.ndarray, tmp_path: Path
) -> None:
    names = tmp_path / "classes.txt"
    names.write_text("sea\ngrass\n<script>alert(1)</script>\n")
    (brightest / "run.json").rename(tmp_path / "run.json")
    try:
        net = fcn.load(brightest, model="voc-fcn8s", net=brightest / "deploy.prototxt", classes=names)
    finally:
        (tmp_path / "run.json").rename(brightest / "run.json")
    shown = net.predict(field)
    with Image.open(io.BytesIO(shown._repr_png_())) as picture:
        np.testing.assert_array_equal(np.array(picture), np.array(shown.overlay()))
    page = shown._repr_html_()
    assert "data:image/png;base64," in page and "grass" in page and "<script>" not in page
    assert "80.0 %" in page and "sea" not in page


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((5, 4), np.uint8),
        np.zeros((5, 4, 3), np.float32),
        Image.new("RGBA", (4, 5)),
        Image.new("CMYK", (4, 5)),
    ],
)
def test_what_is_no_rgb_image_is_refused(net: Model, image: object) -> None:
    with pytest.raises(SampleError, match="RGB"):
        net.predict(image)  # type: ignore[arg-type]


def test_importing_fcn_loads_nothing_heavy() -> None:
    program = (
        "import fcn, sys; print([m for m in ('torch', 'numpy', 'PIL', 'caffe', 'cv2') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("model", ["nyud-fcn32s-color-d", "siftflow-fcn16s"])
def test_nets_of_more_inputs_and_of_more_labelings(model: str, tmp_path: Path) -> None:
    weights = tmp_path / "net.caffemodel"
    net = random_net(model, weights, tmp_path / "deploy.prototxt")
    rng = np.random.default_rng(0)
    views = [rng.integers(0, 256, (20, 30, 3), np.uint8), rng.integers(1, 5000, (20, 30), np.uint16)]
    for folder, view in zip(("images", "depth"), views):
        (tmp_path / folder).mkdir()
        Image.fromarray(view).save(tmp_path / folder / "7.png")
    file = tmp_path / "images/7.png"
    given = ["--weights", str(weights), "--net", str(net), "--model", model, "-o", str(tmp_path / "out")]
    assert infer.main([str(file), *given, "--scores"]) == 0
    loaded = fcn.load(weights, net=net, model=model)
    found = loaded.predict(*views[: len(loaded.net.inputs)], scores=True)
    ends = [one.end for one in loaded.said]
    for end, one in zip(ends, (found, *found.more), strict=True):
        with Image.open(tmp_path / f"out/7{end}.png") as label:
            np.testing.assert_array_equal(np.array(label), one.label)
        with np.load(tmp_path / f"out/7{end}_scores.npz") as kept:
            np.testing.assert_array_equal(kept["scores"], one.scores)
            assert kept["classes"].tolist() == list(one.classes)
    assert ends == (["", "_geo"] if model.startswith("siftflow") else [""])
    later = loaded.predict(file)
    np.testing.assert_array_equal((later, *later.more)[-1].scores, (found, *found.more)[-1].scores)
    files = [path.name for path in found.save(tmp_path / "saved")]
    assert files[::3] == [f"image{end}.png" for end in ends]


def random_net(model: str, weights: Path, prototxt: Path) -> Path:
    """A narrow net with random weights; returns its prototxt."""
    prototxt.write_text(str(nets.build(model, "deploy", arch=nets.VGG16.scaled(0.02))))
    net = caffe.Net(str(prototxt), caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = np.random.default_rng(1).normal(0, 0.2, blob.data.shape)
    net.save(str(weights))
    return prototxt


def test_inputs_that_do_not_fit_are_told(tmp_path: Path) -> None:
    model = "nyud-fcn32s-color-d"
    weights = tmp_path / "net.caffemodel"
    net = fcn.load(weights, net=random_net(model, weights, tmp_path / "deploy.prototxt"), model=model)
    image, depth = np.zeros((20, 30, 3), np.uint8), np.ones((20, 30), np.uint16)
    with pytest.raises(SampleError, match="expected 2 images"):
        net.predict(image)
    with pytest.raises(SampleError, match="one size"):
        net.predict(image, depth[:5])
    with pytest.raises(SampleError, match="1 values not above 0"):
        net.predict(image, np.where(np.arange(600).reshape(20, 30) == 7, 0, depth))
