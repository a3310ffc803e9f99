"""A training step looks at no value that is on the device: the host would have to wait for it.

The device is PyTorch's `meta`, whose tensors have shapes and no values: whatever asks for one fails.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import caffe
from caffe._caffe import device

NET = """
layer { name: "data" type: "Input" top: "data" top: "wanted"
        input_param { shape { dim: 1 dim: 3 dim: 16 dim: 16 } shape { dim: 1 dim: 2 dim: 16 dim: 16 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 8 kernel_size: 3 pad: 1 weight_filler { type: "msra" } } }
layer { name: "norm" type: "BatchNorm" bottom: "conv" top: "conv" }
layer { name: "scale" type: "Scale" bottom: "conv" top: "conv" scale_param { bias_term: true } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool" pooling_param { kernel_size: 2 stride: 2 } }
layer { name: "mean" type: "Pooling" bottom: "pool" top: "mean"
        pooling_param { pool: AVE kernel_size: 2 stride: 2 } }
layer { name: "drop" type: "Dropout" bottom: "mean" top: "mean" }
layer { name: "score" type: "Convolution" bottom: "mean" top: "score"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "skip" type: "Convolution" bottom: "pool" top: "skip"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "up" type: "Deconvolution" bottom: "score" top: "up"
        convolution_param { num_output: 2 kernel_size: 2 stride: 2 } }
layer { name: "sum" type: "Eltwise" bottom: "up" bottom: "skip" top: "sum" }
layer { name: "up2" type: "Deconvolution" bottom: "sum" top: "up2"
        convolution_param { num_output: 2 kernel_size: 4 stride: 2 } }
layer { name: "crop" type: "Crop" bottom: "up2" bottom: "wanted" top: "crop"
        crop_param { axis: 2 offset: 1 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "crop" bottom: "wanted" top: "loss" }
"""
#: The same with the loss of a segmentation, whose labels the host has to look at.
LABELLED = (
    "\n".join(NET.splitlines()[:-1])
    + """
layer { name: "label" type: "Input" top: "label" input_param { shape { dim: 1 dim: 1 dim: 16 dim: 16 } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "crop" bottom: "label" top: "loss"
        loss_param { ignore_label: 255 } }
"""
)
#: A net whose loss is another one each time.
RANDOM = """
layer { name: "data" type: "DummyData" top: "a" top: "b" dummy_data_param {
        shape { dim: 4 dim: 3 } shape { dim: 4 dim: 2 }
        data_filler { type: "gaussian" } data_filler { type: "gaussian" } } }
layer { name: "score" type: "InnerProduct" bottom: "a" top: "score" inner_product_param { num_output: 2 } }
layer { name: "loss" type: "EuclideanLoss" bottom: "score" bottom: "b" top: "loss" }
"""


@pytest.fixture(autouse=True)
def no_values(monkeypatch: pytest.MonkeyPatch, in_tmp: Path) -> None:
    """A device without values, and without random numbers."""
    monkeypatch.setattr(device, "current", lambda: torch.device("meta"))
    monkeypatch.setattr(device, "generator", lambda: None)
    Path("net.prototxt").write_text(NET)


@pytest.mark.parametrize("kind", ["SGD", "Adam"])
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("text", [NET, LABELLED])
def test_a_training_step_waits_for_nothing(kind, precision, text):
    Path("net.prototxt").write_text(text)
    Path("solver.prototxt").write_text(
        f'net: "net.prototxt" type: "{kind}" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" weight_decay: 0.1'
        " average_loss: 20 iter_size: 2"
    )
    caffe.set_precision(precision)
    try:
        caffe.get_solver("solver.prototxt").step(3)
    finally:
        caffe.set_precision("float32")


def test_labels_that_the_host_has_are_looked_at_there():
    Path("net.prototxt").write_text(LABELLED)
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    label = net.blobs["label"]
    label.data[...] = 255
    label.data[0, 0, 3] = 1
    net.runner.launch()
    assert net.layers[-1].saved.norm == 16
    label.data[0, 0, 4] = 2
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):  # where the message is made
        net.runner.launch()


def test_the_device_has_no_values():
    net = caffe.Net("net.prototxt", caffe.TEST)
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        net.forward()


def test_losses_that_are_read_late_are_shown_as_on_the_host(monkeypatch, glog):
    Path("net.prototxt").write_text(RANDOM)
    Path("solver.prototxt").write_text(
        'net: "net.prototxt" base_lr: 0.01 lr_policy: "fixed" average_loss: 3 display: 4 random_seed: 1'
        " iter_size: 2"
    )
    shown = []
    for place in (device.HOST, torch.device("cpu", 0)):  # which is another place to the engine
        monkeypatch.setattr(device, "current", lambda place=place: place)
        glog.clear()
        caffe.get_solver("solver.prototxt").step(9)
        shown.append([line.rpartition("loss = ")[2] for line in glog if ", loss = " in line])
    assert len(shown[0]) == 3 and shown[1] == shown[0]
