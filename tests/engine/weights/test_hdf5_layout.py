"""Weights in HDF5: Caffe's layout, and its rules where they differ from the binary format's."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from caffe._caffe import weights
from caffe._caffe.errors import ParseError, WeightsError
from tests.engine.support.weight_case import layer, logged, numbered, untouched


def tree(path: Path) -> dict[str, tuple[tuple[int, ...], str, list[float]] | None]:
    """All groups (None) and datasets (shape, type, values) of a file."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update(
                {name: (item.shape, item.dtype.str, item[()].tolist()) if hasattr(item, "shape") else None}
            )
        )
    return found


@pytest.mark.data
@pytest.mark.parametrize("solver", ["sgd", "adadelta", "adam"])
def test_caffes_own_hdf5_is_written_again_alike(shared: Path, tmp_path: Path, solver: str) -> None:
    folder = shared / "golden" / "solvers" / "snapshots" / f"snap_{solver}_h5"
    snapshot = folder / "snap_iter_10.caffemodel.h5"
    expected = tree(snapshot)
    names = sorted({name.split("/")[1] for name in expected if "/" in name})
    shapes = {
        name: [expected[f"data/{name}/{i}"][0] for i in range(2) if f"data/{name}/{i}" in expected]
        for name in names
    }
    targets = [layer(name, *shapes[name]) for name in names]
    weights.load(snapshot, targets)
    assert not untouched(*targets)
    weights.save_hdf5(tmp_path / "again.h5", targets)
    assert tree(tmp_path / "again.h5") == expected


def test_hdf5_leaves_out_what_is_shared_but_not_its_diffs(tmp_path: Path) -> None:
    layers = numbered(layer("a", (2,), (1,)), layer("b", (2,), (1,), owned=(False, True)))
    weights.save_hdf5(tmp_path / "w", layers, with_diff=True)
    datasets = {name for name, item in tree(tmp_path / "w").items() if item}
    assert datasets == {"data/a/0", "data/a/1", "data/b/1", "diff/a/0", "diff/a/1", "diff/b/0", "diff/b/1"}
    a, b = layer("a", (2,), (1,)), layer("b", (2,), (1,), owned=(False, True))
    weights.load(tmp_path / "w", [a, b])
    assert b.blobs[0].data.tolist() == [-1, -1] and b.blobs[1].data.tolist() == [0]
    assert a.blobs[0].diff.tolist() == [-1, -1]  # diffs in HDF5 are not read
    with pytest.raises(WeightsError, match="Incompatible number of blobs for layer b"):
        weights.load(tmp_path / "w", [layer("b", (2,), (1,))])


def test_of_two_layers_with_one_name_the_last_gets_the_hdf5_weights(tmp_path: Path) -> None:
    weights.save_hdf5(tmp_path / "w", numbered(layer("a", (2,))))
    first, last = layer("a", (9,)), layer("a", (2,))
    weights.load(tmp_path / "w", [first, last])
    assert untouched(first) and not untouched(last)
    with pytest.raises(WeightsError, match="a stands for several layers"):
        weights.save_hdf5(tmp_path / "w2", [first, last])
    assert not (tmp_path / "w2").exists()


def test_hdf5_has_no_mercy_with_old_shapes(tmp_path: Path) -> None:
    weights.save_hdf5(tmp_path / "w", numbered(layer("a", (1, 1, 1, 3))))
    with pytest.raises(WeightsError, match=r"shape is 1 1 1 3 \(3\); target param shape is 3 \(3\)"):
        weights.load(tmp_path / "w", [layer("a", (3,))])


@pytest.mark.parametrize("dtype", ["i4", ">f8", "f2", "u1"])
def test_hdf5_numbers_of_other_types_are_converted(tmp_path: Path, dtype: str) -> None:
    with h5py.File(tmp_path / "w", "w", userblock_size=512) as file:  # the signature is not at 0
        file.create_dataset("data/a/0", data=np.array([1, 2, 3], dtype))
    a = layer("a", (3,))
    weights.load(tmp_path / "w", [a])
    assert a.blobs[0].data.tolist() == [1, 2, 3]


def test_hdf5_with_something_else_inside(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "text", "w") as file:
        file.create_dataset("data/a/0", data="three numbers")
    with pytest.raises(WeightsError, match="/data/a/0 is not an array of numbers"):
        weights.load(tmp_path / "text", [layer("a", ())])
    with h5py.File(tmp_path / "images", "w") as file:
        file["label"] = [1, 2]
    with pytest.raises(ParseError, match="images' is not a model.*label.*'data'"):
        weights.load(tmp_path / "images", [layer("a", (2,))])
    raw = (tmp_path / "images").read_bytes()
    (tmp_path / "cut").write_bytes(raw[: len(raw) // 2])
    with pytest.raises(ParseError, match="Failed to read HDF5 file '.*cut'"):
        weights.load(tmp_path / "cut", [layer("a", (2,))])


def test_hdf5_layer_names_with_slashes(tmp_path: Path) -> None:
    names = ["inception/1x1", "inception/3x3", "inception"]
    weights.save_hdf5(tmp_path / "w", numbered(*(layer(name, (2,)) for name in names)))
    targets = [layer(name, (2,)) for name in names]
    weights.load(tmp_path / "w", targets)
    assert not any(untouched(target) for target in targets)
    weights.save_hdf5(tmp_path / "w", numbered(layer("block/conv", (2,))))
    with logged() as lines:
        weights.load(tmp_path / "w", [layer("block/conv", (2,)), layer("other", (1,))])
    assert not lines


@pytest.mark.parametrize(("members", "message"), [
    ({"data": np.zeros((4, 1, 4, 4)), "label": np.zeros(4)}, "'data' is an array"),
    ({"label": np.zeros(4)}, "label.*'data'"),
    ({}, "empty.*'data'"),
    ({"data/a/0": np.zeros(2), "data/a/x": np.zeros(1)}, "/data/a holds x; the blobs of layer a"),
    ({"data/a/0/0": np.zeros(2), "data/a/b": np.zeros(1)}, "/data/a holds b; the blobs of layer a"),
    ({"data/a/0": np.array([b"w"])}, "/data/a/0 is not an array of numbers"),
])  # fmt: skip
def test_an_hdf5_file_that_is_no_model_is_said_to_be_none(tmp_path: Path, members, message: str) -> None:
    with h5py.File(tmp_path / "w", "w") as file:
        for name, values in members.items():
            file[name] = values
    target = layer("a", (2,))
    with pytest.raises((ParseError, WeightsError), match=message) as caught:
        weights.load(tmp_path / "w", [target])
    assert str(tmp_path / "w") in str(caught.value) and untouched(target)
