"""caffe.set_precision: factors of products rounded to bfloat16, everything else as before."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch

import caffe
from caffe._caffe import device
from tests.engine.support.layer_case import build, forward, random, run

CONVOLUTION = "convolution_param { num_output: 6 kernel_size: 3 pad: 1 }"
#: A layer whose numbers are rounded, an activation, and one that makes scores.
DEEP = f"""
layer {{ name: "deep" type: "Convolution" bottom: "x" top: "deep" {CONVOLUTION} }}
layer {{ name: "relu" type: "ReLU" bottom: "deep" top: "deep" }}
layer {{ name: "score" type: "Convolution" bottom: "deep" top: "score" {CONVOLUTION} }}
"""
DENSE = """
layer { name: "deep" type: "InnerProduct" bottom: "x" top: "deep" inner_product_param { num_output: 6 } }
layer { name: "relu" type: "ReLU" bottom: "deep" top: "deep" }
layer { name: "score" type: "InnerProduct" bottom: "deep" top: "score" inner_product_param { num_output: 2 } }
"""


@pytest.fixture(autouse=True)
def float32_again() -> Iterator[None]:
    yield
    caffe.set_precision("float32")


def rounded(values: np.ndarray) -> np.ndarray:
    """The nearest numbers of 8 significant bits, ties to the even one: bfloat16."""
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.uint64)
    bits = (bits + 0x7FFF + ((bits >> 16) & 1)) & 0xFFFF0000
    return bits.astype(np.uint32).view(np.float32)


def is_rounded(values: np.ndarray) -> bool:
    return bool((np.ascontiguousarray(values).view(np.uint32) & 0xFFFF == 0).all())


def correlated(x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """A 3 x 3 convolution with pad 1, in float64."""
    padded = np.pad(x.astype(np.float64), [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 3), (2, 3))
    return np.einsum("nchwij,ocij->nohw", windows, weight.astype(np.float64))


def close(found: np.ndarray, exact: np.ndarray) -> None:
    """Within the rounding of a bfloat16 of the exact value, and the error of a float32 sum."""
    np.testing.assert_allclose(found, exact, rtol=2**-8, atol=1e-5)


def deep(precision: str, text: str = DEEP, shape: tuple[int, ...] = (2, 5, 9, 8)) -> caffe.Net:
    """The net after a forward and a backward, with zero biases."""
    caffe.set_precision(precision)
    net = build(text, {"x": np.zeros(shape)}, phase=caffe.TRAIN)
    for seed, (weight, bias) in enumerate(net.params.values()):
        weight.data[...] = random(*weight.data.shape, seed=seed)
        bias.data[...] = 0
    forward(net, {"x": random(*shape, seed=9)})
    net.blobs["score"].diff[...] = random(*net.blobs["score"].data.shape, seed=8)
    net.clear_param_diffs()
    net.backward()
    return net


def test_factors_and_products_are_rounded_and_scores_are_not():
    net = deep("bfloat16")
    (weight, _), (score, _) = net.params["deep"], net.params["score"]
    exact = np.maximum(correlated(rounded(net.blobs["x"].data), rounded(weight.data)), 0)
    made = net.blobs["deep"].data
    assert is_rounded(made)
    close(made, exact)
    np.testing.assert_allclose(net.blobs["score"].data, correlated(made, score.data), rtol=1e-4, atol=1e-4)


def test_gradients_are_of_rounded_factors_and_that_of_the_bias_is_a_plain_sum():
    net = deep("bfloat16")
    weight, bias = net.params["deep"]
    dy = net.blobs["deep"].diff  # behind the activation, which writes over it
    x = np.pad(rounded(net.blobs["x"].data).astype(np.float64), [(0, 0), (0, 0), (1, 1), (1, 1)])
    windows = np.lib.stride_tricks.sliding_window_view(x, dy.shape[2:], (2, 3))
    close(weight.diff, np.einsum("ncijhw,nohw->ocij", windows, rounded(dy).astype(np.float64)))
    turned = rounded(weight.data)[:, :, ::-1, ::-1].swapaxes(0, 1)
    close(net.blobs["x"].diff, correlated(rounded(dy), turned))
    np.testing.assert_allclose(bias.diff, dy.astype(np.float64).sum((0, 2, 3)), rtol=1e-5, atol=1e-5)
    assert is_rounded(weight.diff) and is_rounded(net.blobs["x"].diff) and not is_rounded(bias.diff)


def test_inner_products_are_rounded():
    net = deep("bfloat16", DENSE, (4, 7))
    weight, bias = net.params["deep"]
    x, dy = rounded(net.blobs["x"].data).astype(np.float64), net.blobs["deep"].diff
    close(net.blobs["deep"].data, np.maximum(x @ rounded(weight.data).T, 0))
    close(weight.diff, rounded(dy).T @ x)
    close(net.blobs["x"].diff, rounded(dy).astype(np.float64) @ rounded(weight.data))
    np.testing.assert_allclose(bias.diff, dy.sum(0), rtol=1e-5, atol=1e-6)
    assert is_rounded(net.blobs["deep"].data) and not is_rounded(net.blobs["score"].data)


@pytest.mark.parametrize(
    ("kind", "shape"),
    [
        ('type: "Deconvolution" convolution_param { num_output: 4 kernel_size: 4 stride: 2 }', (1, 3, 5, 6)),
        ('type: "Convolution" convolution_param { num_output: 4 group: 2 kernel_size: 3 }', (2, 6, 7, 7)),
        # Four spatial axes are computed by columns.
        ('type: "Convolution" convolution_param { num_output: 4 kernel_size: 2 }', (1, 2, 3, 3, 3, 3)),
    ],
)
def test_other_products_come_as_near_as_their_bits_allow(kind, shape):
    text = (
        f'layer {{ name: "made" bottom: "x" top: "made" {kind} }}'
        'layer { name: "relu" type: "ReLU" bottom: "made" top: "top" relu_param { negative_slope: 1 } }'
        'layer { name: "end" type: "InnerProduct" bottom: "top" top: "end"'
        " inner_product_param { num_output: 1 } }"
    )
    results = []
    for precision in ("float32", "bfloat16"):
        caffe.set_precision(precision)
        net = build(text, {"x": np.zeros(shape)})
        for seed, blob in enumerate(blob for blobs in net.params.values() for blob in blobs):
            blob.data[...] = random(*blob.data.shape, seed=seed)
        forward(net, {"x": random(*shape, seed=5)})
        net.blobs["end"].diff[...] = 1
        net.backward()
        results.append(
            [net.blobs["made"].data.copy(), net.blobs["x"].diff.copy(), net.params["made"][0].diff]
        )
    for plain, found in zip(*results, strict=True):
        assert 0 < np.abs(found - plain).max() < 2**-6 * np.abs(plain).max()


def test_tf32_is_float32_on_a_cpu():
    plain, found = deep("float32"), deep("tf32")
    for name in ("deep", "score"):
        np.testing.assert_array_equal(found.blobs[name].data, plain.blobs[name].data)
    np.testing.assert_array_equal(found.params["deep"][0].diff, plain.params["deep"][0].diff)


@pytest.mark.parametrize("algorithms", ["auto", "fast", "reference"])
def test_no_algorithm_overrides_it(monkeypatch, algorithms):
    monkeypatch.setenv("CAFFE_ALGORITHMS", algorithms)
    net = deep("bfloat16", DEEP.replace("num_output: 6", "num_output: 32"), (1, 16, 30, 30))
    assert is_rounded(net.blobs["deep"].data) and is_rounded(net.params["deep"][0].diff)


def test_parameters_keep_what_bfloat16_cannot_hold(tmp_path):
    """A hundred steps, each too small for a weight of 8 bits, add up."""
    (tmp_path / "net.prototxt").write_text("""
layer { name: "x" type: "DummyData" top: "x" top: "y"
        dummy_data_param { shape { dim: 1 dim: 4 } shape { dim: 1 dim: 1 }
        data_filler { value: 1 } data_filler { value: 100 } } }
layer { name: "deep" type: "InnerProduct" bottom: "x" top: "deep"
        inner_product_param { num_output: 3 weight_filler { value: 1 } } }
layer { name: "relu" type: "ReLU" bottom: "deep" top: "deep" }
layer { name: "score" type: "InnerProduct" bottom: "deep" top: "score"
        param { lr_mult: 0 } param { lr_mult: 0 }
        inner_product_param { num_output: 1 weight_filler { value: 1 } } }
layer { name: "loss" type: "EuclideanLoss" bottom: "score" bottom: "y" top: "loss" }
""")
    (tmp_path / "solver.prototxt").write_text(
        f'net: "{tmp_path}/net.prototxt" base_lr: 1e-7 lr_policy: "fixed" type: "SGD" max_iter: 100'
    )
    caffe.set_precision("bfloat16")
    solver = caffe.get_solver(str(tmp_path / "solver.prototxt"))
    solver.step(100)
    moved = solver.net.params["deep"][0].data - 1
    np.testing.assert_allclose(moved, 100 * 88e-7, rtol=0.05)


def test_a_device_multiplies_in_bfloat16_and_gives_blobs_of_float32(monkeypatch):
    here = deep("bfloat16")
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu", 0))
    there = deep("bfloat16")
    for mine, its in ((here.blobs["deep"].data, there.blobs["deep"].data),
                      (here.params["deep"][0].diff, there.params["deep"][0].diff),
                      (here.blobs["x"].diff, there.blobs["x"].diff)):  # fmt: skip
        assert its.dtype == np.float32
        np.testing.assert_allclose(its, mine, rtol=2**-6, atol=2**-8 * np.abs(mine).max())


@pytest.mark.parametrize("precision", ["float32", "tf32"])
def test_a_pass_on_a_device_sets_torchs_switches_and_puts_them_back(monkeypatch, precision):
    def switches() -> tuple[bool, bool]:
        return torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32

    before, seen = switches(), []
    caffe.set_precision(precision)
    monkeypatch.setattr(device, "current", lambda: torch.device("cpu", 0))
    net = build(DEEP, {"x": np.zeros((1, 5, 6, 6))})
    net.after_forward(lambda number: seen.append(switches()))
    net.after_backward(lambda number: seen.append(switches()))
    net.forward()
    net.backward()
    assert set(seen) == {(precision == "tf32",) * 2}
    assert switches() == before


def test_an_unknown_precision_is_refused_and_changes_nothing():
    caffe.set_precision("tf32")
    with pytest.raises(ValueError, match="float32, tf32, bfloat16"):
        caffe.set_precision("float16")
    assert caffe.precision() == "tf32"


def test_gradient_of_a_lone_layer_is_float32s():
    """A net without an activation makes nothing but scores."""
    x, weight = random(1, 5, 6, 6), [random(6, 5, 3, 3), np.zeros(6)]
    plain = run(f'type: "Convolution" {CONVOLUTION}', {"x": x}, weight, topdiff=random(1, 6, 6, 6))
    caffe.set_precision("bfloat16")
    found = run(f'type: "Convolution" {CONVOLUTION}', {"x": x}, weight, topdiff=random(1, 6, 6, 6))
    np.testing.assert_array_equal(found.tops["top"], plain.tops["top"])
    np.testing.assert_array_equal(found.param_diffs[0], plain.param_diffs[0])
