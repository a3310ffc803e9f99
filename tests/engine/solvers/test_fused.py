"""Updates of many parameters at once: each follows its own multipliers, in the memory it always had."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe

DATA = """layer { name: "data" type: "Input" top: "x" top: "t"
  input_param { shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 } } }
"""
LOSS = 'layer { name: "loss" type: "EuclideanLoss" bottom: "%s" bottom: "t" top: "loss" }'


def dense(name: str, bottom: str, outputs: int, specs: str) -> str:
    return f"""layer {{ name: "{name}" type: "InnerProduct" bottom: "{bottom}" top: "{name}" {specs}
  inner_product_param {{ num_output: {outputs} weight_filler {{ type: "xavier" }} }} }}\n"""


def solver_of(net: str, settings: str = "", momentum: float = 0.9) -> caffe.SGDSolver:
    Path("net.prototxt").write_text(net)
    Path("solver.prototxt").write_text(
        f'net: "net.prototxt" base_lr: 0.05 lr_policy: "fixed" momentum: {momentum} random_seed: 2 {settings}'
    )
    solver = caffe.get_solver("solver.prototxt")
    for name in ("x", "t"):
        array = solver.net.blobs[name].data
        array[...] = np.random.default_rng(0).standard_normal(array.shape)
    return solver


@pytest.mark.parametrize("held", [False, True])
def test_every_parameter_follows_its_own_multipliers(in_tmp, held):
    specs = ["param { lr_mult: 1 } param { lr_mult: 2 decay_mult: 0 }", "param { lr_mult: 0.5 }", ""]
    sizes = [5, 30000, 2]  # the second is updated on its own, the others together
    bottoms = ["x", "a", "b"]
    net = "".join(dense(name, *rest) for name, *rest in zip("abc", bottoms, sizes, specs))
    solver = solver_of(DATA + net + LOSS % "c", "weight_decay: 0.1")
    multipliers = [(1, 1), (2, 0), (0.5, 1), (1, 1), (1, 1), (1, 1)]
    blobs = [blob for name in "abc" for blob in solver.net.params[name]]
    kept = [(blob.data, blob.diff) for blob in blobs] if held else []
    history = [np.zeros_like(blob.data) for blob in blobs]
    for _ in range(3):
        before = [blob.data.copy() for blob in blobs]
        solver.net.clear_param_diffs()
        solver.net.forward()
        solver.net.backward()
        gradients = [blob.diff.copy() for blob in blobs]
        solver.step(1)
        for blob, (rate, decay), h, g, w in zip(blobs, multipliers, history, gradients, before):
            h[...] = 0.9 * h + 0.05 * rate * (g + 0.1 * decay * w)
            np.testing.assert_allclose(blob.diff, h, rtol=1e-4, atol=1e-7)
            np.testing.assert_allclose(blob.data, w - h, rtol=1e-4, atol=1e-7)
    for blob, (data, diff) in zip(blobs, kept):
        assert np.shares_memory(blob.data, data) and np.shares_memory(blob.diff, diff)


@pytest.mark.parametrize("kind", ["SGD", "Nesterov", "Adam"])
def test_what_does_not_learn_stays_as_it_is(in_tmp, kind):
    frozen = dense("a", "x", 5, "param { lr_mult: 0 } param { lr_mult: 0 }")
    solver = solver_of(DATA + frozen + dense("b", "a", 2, "") + LOSS % "b", f'type: "{kind}"')
    before = [blob.data.copy() for blob in solver.net.params["a"]]
    solver.net.params["a"][0].diff[...] = 1
    solver.step(3)
    for blob, data in zip(solver.net.params["a"], before):
        np.testing.assert_array_equal(blob.data, data)
        assert not blob.diff.any()


def test_a_momentum_that_was_restored_is_spent_though_the_parameter_no_longer_learns(in_tmp):
    learning = solver_of(DATA + dense("a", "x", 2, "") + LOSS % "a", 'snapshot_prefix: "run"')
    learning.step(2)
    momentum = learning.net.params["a"][0].diff.copy()
    learning.snapshot()
    specs = "param { lr_mult: 0 } param { lr_mult: 0 }"
    resting = solver_of(DATA + dense("a", "x", 2, specs) + LOSS % "a")
    resting.restore("run_iter_2.solverstate")
    before = resting.net.params["a"][0].data.copy()
    resting.step(1)
    np.testing.assert_allclose(before - resting.net.params["a"][0].data, 0.9 * momentum, rtol=1e-4)


@given(
    kind=st.sampled_from(["SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"]),
    outputs=st.sampled_from([4096, 20011, 30011, 32768]),
    decay=st.sampled_from([0.0, 0.05]),
    regularization=st.sampled_from(["L1", "L2"]),
    iter_size=st.sampled_from([1, 2]),
    multiplier=st.sampled_from([0.5, 1.0]),
)
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_compiled_updates_make_the_numbers_of_the_rules(
    in_tmp, kind, outputs, decay, regularization, iter_size, multiplier
):
    specs = f"param {{ lr_mult: {multiplier} }} param {{ lr_mult: 2 decay_mult: 0 }}"
    text = (
        f'type: "{kind}" weight_decay: {decay} regularization_type: "{regularization}" iter_size: {iter_size}'
        + ("" if kind in ("SGD", "Nesterov") else " momentum2: 0.99 rms_decay: 0.95 delta: 0.001")
    )
    momentum = 0 if kind in ("AdaGrad", "RMSProp") else 0.9
    net = DATA + dense("a", "x", outputs, specs) + dense("b", "a", 2, "") + LOSS % "b"
    solvers = {algorithms: solver_of(net, text, momentum) for algorithms in ("reference", "fast")}
    reference, fast = ([b for p in solver.net.params.values() for b in p] for solver in solvers.values())
    for _ in range(4):
        # Of the last bit of a weight Adam makes more, where gradients are small.
        for blob, other in zip(fast, reference):
            blob.data[...] = other.data
        for algorithms, solver in solvers.items():
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("CAFFE_ALGORITHMS", algorithms)
                solver.step(1)
        for blob, other in zip(fast, reference):
            for made, wanted in ((blob.data, other.data), (blob.diff, other.diff)):
                np.testing.assert_allclose(made, wanted, rtol=1e-4, atol=1e-6 * np.abs(wanted).max())


@pytest.mark.parametrize("algorithms", ["reference", "fast"])
def test_weights_that_are_infinite_make_no_update_without_decay(in_tmp, monkeypatch, algorithms):
    monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
    net = dense("a", "x", 30011, "") + dense("b", "a", 2, "")  # whose weights are no whole number of lines
    solver = solver_of(DATA + net + LOSS % "b")
    weight = solver.net.params["a"][0]
    weight.data[-1, -1] = np.inf
    solver.net.clear_param_diffs()
    solver.apply_update()
    assert not weight.diff.any()
