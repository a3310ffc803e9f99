"""HDF5Data and HDF5Output: rows in order or shuffled, shapes, what is written, what is refused."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

import caffe
from caffe._caffe import LayerError
from tests.engine.support.data_case import hdf5_data, labels, layer, make_hdf5


def test_rows_of_one_file_after_the_other(net_of) -> None:
    make_hdf5()
    net = net_of(hdf5_data("batch_size: 7"))
    for batch in range(4):
        found = net.forward()
        rows = [(7 * batch + i) % 12 for i in range(7)]
        np.testing.assert_array_equal(found["label"], rows)
        np.testing.assert_array_equal(found["data"], [[row, 10 * row] for row in rows])


def test_shuffling_hdf5_keeps_files_together(net_of) -> None:
    make_hdf5()
    caffe.set_random_seed(1)
    found = labels(net_of(hdf5_data("batch_size: 12 shuffle: true")), 6)
    orders = set()
    for epoch in np.reshape(found, (6, 12)):
        assert sorted(epoch) == list(range(12))
        files = [0 if row < 5 else 1 if row < 8 else 2 for row in epoch]
        assert sum(a != b for a, b in zip(files, files[1:])) == 2
        orders.add(tuple(dict.fromkeys(files)))
    assert len(orders) > 1
    Path("h5.txt").write_text("part0.h5")
    single = np.reshape(labels(net_of(hdf5_data("batch_size: 5 shuffle: true")), 6), (6, 5))
    assert all(sorted(epoch) == list(range(5)) for epoch in single)
    assert len(set(map(tuple, single))) > 1


def test_a_shape_of_the_users_own_stays(net_of) -> None:
    make_hdf5()
    net = net_of(hdf5_data("batch_size: 2"))
    net.blobs["data"].reshape(2, 1, 1, 2)
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data, [[[[0, 0]]], [[[1, 10]]]])
    net.blobs["data"].reshape(1, 2)
    net.forward()
    np.testing.assert_array_equal(net.blobs["data"].data, [[2, 20], [3, 30]])


def test_hdf5_files_that_are_wrong(net_of) -> None:
    make_hdf5()

    def refused(message: str, **datasets) -> None:
        with h5py.File("part0.h5", "w") as file:
            for name, value in datasets.items():
                file[name] = value
        with pytest.raises(LayerError, match=message):
            net_of(hdf5_data())

    refused("Failed to find HDF5 dataset label in 'part0.h5', which has data, other", data=[[1.0]], other=[1])
    refused(
        r"equally many rows, 1 or more: 'part0.h5' has data \(2, 1\), label \(1,\)",
        data=[[1.0], [2.0]],
        label=[1],
    )
    refused("equally many rows", data=np.zeros((0, 2)), label=np.zeros(0))
    refused("at least 1 axis.*label ()", data=[[1.0]], label=3)
    refused("/label is not an array of numbers", data=[[1.0]], label=[b"text"])
    Path("part0.h5").write_text("no HDF5")
    with pytest.raises(LayerError, match="Failed to read HDF5 file 'part0.h5'"):
        net_of(hdf5_data())


def test_files_with_rows_of_different_shapes(net_of) -> None:
    make_hdf5()
    with h5py.File("part1.h5", "w") as file:
        file["data"], file["label"] = np.zeros((3, 4)), np.zeros(3)
    net = net_of(hdf5_data("batch_size: 4"))
    net.forward()
    with pytest.raises(
        LayerError, match=r"the first file's, \(2,\), \(\): 'part1.h5' has data \(3, 4\), label \(3,\)"
    ):
        net.forward()


def output(bottoms: tuple[str, str] = ("data", "label"), path: str = "out.h5") -> str:
    named = " ".join(f'bottom: "{name}"' for name in bottoms)
    return f'layer {{ name: "out" type: "HDF5Output" {named} hdf5_output_param {{ file_name: "{path}" }} }}'


def test_hdf5_output_writes_once(net_of) -> None:
    make_hdf5()
    Path("out.h5").write_text("old")
    net = net_of(hdf5_data("batch_size: 3") + output())
    with h5py.File("out.h5") as file:
        assert list(file) == []
    net.forward()
    with pytest.raises(LayerError, match="'out.h5' is written already: HDF5Output takes one forward pass"):
        net.forward()
    with h5py.File("out.h5") as file:
        assert sorted(file) == ["data", "label"]
        assert file["data"].dtype == np.float32
        np.testing.assert_array_equal(file["data"][()], np.reshape([0, 0, 1, 10, 2, 20], (3, 2, 1, 1)))
        np.testing.assert_array_equal(file["label"][()], np.reshape([0, 1, 2], (3, 1, 1, 1)))


def test_hdf5_output_refuses(net_of) -> None:
    make_hdf5()
    dummy = layer("DummyData", "dummy_data_param { shape { dim: 2 } shape { dim: 3 } }")
    with pytest.raises(LayerError, match="same batch size, not 2 and 3"):
        net_of(dummy + output()).forward()
    deep = layer("DummyData", "dummy_data_param { shape { dim: 1 dim: 1 dim: 1 dim: 1 dim: 1 } }")
    with pytest.raises(LayerError, match=r"> 4 axes: .*\(1, 1, 1, 1, 1\)"):
        net_of(deep + output()).forward()
    with pytest.raises(LayerError, match=r"\(HDF5Output\): cannot write 'no/out.h5': there is no folder"):
        net_of(hdf5_data() + output(path="no/out.h5"))
    with pytest.raises(LayerError, match="file_name is not set"):
        net_of(hdf5_data() + output(path=""))
