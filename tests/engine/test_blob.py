"""Blob: memory that NumPy arrays and layers share (Caffe's Blob and SyncedMemory)."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from caffe._caffe import CaffeError
from caffe._caffe.blob import MAX_COUNT, Blob, BlobVec, IntVec, make_blob

SHAPES = st.lists(st.integers(0, 4), max_size=5).map(tuple)


@given(SHAPES)
def test_data_and_diff_are_zero_and_of_the_shape(shape):
    blob = make_blob(shape)
    assert blob.count == int(np.prod(shape))
    for array in (blob.data, blob.diff):
        assert array.shape == shape and array.dtype == np.float32 and not array.any()


def test_an_array_taken_earlier_sees_and_is_seen():
    blob = make_blob((2, 3))
    early = blob.data
    blob.put(torch.arange(6.0).view(2, 3))
    assert early.tolist() == [[0, 1, 2], [3, 4, 5]]
    early.flat[:] = 7
    early[0, 1:] = 8
    assert blob.value.tolist() == [[7, 8, 8], [7, 7, 7]]


def test_a_slice_keeps_the_connection_alive():
    blob = make_blob((4,))
    part = blob.data[1:3]
    gc.collect()
    blob.put(torch.ones(4))
    assert part.tolist() == [1, 1]


def test_results_are_adopted_without_a_copy_when_nobody_looks():
    blob, result = make_blob((3,)), torch.tensor([1.0, 2.0, 3.0])
    blob.put(result)
    assert blob.value.data_ptr() == result.data_ptr()


def test_two_blobs_never_share_memory_by_accident():
    a, b = make_blob((2, 2)), make_blob((4,))
    b.put(a.value.view(4))
    b.data[...] = 1
    assert not a.data.any()


def test_data_outlives_the_blob():
    data = make_blob((3,)).data
    gc.collect()
    data[...] = 2
    assert data.sum() == 6


def test_shrinking_keeps_the_numbers_and_growing_renews_them():
    blob = make_blob((4,))
    blob.data[...] = [1, 2, 3, 4]
    blob.reshape(2)
    assert blob.data.tolist() == [1, 2]
    blob.reshape(2, 2)
    assert blob.data.tolist() == [[1, 2], [3, 4]]
    blob.reshape(5)
    assert blob.data.tolist() == [0] * 5


def test_shared_data_with_separate_diffs():
    a, b = make_blob((2, 3)), make_blob((6,))
    b.share_data(a)
    a.data[1, 2] = 5
    a.diff[...] = 1
    assert b.data[5] == 5 and not b.diff.any()
    with pytest.raises(CaffeError, match="counts differ"):
        b.share_diff(make_blob((5,)))


def test_parameter_gradients_accumulate_until_zeroed():
    blob = make_blob((2,))
    blob.add_grad(torch.ones(2))
    blob.add_grad(torch.ones(2))
    assert blob.diff.tolist() == [2, 2]
    held = blob.diff
    blob.zero_grad()
    assert held.tolist() == [0, 0]
    blob.add_grad(torch.ones(2))
    assert held.tolist() == [1, 1]


@given(st.lists(st.sampled_from(["zero", "add", "write", "look", "let go", "put"]), max_size=12))
def test_a_diff_is_what_was_done_to_it_whoever_looks_in_between(actions):
    blob, held, wanted = make_blob((2, 3)), None, np.zeros((2, 3), np.float32)
    for number, action in enumerate(actions, 1):
        if action == "zero":
            blob.zero_grad()
            wanted = np.zeros_like(wanted)
        elif action == "add":
            blob.add_grad(torch.full((2, 3), float(number)))
            wanted = wanted + number
        elif action == "write":
            target = blob.blank_grad()
            ones = torch.ones(2, 3)
            blob.add_grad(ones if target is None else target.copy_(ones))
            wanted = wanted + 1
        elif action == "put":
            blob.put_grad(torch.full((2, 3), -float(number)))
            wanted = np.full_like(wanted, -number)
        else:
            held = blob.diff if action == "look" else None
        if held is not None:
            np.testing.assert_array_equal(held, wanted)
    np.testing.assert_array_equal(blob.grad.numpy(), wanted)
    np.testing.assert_array_equal(blob.diff, wanted)


def test_a_zeroed_diff_that_is_too_large_to_keep_is_zero():
    blob = make_blob((1 << 17,))
    blob.add_grad(torch.ones(1 << 17))
    blob.zero_grad()
    assert blob.blank_grad() is None and not blob.diff.any()


def test_shapes_of_one_memory_see_the_same_numbers_wherever_these_move():
    a, b = make_blob((2, 3)), make_blob((6,))
    b.share_data(a)
    for number in range(3):
        a.put(torch.full((2, 3), float(number)))
        assert b.value.tolist() == a.value_as((6,)).tolist() == [number] * 6
        a.resize((3, 2) if number == 1 else (2, 3))
        assert a.value.tolist() == a.data.tolist() and a.value.shape == a.dims


def test_legacy_dims():
    blob = make_blob((2, 5))
    assert (blob.num, blob.channels, blob.height, blob.width) == (2, 5, 1, 1)
    with pytest.raises(CaffeError, match=r"\.shape"):
        make_blob((1,) * 5).num  # noqa: B018


def test_scalars_and_blobs_without_shape():
    scalar = make_blob(())
    assert scalar.count == 1 and scalar.data.shape == () and list(scalar.shape) == []
    with pytest.raises(CaffeError, match="no shape"):
        make_blob().data  # noqa: B018


@pytest.mark.parametrize(
    "dims, error",
    [
        ((-1,), CaffeError),
        ((1,) * 33, CaffeError),
        ((MAX_COUNT, 2), CaffeError),
        ((2.0,), TypeError),
        (("2",), TypeError),
    ],
)
def test_impossible_shapes_are_refused(dims, error):
    with pytest.raises(error):
        make_blob((1,)).reshape(*dims)


def test_blobs_come_from_nets_only():
    with pytest.raises(RuntimeError, match="cannot be instantiated"):
        Blob()
    params = BlobVec()
    params.add_blob(2, 3)
    assert params[0].data.shape == (2, 3)
    with pytest.raises(RuntimeError):
        params.add_blob(n=2)


def test_vectors_are_lists_that_equal_only_themselves():
    shape = make_blob((2, 3, 4)).shape
    for equal in ([2, 3, 4], (2, 3, 4), make_blob((2, 3, 4)).shape):
        assert shape != equal and equal != shape
    same = shape
    assert shape == same and list(shape) == [2, 3, 4] and tuple(shape) == (2, 3, 4)
    assert isinstance(shape[1:], IntVec) and list(shape[1:]) == [3, 4] and shape[-1] == 4 and 3 in shape


@pytest.mark.parametrize(
    ("name", "instead"), [("data", "\\[...\\]"), ("diff", "\\[...\\]"), ("shape", "reshape")]
)
def test_what_cannot_be_assigned_says_what_to_do(name, instead):
    with pytest.raises(AttributeError, match=instead):
        setattr(make_blob((2,)), name, [1])
