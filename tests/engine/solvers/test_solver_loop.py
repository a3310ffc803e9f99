"""The training loop: schedules, log lines, resuming bit for bit."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

import caffe
from caffe._caffe import SolverError
from caffe._caffe.solvers.control import SolverAction
from caffe._caffe.solvers.lr_policy import learning_rate
from caffe.proto import caffe_pb2

NET = """name: "line"
layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
  data_filler { type: "gaussian" std: 1 } data_filler { type: "uniform" } } }
layer { name: "drop" type: "Dropout" bottom: "data" top: "data" }
layer { name: "ip" type: "InnerProduct" bottom: "data" top: "ip"
  inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
BASE = 'net: "net.prototxt" base_lr: 0.1 lr_policy: "fixed" momentum: 0.9 random_seed: 5 max_iter: 6 '


@pytest.fixture
def solver_of(in_tmp: Path) -> Callable[..., caffe.SGDSolver]:
    def build(settings: str = "", net: str = NET) -> caffe.SGDSolver:
        Path("net.prototxt").write_text(net)
        Path("solver.prototxt").write_text(BASE + settings)
        return caffe.get_solver("solver.prototxt")

    return build


def weights(solver: caffe.SGDSolver) -> np.ndarray:
    return solver.net.params["ip"][0].data.copy()


def test_a_seed_of_more_than_32_bits_counts_as_its_lower_ones_as_in_caffe(solver_of):
    first = weights(solver_of())
    for seed in (5 + 2**32, 5 + 2**62):
        Path("solver.prototxt").write_text(BASE.replace("random_seed: 5", f"random_seed: {seed}"))
        assert np.array_equal(weights(caffe.get_solver("solver.prototxt")), first)


def test_damage_inside_an_hdf5_history_changes_nothing(solver_of):
    """A chunk that cannot be unpacked shows when it is read, after all shapes have been found right."""
    solver = solver_of("snapshot_format: HDF5")
    solver.step(3)
    solver.snapshot()
    with h5py.File("solver_iter_3.solverstate.h5", "r+") as file:
        values = file["history/1"][()]
        del file["history/1"]
        packed = file["history"].create_dataset("1", data=values, chunks=values.shape, compression="gzip")
        place = packed.id.get_chunk_info(0)
    with open("solver_iter_3.solverstate.h5", "r+b") as file:
        file.seek(place.byte_offset)
        file.write(b"\xff" * place.size)
    again = solver_of("snapshot_format: HDF5")
    again.step(1)
    before = (weights(again), [history.clone() for history in again._saved_history()], again.iter)
    with pytest.raises(caffe.CaffeError, match=r"solver_iter_3\.solverstate\.h5"):
        again.restore("solver_iter_3.solverstate.h5")
    assert np.array_equal(weights(again), before[0]) and again.iter == before[2]
    assert all(a.equal(b) for a, b in zip(again._saved_history(), before[1]))


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("form", ["BINARYPROTO", "HDF5"])
def test_a_resumed_run_equals_an_uninterrupted_one_bit_for_bit(solver_of, kind, form):
    settings = f'type: "{kind}" snapshot: 3 snapshot_format: {form}'
    whole = solver_of(settings)
    whole.step(6)
    suffix = ".h5" if form == "HDF5" else ""
    again = solver_of(settings)
    again.net.params["ip"][0].data[...] = 99
    again.restore(f"solver_iter_3.solverstate{suffix}")
    assert again.iter == 3
    again.step(3)
    np.testing.assert_array_equal(weights(again), weights(whole))


def test_a_snapshot_is_three_visible_files_and_a_resume_without_the_third_warns(solver_of, caplog):
    solver_of("snapshot: 2").step(2)
    third = Path("solver_iter_2.resume")
    assert sorted(path.name for path in Path().glob("*_iter_2.*")) == [
        "solver_iter_2.caffemodel", third.name, "solver_iter_2.solverstate",
    ]  # fmt: skip
    assert json.loads(third.read_text())["engine"] == caffe.__engine__
    logging.getLogger("caffe").addHandler(caplog.handler)
    try:
        solver_of().restore("solver_iter_2.solverstate")
        assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
        third.unlink()
        solver_of().restore("solver_iter_2.solverstate")
    finally:
        logging.getLogger("caffe").removeHandler(caplog.handler)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert third.name in warning


def test_a_binary_state_may_name_an_hdf5_model(solver_of):
    solver = solver_of("snapshot: 2")
    solver.step(2)
    solver.net.save_hdf5("model.h5")
    saved = caffe_pb2.SolverState.FromString(Path("solver_iter_2.solverstate").read_bytes())
    saved.learned_net = "model.h5"
    Path("named.solverstate").write_bytes(saved.SerializeToString())
    again = solver_of()
    again.restore("named.solverstate")
    assert again.iter == 2
    np.testing.assert_array_equal(weights(again), weights(solver))


def test_restoring_a_model_or_another_solvers_state_changes_nothing(solver_of):
    solver_of("snapshot: 2").step(2)
    other = solver_of('type: "Adam"')
    before = weights(other)
    with pytest.raises(SolverError, match="history"):
        other.restore("solver_iter_2.solverstate")
    with pytest.raises(SolverError, match="solver_iter_2.solverstate"):
        other.restore("solver_iter_2.caffemodel")
    assert other.iter == 0 and (weights(other) == before).all()


def cut_random(saved: dict[str, Any]) -> None:
    saved["random"] = {key: text[:-200] for key, text in saved["random"].items()}


def other_position(saved: dict[str, Any]) -> None:
    saved["layers"][0]["d"] = {"files": 3}


@pytest.mark.parametrize("damage", [cut_random, other_position, lambda saved: saved.pop("layers"), None])
def test_a_damaged_third_file_changes_nothing(in_tmp, damage):
    """Nor does it take a data layer or the random numbers with it: the solver goes on as it would have."""
    with h5py.File("d.h5", "w") as file:
        file["x"], file["y"] = np.arange(12, dtype="f").reshape(6, 2), np.arange(6, dtype="f")
    Path("list.txt").write_text("d.h5\n")
    Path("solver.prototxt").write_text('''base_lr: 0.01 lr_policy: "fixed" random_seed: 1 net_param {
        layer { name: "d" type: "HDF5Data" top: "x" top: "y"
                hdf5_data_param { source: "list.txt" batch_size: 2 shuffle: true } }
        layer { name: "drop" type: "Dropout" bottom: "x" top: "x" }
        layer { name: "ip" type: "InnerProduct" bottom: "x" top: "ip"
                inner_product_param { num_output: 1 weight_filler { type: "xavier" } } }
        layer { name: "loss" type: "EuclideanLoss" bottom: "ip" bottom: "y" } } snapshot_prefix: "s"''')
    solver = caffe.get_solver("solver.prototxt")
    solver.step(2)
    solver.snapshot()
    third = Path("s_iter_2.resume")
    saved = json.loads(third.read_text())
    if damage:
        damage(saved)
    third.write_text(json.dumps(saved) if damage else "{")

    def two_steps(restored):
        solver = caffe.get_solver("solver.prototxt")
        solver.step(1)
        if restored:
            before = weights(solver)
            with pytest.raises(SolverError, match="s_iter_2.resume"):
                solver.restore("s_iter_2.solverstate")
            assert solver.iter == 1 and (weights(solver) == before).all()
        solver.step(2)
        return weights(solver)

    assert (two_steps(restored=True) == two_steps(restored=False)).all()


def test_the_schedule_of_tests_displays_and_snapshots(solver_of, glog):
    solver = solver_of("test_iter: 1 test_interval: 2 test_initialization: false display: 3 snapshot: 4")
    del glog[:]
    solver.solve()
    events = [m for m in glog if re.match(r"Iteration \d+(,| \()|Snapshotting to|Optimization", m)]
    events = [re.sub(r" \(.*?\)|( =|,) [-\d.e]+$", "", m) for m in events]
    assert events == [
        "Iteration 0, loss", "Iteration 0, lr", "Iteration 2, Testing net", "Iteration 3, loss",
        "Iteration 3, lr",
        "Snapshotting to binary proto file solver_iter_4.caffemodel",
        "Iteration 4, Testing net", "Snapshotting to binary proto file solver_iter_6.caffemodel",
        "Iteration 6, loss", "Iteration 6, Testing net", "Optimization Done.",
    ]  # fmt: skip


def test_lines_that_log_parsers_read(solver_of, glog):
    solver_of("display: 1 test_iter: 1 test_interval: 1").step(1)
    for pattern in (
        r"Iteration 0, Testing net \(#0\)",
        r"    Test net output #0: loss = [-\d.e]+ \(\* 1 = [-\d.e]+ loss\)",
        r"Iteration 0 \([-\d.e]+ iter/s, [-\d.e]+s/1 iters\), loss = [-\d.e]+",
        r"    Train net output #0: loss = [-\d.e]+ \(\* 1 = [-\d.e]+ loss\)",
        r"Iteration 0, lr = 0\.1",
    ):
        assert any(re.fullmatch(pattern, line) for line in glog), pattern


def test_a_test_of_no_iterations_has_no_mean_loss(solver_of, glog):
    solver_of("test_compute_loss: true test_iter: 0 test_interval: 1").step(1)
    begin = glog.index("Iteration 0, Testing net (#0)")
    assert glog[begin + 1] == "Test loss: nan"
    assert not any("Test net output" in line for line in glog)


def test_a_snapshot_prefix_that_is_filled_in_is_logged(solver_of, glog):
    solver_of()
    Path("folder").mkdir()
    solver_of('snapshot_prefix: "folder"')
    solver_of('snapshot_prefix: "folder/x"')
    assert [line for line in glog if line.startswith("snapshot_prefix")] == [
        "snapshot_prefix was not specified and is set to solver",
        "snapshot_prefix was a directory and is replaced to folder/solver",
    ]


def test_debug_info_of_the_solver_is_that_of_its_nets(solver_of, glog):
    solver = solver_of("debug_info: true display: 2 test_iter: 1 test_interval: 2 test_initialization: false")
    glog.clear()
    solver.step(3)
    forward, total = "    [Forward] Layer loss, top blob", "    [Backward] All net params (data, diff): L1"
    kinds = [line.split()[0] for line in glog if line.startswith((forward, total, "Iteration"))]
    shown = ["[Forward]", "[Backward]", "Iteration", "Iteration"]  # an iteration that is displayed
    assert kinds == [*shown, "Iteration", "[Forward]", *shown]  # between them a test


def test_every_pending_action_is_taken_before_a_test_goes_on(solver_of, glog):
    solver = solver_of("test_iter: 1 test_interval: 1 snapshot_after_train: false")
    pending = [SolverAction.STOP, SolverAction.SNAPSHOT]
    solver.set_action_function(lambda: pending.pop() if pending else SolverAction.NONE)
    solver.solve()
    assert Path("solver_iter_0.caffemodel").exists() and solver.iter == 0
    assert glog[-2:] == ["Test interrupted.", "Optimization stopped early."]


def test_an_empty_snapshot_prefix_is_a_prefix(solver_of):
    solver_of('snapshot_prefix: "" snapshot: 1').step(1)
    assert Path("_iter_1.caffemodel").exists() and Path("_iter_1.solverstate").exists()


def test_where_the_nets_come_from_is_logged(solver_of, glog):
    solver_of('test_net_param { name: "p" } test_iter: 1 test_iter: 1 test_interval: 1')
    assert [line for line in glog if re.match("Creating (training|test)", line)] == [
        "Creating training net from net file: net.prototxt",
        "Creating test net (#0) specified by test_net_param",
        "Creating test net (#1) specified by net file: net.prototxt",
    ]


def test_gradients_accumulate_over_iter_size(solver_of):
    constant = NET.replace('"gaussian" std: 1', '"constant" value: 1').replace('"uniform"', '"constant"')
    constant = re.sub(r'layer \{ name: "drop".*\n', "", constant)
    single, several = solver_of("", constant), solver_of("iter_size: 4", constant)
    several.net.params["ip"][0].data[...] = single.net.params["ip"][0].data
    single.step(2)
    several.step(2)
    np.testing.assert_allclose(weights(several), weights(single), rtol=1e-6)


def test_test_nets_see_the_trained_weights(solver_of):
    solver = solver_of("test_iter: 1 test_interval: 2 test_initialization: false")
    solver.step(3)
    assert (solver.test_nets[0].params["ip"][0].data == weights(solver)).all()


def test_callbacks_and_what_they_raise(solver_of):
    solver, seen = solver_of(), []
    solver.add_callback(lambda: seen.append("start"), lambda: seen.append("ready"))
    solver.step(2)
    assert seen == ["start", "ready"] * 2

    def stop():
        raise KeyboardInterrupt

    solver.add_callback(stop, stop)
    with pytest.raises(KeyboardInterrupt):
        solver.step(1)
    assert solver.iter == 2


def test_base_lr_can_be_set_and_the_rest_cannot(solver_of):
    solver = solver_of()
    solver.param.base_lr = 0.25
    assert solver.lr == 0.25
    with pytest.raises(AttributeError):
        solver.param.max_iter = 3
    for wrong in ("2", 2.0, None):
        with pytest.raises(TypeError):
            solver.step(wrong)


def test_a_snapshot_leaves_the_old_file_or_the_new_one(solver_of):
    solver = solver_of()
    solver.step(1)
    solver.snapshot()
    assert not [name for name in os.listdir() if name.endswith(".tmp")]
    Path("solver_iter_2.caffemodel").mkdir()
    solver.step(1)
    with pytest.raises(RuntimeError, match="solver_iter_2.caffemodel"):
        solver.snapshot()
    assert Path("solver_iter_1.solverstate").exists()


@pytest.mark.parametrize(
    "settings, words",
    [
        ("average_loss: 0", "average_loss"),
        ('type: "AdaGrad"', "Momentum cannot be used with AdaGrad"),
        ('type: "Newton"', "Unknown solver type: Newton"),
        ("test_iter: 1", "test_interval"),
        ('train_net: "net.prototxt"', "exactly one"),
        ('snapshot: 1 snapshot_prefix: "no/such/place"', "no/such"),
    ],
)
def test_contradictory_settings_are_refused_by_name(solver_of, settings, words):
    with pytest.raises(SolverError, match=words):
        solver_of(settings)


@pytest.mark.parametrize(
    "settings, rates",
    [
        ({"lr_policy": "fixed"}, [0.1] * 6),
        ({"lr_policy": "step", "gamma": 0.5, "stepsize": 2}, [0.1, 0.1, 0.05, 0.05, 0.025, 0.025]),
        ({"lr_policy": "exp", "gamma": 0.9}, [0.1 * 0.9**i for i in range(6)]),
        ({"lr_policy": "inv", "gamma": 0.1, "power": 0.75}, [0.1 * (1 + 0.1 * i) ** -0.75 for i in range(6)]),
        (
            {"lr_policy": "multistep", "gamma": 0.5, "stepvalue": [1, 4]},
            [0.1, 0.05, 0.05, 0.05, 0.025, 0.025],
        ),
        ({"lr_policy": "poly", "power": 2, "max_iter": 10}, [0.1 * (1 - i / 10) ** 2 for i in range(6)]),
        (
            {"lr_policy": "sigmoid", "gamma": 0.5, "stepsize": 3},
            [0.1 / (1 + np.exp(-0.5 * (i - 3))) for i in range(6)],
        ),
    ],
)
def test_the_seven_policies(settings, rates):
    param, step, found = caffe_pb2.SolverParameter(base_lr=0.1, **settings), 0, []
    for iteration in range(6):
        rate, step = learning_rate(param, iteration, step)
        found.append(rate)
    np.testing.assert_allclose(found, rates, rtol=1e-6)


def test_rates_are_rounded_to_single_precision_where_caffe_rounds():
    param = caffe_pb2.SolverParameter(base_lr=1, lr_policy="poly", power=1, max_iter=100000)
    left = np.float32(1) - np.float32(99999) / np.float32(100000)
    assert learning_rate(param, 99999, 0)[0] == left != pytest.approx(1e-5, rel=1e-3)
    param = caffe_pb2.SolverParameter(base_lr=0.1, lr_policy="exp", gamma=0.9)
    assert learning_rate(param, 7, 0)[0] == np.float32(float(np.float32(0.1)) * float(np.float32(0.9)) ** 7)


def test_poly_without_max_iter():
    param = caffe_pb2.SolverParameter(base_lr=0.5, lr_policy="poly")
    assert learning_rate(param, 0, 0)[0] == 0.5  # power 0
    param.power = 1
    assert np.isnan(learning_rate(param, 0, 0)[0]) and learning_rate(param, 1, 0)[0] == -np.inf


@pytest.mark.parametrize("policy", ["step", "exp", "inv", "multistep", "sigmoid"])
def test_a_negative_gamma_is_refused(policy):
    param = caffe_pb2.SolverParameter(base_lr=0.1, lr_policy=policy, gamma=-0.5, stepsize=1)
    with pytest.raises(SolverError, match=f'"{policy}" needs a non-negative gamma'):
        learning_rate(param, 0, 0)


def test_multistep_moves_one_step_per_evaluation():
    param = caffe_pb2.SolverParameter(base_lr=0.1, lr_policy="multistep", gamma=0.5, stepvalue=[0, 0, 0])
    step, found = 0, []
    for _ in range(4):
        rate, step = learning_rate(param, 9, step)
        found.append(rate)
    np.testing.assert_allclose(found, [0.05, 0.025, 0.0125, 0.0125], rtol=1e-6)


def test_step_takes_a_bool_for_the_int_it_is(solver_of):
    solver = solver_of()
    solver.step(True)
    assert solver.iter == 1
    with pytest.raises(TypeError, match="an int is needed, not float"):
        solver.step(1.0)


def test_misuse_of_a_solver(solver_of):
    solver = solver_of()
    for call in (solver.share_weights, solver.add_callback):
        with pytest.raises(TypeError):
            call(3)
    with pytest.raises(RuntimeError, match="caffe.SGDSolver"):
        caffe._caffe.Solver("solver.prototxt")
    with pytest.raises(RuntimeError, match="caffe.SGDSolver"):
        caffe._caffe.Solver()


RISING = """base_lr: 0.1 lr_policy: "fixed" display: 1 max_iter: 2
net_param { layer { name: "p" type: "Parameter" top: "p" parameter_param { shape { dim: 1 } } }
            layer { name: "l" type: "Reduction" bottom: "p" top: "l" loss_weight: 1 } }"""


@pytest.fixture
def rising(in_tmp: Path) -> caffe.SGDSolver:
    """A solver of one number, whose loss is that number."""
    Path("solver.prototxt").write_text(RISING)
    return caffe.get_solver("solver.prototxt")


def test_the_net_of_a_solver_is_one_object(rising):
    assert rising.net is rising.net
    rising.net.note = "kept"
    assert rising.net.note == "kept"


def test_the_first_rate_shown_is_a_rate(rising, glog):
    rising.step(1)
    rate = re.search(r"Iteration 0 \((\S+) iter/s, (\S+)s/1 iters\), loss = 0$", "\n".join(glog), re.M)
    assert float(rate[1]) == 0 and 0 <= float(rate[2]) < 60


def test_an_iter_size_below_one_is_refused(in_tmp):
    Path("solver.prototxt").write_text(RISING + " iter_size: 0")
    with pytest.raises(SolverError, match="iter_size"):
        caffe.get_solver("solver.prototxt")


def test_the_loss_shown_is_the_mean_of_the_last_ones(in_tmp, glog):
    Path("solver.prototxt").write_text(RISING.replace("max_iter: 2", "max_iter: 5") + " average_loss: 3")
    made = caffe.get_solver("solver.prototxt")
    weight = made.net.params["p"][0]

    def set_loss() -> None:
        weight.data[...] = made.iter + 1  # the loss is the number: 1, 2, 3, ...

    made.add_callback(set_loss, lambda: None)
    made.step(5)
    shown = [line.rpartition("loss = ")[2] for line in glog if ", loss = " in line]
    assert [float(value) for value in shown] == [1, 1.5, 2, 3, 4]
