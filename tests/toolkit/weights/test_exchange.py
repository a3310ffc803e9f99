"""`fcn.weights` and its commands: real small files of every kind, into nets and out of them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch

import caffe
from caffe.proto import caffe_pb2
from fcn.commands import weights
from fcn.weights import caffemodel, exchange
from surgery import upsample_filt
from tests.source_tree import ROOT

# A small FCN: a trunk, fc6 with a 3 x 3 window, a score and its upsampling. batch has three parameters.
LAYERS = """
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv"
        convolution_param { num_output: 4 kernel_size: 3 pad: 1 } }
layer { name: "batch" type: "BatchNorm" bottom: "conv" top: "batch" }
"""
CONVOLUTIONAL = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 3 dim: 3 } } }
""" + LAYERS + """
layer { name: "fc6" type: "Convolution" bottom: "batch" top: "fc6"
        convolution_param { num_output: 5 kernel_size: 3 } }
layer { name: "score" type: "Convolution" bottom: "fc6" top: "coarse"
        convolution_param { num_output: 2 kernel_size: 1 } }
layer { name: "upscore" type: "Deconvolution" bottom: "coarse" top: "score"
        convolution_param { num_output: 2 kernel_size: 4 stride: 2 bias_term: false } }
"""  # fmt: skip
CLASSIFIER = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 3 dim: 3 } } }
""" + LAYERS + """
layer { name: "fc6" type: "InnerProduct" bottom: "batch" top: "fc6" inner_product_param { num_output: 5 } }
"""  # fmt: skip
FILES = ("x.npz", "x.pth", "x.safetensors", "x.caffemodel", "x.caffemodel.h5")

Arrays = dict[str, list[np.ndarray]]


def build(tmp_path: Path, text: str, seed: int | None = None) -> caffe.Net:
    path = tmp_path / "deploy.prototxt"
    path.write_text(text)
    net = caffe.Net(str(path), caffe.TEST)
    if seed is not None:
        rng = np.random.default_rng(seed)
        for blob in [blob for blobs in net.params.values() for blob in blobs]:
            blob.data[...] = rng.standard_normal(blob.data.shape)
    return net


def values(net: caffe.Net) -> Arrays:
    return {name: [blob.data.copy() for blob in blobs] for name, blobs in net.params.items()}


def same(a: Arrays, b: Arrays) -> bool:
    return list(a) == list(b) and all(
        np.array_equal(x, y) for name in a for x, y in zip(a[name], b[name], strict=True)
    )


def trunk() -> Arrays:
    """Values for conv and for fc6 in fc form."""
    rng = np.random.default_rng(7)
    shapes = {"conv": [(4, 3, 3, 3), (4,)], "fc6": [(5, 36), (5,)]}
    return {name: [rng.standard_normal(s).astype(np.float32) for s in shapes[name]] for name in shapes}


def lines(report: str) -> dict[str, str]:
    """What a report says of each fate."""
    return dict(line.strip().split(": ", 1) for line in report.splitlines())


# -- out and in again ---------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FILES)
def test_what_is_written_is_read_again(tmp_path: Path, name: str) -> None:
    net = build(tmp_path, CONVOLUTIONAL, seed=1)
    assert exchange.write(net, tmp_path / name) == 0
    before, other = values(net), build(tmp_path, CONVOLUTIONAL)
    report = lines(exchange.fill(other, exchange.read(tmp_path / name), name))
    assert same(values(other), before)
    assert report["copied"] == "conv, batch, fc6, score, upscore"
    assert {report[k] for k in ("coerced", "dropped", "received nothing", "bilinear")} == {"none"}


def test_an_npz_names_layer_and_index(tmp_path: Path) -> None:
    net = build(tmp_path, CLASSIFIER, seed=1)
    exchange.write(net, tmp_path / "x.npz")
    with np.load(tmp_path / "x.npz") as file:
        assert sorted(file) == sorted(["conv.0", "conv.1", "batch.0", "batch.1", "batch.2", "fc6.0", "fc6.1"])
        assert np.array_equal(file["fc6.0"], net.params["fc6"][0].data)


def test_a_pth_is_a_state_dict_that_modules_load(tmp_path: Path) -> None:
    net = build(tmp_path, CLASSIFIER, seed=1)
    exchange.write(net, tmp_path / "x.pth")
    state = torch.load(tmp_path / "x.pth", weights_only=True)
    conv = torch.nn.Conv2d(3, 4, 3, padding=1)
    conv.load_state_dict({key: state[f"conv.{key}"] for key in ("weight", "bias")})
    image = np.random.default_rng(0).standard_normal((1, 3, 3, 3)).astype(np.float32)
    net.blobs["data"].data[...] = image
    net.forward(end="conv")
    with torch.no_grad():
        expected = conv(torch.from_numpy(image)).numpy()
    np.testing.assert_allclose(net.blobs["conv"].data, expected, rtol=1e-5, atol=1e-5)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"x\.onnx: its name has to end in \.npz, \.pth"):
        exchange.write(build(tmp_path, CLASSIFIER), tmp_path / "x.onnx")


# -- files of others ----------------------------------------------------------------------------------


def chainer_npz(path: Path) -> None:
    arrays = {f"{name}/{key}": a for name, pair in trunk().items() for key, a in zip("Wb", pair)}
    with path.open("wb") as file:  # given a name, NumPy would add a suffix to it
        np.savez(file, **arrays, **{"fc8/W": np.ones((3, 5), np.float32), "fc6/steps": np.array(3)})


def state_dict() -> dict[str, torch.Tensor]:
    named = (
        (f"{name}.{key}", a) for name, pair in trunk().items() for key, a in zip(("weight", "bias"), pair)
    )
    extra = {"fc8.weight": torch.ones(3, 5), "fc6.steps": torch.tensor(3)}
    return {key: torch.from_numpy(array) for key, array in named} | extra


def zip_pth(path: Path) -> None:
    torch.save(state_dict(), path)


def old_pth(path: Path) -> None:
    torch.save(state_dict(), path, _use_new_zipfile_serialization=False)


def checkpoint(path: Path) -> None:
    state = {f"module.{key}": tensor.double() for key, tensor in state_dict().items()}
    torch.save({"epoch": 3, "model_state_dict": state}, path)


@pytest.mark.parametrize("make", [chainer_npz, zip_pth, old_pth, checkpoint])
def test_a_converted_classifier_fills_a_fully_convolutional_net(tmp_path: Path, make) -> None:
    make(tmp_path / "weights.bin")  # the content decides what a file is
    net, arrays = build(tmp_path, CONVOLUTIONAL), trunk()
    report = lines(exchange.fill(net, exchange.read(tmp_path / "weights.bin"), "weights.bin"))
    assert report["copied"] == "conv" and report["coerced"] == "fc6"
    assert report["dropped"].startswith("fc8, fc6") and "steps" in report["dropped"]
    assert report["received nothing"] == "batch, score" and report["bilinear"] == "upscore"
    assert np.array_equal(net.params["conv"][0].data, arrays["conv"][0])
    assert np.array_equal(net.params["fc6"][0].data, arrays["fc6"][0].reshape(5, 4, 3, 3))
    assert np.array_equal(net.params["fc6"][1].data, arrays["fc6"][1])
    kernel = upsample_filt(4).astype(np.float32)
    assert np.array_equal(net.params["upscore"][0].data, np.einsum("io,hw->iohw", np.eye(2), kernel))


@pytest.mark.parametrize("name", FILES)
def test_the_convolutional_form_goes_back_to_fc(tmp_path: Path, name: str) -> None:
    net = build(tmp_path, CONVOLUTIONAL, seed=2)
    exchange.write(net, tmp_path / name)
    classifier = build(tmp_path, CLASSIFIER)
    report = lines(exchange.fill(classifier, exchange.read(tmp_path / name), name))
    assert report["coerced"] == "fc6" and report["dropped"] == "score, upscore"
    assert np.array_equal(classifier.params["fc6"][0].data, net.params["fc6"][0].data.reshape(5, 36))


def test_a_caffemodel_with_four_axes_and_doubles_is_read(tmp_path: Path) -> None:
    proto, arrays = caffe_pb2.NetParameter(), trunk()
    layer = proto.layers.add(name="fc6")  # the V1 format
    weight, bias = layer.blobs.add(num=1, channels=1, height=5, width=36), layer.blobs.add()
    weight.data.extend(arrays["fc6"][0].flat)
    bias.shape.dim.extend([1, 1, 1, 5])
    bias.double_data.extend(arrays["fc6"][1])
    (tmp_path / "old.caffemodel").write_bytes(proto.SerializeToString())
    found = caffemodel.arrays(tmp_path / "old.caffemodel")
    assert [a.shape for a in found["fc6"]] == [(1, 1, 5, 36), (1, 1, 1, 5)]
    net = build(tmp_path, CONVOLUTIONAL)
    exchange.fill(net, exchange.read(tmp_path / "old.caffemodel"), "old.caffemodel")
    assert np.array_equal(net.params["fc6"][0].data.reshape(5, 36), arrays["fc6"][0])
    assert np.array_equal(net.params["fc6"][1].data, arrays["fc6"][1])


@pytest.mark.data
@pytest.mark.parametrize("name", ["det1", "det2"])
def test_a_caffemodel_of_a_real_caffe_reads_as_caffe_loads_it(shared: Path, name: str) -> None:
    path = shared / "data" / "caffemodels" / f"{name}.caffemodel"
    net = caffe.Net(str(path.with_suffix(".prototxt")), caffe.TEST, weights=str(path))
    found = exchange.read(path).layers
    assert found.keys() >= net.params.keys()
    for layer, blobs in net.params.items():
        for array, blob in zip(found[layer], blobs, strict=True):
            assert np.array_equal(array.reshape(blob.data.shape), blob.data)


def test_a_missing_bias_is_reported(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"conv/W": trunk()["conv"][0]})
    report = exchange.fill(build(tmp_path, CLASSIFIER), exchange.read(tmp_path / "x.npz"), "x.npz")
    assert lines(report)["received nothing"] == "batch, fc6, conv[1]"


def test_numbered_layers_are_paired_in_order_when_that_is_asked_for(tmp_path: Path) -> None:
    arrays = trunk()
    numbers = {"features.1": "conv", "classifier.1": "fc6"}  # of another net than VGG16
    keys = {f"{n}.{k}": a for n, name in numbers.items() for k, a in zip(("weight", "bias"), arrays[name])}
    torch.save({key: torch.from_numpy(a) for key, a in keys.items()}, tmp_path / "net.pth")
    net = build(tmp_path, CLASSIFIER.replace(LAYERS, LAYERS.split("layer { name: \"batch\"")[0])
                .replace('bottom: "batch"', 'bottom: "conv"'))  # fmt: skip
    found = exchange.read(tmp_path / "net.pth")
    with pytest.raises(ValueError, match=r"none of its layers is in the net.*--in-order"):
        exchange.fill(net, found, "net.pth")
    exchange.fill(net, found, "net.pth", in_order=True)
    assert same(values(net), arrays)
    with pytest.raises(
        ValueError, match=r"2 layers with parameters cannot be paired in order with the net's 5"
    ):
        exchange.fill(build(tmp_path, CONVOLUTIONAL), found, "net.pth", in_order=True)


# -- what is refused ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "shape"),
    [
        ("conv/W", (3, 3, 3, 4)),  # as TensorFlow keeps them: as many values
        ("conv/W", (4, 3, 5, 5)),
        ("fc6/W", (36, 5)),
        ("fc6/W", (5, 9, 4, 1)),
        ("score/W", (21, 5, 1, 1)),
    ],
)
def test_shapes_that_cannot_fit_are_named_and_nothing_changes(tmp_path: Path, key: str, shape: tuple) -> None:
    arrays = {"conv/b": np.ones(4, np.float32), "conv/W": np.ones((4, 3, 3, 3), np.float32)}
    np.savez(tmp_path / "x.npz", **{**arrays, key: np.ones(shape, np.float32)})
    net = build(tmp_path, CONVOLUTIONAL, seed=3)
    before, layer = values(net), key.split("/")[0]
    with pytest.raises(ValueError) as caught:
        exchange.fill(net, exchange.read(tmp_path / "x.npz"), "x.npz")
    wanted = net.params[layer][0].data.shape
    assert f"layer '{layer}', parameter 0: file {shape}, net {wanted}" in str(caught.value)
    assert same(values(net), before)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"<!DOCTYPE html><html><body>Sign in</body></html>", r"a web page \(48 bytes\), not a model"),
        (b"\n <HTML>\xc3\xa9</HTML>", "a web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n", r"text \(56 bytes, 'version https"),
        (b"\x00\x01\x02\x03" * 20, "not a caffemodel, or cut off"),
        (b"\x80\x02}garbage", "not plain weights of PyTorch"),
        (b"\x89HDF\r\n\x1a\nshort", "not a caffemodel in HDF5"),
    ],
)  # fmt: skip
def test_what_is_no_model_is_said(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "x.caffemodel").write_bytes(content)
    with pytest.raises(ValueError, match=message):
        exchange.read(tmp_path / "x.caffemodel")


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, name: str) -> None:
    exchange.write(build(tmp_path, CONVOLUTIONAL, seed=1), tmp_path / name)
    content = (tmp_path / name).read_bytes()
    (tmp_path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(ValueError, match="cut off"):
        exchange.read(tmp_path / name)


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "sprung",))

    torch.save({"conv.weight": torch.ones(1), "trap": Trap()}, tmp_path / "x.pth")
    np.savez(tmp_path / "x.npz", **{"conv.0": np.array([Trap()], object)})
    with pytest.raises(ValueError, match="Only tensors are read"):
        exchange.read(tmp_path / "x.pth")
    with pytest.raises(ValueError, match="expected arrays of numbers"):
        exchange.read(tmp_path / "x.npz")
    assert not (tmp_path / "sprung").exists()


def test_parameters_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    one = np.ones(4, np.float32)
    np.savez(tmp_path / "twice.npz", **{"conv/b": one, "conv/W": one, "conv.0": one})
    with pytest.raises(ValueError, match=r"parameter 0 of layer 'conv' is there twice"):
        exchange.read(tmp_path / "twice.npz")
    np.savez(tmp_path / "gap.npz", **{"conv/b": one})
    with pytest.raises(ValueError, match=r"layer 'conv' has parameters \[1\]"):
        exchange.read(tmp_path / "gap.npz")
    np.savez(tmp_path / "none.npz", weights=one)
    with pytest.raises(ValueError, match="no parameters called"):
        exchange.read(tmp_path / "none.npz")


def test_a_group_of_hdf5_without_data_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["images"] = np.zeros(3)
    with pytest.raises(ValueError, match="not a caffemodel in HDF5"):
        exchange.read(tmp_path / "x.h5")


# -- the commands -------------------------------------------------------------------------------------


def test_export_and_import_by_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    net = build(tmp_path, CONVOLUTIONAL, seed=4)
    proto, source = str(tmp_path / "deploy.prototxt"), str(tmp_path / "a.caffemodel")
    net.save(source)
    for name in ("b.npz", "b.pth", "b.safetensors"):
        assert weights.main(["export", source, "--net", proto, "-o", str(tmp_path / name)]) == 0
        assert f"{name}: 5 layers; read again, the largest difference is 0" in capsys.readouterr().out
        back = str(tmp_path / f"{name}.caffemodel")
        assert weights.main(["import", str(tmp_path / name), "--net", proto, "-o", back]) == 0
        assert "copied: conv, batch, fc6, score, upscore" in capsys.readouterr().out
        assert same(values(caffe.Net(proto, caffe.TEST, weights=back)), values(net))


def test_a_run_knows_its_net(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    (tmp_path / "snapshot").mkdir()
    net = build(tmp_path, CONVOLUTIONAL, seed=5)
    net.save(str(tmp_path / "snapshot/train_iter_2.caffemodel"))
    assert weights.main(["export", str(tmp_path), "-o", str(tmp_path / "out" / "run.npz")]) == 0
    assert "received nothing: none" in capsys.readouterr().out
    with np.load(tmp_path / "out" / "run.npz") as file:
        assert np.array_equal(file["score.1"], net.params["score"][1].data)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.npz", "--model", "voc-fcn8s", "-o", "y.onnx"], "its name has to end in"),
        (["x.npz", "--model", "voc-fcn9s", "-o", "y.caffemodel"], "no model is called 'voc-fcn9s'"),
        (["x.npz", "-o", "y.caffemodel"], "which net is it for"),
        (["gone.npz", "--model", "voc-fcn8s", "-o", "y.caffemodel"], "found nothing"),
    ],
)
def test_a_wrong_command_is_explained(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    arguments: list[str],
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    chainer_npz(tmp_path / "x.npz")
    assert weights.main(["import", *arguments]) == 1
    assert message in capsys.readouterr().err
    assert not list(tmp_path.glob("y.*"))


def test_without_torch_npz_still_works_and_pth_says_what_to_install(tmp_path: Path) -> None:
    """Beside a caffe that does not bring torch: the second one of the tests, and no torch to import."""
    chainer_npz(tmp_path / "x.npz")
    zip_pth(tmp_path / "x.pth")
    program = f"""
import sys
sys.modules['torch'] = None
from fcn.weights import exchange
print(*exchange.read(r'{tmp_path / "x.npz"}').layers)
exchange.read(r'{tmp_path / "x.pth"}')
"""
    env = {**os.environ, "PYTHONPATH": str(ROOT / "tests" / "stand_in")}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.stdout.split() == ["conv", "fc6", "fc8"]
    assert "x.pth: .pth files need PyTorch: pip install torch" in done.stderr


def test_numbers_of_sixteen_bits_are_told_or_read(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    half = {"conv.weight": torch.ones(4, 3, 3, 3).half(), "conv.bias": torch.ones(4).half()}
    save_file(half, tmp_path / "half.safetensors")
    exchange.convert(None, tmp_path / "half.safetensors", tmp_path / "x.caffemodel")
    assert (caffemodel.arrays(tmp_path / "x.caffemodel")["conv"][0] == 1).all()
    save_file({key: value.bfloat16() for key, value in half.items()}, tmp_path / "brain.safetensors")
    with pytest.raises(ValueError, match=r"brain\.safetensors: (numbers of a kind|no parameters)"):
        exchange.read(tmp_path / "brain.safetensors")


def test_values_that_are_no_numbers_are_not_converted(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"conv.0": np.full((2, 3), np.nan, np.float32)})
    with pytest.raises(ValueError, match="values that are no numbers in conv"):
        exchange.convert(None, tmp_path / "x.npz", tmp_path / "x.caffemodel")
    assert not (tmp_path / "x.caffemodel").exists()
