"""Small real files of each format, written by what people write them with."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import caffe
from caffe.proto import caffe_pb2
from fcn.weights import archives

#: Makes the files of a format, in a folder that it may write into.
Corpus = Callable[[Path], list[bytes]]

NET = """name: "small"
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 2 dim: 6 dim: 7 } } }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" param { lr_mult: 1 decay_mult: 0.5 }
        convolution_param { num_output: 3 kernel_size: 3 pad: 1 stride: 1 weight_filler { type: "xavier" } } }
layer { name: "relu" type: "ReLU" bottom: "conv" top: "conv" relu_param { negative_slope: 0.1 } }
layer { name: "pool" type: "Pooling" bottom: "conv" top: "pool"
        pooling_param { pool: MAX kernel_size: 2 stride: 2 } }
layer { name: "fc" type: "InnerProduct" bottom: "pool" top: "fc" inner_product_param { num_output: 4 } }
layer { name: "prob" type: "Softmax" bottom: "fc" top: "prob" softmax_param { axis: 1 } }
"""
_SHAPES = """input: "data" input_dim: 2 input_dim: 3 input_dim: 8 input_dim: 8 force_backward: true
state { phase: TEST level: 1 stage: "deploy" }
layer { name: "up" type: "Deconvolution" bottom: "data" top: "up"
        convolution_param { num_output: 3 group: 3 kernel_size: 4 stride: 2
                            weight_filler { type: "bilinear" } } }
layer { name: "crop" type: "Crop" bottom: "up" bottom: "data" top: "crop" crop_param { axis: 2 offset: 1 } }
layer { name: "sum" type: "Eltwise" bottom: "crop" bottom: "data" top: "sum"
        eltwise_param { operation: SUM coeff: 1 coeff: -1 } }
layer { name: "norm" type: "LRN" bottom: "sum" top: "norm" lrn_param { local_size: 3 alpha: 1e-4 } }
layer { name: "batch" type: "BatchNorm" bottom: "norm" top: "batch" }
layer { name: "slice" type: "Slice" bottom: "batch" top: "a" top: "b" slice_param { axis: 1 slice_point: 1 } }
layer { name: "cat" type: "Concat" bottom: "a" bottom: "b" top: "cat" concat_param { axis: 1 } }
layer { name: "flat" type: "Reshape" bottom: "cat" top: "flat" reshape_param { shape { dim: 0 dim: -1 } } }
layer { name: "test" type: "ArgMax" bottom: "flat" top: "best" include { phase: TEST min_level: 0 } }
"""
_V1 = """name: "old" input: "data" input_dim: 1 input_dim: 1 input_dim: 9 input_dim: 9
layers { name: "conv" type: CONVOLUTION bottom: "data" top: "conv" blobs_lr: 1 weight_decay: 0
         convolution_param { num_output: 2 kernel_size: 3 weight_filler { type: "gaussian" std: 0.01 } } }
layers { name: "relu" type: RELU bottom: "conv" top: "conv" }
layers { layer { name: "drop" type: "dropout" dropout_ratio: 0.2 } bottom: "conv" top: "drop" }
"""
_LOSS = """layer { name: "data" type: "DummyData" top: "data" top: "label" dummy_data_param {
  shape { dim: 2 dim: 3 } shape { dim: 2 } data_filler { type: "uniform" min: 0 max: 1 } } }
layer { name: "fc" type: "InnerProduct" bottom: "data" top: "fc"
        inner_product_param { num_output: 3 weight_filler { type: "msra" } } }
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "fc" bottom: "label" top: "loss"
        loss_weight: 2 loss_param { ignore_label: 255 } }
"""
_SOLVERS = (
    'base_lr: 0.01 lr_policy: "step" gamma: 0.1 stepsize: 10 momentum: 0.9 weight_decay: 0.0005 max_iter: 20 '
    'display: 5 snapshot: 10 snapshot_prefix: "small" solver_mode: CPU random_seed: 3',
    'type: "Adam" base_lr: 1e-3 lr_policy: "multistep" stepvalue: 5 stepvalue: 9 delta: 1e-8 iter_size: 2 '
    "test_iter: 1 test_interval: 100 snapshot_format: HDF5 regularization_type: 'L1' clip_gradients: 3",
)  # fmt: skip


def nets(folder: Path) -> list[bytes]:
    return [text.encode() for text in (NET, _SHAPES, _V1, _LOSS)]


def solver_texts(folder: Path) -> list[bytes]:
    return [f"net_param {{ {_LOSS} }}\n{text}\n".encode() for text in _SOLVERS]


def caffemodels(folder: Path, suffix: str = ".caffemodel") -> list[bytes]:
    """Of the net above; in the binary form also with old shapes and doubles, as other programs write them."""
    (folder / "net.prototxt").write_text(NET)
    net = caffe.Net(str(folder / "net.prototxt"), caffe.TEST)
    path = folder / f"small{suffix}"
    (net.save_hdf5 if suffix.endswith("h5") else net.save)(str(path))
    made = [path.read_bytes()]
    if suffix.endswith("h5"):
        return made
    old = caffe_pb2.NetParameter(name="old")
    for layer, blobs in net.params.items():
        added = old.layers.add(name=layer, type=caffe_pb2.V1LayerParameter.CONVOLUTION)
        for blob in blobs:
            array = blob.data
            added.blobs.add(num=1, channels=1, height=1, width=array.size, double_data=array.ravel().tolist())
    return [*made, old.SerializeToString()]


def solverstates(folder: Path, suffix: str = ".solverstate") -> list[bytes]:
    made = []
    for number, text in enumerate(_SOLVERS):
        path, prefix = folder / f"solver{number}.prototxt", folder / f"small{number}"
        text = text.replace(' snapshot_prefix: "small"', "").replace("snapshot_format: HDF5", "")
        form = " snapshot_format: HDF5" if suffix.endswith("h5") else " snapshot_format: BINARYPROTO"
        path.write_text(f'net_param {{ {_LOSS} }} snapshot_prefix: "{prefix}" {text}{form}')
        solver = caffe.get_solver(str(path))
        solver.step(1)
        solver.snapshot()
        made.append(Path(f"{prefix}_iter_1{suffix}").read_bytes())
    return made


def hdf5_data(folder: Path) -> list[bytes]:
    import h5py

    made = []
    for number, options in enumerate(({}, {"chunks": True, "compression": "gzip"})):
        with h5py.File(folder / f"{number}.h5", "w") as file:
            file.create_dataset("data", data=np.arange(24, dtype=np.float64).reshape(4, 6), **options)
            file.create_dataset("label", data=np.arange(4, dtype=np.int16), **options)
        made.append((folder / f"{number}.h5").read_bytes())
    return made


def lmdbs(folder: Path) -> list[bytes]:
    """Raw images, encoded ones, floats; one record that needs pages of its own."""
    import lmdb

    image = np.random.default_rng(0).integers(0, 256, (3, 6, 8), dtype=np.uint8)
    png = _saved(Image.fromarray(image.transpose(1, 2, 0)), "PNG")
    large = caffe_pb2.Datum(channels=3, height=40, width=60, data=bytes(7200), label=1)
    raw = caffe_pb2.Datum(channels=3, height=6, width=8, data=image.tobytes(), label=2)
    floats = caffe_pb2.Datum(channels=1, height=1, width=3, float_data=[1, 2, 3])
    sets = ([raw, large, raw], [caffe_pb2.Datum(encoded=True, data=png)], [floats] * 40)
    for number, records in enumerate(sets):
        with (
            lmdb.open(str(folder / f"set{number}"), map_size=1 << 20) as env,
            env.begin(write=True) as written,
        ):
            for key, datum in enumerate(records):
                written.put(f"{key:08d}".encode(), datum.SerializeToString())
    return [(folder / f"set{number}/data.mdb").read_bytes()[: 1 << 16] for number in range(len(sets))]


def means(folder: Path) -> list[bytes]:
    array = np.random.default_rng(0).random((1, 3, 6, 8))
    return [caffe.io.array_to_blobproto(array).SerializeToString()]


def pictures(folder: Path) -> list[bytes]:
    """Each format that images and labels come in, and what cameras add."""
    rng = np.random.default_rng(0)
    colour = Image.fromarray(rng.integers(0, 256, (12, 16, 3), dtype=np.uint8))
    label = Image.fromarray(rng.integers(0, 5, (12, 16), dtype=np.uint8))
    palette = label.convert("P")
    palette.putpalette(list(range(256)) * 3)
    exif = Image.Exif()
    exif[0x0112] = 6
    return [
        *(
            _saved(image, "PNG")
            for image in (colour, label, palette, label.convert("1"), label.convert("I;16"))
        ),
        _saved(colour, "JPEG", exif=exif),
        _saved(colour, "JPEG", progressive=True),
        _saved(colour.convert("CMYK"), "JPEG"),
        *(_saved(image, form) for image in (colour, palette) for form in ("BMP", "TIFF", "GIF")),
        _saved(label, "TIFF", compression="tiff_lzw"),
        _saved(colour, "WEBP"),
    ]


def _saved(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def matlab(folder: Path) -> list[bytes]:
    from scipy.io import savemat

    label = np.arange(12, dtype=np.uint8).reshape(3, 4)
    contents = {
        "GTcls": {"Segmentation": label, "Boundaries": [label, label > 2], "note": "text"},
        "mask": label * 1.5,
    }
    made = []
    for packed in (True, False):
        stream = io.BytesIO()
        savemat(stream, contents, do_compression=packed)
        made.append(stream.getvalue())
    return made


def matlab_hdf5(folder: Path) -> list[bytes]:
    import h5py

    with h5py.File(folder / "new.mat", "w", userblock_size=512) as file:
        file["GTcls/Segmentation"] = np.arange(12, dtype=np.uint8).reshape(3, 4)
        file["mask"] = np.ones((3, 4))
    return [(folder / "new.mat").read_bytes()]


def weights(folder: Path, suffix: str) -> list[bytes]:
    """`.npz`, `.pth` or `.safetensors` of two layers."""
    rng = np.random.default_rng(0)
    names = (0, 1) if suffix == ".npz" else ("weight", "bias")
    shapes = {"conv": (3, 2, 3, 3), "fc": (4, 9)}
    arrays = {
        f"{layer}.{name}": rng.random(shape if i == 0 else shape[:1], np.float32)
        for layer, shape in shapes.items()
        for i, name in enumerate(names)
    }
    archives.write(folder / f"small{suffix}", arrays)
    made = [(folder / f"small{suffix}").read_bytes()]
    return [*made, _old_pth(arrays)] if suffix == ".pth" else made


def _old_pth(arrays: dict[str, np.ndarray]) -> bytes:
    import torch

    stream = io.BytesIO()
    state = {"state_dict": {name: torch.from_numpy(array) for name, array in arrays.items()}, "epoch": 3}
    torch.save(state, stream, _use_new_zipfile_serialization=False)
    return stream.getvalue()


def onnx_models(folder: Path) -> list[bytes]:
    from onnx import helper, numpy_helper

    tensors = [numpy_helper.from_array(np.ones((3, 2), np.float32), "fc.weight"),
               helper.make_tensor("fc.bias", 1, [3], [1.0, 2.0, 3.0])]  # fmt: skip
    model = helper.make_model(helper.make_graph([], "small", [], [], tensors))
    made: bytes = model.SerializeToString()
    return [made]


def counts(folder: Path) -> list[bytes]:
    """The file with the counts of each image that `fcn score` writes."""
    from fcn.score.counts import Cells, ImageCount, Stored, Tally

    cells = Cells.of(np.array([[3, 0], [1, 2]]))
    Stored(Tally(2, (ImageCount("a", cells), ImageCount("b", cells, 4))), ("sky", "road")).save(
        folder / "images.npz"
    )
    return [(folder / "images.npz").read_bytes()]


def packed(folder: Path) -> list[bytes]:
    """A folder as tar, compressed and not, and as zip."""
    made = []
    contents = {"VOC/JPEGImages/a.jpg": b"image" * 50, "VOC/list.txt": b"a\n", "VOC/empty": b""}
    for mode in ("w", "w:gz", "w:bz2", "w:xz"):
        stream = io.BytesIO()
        with tarfile.open(fileobj=stream, mode=mode) as tarred:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tarred.addfile(info, io.BytesIO(content))
            link = tarfile.TarInfo("VOC/link")
            link.type, link.linkname = tarfile.SYMTYPE, "list.txt"
            tarred.addfile(link)
        made.append(stream.getvalue())
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in contents.items():
            zipped.writestr(name, content)
    return [*made, stream.getvalue(), gzip.compress(b"no tar")]


def texts(contents: Sequence[str], folder: Path) -> list[bytes]:
    return [text.encode() for text in contents]


lists = partial(
    texts, ["2007_000032\n2007_000039\na/b\n", "\ufeffone\r\ntwo\r\n", "a.jpg a.png\nb.jpg b.png\n"]
)
class_lists = partial(texts, ["background\nroad\ncar\n", "# mean: 104.0 116.7 122.7\n# void: 0\nsky\nroad\n"])
image_lists = partial(texts, ["im0.png 0\nim1.png 1\n", "im0.png 3\n"])
window_lists = partial(
    texts, ["# 0\nim0.png\n3 6 8\n2\n2 0.9 1 1 5 4\n0 0.1 2 2 7 5\n# 1 im1.png 3 6 8 1 1 1 0 0 6 4\n"]
)
colour_tables = partial(
    texts, ["0 0 0 background\n128 0 0 road\n", "name,r,g,b\nsky,1,2,3\nroad,4,5,6\n", "1,2,3\n4,5,6\n"]
)
param_strs = partial(texts, [
    "{'voc_dir': 'here', 'split': 'train', 'mean': (104.0, 116.7, 122.7), 'seed': 1337, 'batch': 2}",
    "{'sbdd_dir': 'here', 'split': 'val', 'mean': [1, 2, 3], 'randomize': False, 'crop': (8, 8)}",
])  # fmt: skip


def labelme(folder: Path) -> list[bytes]:
    shapes = [{"label": "road", "shape_type": "polygon", "points": [[0, 0], [5, 0], [5, 4.5]]},
              {"label": "car", "shape_type": "circle", "points": [[3, 3], [4, 4]]}]  # fmt: skip
    return [
        json.dumps({"shapes": shapes, "imagePath": "im0.png", "imageHeight": 6, "imageWidth": 8}).encode()
    ]


def coco(folder: Path) -> list[bytes]:
    outlines = (
        [[0, 0, 5, 0, 5, 5]],
        {"counts": [10, 20, 18], "size": [6, 8]},
        {"counts": ":d0b0", "size": [6, 8]},
    )
    document = {
        "images": [{"id": i, "file_name": f"im{i}.png", "height": 6, "width": 8} for i in range(2)],
        "annotations": [
            {
                "image_id": i % 2,
                "category_id": i % 2,
                "segmentation": outline,
                "area": 12.5,
                "iscrowd": int(i > 0),
            }
            for i, outline in enumerate(outlines)
        ],
        "categories": [{"id": 0, "name": "road"}, {"id": 1, "name": "car"}],
    }
    return [json.dumps(document).encode()]


def runs(folder: Path) -> list[bytes]:
    """A run.json as a training writes it."""
    from fcn.job import Job
    from fcn.runs import VERSION
    from nets import PythonData
    from solvers import recipe

    params = {"voc_dir": "here", "split": "train", "mean": [104.0, 117.0, 123.0]}
    layer = PythonData("VOCSegDataLayer", params)
    job = Job("voc-fcn32s", recipe("voc-fcn32s"), {"train": layer, "val": layer}, ("sky", "road"))
    return [
        json.dumps(
            {"version": VERSION, "job": job.as_dict(), "launches": [{"time": "now", "from": "x"}]}
        ).encode()
    ]


def tables(folder: Path) -> list[bytes]:
    return [b"iteration,images,mean IU\r\n2,2,0.5\r\n4,4,nan\r\n", b"iteration,loss_per_image\n1,3.5\n2,3."]


def loops(folder: Path) -> list[bytes]:
    from fcn.runs import Run
    from fcn.train.keeping.loopstate import save_loop

    save_loop(Run(folder).make(), 3, [(1.0, 2.0)], 3)
    return [(folder / "snapshot/train_iter_3.loop.json").read_bytes()]


def indices(folder: Path) -> list[bytes]:
    facts = {"bytes": 3, "blake2b": "00" * 16}
    files = {"train_iter_3.caffemodel": facts, "train_iter_3.solverstate": facts}
    return [json.dumps({"version": 1, "sets": [{"iteration": 3, "files": files}]}).encode()]
