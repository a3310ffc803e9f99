"""Host and device copies of a blob keep in step: Caffe's SyncedMemory, without needing a GPU.

`cpu:0` stands for a device: to the engine it is another place than `cpu`, with copies of its own, while the
arithmetic is the CPU's. What is stale or sent too late shows as wrong numbers.
"""

from __future__ import annotations

import gc
from pathlib import Path

import numpy as np
import pytest
import torch

from caffe._caffe import device
from caffe._caffe.blob import make_blob
from tests.engine.support import golden


@pytest.fixture(autouse=True)
def second_place(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> None:
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu", 0))
    monkeypatch.syspath_prepend(str(golden.GOLDEN / "layers" / "py"))


def test_the_device_has_a_copy_of_its_own():
    blob = make_blob((3,))
    blob.data[...] = [1, 2, 3]
    on_device = blob.value
    assert on_device.tolist() == [1, 2, 3]
    assert on_device.data_ptr() != torch.from_numpy(blob.data).data_ptr()


def test_an_array_taken_before_sees_results_and_is_seen():
    blob = make_blob((3,))
    held = blob.data
    blob.put(torch.tensor([1.0, 2.0, 3.0]))
    assert held.tolist() == [1, 2, 3]
    held[1] = 9
    assert blob.value.tolist() == [1, 9, 3]


def test_what_was_written_through_an_array_that_is_gone_is_sent():
    blob = make_blob((3,))
    blob.data[...] = 1
    assert blob.value.sum() == 3
    blob.data[...] = 2
    gc.collect()
    assert blob.value.sum() == 6


def test_work_in_place_on_the_device_comes_back():
    blob = make_blob((3,))
    blob.data[...] = 1
    blob.diff[...] = 0.25
    held = blob.data
    blob.update()
    assert held.tolist() == [0.75] * 3
    del held
    gc.collect()
    blob.update()
    assert blob.data.tolist() == [0.5] * 3


def test_changing_the_place_keeps_the_numbers(monkeypatch):
    blob = make_blob((2,))
    blob.put(torch.tensor([1.0, 2.0]))
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu"))
    assert blob.value.tolist() == [1, 2]
    blob.put(torch.tensor([3.0, 4.0]))
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu", 0))
    assert blob.value.tolist() == [3, 4]


@pytest.mark.parametrize("which", golden.numeric())
def test_numbers(which):
    golden.replay(which)


@pytest.mark.filterwarnings("ignore:unclosed file:ResourceWarning")
@pytest.mark.parametrize("name", golden.names("api"))
def test_program(name):
    golden.check_program("api", *golden.load("api", name), rtol=1e-4, atol=1e-6)


def test_surgery_on_parameters_between_steps():
    case, meta = golden.load("solvers", "sgd_momentum")
    solver = golden.make_solver(case, meta)
    golden.set_params(solver.net, case)
    weight = next(iter(solver.net.params.values()))[0]
    held = weight.data
    golden.train(solver, case, meta, 0, 2)
    np.testing.assert_array_equal(held, weight.value.numpy())
    held[...] = 0
    solver.net.forward()
    assert not weight.value.any()
