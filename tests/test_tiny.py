"""The engine in ten seconds: text to net, forward, backward, one solver step, weights to disk and back."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import caffe

NET = """
layer { name: "data" type: "Input" top: "x" top: "y" input_param {
  shape { dim: 2 dim: 3 dim: 6 dim: 6 } shape { dim: 2 dim: 1 dim: 4 dim: 4 } } }
layer { name: "conv" type: "Convolution" bottom: "x" top: "conv" convolution_param {
  num_output: 5 kernel_size: 3 weight_filler { type: "xavier" } bias_filler { value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "score" type: "Convolution" bottom: "conv" top: "score" convolution_param {
  num_output: 2 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "y" top: "loss"
  loss_param { ignore_label: 255 normalize: true } }
"""


@pytest.fixture
def net_file(tmp_path: Path) -> Path:
    path = tmp_path / "net.prototxt"
    path.write_text(NET)
    return path


def feed(net: caffe.Net) -> np.ndarray:
    """Fill the inputs; returns the labels, one of them void."""
    rng = np.random.default_rng(0)
    net.blobs["x"].data[...] = rng.standard_normal((2, 3, 6, 6))
    labels = rng.integers(0, 2, (2, 1, 4, 4))
    labels[0, 0, 0, 0] = 255
    net.blobs["y"].data[...] = labels
    return labels


def test_forward_and_backward_are_softmax_regression(net_file: Path) -> None:
    caffe.set_mode_cpu()
    net = caffe.Net(str(net_file), caffe.TRAIN)
    labels = feed(net)[:, 0]
    loss = float(net.forward()["loss"])
    net.backward()

    score = net.blobs["score"].data.astype(np.float64)
    prob = np.exp(score) / np.exp(score).sum(axis=1, keepdims=True)
    valid = labels != 255
    truth = np.where(valid, labels, 0)
    picked = np.take_along_axis(prob, truth[:, None], 1)[:, 0]
    assert loss == pytest.approx(-np.log(picked[valid]).mean(), rel=1e-5)

    wanted = (prob - np.eye(2)[truth].transpose(0, 3, 1, 2)) * valid[:, None] / valid.sum()
    np.testing.assert_allclose(net.blobs["score"].diff, wanted, atol=1e-6)
    kernel = np.einsum("nkhw,nchw->kc", wanted, net.blobs["conv"].data.astype(np.float64))
    np.testing.assert_allclose(net.params["score"][0].diff[:, :, 0, 0], kernel, atol=1e-5)


def test_one_solver_step_moves_against_the_gradient(net_file: Path, tmp_path: Path) -> None:
    solver_file = tmp_path / "solver.prototxt"
    solver_file.write_text(
        f'net: "{net_file}" base_lr: 0.5 lr_policy: "fixed" momentum: 0.9 weight_decay: 0.01 display: 0 '
        f'max_iter: 1 snapshot_prefix: "{tmp_path}/tiny" random_seed: 1'
    )
    solver = caffe.SGDSolver(str(solver_file))
    feed(solver.net)
    weights = solver.net.params["score"][0]
    before = weights.data.copy()
    solver.net.forward()
    solver.net.clear_param_diffs()
    solver.net.backward()
    gradient = weights.diff.copy()

    solver.step(1)
    np.testing.assert_allclose(weights.data, before - 0.5 * (gradient + 0.01 * before), atol=1e-6)

    solver.net.save(str(tmp_path / "tiny.caffemodel"))
    again = caffe.Net(str(net_file), str(tmp_path / "tiny.caffemodel"), caffe.TEST)
    np.testing.assert_array_equal(again.params["score"][0].data, weights.data)
