"""caffe.set_checkpointing on the fast path: the training of the fast path, to the bit, in less memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")

CONVOLUTION = (
    'layer {{ name: "{top}" type: "Convolution" bottom: "{bottom}" top: "{top}" convolution_param {{ '
    'num_output: {out} kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}\n'
    'layer {{ name: "{top}_relu" type: "ReLU" bottom: "{top}" top: "{top}" }}\n'
)
POOLING = (
    'layer {{ name: "{top}" type: "Pooling" bottom: "{bottom}" top: "{top}" '
    "pooling_param {{ pool: MAX kernel_size: 2 stride: 2 }} }}\n"
)


def inputs(**shapes: tuple[int, ...]) -> str:
    """Input layers of these names and shapes."""
    return "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {dim}' for dim in shape)} }} }} }}\n"
        for name, shape in shapes.items()
    )


def stage(number: int, bottom: str) -> str:
    a, b, pool = f"a{number}", f"b{number}", f"pool{number}"
    return (
        CONVOLUTION.format(top=a, bottom=bottom, out=32)
        + f'layer {{ name: "drop{number}" type: "Dropout" bottom: "{a}" top: "{a}" }}\n'
        + CONVOLUTION.format(top=b, bottom=a, out=16)
        + POOLING.format(top=pool, bottom=b)
    )


#: Three stages, a skip from the first that is upsampled and cropped, and a loss.
NET = inputs(data=(1, 3, 34, 30), target=(1, 16, 17, 15)) + stage(1, "data") + stage(2, "pool1") + (
    CONVOLUTION.format(top="deep", bottom="pool2", out=16)
    + 'layer { name: "up" type: "Deconvolution" bottom: "deep" top: "up" convolution_param { num_output: 16 '
    'group: 16 kernel_size: 4 stride: 2 weight_filler { type: "bilinear" } } }\n'
    'layer { name: "crop" type: "Crop" bottom: "up" bottom: "pool1" top: "crop" crop_param { axis: 2 } }\n'
    'layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "pool1" top: "sum" }\n'
    'layer { name: "loss" type: "EuclideanLoss" bottom: "sum" bottom: "target" top: "loss" }\n'
)  # fmt: skip


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> Iterator[None]:
    """The fast path, however small the net."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    Path("net.prototxt").write_text(NET)
    Path("solver.prototxt").write_text(
        'train_net: "net.prototxt" base_lr: 1e-3 momentum: 0.9 weight_decay: 0.001 lr_policy: "fixed" '
        "iter_size: 2"
    )
    yield
    caffe.set_checkpointing(False)


def alike(deed: Callable[[caffe.Solver], object], sizes: tuple[tuple[int, int], ...] = ((34, 30),)) -> None:
    """What `deed` does to a solver is the same with blobs dropped and without: parameters and their diffs."""
    found = []
    for dropping in (False, True):
        caffe.set_checkpointing(dropping)
        caffe.set_random_seed(3)
        solver = caffe.SGDSolver("solver.prototxt")
        rng = np.random.default_rng(5)
        for height, width in sizes:
            solver.net.blobs["data"].reshape(1, 3, height, width)
            solver.net.blobs["target"].reshape(1, 16, height // 2, width // 2)
            for name in ("data", "target"):
                blob = solver.net.blobs[name]
                blob.data[...] = rng.normal(size=blob.shape)
            deed(solver)
        found.append({name: [np.stack([blob.data, blob.diff]) for blob in blobs]
                      for name, blobs in solver.net.params.items()})  # fmt: skip
    for name, blobs in found[0].items():
        for number, values in enumerate(blobs):
            np.testing.assert_array_equal(found[1][name][number], values, err_msg=f"{name} {number}")


def test_steps_of_a_solver():
    alike(lambda solver: solver.step(3))


def test_images_of_several_sizes():
    alike(lambda solver: solver.step(1), ((34, 30), (48, 20), (20, 48), (34, 30)))


@pytest.mark.parametrize("name", ["a1", "b1", "pool1", "a2", "up"])
def test_blobs_are_read_and_written_between_the_passes(name):
    seen = []

    def deed(solver: caffe.Solver) -> None:
        net = solver.net
        net.clear_param_diffs()
        for _ in range(2):
            net.forward()
            seen.append(net.blobs[name].data.copy())
            net.blobs["pool2"].data[...] *= 1.5
            net.backward()

    alike(deed)
    np.testing.assert_array_equal(seen[:2], seen[2:])


def test_dropped_planes_are_used_again():
    caffe.set_checkpointing(True)
    solver = caffe.SGDSolver("solver.prototxt")
    solver.step(2)
    (arena,) = {part._path._arena for part in solver.net.runner._checkpoints[True]._segments[0]._parts}
    count = arena.count
    solver.step(3)
    assert arena.count == count


def test_a_net_goes_on_without_checkpoints():
    def deed(solver: caffe.Solver) -> None:
        wanted = caffe._caffe.device.checkpointing()
        for dropping in (wanted, False, wanted):
            caffe.set_checkpointing(dropping)
            solver.step(1)
            solver.net.forward(end="pool2")

    alike(deed)
