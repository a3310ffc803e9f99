"""Nets for other frameworks: PyTorch and ONNX Runtime compute what caffe does, layer type by layer type."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import caffe
import nets
from fcn.commands import weights
from fcn.export import formats, graph, to_torch
from fcn.export.torch_layers import MAKERS
from fcn.weights import exchange
from tests.source_tree import ROOT

INPUT = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } } }'


def layer(kind: str, settings: str = "", bottoms: str = "data", tops: str = "out", name: str = "it") -> str:
    wires = "".join(f' bottom: "{b}"' for b in bottoms.split()) + "".join(
        f' top: "{t}"' for t in tops.split()
    )
    return f'layer {{ name: "{name}" type: "{kind}"{wires} {settings} }}'


#: What stands for each type: the text behind the input.
CASES = {
    "AbsVal": layer("AbsVal"),
    "ArgMax": layer("ArgMax", "argmax_param { axis: 1 }"),
    "BNLL": layer("BNLL"),
    "BatchNorm": layer("BatchNorm"),
    "Bias": layer("Bias", "bias_param { axis: 1 num_axes: 2 }"),
    "Clip": layer("Clip", "clip_param { min: -0.5 max: 1 }"),
    "Concat": layer("Concat", "concat_param { axis: 2 }", "data data"),
    "Convolution": layer("Convolution", "convolution_param { num_output: 6 group: 2 kernel_h: 3 kernel_w: 2 "
                         "stride: 2 pad_h: 1 pad_w: 0 dilation: 2 }"),
    "Convolution-plain": layer("Convolution", "convolution_param { num_output: 3 kernel_size: 3 }"),
    "Crop": layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", tops="small")
    + layer("Crop", "crop_param { axis: 2 offset: 2 offset: 1 }", "data small", name="cut"),
    "Deconvolution": layer("Deconvolution", "convolution_param { num_output: 4 group: 4 kernel_size: 4 "
                           "stride: 2 pad: 1 bias_term: false }"),
    "Dropout": layer("Dropout"),
    "ELU": layer("ELU", "elu_param { alpha: 0.3 }"),
    "Eltwise": layer("Eltwise", "eltwise_param { coeff: 2 coeff: -0.5 }", "data data"),
    "Eltwise-MAX": layer("AbsVal", tops="abs")
    + layer("Eltwise", "eltwise_param { operation: MAX }", "abs data", name="max"),
    "Eltwise-PROD": layer("Eltwise", "eltwise_param { operation: PROD }", "data data data"),
    "Exp": layer("Exp", "exp_param { base: 2 scale: 0.5 shift: 0.25 }"),
    "Flatten": layer("Flatten", "flatten_param { axis: 2 }"),
    "InnerProduct": layer("InnerProduct", "inner_product_param { num_output: 5 }"),
    "InnerProduct-transposed": layer("InnerProduct", "inner_product_param { num_output: 5 transpose: true "
                                     "bias_term: false }"),
    "LRN": layer("LRN", "lrn_param { local_size: 3 alpha: 2 beta: 0.6 k: 1.5 }"),
    "LRN-within": layer("LRN", "lrn_param { local_size: 3 alpha: 2 norm_region: WITHIN_CHANNEL }"),
    "Log": layer("AbsVal", tops="abs") + layer("Log", "log_param { base: 10 shift: 1 }", "abs", name="log"),
    "MVN": layer("MVN"),
    "MVN-across": layer("MVN", "mvn_param { across_channels: true normalize_variance: false }"),
    "PReLU": layer("PReLU"),
    "Parameter": layer("Parameter", "parameter_param { shape { dim: 2 dim: 4 dim: 9 dim: 8 } }", "", "own")
    + layer("Eltwise", "", "data own", name="sum"),
    "Pooling": layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }"),
    "Pooling-average": layer("Pooling", "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 }"),
    "Pooling-global": layer("Pooling", "pooling_param { pool: AVE global_pooling: true }"),
    "Power": layer("Power", "power_param { power: 2 scale: 0.5 shift: 1 }"),
    "ReLU": layer("ReLU", "relu_param { negative_slope: 0.1 }"),
    "Reduction": layer("Reduction", "reduction_param { operation: SUMSQ axis: 2 coeff: 0.5 }"),
    "Reduction-mean": layer("Reduction", "reduction_param { operation: MEAN axis: 1 }"),
    "Reshape": layer("Reshape", "reshape_param { shape { dim: 0 dim: 2 dim: -1 } }"),
    "Scale": layer("Scale", "scale_param { bias_term: true }"),
    "Sigmoid": layer("Sigmoid"),
    "Slice": layer("Slice", "slice_param { slice_point: 1 slice_point: 3 }", tops="a b c"),
    "Slice-equal": layer("Slice", "slice_param { axis: 1 }", tops="a b"),
    "Softmax": layer("Softmax"),
    "Swish": layer("Swish", "swish_param { beta: 2 }"),
    "TanH": layer("TanH"),
    "Threshold": layer("Threshold", "threshold_param { threshold: 0.5 }"),
    "Tile": layer("Tile", "tile_param { axis: 2 tiles: 2 }"),
    "in place": layer("AbsVal", tops="out") + layer("ReLU", "", "out", "out", "relu")
    + layer("Power", "power_param { shift: 1 }", "out", "out", "add"),
}  # fmt: skip
#: Types without a counterpart in ONNX, or with one that takes a map of whole numbers.
EMBED = 'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 } } }' + layer(
    "Embed", "embed_param { num_output: 4 input_dim: 5 }"
)


def build(tmp_path: Path, text: str, phase: int = caffe.TEST) -> caffe.Net:
    path = tmp_path / "net.prototxt"
    path.write_text(text)
    net = caffe.Net(str(path), phase)
    stream = np.random.default_rng(5)
    for name, blobs in net.params.items():
        for number, blob in enumerate(blobs):
            blob.data[...] = stream.standard_normal(blob.data.shape) / 2
            if net.layer_dict[name].type == "BatchNorm" and number:
                blob.data[...] = np.abs(blob.data) + 0.5
    return net


def image(*shape: int) -> np.ndarray:
    return np.random.default_rng(1).standard_normal(shape).astype(np.float32)


def ours(net: caffe.Net, data: np.ndarray) -> list[np.ndarray]:
    net.blobs["data"].reshape(*data.shape)
    net.blobs["data"].data[...] = data
    found = net.forward()
    return [found[name].copy() for name in sorted(found)]


def of_torch(module: torch.nn.Module, data: np.ndarray) -> list[np.ndarray]:
    with torch.no_grad():
        found = module(torch.from_numpy(data))
    return [found[k].numpy() for k in sorted(found)] if isinstance(found, dict) else [found.numpy()]


def of_onnx(net: caffe.Net, path: Path, data: np.ndarray) -> list[np.ndarray]:
    from fcn.export.onnx_model import write

    write(graph.read(net), path)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(sorted(o.name for o in session.get_outputs()), {"data": data})


def check(expected: list[np.ndarray], found: list[np.ndarray]) -> None:
    for a, b in zip(expected, found, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(b, a, rtol=1e-4, atol=1e-5 * max(1, np.abs(a).max(initial=0)))


@pytest.mark.parametrize("case", CASES)
def test_each_type_computes_what_caffe_does(tmp_path: Path, case: str) -> None:
    net, data = build(tmp_path, INPUT + CASES[case]), image(2, 4, 9, 8)
    expected = ours(net, data)
    check(expected, of_torch(to_torch(net), data))
    check(expected, of_onnx(net, tmp_path / "net.onnx", data))


def test_an_embedding_computes_what_caffe_does(tmp_path: Path) -> None:
    net, data = build(tmp_path, EMBED), np.array([[0, 4, 2], [1, 1, 3]], np.float32)
    expected = ours(net, data)
    check(expected, of_torch(to_torch(net), data))
    check(expected, of_onnx(net, tmp_path / "net.onnx", data))


def test_the_table_of_cases_has_every_type() -> None:
    from fcn.export import onnx_layers

    assert MAKERS.keys() == onnx_layers.MAKERS.keys()
    assert {case.partition("-")[0] for case in CASES} - {"in place"} == MAKERS.keys() - {"Embed"}


@settings(max_examples=25)
@given(
    pool=st.sampled_from(["MAX", "AVE"]),
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 5),
    pad=st.integers(0, 2),
)
def test_pooling_windows_are_caffes(
    tmp_path_factory: pytest.TempPathFactory,
    pool: str,
    size: tuple[int, int],
    kernel: int,
    stride: int,
    pad: int,
) -> None:
    assume(2 * pad <= kernel and stride <= kernel <= min(size) + 2 * pad)
    folder = tmp_path_factory.mktemp("pool")
    text = f"pooling_param {{ pool: {pool} kernel_size: {kernel} stride: {stride} pad: {pad} }}"
    shape = f"shape {{ dim: [1, 1, {size[0]}, {size[1]}] }}"
    source = f'layer {{ name: "in" type: "Input" top: "data" input_param {{ {shape} }} }}'
    net, data = build(folder, source + layer("Pooling", text)), image(1, 1, *size)
    expected = ours(net, data)
    check(expected, of_torch(to_torch(net), data))
    check(expected, of_onnx(net, folder / "net.onnx", data))


ARCH = nets.VGG(stages=((4,), (4,), (4,), (4,), (4,)), fc=8, fc_kernel=4)


@pytest.fixture
def fcn8s(tmp_path: Path) -> caffe.Net:
    text = str(nets.build("voc-fcn8s-atonce", "deploy", arch=ARCH, classes=3, size=(40, 48)))
    return build(tmp_path, text)


def test_an_fcn_takes_images_of_any_size(tmp_path: Path, fcn8s: caffe.Net) -> None:
    module = to_torch(fcn8s)
    for size in ((40, 48), (33, 65)):
        data = image(1, 3, *size)
        expected = ours(fcn8s, data)
        check(expected, of_torch(module, data))
        check(expected, of_onnx(fcn8s, tmp_path / "net.onnx", data))


def test_a_module_takes_the_state_that_is_exported(tmp_path: Path, fcn8s: caffe.Net) -> None:
    exchange.write(fcn8s, tmp_path / "x.pth")
    module = to_torch(fcn8s)
    for parameter in module.parameters():
        torch.nn.init.zeros_(parameter)
    module.load_state_dict(torch.load(tmp_path / "x.pth", weights_only=True))
    data = image(1, 3, 40, 48)
    check(ours(fcn8s, data), of_torch(module, data))


def test_a_training_net_leaves_out_what_judges_and_drops_units_in_training(tmp_path: Path) -> None:
    text = INPUT + layer("Dropout", "", "data", "data", "drop") + layer(
        "Convolution", "convolution_param { num_output: 3 kernel_size: 1 }", "data", "score", "conv"
    )  # fmt: skip
    text += 'layer { name: "y" type: "Input" top: "label" input_param { shape { dim: [2, 1, 9, 8] } } }'
    text += layer("SoftmaxWithLoss", "", "score label", "loss", "loss")
    net = build(tmp_path, text, caffe.TRAIN)
    found = graph.read(net)
    assert list(found.inputs) == ["data"] and list(found.outputs) == ["score"] and "loss" in found.dropped
    module, data = to_torch(net), torch.ones(2, 4, 9, 8)
    assert torch.equal(module(data), module(data))
    module.train()
    assert not torch.equal(module(data), module(data))


def test_batches_are_normalised_in_training_as_caffe_does(tmp_path: Path) -> None:
    net, data = build(tmp_path, INPUT + CASES["BatchNorm"], caffe.TRAIN), image(2, 4, 9, 8)
    module = to_torch(net).train()
    for _ in range(2):
        check(ours(net, data), of_torch(module, data))
    for number, blob in enumerate(net.params["it"]):
        np.testing.assert_allclose(module.get_buffer(f"it.{number}").numpy(), blob.data, rtol=1e-5)


def test_shared_parameters_stay_one(tmp_path: Path) -> None:
    shared = 'convolution_param { num_output: 4 kernel_size: 1 bias_term: false } param { name: "w" }'
    text = (
        INPUT
        + layer("Convolution", shared, tops="a", name="first")
        + layer("Convolution", shared, "a", name="second")
    )
    module = to_torch(build(tmp_path, text))
    assert module.first.weight is module.second.weight
    assert len(list(module.parameters())) == 1


# -- the command --------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".onnx", pytest.param(".pt2", marks=pytest.mark.slow)])
def test_a_run_becomes_a_file_that_agrees(
    tmp_path: Path, fcn8s: caffe.Net, suffix: str, capsys: pytest.CaptureFixture
) -> None:
    fcn8s.save(str(tmp_path / "x.caffemodel"))
    proto, out = str(tmp_path / "net.prototxt"), tmp_path / "out" / f"x{suffix}"
    assert weights.main(["export", str(tmp_path / "x.caffemodel"), "--net", proto, "-o", str(out)]) == 0
    assert "the largest difference to caffe is" in capsys.readouterr().out
    data = image(1, 3, 51, 44)
    if suffix == ".onnx":
        found = onnxruntime.InferenceSession(str(out)).run(None, {"data": data})
    else:
        found = of_torch(torch.export.load(out).module(), data)
    check(ours(fcn8s, data), found)
    assert sorted(p.name for p in out.parent.iterdir()) == [out.name]


def test_onnx_comes_back_as_a_caffemodel(tmp_path: Path, fcn8s: caffe.Net) -> None:
    formats.export(fcn8s, tmp_path / "x.onnx")
    arguments = ["--net", str(tmp_path / "net.prototxt"), "-o", str(tmp_path / "y.caffemodel")]
    assert weights.main(["import", str(tmp_path / "x.onnx"), *arguments]) == 0
    again = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST, weights=str(tmp_path / "y.caffemodel"))
    for name, blobs in fcn8s.params.items():
        assert all(np.array_equal(a.data, b.data) for a, b in zip(blobs, again.params[name], strict=True))


def test_what_differs_is_not_written(
    tmp_path: Path, fcn8s: caffe.Net, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A converter that is wrong: here one that reads another net's weights."""
    right = formats.FORMATS[".onnx"]

    def wrong(net: caffe.Net, net_graph: graph.Graph, path: Path) -> None:
        right.write(net, net_graph, path)
        model = onnx.load(path)
        bias = next(t for t in model.graph.initializer if t.name == "score_fr.bias")
        bias.CopyFrom(onnx.numpy_helper.from_array(np.full(3, 9, np.float32), bias.name))
        onnx.save(model, path)

    monkeypatch.setitem(formats.FORMATS, ".onnx", formats.Format("ONNX", wrong, right.load))
    fcn8s.save(str(tmp_path / "x.caffemodel"))
    out = tmp_path / "out" / "x.onnx"
    arguments = [
        "export",
        str(tmp_path / "x.caffemodel"),
        "--net",
        str(tmp_path / "net.prototxt"),
        "-o",
        str(out),
    ]
    assert weights.main(arguments) == 1
    assert "differ from caffe's by up to" in capsys.readouterr().err and not list(out.parent.iterdir())
    assert weights.main([*arguments, "--tolerance", "1e9"]) == 0 and out.is_file()


def test_a_type_without_counterpart_is_named(tmp_path: Path) -> None:
    net = build(tmp_path, INPUT + layer("SPP", "spp_param { pyramid_height: 2 }", name="pyramid"))
    for export in (to_torch, lambda net: formats.export(net, tmp_path / "x.onnx")):
        with pytest.raises(ValueError, match=r"layer 'pyramid': SPP(.|\n)*known types: AbsVal"):
            export(net)
    assert not (tmp_path / "x.onnx").exists()


@pytest.mark.parametrize(("suffix", "tool"), [(".param", "ncnn"), (".mnn", "MNN")])
def test_a_tool_that_is_missing_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, tool: str
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    net = build(tmp_path, INPUT + CASES["ReLU"])
    with pytest.raises(ValueError, match=f"{tool} needs the .* pip install"):
        formats.export(net, tmp_path / f"x{suffix}")


def test_damaged_onnx_is_refused(tmp_path: Path, fcn8s: caffe.Net) -> None:
    formats.export(fcn8s, tmp_path / "x.onnx")
    content = (tmp_path / "x.onnx").read_bytes()
    for size in (40, len(content) // 2, len(content) - 1):
        (tmp_path / "cut.onnx").write_bytes(content[:size])
        with pytest.raises(ValueError, match=r"cut\.onnx: "):
            exchange.read(tmp_path / "cut.onnx")


def test_a_net_of_another_caffe_is_exported(tmp_path: Path, fcn8s: caffe.Net) -> None:
    """Beside a caffe as narrow as pycaffe, which comes before ours on PYTHONPATH."""
    fcn8s.save(str(tmp_path / "x.caffemodel"))
    arguments = ["x.caffemodel", "--net", "net.prototxt", "-o", "x.onnx"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "tests" / "stand_in"), str(ROOT)])}
    command = [sys.executable, "-m", "fcn", "weights", "export", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    data = image(1, 3, 45, 50)
    check(ours(fcn8s, data), onnxruntime.InferenceSession(str(tmp_path / "x.onnx")).run(None, {"data": data}))
