"""The published nets, narrow, on small images: the fast path scores as its reference path does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe
import nets

pytest.importorskip("numba", reason="the fast path needs numba")

#: Largest difference over the largest score.
LARGEST = 1e-5
PUBLISHED = [name for name, model in nets.MODELS.items() if model.stride]


@pytest.mark.parametrize("model", PUBLISHED)
def test_scores_are_those_of_the_reference_path(tmp_path: Path, monkeypatch, model: str):
    text = nets.build(model, "deploy", arch=nets.get(model).arch.scaled(1 / 8), size=(61, 83))
    path = tmp_path / "deploy.prototxt"
    path.write_text(str(text))
    caffe.set_random_seed(1)
    net = caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(2)
    for params in net.params.values():
        for blob in params:
            if not blob.data.any():  # what a trained net has: no zeros
                blob.data[...] = rng.normal(0, np.sqrt(2 / max(1, blob.data[0].size)), blob.shape)
    images = {name: rng.normal(0, 50, net.blobs[name].shape) for name in net.inputs}
    last = nets.get(model).labelings[-1].score
    scores = {}
    for algorithms in ("reference", "fast"):
        monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
        for name, image in images.items():
            net.blobs[name].data[...] = image
        scores[algorithms] = net.forward()[last].copy()
    wanted = scores["reference"]
    assert np.abs(wanted).max() > 0
    np.testing.assert_allclose(scores["fast"], wanted, rtol=0, atol=LARGEST * np.abs(wanted).max())
