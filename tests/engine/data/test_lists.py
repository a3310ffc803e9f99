"""The lists that data layers read, as editors on Windows save them."""

from __future__ import annotations

import codecs
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image

import caffe
from caffe._caffe import LayerError
from caffe.tools import convert_imageset

#: layer type -> what its list holds, and its settings.
LISTS = {
    "ImageData": ("ä.png 3\r\n", "image_data_param { source: 'list.txt' batch_size: 1 }"),
    "HDF5Data": ("ä.h5\r\n", "hdf5_data_param { source: 'list.txt' batch_size: 1 }"),
    "WindowData": (
        "# 0\r\nä.png\r\n3 4 4\r\n2\r\n1 0.9 0 0 3 3\r\n1 0.1 0 0 3 3\r\n",
        "window_data_param { source: 'list.txt' batch_size: 1 } transform_param { crop_size: 2 }",
    ),
}


@pytest.fixture
def samples(in_tmp: Path) -> None:
    Image.fromarray(np.full((4, 4, 3), 90, np.uint8)).save("ä.png")
    with h5py.File("ä.h5", "w") as file:
        file["x"], file["y"] = np.full((2, 3), 90.0), np.zeros(2)


def read(kind: str, data: bytes) -> float:
    """What a layer of this type reads by a list of these bytes."""
    Path("list.txt").write_bytes(data)
    text = f'layer {{ name: "d" type: "{kind}" top: "x" top: "y" {LISTS[kind][1]} }}'
    Path("net.prototxt").write_text(text)
    return float(caffe.Net("net.prototxt", caffe.TRAIN).forward()["x"].max())


@pytest.mark.parametrize("kind", LISTS)
@pytest.mark.parametrize(("mark", "encoding"), [
    (b"", "utf-8"), (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"),
])  # fmt: skip
def test_a_byte_order_mark_is_no_part_of_the_first_name(kind, mark, encoding, samples) -> None:
    assert read(kind, mark + LISTS[kind][0].encode(encoding)) == 90


@pytest.mark.parametrize("kind", LISTS)
def test_a_list_that_is_no_text_is_named(kind, samples) -> None:
    with pytest.raises(LayerError, match=r"list\.txt.* save the list as UTF-8"):
        read(kind, LISTS[kind][0].encode("utf-16-le"))


@pytest.mark.parametrize("data", [None, b""])
def test_a_conversion_without_its_list_makes_no_database(data, in_tmp, capsys) -> None:
    if data is not None:
        Path("list.txt").write_bytes(data)
    assert convert_imageset.main(["./", "list.txt", "db"]) == 134
    assert "list.txt" in capsys.readouterr().err and not Path("db").exists()
