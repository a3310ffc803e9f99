"""`caffe summary`: counts by hand, and memory held against what a run really holds."""

from __future__ import annotations

from pathlib import Path

import pytest

import caffe
from caffe.tools.commands import summary

NET = """
name: "small"
layer { name: "data" type: "Input" top: "data" top: "label" include { phase: TRAIN }
        input_param { shape { dim: 2 dim: 3 dim: 10 dim: 8 } shape { dim: 2 dim: 5 dim: 4 } } }
layer { name: "data" type: "Input" top: "data" include { phase: TEST }
        input_param { shape { dim: 2 dim: 3 dim: 10 dim: 8 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 group: 1 weight_filler { type: "msra" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "score" type: "Convolution" bottom: "pool" top: "score"
        convolution_param { num_output: 5 kernel_size: 1 } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss"
        include { phase: TRAIN } }
"""


@pytest.fixture
def net(in_tmp: Path) -> str:
    Path("net.prototxt").write_text(NET)
    return "net.prototxt"


def test_counts_are_those_made_by_hand(net):
    found = summary.measure(net, "TEST", {})
    rows = {layer.name: layer for layer in found.layers}
    assert rows["conv"].params == 4 * 3 * 3 * 3 + 4
    assert rows["conv"].macs == (2 * 4 * 10 * 8) * (3 * 3 * 3)
    assert rows["conv"].memory == 4 * (2 * 4 * 10 * 8)
    assert rows["relu"].memory == rows["relu"].params == rows["relu"].macs == 0  # in place
    assert rows["pool"].tops == (("pool", (2, 4, 5, 4)),)
    assert rows["score"].macs == (2 * 5 * 5 * 4) * 4
    assert found.learned == 112 + 25
    assert found.testing == 4 * (2 * 3 * 80 + 2 * 4 * 80 + 2 * 4 * 20 + 2 * 5 * 20 + 137)


@pytest.mark.parametrize(
    ("layer", "macs"),
    [
        ('type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 3 stride: 2 group: 2 }',
         (2 * 6 * 5 * 4) * (2 * 3 * 3)),
        ('type: "InnerProduct" inner_product_param { num_output: 7 }', 2 * 7 * (6 * 5 * 4)),
        ('type: "InnerProduct" inner_product_param { num_output: 7 axis: 2 }', 2 * 6 * 7 * 20),
        ('type: "Pooling" pooling_param { kernel_size: 2 }', 0),
        ('type: "Scale"', 0),
    ],
)  # fmt: skip
def test_multiply_adds(in_tmp, layer, macs):
    Path("net.prototxt").write_text(
        'layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 dim: 5 dim: 4 } } }'
        f'layer {{ name: "y" bottom: "x" top: "y" {layer} }}'
    )
    assert summary.measure("net.prototxt", "TEST", {}).macs == macs


@pytest.mark.parametrize("static", [False, True])
def test_multiply_adds_of_a_recurrent_layer(in_tmp, static):
    steps, streams, inputs, out = 3, 2, 5, 4
    names = ["x", "cont"] + ["static"] * static
    dims = [(steps, streams, inputs), (steps, streams), (streams, 6)]
    text = "".join(
        f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ '
        + " ".join(f"dim: {dim}" for dim in shape) + " } } }"
        for name, shape in zip(names, dims, strict=False)
    )  # fmt: skip
    bottoms = " ".join(f'bottom: "{name}"' for name in names)
    text += f'layer {{ name: "r" type: "LSTM" {bottoms} top: "r" recurrent_param {{ num_output: {out} }} }}'
    Path("net.prototxt").write_text(text)
    once = streams * 4 * out * 6 if static else 0
    every = steps * streams * 4 * out * (inputs + out)
    assert summary.measure("net.prototxt", "TEST", {}).macs == every + once


def held(net: caffe.Net, history: list) -> int:
    """The bytes of every buffer that a net and its solver hold after running."""
    blobs = [*net.runner.blobs, *net.learnable]
    memories = {id(m): m for b in blobs for m in (b.data_memory, b.diff_memory) if m.allocated}
    kept = [value for layer in net.layers for value in vars(layer).values()]
    inner = [blob for blob in kept if isinstance(blob, caffe._caffe.Blob)]
    memories |= {id(b.data_memory): b.data_memory for b in inner if b.data_memory.allocated}
    return 4 * (sum(m.size for m in memories.values()) + sum(t.numel() for entry in history for t in entry))


@pytest.mark.parametrize(("solver", "histories"), [("SGD", 1), ("Adam", 2)])
def test_training_memory_is_what_a_training_step_leaves(net, solver, histories):
    predicted = summary.measure(net, "TRAIN", {}).training(histories)
    Path("solver.prototxt").write_text(
        f'net: "net.prototxt" type: "{solver}" base_lr: 0.1 lr_policy: "fixed" snapshot_after_train: false'
    )
    running = caffe.get_solver("solver.prototxt")
    running.step(1)
    assert predicted == held(running.net, running._updates.history)


def test_testing_memory_is_what_a_forward_leaves(net):
    predicted = summary.measure(net, "TEST", {}).testing
    running = caffe.Net(net, caffe.TEST)
    running.forward()
    assert predicted == held(running, [])


def test_shared_memory_counts_once(in_tmp):
    Path("net.prototxt").write_text(
        """layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 2 dim: 6 } } }
        layer { name: "a" type: "InnerProduct" bottom: "x" top: "a" param { name: "w" } param { name: "b" }
                inner_product_param { num_output: 6 } }
        layer { name: "b" type: "InnerProduct" bottom: "a" top: "b" param { name: "w" } param { name: "b" }
                inner_product_param { num_output: 6 } }
        layer { name: "flat" type: "Reshape" bottom: "b" top: "flat" reshape_param { shape { dim: 12 } } }
        layer { name: "p" type: "Power" bottom: "x" top: "p" }"""
    )
    found = summary.measure("net.prototxt", "TEST", {})
    assert found.learned == 42  # of the two equal layers, once
    assert found.data == 4 * (12 * 4)  # x and its splits, a, b and flat, p


def test_sizes_reach_every_input(net, capsys):
    assert summary.main([net, "--size", "20x16", "--phase", "TEST"]) == 0
    assert "2x4x20x16" in capsys.readouterr().out
    assert summary.main([net, "data=1x3x32x32", "label=1x16x16", "--phase", "TRAIN"]) == 0
    assert "1x5x16x16" in capsys.readouterr().out


def test_a_net_is_measured_without_its_data(in_tmp, capsys):
    Path("net.prototxt").write_text(
        """layer { name: "data" type: "Python" top: "data" top: "label"
                python_param { module: "not_here" layer: "Images" } }
        layer { name: "score" type: "Convolution" bottom: "data" top: "score"
                convolution_param { num_output: 5 kernel_size: 1 } }
        layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }"""
    )
    assert summary.main(["net.prototxt"]) == 1
    out = capsys.readouterr().out
    assert "not_here" in out and "give the shapes" in out
    assert summary.main(["net.prototxt", "--size", "500x375"]) == 0
    out = capsys.readouterr().out
    assert "TRAIN and TEST:" in out and "1x5x500x375" in out and "1x1x500x375" in out


def test_the_report_has_a_line_per_phase(net, capsys):
    assert summary.main([net]) == 0
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "TRAIN:" and "TEST:" in out  # the phases have different layers
    assert out[-2].startswith("TRAIN ") and "gradients" in out[-2]
    assert out[-1].startswith("TEST ")
    total = next(line.split() for line in out if line.startswith("total"))
    assert total[1] == "137"


def test_what_cannot_be_meant_is_refused(net, capsys):
    assert summary.main([net, "image=1x3x8x8"]) == 1
    assert "no input or data layer has a top 'image'" in capsys.readouterr().out
    for wrong in (["data=1x3xH"], ["--size", "500"], ["data"], ["--size", "0x5"]):
        with pytest.raises(SystemExit):
            summary.main([net, *wrong])


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 * 2**30, "3.0 GiB")]
)
def test_bytes_are_said_in_a_fitting_unit(count, text):
    assert summary.bytes_text(count) == text
