"""Crop, Reshape, Flatten and Tile against NumPy and finite differences; what they share and refuse."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe._caffe import CaffeError, LayerError
from tests.engine.support.layer_case import build, check_gradient, forward, random, run


def crop(fields: str) -> str:
    return f'type: "Crop" crop_param {{ {fields} }}'


def reshape(fields: str) -> str:
    return f'type: "Reshape" reshape_param {{ {fields} }}'


@pytest.mark.parametrize(
    ("fields", "dims", "sizes", "cut"),
    [
        ("", (2, 3, 6, 7), (1, 9, 4, 5), np.s_[:, :, :4, :5]),
        ("offset: 2", (2, 3, 6, 7), (1, 9, 4, 5), np.s_[:, :, 2:6, 2:7]),
        ("offset: 1 offset: 0", (2, 3, 6, 7), (1, 9, 4, 5), np.s_[:, :, 1:5, :5]),
        ("axis: 1 offset: 1", (2, 3, 6, 7), (5, 2, 4, 5), np.s_[:, 1:3, 1:5, 1:6]),
        ("axis: -1 offset: 3", (2, 3, 6, 7), (5, 1, 1, 2), np.s_[..., 3:5]),
        ("axis: 0", (4, 3), (2, 2), np.s_[:2, :2]),
    ],
)
def test_crop(fields: str, dims: tuple, sizes: tuple, cut: tuple) -> None:
    x, dy = random(*dims), random(*random(*dims)[cut].shape, seed=1)
    result = run(crop(fields), {"x": x, "like": np.ones(sizes)}, topdiff=dy)
    np.testing.assert_array_equal(result.tops["top"], x[cut].astype("f"))
    expected = np.zeros(dims)
    expected[cut] = dy
    np.testing.assert_array_equal(result.bottom_diffs["x"], expected.astype("f"))
    assert not result.bottom_diffs["like"].any()


@st.composite
def crops(draw: st.DrawFn) -> tuple:
    sizes = draw(st.lists(st.integers(1, 3), min_size=1, max_size=5))
    axis = draw(st.integers(0, len(sizes) - 1))
    offsets = [draw(st.integers(0, 3)) for _ in sizes[axis:]]
    room = [draw(st.integers(0, 2)) for _ in offsets]
    dims = sizes[:axis] + [sum(parts) for parts in zip(sizes[axis:], offsets, room)]
    return tuple(dims), tuple(sizes), axis, offsets


@settings(max_examples=40, deadline=None)
@given(crops())
def test_any_crop_that_fits(case: tuple) -> None:
    dims, sizes, axis, offsets = case
    text = crop(f"axis: {axis} " + " ".join(f"offset: {offset}" for offset in offsets))
    x = random(*dims)
    (y,) = run(text, {"x": x, "like": np.ones(sizes)}).tops.values()
    cut = (slice(None),) * axis + tuple(slice(o, o + s) for o, s in zip(offsets, sizes[axis:]))
    np.testing.assert_array_equal(y, x[cut].astype("f"))


def test_crop_follows_its_bottoms_new_sizes() -> None:
    net = build(crop("offset: 1"), {"x": random(1, 2, 5, 5), "like": random(1, 1, 4, 4)})
    net.blobs["x"].reshape(1, 2, 9, 8)
    net.blobs["like"].reshape(1, 1, 6, 7)
    x = random(1, 2, 9, 8)
    outputs = forward(net, {"x": x, "like": random(1, 1, 6, 7)})
    np.testing.assert_array_equal(outputs["top"], x[:, :, 1:7, 1:8].astype("f"))
    net.blobs["top"].diff[...] = 1
    net.backward()
    assert net.blobs["x"].diff.sum() == 2 * 6 * 7


@pytest.mark.parametrize(
    ("fields", "sizes", "words"),
    [
        (
            "offset: 3",
            (1, 1, 4, 4),
            r"'x' \(1, 2, 6, 6\) cropped to 'like' \(1, 1, 4, 4\).*axis 2.*offset 3.*0 to 2",
        ),
        ("", (1, 1, 4, 7), "axis 3 offset 0 .* size 7 exceeds 6"),
        ("axis: 1 offset: 0 offset: 0", (1, 1, 4, 4), "2 offsets for the 3 axes from axis 1"),
        ("axis: 4", (1, 1, 4, 4), r"'layer' \(Crop\).*axis 4 out of range"),
        ("", (4, 4), r"'like' \(4, 4\) has 2 axes"),
    ],
)
def test_crop_refuses(fields: str, sizes: tuple, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build(crop(fields), {"x": random(1, 2, 6, 6), "like": np.ones(sizes)})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("shape { dim: 4 dim: 3 dim: 4 }", (4, 3, 4)),
        ("shape { dim: 0 dim: -1 }", (2, 24)),
        ("shape { dim: -1 }", (48,)),
        ("shape { dim: 3 dim: 8 } axis: 1", (2, 3, 8)),
        ("shape { dim: 0 dim: 2 dim: -1 } axis: 1", (2, 6, 2, 2)),
        ("shape { dim: 1 } axis: -1", (2, 6, 4, 1)),
        ("shape { dim: -1 dim: 2 } axis: -2", (2, 6, 2, 2)),
        ("shape { dim: 1 } axis: 1 num_axes: 0", (2, 1, 6, 4)),
        ("shape { dim: 3 dim: 2 } axis: 1 num_axes: 1", (2, 3, 2, 4)),
    ],
)
def test_reshape(fields: str, expected: tuple) -> None:
    x, dy = random(2, 6, 4), random(*expected, seed=1)
    result = run(reshape(fields), {"x": x}, topdiff=dy)
    np.testing.assert_array_equal(result.tops["top"], x.astype("f").reshape(expected))
    np.testing.assert_array_equal(result.bottom_diffs["x"], dy.astype("f").reshape(x.shape))


def test_reshape_shares_data_and_diff() -> None:
    net = build(reshape("shape { dim: -1 }"), {"x": random(2, 3)})
    net.blobs["top"].data[4] = 7
    net.blobs["top"].diff[1] = 5
    assert net.blobs["x"].data[1, 1] == 7
    assert net.blobs["x"].diff[0, 1] == 5


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("shape { dim: 7 dim: 7 }", r"'x' \(2, 6, 4\) has 48 values, \(7, 7\) 49"),
        ("shape { dim: -1 dim: -1 }", "multiple -1"),
        ("shape { dim: -2 }", "positive, 0 .copy. or -1"),
        ("shape { dim: -1 dim: 5 }", r"-1 in \(-1, 5\) cannot be inferred"),
        ("shape { dim: 2 dim: 6 dim: 4 dim: 0 }", "no axis 3 to copy"),
        ("shape { dim: 1 } axis: 4", "axis 4 with num_axes -1 is out of range"),
        ("shape { dim: 1 } axis: 2 num_axes: 2", "out of range"),
        ('shape { dim: 48 } } top: "x" param { ', "in place"),
    ],
)
def test_reshape_refuses(fields: str, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        build(reshape(fields), {"x": random(2, 6, 4)})


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("", (2, 60)),
        ("axis: 0", (120,)),
        ("axis: 2 end_axis: 2", (2, 3, 4, 5)),
        ("axis: -3 end_axis: -2", (2, 12, 5)),
    ],
)
def test_flatten(fields: str, expected: tuple) -> None:
    x, dy = random(2, 3, 4, 5), random(*expected, seed=1)
    result = run(f'type: "Flatten" flatten_param {{ {fields} }}', {"x": x}, topdiff=dy)
    np.testing.assert_array_equal(result.tops["top"], x.astype("f").reshape(expected))
    np.testing.assert_array_equal(result.bottom_diffs["x"], dy.astype("f").reshape(x.shape))


def test_flatten_refuses_axes_in_the_wrong_order() -> None:
    with pytest.raises(LayerError, match="axis 3 comes after end_axis 1"):
        build('type: "Flatten" flatten_param { axis: 3 end_axis: 1 }', {"x": random(2, 3, 4, 5)})


def test_the_gradient_passes_a_chain_of_layers_that_share_memory() -> None:
    text = """
        layer { name: "r" type: "Reshape" bottom: "x" top: "r"
                reshape_param { shape { dim: 0 dim: 2 dim: -1 } } }
        layer { name: "f" type: "Flatten" bottom: "r" top: "f" }
        layer { name: "c" type: "Concat" bottom: "f" top: "c" }
        layer { name: "s" type: "Slice" bottom: "c" top: "top" }
    """
    check_gradient(text, {"x": random(2, 6)})


@pytest.mark.parametrize(
    ("fields", "reps"),
    [
        ("tiles: 3", (1, 3, 1)),
        ("axis: 0 tiles: 2", (2, 1, 1)),
        ("axis: -1 tiles: 2", (1, 1, 2)),
        ("tiles: 1", ()),
    ],
)
def test_tile(fields: str, reps: tuple) -> None:
    text, x = f'type: "Tile" tile_param {{ {fields} }}', random(2, 3, 4)
    np.testing.assert_array_equal(run(text, {"x": x}).tops["top"], np.tile(x, reps).astype("f"))
    check_gradient(text, {"x": x})


@pytest.mark.parametrize("fields", ["", "tiles: 0", "tiles: -2"])
def test_tile_needs_a_positive_number(fields: str) -> None:
    with pytest.raises(LayerError, match="Number of tiles"):
        build(f'type: "Tile" tile_param {{ {fields} }}', {"x": random(2, 3)})


@pytest.mark.parametrize(("axis", "end_axis", "shape"), [(1, 0, (2, 1, 3)), (2, 1, None), (1, -3, None)])
def test_flatten_of_no_axes_puts_one_in(axis: int, end_axis: int, shape: tuple | None) -> None:
    text = f'type: "Flatten" flatten_param {{ axis: {axis} end_axis: {end_axis} }}'
    if shape is None:
        with pytest.raises(CaffeError, match="out of range"):
            build(text, {"x": random(2, 3)})
        return
    x = random(2, 3)
    result = run(text, {"x": x}, topdiff=random(*shape, seed=1))
    np.testing.assert_array_equal(result.tops["top"], x.astype("f").reshape(shape))
    np.testing.assert_array_equal(result.bottom_diffs["x"], random(*shape, seed=1).astype("f").reshape(2, 3))


def test_flatten_refuses_an_end_long_before_the_start() -> None:
    with pytest.raises(LayerError, match=r"axis 2 comes after end_axis 0 of 'x' \(2, 3, 4\)"):
        build('type: "Flatten" flatten_param { axis: 2 end_axis: 0 }', {"x": random(2, 3, 4)})
