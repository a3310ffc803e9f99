"""The fast path trains as the reference path does: gradients of parameters and blobs, steps of a solver."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")

#: Largest difference over the largest value of an array, as for results, times the layers behind it.
TOLERANCE = 5e-5
SETTINGS = settings(
    max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
ENDS = """
layer { name: "score" type: "Convolution" bottom: "%s" top: "score" convolution_param {
  num_output: 4 kernel_size: 1 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "score" bottom: "target" top: "loss" }
"""


FRAME = 9  # pixels around the image, more than kernels need: there all are equal


@st.composite
def layers(draw: Callable) -> tuple[list[int], str, str]:
    """The input's shape, layers over `data`, and the name of the last top."""
    shape = [
        draw(st.integers(1, 2)),
        draw(st.sampled_from([1, 3, 16])),
        *draw(st.tuples(*[st.integers(8, 20)] * 2)),
    ]
    text, top = [], "data"
    framed = draw(st.booleans())
    for number in range(draw(st.integers(1, 4))):
        kernel = draw(st.sampled_from([1, 3, 3, 5, 7]))
        outputs = draw(st.sampled_from([5, 16, 24, 48, 256]))
        pad = FRAME if framed and not number else kernel // 2
        made = f"conv{number}"
        text.append(
            f'layer {{ name: "{made}" type: "Convolution" bottom: "{top}" top: "{made}" '
            f"param {{ lr_mult: {draw(st.sampled_from([1, 1, 0]))} }} "
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} "
            f"bias_term: {draw(st.sampled_from(['true', 'false']))} "
            'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.5 } } }'
        )
        top = made
        if draw(st.booleans()):
            slope = draw(st.sampled_from([0, 0.1]))
            text.append(
                f'layer {{ name: "relu{number}" type: "ReLU" bottom: "{top}" top: "{top}" '
                f"relu_param {{ negative_slope: {slope} }} }}"
            )
        if draw(st.booleans()):
            text.append(f'layer {{ name: "drop{number}" type: "Dropout" bottom: "{top}" top: "{top}" }}')
        if draw(st.booleans()):
            text.append(
                f'layer {{ name: "pool{number}" type: "Pooling" bottom: "{top}" top: "pool{number}" '
                "pooling_param { pool: MAX kernel_size: 2 stride: 2 } }"
            )
            top = f"pool{number}"
    return shape, "\n".join(text), top


def written(folder: Path, drawn: tuple[list[int], str, str]) -> str:
    """The net with its inputs and its loss, as a file."""
    shape, text, top = drawn
    path = folder / "train.prototxt"

    def inputs(name: str, dims: list[int]) -> str:
        sizes = " ".join(f"dim: {dim}" for dim in dims)
        return (
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {sizes} }} }} }}\n'
        )

    scores, loss = (f"layer {{{part}" for part in ENDS.strip().split("layer {")[1:])
    path.write_text(inputs("data", shape) + text + scores % top)
    score = caffe.Net(str(path), caffe.TRAIN).blobs["score"].shape
    path.write_text(inputs("data", shape) + inputs("target", list(score)) + text + scores % top + loss)
    return str(path)


def bound(wanted: np.ndarray) -> float:
    return TOLERANCE * max(1e-6, float(np.abs(wanted).max()))


def alike(found: np.ndarray, wanted: np.ndarray) -> bool:
    return bool(np.abs(found - wanted).max() <= bound(wanted))


def close(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    np.testing.assert_allclose(found, wanted, rtol=0, atol=bound(wanted), err_msg=name)


def trained(
    path: str, monkeypatch: pytest.MonkeyPatch, algorithms: str, deed: Callable, nudge: float = 0
) -> caffe.Net:
    """A net after `deed(net, random numbers)`, the same for the same deed but for a nudge to its data."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
    caffe.set_random_seed(3)
    net = caffe.Net(path, caffe.TRAIN)
    rng = np.random.default_rng(5)
    for name in ("data", "target"):
        net.blobs[name].data[...] = rng.normal(size=net.blobs[name].shape)
    nudged(net, rng, nudge)
    caffe.set_random_seed(7)
    deed(net, rng)
    return net


def nudged(net: caffe.Net, rng: np.random.Generator, nudge: float) -> None:
    """Each number of the data is another by as much of itself at most."""
    data = net.blobs["data"].data
    data *= 1 + nudge * rng.uniform(-1, 1, data.shape)


#: Where a rectifier or a maximum hangs on the last bit of a number, gradients do too, and these show it.
NUDGES = (1e-5, -1e-5)


def assume_steady(
    path: str, monkeypatch: pytest.MonkeyPatch, deed: Callable, reference: caffe.Net, blobs: bool
) -> None:
    """Leave out nets whose gradients hang on the last bit of a number, those of `blobs` too if asked for."""
    for nudge in NUDGES:
        other = trained(path, monkeypatch, "reference", deed, nudge)
        for name, wanted in reference.params.items():
            for found, blob in zip(other.params[name], wanted):
                assume(alike(found.diff, blob.diff))
        for name in reference.blobs if blobs else ():
            assume(alike(other.blobs[name].diff, reference.blobs[name].diff))


@SETTINGS
@given(drawn=layers())
def test_gradients(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: tuple[list[int], str, str]
) -> None:
    def deed(net: caffe.Net, rng: np.random.Generator) -> None:
        net.clear_param_diffs()
        for _ in range(2):  # parameters' gradients add up
            net.forward()
            net.backward()

    path = written(tmp_path, drawn)
    fast, reference = (trained(path, monkeypatch, name, deed) for name in ("fast", "reference"))
    # Which of equal pixels a pooling takes hangs on the last bit; parameters' gradients are the same for all.
    moves = f"pad: {FRAME} " in drawn[1] and "Pooling" in drawn[1]
    assume_steady(path, monkeypatch, deed, reference, not moves)
    for name, blobs in reference.params.items():
        for index, blob in enumerate(blobs):
            close(fast.params[name][index].diff, blob.diff, f"{name} {index}")
    for name, blob in reference.blobs.items():
        close(fast.blobs[name].data, blob.data, name)
        if not moves:
            close(fast.blobs[name].diff, blob.diff, f"{name}, diff")


@SETTINGS
@given(drawn=layers(), data=st.data())
def test_what_users_write_between_forward_and_backward(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: tuple[list[int], str, str], data: st.DataObject
) -> None:
    path = written(tmp_path, drawn)
    name = data.draw(st.sampled_from([drawn[2], "score"]))

    def deed(net: caffe.Net, rng: np.random.Generator) -> None:
        net.clear_param_diffs()
        net.forward()
        net.blobs[name].data[...] *= 1.5
        net.blobs["score"].diff[...] = 3
        net.backward()
        net.forward()
        net.backward(start="score")

    fast, reference = (trained(path, monkeypatch, which, deed) for which in ("fast", "reference"))
    assume_steady(path, monkeypatch, deed, reference, blobs=False)
    for layer, blobs in reference.params.items():
        for index, blob in enumerate(blobs):
            close(fast.params[layer][index].diff, blob.diff, f"{layer} {index}")


UPSAMPLED = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 14 dim: 11 } } }
layer { name: "target" type: "Input" top: "target" input_param { shape { dim: 2 dim: 16 dim: 14 dim: 11 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 16
  kernel_size: 3 pad: 9 weight_filler { type: "msra" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up" param { lr_mult: %d } convolution_param {
  num_output: 16 %s kernel_size: 4 stride: 2 weight_filler { type: "%s" } } }
layer { name: "score" type: "Crop" bottom: "up" bottom: "data" top: "score" crop_param { axis: 2 offset: 8 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "score" bottom: "target" top: "loss" }
"""


@pytest.mark.parametrize("rate, filler", [(0, "bilinear"), (1, "bilinear"), (1, "xavier")])
@pytest.mark.parametrize("groups", ["group: 16", ""])
def test_gradients_of_cropped_upsampling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rate: int, filler: str, groups: str
) -> None:
    path = tmp_path / "train.prototxt"
    path.write_text(UPSAMPLED % (rate, groups, filler))

    def deed(net: caffe.Net, rng: np.random.Generator) -> None:
        net.clear_param_diffs()
        net.forward()
        net.backward()

    fast, reference = (trained(str(path), monkeypatch, name, deed) for name in ("fast", "reference"))
    for name, blobs in reference.params.items():
        for index, blob in enumerate(blobs):
            close(fast.params[name][index].diff, blob.diff, f"{name} {index}")
    for name, blob in reference.blobs.items():
        close(fast.blobs[name].data, blob.data, name)
        close(fast.blobs[name].diff, blob.diff, f"{name}, diff")


@SETTINGS
@given(drawn=layers())
def test_steps_of_a_solver(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: tuple[list[int], str, str]
) -> None:
    path = written(tmp_path, drawn)
    solver_file = tmp_path / "solver.prototxt"
    solver_file.write_text(
        f'train_net: "{path}" base_lr: 1e-6 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed" '
        f'iter_size: 2 display: 0 snapshot_prefix: "{tmp_path}/s" snapshot_after_train: false'
    )
    solvers = {}
    for role, nudge in (("reference", 0), *zip(("more", "less"), NUDGES), ("fast", 0)):
        caffe.set_random_seed(3)
        solver = solvers[role] = caffe.SGDSolver(str(solver_file))
        rng = np.random.default_rng(5)
        for name in ("data", "target"):
            solver.net.blobs[name].data[...] = rng.normal(size=solver.net.blobs[name].shape)
        nudged(solver.net, rng, nudge)
    reference, *others, fast = (solver.net.params for solver in solvers.values())
    for step in range(3):
        for role, solver in solvers.items():
            monkeypatch.setenv("CAFFE_ALGORITHMS", "fast" if role == "fast" else "reference")
            caffe.set_random_seed(step)
            solver.step(1)
        pairs = [(name, index) for name, blobs in reference.items() for index in range(len(blobs))]
        for params, (name, index) in itertools.product(others, pairs):
            assume(alike(params[name][index].diff, reference[name][index].diff))
        for name, index in pairs:
            wanted, made = reference[name][index], fast[name][index]
            close(made.data, wanted.data, f"{name} {index}, step {step}")
            close(made.diff, wanted.diff, f"update of {name} {index}, step {step}")
            for params in (*others, fast):
                params[name][index].data[...] = wanted.data
