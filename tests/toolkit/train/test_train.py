"""solve.py and what it stands on: stages, hand-over, resume, stopping, missing files, the run's folder."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
import score
import solve
import solvers
from fcn.data import TrainingData
from fcn.runs import STATES, Run, read_rows
from fcn.train import Interrupted, Job, chain, train
from fcn.weights import save_random
from tests.source_tree import ROOT
from tests.toolkit.conftest import WIDTH
from voc_layers.facts import MEAN_BGR

STAGES = ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s")


def run_solve(data: Path, *args: object) -> int:
    root = data.parent / "runs"
    return solve.main([*map(str, args), "--data", str(data), "--width", str(WIDTH), "--runs", str(root)])


def params(run: Run) -> dict[str, list[np.ndarray]]:
    """The parameters of a run's newest snapshot."""
    net = caffe.Net(str(run.net("deploy")), str(run.newest()), caffe.TEST)
    return {name: [np.array(blob.data) for blob in blobs] for name, blobs in net.params.items()}


def test_the_chain_hands_weights_over_and_fills_its_folders(data: Path, base: Path) -> None:
    assert run_solve(data, "--weights", base, "--iters", 2, "--base-lr", 0) == 0
    runs = {model: Run(data.parent / "runs" / model) for model in STAGES}
    held = {model: params(run) for model, run in runs.items()}
    classifier = caffe.Net(str(runs["voc-fcn32s"].path / "vgg16.prototxt"), str(base), caffe.TEST)
    for name, blobs in classifier.params.items():  # at rate 0 each stage ends as surgery left it
        for model in STAGES if name != "fc8" else ():
            assert np.array_equal(held[model][name][0].ravel(), blobs[0].data.ravel()), (model, name)
    assert not held["voc-fcn8s"]["score_pool3"][0].any()
    np.testing.assert_allclose(held["voc-fcn8s"]["upscore8"][0][1, 1].sum(), 64, rtol=1e-6)
    for model, run in runs.items():
        assert [list(run.snapshots()), list(run.snapshots(STATES))] == [[2], [2]]
        job, (launch,) = run.job(), run.launches()
        assert (job.model, job.class_names, job.width) == (model, ("sky", "road", "car"), WIDTH)
        assert launch["data"]["train"]["images"] == 3 and launch["from_iteration"] == 0
        scores, curve = read_rows(run.scores), read_rows(run.curves)
        assert [row["iteration"] for row in scores] == ["2"] and 0 <= float(scores[0]["mean IU"]) <= 1
        assert float(curve[-1]["loss_per_pixel"]) == pytest.approx(math.log(3), rel=1e-5)
        assert "lr = 0" in run.log.read_text() and "Snapshotting to" in run.log.read_text()
    assert {p.name for p in data.parent.iterdir()} == {"data", "runs"}


def test_a_resumed_run_ends_as_an_uninterrupted_one(data: Path, base: Path) -> None:
    common = ("voc-fcn32s", "--weights", base, "--base-lr", 1e-6, "--test-every", 0)
    assert run_solve(data, *common, "--iters", 4) == 0
    whole = Run(data.parent / "runs/voc-fcn32s")
    expected = params(whole)
    whole.path.rename(data.parent / "whole")
    assert run_solve(data, *common, "--iters", 2) == 0
    assert run_solve(data, *common, "--iters", 4, "--resume", "auto") == 0
    found = params(whole)
    for name, blobs in expected.items():
        for a, b in zip(blobs, found[name]):
            assert np.array_equal(a, b), name
    assert expected["score_fr"][0].any(), "the runs must have learned something to compare"
    assert [launch["from_iteration"] for launch in whole.launches()] == [0, 2]


def test_a_run_goes_on_in_its_precision(data: Path, base: Path) -> None:
    common = ("voc-fcn32s", "--weights", base, "--base-lr", 1e-6, "--test-every", 0)
    assert run_solve(data, *common, "--iters", 2) == 0
    run = Run(data.parent / "runs/voc-fcn32s")
    plain = params(run)
    run.path.rename(data.parent / "plain")
    assert run_solve(data, *common, "--iters", 2, "--precision", "bfloat16") == 0
    rounded = params(run)
    run.path.rename(data.parent / "rounded")
    assert run_solve(data, *common, "--iters", 1, "--precision", "bfloat16") == 0
    assert solve.main(["--resume", str(run.path), "--iters", "2"]) == 0
    for name, blobs in params(run).items():
        assert all(np.array_equal(a, b) for a, b in zip(blobs, rounded[name])), name
    assert any(not np.array_equal(a, b) for name in plain for a, b in zip(plain[name], rounded[name]))
    assert run.job().precision == "bfloat16" and caffe.precision() == "float32"


def test_checkpointing_trains_the_same_net(data: Path, base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CAFFE_ALGORITHMS", "reference")
    common = ("voc-fcn32s", "--weights", base, "--base-lr", 1e-6, "--test-every", 2, "--iters", 3)
    run, found = Run(data.parent / "runs/voc-fcn32s"), []
    for options in ((), ("--checkpoint",)):
        assert run_solve(data, *common, *options) == 0
        found.append((params(run), read_rows(run.scores)))
        shutil.rmtree(run.path)
    (plain, scores), (saving, same_scores) = found
    for name, blobs in plain.items():
        assert all(np.array_equal(a, b) for a, b in zip(blobs, saving[name])), name
    assert scores == same_scores


def test_what_is_trained_already_is_left_alone(data: Path, base: Path, capsys: pytest.CaptureFixture) -> None:
    args = ("voc-fcn32s", "--weights", base, "--iters", 1, "--test-every", 0)
    assert run_solve(data, *args) == 0
    before = Run(data.parent / "runs/voc-fcn32s").newest().stat().st_mtime_ns
    assert run_solve(data, *args) == 1
    assert "--resume auto goes on from there" in capsys.readouterr().err
    assert run_solve(data, *args, "--resume", "auto") == 0
    assert Run(data.parent / "runs/voc-fcn32s").newest().stat().st_mtime_ns == before
    weights_file = data.parent / "runs/voc-fcn32s/snapshot/train_iter_1.caffemodel"
    assert run_solve(data, *args, "--resume", weights_file) == 1
    assert "train_iter_1.solverstate (found)" in capsys.readouterr().err


def test_one_message_lists_all_that_is_missing(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    voc, sbd = tmp_path / "VOC", tmp_path / "SBD"
    (sbd / "dataset/img").mkdir(parents=True)
    (sbd / "dataset/train.txt").write_text("".join(f"im{i}\n" for i in range(9)))
    args = (
        "--voc-dir",
        voc,
        "--sbd-dir",
        sbd,
        "--width",
        0.5,
        "--runs",
        tmp_path / "runs",
        "--weights",
        tmp_path / "w.caffemodel",
    )
    assert solve.main(["voc-fcn32s", "voc-fcn8s", *map(str, args)]) == 1
    said = capsys.readouterr().err
    for line in (
        f"{voc}/ImageSets/Segmentation/seg11valid.txt",
        f"{sbd}/dataset/img/im0.jpg",
        f"{sbd}/dataset/cls/...   (9 of the 9 files",
        "voc-fcn16s/snapshot",
        "fcn train voc-fcn16s",
        f"{tmp_path}/w.caffemodel",
        f"fcn weights random vgg16 --width 0.5 -o {tmp_path}/w.caffemodel",
        "the layout expected:",
        "GTcls.Segmentation",
        "VOCtrainval_25-May-2011.tar",
    ):
        assert line in said
    assert not (tmp_path / "runs").exists()


def test_images_in_both_lists_are_counted(data: Path, base: Path, caplog: pytest.LogCaptureFixture) -> None:
    (data / "ImageSets/Segmentation/val.txt").write_text("3\n2\n1\n")
    assert run_solve(data, "voc-fcn32s", "--weights", base, "--iters", 1) == 0
    assert "2 of the 3 images to score on are also trained on (1, ...)" in caplog.text


@pytest.mark.parametrize(("value", "shape", "says"), [
    (7, (30, 40), "2.png: expected label values 0 .. 2 or 255 (void), found 7 in 1200 pixels"),
    (1, (20, 40), "2.png: expected a label of (30, 40) (H, W)"),
])  # fmt: skip
def test_a_bad_label_stops_before_the_first_step(
    data: Path, base: Path, value: int, shape: tuple[int, int], says: str, capsys: pytest.CaptureFixture
) -> None:
    Image.fromarray(np.full(shape, value, np.uint8)).save(data / "SegmentationClass/2.png")
    assert run_solve(data, "voc-fcn32s", "--weights", base, "--iters", 1) == 1
    assert says in capsys.readouterr().err
    assert not (data.parent / "runs").exists()


def test_a_gpu_that_is_not_there_is_named(
    data: Path, base: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CAFFE_FALLBACK", raising=False)
    assert run_solve(data, "voc-fcn32s", "--weights", base, "--iters", 1, "--gpu", 99) == 1
    assert capsys.readouterr().err.startswith("solve.py: --gpu 99: ")


def test_a_loss_that_is_no_number_stops_the_run(
    data: Path, base: Path, capsys: pytest.CaptureFixture
) -> None:
    args = (
        "voc-fcn32s",
        "--recipe",
        "heavy",
        "--weights",
        base,
        "--base-lr",
        1e10,
        "--snapshot",
        1,
        "--test-every",
        0,
    )
    assert run_solve(data, *args, "--iters", 50) == 1
    said = capsys.readouterr().err
    assert "at iteration" in said and "Last good snapshot" in said and "The usual causes" in said
    assert "the first blob with such values is 'conv" in said
    run = Run(data.parent / "runs/voc-fcn32s")
    assert list(run.path.glob("snapshot/*.nonfinite"))
    for iteration in run.snapshots():
        net = caffe.Net(str(run.net("deploy")), str(run.snapshots()[iteration]), caffe.TEST)
        assert all(np.isfinite(blob.data).all() for blobs in net.params.values() for blob in blobs)


@pytest.mark.parametrize("signum", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_takes_a_snapshot_and_stops(data: Path, base: Path, signum: int) -> None:
    run, found = Run(data.parent / "runs/voc-fcn32s"), TrainingData.own(data)
    recipe = replace(solvers.recipe("voc-fcn32s"), max_iter=100_000, test_every=0, display=1)
    (job,) = chain([recipe], found, weights=base, width=WIDTH)
    before = signal.getsignal(signum)
    sender = threading.Thread(target=send_when_it_trains, args=(run, signum))
    sender.start()
    with pytest.raises(Interrupted, match=f"fcn train --resume {run.path}") as stop:
        train(job, run)
    sender.join()
    assert stop.value.status == 128 + signum and signal.getsignal(signum) == before
    (iteration,) = run.snapshots()
    assert list(run.snapshots(STATES)) == [iteration] and 0 < iteration < 100_000


def send_when_it_trains(run: Run, signum: int) -> None:
    """Send this process the signal once the first step has been recorded."""
    while not run.curves.is_file():
        time.sleep(0.01)
    os.kill(os.getpid(), signum)


def test_a_run_needs_no_more_than_its_name(
    data: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """Resumed and scored, with nothing said again, and renamed before: it has its own files."""
    common = ("voc-fcn32s", "--weights", base, "--base-lr", 1e-6, "--seed", 7)
    assert run_solve(data, *common, "--iters", 4) == 0
    whole = Run((data.parent / "runs/voc-fcn32s").rename(tmp_path / "whole"))
    assert run_solve(data, *common, "--iters", 2, "--cache", 1) == 0
    first = data.parent / "runs/voc-fcn32s"
    run = Run(first.rename(data.parent / "renamed"))
    shutil.copytree(run.path, first)  # the old name is a folder that belongs to somebody else by now
    net = caffe.Net(str(run.net("deploy")), caffe.TEST)
    net.save(str(first / "snapshot/train_iter_2.caffemodel"))
    assert solve.main(["--resume", str(run.path), "--iters", "4"]) == 0
    assert read_rows(run.scores)[-1] == read_rows(whole.scores)[-1]
    for name, blobs in params(whole).items():
        assert all(np.array_equal(a, b) for a, b in zip(blobs, params(run)[name])), name
    assert run.job().weights == (base,) and run.job().layers["train"].params["cache"] == 1
    capsys.readouterr()
    assert score.main([str(run.path), "--format", "json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert [c["name"] for c in facts["classes"]] == ["sky", "road", "car"] and facts["images"] == 2
    assert facts["metrics"]["mean IU"] == pytest.approx(float(read_rows(run.scores)[-1]["mean IU"]))


def test_what_a_run_knows_is_not_said_again(data: Path, base: Path, capsys: pytest.CaptureFixture) -> None:
    assert run_solve(data, "voc-fcn32s", "--weights", base, "--iters", 1, "--test-every", 0) == 0
    run = str(data.parent / "runs/voc-fcn32s")
    with pytest.raises(SystemExit):
        solve.main(["--resume", run, "--width", "0.1"])
    assert "the run knows its own width" in capsys.readouterr().err
    assert solve.main(["--resume", str(data)]) == 1
    assert "no run to go on with" in capsys.readouterr().err


def test_files_are_opened_no_more_often_than_the_work_needs(data: Path, base: Path) -> None:
    """Lists by the command and by the net that reads them; a validation pair to check and to score it."""
    names = [f"v{i}" for i in range(8)]
    for name in names:
        for folder, suffix in (("JPEGImages", ".jpg"), ("SegmentationClass", ".png")):
            (data / folder / f"{name}{suffix}").write_bytes((data / folder / f"3{suffix}").read_bytes())
    (data / "ImageSets/Segmentation/val.txt").write_text("\n".join(names))
    program = f"""
import sys
from collections import Counter
opened = Counter()
sys.addaudithook(lambda event, args: opened.update([str(args[0])]) if event == 'open' else None)
import solve
code = solve.main(['voc-fcn32s', '--data', {str(data)!r}, '--weights', {str(base)!r}, '--width', '{WIDTH}',
                   '--iters', '1', '--runs', {str(data.parent / "runs")!r}])
for path, count in opened.items():
    if path.startswith({str(data)!r}):
        print(path, count)
sys.exit(code)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    opened = {Path(p).relative_to(data): int(n) for p, n in map(str.split, done.stdout.splitlines())}
    assert opened[Path("classes.txt")] == 1
    assert [opened[Path(f"ImageSets/Segmentation/{split}.txt")] for split in ("train", "val")] == [2, 2]
    # The layer begins the next round when this one is scored: the first few are read ahead once more.
    for name in names[3:]:
        assert opened[Path(f"JPEGImages/{name}.jpg")] == opened[Path(f"SegmentationClass/{name}.png")] == 2


def test_weights_may_be_convolutional_already(data: Path, base: Path) -> None:
    args = ("voc-fcn32s", "--iters", 1, "--base-lr", 0, "--test-every", 0)
    assert run_solve(data, *args, "--weights", base) == 0
    first = Run(data.parent / "runs/voc-fcn32s")
    moved = Run(first.path.rename(data.parent / "first"))
    assert run_solve(data, *args, "--weights", moved.path) == 0
    a, b = params(moved), params(first)
    assert all(np.array_equal(x, y) for name in a for x, y in zip(a[name], b[name]))


def test_weights_of_other_classes_or_widths_are_refused_by_name(
    data: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    assert run_solve(data, "voc-fcn32s", "--weights", base, "--iters", 1, "--test-every", 0) == 0
    (data / "classes.txt").write_text("".join(f"class {i}\n" for i in range(60)))
    assert run_solve(data, "voc-fcn16s", "--iters", 1, "--test-every", 0) == 1
    said = capsys.readouterr().err
    assert "'score_fr', parameter 0: file (3, 204, 1, 1), net (60, 204, 1, 1)" in said and "skip=" in said
    wider = tmp_path / "wide.caffemodel"
    save_random("vgg16", wider, arch=nets.VGG16.scaled(0.1))
    assert run_solve(data, "voc-fcn8s-atonce", "--weights", wider, "--iters", 1) == 1
    assert "layer 'conv1_1', parameter 0: file (8, 3, 3, 3), net (4, 3, 3, 3)" in capsys.readouterr().err


@pytest.mark.data
def test_pascal_images_train(shared: Path, base: Path, tmp_path: Path) -> None:
    sample = shared / "data/voc-sample"
    args = (
        "--voc-dir",
        sample / "VOC2011",
        "--sbd-dir",
        sample / "sbd",
        "--runs",
        tmp_path,
        "--width",
        WIDTH,
        "--iters",
        1,
        "--weights",
        base,
    )
    assert solve.main(["voc-fcn8s-atonce", *map(str, args)]) == 0
    run = Run(tmp_path / "voc-fcn8s-atonce")
    assert read_rows(run.scores)[0]["iteration"] == "1"
    assert float(read_rows(run.curves)[0]["loss_per_pixel"]) == pytest.approx(math.log(21), rel=1e-5)


def test_accumulation_counts_its_images(data: Path, tmp_path: Path) -> None:
    caffenet = tmp_path / "caffenet.caffemodel"
    save_random("caffenet", caffenet, arch=nets.CAFFENET.scaled(WIDTH))
    args = ("voc-fcn-alexnet", "--recipe", "accum", "--iters", 1, "--test-every", 0)
    assert run_solve(data, *args, "--weights", caffenet) == 0
    row = read_rows(Run(data.parent / "runs/voc-fcn-alexnet").curves)[0]
    assert row["images"] == "20" and float(row["loss_per_pixel"]) == pytest.approx(math.log(3), rel=1e-5)


def test_a_classifier_trained_on_image_labels_starts_the_chain(data: Path, tmp_path: Path) -> None:
    rng, arch = np.random.default_rng(0), nets.VGG(((4,),) * 5, fc=8, fc_kernel=4, overhang=3)
    for i in range(4):
        Image.fromarray(rng.integers(0, 255, (128, 128, 3), np.uint8)).save(tmp_path / f"{i}.png")
    (tmp_path / "list.txt").write_text("".join(f"{i}.png {i % 2}\n" for i in range(4)))
    images = nets.PythonData(
        "ImageLabelLayer",
        {
            "source": str(tmp_path / "list.txt"),
            "root": str(tmp_path),
            "batch": 4,
            "size": 128,
            "mean": MEAN_BGR,
            "seed": 1,
        },
    )
    row = replace(solvers.recipe("voc-fcn32s"), max_iter=3, base_lr=1e-3, momentum=0.9, test_every=2)
    layers = {"train": images, "val": images}
    first = Job("vgg16", replace(row, test_iter=1), layers, ("a", "b"), trunk=arch, seed=1)
    run = Run(tmp_path / "runs/vgg16")
    made = train(first, run)
    rows = read_rows(run.scores)
    assert [row["iteration"] for row in rows] == ["2", "3"]
    assert all(0 <= float(row["accuracy"]) <= 1 for row in rows)
    assert read_rows(run.curves)[-1]["images"] == "12"
    found = TrainingData.own(data)
    fcn = Run(tmp_path / "runs/fcn")
    row = replace(row, base_lr=0.0, test_iter=2)
    train(Job("voc-fcn32s", row, found.layers(1), found.classes, trunk=arch, weights=(made,)), fcn)
    classifier, convolutional = params(run), params(fcn)
    assert np.array_equal(convolutional["fc6"][0].ravel(), classifier["fc6"][0].ravel())
    assert convolutional["fc6"][0].shape == (8, 4, 4, 4)


def test_every_start_of_a_run_is_recorded(data: Path, base: Path) -> None:
    args = ("voc-fcn32s", "--weights", base, "--iters", 1, "--test-every", 0, "--seed", 5)
    assert run_solve(data, *args) == 0
    run = Run(data.parent / "runs/voc-fcn32s")
    job, (launch,) = run.job(), run.launches()
    assert job.seed == 5 and job.recipe.max_iter == 1
    assert job.layers["train"].params["voc_dir"] == str(data)
    assert launch["versions"]["caffe"] == caffe.__version__
    assert launch["versions"]["engine"] == caffe.__engine__
    assert f"# run: {launch['command']}\n" in run.solver.read_text()
