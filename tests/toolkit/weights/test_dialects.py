"""VGG16 under torchvision's names: the names, whose values they are, and the input's convention folded in."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

import caffe
import nets
from fcn.commands import weights
from fcn.fetching.source import digest
from fcn.weights import Reading, caffemodel, dialects, exchange, folding, provenance

STAGES = ((8, 4), (4, 8), (8, 4, 8), (4, 8, 4), (8, 4, 4))
ARCH = nets.VGG(stages=STAGES, fc=12, fc_kernel=4)
MEAN = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


def torchvision_vgg16(pad_with_mean: bool = False) -> nn.Module:
    """As torchvision builds it, of narrow layers, for images of 128 x 128."""
    layers: list[nn.Module] = []
    width = 3
    for stage in STAGES:
        for outputs in stage:
            layers += [nn.Conv2d(width, outputs, 3, padding=1), nn.ReLU()]
            width = outputs
        layers.append(nn.MaxPool2d(2, 2))
    dense = (nn.Linear(width * 16, 12), nn.ReLU(), nn.Dropout(), nn.Linear(12, 12), nn.ReLU(), nn.Dropout())
    model = nn.Module()
    model.features, model.classifier = nn.Sequential(*layers), nn.Sequential(*dense, nn.Linear(12, 7))
    return model.eval()


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return torchvision_vgg16()


@pytest.fixture
def image() -> np.ndarray:
    """RGB, H x W x 3, uint8."""
    return np.random.default_rng(0).integers(0, 256, (128, 128, 3), np.uint8)


def seen_by_torchvision(image: np.ndarray) -> torch.Tensor:
    scaled = (image / 255 - MEAN[0]) / MEAN[1]
    return torch.from_numpy(scaled.transpose(2, 0, 1)[None].astype(np.float32))


def seen_by_caffe(image: np.ndarray, mean: tuple[float, ...]) -> np.ndarray:
    return (image[..., ::-1] - np.array(mean)).transpose(2, 0, 1)[None].astype(np.float32)


def prototxt(path: Path) -> Path:
    path.write_text(str(nets.build("vgg16", "deploy", arch=ARCH, classes=7)))
    return path


def run(net: caffe.Net, data: np.ndarray, blob: str) -> np.ndarray:
    net.blobs["data"].data[...] = data
    net.forward(end=blob)
    return net.blobs[blob].data.copy()


def test_folded_weights_give_torchvisions_numbers(
    tmp_path: Path, model: nn.Module, image: np.ndarray
) -> None:
    torch.save(model.state_dict(), tmp_path / "vgg.pth")
    proto, made = prototxt(tmp_path / "vgg16.prototxt"), tmp_path / "vgg16.caffemodel"
    arguments = ["import", str(tmp_path / "vgg.pth"), "--net", str(proto), "-o", str(made)]
    assert weights.main([*arguments, "--values", "torchvision"]) == 0
    net = caffe.Net(str(proto), caffe.TEST, weights=str(made))
    ours = run(net, seen_by_caffe(image, (104.00699, 116.66877, 122.67892)), "conv1_1")
    with torch.no_grad():
        theirs = model.features[0](seen_by_torchvision(image)).numpy()
    if net.blobs["conv1_1"].data.min() >= 0:  # the ReLU is in place
        theirs = np.maximum(theirs, 0)
    inside = (slice(None), slice(None), slice(1, -1), slice(1, -1))
    np.testing.assert_allclose(ours[inside], theirs[inside], atol=1e-5)
    stated = folding.padding_error(model.features[0].weight.detach().numpy(), folding.IMAGENET)
    assert 1e-4 < np.abs(ours - theirs).max() <= stated + 1e-5


def test_with_the_files_own_mean_the_padding_is_exact_too(
    tmp_path: Path, model: nn.Module, image: np.ndarray
) -> None:
    torch.save(model.state_dict(), tmp_path / "vgg.pth")
    proto = prototxt(tmp_path / "vgg16.prototxt")
    net = caffe.Net(str(proto), caffe.TEST)
    exchange.fill_from(net, tmp_path / "vgg.pth", Reading("torchvision", keep_mean=True))
    ours = run(net, seen_by_caffe(image, tuple(255 * MEAN[0][::-1])), "fc8")
    with torch.no_grad():
        features = model.features(seen_by_torchvision(image))
        theirs = model.classifier(features.flatten(1)).numpy()
    np.testing.assert_allclose(ours, theirs, atol=1e-5)


def test_names_do_not_tell_whose_values_they_are(
    tmp_path: Path, model: nn.Module, capsys: pytest.CaptureFixture
) -> None:
    torch.save(model.state_dict(), tmp_path / "vgg.pth")
    arguments = ["convert", str(tmp_path / "vgg.pth"), "-o", str(tmp_path / "out.npz")]
    assert weights.main(arguments) == 1
    assert "--values torchvision" in capsys.readouterr().err and not (tmp_path / "out.npz").exists()
    assert weights.main([*arguments, "--values", "caffe"]) == 0
    with np.load(tmp_path / "out.npz") as file:
        assert np.array_equal(file["conv1_1.0"], model.features[0].weight.detach().numpy())
        assert np.array_equal(file["conv5_3.1"], model.features[28].bias.detach().numpy())
        assert np.array_equal(file["fc7.0"], model.classifier[3].weight.detach().numpy())
        assert len(file.files) == 32


def test_the_layout_of_2016_is_caffes_values(tmp_path: Path, model: nn.Module) -> None:
    """In jcjohnson's file a Dropout comes first in the classifier, and its values are the original's."""
    numbers = {"classifier.0": "classifier.1", "classifier.3": "classifier.4"}
    state = {}
    for key, tensor in model.state_dict().items():
        layer, _, kind = key.rpartition(".")
        state[f"{numbers.get(layer, layer)}.{kind}"] = tensor
    torch.save(state, tmp_path / "old.pth")
    found = exchange.read(tmp_path / "old.pth")
    assert list(found.layers)[-3:] == ["fc6", "fc7", "fc8"] and not found.changes
    assert np.array_equal(found.layers["fc7"][1], model.classifier[3].bias.detach().numpy())


def test_the_variant_without_a_classifier_gives_its_convolutions_only(
    tmp_path: Path, model: nn.Module, capsys: pytest.CaptureFixture
) -> None:
    state = {
        k: torch.full_like(t, torch.nan) if "classifier" in k else t for k, t in model.state_dict().items()
    }
    torch.save(state, tmp_path / "features.pth")
    proto, out = prototxt(tmp_path / "vgg16.prototxt"), tmp_path / "vgg16.caffemodel"
    arguments = ["import", str(tmp_path / "features.pth"), "--net", str(proto), "-o", str(out)]
    assert weights.main(arguments) == 1
    said = capsys.readouterr().err
    assert "fc6, fc7, fc8" in said and "NaN" in said and "--partial" in said and not out.exists()
    assert weights.main([*arguments, "--partial"]) == 0
    net = caffe.Net(str(proto), caffe.TEST, weights=str(out))
    first = model.features[0].weight.detach().numpy()[:, ::-1]  # std is 1/255: nothing is scaled
    np.testing.assert_allclose(net.params["conv1_1"][0].data, first, rtol=1e-6)
    assert np.isfinite(net.params["fc6"][0].data).all() and net.params["fc6"][0].data.any()


def test_a_file_whose_name_carries_another_digest_is_damaged(tmp_path: Path, model: nn.Module) -> None:
    torch.save(model.state_dict(), tmp_path / "vgg16-397923af.pth")
    with pytest.raises(ValueError, match="its SHA-256 starts with 397923af, but it is"):
        exchange.read(tmp_path / "vgg16-397923af.pth")


def test_values_are_asked_of_vgg16_only(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", **{"conv.0": np.ones((2, 3, 1, 1), np.float32)})
    with pytest.raises(ValueError, match="--values and --keep-mean are for VGG16"):
        exchange.read(tmp_path / "x.npz", Reading("torchvision"))


def test_where_a_file_comes_from_stands_beside_it(tmp_path: Path, model: nn.Module) -> None:
    source = tmp_path / "vgg.pth"
    torch.save(model.state_dict(), source)
    first, second = tmp_path / "a.caffemodel", tmp_path / "b.npz"
    exchange.convert(None, source, first, Reading("torchvision"))
    exchange.convert(None, first, second)
    facts = provenance.lookup(second)
    assert facts is not None and facts["source"] == str(first)
    assert facts["source_sha256"] == digest(first, "sha256") and facts["sha256"] == digest(second, "sha256")
    earlier = json.loads((tmp_path / "a.caffemodel.json").read_text())
    assert facts["source_is"] == earlier and "torchvision" in earlier["kind"]
    assert any("folded into conv1_1" in change for change in earlier["changes"])


@pytest.mark.parametrize("suffix", [".caffemodel", ".caffemodel.h5", ".npz", ".pth", ".safetensors"])
def test_layers_go_from_format_to_format_without_a_net(tmp_path: Path, model: nn.Module, suffix: str) -> None:
    torch.save(model.state_dict(), tmp_path / "vgg.pth")
    exchange.convert(None, tmp_path / "vgg.pth", tmp_path / f"x{suffix}", Reading("caffe"))
    exchange.convert(None, tmp_path / f"x{suffix}", tmp_path / "last.caffemodel")
    net = caffe.Net(
        str(prototxt(tmp_path / "vgg16.prototxt")), caffe.TEST, weights=str(tmp_path / "last.caffemodel")
    )
    expected = {
        f"{name}": m for name, m in zip(net.params, [m for m in model.modules() if hasattr(m, "weight")])
    }
    for name, module in expected.items():
        assert np.array_equal(net.params[name][0].data, module.weight.detach().numpy())
        assert np.array_equal(net.params[name][1].data, module.bias.detach().numpy())
    assert caffemodel.shapes(tmp_path / "last.caffemodel").keys() == net.params.keys()
    assert len(dialects.VALUES) == 3


def test_published_fcn_at_once_in_pytorch_form(tmp_path: Path) -> None:
    """wkentaro's files keep Caffe's names; the two scales of the at-once net are constants of his code."""
    options = {"arch": ARCH, "classes": 3, "size": (40, 48)}
    proto = nets.build("voc-fcn8s-atonce", "deploy", **options)
    path = tmp_path / "deploy.prototxt"
    path.write_text(str(proto))
    source = caffe.Net(str(path), caffe.TEST)
    stream = np.random.default_rng(3)
    state = {}
    for name, blobs in source.params.items():
        for blob, kind in zip(blobs, ("weight", "bias")):
            if not name.startswith("scale"):
                blob.data[...] = stream.standard_normal(blob.data.shape)
                state[f"{name}.{kind}"] = torch.from_numpy(blob.data.copy())
    torch.save(state, tmp_path / "fcn8s-atonce_from_caffe.pth")
    net = caffe.Net(str(path), caffe.TEST)
    report, _ = exchange.fill_from(net, tmp_path / "fcn8s-atonce_from_caffe.pth")
    assert "received nothing: scale_pool4, scale_pool3" in report
    data = stream.standard_normal((1, 3, 40, 48)).astype(np.float32)
    assert np.array_equal(run(net, data, "score"), run(source, data, "score"))
    assert (net.params["scale_pool4"][0].data == np.float32(0.01)).all()
