"""Metrics on maps that can be counted by hand, the original's functions, and the command line."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

import caffe
import nets
import score
import solvers
from fcn.job import Job
from fcn.runs import Run
from fcn.score import Scores
from fcn.score.published import published
from voc_layers import VocFolder
from voc_layers.facts import VOC_CLASSES

# Truth and prediction of six pixels; the last is void.
TRUTH = np.array([[0, 0, 1], [1, 2, 255]])
GUESS = np.array([[0, 1, 1], [1, 0, 2]])
HIST = [[1, 1, 0], [0, 2, 0], [1, 0, 0]]


def test_fast_hist_counts_true_rows_and_predicted_columns() -> None:
    assert score.fast_hist(TRUTH.ravel(), GUESS.ravel(), 3).tolist() == HIST
    as_floats = score.fast_hist(TRUTH.astype(np.float32), GUESS, 3)
    assert as_floats.tolist() == HIST


def test_fast_hist_ignores_what_void_pixels_predict_but_no_wrong_prediction() -> None:
    assert score.fast_hist(np.array([255, -1]), np.array([77, 5]), 3).sum() == 0
    with pytest.raises(ValueError, match="from 0 to 2, found 3 in 1 pixels"):
        score.fast_hist(np.array([1]), np.array([3]), 3)
    with pytest.raises(ValueError, match="2 labels against 1"):
        score.fast_hist(np.array([1, 1]), np.array([1]), 3)


@given(
    pairs=st.lists(st.tuples(st.sampled_from([-1, 0, 1, 2, 3, 254, 255]), st.integers(0, 3)), max_size=30),
    kinds=st.tuples(*[st.sampled_from([np.uint8, np.int16, np.int64, np.float32, np.float64])] * 2),
)
def test_fast_hist_counts_whatever_type_the_numbers_are_of(
    pairs: list[tuple[int, int]], kinds: tuple[type, type]
) -> None:
    truth, guess = np.array(pairs, np.int64).reshape(-1, 2).T
    truth = truth.astype(np.uint8 if kinds[0] is np.uint8 else np.int64)  # -1 as a byte is 255: void too
    expected = np.zeros((4, 4), int)
    for t, g in zip(truth.tolist(), guess.tolist(), strict=True):
        if 0 <= t < 4:
            expected[t, g] += 1
    np.testing.assert_array_equal(
        score.fast_hist(truth.astype(kinds[0]), guess.astype(kinds[1]), 4), expected
    )


def test_the_four_metrics_by_hand() -> None:
    scores = Scores(np.array(HIST))
    assert scores.overall_accuracy == pytest.approx(3 / 5)
    assert scores.class_accuracy.tolist() == pytest.approx([1 / 2, 1, 0])
    assert scores.mean_accuracy == pytest.approx(1 / 2)
    assert scores.class_iu.tolist() == pytest.approx([1 / 3, 2 / 3, 0])
    assert scores.mean_iu == pytest.approx(1 / 3)
    assert scores.fwavacc == pytest.approx(2 / 5 * 1 / 3 + 2 / 5 * 2 / 3)
    assert list(scores.means()) == ["overall accuracy", "mean accuracy", "mean IU", "fwavacc"]


def test_absent_classes_are_left_out_and_false_alarms_count() -> None:
    """Class 1 occurs nowhere: no IU. Class 2 is only predicted: IU 0, no accuracy."""
    scores = Scores(np.array([[3, 0, 1], [0, 0, 0], [0, 0, 0]]))
    assert scores.class_iu.tolist() == pytest.approx([3 / 4, np.nan, 0], nan_ok=True)
    assert scores.class_accuracy.tolist() == pytest.approx([3 / 4, np.nan, np.nan], nan_ok=True)
    assert scores.mean_iu == pytest.approx(3 / 8)
    assert scores.mean_accuracy == pytest.approx(3 / 4)
    assert scores.fwavacc == pytest.approx(3 / 4)


def test_an_empty_histogram_has_no_scores() -> None:
    assert np.isnan(Scores(np.zeros((2, 2))).four()).all()


# -- a net with its own data layer --------------------------------------------------------------------


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """Images a and b in VOC layout; class 1 is where the picture is bright, but for an error in each."""
    root = tmp_path / "voc"
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for name, bright, label in (("a", [[1, 0], [0, 0]], [[1, 0], [1, 255]]), ("b", [[1, 1, 0]], [[1, 1, 1]])):
        picture = np.repeat(np.array(bright, np.uint8)[..., None] * 200, 3, axis=2)
        Image.fromarray(picture).save(root / f"JPEGImages/{name}.png")
        Image.fromarray(np.array(label, np.uint8)).save(root / f"SegmentationClass/{name}.png")
    (root / "ImageSets/Segmentation/val.txt").write_text("a\nb\n")
    (root / "classes.txt").write_text("dark\nbright\n# mean: 100 100 100\n")
    return root


VOC_HIST = [[1, 0], [2, 3]]  # a: 1 dark right, 1 bright right, 1 bright missed; b: 2 right, 1 missed
WRONG = -np.log(np.finfo(np.float32).tiny)  # Caffe's loss of a pixel that was surely another class

HEAD = """
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 2 kernel_size: 1 } }
"""


def tell_bright(net: caffe.Net) -> caffe.Net:
    """Weights with which class 1 scores the brightness and class 0 its negative."""
    net.params["score"][0].data[...] = np.array([-1, 1]).reshape(2, 1, 1, 1)
    net.params["score"][1].data[...] = 0
    return net


@pytest.fixture
def val_net(voc: Path) -> caffe.Net:
    param_str = {"voc_dir": str(voc), "split": "val", "mean": (100, 100, 100)}
    path = voc / "val.prototxt"
    path.write_text(f"""layer {{ name: "data" type: "Python" top: "data" top: "label" python_param {{
        module: "voc_layers" layer: "VOCSegDataLayer" param_str: {json.dumps(repr(param_str))} }} }}
        {HEAD} layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
        loss_param {{ ignore_label: 255 normalize: false }} }}""")
    return tell_bright(caffe.Net(str(path), caffe.TEST))


def test_compute_hist_runs_the_net_over_its_data(val_net: caffe.Net, tmp_path: Path) -> None:
    hist, loss = score.compute_hist(val_net, str(tmp_path / "out"), ["a", "b"])
    assert hist.tolist() == VOC_HIST
    assert loss == pytest.approx(WRONG)  # one wrong pixel in each image
    with Image.open(tmp_path / "out/a.png") as saved:
        assert saved.mode == "P" and np.array(saved).tolist() == [[1, 0], [0, 0]]
        assert saved.getpalette()[3:6] == [128, 0, 0]


def test_compute_hist_names_a_missing_blob(val_net: caffe.Net) -> None:
    with pytest.raises(KeyError, match="no blob 'truth'; it has data, label, score, loss"):
        score.compute_hist(val_net, None, ["a"], gt="truth")


def test_do_seg_tests_prints_the_originals_lines(
    val_net: caffe.Net, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    hist = score.do_seg_tests(val_net, 4000, str(tmp_path / "seg{}"), ["a", "b"])
    assert hist.tolist() == VOC_HIST and (tmp_path / "seg4000/b.png").is_file()
    stamp = r">>> \d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ Iteration 4000 "
    lines = capsys.readouterr().out.splitlines()
    names = ["loss", "overall accuracy", "mean accuracy", "mean IU", "fwavacc"]
    values = [WRONG, 4 / 6, (1 + 3 / 5) / 2, (1 / 3 + 3 / 5) / 2, 1 / 6 * 1 / 3 + 5 / 6 * 3 / 5]
    assert len(lines) == 5
    for line, name, value in zip(lines, names, values):
        match = re.fullmatch(f"{stamp}{name} (\\S+)", line)
        assert match and float(match[1]) == pytest.approx(value)


def test_seg_tests_scores_with_the_weights_in_training(
    val_net: caffe.Net, voc: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    net = (voc / "val.prototxt").read_text()
    (voc / "train.prototxt").write_text(net)
    (voc / "solver.prototxt").write_text(
        f'train_net: "{voc}/train.prototxt" test_net: "{voc}/val.prototxt" test_iter: 2 '
        "test_interval: 100000 test_initialization: false "
        'base_lr: 0 lr_policy: "fixed" max_iter: 1 solver_mode: CPU'
    )
    solver = caffe.SGDSolver(str(voc / "solver.prototxt"))
    tell_bright(solver.net)
    hist = score.seg_tests(solver, False, ["a", "b"])
    assert hist.tolist() == VOC_HIST
    assert re.match(r">>> \S+ \S+ Begin seg tests\n>>> \S+ \S+ Iteration 0 loss ", capsys.readouterr().out)


# -- the command line ---------------------------------------------------------------------------------


@pytest.fixture
def run_folder(voc: Path, tmp_path: Path) -> Path:
    """A run as solve.py leaves it: deploy net, a snapshot, run.json."""
    run = tmp_path / "runs/voc-fcn32s"
    (run / "snapshot").mkdir(parents=True)
    shape = "shape { dim: 1 dim: 3 dim: 4 dim: 4 }"
    entry = f'layer {{ name: "in" type: "Input" top: "data" input_param {{ {shape} }} }}'
    (run / "deploy.prototxt").write_text(entry + HEAD)
    net = tell_bright(caffe.Net(str(run / "deploy.prototxt"), caffe.TEST))
    net.save(str(run / "snapshot/train_iter_20.caffemodel"))
    net.params["score"][0].data[...] = 0
    net.save(str(run / "snapshot/train_iter_3.caffemodel"))
    data = VocFolder.open(voc)
    layers = {form: nets.PythonData.reading(data, form, seed=1) for form in ("train", "val")}
    Run(run).record(Job("voc-fcn32s", solvers.recipe("voc-fcn32s"), layers, data.classes), {})
    return run


def test_a_run_is_scored_with_its_newest_snapshot_and_reported(
    run_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert score.main([str(run_folder), "--cpu", "--save", str(tmp_path / "maps")]) == 0
    out = capsys.readouterr().out
    assert "2 images, 6 pixels scored, 1 void" in out and "CVPR" not in out  # two classes are not VOC's
    folder = run_folder / "score-val"
    facts = json.loads((folder / "score.json").read_text())
    assert facts["confusion"] == VOC_HIST
    assert facts["metrics"]["mean IU"] == pytest.approx((1 / 3 + 3 / 5) / 2)
    assert [c["name"] for c in facts["classes"]] == ["dark", "bright"]
    assert (folder / "score.txt").read_text() == out
    assert list(csv.reader((folder / "confusion.csv").read_text().splitlines()))[2] == ["bright", "2", "3"]
    rows = list(csv.DictReader((folder / "score.csv").read_text().splitlines()))
    assert rows[1]["name"] == "bright" and float(rows[1]["iu"]) == pytest.approx(3 / 5)
    with Image.open(tmp_path / "maps/b.png") as saved:
        assert np.array(saved).tolist() == [[1, 1, 0]]


def test_images_that_the_run_was_trained_on_are_counted(
    run_folder: Path, voc: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (voc / "ImageSets/Segmentation/train.txt").write_text("b\nc\n")
    assert score.main([str(run_folder)]) == 0
    assert "1 of the 2 images of val are also in" in caplog.text and "(b ...)" in caplog.text
    caplog.clear()
    (tmp_path / "sbd/dataset").mkdir(parents=True)
    (tmp_path / "sbd/dataset/train.txt").write_text("a\nb\n")
    assert score.main([str(run_folder), "--sbd-dir", str(tmp_path / "none")]) == 1
    assert score.main([str(run_folder), "--sbd-dir", str(tmp_path / "sbd")]) == 0
    assert "2 of the 2 images of val are also in" in caplog.text


def test_saved_predictions_score_as_the_net_did(
    run_folder: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    score.main([str(run_folder), "--save", str(tmp_path / "maps"), "--format", "json"])
    capsys.readouterr()
    labels = ["--labels", str(voc / "SegmentationClass"), "--classes", str(voc / "classes.txt")]
    for against in (["--voc-dir", str(voc)], labels):
        assert score.main([str(tmp_path / "maps"), *against, "--format", "json"]) == 0
        assert json.loads(capsys.readouterr().out)["confusion"] == VOC_HIST


def test_weights_alone_need_to_know_their_net(
    run_folder: Path, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lonely = tmp_path / "x.caffemodel"
    lonely.write_bytes((run_folder / "snapshot/train_iter_20.caffemodel").read_bytes())
    assert score.main([str(lonely), "--voc-dir", str(voc)]) == 1
    assert "Give --net deploy.prototxt or --model" in capsys.readouterr().err
    net = ["--net", str(run_folder / "deploy.prototxt"), "--voc-dir", str(voc), "--format", "json"]
    assert score.main([str(lonely), *net]) == 0
    assert json.loads(capsys.readouterr().out)["confusion"] == VOC_HIST


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["{maps}", "--voc-dir", "{voc}"], r"maps: expected 2 predictions ID\.png, found 1; missing b"),
        (["{maps}"], "give --labels, --data or --voc-dir"),
        (
            ["{run}", "--split", "test"],
            r"test\.txt: expected one image id a line.*splits there: val",
        ),
        (
            ["{run}", "--voc-dir", "{maps}"],
            r"maps: not in the layout .*:\n  \S+JPEGImages\n",
        ),
        (["{run}", "--model", "fcn9"], "no model is called 'fcn9'; there are vgg16"),
        (["{voc}/none.caffemodel", "--voc-dir", "{voc}"], r"none\.caffemodel: expected a weights file"),
    ],
)
def test_what_is_missing_is_named(
    arguments: list[str], says: str, run_folder: Path, voc: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    maps = tmp_path / "maps"
    maps.mkdir()
    Image.fromarray(np.zeros((2, 2), np.uint8)).save(maps / "a.png")
    assert score.main([a.format(maps=maps, voc=voc, run=run_folder) for a in arguments]) == 1
    assert re.search(says, capsys.readouterr().err)


def test_a_prediction_of_another_size_or_class_is_refused(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for label, says in (
        ([[0, 0, 0]], r"\(2, 2\)"),
        ([[0, 9], [0, 0]], "a.png: .* found 9 in 1 pixels"),
        ([[0, 255], [0, 0]], "a.png: .* found 255 in 1 pixels"),
    ):
        Image.fromarray(np.array(label, np.uint8)).save(tmp_path / "a.png")
        assert score.main([str(tmp_path), "--voc-dir", str(voc), "--limit", "1"]) == 1
        assert re.search(says, capsys.readouterr().err)


def test_the_papers_rows_stand_beside_a_voc_score(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(np.array([[0, 15, 15, 255]], np.uint8)).save(tmp_path / "a.png")
    command = [str(tmp_path), "--labels", str(tmp_path), "--model", "voc-fcn8s"]
    assert score.main(command) == 0
    out = capsys.readouterr().out
    assert re.search(r"this +100\.00 +100\.00 +100\.00 +100\.00\n", out)
    row = r"CVPR 2015, table 2 +90\.30 +75\.90 +62\.70 +83\.20\n +difference +\+9\.70 +\+24\.10"
    assert re.search(row, out)
    assert "left out of the means: aeroplane" in out


def test_published_rows_are_for_vocs_classes_only() -> None:
    assert [row.values[2] for row in published("voc-fcn32s", 21)] == [59.4, 63.6261]
    assert published("voc-fcn32s", 11) == () and published("vgg16", 21) == () and published(None, 21) == ()


@pytest.mark.data
def test_labels_scored_against_themselves_are_perfect(
    shared: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    labels = shared / "data/voc-sample/VOC2011/SegmentationClass"
    command = [str(labels), "--voc-dir", str(labels.parent), "--split", "trainval", "--format", "json"]
    assert score.main(command) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["metrics"].values()) == {1.0} and facts["images"] == 4
    assert [c["name"] for c in facts["classes"]] == list(VOC_CLASSES)


@pytest.mark.data
def test_camvid_names_its_own_classes(shared: Path) -> None:
    data = VocFolder.open(shared / "data/camvid")
    assert data.classes[0] == "Sky" and len(data.classes) == 11 and data.default_split == "val"
    assert len(data.ids("train")) == 367
