"""The generated nets at other widths, sizes and classes (`test_published.py`: they are the release's)."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from google.protobuf import text_format
from hypothesis import given, settings
from hypothesis import strategies as st

import caffe
import nets
from caffe.proto import caffe_pb2
from nets.__main__ import main
from voc_layers import VocFolder

FCNS = [name for name, model in nets.MODELS.items() if model.stride]


def test_a_deploy_net_is_the_val_net_without_label_dropout_and_loss() -> None:
    for model in FCNS:
        dropped = ("Python", "Dropout", "SoftmaxWithLoss")
        kept = [layer for layer in nets.build(model, "val").layer if layer.type not in dropped]
        assert [layer for layer in nets.build(model, "deploy").layer if layer.type != "Input"] == kept


def offsets(proto: Any) -> list[int]:
    return [layer.crop_param.offset[0] for layer in proto.layer if layer.type == "Crop"]


@pytest.mark.parametrize(("model", "expected"), [
    ("voc-fcn32s", [19]), ("voc-fcn16s", [5, 27]), ("voc-fcn8s", [5, 9, 31]),
    ("voc-fcn8s-atonce", [5, 9, 31]), ("voc-fcn-alexnet", [18]),
])  # fmt: skip
def test_crop_offsets_are_those_of_the_paper_at_any_width(model: str, expected: list[int]) -> None:
    arch = nets.get(model).arch
    assert offsets(nets.build(model, "train")) == expected
    assert offsets(nets.build(model, "deploy", arch=arch.scaled(0.1), classes=3)) == expected


def test_classes_widths_and_data_are_arguments() -> None:
    folder = VocFolder(Path("mine"), tuple("abcdefg"), mean=(1, 2, 3), void=8)
    data = {"train": nets.PythonData.reading(folder, "t", seed=5)}
    proto = nets.build(
        "voc-fcn8s", "train", data=data, classes=7, normalize=True, arch=nets.VGG16.scaled(0.25)
    )
    by_name = {layer.name: layer for layer in proto.layer}
    assert by_name["conv5_3"].convolution_param.num_output == 128
    assert by_name["fc6"].convolution_param.num_output == 1024
    scores = [x for x in by_name.values() if "score" in x.name and x.type in ("Convolution", "Deconvolution")]
    assert [x.convolution_param.num_output for x in scores] == [7] * 6
    assert by_name["loss"].loss_param.normalize
    assert by_name["data"].python_param.layer == "VOCSegDataLayer"
    assert ast.literal_eval(by_name["data"].python_param.param_str) == {
        "voc_dir": "mine",
        "split": "t",
        "mean": (1, 2, 3),
        "seed": 5,
        "classes": 7,
        "void": 8,
    }


def load(proto: Any, tmp_path: Path) -> caffe.Net:
    path = tmp_path / "net.prototxt"
    path.write_text(str(proto))
    return caffe.Net(str(path), caffe.TEST)


@settings(max_examples=25, deadline=None)
@given(
    height=st.integers(1, 140),
    width=st.integers(1, 140),
    kernel=st.sampled_from([4, 5, 7]),
    overhang=st.integers(0, 19),
    model=st.sampled_from(["voc-fcn32s", "voc-fcn16s", "voc-fcn8s"]),
)
def test_scores_have_the_size_of_the_image(tmp_path_factory, height, width, kernel, overhang, model) -> None:
    arch = nets.VGG(stages=((4,),) * 5, fc=4, fc_kernel=kernel, overhang=overhang)
    proto = nets.build(model, "deploy", classes=2, arch=arch, size=(height, width))
    assert offsets(proto)[-1] == overhang + {"voc-fcn32s": 0, "voc-fcn16s": 8, "voc-fcn8s": 12}[model]
    net = load(proto, tmp_path_factory.mktemp("net"))
    assert net.blobs["score"].data.shape == (1, 2, height, width)


@pytest.mark.parametrize("wrong", [{"fc_kernel": 3}, {"overhang": -1}, {"stages": ((64,),) * 4}])
def test_a_trunk_that_some_image_sizes_would_not_bear_is_refused(wrong: dict) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(wrong))}|5 stages"):
        nets.VGG(**wrong)


def test_the_classifier_and_its_convolutional_form_have_as_many_parameters(tmp_path: Path) -> None:
    arch = nets.VGG16.scaled(0.1)
    classifier = load(nets.build("vgg16", "deploy", arch=arch, classes=9), tmp_path)
    fcn = load(nets.build("voc-fcn32s", "deploy", arch=arch, size=(32, 32)), tmp_path)
    shared_names = [name for name in classifier.params if name in fcn.params]
    assert len(shared_names) == 15 and shared_names[-2:] == ["fc6", "fc7"]
    for name in shared_names:
        assert [b.count for b in classifier.params[name]] == [b.count for b in fcn.params[name]]
    assert classifier.blobs["prob"].data.shape == (1, 9)


def test_a_fresh_classifier_has_he_weights(tmp_path: Path) -> None:
    caffe.set_random_seed(1)
    net = load(nets.build("caffenet", "deploy", arch=nets.CAFFENET.scaled(0.25)), tmp_path)
    weights = net.params["fc6"][0].data
    assert np.isclose(weights.std(), np.sqrt(2 / weights.shape[1]), rtol=0.02)
    assert not net.params["fc6"][1].data.any()


def test_the_train_form_of_a_classifier_takes_a_data_layer() -> None:
    data = {"train": nets.PythonData("Images", {"batch": 4}, module="my_layers")}
    proto = nets.build("vgg16", "train", data=data, classes=5)
    assert proto.layer[0].python_param.module == "my_layers" and list(proto.layer[0].top) == ["data", "label"]
    assert [layer.type for layer in proto.layer[-2:]] == ["InnerProduct", "SoftmaxWithLoss"]
    with pytest.raises(ValueError, match="no data layer for the form 'val'"):
        nets.build("vgg16", "val", data=data)


def test_every_model_names_a_parent_that_is_there() -> None:
    for name, model in nets.MODELS.items():
        assert bool(model.parents) == (model.stride is not None), name
        assert set(model.parents) <= nets.MODELS.keys() and len(model.parents) <= len(model.suffixes), name
    with pytest.raises(ValueError, match="voc-fcn32s"):
        nets.build("voc-fcn32", "train")


def test_the_command_writes_prototxts(tmp_path: Path) -> None:
    assert main(["voc-fcn16s", "vgg16", "--out", str(tmp_path), "--voc-dir", "V", "--classes", "4"]) == 0
    assert sorted(str(p.relative_to(tmp_path)) for p in tmp_path.rglob("*.prototxt")) == [
        "vgg16/deploy.prototxt",
        "voc-fcn16s/deploy.prototxt",
        "voc-fcn16s/train.prototxt",
        "voc-fcn16s/val.prototxt",
    ]
    proto = text_format.Parse((tmp_path / "voc-fcn16s/val.prototxt").read_text(), caffe_pb2.NetParameter())
    assert ast.literal_eval(proto.layer[0].python_param.param_str)["voc_dir"] == "V"
    with pytest.raises(SystemExit):
        main(["voc-fcn64s"])
