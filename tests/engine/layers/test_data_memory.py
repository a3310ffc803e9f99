"""Input, DummyData and MemoryData: shapes, when they are filled, in what order, and what they refuse."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest

import caffe
from caffe._caffe import BlobError, LayerError
from tests.engine.support.layer_case import build


def dummy(fields: str, tops: str = "a") -> caffe.Net:
    named = " ".join(f'top: "{name}"' for name in tops)
    return build(f'layer {{ name: "layer" type: "DummyData" {named} dummy_data_param {{ {fields} }} }}', {})


def source(fields: str, tops: str = "a") -> caffe.Net:
    named = " ".join(f'top: "{name}"' for name in tops)
    return build(f'layer {{ name: "layer" type: "Input" {named} input_param {{ {fields} }} }}', {})


@pytest.mark.parametrize(
    ("fields", "shapes"),
    [
        ("shape { dim: 2 dim: 3 }", [(2, 3), (2, 3)]),
        ("shape { dim: 2 dim: 3 } shape { }", [(2, 3), ()]),
        ("shape { dim: 0 dim: 3 } shape { dim: 1 }", [(0, 3), (1,)]),
    ],
)
def test_input_shapes(fields: str, shapes: list) -> None:
    net = source(fields, "ab")
    assert [net.blobs[name].data.shape for name in "ab"] == shapes


def test_input_without_a_shape_waits_for_one() -> None:
    net = source("")
    with pytest.raises(BlobError, match="no shape yet"):
        net.blobs["a"].data  # noqa: B018
    net.blobs["a"].reshape(2, 2)
    net.blobs["a"].data[...] = 3
    net.forward()
    assert (net.blobs["a"].data == np.full((2, 2), 3)).all()


def test_input_keeps_what_the_user_made_of_it() -> None:
    net = source("shape { dim: 2 }")
    net.blobs["a"].reshape(3, 4)
    net.blobs["a"].data[...] = 5
    net.forward()
    assert (net.blobs["a"].data == np.full((3, 4), 5)).all()


def test_input_refuses_some_shapes_for_its_tops() -> None:
    with pytest.raises(LayerError, match="3 tops, 2 shapes"):
        source("shape { dim: 1 } shape { dim: 1 }", "abc")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ("shape { dim: 2 dim: 3 }", [np.zeros((2, 3)), np.zeros((2, 3))]),
        ("shape { dim: 2 } shape { dim: 3 } data_filler { value: 4 }", [np.full(2, 4), np.full(3, 4)]),
        (
            "shape { dim: 2 } data_filler { value: 4 } data_filler { value: -1 }",
            [np.full(2, 4), np.full(2, -1)],
        ),
        (
            "num: 2 num: 1 channels: 3 height: 1 width: 1 width: 2",
            [np.zeros((2, 3, 1, 1)), np.zeros((1, 3, 1, 2))],
        ),
    ],
)
def test_dummy_data_is_constant_from_the_start(fields: str, expected: list) -> None:
    net = dummy(fields, "ab")
    for name, values in zip("ab", expected):
        np.testing.assert_array_equal(net.blobs[name].data, values)


def test_constants_are_filled_once_and_the_rest_at_every_forward() -> None:
    net = dummy('shape { dim: 50 } data_filler { value: 4 } data_filler { type: "gaussian" }', "ab")
    net.blobs["a"].data[...] = 7
    net.forward()
    first = net.blobs["b"].data.copy()
    net.forward()
    assert (net.blobs["a"].data == np.full(50, 7)).all()
    assert first.std() > 0
    assert not np.isclose(first, net.blobs["b"].data).any()


def test_dummy_data_keeps_the_users_shape() -> None:
    net = dummy('shape { dim: 2 } data_filler { type: "uniform" min: 1 max: 2 }')
    net.blobs["a"].reshape(3, 5)
    net.forward()
    assert net.blobs["a"].data.shape == (3, 5)
    assert (net.blobs["a"].data >= 1).all()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ("", "'shape' once, or once per top blob .3.: 0"),
        ("shape { dim: 1 } shape { dim: 2 }", "'shape' once"),
        ("shape { dim: 1 } num: 1 channels: 1 height: 1 width: 1", "Both shape and legacy"),
        ("num: 1 channels: 1 height: 1", "'width' once"),
        ("num: 1 num: 2 channels: 1 height: 1 width: 1", "'num' once"),
        (
            "shape { dim: 1 } data_filler { } data_filler { }",
            "equal to the number of tops: 3; you specified 2",
        ),
        ('shape { dim: 1 } data_filler { type: "noise" }', r"'layer' \(DummyData\), top 0.*noise"),
    ],
)
def test_dummy_data_refuses(fields: str, words: str) -> None:
    with pytest.raises(LayerError, match=words):
        dummy(fields, "abc")


def memory(
    tmp_path: Path, fields: str = "batch_size: 2 channels: 1 height: 2 width: 3", more: str = ""
) -> caffe.Net:
    path = tmp_path / "net.prototxt"
    path.write_text(
        f"""layer {{ name: "m" type: "MemoryData" top: "data" top: "label"
                     memory_data_param {{ {fields} }} {more} }}"""
    )
    return caffe.Net(str(path), caffe.TEST)


def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    data = np.arange(count * 6, dtype=np.float32).reshape(count, 1, 2, 3)
    return data, np.arange(count, dtype=np.float32)


def test_memory_data_goes_round_in_batches(tmp_path: Path) -> None:
    net = memory(tmp_path)
    assert net.blobs["label"].data.shape == (2,)
    data, labels = arrays(6)
    net.set_input_arrays(data, labels)
    for start in (0, 2, 4, 0, 2):
        net.forward()
        np.testing.assert_array_equal(net.blobs["data"].data, data[start : start + 2])
        np.testing.assert_array_equal(net.blobs["label"].data, labels[start : start + 2].reshape(2, 1, 1, 1))


def test_memory_data_starts_over_with_new_arrays(tmp_path: Path) -> None:
    net = memory(tmp_path)
    net.set_input_arrays(*arrays(4))
    net.forward()
    data, labels = arrays(4)
    net.set_input_arrays(data + 100, labels)
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data, data[:2] + 100)


def test_memory_data_reads_the_users_arrays_and_never_writes_them(tmp_path: Path) -> None:
    net = memory(tmp_path)
    data, labels = arrays(4)
    net.set_input_arrays(data, labels)
    data[0] = 50
    net.forward()
    held = net.blobs["data"].data
    assert (held[0] == 50).all()
    held[...] = -1
    before = data.copy()
    net.forward()
    np.testing.assert_array_equal(data, before)
    np.testing.assert_array_equal(held, data[2:])


def test_memory_data_says_that_it_ignores_transformations(tmp_path: Path, caplog, monkeypatch) -> None:
    monkeypatch.setattr(logging.getLogger("caffe"), "propagate", True)
    net = memory(tmp_path, more="transform_param { scale: 2 }")
    data, labels = arrays(2)
    with caplog.at_level(logging.WARNING, "caffe"):
        net.set_input_arrays(data, labels)
    assert "does not transform" in caplog.text
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data, data)


def test_memory_data_needs_arrays_and_sizes(tmp_path: Path) -> None:
    with pytest.raises(LayerError, match="call net.set_input_arrays"):
        memory(tmp_path).forward()
    with pytest.raises(LayerError, match=r"must be specified and positive.*\(2, 1, 0, 3\)"):
        memory(tmp_path, "batch_size: 2 channels: 1 width: 3")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, t: (d.astype(float), t), "data array must be float32, not float64"),
        (lambda d, t: (d, t.astype(int)), "labels array must be float32"),
        (lambda d, t: (d[:, :, :, ::-1], t), "C contiguous"),
        (lambda d, t: (d[0], t), r"4-d: data \(1, 2, 3\)"),
        (lambda d, t: (np.ones((4, 2, 2, 3), "f"), t), r"wrong number of channels: data \(4, 2, 2, 3\)"),
        (lambda d, t: (np.ones((4, 1, 5, 3), "f"), t), "wrong height"),
        (lambda d, t: (np.ones((4, 1, 2, 5), "f"), t), "wrong width"),
        (lambda d, t: (d, t[:2]), r"same first dimension: data \(4, 1, 2, 3\), labels \(2,\)"),
        (lambda d, t: (d, np.ones((4, 2, 1, 1), "f")), "labels must be"),
        (lambda d, t: (d[:3], t[:3]), "multiple of batch size"),
        (lambda d, t: (d[:0], t[:0]), "multiple of batch size"),
    ],
)
def test_memory_data_refuses_arrays_that_do_not_fit(tmp_path: Path, change, words: str) -> None:
    with pytest.raises(RuntimeError, match=words):
        memory(tmp_path).set_input_arrays(*change(*arrays(4)))


def test_memory_data_takes_arrays_only(tmp_path: Path) -> None:
    data, labels = arrays(4)
    with pytest.raises((TypeError, AttributeError)):
        memory(tmp_path).set_input_arrays(data.tolist(), labels)


def test_random_dummy_data_is_there_before_the_first_forward(net_of):
    net = net_of(
        'layer { name: "d" type: "DummyData" top: "d" dummy_data_param { shape { dim: 20 } '
        'data_filler { type: "uniform" min: 1 max: 2 } } }'
    )
    at_first = net.blobs["d"].data.copy()
    assert (at_first >= 1).all() and at_first.std() > 0
    assert (net.forward()["d"] != at_first).any()
