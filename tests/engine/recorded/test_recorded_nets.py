"""Nets of other people and at full size give what a real Caffe gave. Needs the shared data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
from tests.engine.support import golden

MEAN_BGR = np.array([104.00698793, 116.66876762, 122.67891434], np.float32)


@pytest.mark.data
@pytest.mark.parametrize("name", ["det1", "det2"])
def test_caffemodels_trained_elsewhere(shared, name):
    folder = shared / "data" / "caffemodels"
    expected = np.load(folder / f"{name}.expected.npz")
    net = caffe.Net(str(folder / f"{name}.prototxt"), caffe.TEST, weights=str(folder / f"{name}.caffemodel"))
    for key in expected.files:
        if key.startswith("in."):
            net.blobs[key[3:]].reshape(*expected[key].shape)
            net.blobs[key[3:]].data[...] = expected[key]
    net.forward()
    for key in expected.files:
        if key.startswith("out."):
            golden.close(net.blobs[key[4:]].data, expected[key], 1e-4, 1e-6, key)


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.parametrize("name", ["voc-fcn32s", "voc-fcn8s"])
def test_full_size_nets_on_a_photograph(shared, in_tmp, name):
    case = np.load(shared / "golden" / "full-scale" / f"{name}.npz")
    Path("net.prototxt").write_text(str(case["prototxt"]))
    net = caffe.Net("net.prototxt", caffe.TEST)
    draw_weights(net, int(case["seed"]))
    data = (case["image"][:, :, ::-1].astype(np.float32) - MEAN_BGR).transpose(2, 0, 1)
    net.blobs["data"].reshape(1, *data.shape)
    net.blobs["data"].data[0] = data
    score = net.forward()["score"][0]
    limit = 2e-5 * float(case["score_absmax"])
    golden.close(score[:, ::8, ::8], case["score_every_8"], 0, limit, "score")
    assert (score.argmax(0) == case["argmax"]).mean() >= 0.9999
    for key in case.files:
        if key.startswith("stat."):
            blob = net.blobs[key[5:]].data
            got = [blob.mean(dtype=np.float64), blob.std(dtype=np.float64), np.abs(blob).max()]
            golden.close(got, case[key], 1e-4, 1e-6, key)


def draw_weights(net: caffe.Net, seed: int) -> None:
    """Weights from one stream: bilinear kernels in layers with "up" in their name, else noise."""
    stream = np.random.RandomState(seed)
    for name, blobs in net.params.items():
        for blob in blobs:
            shape = tuple(blob.shape)
            if len(shape) == 4 and "up" in name:
                blob.data[...] = golden.bilinear(shape)
            elif len(shape) == 4:
                blob.data[...] = stream.standard_normal(shape) * np.sqrt(2 / np.prod(shape[1:]))
            else:
                blob.data[...] = stream.standard_normal(shape) * 0.1
