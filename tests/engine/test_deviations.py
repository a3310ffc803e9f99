"""Where the engine differs from BVLC Caffe (docs/deviations.md), as far as no other test holds it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe.proto import caffe_pb2
from tests.engine.layer_case import build, forward, random, run

# -- layers in place ----------------------------------------------------------------------------------

IN_PLACE = {
    "MVN": ('type: "MVN"', (2, 3, 4, 5)),
    "LRN across": ('type: "LRN" lrn_param { local_size: 3 }', (2, 4, 3, 3)),
    "LRN within": ('type: "LRN" lrn_param { local_size: 3 norm_region: WITHIN_CHANNEL }', (2, 2, 4, 4)),
}


@pytest.mark.parametrize("name", IN_PLACE)
def test_in_place_gives_the_values_and_the_gradient_it_gives_elsewhere(name):
    text, shape = IN_PLACE[name]
    x, dy = np.clip(random(*shape), -2, 2), random(*shape, seed=1)
    apart = run(text, {"x": x}, topdiff=dy)
    net = 'layer { name: "before" type: "Power" bottom: "x" top: "y" }'
    net += f'layer {{ name: "layer" bottom: "y" top: "y" {text} }}'
    within = run(net, {"x": x}, topdiff=dy)
    np.testing.assert_array_equal(within.tops["y"], apart.tops["top"])
    np.testing.assert_allclose(within.bottom_diffs["x"], apart.bottom_diffs["x"], rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("operation", ["SUM", "MAX", "PROD"])
def test_eltwise_onto_its_first_bottom_is_right(operation):
    inputs = {"x": random(2, 3), "z": random(2, 3, seed=1)}
    text = f'type: "Eltwise" eltwise_param {{ operation: {operation} }}'
    dy = random(2, 3, seed=2)
    apart = run(text, inputs, topdiff=dy)
    before = 'layer { name: "before" type: "Power" bottom: "x" top: "y" }'
    net = f'{before} layer {{ name: "layer" bottom: "y" bottom: "z" top: "y" {text} }}'
    within = run(net, inputs, topdiff=dy)
    np.testing.assert_array_equal(within.tops["y"], apart.tops["top"])
    for name in inputs:
        np.testing.assert_array_equal(within.bottom_diffs[name], apart.bottom_diffs[name])


# -- layers -------------------------------------------------------------------------------------------


def test_a_maximum_with_nan_is_nan_whichever_bottom_it_is_in():
    nan = np.array([np.nan, 1, np.nan]), np.array([1, np.nan, np.nan])
    found = run('type: "Eltwise" eltwise_param { operation: MAX }', {"a": nan[0], "b": nan[1]})
    assert np.isnan(found.tops["top"]).all()


@pytest.mark.parametrize("field", ["stride: 0", "stride_h: 0 stride_w: 1", "stride_h: 2"])
def test_a_stride_of_zero_is_refused_by_name(field):
    with pytest.raises(caffe.LayerError, match="stride must not be 0"):
        build(f'type: "Convolution" convolution_param {{ num_output: 1 kernel_size: 1 {field} }}',
              {"x": random(1, 1, 3, 3)})  # fmt: skip


def test_recurrent_layers_start_from_the_blobs_of_the_prototxt(net_of):
    biases = " ".join(f"data: {value}" for value in (1, 2, 3, 4))
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" top: "cont" '
        "input_param { shape { dim: 2 dim: 1 dim: 1 } shape { dim: 2 dim: 1 } } }"
        'layer { name: "r" type: "LSTM" bottom: "x" bottom: "cont" top: "r" '
        "recurrent_param { num_output: 1 } "
        f"blobs {{ shape {{ dim: 4 dim: 1 }} {biases} }} blobs {{ shape {{ dim: 4 }} {biases} }}"
        f"blobs {{ shape {{ dim: 4 dim: 1 }} {biases} }} }}"
    )
    for blob in net.params["r"]:
        np.testing.assert_array_equal(blob.data.ravel(), [1, 2, 3, 4])


def test_the_batch_of_a_contrastive_loss_may_grow():
    text = 'type: "ContrastiveLoss"'
    small = {"a": random(2, 3), "b": random(2, 3, seed=1), "alike": np.array([1.0, 0])}
    large = {"a": random(5, 3), "b": random(5, 3, seed=1), "alike": np.array([1.0, 0, 0, 1, 1])}
    net = build(text, small)
    for name, value in large.items():
        net.blobs[name].reshape(*value.shape)
    np.testing.assert_array_equal(forward(net, large)["top"], run(text, large).tops["top"])


def test_random_dummy_data_is_there_before_the_first_forward(net_of):
    net = net_of(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 20 } '
        'data_filler { type: "uniform" min: 1 max: 2 } } }'
    )
    at_first = net.blobs["d"].data.copy()
    assert (at_first >= 1).all() and at_first.std() > 0
    assert (net.forward()["d"] != at_first).any()


@pytest.mark.parametrize("type_", ["ArgMax", "Threshold"])
def test_what_has_no_gradient_is_refused_only_where_one_is_wanted(net_of, type_):
    text = (
        'layer {{ name: "in" type: "Input" top: "x" top: "label" '
        "input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ dim: 2 dim: 3 }} }} }}"
        'layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip" '
        "inner_product_param {{ num_output: 3 }} }}"
        f'layer {{{{ name: "step" type: "{type_}" bottom: "ip" top: "step" {{}} }}}}'
        'layer {{ name: "r" type: "Reduction" bottom: "step" top: "loss" loss_weight: 1 }}'
    )
    net_of(text.format("propagate_down: false")).backward()
    net = net_of(text.format(""))
    net.forward()
    with pytest.raises(caffe.LayerError, match="propagate_down: false"):
        net.backward()


def test_a_hinge_loss_may_run_backward_twice():
    x, label = random(3, 4), np.array([0.0, 3, 1])
    net = build('type: "HingeLoss"', {"x": x, "label": label})
    net.blobs["x"].data[...], net.blobs["label"].data[...] = x, label
    net.forward()
    net.backward()
    once = net.blobs["x"].diff.copy()
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, once)
    assert once.any()


def test_pooling_windows_beyond_the_image_touch_nothing():
    x = np.arange(1.0, 26).reshape(1, 1, 5, 5)
    text = 'type: "Pooling" pooling_param { kernel_size: 1 stride: 3 }'
    found = run(text, {"x": x}, topdiff=np.ones((1, 1, 3, 3)))
    lowest = -np.finfo(np.float32).max
    np.testing.assert_allclose(
        found.tops["top"][0, 0], [[1, 4, lowest], [16, 19, lowest], [lowest] * 3], rtol=1e-6
    )
    assert found.bottom_diffs["x"].sum() == 4


# -- pycaffe ------------------------------------------------------------------------------------------


def test_names_are_right_with_several_automatic_tops(net_of):
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" top: "label" '
        "input_param { shape { dim: 2 dim: 3 } shape { dim: 2 dim: 3 } } }"
        'layer { name: "one" type: "EuclideanLoss" bottom: "x" bottom: "label" }'
        'layer { name: "two" type: "EuclideanLoss" bottom: "x" bottom: "label" }'
        'layer { name: "out" type: "Power" bottom: "x" top: "out" }'
    )
    assert net.outputs == ["out"]
    assert net.top_names["one"] == net.top_names["two"] == ["(automatic)"]
    assert net.top_names["out"] == ["out"] and net.inputs == ["x", "label"]


def test_a_scalar_loss_takes_a_scalar_diff(net_of):
    net = net_of(
        'layer { name: "in" type: "Input" top: "a" top: "b" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "loss" type: "EuclideanLoss" bottom: "a" bottom: "b" top: "loss" }'
        "force_backward: true"
    )
    net.blobs["a"].data[...] = 4
    net.forward()
    found = net.backward(loss=np.float32(2))
    np.testing.assert_array_equal(found["a"], np.full((2, 3), 2 * 4 / 2))


def test_layers_of_a_python_layer_can_be_walked_through(in_tmp, monkeypatch):
    Path("walker.py").write_text(
        "import caffe\n"
        "class Walker(caffe.Layer):\n"
        "    def setup(self, bottom, top): self.counts = [blob.count for blob in bottom]\n"
        "    def reshape(self, bottom, top):\n"
        "        for blob in top: blob.reshape(1)\n"
        "    def forward(self, bottom, top): pass\n"
    )
    monkeypatch.syspath_prepend(str(in_tmp))
    Path("net.prototxt").write_text(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 dim: 3 } } }'
        'layer { name: "w" type: "Python" bottom: "x" top: "w" '
        'python_param { module: "walker" layer: "Walker" } }'
    )
    net = caffe.Net("net.prototxt", caffe.TEST)
    del sys.modules["walker"]
    assert net.layer_dict["w"].counts == [6]


SOLVER = """base_lr: 0.1 lr_policy: "fixed" display: 1 max_iter: 2
net_param { layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 } } }
            layer { name: "l" type: "Reduction" bottom: "p" top: "l" loss_weight: 1 } }"""


@pytest.fixture
def solver(in_tmp):
    Path("solver.prototxt").write_text(SOLVER)
    return caffe.get_solver("solver.prototxt")


def test_the_net_of_a_solver_is_one_object(solver):
    assert solver.net is solver.net
    solver.net.note = "kept"
    assert solver.net.note == "kept"


def test_the_first_rate_shown_is_a_rate(solver, glog):
    solver.step(1)
    rate = re.search(r"Iteration 0 \((\S+) iter/s, (\S+)s/1 iters\), loss = 0$", "\n".join(glog), re.M)
    assert float(rate[1]) == 0 and 0 <= float(rate[2]) < 60


def test_an_iter_size_below_one_is_refused(in_tmp):
    Path("solver.prototxt").write_text(SOLVER + " iter_size: 0")
    with pytest.raises(caffe.SolverError, match="iter_size"):
        caffe.get_solver("solver.prototxt")


def test_settings_are_the_processs_and_not_the_threads():
    seen = []
    caffe.set_solver_count(3)
    try:
        thread = threading.Thread(
            target=lambda: (seen.append(caffe.solver_count()), caffe.set_solver_rank(2))
        )
        thread.start()
        thread.join()
        assert seen == [3] and caffe.solver_rank() == 2
    finally:
        caffe.set_solver_count(1)
        caffe.set_solver_rank(0)


@pytest.mark.parametrize("fallback", ["", "cpu"])
def test_gpu_mode_without_a_gpu(fallback, tmp_path):
    program = (
        "import caffe\n"
        "try:\n    caffe.set_mode_gpu(); caffe.set_device(0); print('runs')\n"
        "except caffe.DeviceError as error:\n    print('refused', 'CAFFE_FALLBACK=cpu' in str(error))\n"
    )
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "CAFFE_FALLBACK": fallback}
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=env, cwd=tmp_path
    )
    if "mps" in done.stderr:
        pytest.skip("PyTorch has Apple's device here")
    assert done.stdout.strip() == ("runs" if fallback else "refused True")
    assert ("running on the CPU" in done.stderr) == bool(fallback)


def test_a_timer_counts_fractions_of_milliseconds():
    timer = caffe.Timer()
    timer.start()
    time.sleep(0.0015)
    timer.stop()
    assert isinstance(timer.ms, float) and timer.ms >= 1 and timer.ms != int(timer.ms)


def test_loading_and_saving_a_net_leaves_the_phase_alone(net_of):
    """`phase` and implicit loss weights are written for every layer, and read back to the same net."""
    net = net_of(
        'layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 2 } } }'
        'layer { name: "d" type: "Dropout" bottom: "x" top: "y" }'
    )
    net.save("x.caffemodel")
    saved = caffe_pb2.NetParameter.FromString(Path("x.caffemodel").read_bytes())
    assert [layer.phase for layer in saved.layer] == [caffe.TEST, caffe.TEST]


# -- several solvers ----------------------------------------------------------------------------------

WORKER = """
import sys, caffe
rank, uid = int(sys.argv[1]), sys.argv[2]
caffe.set_solver_count(2); caffe.set_solver_rank(rank); caffe.set_multiprocess(True)
solver = caffe.SGDSolver('solver.prototxt')
solver.net.params['p'][0].data[...] = 5 + rank
nccl = caffe.NCCL(solver, uid); nccl.bcast(); solver.add_callback(nccl)
solver.net.blobs['x'].data[...] = 1 + rank
solver.step(1)
print(float(solver.net.params['p'][0].data[0, 0]))
"""


def test_solvers_average_their_gradients_without_nccl(in_tmp):
    Path("solver.prototxt").write_text(
        """base_lr: 1 lr_policy: "fixed" net_param {
        layer { name: "in" type: "Input" top: "x" input_param { shape { dim: 1 dim: 1 } } }
        layer { name: "p" type: "InnerProduct" bottom: "x" top: "y"
                inner_product_param { num_output: 1 bias_term: false } }
        layer { name: "l" type: "Reduction" bottom: "y" top: "l" loss_weight: 1 } }"""
    )
    uid, command = caffe.NCCL.new_uid().decode(), [sys.executable, "-c", WORKER]
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "PYTHONPATH": str(Path(caffe.__file__).parents[1])}
    workers = [
        subprocess.Popen([*command, str(rank), uid], stdout=subprocess.PIPE, text=True, env=env)
        for rank in (0, 1)
    ]
    # Both start from solver 0's 5 and step by the mean of the gradients 1 and 2.
    assert [float(worker.communicate()[0]) for worker in workers] == [3.5, 3.5]
