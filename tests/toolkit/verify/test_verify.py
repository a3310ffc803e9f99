"""The known causes of a low score: each planted in a small net or data set, and each absent from another."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
import solve
import solvers
import surgery
from fcn.commands import verify as command
from fcn.data import TrainingData
from fcn.engine import open_net
from fcn.runs import Run
from fcn.train import Job
from fcn.verify import Inputs, Subject, Verdict, check_inputs, check_net, check_start, verify
from fcn.weights import caffemodel
from tests.toolkit.conftest import WIDTH
from voc_layers.facts import MEAN_BGR, VOC_CLASSES
from voc_layers.folder import SbdFolder, VocFolder

PASS, FAIL, UNKNOWN = Verdict.PASS, Verdict.FAIL, Verdict.UNKNOWN
#: As wide as VGG16 in its first layer only.
ARCH = nets.VGG(((64,), (4,), (4,), (4,), (4,)), fc=16, fc_kernel=4, overhang=3)
#: conv1_1 of Caffe's VGG16, top left taps of its first and last three filters, B, G, R: as people print it.
PRINTED = {
    0: (0.4295, 0.5504, 0.4800),
    1: (0.1173, 0.0209, -0.1727),
    2: (0.0340, 0.0988, 0.0376),
    61: (-0.1322, -0.0848, -0.1271),
    62: (-0.0533, -0.0511, -0.0503),
    63: (0.0076, 0.0375, 0.0349),
}


def job(model: str = "voc-fcn32s", weights: Sequence[Path] = (), **recipe: Any) -> Job:
    """A job of a narrow net, without data; `recipe` changes the model's heavy one."""
    kind = recipe.pop("kind", "heavy")
    row = replace(solvers.recipe(model, kind), **recipe)
    return Job(
        model, row, {"train": nets.PythonData("Images")}, ("a", "b"), trunk=ARCH, weights=tuple(weights)
    )


def subject(work: Job, is_trained: bool = True, **options: Any) -> Subject:
    """A sound net of a job: learned weights with long tails, Caffe's filters, bilinear deconvolutions."""
    net = open_net(None, work.model, classes=2, arch=ARCH)
    rng = np.random.default_rng(0)
    for name, blobs in net.params.items():
        for blob in blobs:
            blob.data[...] = rng.laplace(size=blob.data.shape)
        if "up" in name:
            surgery.interp(net, [name])
    for number, taps in PRINTED.items():
        net.params["conv1_1"][0].data[number, :, 0, 0] = taps
    return Subject(net, work, work.build("deploy"), 500 * 375, is_trained, **options)


def verdicts(made: Subject) -> dict[str, Verdict]:
    return {found.name: found.verdict for found in check_net(made)}


def test_a_sound_net_passes() -> None:
    found = verdicts(subject(job()))
    assert len(found) == 7 and set(found.values()) == {PASS}


def fill(layer: str, values: Callable[[np.ndarray], Any]) -> Callable[[Subject], None]:
    """A fault: weights of a layer become what `values` makes of them, its biases zero."""

    def plant(made: Subject) -> None:
        weights, *biases = (blob.data for blob in made.net.params[layer])
        weights[...] = values(np.array(weights))
        for bias in biases:
            bias[...] = 0

    return plant


def one_class_dead(weights: np.ndarray) -> np.ndarray:
    weights[1] = 0
    return weights


RNG = np.random.default_rng(1)
FAULTS = {
    "other weights": ("base weights", fill("conv1_1", lambda w: RNG.normal(size=w.shape))),
    "RGB": ("base weights", fill("conv1_1", lambda w: w[:, ::-1])),
    "for images of 0 to 1": ("base weights", fill("conv1_1", lambda w: w / 58)),
    "fc6 zero": ("fc6 and fc7", fill("fc6", lambda w: 0)),
    "fc7 zero": ("fc6 and fc7", fill("fc7", lambda w: 0)),
    "fc6 Gaussian": ("fc6 and fc7", fill("fc6", lambda w: RNG.normal(size=w.shape))),
    "fc6 uniform": ("fc6 and fc7", fill("fc6", lambda w: RNG.uniform(-1, 1, w.shape))),
    "a layer zero": ("layers filled", fill("conv3_1", lambda w: 0)),
    "a constant kernel": ("deconvolutions", fill("upscore", lambda w: 1)),
    "no kernel": ("deconvolutions", fill("upscore", lambda w: 0)),
    "scores zero": ("score layers", fill("score_fr", lambda w: 0)),
    "a class dead": ("score layers", fill("score_fr", one_class_dead)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_the_weights_is_found(fault: str) -> None:
    name, plant = FAULTS[fault]
    made = subject(job())
    plant(made)
    failed = [found for found in check_net(made) if found.verdict is FAIL]
    assert name in [found.name for found in failed] and all(found.remedy for found in failed)
    assert {found.name for found in failed} <= {name, "layers filled"}  # fc6 is a layer, too


def test_what_a_filter_for_rgb_needs_is_told_from_other_weights() -> None:
    made = subject(job())
    FAULTS["RGB"][1](made)
    assert "RGB" in check_net(made)[0].evidence


@pytest.mark.parametrize("suffix", ["", ".h5"])
def test_the_classifiers_file_settles_what_was_transplanted(tmp_path: Path, suffix: str) -> None:
    """Drawn at random as they are: what is compared is whether they are those of the file."""
    path = tmp_path / f"vgg16.caffemodel{suffix}"
    made = subject(job(weights=[path]))
    drawn = {name: RNG.normal(size=made.net.params[name][0].data.shape) for name in ("fc6", "fc7")}
    caffemodel.write(path, {name: [array.reshape(len(array), -1)] for name, array in drawn.items()})
    for name, array in drawn.items():
        learned = array + 2 * RNG.normal(size=array.shape)
        made.net.params[name][0].data[...] = learned
    assert verdicts(made)["fc6 and fc7"] is PASS
    made.net.params["fc7"][0].data[...] = RNG.laplace(size=drawn["fc7"].shape)
    assert verdicts(made)["fc6 and fc7"] is FAIL


def test_a_deconvolution_that_learns_may_move_but_has_to_start_bilinear() -> None:
    for is_trained, verdict in ((True, PASS), (False, FAIL)):
        made = subject(job(), is_trained)
        for layer in made.proto.layer:
            if layer.type == "Deconvolution":
                layer.param[0].lr_mult = 1
        made.net.params["upscore"][0].data[...] *= 1.5
        assert verdicts(made)["deconvolutions"] is verdict


def test_before_training_scores_are_zero_and_layers_without_weights_are_named() -> None:
    made = subject(job(), False, untouched=["conv2_1", "score_fr", "upscore"])
    made.net.params["score_fr"][0].data[...] = 0
    found = {row.name: row for row in check_start(made)}
    assert found["score layers"].verdict is UNKNOWN and found["layers filled"].verdict is FAIL
    assert "conv2_1" in found["layers filled"].evidence and "score" not in found["layers filled"].evidence


RATES = {
    "its own": (job("voc-fcn16s"), PASS, PASS),
    "its own, mean loss": (job("voc-fcn16s", kind="accum"), PASS, PASS),
    "16s at that of 32s": (job("voc-fcn16s", base_lr=1e-10), FAIL, PASS),
    "8s at that of 16s": (job("voc-fcn8s", base_lr=1e-12), FAIL, PASS),
    "a mean's, summed": (job(base_lr=1e-4), UNKNOWN, FAIL),
    "a sum's, mean": (job(kind="accum", base_lr=1e-10), UNKNOWN, FAIL),
    "zero": (job(base_lr=0), FAIL, FAIL),
    "another optimiser's": (job(type="Adam", base_lr=1e-3), UNKNOWN, UNKNOWN),
}


@pytest.mark.parametrize("case", RATES)
def test_rates(case: str) -> None:
    work, rate, loss = RATES[case]
    found = verdicts(subject(work))
    assert (found["stage's rate"], found["loss and rate"]) == (rate, loss)


@pytest.mark.parametrize(("rate", "verdict"), [(3e-9, PASS), (3e-7, FAIL), (1e-10, FAIL)])
def test_a_stage_is_measured_by_the_one_before_it(tmp_path: Path, rate: float, verdict: Verdict) -> None:
    first = Run(tmp_path / "voc-fcn32s").make()
    first.record(job(base_lr=3e-7), {})
    work = job("voc-fcn16s", [first.path / "snapshot/train_iter_1.caffemodel"], base_lr=rate)
    assert verdicts(subject(work))["stage's rate"] is verdict


def inputs(data: TrainingData) -> dict[str, Verdict]:
    return {found.name: found.verdict for found in check_inputs(Inputs.look(data))}


def test_sound_data_pass(data: Path) -> None:
    found = inputs(TrainingData.own(data))
    assert found.pop("split sizes") is UNKNOWN and len(found) == 4 and set(found.values()) == {PASS}


def write_label(data: Path, number: int, label: np.ndarray) -> None:
    Image.fromarray(label.astype(np.uint8)).save(data / f"SegmentationClass/{number}.png")


def of_one_value(value: int) -> Callable[[Path], None]:
    """A fault: every label has one value in all its pixels but one."""

    def plant(data: Path) -> None:
        for i in range(5):
            label = np.full((30, 40 + 10 * (i % 2)), value)
            label[0, 0] = 0 if value else 1
            write_label(data, i, label)

    return plant


def write(name: str, text: str) -> Callable[[Path], None]:
    def plant(data: Path) -> None:
        (data / name).write_text(text)

    return plant


DATA_FAULTS = {
    "overlap of the lists": write("ImageSets/Segmentation/val.txt", "3\n2\n"),
    "void label": of_one_value(255),
    "class balance": of_one_value(2),
}


@pytest.mark.parametrize("name", DATA_FAULTS)
def test_a_fault_in_the_data_is_found(data: Path, name: str) -> None:
    DATA_FAULTS[name](data)
    found = inputs(TrainingData.own(data))
    assert name in [key for key, verdict in found.items() if verdict is FAIL]


def test_a_label_that_is_no_class_fails(data: Path) -> None:
    write_label(data, 1, np.full((30, 50), 7))
    assert inputs(TrainingData.own(data))["void label"] is FAIL


@pytest.mark.parametrize(("mean", "verdict"), [
    (MEAN_BGR, PASS), (MEAN_BGR[::-1], FAIL), ((0.4, 0.45, 0.48), FAIL), ((0, 0, 0), FAIL),
    ((127, 127, 127), PASS), ((20, 200, 127), FAIL),
])  # fmt: skip
def test_means(data: Path, mean: tuple[float, ...], verdict: Verdict) -> None:
    folder = VocFolder(data, ("sky", "road", "car"), mean)  # whose images are noise around 127
    assert (
        inputs(TrainingData(folder.split("train"), folder.split("val")))["colour order and mean"] is verdict
    )


def test_void_that_is_a_class_fails(data: Path) -> None:
    folder = VocFolder(data, ("sky", "road", "car"), void=1)
    assert inputs(TrainingData(folder.split("train"), folder.split("val")))["void label"] is FAIL


@pytest.mark.parametrize(("train", "val", "verdict"), [
    (8498, 736, PASS), (8498, 1111, FAIL), (1464, 736, FAIL),
])  # fmt: skip
def test_the_lists_of_pascal_are_counted(data: Path, train: int, val: int, verdict: Verdict) -> None:
    (data / "train.txt").write_text("".join(f"a{i}\n" for i in range(train)))
    (data / "ImageSets/Segmentation/seg11valid.txt").write_text("".join(f"b{i}\n" for i in range(val)))
    voc, sbd = VocFolder(data), SbdFolder(data)
    found = inputs(TrainingData(sbd.split("train"), voc.split("seg11valid")))
    assert found["split sizes"] is verdict
    assert found["void label"] is found["class balance"] is UNKNOWN  # the files are not there


def test_pascals_labels_without_boundaries_fail(data: Path) -> None:
    voc = VocFolder(data, VOC_CLASSES)
    both = TrainingData(voc.split("train"), voc.split("val"))
    assert inputs(both)["void label"] is PASS and inputs(both)["split sizes"] is FAIL  # no SBD
    for i in (3, 4):
        write_label(data, i, RNG.choice([0, 1], (30, 40 + 10 * (i % 2))))
    assert inputs(both)["void label"] is FAIL


def step(data: Path, base: Path) -> tuple[object, ...]:
    """What `solve.py` is told, to train one step."""
    return (
        "voc-fcn32s", "--data", data, "--weights", base, "--width", WIDTH, "--iters", 1, "--recipe", "heavy"
    )  # fmt: skip


def trained(data: Path, base: Path, *options: object) -> Run:
    """A run of one step."""
    root = data.parent / "runs"
    args = (*step(data, base), "--runs", root, "--test-every", 0, *options)
    assert solve.main([*map(str, args)]) == 0
    return Run(root / "voc-fcn32s")


def test_a_run_from_the_command_line(data: Path, base: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = trained(data, base, "--base-lr", 1e-9)
    report = verify(run.path, 2)
    found = {row.name: row.verdict for row in report.findings}
    assert found["fc6 and fc7"] is PASS and found["base weights"] is UNKNOWN
    capsys.readouterr()
    status = command.main([str(run.path), "--json", "--images", "2"])
    facts = json.loads(capsys.readouterr().out)
    assert status == (0 if facts["ok"] else 1) and len(facts["checks"]) == len(found) == 13

    net = caffe.Net(str(run.net("deploy")), str(run.newest()), caffe.TEST)
    net.params["score_fr"][0].data[...] = 0
    net.params["score_fr"][1].data[...] = 0
    net.save(str(run.newest()))
    assert command.main([str(run.path)]) == 1
    said = capsys.readouterr().out
    failed = [line[9:].split("  ")[0] for line in said.splitlines() if line.startswith("FAIL")]
    assert {"score layers", "predictions"} <= set(failed)


@pytest.mark.parametrize("what", ["nothing", "data"])
def test_what_is_no_run_is_refused(data: Path, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert command.main([str(data.parent / what)]) == 1
    assert str(data.parent / what) in capsys.readouterr().err


def test_training_warns_and_strict_does_not_start(
    data: Path, base: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING, "fcn"):
        run = trained(data, base, "--base-lr", 1e-4)
    assert "loss and rate" in caplog.text and run.newest()
    args = (*step(data, base), "--strict")
    other = data.parent / "other"
    options = ("--runs", other, "--base-lr", 1e-4, "--test-every", 0)
    assert solve.main([*map(str, (*args, *options))]) == 1
    assert "loss and rate" in capsys.readouterr().err and Run(other / "voc-fcn32s").newest() is None
    assert solve.main([*map(str, (*args, "--runs", other, "--base-lr", 1e-9, "--test-every", 0))]) == 0


def test_strict_stops_for_images_that_are_scored_and_trained_on(
    data: Path, base: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    DATA_FAULTS["overlap of the lists"](data)
    args = (*step(data, base), "--strict")
    assert solve.main([*map(str, (*args, "--runs", data.parent / "runs"))]) == 1
    assert "overlap" in capsys.readouterr().err and not (data.parent / "runs").exists()
