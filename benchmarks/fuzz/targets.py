"""What a user calls, by format: each function reads the file whose path it is given.

What a reader needs besides, nets and solvers to load into and images that lists name, is made once in the
working folder. What it writes must stay below `OUT`, which `Stray` watches.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import caffe
from fcn.data.importing import Options, import_data, read_table
from fcn.fetching.archive import unpack
from fcn.runs import Run, read_rows
from fcn.score.counts import Stored
from fcn.train.keeping.loopstate import load_loop
from fcn.train.keeping.snapshots import Snapshots
from fcn.weights import caffemodel, exchange
from fcn.weights.solverstate import SolverState
from voc_layers import VOCSegDataLayer, matfile, reading

from . import corpus

Read = Callable[[Path], object]

OUT = Path("deep/er/out")


class Stray(AssertionError):
    """A file was written outside of the folder that it was meant for."""


# -- the engine's files ------------------------------------------------------------------------------------


def net(path: Path) -> object:
    return caffe.Net(str(path), caffe.TEST)


def solver(path: Path) -> object:
    return caffe.get_solver(str(path))


@cache
def _net() -> Any:
    Path("fits.prototxt").write_text(corpus.NET)
    return caffe.Net("fits.prototxt", caffe.TEST)


@cache
def _solvers() -> list[Any]:
    """One that keeps an array for each parameter, and one that keeps two."""
    made = []
    for number, text in enumerate(corpus.solver_texts(Path())):
        Path(f"solver{number}.prototxt").write_bytes(text)
        made.append(caffe.get_solver(f"solver{number}.prototxt"))
    return made


def copy_from(path: Path) -> object:
    return _net().copy_from(str(path))


def restore(path: Path) -> None:
    for made in _solvers():
        made.restore(str(path))


def hdf5_layer(path: Path) -> object:
    Path("list.txt").write_text(f"{path}\n")
    return _forward(
        'type: "HDF5Data" top: "data" top: "label" hdf5_data_param { source: "list.txt" batch_size: 2 }'
    )


def data_layer(path: Path) -> object:
    fields = f'data_param {{ source: "{path.parent}" backend: LMDB batch_size: 1 prefetch: 1 }}'
    return _forward(f'type: "Data" top: "data" top: "label" {fields}', passes=4)


def mean_file(path: Path) -> object:
    _pictures()
    Path("list.txt").write_text("im0.png 0\n")
    fields = f'image_data_param {{ source: "list.txt" }} transform_param {{ mean_file: "{path}" }}'
    return _forward(f'type: "ImageData" top: "data" top: "label" {fields}')


def image_data(path: Path) -> object:
    _pictures()
    return _forward(
        f'type: "ImageData" top: "data" top: "label" image_data_param {{ source: "{path}" batch_size: 2 }}'
    )


def window_data(path: Path) -> object:
    _pictures()
    fields = f'window_data_param {{ source: "{path}" batch_size: 2 }} transform_param {{ crop_size: 4 }}'
    return _forward(f'type: "WindowData" top: "data" top: "label" {fields}')


def image_layer(path: Path) -> object:
    Path("list.txt").write_text(f"{path} 0\n")
    return _forward('type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" }')


def _forward(layer: str, passes: int = 2) -> object:
    Path("reads.prototxt").write_text(f'layer {{ name: "input" {layer} }}')
    made = caffe.Net("reads.prototxt", caffe.TEST)
    for _ in range(passes):
        made.forward()
    return made


def _pictures() -> None:
    """im0.png and im1.png in the working folder."""
    for path in (Path("im0.png"), Path("im1.png")):
        if not path.exists():
            Image.fromarray(np.arange(144, dtype=np.uint8).reshape(6, 8, 3)).save(path)


# -- the toolkit's -----------------------------------------------------------------------------------------


def shapes(path: Path) -> object:
    return caffemodel.shapes(path)


def weights(path: Path) -> object:
    return exchange.read(path)


def in_order(path: Path) -> object:
    return exchange.read(path, exchange.Reading(in_order=True))


def state(path: Path) -> object:
    return SolverState.read(path)


def label_mat(path: Path) -> object:
    return reading.check_label(reading.read_label_mat(path), path)


def all_mat(path: Path) -> object:
    return matfile.arrays(path)


def image(path: Path) -> object:
    return reading.read_image(path)


def label(path: Path) -> object:
    return reading.check_label(reading.read_label_png(path), path, 21)


def size(path: Path) -> object:
    return reading.read_size(path)


def counts(path: Path) -> object:
    return Stored.load(path).tally.hist


def archive(path: Path) -> None:
    unpack(path, OUT)
    outside = [
        name
        for folder in (OUT.parent.parent, OUT.parent)
        for name in folder.iterdir()
        if name not in (OUT, OUT.parent)
    ]
    if outside or any(found.is_symlink() for found in OUT.rglob("*")):
        raise Stray(str(outside or "a link"))


def split_list(path: Path) -> object:
    names = reading.read_split(path)
    inside = Path("/data/images")
    if any(not Path(inside, name).resolve().is_relative_to(inside) for name in names):
        raise Stray(f"{names}")
    return names


def class_list(path: Path) -> object:
    return reading.read_classes(path)


def colours(path: Path) -> object:
    return read_table(path)


def param_str(path: Path) -> object:
    """As the prototxt gives it; the layer looks for its folder and finds none."""
    layer = VOCSegDataLayer.__new__(VOCSegDataLayer)
    layer.param_str = path.read_bytes().decode("utf-8", "replace")
    return layer.setup([], [None, None])


def imported(path: Path) -> object:
    """A folder with this file and the images that it speaks of."""
    _pictures()
    for name in ("im0.png", "im1.png"):
        shutil.copy(name, path.parent)
    return import_data(path.parent, OUT, Options(skip=True, yes=True))


def imported_labelme(path: Path) -> object:
    """The same beside a file that is in order: a data set has two pairs or more."""
    path.with_name("im1.json").write_bytes(corpus.labelme(Path())[0].replace(b"im0", b"im1"))
    return imported(path)


def job(path: Path) -> object:
    run = Run(path.parent)
    found = run.job()
    run.launches()
    return found and (found.folder, found.inputs, found.labelings)


def table(path: Path) -> object:
    return read_rows(path)


def loop(path: Path) -> object:
    return load_loop(path.with_name("train_iter_3.solverstate"))


def index(path: Path) -> object:
    found = Snapshots(Run(path.parent.parent))
    for number in found.complete():
        found.check(number)
    return found.newest()


def clean() -> None:
    """Remove what a reader wrote."""
    shutil.rmtree(OUT.parts[0], ignore_errors=True)
