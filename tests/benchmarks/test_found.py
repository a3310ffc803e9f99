"""Files that once ended in a traceback, a hang or too much memory: found by fuzzing, made here anew."""

from __future__ import annotations

import io
import json
import struct
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image

import caffe
from benchmarks.fuzz import corpus
from benchmarks.fuzz.formats import FORMATS
from benchmarks.fuzz.trial import escapes
from caffe.proto import caffe_pb2
from fcn import npz
from fcn.weights import exchange

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="limits and forks of Linux")

BY_NAME = {form.name: form for form in FORMATS}
HUGE = "9" * 400


def looping_tree() -> bytes:
    """A node of the tree of the root's names is its own right neighbour: HDF5 goes round and round."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        file["data/conv/0"] = np.ones(3, np.float32)
    data = bytearray(stream.getvalue())
    at = data.find(b"TREE")
    data[at + 16 : at + 24] = struct.pack("<Q", at)
    return bytes(data)


def nameless() -> bytes:
    """HDF5 with a group whose name is no text."""
    stream = io.BytesIO()
    with h5py.File(stream, "w") as file:
        h5py.h5g.create(file.create_group("data").id, b"\xff\xfe")
        file["iter"] = 1
    return stream.getvalue()


def zipped(members: Mapping[str, bytes]) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def array_headed(head: bytes) -> bytes:
    """An .npy file whose header is this text."""
    return b"\x93NUMPY\1\0" + struct.pack("<H", len(head)) + head + bytes(64)


def letters_there_are_not() -> bytes:
    """The counts of a score whose names are no text."""
    members = {}
    for name in ("classes", "unseen", "weights", "names", "void", "cells", "where", "pixels"):
        stream = io.BytesIO()
        np.save(stream, np.full(1, 0x7FFFFFFF, np.uint32).view("U1"))
        members[f"{name}.npy"] = stream.getvalue()
    return zipped(members)


def repeated_number() -> bytes:
    """A tensor of a terabyte, whose one number is repeated by strides of zero."""
    stream = io.BytesIO()
    torch.save({"conv.weight": torch.zeros(1).expand(1 << 19, 1 << 19)}, stream)
    return stream.getvalue()


def half_a_number() -> bytes:
    net = caffe_pb2.NetParameter()
    net.layer.add(name="conv").blobs.add(data=[1.0], shape=caffe_pb2.BlobShape(dim=[1]))
    return net.SerializeToString().replace(
        b"\x2a\x04" + struct.pack("<f", 1), b"\x2a\x03\x00\x00\x80\x12\x00"
    )


def nothing_of_many_axes() -> bytes:
    net = caffe_pb2.NetParameter()
    net.layer.add(name="conv").blobs.add(shape=caffe_pb2.BlobShape(dim=[0] * 1000))
    return net.SerializeToString()


def many_axes() -> bytes:
    return caffe_pb2.BlobProto(data=[1.0], shape=caffe_pb2.BlobShape(dim=[1] * 200)).SerializeToString()


def far_pages() -> bytes:
    """The second head of an LMDB, which is the newer one, says that a page has 2 GiB."""
    with tempfile.TemporaryDirectory() as folder:
        data = bytearray(corpus.lmdbs(Path(folder))[0])
    data[4096 + 40 : 4096 + 44] = struct.pack("<I", 2**31 - 1)
    return bytes(data)


def long_chunk() -> bytes:
    """A PNG whose pixels are in a chunk of four gigabytes."""
    stream = io.BytesIO()
    Image.new("L", (4, 3)).save(stream, "PNG")
    data = stream.getvalue()
    at = data.index(b"IDAT")
    return data[: at - 4] + struct.pack(">I", 2**32 - 256) + data[at:]


def without_dimensions() -> bytes:
    """A TIFF whose tag of the width is another."""
    stream = io.BytesIO()
    Image.new("L", (4, 3)).save(stream, "TIFF")
    return stream.getvalue().replace(struct.pack("<HH", 256, 4), struct.pack("<HH", 250, 4))


def long_name() -> bytes:
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        archive.addfile(tarfile.TarInfo("x" * 300))
    return stream.getvalue()


def in_the_way(first: str, second: str) -> bytes:
    """An archive of two files, the path of one of which is a folder of the other."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        for name in (first, second):
            archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def far_entry() -> bytes:
    """An entry that says it is as long as a number of 64 bits goes."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"size": str(2**64 - 1)}
        archive.addfile(info)
    return stream.getvalue()


def unknown_kind() -> bytes:
    onnx = pytest.importorskip("onnx")
    tensor = onnx.helper.make_tensor("fc.weight", 1, [1], [1.0])
    tensor.data_type = 32767
    model = onnx.helper.make_model(onnx.helper.make_graph([], "net", [], [], [tensor]))
    return bytes(model.SerializeToString())


def without_folder() -> bytes:
    (run,) = corpus.runs(Path())
    return run.replace(b"voc_dir", b"voc_dia")


def far_coordinate() -> bytes:
    document = {
        "images": [{"id": 1, "file_name": "im0.png"}],
        "categories": [{"id": 1, "name": "a"}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 5, int(HUGE), 5, 5]]},
            {"image_id": 1, "category_id": 1, "segmentation": [[0, 0, 5, 0, 5, 5]], "area": int(HUGE)},
        ],
    }
    return json.dumps(document).encode()


#: What it was -> the format, and the bytes or what makes them.
CASES: dict[str, tuple[str, bytes | Callable[[], bytes]]] = {
    "a tree of HDF5 that leads in a circle": ("caffemodel.h5", looping_tree),
    "a tree that does, in a state": ("solverstate.h5", looping_tree),
    "a tree that does, in a .mat": ("mat7.3", looping_tree),
    "a tree that does, in data": ("hdf5", looping_tree),
    "a group whose name is no text": ("caffemodel.h5", nameless),
    "a group whose name is no text, in a state": ("solverstate.h5", nameless),
    "a group whose name is no text, in a .mat": ("mat7.3", nameless),
    "values that end within a number": ("caffemodel", half_a_number),
    "no weights, of 1,000 axes": ("caffemodel", nothing_of_many_axes),
    "a mean of 200 axes": ("binaryproto", many_axes),
    "a member that is no array": ("npz", zipped({"conv.0.npy": b"no array"})),
    "a header with a bracket too many": ("npz", zipped({"conv.0.npy": array_headed(b"{'descr': '<f4', ((")})),
    "a shape of a terabyte": (
        "npz",
        zipped(
            {"conv.0.npy": array_headed(b"{'descr': '<f4', 'fortran_order': False, 'shape': (%d,)}" % 2**38)}
        ),
    ),
    "names that are no text": ("counts", letters_there_are_not),
    "a number repeated by strides of zero": ("pth", repeated_number),
    "a zip member with a name that is none": (
        "pth",
        zipped({"a/data.pkl": b"x"}).replace(b"a/data", b"\xffa/dat"),
    ),
    "a pickle cut in a number": ("pth", b"\x80\x02X\x05"),
    "a kind of numbers that there is not": ("onnx", unknown_kind),
    "pages larger than the file": ("lmdb", far_pages),
    "a chunk longer than the file": ("image", long_chunk),
    "a TIFF without a width": ("image", without_dimensions),
    "a pickle with the name of another format": ("safetensors", b"\x80\x02}q\x00" + bytes(16)),
    "an offset beyond 64 bits": ("archive", far_entry),
    "a file, then files in it": ("archive", partial(in_the_way, "set", "set/a/b")),
    "a folder, then a file of its name": ("archive", partial(in_the_way, "set/a/b", "set/a")),
    "a name that no disk takes": ("archive", long_name),
    "a label of 400 digits": ("image list", f"im0.png {HUGE}\n".encode()),
    "a label beyond 32 bits": ("image list", b"im0.png 4294967296\n"),
    "an index beyond 64 bits": ("window list", f"# {2**70}\nim0.png\n3 6 8\n1\n2 0.9 1 1 5 4\n".encode()),
    "a void that is infinite": ("classes", b"# void: inf\nsky\nroad\n"),
    "a folder that is a number": ("param_str", b"{'voc_dir': 7, 'split': 'train', 'mean': (1, 2, 3)}"),
    "brackets without end": ("param_str", b"[" * 100_000),
    "a list as a key": ("param_str", b"{[]: 1}"),
    "a mean of 400 digits": ("param_str", f"{{'split': 'train', 'mean': ({HUGE}, 0, 0)}}".encode()),
    "a coordinate of 400 digits": ("coco", far_coordinate),
    "a run whose data layer names no folder": ("run.json", without_folder),
    "an iteration that is infinite": (
        "index.json",
        b'{"version": 1, "sets": [{"iteration": 1e999, "files": {}}]}',
    ),
    "a file with a name that no disk takes": (
        "index.json",
        b'{"version": 1, "sets": [{"iteration": 3, "files": {"%s": {"bytes": 1}}}]}' % (b"x" * 300),
    ),
    "lists in lists": ("run.json", b"[" * 100_000),
    "lists in lists, in an index": ("index.json", b"[" * 100_000),
    "lists in lists, of a loop": ("loop.json", b"[" * 100_000),
    "more weights than there is memory for": (
        "prototxt",
        b'layer { name: "in" type: "Input" top: "in" input_param { shape { dim: 1 dim: 1048576 } } }'
        b'layer { name: "ip" type: "InnerProduct" bottom: "in" top: "ip" '
        b"inner_product_param { num_output: 2000 } }",
    ),
    "a layer of 2013 without a bottom": (
        "prototxt",
        b'layers { layer { name: "a" type: "relu" } bottom: "nothing" top: "a" }',
    ),
    "a layer of 2013 of no known type": (
        "prototxt",
        b'layers { layer { name: "a" type: "MemoryData" } top: "a" }',
    ),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_it_is_read_or_refused(case: tuple[str, bytes | Callable[[], bytes]], tmp_path: Path) -> None:
    name, content = case
    data = content() if callable(content) else content
    form = BY_NAME[name]._replace(vary=lambda rng, corpus: data)
    assert list(escapes(form, [], 0, range(1), tmp_path)) == []


def test_an_archive_that_unpacks_to_far_too_much_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(npz, "FREELY", 1 << 16)
    np.savez_compressed(tmp_path / "bomb.npz", **{"conv.0": np.zeros(1 << 20, np.float32)})
    with pytest.raises(ValueError, match=r"bomb\.npz.*unpack to"):
        exchange.read(tmp_path / "bomb.npz")
    np.savez(tmp_path / "plain.npz", **{"conv.0": np.zeros(1 << 20, np.float32)})
    assert (
        exchange.read(tmp_path / "plain.npz", exchange.Reading(in_order=True)).layers["conv"][0].size
        == 1 << 20
    )


def test_a_shape_of_which_the_file_holds_nothing_is_refused(tmp_path: Path) -> None:
    """Chunks that were never written are values all the same, as many as the shape says."""
    path = tmp_path / "hollow.caffemodel.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("data/conv/0", (1 << 20, 1 << 18), np.float32, chunks=(64, 64))
    with pytest.raises(ValueError, match=r"hollow\.caffemodel\.h5: /data/conv/0 has the shape"):
        exchange.read(path)
    (tmp_path / "net.prototxt").write_text(corpus.NET)
    net = caffe.Net(str(tmp_path / "net.prototxt"), caffe.TEST)
    with pytest.raises(caffe.CaffeError, match="/data/conv/0 has the shape"):
        net.copy_from(str(path))
