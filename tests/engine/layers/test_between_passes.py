"""What a layer keeps from forward for backward, and what happens where it kept nothing.

The recorded cases of a real Caffe are run by a path that tells the layers that no backward will follow, and
then runs them backward all the same: the gradients are Caffe's, or the layer says what it lacks.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe._caffe.layer import Layer
from caffe._caffe.reference import ReferencePath
from caffe._caffe.registry import layer_types
from tests.engine.support import golden
from tests.engine.support.layer_case import build, forward, random, run

CASES = {
    name: meta
    for name in golden.names("layers")
    if (meta := golden.load("layers", name)[1]).get("backward", "none") != "none"
}
KINDS = sorted({meta["kind"] for meta in CASES.values()})
#: Types whose gradient asks for an input that they overwrote in place.
OVERWRITING = {"BatchNorm", "Eltwise", "LRN", "PReLU", "Scale", "Swish"}


@pytest.fixture(autouse=True)
def folder(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    golden.bring("layers")
    monkeypatch.syspath_prepend(str(golden.GOLDEN / "layers" / "py"))


def idle(net: caffe.Net) -> ReferencePath:
    """A path over the net's layers that runs none of them backward."""
    layers = tuple(replace(layer, runs_backward=False) for layer in net.plan.layers)
    plan, old = replace(net.plan, layers=layers), net.runner
    return ReferencePath(plan, old.layers, old.blobs, old.layout)


def backward_all_the_same(net: caffe.Net, path: ReferencePath) -> None:
    """Run the steps backward that the net itself would run."""
    for planned, step in reversed(list(zip(net.plan.layers, path.steps))):
        if planned.runs_backward:
            step.backward()


def in_place(net: caffe.Net) -> set[str]:
    """The types of the layers that work in place."""
    return {layer.type for layer in net.plan.layers if set(layer.tops) & set(layer.bottoms)}


def test_the_recorded_cases_cover_every_type_with_a_gradient():
    inherit = {name for name, cls in layer_types().items() if cls.backward is Layer.backward}
    without = {"Accuracy", "ArgMax", "Threshold"}
    assert set(KINDS) | inherit | without == {name for name, cls in layer_types().items() if in_core(cls)}


def in_core(cls: type[Layer]) -> bool:
    return cls.__module__.startswith("caffe._caffe.")


@pytest.mark.parametrize("name", CASES)
def test_backward_after_a_forward_that_was_promised_none(name):
    case, meta = golden.load("layers", name)
    net = golden.make_net(case, meta)
    golden.set_params(net, case)
    path = idle(net)
    for _ in range(meta.get("forwards", 1)):
        for key, value in golden.keys(case, "in."):
            net.blobs[key].data[...] = value
        path.forward()
    net.clear_param_diffs()
    for key, value in golden.keys(case, "topdiff."):
        net.blobs[key].diff[...] = value
    try:
        backward_all_the_same(net, path)
    except caffe.LayerError as error:
        assert any(f"({kind})" in str(error) for kind in in_place(net) & OVERWRITING), error
        assert "force_backward" in str(error)
        return
    tolerance = meta.get("tol", {})
    rtol, atol = tolerance.get("rtol", 1e-4), tolerance.get("atol", 1e-5)
    for key, value in golden.keys(case, "indiff."):
        golden.close(net.blobs[key].diff, value, rtol, atol, key)
    for key, value in golden.keys(case, "paramdiff."):
        golden.close(golden.param(net, key).diff, value, rtol, atol, key)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "Python"])  # its errors are its own
def test_backward_before_the_first_forward_works_or_names_the_layer(kind):
    for name, meta in CASES.items():
        if meta["kind"] != kind:
            continue
        net = golden.make_net(*golden.load("layers", name))
        try:
            net.backward()
        except caffe.LayerError as error:
            assert any(f"'{layer.name}' ({layer.type})" in str(error) for layer in net.plan.layers), error


@pytest.mark.parametrize(
    "text",
    [
        'type: "Dropout"',
        'type: "BatchNorm" batch_norm_param { use_global_stats: false }',
        'type: "MVN"',
        'type: "Pooling" pooling_param { kernel_size: 2 pool: STOCHASTIC }',
        'type: "SPP" spp_param { pyramid_height: 2 pool: STOCHASTIC }',
    ],
)
def test_what_only_forward_can_know_is_asked_for(text):
    net = build(text, {"x": random(2, 3, 4, 4)}, phase=caffe.TRAIN)
    with pytest.raises(caffe.LayerError, match=r"'layer' \(\w+\): .* call forward first"):
        net.backward()


@pytest.mark.parametrize(
    "text",
    [
        'type: "Pooling" pooling_param { kernel_size: 2 pool: STOCHASTIC }',
        'type: "Dropout"',
    ],
)
def test_the_gradient_follows_the_numbers_that_forward_drew(text):
    x = np.abs(random(2, 3, 8, 8)) + 1
    net = build(text, {"x": x}, phase=caffe.TRAIN)
    path = idle(net)
    net.blobs["x"].data[...] = x
    path.forward()
    net.blobs["top"].diff[...] = 1
    backward_all_the_same(net, path)
    reached = net.blobs["x"].diff[...] > 0
    assert 0 < reached.sum() < reached.size
    np.testing.assert_allclose(
        (net.blobs["x"].data * net.blobs["x"].diff).sum(), net.blobs["top"].data.sum(), rtol=1e-5
    )


@pytest.mark.parametrize(
    "text",
    ['type: "LRN"', 'type: "Pooling" pooling_param { kernel_size: 2 }',
     'type: "SPP" spp_param { pyramid_height: 2 }',
     'type: "PReLU" top: "x"', 'type: "Scale" top: "x"', 'type: "LRN" top: "x"'],
)  # fmt: skip
def test_nothing_is_kept_where_no_backward_follows(text):
    x = random(2, 3, 4, 4)
    net = build(text, {"x": x}, force_backward=False)
    forward(net, {"x": x})
    assert net.layers[-1].saved is None


def test_the_timer_runs_backward_what_the_net_would_not():
    text = (
        'layer { name: "a" type: "LRN" bottom: "x" top: "a" }'
        'layer { name: "b" type: "PReLU" bottom: "a" top: "a" }'
    )
    x = random(2, 3, 4, 4)
    net = build(text, {"x": x}, force_backward=False)
    forward(net, {"x": x})
    net.blobs["a"].diff[...] = 1
    with pytest.raises(caffe.LayerError, match=r"'b' \(PReLU\): .* force_backward"):
        net.layers[-1].backward([net.blobs["a"]], [True], [net.blobs["a"]])
    caffe._caffe.NetTimer(net.runner).iteration()
    wanted = run(text, {"x": x}, topdiff={"a": np.ones_like(x)}).param_diffs[0]
    np.testing.assert_allclose(net.params["b"][0].diff, wanted, rtol=1e-6)
