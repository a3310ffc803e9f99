"""Numbers that BVLC Caffe itself gives: shapes and pooling, layers forward and backward, solvers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe
from tests.engine.support.layer_case import build, run

FLOOR = -3.4028235e38


def counted(*shape: int) -> np.ndarray:
    """1, 2, 3, ... in row-major order."""
    return np.arange(1, 1 + np.prod(shape), dtype=np.float32).reshape(shape)


def numbers(text: str) -> np.ndarray:
    return np.array(text.split(), np.float64)


def near(found: Any, text: str) -> None:
    """All numbers of `text`, which have six decimals."""
    expected = numbers(text)
    assert np.size(found) == len(expected)
    np.testing.assert_allclose(np.ravel(found), expected, rtol=2e-6, atol=1.5e-6)


# ---- shapes and pooling --------------------------------------------------------------------------

POOLING = [
    ((4, 4), "kernel_size: 2 stride: 3 pool: MAX", (2, 2), "6 8 14 16"),
    ((4, 4), "kernel_size: 3 stride: 2 pool: AVE", (2, 2), "6 7.5 12 13.5"),
    ((4, 4), "kernel_size: 3 stride: 2 pool: MAX round_mode: FLOOR", (1, 1), "11"),
    ((4, 4), "kernel_size: 3 stride: 2 pad: 1 pool: MAX", (3, 3), "6 8 8 14 16 16 14 16 16"),
    (
        (4, 4),
        "kernel_size: 3 stride: 2 pad: 1 pool: AVE",
        (3, 3),
        "1.555556 3.333333 2 6.333333 11 6 4.5 7.5 4",
    ),
    ((3, 3), "kernel_size: 2 stride: 2 pad: 1 pool: MAX", (2, 2), "1 3 7 9"),
    ((3, 3), "kernel_size: 2 stride: 2 pad: 1 pool: AVE", (2, 2), "0.25 1.25 2.75 7"),
    ((5, 5), "kernel_size: 1 stride: 3 pool: MAX", (3, 3), f"1 4 {FLOOR} 16 19 {FLOOR}" + f" {FLOOR}" * 3),
    ((2, 2), "kernel_size: 3 stride: 2 pool: MAX", (1, 1), "4"),
    ((3, 5), "global_pooling: true pool: AVE", (1, 1), "8"),
]


@pytest.mark.parametrize("gradient", [False, True])
@pytest.mark.parametrize(("size", "settings", "places", "values"), POOLING)
def test_pooling(size, settings, places, values, gradient) -> None:
    text = f'type: "Pooling" pooling_param {{ {settings} }}'
    top = run(text, {"x": counted(1, 1, *size)}, force_backward=gradient).tops["top"]
    assert top.shape == (1, 1, *places)
    near(top, values)


@pytest.mark.parametrize(
    ("kind", "size", "settings", "values"),
    [
        ("Convolution", (3, 3), "kernel_size: 2 pad: 1 stride: 2", "1 5 11 28"),
        ("Deconvolution", (2, 2), "kernel_size: 2 stride: 2", "1 1 2 2 1 1 2 2 3 3 4 4 3 3 4 4"),
    ],
)
def test_convolutions_with_weights_of_one(kind, size, settings, values) -> None:
    text = (
        f'type: "{kind}" convolution_param {{ num_output: 1 {settings} '
        'weight_filler { type: "constant" value: 1 } }'
    )
    near(run(text, {"x": counted(1, 1, *size)}).tops["top"], values)


def test_three_spatial_axes() -> None:
    net = build(
        'layer { name: "c" type: "Convolution" bottom: "x" top: "c" '
        "  convolution_param { num_output: 2 kernel_size: 3 dilation: 2 pad: 1 } }"
        'layer { name: "d" type: "Deconvolution" bottom: "c" top: "d" convolution_param { num_output: 1 '
        "  kernel_size: 3 kernel_size: 4 kernel_size: 5 stride: 2 } }",
        {"x": np.zeros((2, 3, 5, 6, 7))},
    )
    assert net.blobs["c"].data.shape == (2, 2, 3, 4, 5)
    assert net.blobs["d"].data.shape == (2, 1, 7, 10, 13)


@pytest.mark.parametrize(
    ("size", "rows"),
    [
        (4, ".0625 .1875 .1875 .0625 .1875 .5625 .5625 .1875"),
        (3, ".25 .5 .25 .5 1 .5"),
    ],
)
def test_the_bilinear_filler(size, rows) -> None:
    text = (
        f'type: "Deconvolution" convolution_param {{ num_output: 1 kernel_size: {size} '
        'weight_filler { type: "bilinear" } }'
    )
    kernel = build(text, {"x": np.zeros((1, 1, 2, 2))}).params["layer"][0].data[0, 0]
    near(kernel[:2], rows)
    np.testing.assert_array_equal(kernel, kernel[::-1])


def test_a_pyramid_of_two_levels() -> None:
    top = run('type: "SPP" spp_param { pyramid_height: 2 }', {"x": counted(1, 2, 5, 6)}).tops["top"]
    assert top.shape == (1, 10)


# ---- layers --------------------------------------------------------------------------------------

ACTIVATED = "-1 0 1.5"
LAYERS = [
    # layer, shape, input, output, top diff, bottom diff
    (
        'type: "LRN" lrn_param { local_size: 3 }',
        (1, 3, 1, 1),
        "1 2 3",
        ".479207 .544546 .854815",
        "1 1 1",
        ".341308 -.163804 -.099623",
    ),
    (
        'type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }',
        (1, 1, 2, 2),
        "1 2 3 4",
        ".332953 .665907 .99886 1.331814",
        "1 1 1 1",
        ".204894 .076835 -.051224 -.179283",
    ),
    (
        'type: "MVN"',
        (1, 1, 2, 2),
        "1 2 3 4",
        "-1.341641 -.447214 .447214 1.341641",
        "1 0 0 0",
        ".268328 -.357771 -.089443 .178885",
    ),
    (
        'type: "Swish" swish_param { beta: 2 }',
        (1, 3),
        ACTIVATED,
        "-.119203 0 1.428861",
        "1 1 1",
        "-.090784 .5 1.088104",
    ),
    ('type: "BNLL"', (1, 3), ACTIVATED, ".313262 .693147 1.701413", "1 1 1", ".268941 .5 .817575"),
    ('type: "ELU" elu_param { alpha: 0.5 }', (1, 3), ACTIVATED, "-.31606 0 1.5", "1 1 1", ".18394 .5 1"),
    ('type: "PReLU"', (1, 3), ACTIVATED, "-.25 0 1.5", "1 1 1", ".25 .25 1"),
]


@pytest.mark.parametrize(("text", "shape", "x", "y", "dy", "dx"), LAYERS, ids=lambda value: str(value)[:18])
def test_layers(text, shape, x, y, dy, dx) -> None:
    result = run(text, {"x": numbers(x).reshape(shape)}, topdiff=numbers(dy).reshape(shape))
    near(result.tops["top"], y)
    near(result.bottom_diffs["x"], dx)


def test_batch_norm() -> None:
    net = build('type: "BatchNorm"', {"x": np.zeros((3, 2))}, phase=caffe.TRAIN)
    net.blobs["x"].data[...] = [[1, 2], [3, 6], [5, 4]]
    near(net.forward()["top"], "-1.224743 -1.224743 0 1.224743 1.224743 0")
    for blob, values in zip(net.params["layer"], ("3 4", "4 4", "1")):
        near(blob.data, values)
    net.blobs["top"].diff[...] = [[1, 0], [0, 0], [0, 2]]
    net.backward()
    near(net.blobs["x"].diff, ".102063 -.408248 -.204124 -.408248 .102061 .816495")


LOSSES = [
    (
        'type: "SoftmaxWithLoss"',
        [[1, 2, 3], [1, 1, 1]],
        [2, 0],
        ".753109",
        ".045015 .122364 -.16738 -.333333 .166667 .166667",
    ),
    (
        'type: "SigmoidCrossEntropyLoss"',
        [[0.5, -1], [2, 0]],
        [[1, 0], [0, 1]],
        "1.803707",
        "-.18877 .134471 .440399 -.25",
    ),
    ('type: "HingeLoss"', [[0.5, -1, 2], [0, 0, 0]], [0, 2], "3.25", "-.5 0 .5 .5 .5 -.5"),
    (
        'type: "HingeLoss" hinge_loss_param { norm: L2 }',
        [[0.5, -1, 2], [0, 0, 0]],
        [0, 2],
        "6.125",
        "-.5 0 3 1 1 -1",
    ),
    ('type: "EuclideanLoss"', [[1, 2], [3, 4]], [[0, 0], [1, 1]], "4.5", ".5 1 1 1.5"),
    ('type: "MultinomialLogisticLoss"', [[0.2, 0.8], [0.5, 0.5]], [1, 0], ".458145", "0 -.625 -1 0"),
]


@pytest.mark.parametrize(("text", "scores", "labels", "loss", "gradient"), LOSSES)
def test_losses(text, scores, labels, loss, gradient) -> None:
    result = run(text, {"scores": np.array(scores), "labels": np.array(labels)}, topdiff={})
    near(result.tops["top"], loss)
    near(result.bottom_diffs["scores"], gradient)


@pytest.mark.parametrize(("legacy", "third"), [("false", "-.49995"), ("true", "-.5")])
def test_contrastive_loss(legacy, third) -> None:
    text = f'type: "ContrastiveLoss" contrastive_loss_param {{ margin: 2 legacy_version: {legacy} }}'
    pairs = {"a": np.array([[1, 0], [1, 0]]), "b": np.zeros((2, 2)), "alike": np.array([1, 0])}
    result = run(text, pairs, topdiff={})
    near(result.tops["top"], ".5")
    near(result.bottom_diffs["a"], f".5 0 {third} 0")


SCORES = np.array([[1, 3, 3, 2], [5, 5, 5, 5]])


def test_argmax() -> None:
    top = run('type: "ArgMax" argmax_param { top_k: 2 out_max_val: true }', {"x": SCORES}).tops["top"]
    assert top.shape == (2, 2, 2)
    near(top, "2 1 3 3 3 2 5 5")


@pytest.mark.parametrize(("top_k", "share"), [(1, "0"), (2, ".5")])
def test_accuracy(top_k, share) -> None:
    text = f'type: "Accuracy" accuracy_param {{ top_k: {top_k} }}'
    near(run(text, {"x": SCORES, "labels": np.array([1, 0])}, force_backward=False).tops["top"], share)


# ---- solvers: one weight of 1 whose gradient is itself -------------------------------------------

NET = """layer { name: "w" type: "Parameter" top: "w" parameter_param { shape { dim: 1 } } }
layer { name: "square" type: "Reduction" bottom: "w" top: "loss" loss_weight: 1
  reduction_param { operation: SUMSQ coeff: 0.5 } }
"""


def solver(settings: str) -> caffe.SGDSolver:
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(f'net: "net.prototxt" base_lr: 0.1 max_iter: 10 {settings}')
    made = caffe.get_solver("solver.prototxt")
    made.net.params["w"][0].data[...] = 1
    return made


STEPS = [
    ("momentum: 0.9", ".9 .72 .486 .2268"),
    ("momentum: 0.9 weight_decay: 0.1", ".89 .6931 .439649 .163182"),
    ('weight_decay: 0.1 regularization_type: "L1"', ".89 .791 .7019 .62171"),
    ("clip_gradients: 0.5", ".95 .9 .85 .8"),
    ('type: "Nesterov" momentum: 0.9', ".81 .5751 .327321 .093888"),
    ('type: "AdaGrad"', ".9 .833104 .780456 .736223"),
    ('type: "RMSProp" rms_decay: 0.9', ".683772 .498871 .369181 .272825"),
    ('type: "AdaDelta" momentum: 0.95 delta: 1e-6', ".999553 .9991 .998643 .998184"),
    ('type: "Adam" momentum: 0.9', ".9 .800412 .701586 .603939"),
]


@pytest.mark.parametrize(("settings", "weights"), STEPS)
def test_solvers(settings, weights, in_tmp) -> None:
    made = solver(f'lr_policy: "fixed" {settings}')
    found = []
    for _ in range(4):
        made.step(1)
        found.append(float(made.net.params["w"][0].data[0]))
    near(found, weights)


RATES = [
    ('lr_policy: "exp" gamma: 0.9', ".1 .09 .081 .0729 .06561 .059049"),
    ('lr_policy: "inv" gamma: 0.1 power: 0.75', ".1 .093101 .08722 .082138 .077697 .073779"),
    ('lr_policy: "poly" power: 2', ".1 .081 .064 .049 .036 .025"),
    ('lr_policy: "sigmoid" gamma: 0.5 stepsize: 3', ".018243 .026894 .037754 .05 .062246 .073106"),
    ('lr_policy: "step" gamma: 0.5 stepsize: 2', ".1 .1 .05 .05 .025 .025"),
]


@pytest.mark.parametrize(("policy", "rates"), RATES)
def test_learning_rates(policy, rates, in_tmp) -> None:
    made = solver(policy)
    found = []
    for _ in range(6):
        found.append(made.lr)
        made.step(1)
    near(found, rates)


def test_multistep_moves_one_step_per_evaluation(in_tmp) -> None:
    made = solver('lr_policy: "multistep" gamma: 0.5 stepvalue: 0 stepvalue: 0 stepvalue: 0')
    near([made.lr for _ in range(4)], ".05 .025 .0125 .0125")


def test_smoothed_loss(in_tmp, glog) -> None:
    made = solver('lr_policy: "fixed" display: 1 average_loss: 3')
    weight = made.net.params["w"][0]

    def set_loss() -> None:
        weight.data[...] = np.sqrt(2 * (made.iter + 1))  # the loss is half its square: 1, 2, 3, ...

    made.add_callback(set_loss, lambda: None)
    made.step(5)
    shown = [line.rpartition("loss = ")[2] for line in glog if ", loss = " in line]
    near([float(value) for value in shown], "1 1.5 2 3 4")
