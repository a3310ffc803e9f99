"""Small nets run from tapes: whatever happens between passes, blobs are what they are layer by layer."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe


def dense(name: str, bottom: str, outputs: int, more: str = "") -> str:
    return (
        f'layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" '
        f'inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }} {more} }}'
    )


def inputs(**shapes: tuple[int, ...]) -> str:
    return "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {dim}" for dim in dims)
        + " } } }"
        for name, dims in shapes.items()
    )


SOFTMAX = 'layer { name: "loss" type: "SoftmaxWithLoss" bottom: "out" bottom: "label" top: "loss" }'
RELU = 'layer { name: "relu" type: "ReLU" bottom: "a" top: "a" }'
#: An inner product that two losses of different weights read, behind a split.
TWO_LOSSES = (
    inputs(data=(6, 5), label=(6,), wanted=(6, 3))
    + dense("a", "data", 8)
    + RELU
    + dense("out", "a", 3)
    + SOFTMAX
    + 'layer { name: "far" type: "EuclideanLoss" bottom: "out" bottom: "wanted" top: "far" loss_weight: 0.3 }'
)
#: Layers that have calls of their own, and others between them, which put new tensors into their tops.
MIXED = (
    inputs(data=(4, 1, 12, 12), label=(4,))
    + """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
    num_output: 6 kernel_size: 5 weight_filler { type: "xavier" } } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 3 stride: 2 } }
layer { name: "squash" type: "Sigmoid" bottom: "pool" top: "squash" }
layer { name: "scale" type: "Scale" bottom: "squash" top: "squash" scale_param { bias_term: true } }
layer { name: "drop" type: "Dropout" bottom: "squash" top: "squash" }"""
    + dense("out", "squash", 3)
    + SOFTMAX
)
#: One digit, as LeNet has it: a convolution whose bottom wants a gradient, and a softmax beside the loss.
ONE = (
    inputs(data=(1, 1, 20, 20), label=(1,))
    + "".join(
        f"""
layer {{ name: "conv{n}" type: "Convolution" bottom: "{bottom}" top: "conv{n}" convolution_param {{
    num_output: {outputs} kernel_size: 5 weight_filler {{ type: "xavier" }} }} }}
layer {{ name: "pool{n}" type: "Pooling" bottom: "conv{n}" top: "pool{n}" pooling_param {{
    kernel_size: 2 stride: 2 }} }}"""
        for n, bottom, outputs in ((1, "data", 4), (2, "pool1", 7))
    )
    + dense("out", "pool2", 3)
    + 'layer { name: "prob" type: "Softmax" bottom: "out" top: "prob" }'
    + SOFTMAX
)
SHARED = (
    inputs(data=(6, 5), label=(6,))
    + dense("a", "data", 5, 'param { name: "w" } param { name: "b" }')
    + RELU
    + dense("a2", "a", 5, 'param { name: "w" } param { name: "b" }')
    + dense("out", "a2", 3)
    + SOFTMAX
)
NETS = {"two losses": TWO_LOSSES, "mixed": MIXED, "one": ONE, "shared": SHARED}
SOLVER = 'net: "net.prototxt" base_lr: 0.1 momentum: 0.9 weight_decay: 0.01 lr_policy: "fixed" '

#: What a user may do between passes, by name.
Action = Callable[[caffe.SGDSolver, dict[str, object]], object]


def write(side: str, blob: int) -> Action:
    def act(solver: caffe.SGDSolver, held: dict[str, object]) -> None:
        array = getattr(list(solver.net.blobs.values())[blob], side)
        array[...] = array * 0.5 + 0.25

    return act


def hold(solver: caffe.SGDSolver, held: dict[str, object]) -> None:
    held["arrays"] = [
        array
        for blob in [*solver.net.blobs.values(), *(b for p in solver.net.params.values() for b in p)]
        for array in (blob.data, blob.diff)
    ]


def other_batch(solver: caffe.SGDSolver, held: dict[str, object]) -> None:
    net = solver.net
    size = 3 if net.blobs["data"].num != 3 else 2
    for name in net.inputs:
        net.blobs[name].reshape(size, *net.blobs[name].data.shape[1:])
    feed(net)
    net.forward()


def look_on(solver: caffe.SGDSolver, held: dict[str, object]) -> None:
    seen = held.setdefault("seen", [])
    solver.net.after_forward(lambda number: seen.append(number))  # type: ignore[attr-defined]


ACTIONS: dict[str, Action] = {
    "step": lambda solver, _: solver.step(1),
    "three steps": lambda solver, _: solver.step(3),
    "forward": lambda solver, _: solver.net.forward(),
    "backward": lambda solver, _: solver.net.backward(),
    "clear": lambda solver, _: solver.net.clear_param_diffs(),
    "from the last product on": lambda solver, _: solver.net.forward(start="out"),
    "back to the last product": lambda solver, _: solver.net.backward(end="out"),
    "write weights": lambda solver, _: solver.net.params["out"][0].data.__imul__(0.9),
    "write a gradient": lambda solver, _: solver.net.params["out"][1].diff.fill(0.5),
    "write a blob": write("data", -2),
    "write a diff": write("diff", -1),
    "hold arrays": hold,
    "let arrays go": lambda solver, held: held.pop("arrays", None),
    "other batch": other_batch,
    "look on": look_on,
    "save and load": lambda solver, _: (solver.net.save("w"), solver.net.copy_from("w")),
}


def feed(net: caffe.Net) -> None:
    noise = np.random.default_rng(0)
    for name in net.inputs:
        values = net.blobs[name].data
        values[...] = np.arange(values.size) % 3 if name == "label" else noise.standard_normal(values.shape)


def run(actions: list[str], algorithms: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, np.ndarray]:
    """All that a solver's net holds after these actions."""
    with monkeypatch.context() as patch:
        patch.setenv("CAFFE_ALGORITHMS", algorithms)
        caffe.set_random_seed(5)
        solver = caffe.SGDSolver("solver.prototxt")
        feed(solver.net)
        held: dict[str, object] = {}
        for action in actions:
            ACTIONS[action](solver, held)
    blobs = {f"blob {name}": [blob] for name, blob in solver.net.blobs.items()} | dict(solver.net.params)
    return {
        f"{name} {number} {side}": getattr(blob, side).copy()
        for name, several in blobs.items()
        for number, blob in enumerate(several)
        for side in ("data", "diff")
    }


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(net=st.sampled_from(sorted(NETS)), actions=st.lists(st.sampled_from(sorted(ACTIONS)), max_size=10))
def test_every_number_is_that_of_layer_by_layer(net, actions, in_tmp: Path, monkeypatch) -> None:
    Path("net.prototxt").write_text(NETS[net])
    Path("solver.prototxt").write_text(SOLVER)
    program = ["forward", "backward", "three steps", *actions, "step", "step", "forward", "backward"]
    found, wanted = (run(program, algorithms, monkeypatch) for algorithms in ("auto", "reference"))
    assert found.keys() == wanted.keys()
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], name)


@pytest.mark.parametrize("more", ["iter_size: 3", "clip_gradients: 0.1", 'type: "Adam" momentum2: 0.99'])
def test_every_solver_ends_where_layer_by_layer_it_does(more: str, in_tmp: Path, monkeypatch) -> None:
    Path("net.prototxt").write_text(TWO_LOSSES)
    Path("solver.prototxt").write_text(SOLVER + more)
    program = ["three steps"] * 3
    found, wanted = (run(program, algorithms, monkeypatch) for algorithms in ("auto", "reference"))
    for name, array in found.items():
        np.testing.assert_array_equal(array, wanted[name], name)


def test_a_wrong_label_is_refused_and_the_net_goes_on(net_of, monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_ALGORITHMS", "auto")
    net = net_of(TWO_LOSSES, caffe.TRAIN)
    feed(net)
    loss = [float(net.forward()["loss"]) for _ in range(4)][-1]
    assert net.runner._tape is not None
    for wrong in (3, -1, np.nan):
        labels = net.blobs["label"].data.copy()
        net.blobs["label"].data[2] = wrong
        with pytest.raises(RuntimeError, match=r"layer 'loss' \(SoftmaxWithLoss\): label"):
            net.forward()
        net.blobs["label"].data[...] = labels
        assert float(net.forward()["loss"]) == loss


def test_another_choice_of_algorithms_counts_at_the_next_pass(net_of, monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_ALGORITHMS", "auto")
    net = net_of(TWO_LOSSES)
    feed(net)
    for _ in range(4):
        net.forward()
    monkeypatch.setenv("CAFFE_ALGORITHMS", "quick")
    with pytest.raises(caffe.CaffeError, match="CAFFE_ALGORITHMS=quick"):
        net.forward()
    monkeypatch.setenv("CAFFE_ALGORITHMS", "reference")
    net.forward()
    assert net.runner._tape is None


def test_maxima_of_nothing_are_caffes(net_of, monkeypatch) -> None:
    """NaN is never picked, and what is below all floats is -FLT_MAX."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "auto")
    pool = """layer { name: "p" type: "Pooling" bottom: "x" top: "p"
        pooling_param { kernel_size: 2 stride: 2 } }"""
    for phase in (caffe.TEST, caffe.TRAIN):
        net = net_of(inputs(x=(1, 1, 2, 4)) + "force_backward: true " + pool, phase)
        for _ in range(4):
            net.blobs["x"].data[...] = [[[[1, 2, 3, 4], [5, 6, 7, 8]]]]
            assert net.forward()["p"].tolist() == [[[[6, 8]]]]
        net.blobs["x"].data[...] = [[[[np.nan, 2, np.nan, np.nan], [1, 0, -np.inf, np.nan]]]]
        assert net.forward()["p"].tolist() == [[[[2, -np.finfo(np.float32).max]]]]


def test_rows_of_a_file_come_in_order_and_start_over(net_of, monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_ALGORITHMS", "auto")
    for number, rows in enumerate((range(4), range(4, 7))):
        with h5py.File(f"{number}.h5", "w") as file:
            file["data"] = np.array(rows, np.float32)[:, None]
    Path("list.txt").write_text("0.h5\n1.h5\n")
    data = """layer { name: "d" type: "HDF5Data" top: "data"
        hdf5_data_param { source: "list.txt" batch_size: 3 } }"""
    net = net_of(data + dense("out", "data", 1))
    found = [int(row[0]) for _ in range(7) for row in net.forward(["data"])["data"]]
    assert found == [number % 7 for number in range(21)]


def test_a_net_that_nobody_holds_is_let_go_at_once(net_of, monkeypatch) -> None:
    monkeypatch.setenv("CAFFE_ALGORITHMS", "auto")
    net = net_of(TWO_LOSSES, caffe.TRAIN)
    feed(net)
    for _ in range(4):
        net.forward()
        net.backward()
        net.clear_param_diffs()
    gone = weakref.ref(net.layers[3])
    gc.disable()
    try:
        del net
        assert gone() is None
    finally:
        gc.enable()
