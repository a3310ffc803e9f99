"""The formats: what their files are, how inputs are made of them, who reads them."""

from __future__ import annotations

from functools import cache, partial
from typing import NamedTuple

from caffe.proto import caffe_pb2

from . import containers, corpus, targets, wires, words
from .corpus import Corpus
from .mutate import Vary, mutated
from .targets import Read


class Format(NamedTuple):
    """A format of files that come from elsewhere.

    Attributes:
        file: what an input is called, with the folder that it lies in where that matters.
        vary: makes an input of the files of the corpus.
        readers: the calls that read it.
        named: whether an error has to name the file.
    """

    name: str
    file: str
    corpus: Corpus
    vary: Vary
    readers: tuple[Read, ...]
    named: bool = True


@cache
def _prototxt_words() -> tuple[str, ...]:
    """Fields, values and layer types; but for Python, which would import what an input names."""
    found: set[str] = set()
    for message in caffe_pb2.DESCRIPTOR.message_types_by_name.values():
        found |= set(message.fields_by_name)
        for enum in message.enum_types:
            found |= set(enum.values_by_name)
    types = (name.title().replace("_", "") for name in caffe_pb2.V1LayerParameter.LayerType.keys())  # noqa: SIM118  a class of protobuf's, no dict
    return tuple(sorted({*found, *types, "InnerProduct", "SoftmaxWithLoss"} - {"Python", "python_param"}))


_prototxt = words.with_names(_prototxt_words)
_text = words.varied
_C, _W, _T = containers, wires.varied, targets

FORMATS = (
    Format("prototxt", "net.prototxt", corpus.nets, _prototxt, (_T.net,)),
    Format("solver", "solver.prototxt", corpus.solver_texts, _prototxt, (_T.solver,), named=False),
    Format("caffemodel", "x.caffemodel", corpus.caffemodels, _W, (_T.copy_from, _T.shapes, _T.weights)),
    Format("caffemodel.h5", "x.caffemodel.h5", partial(corpus.caffemodels, suffix=".caffemodel.h5"), mutated,
           (_T.copy_from, _T.shapes, _T.weights)),
    Format("solverstate", "x.solverstate", corpus.solverstates, _W, (_T.restore, _T.state)),
    Format("solverstate.h5", "x.solverstate.h5", partial(corpus.solverstates, suffix=".solverstate.h5"),
           mutated, (_T.restore, _T.state)),
    Format("hdf5", "rows.h5", corpus.hdf5_data, mutated, (_T.hdf5_layer,)),
    Format("lmdb", "set/data.mdb", corpus.lmdbs, mutated, (_T.data_layer,), named=False),
    Format("binaryproto", "mean.binaryproto", corpus.means, _W, (_T.mean_file,)),
    Format("image", "image.png", corpus.pictures, _C.picture, (_T.image, _T.label, _T.size, _T.image_layer)),
    Format("mat", "label.mat", corpus.matlab, _C.matlab, (_T.label_mat, _T.all_mat), named=False),
    Format("mat7.3", "label.mat", corpus.matlab_hdf5, mutated, (_T.label_mat, _T.all_mat), named=False),
    Format("npz", "x.npz", partial(corpus.weights, suffix=".npz"), _C.zipped, (_T.weights, _T.in_order)),
    Format("counts", "images.npz", corpus.counts, _C.zipped, (_T.counts,)),
    Format("pth", "x.pth", partial(corpus.weights, suffix=".pth"), _C.zipped, (_T.weights, _T.in_order)),
    Format("safetensors", "x.safetensors", partial(corpus.weights, suffix=".safetensors"), _C.headed,
           (_T.weights, _T.in_order)),
    Format("onnx", "x.onnx", corpus.onnx_models, _W, (_T.weights, _T.in_order)),
    Format("archive", "set.tar", corpus.packed, _C.tarred, (_T.archive,)),
    Format("split", "train.txt", corpus.lists, _text, (_T.split_list,)),
    Format("classes", "classes.txt", corpus.class_lists, _text, (_T.class_list,)),
    Format("image list", "list.csv", corpus.image_lists, _text, (_T.image_data,), named=False),
    Format("window list", "windows.txt", corpus.window_lists, _text, (_T.window_data,), named=False),
    Format("colours", "colours.txt", corpus.colour_tables, _text, (_T.colours,)),
    Format("param_str", "param.txt", corpus.param_strs, _text, (_T.param_str,), named=False),
    Format("labelme", "made/im0.json", corpus.labelme, _text, (_T.imported_labelme,), named=False),
    Format("coco", "made/coco.json", corpus.coco, _text, (_T.imported,), named=False),
    Format("run.json", "run/run.json", corpus.runs, _text, (_T.job,)),
    Format("scores", "scores.csv", corpus.tables, _text, (_T.table,)),
    Format("loop.json", "train_iter_3.loop.json", corpus.loops, _text, (_T.loop,)),
    Format("index.json", "snapshot/index.json", corpus.indices, _text, (_T.index,), named=False),
)  # fmt: skip
