"""The fast path leaves in every blob what the reference path leaves there, whatever happens in between."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe

pytest.importorskip("numba", reason="the fast path needs numba")

#: Largest difference over the largest value: what two orders of adding float32 differ by, times the layers.
TOLERANCE = 2e-5

Pair: TypeAlias = "tuple[caffe.Net, caffe.Net]"

SETTINGS = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Drawn:
    """A random net, layer by layer, over maps that are known by name, channels and smallest size."""

    def __init__(self, draw: Callable, size: int) -> None:
        self.draw, self.count = draw, 0
        channels = draw(st.sampled_from([1, 3, 16, 32]))
        height, width = draw(st.integers(5, 24)), draw(st.integers(5, 24))
        self.batch = draw(st.integers(1, 3))
        self.text = [
            f'layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: {self.batch} '
            f"dim: {channels} dim: {height} dim: {width} }} }} }}"
        ]
        self.top, self.channels = "data", channels
        for _ in range(size):
            draw(st.sampled_from([
                self.convolution, self.convolution, self.pooling, self.relu, self.normal, self.lrn,
                self.branches, self.joined, self.residual, self.dropout, self.power,
            ]))()  # fmt: skip
        if draw(st.booleans()):
            self.inner_product()
        if draw(st.booleans()):
            self.add("Softmax", [self.top], "")

    def inner_product(self) -> None:
        """One number of each channel, and scores of them: the end of a classifier."""
        self.add("Pooling", [self.top], "pooling_param { pool: AVE global_pooling: true }")
        self.add("InnerProduct", [self.top], (
            f"inner_product_param {{ num_output: {self.draw(st.sampled_from([1, 7, 40]))} "
            f"bias_term: {self.draw(st.sampled_from(['true', 'false']))} "
            f"transpose: {self.draw(st.sampled_from(['false', 'false', 'true']))} "
            'weight_filler { type: "msra" } bias_filler { type: "gaussian" } }'
        ))  # fmt: skip

    def add(self, kind: str, bottoms: list[str], params: str, in_place: bool = False) -> None:
        self.count += 1
        top = bottoms[0] if in_place else f"{kind.lower()}{self.count}"
        ends = " ".join(f'bottom: "{bottom}"' for bottom in bottoms)
        self.text.append(
            f'layer {{ name: "{kind}{self.count}" type: "{kind}" {ends} top: "{top}" {params} }}'
        )
        self.top = top

    def convolution(self) -> None:
        draw = self.draw
        kernel = draw(st.sampled_from([1, 3, 3, 3, 5, 7]))
        dilation = draw(st.sampled_from([1, 1, 2]))
        pad = draw(st.integers(dilation * (kernel // 2), 40 if draw(st.booleans()) else 6 + kernel))
        group = draw(st.sampled_from([1, 1, 1, 2, self.channels]))
        group = group if self.channels % group == 0 else 1
        outputs = (
            self.channels
            if group == self.channels and group > 1
            else group * draw(st.sampled_from([5, 16, 32, 48]))
        )
        self.add("Convolution", [self.top], (
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {pad} "
            f"dilation: {dilation} stride: {draw(st.sampled_from([1, 1, 1, 2]))} group: {group} "
            f"bias_term: {draw(st.sampled_from(['true', 'false']))} "
            'weight_filler { type: "msra" } bias_filler { type: "gaussian" std: 0.5 } }'
        ))  # fmt: skip
        self.channels = outputs
        if draw(st.booleans()):
            self.relu()
        if draw(st.booleans()):
            self.add("Pooling", [self.top], "pooling_param { pool: MAX kernel_size: 2 stride: 2 }")

    def pooling(self) -> None:
        kernel = self.draw(st.integers(1, 3))
        self.add("Pooling", [self.top], (
            f"pooling_param {{ pool: {self.draw(st.sampled_from(['MAX', 'AVE']))} kernel_size: {kernel} "
            f"stride: {self.draw(st.integers(1, min(2, kernel)))} "
            f"pad: {self.draw(st.integers(0, kernel - 1))} }}"
        ))  # fmt: skip

    def relu(self) -> None:
        slope = self.draw(st.sampled_from([0, 0, 0.1, -0.5]))
        self.add("ReLU", [self.top], f"relu_param {{ negative_slope: {slope} }}", self.draw(st.booleans()))

    def normal(self) -> None:
        self.add("BatchNorm", [self.top], "", self.draw(st.booleans()))
        self.add("Scale", [self.top], (
            'scale_param { bias_term: true filler { type: "gaussian" std: 1 } '
            'bias_filler { type: "gaussian" } }'
        ), self.draw(st.booleans()))  # fmt: skip

    def lrn(self) -> None:
        self.add("LRN", [self.top], "lrn_param { local_size: 5 alpha: 0.1 beta: 0.75 }")

    def dropout(self) -> None:
        self.add("Dropout", [self.top], "", self.draw(st.booleans()))

    def power(self) -> None:
        """Something that the fast path leaves to the layer, and that leaves errors in proportion."""
        self.add("Power", [self.top], "power_param { scale: -0.5 }", self.draw(st.booleans()))

    def branches(self) -> None:
        source = self.top
        self.add("Convolution", [source], self._one_by_one(self.channels))
        left = self.top
        if self.draw(st.booleans()):
            self.add(
                "Eltwise",
                [left, source],
                f"eltwise_param {{ coeff: 1 coeff: {self.draw(st.sampled_from([1, -2]))} }}",
            )
        else:
            self.add("Concat", [left, source], "")
            self.channels *= 2

    def joined(self) -> None:
        """Convolutions that nothing but a Concat reads, as in an inception module."""
        source, made, channels = self.top, [], 0
        for _ in range(self.draw(st.integers(2, 3))):
            outputs = self.draw(st.sampled_from([16, 16, 32, 5]))
            self.add("Convolution", [source], self._one_by_one(outputs, self.draw(st.sampled_from([1, 3]))))
            if self.draw(st.booleans()):
                self.add("ReLU", [self.top], "", in_place=True)
            made.append(self.top)
            channels += outputs
        self.add("Concat", made, "")
        self.channels = channels

    def residual(self) -> None:
        """A convolution added to what was there before it, in either order, and maybe a ReLU."""
        source = self.top
        kernel = self.draw(st.sampled_from([1, 1, 3, 7]))
        self.add("Convolution", [source], self._one_by_one(self.channels, kernel))
        if self.draw(st.booleans()):
            self.add("BatchNorm", [self.top], "", in_place=True)
        self.add("Eltwise", self.draw(st.permutations([self.top, source])), "")
        if self.draw(st.booleans()):
            self.add("ReLU", [self.top], "", in_place=self.draw(st.booleans()))

    def _one_by_one(self, outputs: int, kernel: int = 1) -> str:
        return (
            f"convolution_param {{ num_output: {outputs} kernel_size: {kernel} pad: {kernel // 2} "
            'weight_filler { type: "msra" } }'
        )


@st.composite
def nets(draw: Callable) -> str:
    return "\n".join(Drawn(draw, draw(st.integers(1, 7))).text)


def build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> Pair:
    """The same net twice, with the same random weights and input."""
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    caffe.set_random_seed(3)
    made = caffe.Net(str(path), caffe.TEST), caffe.Net(str(path), caffe.TEST)
    rng = np.random.default_rng(5)
    for name, params in made[0].params.items():
        for index, blob in enumerate(params):
            if name.startswith("BatchNorm"):
                blob.data[...] = rng.uniform(0.5, 2, blob.shape)
            made[1].params[name][index].data[...] = blob.data
    fill(made, rng)
    return made


def fill(pair: Pair, rng: np.random.Generator) -> None:
    values = rng.normal(0, 2, pair[0].blobs["data"].shape)
    for net in pair:
        net.blobs["data"].data[...] = values


def forward(pair: Pair, monkeypatch: pytest.MonkeyPatch, **ends: str) -> None:
    for net, algorithms in zip(pair, ("fast", "reference")):
        monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
        net.forward(**ends)


def same(pair: Pair, names: Sequence[str] | None = None) -> None:
    for name in names or pair[0].blobs:
        found, wanted = pair[0].blobs[name].data, pair[1].blobs[name].data
        assert found.shape == wanted.shape, name
        np.testing.assert_allclose(
            found, wanted, rtol=0, atol=TOLERANCE * max(1e-3, np.abs(wanted).max()), err_msg=name
        )


@pytest.fixture(autouse=True)
def settings_as_they_were() -> Iterator[None]:
    """Leaves memory saving off, and as many threads as there were."""
    threads = torch.get_num_threads()
    yield
    caffe.set_memory_saving(False)
    torch.set_num_threads(threads)


@SETTINGS
@given(text=nets(), data=st.data(), saving=st.booleans())
def test_every_blob_of_any_net(tmp_path, monkeypatch, text, data, saving):
    caffe.set_memory_saving(saving)
    pair = build(tmp_path, monkeypatch, text)
    forward(pair, monkeypatch)
    same(pair, data.draw(st.permutations(list(pair[0].blobs))))


@SETTINGS
@given(text=nets(), data=st.data(), saving=st.booleans())
def test_whatever_happens_between_passes(tmp_path, monkeypatch, text, data, saving):
    caffe.set_memory_saving(saving)
    pair = build(tmp_path, monkeypatch, text)
    rng = np.random.default_rng(11)
    held = {name: [net.params[name][0].data for net in pair] for name in list(pair[0].params)[:1]}
    blobs = list(pair[0].blobs)
    layers = list(pair[0]._layer_names)

    def new_input():
        fill(pair, rng)

    def new_size():
        dims = pair[0].blobs["data"].shape
        grown = [dims[0], dims[1], dims[2] + int(rng.integers(0, 4)), dims[3] + int(rng.integers(0, 4))]
        for net in pair:
            net.blobs["data"].reshape(*grown)
        fill(pair, rng)

    def write_weights():
        for name in pair[0].params:
            if not name.startswith("BatchNorm"):
                values = rng.normal(0, 0.2, pair[0].params[name][0].shape)
                for net in pair:
                    net.params[name][0].data[...] = values

    def write_through_an_old_array():
        for arrays in held.values():
            factor = rng.uniform(0.5, 1.5)
            for array in arrays:
                array *= factor

    def part_of_the_net():
        start = data.draw(st.sampled_from(layers))
        forward(pair, monkeypatch, start=start)

    def up_to_a_layer():
        forward(pair, monkeypatch, end=data.draw(st.sampled_from(layers)))

    def read_some():
        same(pair, data.draw(st.lists(st.sampled_from(blobs), max_size=3, unique=True)) or None)

    def passes():
        for _ in range(3):
            fill(pair, rng)
            forward(pair, monkeypatch)

    def other_threads():
        torch.set_num_threads(data.draw(st.integers(1, 4)))

    def switch_saving():
        caffe.set_memory_saving(data.draw(st.booleans()))

    def hold_a_blob():
        name = data.draw(st.sampled_from(blobs))
        held_blob = [net.blobs[name].data for net in pair]
        forward(pair, monkeypatch)
        np.testing.assert_allclose(held_blob[0], held_blob[1], rtol=0,
                                   atol=TOLERANCE * max(1e-3, np.abs(held_blob[1]).max()))  # fmt: skip

    forward(pair, monkeypatch)
    deeds = [
        new_input, new_size, write_weights, write_through_an_old_array, part_of_the_net, up_to_a_layer,
        read_some, switch_saving, hold_a_blob, passes, passes, other_threads,
    ]  # fmt: skip
    for deed in data.draw(st.lists(st.sampled_from(deeds), min_size=1, max_size=6)):
        deed()
        forward(pair, monkeypatch)
    same(pair)


@SETTINGS
@given(text=nets(), data=st.data(), saving=st.booleans(), phase=st.sampled_from([caffe.TEST, caffe.TRAIN]))
def test_a_net_that_nobody_holds_is_let_go_at_once(tmp_path, monkeypatch, text, data, saving, phase):
    """Nets come one after another in less memory than two take: none waits for the garbage collector."""
    monkeypatch.setenv("CAFFE_ALGORITHMS", "fast")
    caffe.set_memory_saving(saving)
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    gc.disable()
    try:
        net = caffe.Net(str(path), phase)
        for _ in range(data.draw(st.integers(1, 3))):
            net.forward()
            if phase == caffe.TRAIN and data.draw(st.booleans()):
                net.backward()
        for name in data.draw(st.lists(st.sampled_from(list(net.blobs)), max_size=2)):
            assert net.blobs[name].data is not None
        gone = [weakref.ref(layer) for layer in net.layers]
        del net
        assert not [layer for layer in gone if layer() is not None]
    finally:
        gc.enable()


AMID = """
layer {{ name: "data" type: "Input" top: "data" input_param {{ shape {{ dim: 1 dim: 16 dim: 12 dim: 9 }} }} }}
layer {{ name: "before" type: "Convolution" bottom: "data" top: "before" convolution_param {{ num_output: 32
  kernel_size: 3 pad: 1 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "amid" type: "Python" bottom: "before" top: "amid"
  python_param {{ module: "{module}" layer: "Amid" }} }}
layer {{ name: "after" type: "Convolution" bottom: "amid" top: "after" convolution_param {{ num_output: 16
  kernel_size: 3 weight_filler {{ type: "msra" }} }} }}
layer {{ name: "prob" type: "Softmax" bottom: "after" top: "prob" }}
"""


@pytest.mark.parametrize("deed", ["shapes", "weights", "nothing"])
def test_a_layer_of_the_users_own_between_convolutions(tmp_path, monkeypatch, deed):
    """It may do something else in each pass: make other shapes, or write into the layers that follow."""
    module = f"amid_{deed}"
    (tmp_path / f"{module}.py").write_text(f"""
import caffe
class Amid(caffe.Layer):
    deed, nets = "{deed}", {{}}
    def setup(self, bottom, top): self.passes = 0
    def reshape(self, bottom, top):
        rows = 12 - (self.passes // 2 % 2 if self.deed == "shapes" else 0)
        top[0].reshape(1, 32, rows, 9)
    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[:, :, :top[0].height]
        self.passes += 1
        if self.deed == "weights":
            self.nets[id(self)] *= -1.25
    def backward(self, top, propagate_down, bottom): pass
""")
    monkeypatch.syspath_prepend(str(tmp_path))
    pair = build(tmp_path, monkeypatch, AMID.format(module=module))
    amid = __import__(module).Amid
    for net in pair:
        amid.nets[id(net.layers[2])] = net.params["after"][0].data
    rng = np.random.default_rng(7)
    for _ in range(9):
        fill(pair, rng)
        forward(pair, monkeypatch)
        same(pair)
