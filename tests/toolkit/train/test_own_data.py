"""Training on one's own images: the recipe picked, what is said before, going on with other classes."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caffe
import nets
import solve
import solvers
from fcn.data import TrainingData
from fcn.runs import Run
from fcn.train import chain, recipes, timing, train
from fcn.weights import save_random
from tests.toolkit.conftest import WIDTH

Train = Callable[..., int]


@pytest.fixture
def run_train(data: Path) -> Train:
    """`fcn train` with a narrow trunk, on `data` unless --data is given, one step unless --iters is."""

    def call(*args: object) -> int:
        given = list(map(str, args))
        narrow = [] if "--from" in given else [("--width", WIDTH)]
        for option, value in (("--data", data), *narrow, ("--iters", 1)):
            given += [] if option in given else [option, str(value)]
        return solve.main(given)

    return call


def params(run: Run) -> dict[str, list[np.ndarray]]:
    """The parameters of a run's newest snapshot."""
    net = caffe.Net(str(run.net("deploy")), str(run.newest()), caffe.TEST)
    return {name: [np.array(blob.data) for blob in blobs] for name, blobs in net.params.items()}


@pytest.fixture
def coarse(run_train: Train, base: Path, tmp_path: Path) -> Run:
    """A run of FCN-32s on sky, road and car whose scores have learned something."""
    assert run_train("voc-fcn32s", "--weights", base, "--runs", tmp_path / "old", "--test-every", 0) == 0
    return Run(tmp_path / "old/voc-fcn32s")


@pytest.fixture
def others(data: Path, tmp_path: Path) -> Path:
    """The same images with four classes, two of which were in `data`, in another order."""
    folder = tmp_path / "others"
    shutil.copytree(data, folder)
    (folder / "classes.txt").write_text("tree\nstreet\nsky\ndog\n")
    return folder


def test_a_narrow_net_gets_the_light_recipe_fitted_to_the_images(
    run_train: Train, base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    args = ("voc-fcn32s", "--weights", base, "--runs", tmp_path / "runs")
    assert run_train(*args, "--crop", "20x30", "--mirror", "--batch", 2) == 0
    job = Run(tmp_path / "runs/voc-fcn32s").job()
    load = solvers.Load(3, 600, 2, 2, WIDTH)
    assert job.recipe == solvers.fitted(solvers.recipe("voc-fcn32s", "light"), load, 1)
    assert job.layers["train"].params["batch"] == 2 and "crop" not in job.layers["val"].params
    assert "fitted to 3 images of 600 pixels" in caplog.text
    curve = Run(tmp_path / "runs/voc-fcn32s").curves.read_text().splitlines()[1]
    assert curve.startswith("1,2,"), "one step of two images"


def test_a_batch_of_whole_images_of_two_sizes_trains(run_train: Train, base: Path, tmp_path: Path) -> None:
    args = ("--weights", base, "--runs", tmp_path / "runs", "--scale", "0.5,2", "--batch", 3)
    assert run_train("voc-fcn32s", "voc-fcn16s", *args) == 0
    assert np.isfinite(params(Run(tmp_path / "runs/voc-fcn16s"))["score_pool4"][0]).all()


def test_how_long_it_takes_is_said_and_changes_nothing(
    data: Path, base: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = TrainingData.own(data)
    rows = recipes(["voc-fcn32s"], "light", max_iter=2, test_every=0)
    (job,) = chain(rows, found, weights=base, width=WIDTH)
    plain = train(job, Run(tmp_path / "plain"))
    caplog.set_level("INFO")
    long = replace(job, recipe=replace(job.recipe, max_iter=5000, test_every=1000, test_iter=2))
    timing.announce([long, long])
    for said in ("voc-fcn32s: about", "5000 steps of", "5 scorings", "all 2 stages"):
        assert said in caplog.text
    timed = train(job, Run(tmp_path / "timed"))
    assert plain.read_bytes() == timed.read_bytes()


def test_with_other_classes_all_is_kept_but_the_scores(
    run_train: Train, coarse: Run, others: Path, tmp_path: Path
) -> None:
    args = ("--from", coarse.path, "--data", others, "--runs", tmp_path / "new", "--base-lr", 0)
    assert run_train(*args, "--keep-classes", "sky,street=road") == 0
    run = Run(tmp_path / "new/voc-fcn32s")
    old, new = params(coarse), params(run)
    assert run.job().class_names == ("tree", "street", "sky", "dog")
    for name in set(old) - {"score_fr", "upscore"}:
        assert np.array_equal(old[name][0], new[name][0]), name
    for before, after in zip(old["score_fr"], new["score_fr"]):
        assert before.any()
        assert np.array_equal(after[2], before[0]) and np.array_equal(after[1], before[1])
        assert not after[[0, 3]].any()
    assert "new, for 4 classes: score_fr; scores kept of sky, street" in run.log.read_text()
    np.testing.assert_allclose(new["upscore"][0][3, 3].sum(), 32 * 32, rtol=1e-6)


def test_a_finer_net_starts_from_a_coarser_one_of_other_classes(
    run_train: Train, coarse: Run, others: Path, tmp_path: Path
) -> None:
    args = ("--from", coarse.newest(), "--data", others, "--runs", tmp_path / "new", "--base-lr", 0)
    assert run_train("voc-fcn16s", "voc-fcn8s", *args) == 0
    old, new = params(coarse), params(Run(tmp_path / "new/voc-fcn8s"))
    assert np.array_equal(old["fc7"][0], new["fc7"][0]) and not new["score_fr"][0].any()


def test_a_net_of_another_trunk_is_gone_on_from_as_it_is(
    run_train: Train, data: Path, others: Path, tmp_path: Path
) -> None:
    trunk = nets.VGG(stages=((4,), (4,), (6,), (6,), (8,)), fc=8, fc_kernel=7)
    rows = recipes(["voc-fcn32s"], "light", max_iter=1, test_every=0)
    (job,) = chain(rows, TrainingData.own(data))
    base = tmp_path / "base.caffemodel"
    save_random("vgg16", base, arch=trunk)
    run = Run(tmp_path / "old")
    train(replace(job, trunk=trunk, weights=(base,)), run)
    assert run_train("--from", run.path, "--data", others, "--runs", tmp_path / "new", "--base-lr", 0) == 0
    old, new = params(run), params(Run(tmp_path / "new/voc-fcn32s"))
    assert np.array_equal(old["fc7"][0], new["fc7"][0])


@pytest.mark.parametrize(("args", "says"), [
    (("--from", "RUN", "--keep-classes", "sky,moon"), "'moon' is none of the classes of the data: tree"),
    (("--from", "RUN", "--keep-classes", "tree"), "'tree' is none of the classes of {run}: sky, road, car"),
    (("voc-fcn32s", "--weights", "RUN"), "fcn train --from"),
    (("--from", "nowhere"), "--from nowhere: neither a file nor the folder of a run"),
    (("--from", "BASE"), "it lies in no run, so name the model to train: one of voc-fcn32s"),
    (("voc-fcn32s", "--from", "RUN", "--width", 0.1), "layer 'conv1_1', parameter 0: file"),
])  # fmt: skip
def test_what_cannot_be_gone_on_from_is_said(
    run_train: Train, coarse: Run, base: Path, others: Path, args: tuple[object, ...], says: str,
    capsys: pytest.CaptureFixture,
) -> None:  # fmt: skip
    named = {"RUN": coarse.path, "BASE": base}
    given = [named.get(str(arg), arg) for arg in args]
    assert run_train(*given, "--data", others, "--runs", others.parent / "new") == 1
    assert says.format(run=coarse.path) in capsys.readouterr().err


@pytest.mark.parametrize(("option", "value"), [
    ("--scale", "2"), ("--scale", "0,1"), ("--crop", "321"), ("--crop", "0x5"), ("--batch", "0"),
])  # fmt: skip
def test_an_option_without_meaning_is_refused(
    run_train: Train, base: Path, option: str, value: str, capsys: pytest.CaptureFixture
) -> None:
    with pytest.raises(SystemExit):
        run_train("voc-fcn32s", "--weights", base, option, value)
    assert option in capsys.readouterr().err
