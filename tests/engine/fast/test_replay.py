"""Passes replayed from graphs hold what passes layer by layer would.

There need be no CUDA device: the graph is a stand-in that keeps a graph's rules. While it is recorded nothing
is computed and the host may ask for no value; replayed, it does the same operations over and over, from and
to the same memory, and no Python of the engine runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import caffe
from caffe._caffe import device
from caffe._caffe.fast import replay

NET = """
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 12 dim: 10 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 6 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "pool" top: "pool" }
layer { name: "up" type: "Deconvolution" bottom: "pool" top: "up"
        convolution_param { num_output: 6 kernel_size: 4 stride: 2 pad: 1 weight_filler { type: "msra" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "conv" top: "crop" crop_param { axis: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "conv" top: "sum" }
layer { name: "score" type: "Convolution" bottom: "sum" top: "score"
        convolution_param { num_output: 4 kernel_size: 1 weight_filler { type: "msra" } } }
layer { name: "prob" type: "Softmax" bottom: "score" top: "prob" }
"""
LABELLED = """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 dim: 1 dim: 12 dim: 10 } } }
layer { name: "accuracy" type: "Accuracy" bottom: "prob" bottom: "label" top: "accuracy" }
"""

DRAWN = """
layer { name: "draw" type: "DummyData" top: "draw"
        dummy_data_param { shape { dim: 2 } data_filler { type: "gaussian" } } }
"""


class Graph(TorchDispatchMode):
    """Keeps the operations of a pass with the tensors that they read and wrote."""

    recorded = replayed = 0  # in a test

    def __init__(self) -> None:
        super().__init__()
        self._calls: list[tuple[Any, tuple, dict, list[torch.Tensor]]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        if func is torch.ops.aten._local_scalar_dense.default:
            raise RuntimeError("the host asks for a value while a graph is recorded")
        assert not func._schema.is_mutable or self._own(args[0]), f"{func} writes over what was there before"
        made = func(*args, **kwargs or {})
        self._calls.append((func, args, kwargs or {}, tensors_in(made)))
        return made

    def _own(self, tensor: torch.Tensor) -> bool:
        places = {each.untyped_storage().data_ptr() for *_, made in self._calls for each in made}
        return tensor.untyped_storage().data_ptr() in places

    def forget_results(self) -> None:
        """Nothing was computed while the graph was recorded."""
        for _, args, kwargs, made in self._calls:
            read = {each.untyped_storage().data_ptr() for each in tensors_in((args, kwargs))}
            for tensor in made:
                if tensor.untyped_storage().data_ptr() not in read and tensor.is_floating_point():
                    tensor.fill_(torch.nan)

    def replay(self) -> None:
        """Do it all again."""
        for func, args, kwargs, before in self._calls:
            for old, new in zip(before, tensors_in(func(*args, **kwargs))):
                if old.data_ptr() != new.data_ptr():
                    old.copy_(new)
        Graph.replayed += 1


def tensors_in(tree: object) -> list[torch.Tensor]:
    return [leaf for leaf in tree_leaves(tree) if isinstance(leaf, torch.Tensor)]


def record(run: Callable[[], object]) -> Callable[[], None]:
    with Graph() as graph:
        run()
    graph.forget_results()
    Graph.recorded += 1
    return graph.replay


@pytest.fixture(autouse=True)
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A device, another place than the host to the engine, that has graphs where they are asked for."""
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu", 0))
    monkeypatch.setattr(replay, "available", device.graphs)
    monkeypatch.setattr(replay, "record", record)
    monkeypatch.setenv("CAFFE_ALGORITHMS", "reference")
    Graph.recorded = Graph.replayed = 0
    caffe.set_graphs(True)
    yield
    caffe.set_graphs(False)


@pytest.fixture
def pair(net_of: Callable[..., caffe.Net]) -> tuple[caffe.Net, Callable[[np.ndarray], None]]:
    """A net, and what feeds it and compares all of its blobs with those of another, run layer by layer."""
    nets = [net_of(NET) for _ in range(2)]
    for net in nets:
        rng = np.random.default_rng(0)
        for blobs in net.params.values():
            for blob in blobs:
                blob.data[...] = rng.random(blob.shape) + 0.1

    def check(image: np.ndarray, **kwargs: Any) -> None:
        for net, wanted in zip(nets, (True, False)):
            caffe.set_graphs(wanted)
            net.blobs["data"].reshape(*image.shape)
            net.blobs["data"].data[...] = image
            net.forward(**kwargs)
        for name, blob in nets[1].blobs.items():
            np.testing.assert_array_equal(nets[0].blobs[name].data, blob.data, err_msg=name)

    return nets[0], nets[1], check


def image(seed: int, height: int = 12, width: int = 10) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(1, 3, height, width)).astype(np.float32)


def test_every_blob_holds_what_layers_would_leave(pair):
    *_, check = pair
    for seed in range(6):
        check(image(seed))
    assert (Graph.recorded, Graph.replayed) == (1, 4)


def test_images_of_several_shapes_take_turns(pair):
    *_, check = pair
    for seed in range(12):
        check(image(seed, *[(12, 10), (8, 14), (16, 6)][seed % 3]))
    assert (Graph.recorded, Graph.replayed) == (3, 6)


def test_a_bounded_number_of_graphs_is_kept(pair):
    net, _, check = pair
    for height in range(6, 6 + 2 * replay.MOST):
        for seed in range(3):
            check(image(seed, height))
    assert len(net.runner._replays._kept) == replay.MOST


def test_weights_that_change_count(pair):
    net, other, check = pair
    for seed in range(4):
        check(image(seed))
    for each in (net, other):
        each.params["conv"][0].data[...] *= 2
    for seed in range(4):
        check(image(seed))
    assert Graph.recorded == 2
    for each in (net, other):  # in place, as a solver does: the graph reads the same memory
        weight = each.params["score"][0]
        weight.value.mul_(2)
        weight.data_memory.touched()
    check(image(9))
    assert Graph.recorded == 2


def test_arrays_that_somebody_holds_are_filled_and_read(pair):
    net, other, check = pair
    held = [(each.blobs["data"].data, each.blobs["prob"].data) for each in (net, other)]
    for seed in range(5):
        check(image(seed))
        np.testing.assert_array_equal(held[0][1], held[1][1])
    for (data, _), each, wanted in zip(held, (net, other), (True, False)):
        caffe.set_graphs(wanted)
        data[...] = 3
        each.forward()
    np.testing.assert_array_equal(held[0][1], held[1][1])
    assert Graph.replayed >= 3


def test_parts_of_a_net_and_callbacks_run_layer_by_layer(pair):
    net, _, check = pair
    for seed in range(4):
        check(image(seed))
    replayed = Graph.replayed
    check(image(5), end="pool")
    check(image(6), start="pool")
    seen: list[int] = []
    net.after_forward(seen.append)
    check(image(7))
    assert len(seen) == len(net.layers) and Graph.replayed == replayed


def test_backward_follows_a_replayed_pass(net_of):
    nets = [net_of("force_backward: true\n" + NET) for _ in range(2)]
    for name, blobs in nets[1].params.items():
        for mine, blob in zip(nets[0].params[name], blobs):
            mine.data[...] = blob.data
    for seed in range(5):
        for net, wanted in zip(nets, (True, False)):
            caffe.set_graphs(wanted)
            net.blobs["data"].data[...] = image(seed)
            net.forward()
            net.blobs["prob"].diff[...] = image(seed, 12, 10)[:, :1]
            net.backward()
        for name, blob in nets[1].blobs.items():
            np.testing.assert_array_equal(nets[0].blobs[name].diff, blob.diff, err_msg=name)
    assert Graph.replayed == 3


@pytest.mark.parametrize("more", [LABELLED, DRAWN])
def test_nets_that_need_the_host_run_layer_by_layer(net_of, more):
    net = net_of(NET + more)
    for _ in range(5):
        net.forward()
    assert Graph.recorded == 0


def test_a_pass_that_cannot_be_recorded_is_run(pair, monkeypatch, glog):
    *_, check = pair

    def refuse(run: Callable[[], object]) -> Callable[[], None]:
        run()
        raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(replay, "record", refuse)
    caffe.init_log(0)
    for seed in range(5):
        check(image(seed))
    assert sum("not permitted when stream is capturing" in line for line in glog) == 1
