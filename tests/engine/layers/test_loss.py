"""The losses against NumPy formulas and finite differences: normalisers, ignored labels, clamps, refusals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import caffe
from caffe._caffe import CaffeError, LayerError
from caffe.proto import caffe_pb2
from tests.engine.support.layer_case import build, check_gradient, forward, random, run

MODES = {"FULL": 24, "VALID": 22, "BATCH_SIZE": 2, "NONE": 1}  # 2 x 3 x 4 labels, two of them ignored


def labels(*shape: int, classes: int = 5, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, classes, shape).astype(float)


def softmax(x: np.ndarray, axis: int = 1) -> np.ndarray:
    e = np.exp(x - x.max(axis, keepdims=True))
    return e / e.sum(axis, keepdims=True)


def loss(text: str, arrays: dict, **more: Any) -> np.ndarray:
    return run(text, arrays, **more).tops["top"]


# -- SoftmaxWithLoss ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "norm"),
    [
        ("", 22),
        *((f"normalization: {mode}", size) for mode, size in MODES.items()),
        ("normalize: true", 22),
        ("normalize: false", 2),
        ("normalize: true normalization: NONE", 1),
    ],
)
def test_softmax_loss(fields: str, norm: int) -> None:
    text = f'type: "SoftmaxWithLoss" loss_param {{ ignore_label: 255 {fields} }}'
    x, t = random(2, 5, 3, 4), labels(2, 1, 3, 4)
    t[0, 0, 1, 2] = t[1, 0, 0, 0] = 255
    kept = t[:, 0] != 255
    terms = -np.log(np.take_along_axis(softmax(x), np.where(kept, t[:, 0], 0).astype(int)[:, None], 1))[:, 0]
    np.testing.assert_allclose(loss(text, {"x": x, "t": t}), terms[kept].sum() / norm, rtol=1e-5)
    check_gradient(text, {"x": x, "t": t}, wrt=["x"])
    dx = run(text, {"x": x, "t": t}, topdiff={}).bottom_diffs["x"]
    assert not np.moveaxis(dx, 1, -1)[~kept].any()


@pytest.mark.parametrize(
    ("axis", "shape", "label_shape"),
    [(1, (4, 3), (4,)), (1, (4, 3), (4, 1, 1)), (2, (2, 4, 3), (2, 4)), (-1, (2, 4, 3), (2, 4, 1))],
)
def test_softmax_loss_on_any_axis(axis: int, shape: tuple, label_shape: tuple) -> None:
    text = f'type: "SoftmaxWithLoss" softmax_param {{ axis: {axis} }}'
    x, t = random(*shape), labels(*label_shape, classes=3)
    rows = np.moveaxis(softmax(x, axis), axis, -1).reshape(-1, 3)
    expected = -np.log(rows[np.arange(t.size), t.reshape(-1).astype(int)]).mean()
    np.testing.assert_allclose(loss(text, {"x": x, "t": t}), expected, rtol=1e-5)
    check_gradient(text, {"x": x, "t": t}, wrt=["x"])


def test_a_label_costs_at_most_the_log_of_the_smallest_float() -> None:
    x = np.array([[300.0, 0], [0, 300]])
    result = run('type: "SoftmaxWithLoss"', {"x": x, "t": np.ones(2)}, topdiff={})
    np.testing.assert_allclose(result.tops["top"], 87.33654 / 2, rtol=1e-5)
    np.testing.assert_allclose(result.bottom_diffs["x"], [[0.5, -0.5], [0, 0]])  # as if there were no clamp


def test_only_ignored_labels_cost_nothing() -> None:
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: -1 }'
    result = run(text, {"x": random(3, 4), "t": -np.ones(3)}, topdiff={})
    assert result.tops["top"] == 0
    assert not result.bottom_diffs["x"].any()


def test_what_is_ignored_may_be_nan() -> None:
    text = 'type: "SoftmaxWithLoss" loss_param { ignore_label: 9 }'
    x, t = random(3, 4), np.array([1.0, 9, 2])
    clean = run(text, {"x": x, "t": t}, topdiff={})
    x[1] = np.nan
    spoilt = run(text, {"x": x, "t": t}, topdiff={})
    np.testing.assert_array_equal(spoilt.tops["top"], clean.tops["top"])
    np.testing.assert_array_equal(spoilt.bottom_diffs["x"], clean.bottom_diffs["x"])


def test_a_loss_is_the_exact_sum_where_one_by_one_float32_loses_digits() -> None:
    scores = random(1, 2, 500, 500)
    labels = np.zeros((1, 1, 500, 500))
    each = np.log(1 + np.exp(scores[0, 1] - scores[0, 0]))
    one_by_one = np.cumsum(each.astype(np.float32).ravel())[-1]
    fields = "loss_param { normalization: NONE }"
    loss = run(f'type: "SoftmaxWithLoss" {fields}', {"x": scores, "label": labels}).tops["top"]
    assert abs(loss - each.sum()) < 2e-7 * each.sum() < abs(one_by_one - each.sum()) < 1.5e-4 * each.sum()


def test_the_second_top_holds_the_probabilities_and_shares_them() -> None:
    text = 'type: "SoftmaxWithLoss" loss_weight: 1 loss_weight: 0'
    x, t = random(3, 4), labels(3, classes=4)
    net = build(text, {"x": x, "t": t}, tops=("top", "prob"))
    outputs = forward(net, {"x": x, "t": t})
    np.testing.assert_allclose(outputs["prob"], softmax(x), rtol=1e-5)
    net.blobs["prob"].data[...] = 0.25  # backward reads the same memory
    net.backward()
    expected = (0.25 - np.eye(4)[t.astype(int)]) / 3
    np.testing.assert_allclose(net.blobs["x"].diff, expected, rtol=1e-5)


def test_gradients_are_scaled_by_the_weight_in_the_tops_diff() -> None:
    arrays = {"x": random(3, 4), "t": labels(3, classes=4)}
    one = run('type: "SoftmaxWithLoss"', arrays, topdiff={}).bottom_diffs["x"]
    weighted = run('type: "SoftmaxWithLoss" loss_weight: 2.5', arrays, topdiff={}).bottom_diffs["x"]
    np.testing.assert_allclose(weighted, 2.5 * one, rtol=1e-6)
    silenced = run('type: "SoftmaxWithLoss"', arrays, topdiff=np.zeros(())).bottom_diffs["x"]
    assert not silenced.any()


def test_the_loss_follows_new_shapes() -> None:
    net = build('type: "SoftmaxWithLoss"', {"x": random(1, 3, 4, 4), "t": labels(1, 1, 4, 4, classes=3)})
    x, t = random(2, 3, 5, 6), labels(2, 1, 5, 6, classes=3)
    net.blobs["x"].reshape(*x.shape)
    net.blobs["t"].reshape(*t.shape)
    found = forward(net, {"x": x, "t": t})["top"]
    np.testing.assert_array_equal(found, loss('type: "SoftmaxWithLoss"', {"x": x, "t": t}))
    net.backward()
    assert net.blobs["x"].diff.shape == x.shape


@pytest.mark.parametrize(
    ("value", "param", "words"),
    [
        (
            7,
            "",
            r"'layer' \(SoftmaxWithLoss\): label 7 at \(1, 0, 2\) of 't' \(2, 3, 4\).*labels are 0 to 4",
        ),
        (-2, "ignore_label: 255", "label -2 .*ignore_label is 255"),
        (255, "", "label 255 .*set ignore_label"),
        (255, "ignore_label: 254", "label 255"),
        (np.nan, "", "label nan"),
        (1e20, "", "label 1e.20"),
    ],
)
def test_a_label_that_is_no_class_is_refused(value: float, param: str, words: str) -> None:
    t = labels(2, 3, 4)
    t[1, 0, 2] = value
    with pytest.raises(LayerError, match=words):
        run(f'type: "SoftmaxWithLoss" loss_param {{ {param} }}', {"x": random(2, 5, 3, 4), "t": t})


@pytest.mark.parametrize("items", [3, 3000])
@pytest.mark.parametrize("value", [5, -1, np.nan, np.inf])
def test_a_label_that_is_no_class_is_found_among_few_and_many(value: float, items: int) -> None:
    t = labels(items)
    t[1] = value
    with pytest.raises(LayerError, match="is not a class"):
        run('type: "SoftmaxWithLoss"', {"x": random(items, 5), "t": t})


@pytest.mark.parametrize("items", [3, 3000])
def test_labels_are_cut_toward_zero(items: int) -> None:
    x, whole, cut = random(items, 5), labels(items), labels(items)
    whole[:2], cut[:2] = (0, 4), (-0.9, 4.9)
    expected, found = (run('type: "SoftmaxWithLoss"', {"x": x, "t": t}, topdiff={}) for t in (whole, cut))
    assert found.tops["top"] == expected.tops["top"]
    np.testing.assert_array_equal(found.bottom_diffs["x"], expected.bottom_diffs["x"])


@pytest.mark.parametrize(
    ("label_shape", "words"),
    [
        (
            (2, 3, 4, 5),
            r"'x' \(2, 7, 4, 5\) .* need \(2, 4, 5\) = 40 labels.*'t' \(2, 3, 4, 5\) are 120; .* 3 channels",
        ),
        ((2, 1, 4, 6), "are 48"),
        ((1, 1, 4, 5), "same first dimension"),
    ],
)
def test_another_number_of_labels_is_refused(label_shape: tuple, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build('type: "SoftmaxWithLoss"', {"x": random(2, 7, 4, 5), "t": np.zeros(label_shape)})


def test_labels_get_no_gradient() -> None:
    text = """
        layer { name: "made" type: "Scale" bottom: "t" top: "made" scale_param { axis: 0 } }
        layer { name: "layer" type: "SoftmaxWithLoss" bottom: "x" bottom: "made" top: "top" }
    """
    with pytest.raises(LayerError, match=r"cannot backpropagate to label inputs: 'made' \(3,\)"):
        run(text, {"x": random(3, 4), "t": np.zeros(3)}, topdiff={}, force_backward=False)


def test_backward_needs_a_forward() -> None:
    net = build('type: "SoftmaxWithLoss"', {"x": random(3, 4), "t": np.zeros(3)})
    with pytest.raises(LayerError, match=r"\(SoftmaxWithLoss\)"):
        net.backward()


# -- InfogainLoss ---------------------------------------------------------------------------------------


def infogain(x: np.ndarray, t: np.ndarray, matrix: np.ndarray) -> float:
    rows = np.moveaxis(np.log(np.maximum(softmax(x), 1e-20)), 1, -1).reshape(-1, x.shape[1])
    return -(matrix[t.reshape(-1).astype(int)] * rows).sum()


def matrix_file(tmp_path: Path, matrix: np.ndarray) -> str:
    proto = caffe_pb2.BlobProto(data=matrix.reshape(-1).tolist())
    proto.shape.dim.extend(matrix.shape)
    path = tmp_path / "infogain.binaryproto"
    path.write_bytes(proto.SerializeToString())
    return str(path)


@pytest.mark.parametrize(("mode", "norm"), MODES.items())
def test_infogain_from_a_file(tmp_path, mode: str, norm: int) -> None:
    matrix = random(5, 5, seed=4)
    text = f"""type: "InfogainLoss" infogain_loss_param {{ source: "{matrix_file(tmp_path, matrix)}" }}
               loss_param {{ ignore_label: 255 normalization: {mode} }}"""
    x, t = random(2, 5, 3, 4), labels(2, 1, 3, 4)
    t[0, 0, 1, 2] = t[1, 0, 0, 0] = 255
    kept = (t != 255).reshape(-1)
    rows = np.moveaxis(x, 1, -1).reshape(-1, 5)[kept]
    found = loss(text, {"x": x, "t": t})
    np.testing.assert_allclose(found, infogain(rows, t.reshape(-1)[kept], matrix) / norm, rtol=1e-4)
    check_gradient(text, {"x": x, "t": t}, wrt=["x"])


def test_infogain_from_a_bottom_with_its_probabilities() -> None:
    x, t, matrix = random(3, 4), labels(3, classes=4), random(1, 1, 4, 4, seed=2)
    text = """
        layer { name: "scaled" type: "Scale" bottom: "x" top: "scaled" }
        layer { name: "layer" type: "InfogainLoss" bottom: "scaled" bottom: "t" bottom: "h"
                top: "top" top: "prob" loss_weight: 1 loss_weight: 0 }
    """
    result = run(text, {"x": x, "t": t, "h": matrix}, force_backward=False, topdiff={})
    np.testing.assert_allclose(result.tops["top"], infogain(x, t, matrix[0, 0]) / 3, rtol=1e-5)
    np.testing.assert_allclose(result.tops["prob"], softmax(x), rtol=1e-5)


def test_infogain_with_the_identity_is_the_softmax_loss(tmp_path) -> None:
    arrays = {"x": random(2, 4, 3, 3), "t": labels(2, 3, 3, classes=4)}
    text = f'type: "InfogainLoss" infogain_loss_param {{ source: "{matrix_file(tmp_path, np.eye(4))}" }}'
    ours, softmax_loss = (run(each, arrays, topdiff={}) for each in (text, 'type: "SoftmaxWithLoss"'))
    np.testing.assert_allclose(ours.tops["top"], softmax_loss.tops["top"], rtol=1e-5)
    np.testing.assert_allclose(ours.bottom_diffs["x"], softmax_loss.bottom_diffs["x"], rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ("", "source must be specified"),
        ('infogain_loss_param { source: "nowhere" }', "'layer'.*nowhere"),
        (
            'infogain_loss_param { source: "nowhere" } loss_param { normalize: true }',
            "normalize is deprecated",
        ),
    ],
)
def test_infogain_refuses(more: str, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build(f'type: "InfogainLoss" {more}', {"x": random(2, 3), "t": np.zeros(2)})


def test_infogain_refuses_a_matrix_of_another_size(tmp_path) -> None:
    source = matrix_file(tmp_path, np.eye(4))
    with pytest.raises(LayerError, match=r"must be \(3, 3\) .* it has 16 values"):
        build(
            f'type: "InfogainLoss" infogain_loss_param {{ source: "{source}" }}',
            {"x": random(2, 3), "t": np.zeros(2)},
        )


# -- the others -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "norm"),
    [("", 2), *((f"normalization: {mode}", size) for mode, size in MODES.items()), ("normalize: true", 22)],
)
def test_sigmoid_cross_entropy(fields: str, norm: int) -> None:
    text = f'type: "SigmoidCrossEntropyLoss" loss_param {{ ignore_label: -1 {fields} }}'
    x, t = random(2, 3, 4) * 4, np.random.default_rng(1).random((2, 3, 4))
    t[0, 1, 2] = t[1, 2, 3] = -1
    p, kept = 1 / (1 + np.exp(-x)), t != -1
    terms = -(t * np.log(p) + (1 - t) * np.log(1 - p))
    np.testing.assert_allclose(loss(text, {"x": x, "t": t}), terms[kept].sum() / norm, rtol=1e-5)
    check_gradient(text, {"x": x, "t": t}, wrt=["x"])


def test_sigmoid_cross_entropy_of_large_scores_is_finite() -> None:
    arrays = {"x": np.array([[200.0, -200, 200]]), "t": np.array([[0.0, 0, 1]])}
    assert loss('type: "SigmoidCrossEntropyLoss"', arrays) == 200


def test_sigmoid_cross_entropy_ignores_what_is_cut_to_the_label() -> None:
    text = 'type: "SigmoidCrossEntropyLoss" loss_param { ignore_label: 0 normalization: VALID }'
    arrays = {"x": random(1, 4), "t": np.array([[0.5, -0.5, 0.0, 1.0]])}
    np.testing.assert_allclose(loss(text, arrays), np.log1p(np.exp(-arrays["x"][0, 3])), rtol=1e-5)


def test_multinomial_logistic_loss() -> None:
    text = 'type: "MultinomialLogisticLoss"'
    p = np.array([[0.2, 0.8], [0.5, 0.5], [0, 1]])
    arrays = {"x": p, "t": np.array([1.0, 0, 0])}
    np.testing.assert_allclose(loss(text, arrays), -np.log([0.8, 0.5, 1e-20]).sum() / 3, rtol=1e-5)
    dx = run(text, arrays, topdiff={}).bottom_diffs["x"]
    np.testing.assert_allclose(dx, [[0, -1 / 2.4], [-1 / 1.5, 0], [-1 / 3e-20, 0]], rtol=1e-5)
    check_gradient(text, {"x": softmax(random(3, 4)), "t": labels(3, classes=4)}, wrt=["x"])


@pytest.mark.parametrize("shape", [(4, 5), (2, 3, 4, 5), (3,)])
def test_euclidean_loss(shape: tuple) -> None:
    a, b = random(*shape), random(*shape, seed=1)
    expected = ((a - b) ** 2).sum() / 2 / shape[0]
    np.testing.assert_allclose(loss('type: "EuclideanLoss"', {"a": a, "b": b}), expected, rtol=1e-5)
    check_gradient('type: "EuclideanLoss"', {"a": a, "b": b})


@pytest.mark.parametrize("norm", ["L1", "L2"])
@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1, 2)])
def test_hinge_loss(norm: str, shape: tuple) -> None:
    x, t = random(*shape) * 2, labels(4)
    sign = np.ones((4, x[0].size))
    sign[np.arange(4), t.astype(int)] = -1
    margins = np.maximum(0, 1 + sign * x.reshape(4, -1))
    text = f'type: "HingeLoss" hinge_loss_param {{ norm: {norm} }}'
    expected = (margins ** (1 if norm == "L1" else 2)).sum() / 4
    np.testing.assert_allclose(loss(text, {"x": x, "t": t}), expected, rtol=1e-5)
    check_gradient(text, {"x": x, "t": t}, wrt=["x"])


@pytest.mark.parametrize("margin", [0.5, 2, 6])
@pytest.mark.parametrize("legacy", [False, True])
def test_contrastive_loss(margin: float, legacy: bool) -> None:
    a, b, alike = random(6, 3), random(6, 3, seed=1), np.array([1.0, 0, 0.9, 0, -1, 0])
    squared = ((a - b) ** 2).sum(1)
    d = np.sqrt(squared)
    same = alike.astype(int) != 0
    apart = np.maximum(margin - squared, 0) if legacy else np.maximum(margin - d, 0) ** 2
    text = f"""type: "ContrastiveLoss"
               contrastive_loss_param {{ margin: {margin} legacy_version: {str(legacy).lower()} }}"""
    result = run(text, {"a": a, "b": b, "alike": alike}, topdiff={})
    np.testing.assert_allclose(result.tops["top"], np.where(same, squared, apart).sum() / 12, rtol=1e-5)
    # Not the derivative: Caffe divides by d + 1e-4.
    slope = np.ones(6) if legacy else (margin - d) / (d + 1e-4)
    active = (margin - (squared if legacy else d)) > 0
    da = np.where(same, 1, np.where(active, -slope, 0))[:, None] * (a - b) / 6
    np.testing.assert_allclose(result.bottom_diffs["a"], da, rtol=1e-4, atol=1e-6)
    np.testing.assert_allclose(result.bottom_diffs["b"], -da, rtol=1e-4, atol=1e-6)


def test_equal_pairs_that_differ_have_a_finite_gradient() -> None:
    arrays = {"a": np.ones((2, 3)), "b": np.ones((2, 3)), "alike": np.zeros(2)}
    result = run('type: "ContrastiveLoss"', arrays, topdiff={})
    assert result.tops["top"] == 0.5
    assert not result.bottom_diffs["a"].any()


@pytest.mark.parametrize("kind", ["HingeLoss", "MultinomialLogisticLoss"])
def test_one_label_per_item(kind: str) -> None:
    with pytest.raises(LayerError, match="label 5 at .1,. .*0 to 4"):
        run(f'type: "{kind}"', {"x": random(2, 5), "t": np.array([0, 5])})
    with pytest.raises(
        LayerError, match=r"2 in all: .* 'x' \(2, 5, 3\), labels 't' \(2, 3\).*SoftmaxWithLoss"
    ):
        build(f'type: "{kind}"', {"x": random(2, 5, 3), "t": np.zeros((2, 3))})


@pytest.mark.parametrize(
    ("kind", "shapes", "words"),
    [
        ("EuclideanLoss", [(2, 3), (2, 4)], r"same dimension: 'a' \(2, 3\), 'b' \(2, 4\)"),
        ("EuclideanLoss", [(2, 6), (3, 4)], "same first dimension"),
        ("EuclideanLoss", [(), ()], "same first dimension"),
        ("SigmoidCrossEntropyLoss", [(2, 3), (2, 4)], "same count"),
        ("ContrastiveLoss", [(2, 3), (2, 4), (2,)], r"'a' \(2, 3\), 'b' \(2, 4\)"),
        ("ContrastiveLoss", [(2, 3, 2), (2, 3, 2), (2,)], "must be .N, C."),
        ("ContrastiveLoss", [(2, 3), (2, 3), (2, 2)], r"2 in all: 'c' \(2, 2\)"),
        ("ContrastiveLoss", [(2, 3), (2, 3), (2, 1, 1, 1, 1)], r"> 4 axes: 'c' \(2, 1, 1, 1, 1\)"),
        ("EuclideanLoss", [(2, 1, 1, 1, 3), (2, 3)], "legacy accessors on Blobs with > 4 axes: 'a'"),
        ("EuclideanLoss", [(2, 3), (2, 1, 1, 1, 3)], "> 4 axes: 'b'"),  # backward asks for it
        ("HingeLoss", [(2, 1, 1, 1, 3), (2,)], "> 4 axes: 'a'"),
        ("MultinomialLogisticLoss", [(2, 1, 1, 1, 3), (2,)], "> 4 axes: 'a'"),
        ("MultinomialLogisticLoss", [(2, 3), (2, 1, 1, 1, 1)], "> 4 axes: 'b'"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(kind: str, shapes: list, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        run(f'type: "{kind}"', {name: np.ones(shape) for name, shape in zip("abc", shapes)}, topdiff={})


def test_five_axes_are_fine_where_caffe_asks_for_the_shape() -> None:
    inputs = {"x": np.zeros((2, 3, 1, 1, 1)), "t": np.zeros((2, 1, 1, 1, 1))}
    assert run('type: "SoftmaxWithLoss"', inputs, topdiff={}).tops["top"] > 1


@pytest.mark.parametrize("kind", ["EuclideanLoss", "SoftmaxWithLoss"])
def test_a_loss_needs_two_bottoms(kind: str) -> None:
    with pytest.raises(CaffeError, match="2 bottom"):
        build(f'type: "{kind}"', {"a": np.ones((2, 3))})


def test_a_loss_without_a_top_counts() -> None:
    net = build(
        'type: "EuclideanLoss"', {"a": np.ones((1, 3)), "b": np.zeros((1, 3))}, tops=(), phase=caffe.TRAIN
    )
    net.blobs["a"].data[...] = 1
    assert net._forward(0, len(net.layers) - 1) == 1.5
    net.backward()
    np.testing.assert_array_equal(net.blobs["a"].diff, [[1, 1, 1]])


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "InfogainLoss"])
def test_the_loss_of_nothing_is_shown_without_a_sign(kind: str) -> None:
    arrays = {"x": np.ones((2, 3)), "t": np.full(2, 255)} | ({"h": np.eye(3)} if kind[0] == "I" else {})
    found = loss(f'type: "{kind}" loss_param {{ ignore_label: 255 }}', arrays, force_backward=False)
    assert found == 0 and not np.signbit(found)


def test_the_batch_of_a_contrastive_loss_may_grow():
    text = 'type: "ContrastiveLoss"'
    small = {"a": random(2, 3), "b": random(2, 3, seed=1), "alike": np.array([1.0, 0])}
    large = {"a": random(5, 3), "b": random(5, 3, seed=1), "alike": np.array([1.0, 0, 0, 1, 1])}
    net = build(text, small)
    for name, value in large.items():
        net.blobs[name].reshape(*value.shape)
    np.testing.assert_array_equal(forward(net, large)["top"], run(text, large).tops["top"])


def test_a_hinge_loss_may_run_backward_twice():
    x, label = random(3, 4), np.array([0.0, 3, 1])
    net = build('type: "HingeLoss"', {"x": x, "label": label})
    net.blobs["x"].data[...], net.blobs["label"].data[...] = x, label
    net.forward()
    net.backward()
    once = net.blobs["x"].diff.copy()
    net.backward()
    np.testing.assert_array_equal(net.blobs["x"].diff, once)
    assert once.any()
