"""Concat, Slice, Split, Silence, Filter and BatchReindex against NumPy and finite differences."""

from __future__ import annotations

import numpy as np
import pytest

from caffe._caffe import CaffeError, LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run


@pytest.mark.parametrize(
    ("fields", "shapes", "axis"),
    [
        ("", [(2, 3, 4), (2, 1, 4), (2, 2, 4)], 1),
        ("axis: 0", [(2, 3), (5, 3)], 0),
        ("axis: -1", [(2, 3, 1), (2, 3, 6)], 2),
        ("concat_dim: 0", [(2, 3), (1, 3)], 0),
        ("", [(2, 3)], 1),
    ],
)
def test_concat(fields: str, shapes: list, axis: int) -> None:
    text = f'type: "Concat" concat_param {{ {fields} }}'
    arrays = {f"x{i}": random(*shape, seed=i) for i, shape in enumerate(shapes)}
    expected = np.concatenate([x.astype("f") for x in arrays.values()], axis)
    np.testing.assert_array_equal(run(text, arrays).tops["top"], expected)
    check_gradient(text, arrays)


@pytest.mark.parametrize(
    ("fields", "shapes", "words"),
    [
        ("", [(2, 3, 4), (2, 3, 5)], r"except at concat_axis 1: 'a' \(2, 3, 4\), 'b' \(2, 3, 5\)"),
        ("", [(2, 3, 4), (2, 3)], r"'b' \(2, 3\)"),
        ("axis: 2", [(2, 3), (2, 3)], "axis 2 out of range"),
        ("concat_dim: 2", [(2, 3), (2, 3)], "axis 2 out of range"),
        ("axis: 1 concat_dim: 1", [(2, 3), (2, 3)], "not both"),
    ],
)
def test_concat_refuses(fields: str, shapes: list, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build(
            f'type: "Concat" concat_param {{ {fields} }}',
            {name: random(*shape) for name, shape in zip("ab", shapes)},
        )


@pytest.mark.parametrize(
    ("fields", "cuts", "axis"),
    [
        ("", [2, 4], 1),
        ("slice_point: 1 slice_point: 5", [1, 5], 1),
        ("axis: -2", [2, 4], 1),
        ("axis: 0 slice_point: 1 slice_point: 3", [1, 3], 0),
        ("slice_dim: 0", [1, 2], 0),
    ],
)
def test_slice(fields: str, cuts: list[int], axis: int) -> None:
    text = f'type: "Slice" slice_param {{ {fields} }}'
    tops, x = ("p", "q", "r"), random(*(3, 6, 2) if axis else (3 + (cuts[1] == 3), 6, 2))
    outputs = run(text, {"x": x}, tops=tops).tops
    for name, part in zip(tops, np.split(x.astype("f"), cuts, axis)):
        np.testing.assert_array_equal(outputs[name], part)
    check_gradient(text, {"x": x}, tops=tops)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("slice_point: 2", r"3 tops need 2 slice points, not 1: \[2\]"),
        ("slice_point: 4 slice_point: 2", r"\[4, 2\] must increase.* at most 7, dim 1 of 'x' \(2, 7\)"),
        ("slice_point: 2 slice_point: 8", "must increase"),
        ("", r"Number of top blobs \(3\) should evenly divide dim 1 of 'x' \(2, 7\)"),
        ("axis: 1 slice_dim: 1", "not both"),
        ("axis: 2", "axis 2 out of range"),
    ],
)
def test_slice_refuses(fields: str, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build(f'type: "Slice" slice_param {{ {fields} }}', {"x": random(2, 7)}, tops=("p", "q", "r"))


@pytest.mark.parametrize("kind", ["Concat", "Slice"])
def test_a_single_blob_is_shared(kind: str) -> None:
    net = build(f'type: "{kind}"', {"x": random(2, 3)})
    net.blobs["x"].data[1, 2] = 9
    net.blobs["top"].diff[0, 1] = 4
    assert net.blobs["top"].data[1, 2] == 9
    assert net.blobs["x"].diff[0, 1] == 4


@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_split_adds_the_gradients_up(count: int) -> None:
    x, tops = random(2, 3), [f"y{i}" for i in range(count)]
    diffs = {name: random(2, 3, seed=i) for i, name in enumerate(tops)}
    result = run('type: "Split"', {"x": x}, tops=tops, topdiff=diffs)
    for name in tops:
        np.testing.assert_array_equal(result.tops[name], x.astype("f"))
    np.testing.assert_allclose(result.bottom_diffs["x"], sum(diffs.values()), rtol=1e-5, atol=1e-6)


def test_split_shares_the_data_and_not_the_diffs() -> None:
    net = build('type: "Split"', {"x": random(2, 3)}, tops=("p", "q"))
    net.blobs["x"].data[...] = 3
    net.blobs["p"].diff[...] = 1
    assert (net.blobs["p"].data == 3).all()
    assert (net.blobs["q"].data == 3).all()
    assert not net.blobs["q"].diff.any()
    net.blobs["x"].reshape(4, 5)  # grows: the tops must follow to the new memory
    forward(net, {"x": np.full((4, 5), 6)})
    assert (net.blobs["q"].data == np.full((4, 5), 6)).all()


def test_split_is_refused_in_place() -> None:
    with pytest.raises(CaffeError):
        build('type: "Split" top: "x"', {"x": random(2, 3)})


def test_silence_overwrites_the_gradient_with_zeros() -> None:
    net = build('type: "Silence"', {"x": random(2, 3), "y": random(4)}, tops=())
    net.blobs["x"].diff[...] = 8
    net.forward()
    net.backward()
    assert net.outputs == []
    assert not net.blobs["x"].diff.any()


def through(kind: str, by: list) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """x, the items that come out, and what x gets back from a loss of half their squares."""
    # Only what a layer with parameters made wants a gradient: the selector must not.
    text = f"""
        layer {{ name: "scaled" type: "Scale" bottom: "x" top: "scaled" }}
        layer {{ name: "layer" type: "{kind}" bottom: "scaled" bottom: "by" top: "top" }}
        layer {{ name: "loss" type: "Reduction" bottom: "top" top: "loss" loss_weight: 0.5
                 reduction_param {{ operation: SUMSQ }} }}
    """
    arrays = {"x": random(4, 3).astype("f"), "by": np.array(by)}
    net = build(text, arrays, force_backward=False)
    forward(net, arrays)
    net.backward()
    return arrays["x"], net.blobs["top"].data, net.blobs["scaled"].diff


@pytest.mark.parametrize("by", [[1, 0, -2, 0.5], [0, 0, 0, 1], [1, 1, 1, 1]])
def test_filter_packs_the_chosen_items(by: list) -> None:
    x, top, dx = through("Filter", by)
    chosen = np.array(by) != 0
    np.testing.assert_array_equal(top, x[chosen])
    np.testing.assert_array_equal(dx, np.where(chosen[:, None], x, 0))


def test_filter_has_all_items_at_first_and_may_have_none() -> None:
    text = 'type: "Filter" bottom: "x" bottom: "by" top: "top"'
    arrays = {"x": random(4, 3), "by": np.zeros((4, 1))}
    net = build(text, arrays, force_backward=False)
    assert net.blobs["top"].data.shape == (4, 3)
    forward(net, arrays)
    assert net.blobs["top"].data.shape == (0, 3)
    arrays["by"][2] = 1
    assert forward(net, arrays)["top"].shape == (1, 3)


@pytest.mark.parametrize(
    ("shape", "words"),
    [((4, 2), r"singletons \(1\), except the first: 'by' \(4, 2\)"), ((3,), r"'x' \(4, 3\), 'by' \(3,\)")],
)
def test_filter_refuses_a_selector_of_another_shape(shape: tuple, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build('type: "Filter"', {"x": random(4, 3), "by": np.ones(shape)})


def test_filter_needs_a_top_for_each_blob_it_filters() -> None:
    with pytest.raises(LayerError, match="2 bottoms.* need 1 tops, not 2"):
        build('type: "Filter"', {"x": random(4, 3), "by": np.ones(4)}, tops=("p", "q"))


@pytest.mark.parametrize("by", [[3, 1, 0, 2], [0, 0, 2, 0, 3.9], [1]])
def test_batch_reindex_picks_items_and_adds_repeats_up(by: list) -> None:
    x, top, dx = through("BatchReindex", by)
    index = np.array(by).astype(int)
    np.testing.assert_array_equal(top, x[index])
    expected = np.zeros((4, 3))
    np.add.at(expected, index, x[index])
    np.testing.assert_allclose(dx, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("wrong", [4, -1, -0.5])
def test_batch_reindex_refuses_an_index_out_of_range(wrong: int) -> None:
    with pytest.raises(
        LayerError, match=rf"index {wrong} in 'by' \(2,\) is out of range: 'x' \(4, 3\) has items 0 to 3"
    ):
        run('type: "BatchReindex"', {"x": random(4, 3), "by": np.array([0, wrong])}, force_backward=False)


@pytest.mark.parametrize(("kind", "words"), [("Filter", "selector"), ("BatchReindex", "indices")])
def test_choosing_has_no_gradient(kind: str, words: str) -> None:
    with pytest.raises(LayerError, match=f"cannot backpropagate to the {words}"):
        run(f'type: "{kind}"', {"x": random(4, 3), "by": np.ones(4)}, topdiff=np.ones((4, 3)))


def test_slice_refuses_more_tops_than_the_dim() -> None:
    text = 'type: "Slice" slice_param { axis: 0 slice_point: 1 }'
    with pytest.raises(LayerError, match=r"2 tops, but dim 0 of 'x' \(1, 3\)"):
        build(text, {"x": random(1, 3)}, tops=("a", "b"))
