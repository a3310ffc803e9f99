"""`fcn align`: places, shapes and offsets, beside what caffe computes and what was published."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import caffe
import nets
from caffe import layers as L
from fcn.align import align, place
from fcn.align.maps import tops
from fcn.commands.align import main
from fcn.engine import quiet
from fcn.infer.geometry import Geometry
from fcn.runs import Run

#: The offsets in the prototxts of the reference release.
PUBLISHED = {
    "voc-fcn32s": [19],
    "voc-fcn16s": [5, 27],
    "voc-fcn8s": [5, 9, 31],
    "voc-fcn8s-atonce": [5, 9, 31],
    "voc-fcn-alexnet": [18],
}
THIN = nets.VGG16.scaled(0.02)


def made(tmp_path: Path, proto: object) -> caffe.Net:
    path = tmp_path / "net.prototxt"
    path.write_text(str(proto))
    with quiet():
        return caffe.Net(str(path), caffe.TEST)


@pytest.mark.parametrize("model", PUBLISHED)
def test_the_offsets_of_the_release_line_its_maps_up(model: str) -> None:
    found = align(model)
    assert [crop.offset for crop in found.crops] == [(n, n) for n in PUBLISHED[model]]
    assert [crop.aligned for crop in found.crops] == [crop.offset for crop in found.crops]
    assert found.problems == []
    strides = [blob.place.stride[0] for blob in found.blobs if blob.place]
    assert max(strides) == 32 and strides[-1] == 1


@pytest.mark.parametrize("model", [name for name, row in nets.MODELS.items() if row.task])
def test_every_model_is_lined_up(model: str) -> None:
    """FCN-GoogLeNet too, whose offset is written down: pycaffe's `crop` finds no way through a Concat."""
    found = align(model, (333, 500))
    assert found.crops and found.problems == [] and found.left_out == ()


@pytest.mark.parametrize("model", ["voc-fcn32s", "voc-fcn8s"])
@pytest.mark.parametrize("size", [(64, 64), (97, 130)])
def test_shapes_are_those_that_caffe_makes(model: str, size: tuple[int, int], tmp_path: Path) -> None:
    proto = nets.build(model, "deploy", arch=THIN, size=size)
    net = made(tmp_path, proto)
    found = align(tmp_path / "net.prototxt", size)
    assert {blob.name: blob.shape for blob in found.blobs} == {
        blob.name: tuple(net.blobs[blob.name].shape)[2:] for blob in found.blobs
    }


windows = st.integers(1, 5).flatmap(
    lambda kernel: st.tuples(st.just(kernel), st.integers(1, 3), st.integers(0, (kernel - 1) // 2))
)


def stack(kind: str, layers: list[tuple[int, int, int]], length: int) -> caffe.proto.caffe_pb2.NetParameter:
    """Layers of one type over a column of pixels, all weights 1; (kernel, stride, pad) of each."""
    n = caffe.NetSpec()
    top = n.data = L.Input(shape={"dim": [1, 1, length, 1]})
    for number, (kernel, stride, pad) in enumerate(layers):
        along = {"kernel_h": kernel, "stride_h": stride, "pad_h": pad}
        across = {"kernel_w": 1, "stride_w": 1, "pad_w": 0}
        ones = {"num_output": 1, "bias_term": False, "weight_filler": {"type": "constant", "value": 1}}
        top = n[f"top{number}"] = getattr(L, kind)(top, convolution_param={**along, **across, **ones})
    proto = n.to_proto()
    proto.force_backward = True
    return proto


def middle(column: np.ndarray) -> float | None:
    """Of what is not zero; None where it may be cut off by an end."""
    (reached,) = column.nonzero()
    if reached.size == 0 or reached[0] == 0 or reached[-1] == len(column) - 1:
        return None
    return float(reached[0] + reached[-1]) / 2


@given(st.lists(windows, min_size=1, max_size=4))
@settings(max_examples=20, deadline=None)
def test_an_output_lies_in_the_middle_of_what_it_reads(
    tmp_path_factory: pytest.TempPathFactory, layers: list[tuple[int, int, int]]
) -> None:
    """By the gradient of one output."""
    proto = stack("Convolution", layers, 150)
    net, name = made(tmp_path_factory.mktemp("stack"), proto), proto.layer[-1].top[0]
    index = net.blobs[name].height // 2
    net.forward()
    net.blobs[name].diff[0, 0, index, 0] = 1
    net.backward()
    found = middle(net.blobs["data"].diff[0, 0, :, 0])
    named = tops(Geometry.of(proto, [name]))
    lies = place(named[name], named["data"])
    assert lies is not None
    if found is not None:
        assert lies.first[0] + index * lies.stride[0] == pytest.approx(found)


@given(st.lists(windows, min_size=1, max_size=3))
@settings(max_examples=20, deadline=None)
def test_an_input_lies_in_the_middle_of_what_it_is_enlarged_to(
    tmp_path_factory: pytest.TempPathFactory, layers: list[tuple[int, int, int]]
) -> None:
    proto = stack("Deconvolution", layers, 9)
    net, name = made(tmp_path_factory.mktemp("stack"), proto), proto.layer[-1].top[0]
    net.blobs["data"].data[0, 0, 4, 0] = 1
    found = middle(net.forward()[name][0, 0, :, 0])
    named = tops(Geometry.of(proto, [name]))
    lies = place(named["data"], named[name])
    assert lies is not None
    if found is not None:
        assert lies.first[0] + 4 * lies.stride[0] == pytest.approx(found)


def test_offsets_that_fit_always_fit_at_every_size_from_there_on(tmp_path: Path) -> None:
    net = made(tmp_path, nets.build("voc-fcn32s", "deploy", arch=THIN, size=(40, 40)))
    (crop,) = align(tmp_path / "net.prototxt", (40, 41)).crops
    room = []
    for width in range(41, 41 + 70):
        net.blobs["data"].reshape(1, 3, 40, width)
        net.reshape()
        room.append(net.blobs["upscore"].width - width)
    assert crop.fits[1] == (0, room[0])
    assert crop.always[1] == (0, min(room))


def crooked(tmp_path: Path, old: str, new: str) -> Path:
    """FCN-16s's prototxt with something else in the place of the last `old`."""
    text = str(nets.build("voc-fcn16s", "deploy"))
    before, found, after = text.rpartition(old)
    assert found
    path = tmp_path / "crooked.prototxt"
    path.write_text(before + new + after)
    return path


def test_a_wrong_offset_is_named_beside_the_right_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = crooked(tmp_path, "offset: 27", "offset: 19")
    assert main([str(path), "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["crops"][1]["offset"] == [19, 19] and found["crops"][1]["aligned"] == [27, 27]
    (problem,) = found["problems"]
    assert problem.startswith("score: ") and "19" in problem and "27" in problem


def test_an_offset_beyond_what_is_cut_does_not_fit(tmp_path: Path) -> None:
    found = align(crooked(tmp_path, "offset: 27", "offset: 90"))
    assert found.crops[1].fits[0][1] < 90 and any("does not fit" in line for line in found.problems)


def test_a_map_of_another_scale_cannot_be_lined_up(tmp_path: Path) -> None:
    found = align(crooked(tmp_path, "stride: 16", "stride: 8"))
    assert found.crops[1].aligned is None and found.crops[1].lies is not None
    assert any("score" in line and "2" in line for line in found.problems)


def test_maps_that_are_added_without_lying_over_each_other_are_named(tmp_path: Path) -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 20, 20]})
    n.left = L.Convolution(n.data, num_output=1, kernel_size=3, pad=1)
    n.right = L.Convolution(n.data, num_output=1, kernel_size=3, pad=0)
    n.sum = L.Eltwise(n.left, n.right)
    path = tmp_path / "net.prototxt"
    path.write_text(str(n.to_proto()))
    (problem,) = align(path).problems
    assert "left and right" in problem


def test_an_image_that_leaves_nothing_of_a_map_is_too_small(tmp_path: Path) -> None:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 1, 20, 20]})
    n.conv = L.Convolution(n.data, num_output=1, kernel_size=7)
    path = tmp_path / "net.prototxt"
    path.write_text(str(n.to_proto()))
    assert align(path, (7, 7)).problems == []
    (problem,) = align(path, (7, 6)).problems
    assert "conv" in problem and "7x6" in problem


def test_a_training_net_is_followed_up_to_its_loss(tmp_path: Path) -> None:
    path = tmp_path / "train.prototxt"
    path.write_text(str(nets.build("voc-fcn8s", "train", data=nets.pascal("VOC2011", None))))
    found = align(path)
    assert [crop.offset for crop in found.crops] == [(5, 5), (9, 9), (31, 31)]
    assert found.left_out == ("loss (SoftmaxWithLoss)",)


def test_the_folder_of_a_run_is_its_deploy_net(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = Run(tmp_path).net("deploy")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(str(nets.build("voc-fcn32s", "deploy")))
    assert main([str(tmp_path), "--size", "100x200"]) == 0
    assert "100x200" in capsys.readouterr().out


@pytest.mark.parametrize(
    "layer",
    [
        'type: "Convolution" bottom: "data" convolution_param { num_output: 1 kernel_size: 3 stride: 0 }',
        'type: "Pooling" bottom: "data" pooling_param { kernel_size: 0 }',
        'type: "Crop" bottom: "data" crop_param { offset: 3 }',
        'type: "Crop" bottom: "data" bottom: "data" crop_param { axis: 1 offset: 1 offset: 2 }',
        'type: "InnerProduct" bottom: "data"',
    ],
)
def test_a_layer_that_cannot_be_followed_is_named(layer: str, tmp_path: Path) -> None:
    path = tmp_path / "net.prototxt"
    path.write_text(f'input: "data" layer {{ name: "odd" top: "x" {layer} }}')
    (named,) = align(path).left_out
    assert named.startswith("odd (")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "voc-fcn8s"),  # the ids that there are
        ("layer {", "not a prototxt"),
        ("layers { name: 'x' type: RELU bottom: 'a' top: 'b' }", "upgrade_net_proto_text"),
    ],
)
def test_what_is_no_net_ends_in_one_message(
    content: str | None, said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "net.prototxt"
    if content is not None:
        path.write_text(content)
    assert main([str(path)]) == 1
    error = capsys.readouterr().err
    assert error.startswith("fcn align: ") and str(path) in error and said in error
