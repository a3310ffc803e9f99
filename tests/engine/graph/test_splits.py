"""Split layers: where, and with which names."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe._caffe.errors import NetError
from caffe._caffe.formats.proto_io import parse_text
from caffe._caffe.graph.splits import insert_splits
from caffe.proto.caffe_pb2 import NetParameter


def net(*layers: str) -> NetParameter:
    """Layers written as "name: bottom bottom > top top", with settings after a bar."""
    result = NetParameter(name="n")
    for text in layers:
        wiring, _, settings = text.partition("|")
        name, blobs = wiring.split(":")
        bottoms, tops = blobs.split(">")
        layer = result.layer.add()
        if settings:
            parse_text(settings, layer)
        layer.name = name.strip()
        layer.bottom.extend(bottoms.split())
        layer.top.extend(tops.split())
    return result


def written(result: NetParameter) -> list[str]:
    return [f"{layer.name}: {' '.join(layer.bottom)} > {' '.join(layer.top)}" for layer in result.layer]


def test_nothing_to_split_gives_an_equal_but_new_net() -> None:
    original = net("d: > x", "r: x > x", "s: x > y")
    result = insert_splits(original)
    assert result == original and result is not original


def test_two_readers() -> None:
    assert written(insert_splits(net("d: > x y", "a: x y > p", "b: y > q"))) == [
        "d:  > x y",
        "y_d_1_split: y > y_d_1_split_0 y_d_1_split_1",
        "a: x y_d_1_split_0 > p",
        "b: y_d_1_split_1 > q",
    ]
    assert insert_splits(net("d: > x", "a: x x > p")).layer[1].type == "Split"


def test_in_place_layers_make_new_versions() -> None:
    """Named after the last layer that wrote the blob, as in Caffe: c_r_0_split, not c_conv_0_split."""
    assert written(insert_splits(net("conv: > c", "r: c > c", "a: c > p", "b: c > q"))) == [
        "conv:  > c",
        "r: c > c",
        "c_r_0_split: c > c_r_0_split_0 c_r_0_split_1",
        "a: c_r_0_split_0 > p",
        "b: c_r_0_split_1 > q",
    ]


def test_reading_what_another_layer_works_on_in_place_splits_the_names_apart() -> None:
    result = written(insert_splits(net("d: > x", "a: x > p", "r: x > x")))
    assert result[2:] == ["a: x_d_0_split_0 > p", "r: x_d_0_split_1 > x"]


def test_several_tops_are_split_in_order() -> None:
    names = [layer.name for layer in insert_splits(net("d: > x y", "a: y x > p", "b: y x > q")).layer]
    assert names == ["d", "x_d_0_split", "y_d_1_split", "a", "b"]


def test_explicit_loss_weight_is_a_use() -> None:
    result = insert_splits(net("d: > x", "l: x > loss aux | loss_weight: 3 loss_weight: 2", "r: loss > out"))
    assert written(result)[1:] == [
        "l: x > loss aux",
        "loss_l_0_split: loss > loss_l_0_split_0 loss_l_0_split_1",
        "r: loss_l_0_split_1 > out",
    ]
    assert list(result.layer[1].loss_weight) == []  # all of them, that of aux too
    assert list(result.layer[2].loss_weight) == [3, 0]


def test_zero_loss_weight_is_no_use() -> None:
    original = net("d: > x", "l: x > loss | loss_weight: 0", "r: loss > out")
    assert insert_splits(original) == original


def test_loss_weight_alone_needs_no_split() -> None:
    original = net("d: > x", "l: x > loss | loss_weight: 2")
    assert insert_splits(original) == original


@pytest.mark.parametrize(
    ("layers", "words"),
    [
        (
            ["d: > data", "l: dat > y"],
            "Unknown bottom blob 'dat' (layer 'l', bottom index 0): did you mean 'data'?",
        ),
        (["d: > x", "l: x later > y", "m: x > later"], "(layer 'l', bottom index 1): layer 'm' makes it"),
        (["d: > q", "l: zzz > y"], "blobs made above: q"),
        (["l: x > y"], "blobs made above: none"),
        (["l: x > x"], "layer 'l' makes it"),
    ],
)
def test_unknown_bottom(layers: list[str], words: str) -> None:
    with pytest.raises(NetError) as caught:
        insert_splits(net(*layers))
    assert words in str(caught.value)


@given(st.lists(st.tuples(st.lists(st.integers(0, 5), max_size=3), st.integers(0, 2)), max_size=8))
def test_afterwards_no_version_has_two_readers(shape: list[tuple[list[int], int]]) -> None:
    """Every bottom reads what it read before, through at most one split, and nobody else reads that."""
    layers, made = ["d: > b0 b1"], ["b0", "b1"]
    for number, (bottoms, tops) in enumerate(shape):
        names = [f"t{number}_{k}" for k in range(tops)]
        layers.append(f"l{number}: {' '.join(made[b % len(made)] for b in bottoms)} > {' '.join(names)}")
        made += names
    original = net(*layers)
    result = insert_splits(original)
    origin = {top: layer.bottom[0] for layer in result.layer if layer.type == "Split" for top in layer.top}
    plain = [layer for layer in result.layer if layer.type != "Split"]
    assert [[origin.get(b, b) for b in layer.bottom] for layer in plain] == [
        list(o.bottom) for o in original.layer
    ]
    assert max(Counter(b for layer in result.layer for b in layer.bottom).values(), default=1) == 1
    assert all(len(layer.top) > 1 for layer in result.layer if layer.type == "Split")
