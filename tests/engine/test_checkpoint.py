"""caffe.set_checkpointing: the same training in less memory."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import caffe

CONVOLUTION = (
    'convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } '
    'bias_filler { type: "gaussian" std: 0.1 } }'
)


def layer(kind: str, bottom: str, top: str, more: str = "") -> str:
    bottoms = " ".join(f'bottom: "{name}"' for name in bottom.split())
    return f'layer {{ name: "{top}-{kind}" type: "{kind}" {bottoms} top: "{top}" {more} }}'


def stage(number: int, bottom: str) -> list[str]:
    """Two convolutions, all that may stand between them, and a pooling."""
    a, b = f"a{number}", f"b{number}"
    return [
        layer("Convolution", bottom, a, CONVOLUTION),
        layer("BatchNorm", a, a),
        layer("Scale", a, a, "scale_param { bias_term: true }"),
        layer("ReLU", a, a),
        layer("Dropout", a, a, "dropout_param { dropout_ratio: 0.3 }"),
        layer("Convolution", a, b, CONVOLUTION),
        layer("PReLU", b, f"c{number}"),
        layer("Pooling", f"c{number}", f"pool{number}", "pooling_param { kernel_size: 2 stride: 2 }"),
    ]


#: Three stages, a skip from the first, a stochastic layer, a Python layer in the middle, a softmax loss.
NET = "\n".join([
    layer("DummyData", "", "data", 'dummy_data_param { shape { dim: 2 dim: 3 dim: 32 dim: 32 } '
          'data_filler { type: "gaussian" std: 1 } }'),
    layer("DummyData", "", "label", "dummy_data_param { shape { dim: 2 dim: 1 dim: 8 dim: 8 } "
          "data_filler { value: 2 } }"),
    *stage(1, "data"),
    *stage(2, "pool1"),
    layer("Python", "pool2", "doubled", 'python_param { module: "twice" layer: "Twice" }'),
    layer("Scale", "doubled", "doubled", "scale_param { filler { value: 3 } }"),
    *stage(3, "doubled"),
    layer("Deconvolution", "pool3", "up", "convolution_param { num_output: 8 kernel_size: 2 stride: 2 "
          'weight_filler { type: "msra" } }'),
    layer("Eltwise", "up pool2", "sum"),
    layer("Reshape", "sum", "again", "reshape_param { shape { dim: 0 dim: 0 dim: 0 dim: 0 } }"),
    layer("Convolution", "again", "score", CONVOLUTION),
    layer("SoftmaxWithLoss", "score label", "loss"),
]).replace('bottom: ""', "")  # fmt: skip
TWICE = """
import caffe
class Twice(caffe.Layer):
    calls = []
    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].shape)
    def forward(self, bottom, top):
        self.calls.append("forward")
        top[0].data[...] = 2 * bottom[0].data
    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = 2 * top[0].diff
"""


@pytest.fixture(autouse=True)
def files(in_tmp: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The net, its Python layer and a solver; checkpointing off afterwards."""
    monkeypatch.syspath_prepend(str(in_tmp))
    Path("twice.py").write_text(TWICE)
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" type: "SGD" random_seed: 5'
        " iter_size: 2 average_loss: 3"
    )
    yield
    caffe.set_checkpointing(False)


def solver(checkpointing: bool) -> caffe.SGDSolver:
    caffe.set_checkpointing(checkpointing)
    return caffe.get_solver("solver.prototxt")


def net(checkpointing: bool = True) -> caffe.Net:
    """The net after a forward."""
    caffe.set_checkpointing(checkpointing)
    caffe.set_random_seed(3)
    made = caffe.Net("net.prototxt", caffe.TRAIN)
    made.forward()
    return made


def params(of: caffe.Net) -> dict[str, np.ndarray]:
    return {
        f"{name} {i}": blob.data.copy() for name, blobs in of.params.items() for i, blob in enumerate(blobs)
    }


def diffs(of: caffe.Net) -> dict[str, np.ndarray]:
    return {
        f"{name} {i}": blob.diff.copy() for name, blobs in of.params.items() for i, blob in enumerate(blobs)
    }


def assert_equal(found: dict[str, np.ndarray], expected: dict[str, np.ndarray]) -> None:
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values, err_msg=name)


def dropped(of: caffe.Net) -> set[str]:
    return {name for name, blob in of.blobs.items() if blob.data_memory.promised}


def test_it_trains_the_same_net_to_the_bit():
    plain = solver(False)
    plain.step(3)
    saving = solver(True)
    saving.step(3)
    assert_equal(params(saving.net), params(plain.net))
    assert params(plain.net)["a1-BatchNorm 2"] != 0, "the statistics are among what is compared"


def test_what_only_the_trunk_reads_is_dropped_and_can_be_read():
    plain, saving = net(False), net(True)
    gone = dropped(saving)
    assert {"a1", "a2"} <= gone and not gone & {"data", "label", "doubled", "score", "loss"}
    for name in [*sorted(gone), *plain.blobs]:
        np.testing.assert_array_equal(saving.blobs[name].data, plain.blobs[name].data, err_msg=name)
    assert not dropped(saving)
    for each in (plain, saving):
        each.backward()
    assert_equal(diffs(saving), diffs(plain))


def test_a_python_layer_runs_once():
    made = net()
    calls = made.layer_dict["doubled-Python"].calls
    calls.clear()
    made.forward()
    made.backward()
    assert calls == ["forward"]


@pytest.mark.parametrize("written", ["a2", "data", "pool1", "parameter"])
def test_what_is_written_between_the_passes_counts(written):
    results = []
    for checkpointing in (False, True):
        made = net(checkpointing)
        blob = made.params["a1-Convolution"][0] if written == "parameter" else made.blobs[written]
        blob.data[...] *= 2
        made.backward()
        results.append(diffs(made))
    assert_equal(results[1], results[0])


@pytest.mark.parametrize("which", ["parameter", "blob"])
def test_a_blob_that_cannot_be_made_any_more_is_told(which):
    made = net()
    made.backward()
    blob = made.params["a1-Convolution"][0] if which == "parameter" else made.blobs["data"]
    blob.data[...] *= 2
    with pytest.raises(caffe.CaffeError, match="a1-Convolution" if which == "parameter" else "'data'"):
        _ = made.blobs["a1"].data
    made.forward()
    assert made.blobs["a1"].data.any()


def test_an_array_held_since_before_the_forward_pass_cannot_change_it_unseen():
    made = net()
    held = made.blobs["data"].data
    made.forward()
    held *= 2
    with pytest.raises(caffe.CaffeError, match="'data'"):
        made.backward()


def test_an_array_that_is_held_stays_the_blob():
    plain, saving = net(False), net(True)
    arrays = [(each.blobs["a1"].data, each.blobs["a1"].diff) for each in (plain, saving)]
    for each in (plain, saving):
        caffe.set_random_seed(7)
        for _ in range(2):
            each.forward()
            each.clear_param_diffs()
            each.backward()
    for mine, its in zip(*arrays, strict=True):
        np.testing.assert_array_equal(its, mine)
    assert_equal(diffs(saving), diffs(plain))


def test_backward_may_run_again_and_a_dropped_diff_is_told():
    plain, saving = net(False), net(True)
    for each in (plain, saving):
        each.clear_param_diffs()
        each.backward()
        each.backward()
    assert_equal(diffs(saving), diffs(plain))
    with pytest.raises(caffe.CaffeError, match="diff of blob 'a1'.*set_checkpointing"):
        _ = saving.blobs["a1"].diff
    assert saving.blobs["a1"].data.any(), "the data are made again"


def test_hooks_parts_of_a_net_and_switching_off_between_passes_see_all_blobs():
    plain, saving = net(False), net(True)
    caffe.set_checkpointing(False)
    seen = {}
    saving.after_backward(lambda number: seen.setdefault(number, True))
    for each in (plain, saving):
        each.clear_param_diffs()
        each.backward()
    assert_equal(diffs(saving), diffs(plain))
    assert len(seen) == len(saving.layers)
    np.testing.assert_array_equal(saving.blobs["a1"].diff, plain.blobs["a1"].diff)
    caffe.set_checkpointing(True)
    saving.forward(end="b2-Convolution")
    assert not dropped(saving)


def test_a_blob_outlives_its_net_and_the_net_is_let_go():
    made = net()
    blob, gone = made.blobs["a1"], weakref.ref(made)
    was_on = gc.isenabled()
    gc.disable()
    try:
        del made
        assert gone() is None
    finally:
        if was_on:
            gc.enable()
    with pytest.raises(caffe.CaffeError, match="net is gone"):
        _ = blob.data
