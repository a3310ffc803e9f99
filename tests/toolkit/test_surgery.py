"""Net surgery, on plain objects with parameters and on nets that are run before and after."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import caffe
import nets
import surgery


def net(seed: int | None = None, **shapes: list[tuple[int, ...]]) -> SimpleNamespace:
    """An object with ``params``; zeros, or random values from ``seed``."""
    draw = np.zeros if seed is None else np.random.default_rng(seed).standard_normal
    return SimpleNamespace(
        params={
            name: [SimpleNamespace(data=draw(shape)) for shape in blobs] for name, blobs in shapes.items()
        }
    )


def test_transplant_copies_coerces_drops_and_reports(caplog: pytest.LogCaptureFixture) -> None:
    old = net(0, conv=[(4, 3, 3, 3), (4,)], fc6=[(5, 36), (5,)], fc8=[(9, 5), (9,)], last=[(2, 2), (2,)])
    new = net(conv=[(4, 3, 3, 3), (4,)], fc6=[(5, 4, 3, 3), (5,)], score=[(2, 5, 1, 1), (2,)], last=[(2, 2)])
    with caplog.at_level(logging.INFO):
        report = surgery.transplant(new, old)
    assert report == surgery.Report(
        copied=[("conv", 0), ("conv", 1), ("fc6", 1), ("last", 0)],
        coerced=[("fc6", 0)],
        dropped=["fc8", ("last", 1)],
        untouched=["score"],
    )
    assert np.array_equal(new.params["conv"][0].data, old.params["conv"][0].data)
    assert np.array_equal(new.params["fc6"][0].data, old.params["fc6"][0].data.reshape(5, 4, 3, 3))
    assert not new.params["score"][0].data.any()
    assert "received nothing: score" in caplog.text and "dropped: fc8, last[1]" in caplog.text


def test_transplant_writes_into_the_arrays_that_are_there() -> None:
    new, old = net(a=[(2, 3)]), net(1, a=[(2, 3)])
    view = new.params["a"][0].data
    surgery.transplant(new, old)
    assert view is new.params["a"][0].data and view.all()


def test_transplant_with_suffix_fills_a_tagged_trunk() -> None:
    old = net(0, conv=[(2, 1, 1, 1)])
    new = net(conv_sem=[(2, 1, 1, 1)], conv_geo=[(2, 1, 1, 1)])
    assert surgery.transplant(new, old, "_sem").untouched == ["conv_geo"]
    assert surgery.transplant(new, old, suffix="_geo").untouched == ["conv_sem"]
    assert np.array_equal(new.params["conv_sem"][0].data, new.params["conv_geo"][0].data)


def test_other_numbers_of_classes_name_the_layer_both_shapes_and_the_way_out() -> None:
    old, new = net(0, a=[(2, 2)], score=[(21, 8, 1, 1), (21,)]), net(a=[(2, 2)], score=[(60, 8, 1, 1), (60,)])
    with pytest.raises(ValueError, match=r"'score' is \(21, 8, 1, 1\).*\(60, 8, 1, 1\).*skip=\['score'\]"):
        surgery.transplant(new, old)
    assert not new.params["a"][0].data.any(), "nothing may change when the nets do not fit"
    report = surgery.transplant(new, old, skip=["score"])
    assert report.untouched == ["score"] and new.params["a"][0].data.any()


def test_transplant_makes_a_classifier_convolutional(tmp_path: Path) -> None:
    """The FCN's fc7 over an image of one window equals the classifier's (Long et al., section 3.1)."""
    arch = nets.VGG(stages=((4,), (4,), (8,), (8,), (8,)), fc=12, fc_kernel=4)
    caffe.set_random_seed(3)
    loaded = {}
    for name, model in (("fc", "vgg16"), ("conv", "voc-fcn32s")):
        path = tmp_path / f"{name}.prototxt"
        path.write_text(str(nets.build(model, "deploy", arch=arch, classes=3, size=(128, 128))))
        loaded[name] = caffe.Net(str(path), caffe.TEST)
    report = surgery.transplant(loaded["conv"], loaded["fc"])
    assert report.coerced == [("fc6", 0), ("fc7", 0)] and report.untouched == ["score_fr", "upscore"]
    pool5 = np.random.default_rng(0).random((1, 8, 4, 4), np.float32)
    results = {}
    for name, each in loaded.items():
        each.blobs["pool5"].reshape(*pool5.shape)
        each.blobs["pool5"].data[...] = pool5
        each.forward(start="fc6", end="relu7")
        results[name] = each.blobs["fc7"].data.ravel().copy()
    assert results["fc"].any()
    np.testing.assert_allclose(results["conv"], results["fc"], rtol=1e-5, atol=1e-6)


@given(st.integers(1, 40))
def test_upsample_filt_is_symmetric_and_weighs_every_output_alike(size: int) -> None:
    kernel = surgery.upsample_filt(size)
    assert kernel.shape == (size, size)
    np.testing.assert_allclose(kernel, kernel[::-1])
    np.testing.assert_allclose(kernel, kernel.T)
    stride = (size + 1) // 2
    np.testing.assert_allclose([kernel[:, i::stride].sum() for i in range(stride)], kernel.sum() / stride)


def test_upsample_filt_values() -> None:
    tent = np.array([1, 3, 3, 1]) / 4
    np.testing.assert_allclose(surgery.upsample_filt(4), np.outer(tent, tent))
    tent = np.array([1, 2, 1]) / 2
    np.testing.assert_allclose(surgery.upsample_filt(3), np.outer(tent, tent))


def test_interp_makes_a_deconvolution_interpolate(tmp_path: Path) -> None:
    path = tmp_path / "up.prototxt"
    path.write_text("""
        layer { name: 'x' type: 'Input' top: 'x' input_param { shape { dim: [1, 2, 6, 6] } } }
        layer { name: 'up' type: 'Deconvolution' bottom: 'x' top: 'up' convolution_param {
          num_output: 2 kernel_size: 4 stride: 2 bias_term: false weight_filler { type: 'xavier' } } }""")
    up = caffe.Net(str(path), caffe.TEST)
    surgery.interp(up, ["up"])
    ramp = np.stack([np.tile(np.arange(6.0), (6, 1)), np.full((6, 6), 5.0)])
    result = up.forward(x=ramp[None])["up"][0]
    columns = np.arange(2, 12)
    np.testing.assert_allclose(result[0, 6, columns], (columns - 1.5) / 2, atol=1e-5)
    np.testing.assert_allclose(result[1, 2:-2, 2:-2], 5, atol=1e-5)


def test_interp_of_grouped_kernels_fills_every_channel() -> None:
    grouped = net(up=[(3, 1, 4, 4)])
    surgery.interp(grouped, ["up"])
    for kernel in grouped.params["up"][0].data[:, 0]:
        np.testing.assert_allclose(kernel, surgery.upsample_filt(4))


@pytest.mark.parametrize(("shape", "message"), [
    ((2, 2, 4, 3), r"\(4, 3\); interp needs a square one"), ((3, 2, 4, 4), "as many outputs as inputs"),
    ((3, 2), "needs 4 axes"),
])  # fmt: skip
def test_interp_refuses_what_cannot_interpolate(shape: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=f"layer 'up'.*{message}"):
        surgery.interp(net(up=[shape]), ["up"])


@pytest.mark.parametrize("bias", [(3,), (1, 1, 1, 3)], ids=["vector", "4-D"])
def test_expand_score_keeps_the_old_classes(bias: tuple[int, ...]) -> None:
    old, new = net(0, score=[(3, 4, 1, 1), bias]), net(wide=[(5, 4, 1, 1), (5,)])
    surgery.expand_score(new, "wide", old, "score")
    weights, biases = (blob.data for blob in new.params["wide"])
    assert np.array_equal(weights[:3], old.params["score"][0].data) and not weights[3:].any()
    assert np.array_equal(biases[:3], old.params["score"][1].data.ravel()) and not biases[3:].any()


def test_expand_score_into_old_4d_biases() -> None:
    old, new = net(0, score=[(3, 4, 1, 1), (3,)]), net(score=[(5, 4, 1, 1), (1, 1, 1, 5)])
    surgery.expand_score(new, "score", old, "score")
    assert np.array_equal(new.params["score"][1].data[0, 0, 0, :3], old.params["score"][1].data)


@pytest.mark.parametrize("wider", [(2, 4, 1, 1), (5, 8, 1, 1)])
def test_expand_score_refuses_fewer_classes_and_other_inputs(wider: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match=r"\(3, 4, 1, 1\) does not fit"):
        surgery.expand_score(net(s=[wider, wider[:1]]), "s", net(0, s=[(3, 4, 1, 1), (3,)]), "s")


def test_a_further_input_channel_starts_as_the_mean_of_the_others() -> None:
    old, new = net(3, conv=[(2, 3, 2, 2), (2,)]), net(wider=[(2, 4, 2, 2), (2,)])
    surgery.widen(new, "wider", old, "conv")
    filters, (weights, bias) = old.params["conv"][0].data, (blob.data for blob in new.params["wider"])
    np.testing.assert_array_equal(weights[:, :3], filters)
    np.testing.assert_allclose(weights[:, 3], filters.mean(1))
    np.testing.assert_array_equal(bias, old.params["conv"][1].data)
    with pytest.raises(ValueError, match=r"'wider' \(2, 4, 2, 2\) does not fit into 'conv' \(2, 3, 2, 2\)"):
        surgery.widen(old, "conv", new, "wider")
