"""Small sets of images and rows in every format the data layers read, and the text of layers over them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
from PIL import Image

import caffe
from caffe._caffe.data import db
from caffe.proto.caffe_pb2 import Datum

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (7, 3, 6, 8), dtype=np.uint8)  # BGR, as they come out


def make_lmdb(images: np.ndarray = IMAGES, name: str = "set", backend: str = "lmdb") -> None:
    with db.Writer(name, backend) as writer:
        for label, image in enumerate(images):
            channels, height, width = image.shape
            record = Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label)
            writer.put(f"{label:08d}", record.SerializeToString())


def make_images(images: np.ndarray = IMAGES, listed: str = "list.txt") -> None:
    for label, image in enumerate(images):
        Image.fromarray(image[::-1].transpose(1, 2, 0)).save(f"im{label}.png")
    Path(listed).write_text("".join(f"im{label}.png {label}\n" for label in range(len(images))))


WINDOWS = """# 0
im0.png
3 6 8
3
2 0.9 1 1 5 4
1 0.7 0 0 3 3
0 0.1 2 2 7 5
# 1 im3.png 3 6 8 1 0 0 0 0 6 4
"""


def make_windows(text: str = WINDOWS) -> None:
    make_images()
    Path("windows.txt").write_text(text)


def make_hdf5() -> None:
    for number, rows in enumerate((range(5), range(5, 8), range(8, 12))):
        with h5py.File(f"part{number}.h5", "w") as file:
            file["data"] = np.array([[row, 10 * row] for row in rows], np.float64)
            file["label"] = np.array(rows, np.int16)
    Path("h5.txt").write_text("part0.h5\npart1.h5  part2.h5\n")


def layer(kind: str, fields: str, tops: str = "data label") -> str:
    named = " ".join(f'top: "{name}"' for name in tops.split())
    return f'layer {{ name: "input" type: "{kind}" {named} {fields} }}'


def data(fields: str = "batch_size: 2", transform: str = "", **kwargs: Any) -> str:
    fields = f'data_param {{ source: "set" backend: LMDB {fields} }} transform_param {{ {transform} }}'
    return layer("Data", fields, **kwargs)


def image_data(fields: str = "batch_size: 2", transform: str = "") -> str:
    fields = f'image_data_param {{ source: "list.txt" {fields} }} transform_param {{ {transform} }}'
    return layer("ImageData", fields)


def window_data(fields: str = "batch_size: 2 fg_fraction: 0.5", transform: str = "crop_size: 4") -> str:
    fields = f'window_data_param {{ source: "windows.txt" {fields} }} transform_param {{ {transform} }}'
    return layer("WindowData", fields)


def hdf5_data(fields: str = "batch_size: 2", **kwargs: Any) -> str:
    return layer("HDF5Data", f'hdf5_data_param {{ source: "h5.txt" {fields} }}', **kwargs)


def labels(net: caffe.Net, batches: int) -> list[int]:
    return [int(label) for _ in range(batches) for label in net.forward()["label"].copy()]
