"""Every model of NYUDv2, SIFT Flow and PASCAL-Context: a step, a score, an image, on tiny data of its set."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
import surgery
from fcn.commands import infer, score, train, weights
from fcn.score import Scores
from fcn.trained import Trained
from tests.toolkit import sets
from tests.toolkit.conftest import WIDTH
from voc_layers.facts import CONTEXT_CLASSES

ONE_STEP = ["--iters", "1", "--width", str(WIDTH)]


def learned(run: Path) -> dict[str, np.ndarray]:
    """The weights of a run by layer."""
    net = Trained.find(run).load().net
    return {name: blobs[0].data.copy() for name, blobs in net.params.items()}


@pytest.mark.slow
def test_the_nets_of_nyud(tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root, runs = sets.nyud(tmp_path / "nyud"), tmp_path / "runs"
    common = [*ONE_STEP, "--runs", str(runs), "--nyud-dir", str(root)]
    for model in ("nyud-fcn32s-color", "nyud-fcn32s-hha", "nyud-fcn32s-color-d"):
        assert train.main([model, *common, "--weights", str(base)]) == 0
    assert train.main(["nyud-fcn32s-color-hha", *common]) == 0  # from the runs of its two parents
    color, hha, both = (learned(runs / f"nyud-fcn32s-{name}") for name in ("color", "hha", "color-hha"))
    np.testing.assert_allclose(both["fc6color"], color["fc6"], rtol=0, atol=1e-4)
    np.testing.assert_allclose(both["fc6hha"], hha["fc6"], rtol=0, atol=1e-4)
    early = learned(runs / "nyud-fcn32s-color-d")["conv1_1_bgrd"]
    assert early.shape[1] == 4
    np.testing.assert_allclose(early[:, 3], early[:, :3].mean(1), rtol=0, atol=1e-3)
    capsys.readouterr()
    for name in ("hha", "color-d", "color-hha"):
        assert score.main([str(runs / f"nyud-fcn32s-{name}"), "--format", "json"]) == 0
        card = json.loads(capsys.readouterr().out)
        assert card["images"] == 2 and len(card["classes"]) == 40 and card["published"]
    weights_file = str(runs / "nyud-fcn32s-color/snapshot/train_iter_1.caffemodel")
    net = ["--net", str(runs / "nyud-fcn32s-color/deploy.prototxt"), "--model", "nyud-fcn32s-color"]
    assert score.main([weights_file, *net, "--data", str(root), "--split", "val"]) == 0
    image, out = root / "data/images/img_5005.png", tmp_path / "out"
    assert infer.main([str(image), "--weights", str(runs / "nyud-fcn32s-color-d"), "-o", str(out)]) == 0
    with Image.open(out / "img_5005.png") as label:
        assert label.size == sets.SIZE[::-1]
    (root / "data/depth/img_5005.png").unlink()
    assert infer.main([str(image), "--weights", str(runs / "nyud-fcn32s-color-d"), "-o", str(out)]) == 1
    assert "data/depth/img_5005.png" in capsys.readouterr().err


@pytest.mark.slow
def test_the_nets_of_sift_flow_are_a_chain_with_two_labelings(
    tmp_path: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, runs = sets.siftflow(tmp_path / "sift"), tmp_path / "runs"
    models = ["siftflow-fcn32s", "siftflow-fcn16s", "siftflow-fcn8s"]
    common = [*ONE_STEP, "--runs", str(runs), "--siftflow-dir", str(root)]
    assert train.main([*models, *common, "--weights", str(base)]) == 0
    header = (runs / "siftflow-fcn8s/scores.csv").read_text().splitlines()[0].split(",")
    assert "mean IU" in header and "geo overall accuracy" in header
    capsys.readouterr()
    out = tmp_path / "out"
    assert score.main([str(runs / models[2]), "--format", "json", "--out", str(out)]) == 0
    card = json.loads(capsys.readouterr().out)
    geometry = card["labelings"]["geo"]
    assert [c["name"] for c in geometry["classes"]] == ["sky", "horizontal", "vertical"]
    assert json.loads((out / "geo/score.json").read_text()) == geometry
    absent = {"cow", "desert", "moon"}
    assert absent <= {c["name"] for c in card["classes"] if c["iu"] is None and not c["true_pixels"]}
    counted = [c["iu"] for c in card["classes"] if c["iu"] is not None]
    assert card["metrics"]["mean IU"] == pytest.approx(np.mean(counted))
    image = root / f"Images/{sets.SCENES}/s3.jpg"
    assert infer.main([str(image), "--weights", str(runs / models[2]), "-o", str(out)]) == 0
    assert (out / "s3.png").is_file() and (out / "s3_geo_overlay.png").is_file()


def test_the_nets_of_pascal_context_are_a_chain(tmp_path: Path, base: Path) -> None:
    voc, home = sets.context(tmp_path, CONTEXT_CLASSES[1:])
    models = ["pascalcontext-fcn32s", "pascalcontext-fcn16s", "pascalcontext-fcn8s"]
    folders = ["--voc-dir", str(voc), "--context-dir", str(home)]
    common = [*ONE_STEP, "--runs", str(tmp_path / "runs"), *folders]
    assert train.main([*models, *common, "--weights", str(base)]) == 0
    run = tmp_path / "runs" / models[2]
    assert score.main([str(run)]) == 0
    weights_file = str(run / "snapshot/train_iter_1.caffemodel")
    assert score.main([weights_file, "--data", str(voc), "--context-dir", str(home)]) == 0
    image = voc / "JPEGImages/2008_000003.jpg"
    assert infer.main([str(image), "--weights", str(run), "-o", str(tmp_path / "out")]) == 0


@pytest.mark.slow
def test_googlenet_and_a_net_of_which_the_last_layer_learns(tmp_path: Path, data: Path, base: Path) -> None:
    google, runs = tmp_path / "googlenet.caffemodel", tmp_path / "runs"
    assert weights.main(["random", "googlenet", "--width", str(WIDTH), "-o", str(google)]) == 0
    common = [*ONE_STEP, "--runs", str(runs), "--data", str(data)]
    assert train.main(["voc-fcn-googlenet", *common, "--weights", str(google)]) == 0
    fixed = ["voc-fcn32s-fixed", *common, "--weights", str(base), "--base-lr", "1e-2"]
    assert train.main(fixed) == 0
    after = learned(runs / "voc-fcn32s-fixed")
    started = caffe.Net(str(runs / "voc-fcn32s-fixed/vgg16.prototxt"), str(base), caffe.TEST)
    shared_names = set(after) & set(started.params)
    assert len(shared_names) == 15
    for name in shared_names:
        np.testing.assert_array_equal(after[name].ravel(), started.params[name][0].data.ravel())
    assert after["score_fr"].any()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["nyud-fcn32s-color", "--data", "D"], "--data: nyud-fcn32s-color reads NYUDv2"),
        (["siftflow-fcn32s", "--nyud-dir", "D"], "siftflow-fcn32s reads SIFT Flow: --siftflow-dir"),
        (["voc-fcn32s", "nyud-fcn32s-hha"], "voc-fcn32s reads PASCAL VOC and nyud-fcn32s-hha reads NYUDv2"),
        (["nyud-fcn32s-color-hha", "--nyud-dir", "{nyud}", "--weights", "W"], "give it once for each"),
        (["nyud-fcn32s-color-hha", "--nyud-dir", "{nyud}"], "made by: fcn train nyud-fcn32s-hha"),
        (["siftflow-fcn32s", "--siftflow-dir", "D", "--weights", "W"], "GeoLabels"),
    ],
)  # fmt: skip
def test_options_that_do_not_go_with_the_model_are_told(
    tmp_path: Path, arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    root = sets.nyud(tmp_path / "nyud")
    given = [argument.format(nyud=root) for argument in arguments]
    assert train.main([*given, "--runs", str(tmp_path / "runs")]) == 1
    assert said in capsys.readouterr().err


def test_a_class_that_no_image_shows_has_no_part_in_the_mean_unless_one_does() -> None:
    hist = np.array([[8, 0, 2], [0, 5, 5], [0, 0, 0]])
    assert Scores(hist).mean_iu == pytest.approx((0.8 + 0.5 + 0) / 3)
    assert Scores(hist, unseen=(2,)).mean_iu == pytest.approx((0.8 + 0.5) / 2)
    hist[2, 2] = 4
    assert Scores(hist, unseen=(2,)).mean_iu == pytest.approx((0.8 + 0.5 + 4 / 11) / 3)


def test_a_convolutional_classifier_is_widened_too(tmp_path: Path, base: Path) -> None:
    """The release's vgg16-fcn.caffemodel has fc6 as a convolution."""
    arch = nets.VGG16.scaled(WIDTH)
    proto = tmp_path / "fcn.prototxt"
    whole = nets.build("voc-fcn32s", "deploy", arch=arch, size=(40, 40))
    del whole.layer[[layer.name for layer in whole.layer].index("score_fr") :]
    proto.write_text(str(whole))
    cast = caffe.Net(str(proto), caffe.TEST)
    source = tmp_path / "vgg16.prototxt"
    source.write_text(str(nets.build("vgg16", "deploy", arch=arch, classes=4)))
    surgery.transplant(cast, caffe.Net(str(source), str(base), caffe.TEST))
    cast.save(str(tmp_path / "vgg16-fcn.caffemodel"))
    root = sets.nyud(tmp_path / "nyud")
    common = [*ONE_STEP, "--runs", str(tmp_path / "runs"), "--nyud-dir", str(root), "--test-every", "0"]
    given = ["--weights", str(tmp_path / "vgg16-fcn.caffemodel")]
    assert train.main(["nyud-fcn32s-color-d", *common, *given]) == 0
    found = learned(tmp_path / "runs/nyud-fcn32s-color-d")
    filters = cast.params["conv1_1"][0].data
    np.testing.assert_allclose(found["conv1_1_bgrd"][:, :3], filters, rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["conv1_1_bgrd"][:, 3], filters.mean(1), rtol=0, atol=1e-3)
    np.testing.assert_allclose(found["fc6"], cast.params["fc6"][0].data, rtol=0, atol=1e-3)
