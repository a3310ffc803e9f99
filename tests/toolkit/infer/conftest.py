"""Runs to infer with: a net that says the brightest channel, and narrow FCNs of random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
import nets
import solvers
import surgery
from fcn.job import Job
from fcn.runs import Run
from voc_layers import VocFolder

#: As deep as VGG16 and hardly as wide; its fc6 is 4 x 4, so it looks less far.
ARCH = nets.VGG(stages=((4,),) * 5, fc=4, fc_kernel=4)
BRIGHTEST = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 3 kernel_size: 1 } }
"""
CLASSES = ("sea", "grass", "brick")


def make_run(folder: Path, model: str, prototxt: str, seed: int = 0) -> Path:
    """A run of a net with random weights; deconvolutions interpolate."""
    run = Run(folder / model).make()
    run.net("deploy").write_text(prototxt)
    net = caffe.Net(str(run.net("deploy")), caffe.TEST)
    rng = np.random.default_rng(seed)
    for name, blobs in net.params.items():
        if name.startswith("upscore"):
            surgery.interp(net, [name])
            continue
        for blob in blobs:
            fan_in = max(1, np.prod(blob.data.shape[1:]))
            blob.data[...] = rng.normal(0, 1.5 / np.sqrt(fan_in), blob.data.shape)
    net.save(f"{run.prefix}_iter_1.caffemodel")
    data = VocFolder(folder, CLASSES)
    layers = {"train": nets.PythonData.reading(data, "train", seed=1)}
    run.record(Job(model, solvers.recipe(model), layers, data.classes, trunk=ARCH), {})
    return run.path


@pytest.fixture(scope="session")
def fcn_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A narrow FCN-8s."""
    text = str(nets.build("voc-fcn8s", "deploy", arch=ARCH, classes=len(CLASSES)))
    return make_run(tmp_path_factory.mktemp("fcn"), "voc-fcn8s", text)


@pytest.fixture(scope="session")
def brightest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net whose class is the brightest channel: 0 blue, 1 green, 2 red."""
    folder = tmp_path_factory.mktemp("brightest")
    run = make_run(folder, "voc-fcn8s", BRIGHTEST)
    weights = run / "snapshot/train_iter_1.caffemodel"
    net = caffe.Net(str(run / "deploy.prototxt"), str(weights), caffe.TEST)
    net.params["score"][0].data[...] = np.eye(3).reshape(3, 3, 1, 1)
    net.params["score"][1].data[...] = 0
    net.save(str(weights))
    return run
