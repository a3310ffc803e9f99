"""Solvers that average their gradients train what one trains on all of their batches."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe
from caffe._caffe.ranks import joining
from caffe._caffe.ranks.buckets import Buckets
from tests.ranks import same_weights, together

STEPS = 20
#: Convolution, shared weights, Dropout; a parameter that learns nothing; rows of a file, a part for each one.
NET = """
layer { name: "data" type: "HDF5Data" top: "data" top: "label" include { phase: TRAIN }
        hdf5_data_param { source: "rows.txt" batch_size: %d } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param {
        num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "xavier" }
        bias_filler { type: "constant" value: 0.1 } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "one" type: "Convolution" bottom: "conv" top: "one" param { name: "w" } convolution_param {
        num_output: 8 kernel_size: 1 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "two" type: "Convolution" bottom: "one" top: "two" param { name: "w" } convolution_param {
        num_output: 8 kernel_size: 1 bias_term: false weight_filler { type: "xavier" } } }
layer { name: "still" type: "Scale" bottom: "two" top: "two" param { lr_mult: 0 }
        scale_param { filler { type: "constant" value: 0.5 } } }
layer { name: "drop" type: "Dropout" bottom: "two" top: "two" }
layer { name: "ip" type: "InnerProduct" bottom: "two" top: "ip" inner_product_param {
        num_output: 3 weight_filler { type: "xavier" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "ip" bottom: "label" top: "loss" }
"""
SOLVER = 'net: "net%d.prototxt" base_lr: 0.05 momentum: 0.9 lr_policy: "fixed" random_seed: 4 iter_size: %d '
SOLVER += 'weight_decay: 0.001 snapshot_prefix: "snap" '


@pytest.fixture(autouse=True)
def rows(in_tmp: Path) -> None:
    """23 rows, a number that no group of solvers divides."""
    rng = np.random.default_rng(0)
    with h5py.File("rows.h5", "w") as file:
        file["data"] = rng.standard_normal((23, 2, 6, 6), np.float32)
        file["label"] = rng.integers(0, 3, (23, 1)).astype(np.float32)
    Path("rows.txt").write_text("rows.h5\n")


def solver_file(iter_size: int, batch: int = 1) -> str:
    Path(f"net{batch}.prototxt").write_text(NET % batch)
    name = f"solver{batch}_{iter_size}.prototxt"
    Path(name).write_text(SOLVER % (batch, iter_size))
    return name


def train(
    rank: int, uid: bytes, file: str, steps: int, bucket_mb: float = 25, resume: str = "", keep: bool = False
) -> list[np.ndarray]:
    """Weights after some steps."""
    solver = caffe.SGDSolver(file)
    if resume:
        solver.restore(resume)
    nccl = caffe.NCCL(solver, uid, bucket_mb=bucket_mb)
    nccl.bcast()
    solver.add_callback(nccl)
    solver.step(steps)
    if keep and rank == 0:
        solver.snapshot()
    return [blob.data.copy() for blobs in solver.net.params.values() for blob in blobs]


@pytest.mark.parametrize(
    ("solvers", "iter_size", "bucket_mb", "algorithms"),
    [(2, 2, 25, "reference"), (4, 1, 0.0005, "reference"), (2, 2, 0.0005, "fast")],
)
def test_any_number_of_solvers_trains_what_one_does(solvers, iter_size, bucket_mb, algorithms) -> None:
    """With the same images a step; Dropout included, whatever the buckets."""
    env = {"CAFFE_ALGORITHMS": algorithms}
    with together(1, lambda r, uid: train(r, uid, solver_file(4), STEPS), **env) as alone:
        (want,) = alone.all_say
    file = solver_file(iter_size)
    with together(solvers, lambda r, uid: train(r, uid, file, STEPS, bucket_mb), **env) as ranks:
        for got in ranks.all_say:
            assert same_weights(got, want, 1e-6)


@pytest.mark.parametrize(("before", "after"), [(2, 4), (4, 1), (1, 2)])
def test_a_training_goes_on_with_another_number_of_solvers(before: int, after: int) -> None:
    """From a snapshot of solver 0: each row is read in its turn, by one of them."""
    whole, files = 12, {n: solver_file(4 // n) for n in (1, 2, 4)}
    with together(1, lambda r, uid: train(r, uid, files[1], whole)) as alone:
        (want,) = alone.all_say
    with together(before, lambda r, uid: train(r, uid, files[before], 5, keep=True)) as ranks:
        assert all(isinstance(said, list) for said in ranks.all_say)
    resume = "snap_iter_5.solverstate"
    with together(after, lambda r, uid: train(r, uid, files[after], whole - 5, resume=resume)) as ranks:
        for got in ranks.all_say:
            assert same_weights(got, want, 1e-6)


def test_a_bucket_sets_off_as_soon_as_its_gradients_are_whole() -> None:
    """Before backward is through: the last layers' first, in the order in which backward finishes them."""

    def body(rank: int, uid: bytes) -> list[int]:
        caffe.NCCL.meet(uid)
        net = caffe.SGDSolver(solver_file(1)).net
        team = joining.joined()
        buckets = Buckets(net.plan, net.learnable, passes=1, size=1)
        buckets.start()
        seen = [buckets.sent]
        for layer in range(len(net.layers) - 1, -1, -1):
            buckets.layer_done(layer, team)
            seen.append(buckets.sent)
        buckets.finish(team)
        return [len(buckets), *seen]

    with together(1, body) as ranks:
        count, *sent = ranks.says(0)
    assert count == 5  # two of ip, the shared one, two of conv; the one that learns nothing stays
    assert sent == sorted(sent) and sent[0] == 0 and sent[-1] == count
    assert {1, 2, 3} & set(sent[:-1]), "some were on their way before the last layer"


def test_gradients_of_all_passes_travel_once() -> None:
    def body(rank: int, uid: bytes) -> list[int]:
        caffe.NCCL.meet(uid)
        net = caffe.SGDSolver(solver_file(1)).net
        team, sent = joining.joined(), []
        buckets = Buckets(net.plan, net.learnable, passes=2, size=1 << 20)
        buckets.start()
        for _ in range(2):
            for layer in range(len(net.layers) - 1, -1, -1):
                buckets.layer_done(layer, team)
            sent.append(buckets.sent)
        buckets.finish(team)
        return sent

    with together(1, body) as ranks:
        assert ranks.says(0) == [0, 1]


@pytest.mark.parametrize("size", [0, -1, float("nan"), "many"])
def test_a_bucket_of_no_size_is_refused(size: object) -> None:
    with pytest.raises(caffe.SolverError, match="bucket_mb"):
        caffe.NCCL(caffe.SGDSolver(solver_file(1)), b"tcp://127.0.0.1:1", bucket_mb=size)
