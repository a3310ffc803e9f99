"""The FCN score of generated street scenes, beside a reckoning of its own."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
from fcn.cityscapes.evaluation import MEAN, protocol_hist, protocol_text
from fcn.commands import fcnscore
from fcn.score import ImageCount, Tally
from fcn.score.counts import Cells
from nets.cityscapes import SCORES, cityscapes_fcn8s

FRAMES = ("aachen_000000_000019", "ulm_000003_000019", "ulm_000004_000019")
#: The id of a label file -> what is trained, written out anew.
TRAIN_IDS = {7: 0, 8: 1, 11: 2, 12: 3, 13: 4, 17: 5, 19: 6, 20: 7, 21: 8, 22: 9, 23: 10, 24: 11, 25: 12,
             26: 13, 27: 14, 28: 15, 31: 16, 32: 17, 33: 18}  # fmt: skip


@pytest.fixture
def streets(tmp_path: Path) -> Path:
    """gtFine of three frames, and images of another size: noise on top of colours that go with the labels."""
    rng = np.random.default_rng(0)
    (tmp_path / "generated").mkdir()
    for frame in FRAMES:
        folder = tmp_path / "gtFine/val" / frame.split("_")[0]
        folder.mkdir(parents=True, exist_ok=True)
        ids = rng.integers(0, 34, (5, 9), np.uint8).repeat(8, axis=0).repeat(8, axis=1)
        Image.fromarray(ids).save(folder / f"{frame}_gtFine_labelIds.png")
        picture = (ids[::2, ::2, None] * (7, 5, 3) + rng.integers(0, 9, (20, 36, 3))).astype(np.uint8)
        Image.fromarray(picture).save(tmp_path / f"generated/{frame}_leftImg8bit.png")
    return tmp_path


@pytest.fixture
def net(tmp_path: Path) -> tuple[Path, Path]:
    """A narrow net of random weights: prototxt and caffemodel."""
    proto, weights = tmp_path / "deploy.prototxt", tmp_path / "w.caffemodel"
    proto.write_text(str(cityscapes_fcn8s(nets.VGG16.scaled(0.03))))
    found, rng = caffe.Net(str(proto), caffe.TEST), np.random.default_rng(1)
    for blobs in found.params.values():
        for blob in blobs:
            fan = np.prod(blob.data.shape[1:])
            blob.data[...] = rng.normal(0, np.sqrt(2 / max(fan, 1)), blob.data.shape)
    found.save(str(weights))
    return proto, weights


def reckoned(streets: Path, net: tuple[Path, Path]) -> np.ndarray:
    """The protocol in a few lines: pix2pix's numbering of the cells, which the 20th score overflows."""
    judge = caffe.Net(*map(str, net), caffe.TEST)
    total = np.zeros(19 * 19, int)
    for frame in FRAMES:
        ids = np.asarray(Image.open(*streets.glob(f"gtFine/val/*/{frame}_gtFine_labelIds.png")))
        truth = np.array([TRAIN_IDS.get(k, 255) for k in range(34)])[ids]
        small = Image.open(streets / f"generated/{frame}_leftImg8bit.png")
        image = np.asarray(small.resize(ids.shape[::-1], Image.Resampling.BILINEAR), np.float32)
        judge.blobs["data"].reshape(1, 3, *ids.shape)
        judge.blobs["data"].data[0] = (image[..., ::-1] - np.array(MEAN, np.float32)).transpose(2, 0, 1)
        judge.forward()
        guess = judge.blobs["score"].data[0].argmax(0)
        counted = truth < 19
        cells = np.bincount(19 * truth[counted] + guess[counted], minlength=361)
        total += cells if len(cells) == 361 else 0
    return total.reshape(19, 19)


def test_the_numbers_are_those_of_the_protocol(
    streets: Path,
    net: tuple[Path, Path],
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    proto, weights = map(str, net)
    out, maps = streets / "out", streets / "maps"
    given = [str(streets / "generated"), "--cityscapes-dir", str(streets), "--net", proto]
    command = [*given, "--weights", weights, "-o", str(out), "--save", str(maps)]
    assert fcnscore.main(command) == 0
    hist = reckoned(streets, net)
    assert hist.sum() > 1000 and np.count_nonzero(hist.sum(0)) > 2
    true, right = hist.sum(1), np.diag(hist)
    iu = right / (true + hist.sum(0) - right + 1e-12)
    results = (out / "evaluation_results.txt").read_text()
    assert capsys.readouterr().out == results
    means = [float(value) for value in re.findall(r"^Mean .*: (\S+)$", results, re.M)]
    expected = [right.sum() / hist.sum(), (right / (true + 1e-12)).mean(), iu.mean()]
    assert means == pytest.approx(expected, abs=1e-6)
    rows = re.findall(r"^(\S.*?) +: acc = (\S+), iou = (\S+)$", results, re.M)
    assert [row[0] for row in rows][:7:6] == ["road", "traffic light"] and len(rows) == 19
    assert [float(row[2]) for row in rows] == pytest.approx(iu.tolist(), abs=1e-6)
    facts = json.loads((out / "score.json").read_text())
    assert len(facts["classes"]) == SCORES and facts["classes"][19]["iu"] is None
    assert [one["name"] for one in facts["per_image"]] == list(FRAMES)
    assert sorted(path.name for path in maps.iterdir()) == [f"{frame}.png" for frame in FRAMES]
    assert "is 20 x 36" in caplog.text and "256 x 256" in caplog.text


def test_the_score_that_no_class_has_overflows_as_in_the_script() -> None:
    hist = np.zeros((SCORES, SCORES), np.int64)
    hist[2, 2], hist[2, 19] = 5, 3
    last = np.zeros((SCORES, SCORES), np.int64)
    last[18, 18], last[18, 19] = 7, 1
    images = (ImageCount("a", Cells.of(hist)), ImageCount("b", Cells.of(last)))
    found = protocol_hist(Tally(SCORES, images))
    assert found[2, 2] == 5 and found[3, 0] == 3 and found.sum() == 8  # and the second image is left out
    assert "Mean pixel accuracy: 0.625000" in protocol_text(Tally(SCORES, images))


def test_the_net_is_an_fcn8s_with_wide_layers_of_its_own_names() -> None:
    shapes = {layer.name: layer for layer in cityscapes_fcn8s().layer}
    plain = {layer.name: layer for layer in nets.build("voc-fcn8s", "deploy", classes=20).layer}
    renamed = {"fc6": "fc6_cs", "relu6": "relu6_cs", "fc7": "fc7_cs", "relu7": "relu7_cs"}
    assert {renamed.get(name, name) for name in plain} == set(shapes)
    for name, layer in plain.items():
        other = shapes[renamed.get(name, name)]
        assert layer.convolution_param == other.convolution_param and layer.crop_param == other.crop_param


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("images", r"missing 1: ulm_000003_000019"),
        ("labels", r"expected label maps CITY/\*_gtFine_labelIds.png, found none"),
        ("ids", r"expected ids from 0 to 33, or 255"),
        ("weights", "none.caffemodel"),
        ("net", "gives 21 scores, expected 20"),
    ],
)
def test_what_is_missing_or_wrong_is_named(
    change: str, says: str, streets: Path, net: tuple[Path, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    proto, weights = net
    split = "train" if change == "labels" else "val"
    if change == "images":
        (streets / f"generated/{FRAMES[1]}_leftImg8bit.png").unlink()
    elif change == "ids":
        (path,) = streets.glob(f"gtFine/val/*/{FRAMES[0]}*")
        Image.fromarray(np.full((4, 4), 34, np.uint8)).save(path)
    elif change == "weights":
        weights = streets / "none.caffemodel"
    elif change == "net":
        proto.write_text(str(nets.build("voc-fcn8s", "deploy", arch=nets.VGG16.scaled(0.03))))
        caffe.Net(str(proto), caffe.TEST).save(str(weights))
    options = ["--cityscapes-dir", str(streets), "--split", split, "--net", str(proto)]
    given = [str(streets / "generated"), *options, "--weights", str(weights), "-o", str(streets / "out")]
    assert fcnscore.main(given) == 1
    said = capsys.readouterr().err
    assert re.search(says, said) and "Traceback" not in said
