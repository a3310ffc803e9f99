"""Accuracy and ArgMax against NumPy; ties, NaN, ignored labels and refusals."""

from __future__ import annotations

import numpy as np
import pytest

from caffe._caffe import LayerError
from tests.engine.support.layer_case import build, random, run


def accuracy(fields: str, x: np.ndarray, t: np.ndarray, tops: tuple[str, ...] = ("top",)) -> dict:
    return run(f'type: "Accuracy" accuracy_param {{ {fields} }}', {"x": x, "t": t}, tops=tops).tops


@pytest.mark.parametrize("top_k", [1, 2, 5])
@pytest.mark.parametrize("ignore", [None, 0, 255])
def test_accuracy(top_k: int, ignore: int | None) -> None:
    x, t = random(2, 5, 4, 6), np.random.default_rng(1).integers(0, 5, (2, 1, 4, 6)).astype(float)
    if ignore == 255:
        t[0, 0, :2] = 255
    rows, wanted = np.moveaxis(x, 1, -1).reshape(-1, 5), t.reshape(-1).astype(int)
    kept = np.full(wanted.shape, True) if ignore is None else wanted != ignore
    best = np.argsort(-rows, 1)[:, :top_k]
    right = (best == wanted[:, None]).any(1)
    fields = f"top_k: {top_k}" + ("" if ignore is None else f" ignore_label: {ignore}")
    found = accuracy(fields, x, t, ("top", "each"))
    np.testing.assert_allclose(found["top"], right[kept].mean(), rtol=1e-6)
    each = [right[wanted == c].mean() if (kept & (wanted == c)).any() else 0 for c in range(5)]
    np.testing.assert_allclose(found["each"], each, rtol=1e-6)


def test_accuracy_on_another_axis() -> None:
    x, t = random(2, 3, 5), np.random.default_rng(1).integers(0, 5, (2, 3)).astype(float)
    for axis in (2, -1):
        assert accuracy(f"axis: {axis}", x, t)["top"] == np.float32((x.argmax(2) == t).mean())


def test_ties_count_against_the_label_and_nan_for_it() -> None:
    x = np.array([[1.0, 3, 3, 2], [5, 5, 5, 5], [np.nan] * 4, [0, np.nan, 0, 1]])
    assert accuracy("", x, np.array([1.0, 0, 2, 1]))["top"] == 0.5
    assert accuracy("top_k: 2", x, np.array([1.0, 0, 2, 1]))["top"] == 0.75


def test_a_class_without_labels_and_no_labels_at_all() -> None:
    x = np.eye(3)
    found = accuracy("ignore_label: 9", x, np.array([0.0, 0, 9]), ("top", "each"))
    np.testing.assert_array_equal(found["each"], [0.5, 0, 0])
    assert accuracy("ignore_label: 9", x, np.full(3, 9.0))["top"] == 0


@pytest.mark.parametrize(
    ("fields", "labels", "words"),
    [
        ("top_k: 4", np.zeros(2), r"top_k 4, 3 classes in 'x' \(2, 3\)"),
        (
            "",
            np.zeros((2, 2)),
            r"'x' \(2, 3\) with classes on axis 1 need \(2,\) = 2 labels.*'t' \(2, 2\) are 4",
        ),
        ("", np.array([0.0, 3]), "label 3 at .1,. .*0 to 2"),
        ("ignore_label: 9", np.array([0.0, -1]), "label -1 .*ignore_label is 9"),
    ],
)
def test_accuracy_refuses(fields: str, labels: np.ndarray, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        accuracy(fields, random(2, 3), labels)


def argmax(fields: str, x: np.ndarray) -> np.ndarray:
    return run(f'type: "ArgMax" argmax_param {{ {fields} }}', {"x": x}).tops["top"]


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
@pytest.mark.parametrize("top_k", [1, 2, 3])
def test_argmax_along_an_axis(axis: int, top_k: int) -> None:
    x = random(3, 4, 5)
    order = np.argsort(-x, axis).take(range(top_k), axis)
    np.testing.assert_array_equal(argmax(f"axis: {axis} top_k: {top_k}", x), order)
    values = np.take_along_axis(x, order, axis).astype("f")
    np.testing.assert_array_equal(argmax(f"axis: {axis} top_k: {top_k} out_max_val: true", x), values)


@pytest.mark.parametrize(
    ("shape", "ones"),
    [((3,), ()), ((3, 8), ()), ((3, 2, 4), ()), ((3, 2, 2, 2), (1,)), ((3, 2, 2, 1, 2), (1, 1))],
)
def test_argmax_of_whole_items(shape: tuple, ones: tuple) -> None:
    x = random(*shape)
    top_k = 1 if len(shape) == 1 else 3
    rows = x.reshape(3, -1)
    order = np.argsort(-rows, 1)[:, :top_k]
    np.testing.assert_array_equal(argmax(f"top_k: {top_k}", x), order.reshape(3, 1, top_k, *ones))
    both = np.stack([order, np.take_along_axis(rows, order, 1).astype("f")], 1)
    found = argmax(f"top_k: {top_k} out_max_val: true", x)
    np.testing.assert_array_equal(found, both.reshape(3, 2, top_k, *ones))


def test_of_equal_values_the_larger_index_comes_first() -> None:
    x = np.array([[1.0, 3, 3, 2], [5, 5, 5, 5]])
    np.testing.assert_array_equal(argmax("axis: 1", x), [[2], [3]])
    np.testing.assert_array_equal(
        argmax("top_k: 2 out_max_val: true", x), [[[2, 1], [3, 3]], [[3, 2], [5, 5]]]
    )


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("top_k: 7", r"the 6 values searched in 'x' \(4, 2, 3\): 7"),
        ("axis: 1 top_k: 3", "the 2 values"),
        ("top_k: 0", "at least 1"),
        ("axis: 3", "axis 3 out of range"),
    ],
)
def test_argmax_refuses(fields: str, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        argmax(fields, random(4, 2, 3))


@pytest.mark.parametrize(
    ("text", "arrays"),
    [
        ('type: "Accuracy" loss_weight: 1', {"x": np.ones((2, 3)), "t": np.zeros(2)}),
        ('type: "ArgMax" loss_weight: 1', {"x": np.ones((2, 3))}),
    ],
)
def test_metrics_have_no_gradient(text: str, arrays: dict) -> None:
    with pytest.raises(LayerError, match="has no gradient"):
        run(text, arrays, topdiff={})
    net = build(text, arrays, force_backward=False)
    net.forward()
    net.backward()  # nobody asks for one


@pytest.mark.parametrize(
    ("fields", "shape"),
    [("top_k: 3", (0, 1, 3)), ("top_k: 2 out_max_val: true", (0, 2, 2)), ("axis: 1", (0, 1))],
)
def test_argmax_of_no_items(fields: str, shape: tuple) -> None:
    top = run(f'type: "ArgMax" argmax_param {{ {fields} }}', {"x": np.ones((0, 3))}).tops["top"]
    assert top.shape == shape


@pytest.mark.parametrize("type_", ["ArgMax", "Threshold"])
def test_what_has_no_gradient_is_refused_only_where_one_is_wanted(net_of, type_):
    text = (
        'layer {{ name: "in" type: "Input" top: "x" top: "label" '
        "input_param {{ shape {{ dim: 2 dim: 3 }} shape {{ dim: 2 dim: 3 }} }} }}"
        'layer {{ name: "ip" type: "InnerProduct" bottom: "x" top: "ip" '
        "inner_product_param {{ num_output: 3 }} }}"
        f'layer {{{{ name: "step" type: "{type_}" bottom: "ip" top: "step" {{}} }}}}'
        'layer {{ name: "r" type: "Reduction" bottom: "step" top: "loss" loss_weight: 1 }}'
    )
    net_of(text.format("propagate_down: false")).backward()
    net = net_of(text.format(""))
    net.forward()
    with pytest.raises(LayerError, match="propagate_down: false"):
        net.backward()
