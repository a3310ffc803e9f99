"""Weights to and from files of other frameworks: .npz, .pth, .safetensors and .onnx beside Caffe's own.

A parameter is called `<layer>.<index>` in an .npz and `<layer>.weight` / `<layer>.bias` in .pth and
.safetensors. The values are Caffe's everywhere: O x I x H x W, for BGR input.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import numpy as np

import surgery

from ..outputs import refuse_inputs
from ..protocols import NetLike
from . import archives, caffemodel, dialects, provenance
from .caffemodel import bare, some
from .dialects import Weights
from .loading import check_filled, check_finite

#: What a file is written as, by the end of its name.
SUFFIXES = (".npz", ".pth", ".safetensors", ".caffemodel", ".caffemodel.h5")

_INDEX = {"W": 0, "weight": 0, "b": 1, "bias": 1}  # Chainer's names and PyTorch's


@dataclass(frozen=True)
class Reading:
    """How a file is to be understood.

    Attributes:
        values: what numbered layers hold, see `dialects.VALUES`; None: what the file says of itself.
        keep_mean: fold scaled RGB for images less the file's own mean, see `dialects.translate`.
        in_order: pair layers by their order, for files that number them otherwise; the values are Caffe's.
        partial: layers that the file lacks may stay as the net's fillers made them.
    """

    values: str | None = None
    keep_mean: bool = False
    in_order: bool = False
    partial: bool = False


# -- reading ------------------------------------------------------------------------------------------


def read(path: str | Path, how: Reading = Reading()) -> Weights:
    """The parameters in an .npz, .pth, .safetensors, .onnx, .caffemodel or .caffemodel.h5, by Caffe's names.

    The content decides what a file is, not its name. Understands what is written here, Chainer's .npz
    (`<layer>/W`, `<layer>/b`), state dicts, and VGG16 by torchvision's names.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a web page, a file that is cut off or of another kind, what reads it is not installed, or
            whose values they are is not to be told.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of weights, found nothing")
    with path.open("rb") as file:
        head = file.read(512)
    _refuse_text(path, head)
    arrays_of = archives.reader(head)
    weights = Weights(caffemodel.arrays(path)) if arrays_of is None else _by_layer(path, arrays_of(path))
    if not how.in_order:
        return dialects.translate(weights, path, how.values, how.keep_mean)
    if how.values or how.keep_mean:
        raise ValueError(
            f"{path}: --in-order takes the values as they are: leave out --values and --keep-mean"
        )
    return weights


def _refuse_text(path: Path, head: bytes) -> None:
    size = path.stat().st_size
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        raise ValueError(f"{path}: the server sent a web page ({size} bytes), not a model; download it again")
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        start = head.decode().split("\n")[0][:60]
        raise ValueError(f"{path}: text ({size} bytes, '{start}'), not a model; download the file itself")


def _by_layer(path: Path, arrays: Mapping[str, np.ndarray]) -> Weights:
    found: dict[str, dict[int, np.ndarray]] = {}
    unknown = []
    for key, array in arrays.items():
        match = re.fullmatch(r"(.+)[./](\d+|W|b|weight|bias)", key)
        if match is None or array.dtype.kind != "f":
            unknown.append(key)
            continue
        layer, index = match[1], _INDEX.get(match[2])
        index = int(match[2]) if index is None else index
        if index in found.setdefault(layer, {}):
            raise ValueError(f"{path}: parameter {index} of layer '{layer}' is there twice, as '{key}' too")
        found[layer][index] = array
    for layer, blobs in found.items():
        if sorted(blobs) != list(range(len(blobs))):
            raise ValueError(
                f"{path}: layer '{layer}' has parameters {sorted(blobs)}; some before are missing"
            )
    if not found:
        raise ValueError(f"{path}: no parameters called <layer>.weight, <layer>/W or <layer>.0 in it")
    return Weights({layer: [blobs[i] for i in sorted(blobs)] for layer, blobs in found.items()}, unknown)


# -- filling a net ------------------------------------------------------------------------------------


def fill(net: NetLike, weights: Weights, name: str | Path, *, in_order: bool = False) -> str:
    """Put `weights` into `net` by layer name; returns a report, one line for each fate.

    A parameter of the net's shape is copied; the weights of an inner product and of the convolution that
    equals it become each other. Upsampling layers that the file lacks become bilinear, others stay as they
    are.

    Args:
        name: of the file, for errors.
        in_order: pair layers by their order, for files that number them.

    Raises:
        ValueError: shapes cannot fit, or nothing does; the net is as it was.
    """
    layers = _renamed(net, weights.layers, name) if in_order else weights.layers
    if not any(layer in net.params for layer in layers):
        raise ValueError(f"{name}: none of its layers is in the net. {_other_names(net, layers)}")
    _check_fit(net, layers, name)
    ordered = [
        *(layer for layer in net.params if layer in layers),
        *(k for k in layers if k not in net.params),
    ]
    source = {layer: [SimpleNamespace(data=array) for array in layers[layer]] for layer in ordered}
    report = surgery.transplant(net, SimpleNamespace(params=source))
    bilinear = [layer for layer in map(str, report.untouched) if _upsamples(net, layer)]
    surgery.interp(net, bilinear)
    report.dropped += weights.unknown
    report.untouched = [layer for layer in report.untouched if layer not in bilinear]
    for layer, blobs in net.params.items():
        held = range(len(layers.get(layer, blobs)), len(blobs))
        report.untouched += [surgery.Parameter(layer, i) for i in held]
    return f"{report}\n  bilinear: {', '.join(bilinear) or 'none'}"


def _renamed(
    net: NetLike, layers: Mapping[str, list[np.ndarray]], name: str | Path
) -> dict[str, list[np.ndarray]]:
    if len(layers) != len(net.params):
        raise ValueError(
            f"{name}: {len(layers)} layers with parameters cannot be paired in order with the net's "
            f"{len(net.params)}: {', '.join(net.params)}"
        )
    return dict(zip(net.params, layers.values()))


def _other_names(net: NetLike, layers: Iterable[str]) -> str:
    names = list(layers)
    text = f"The file has {some(names)}; the net has {some(net.params)}."
    if dialects.is_numbered(dict.fromkeys(names)):
        text += (
            " Numbered layers that are not VGG16's are paired by --in-order. The values have to be Caffe's "
            "(for BGR, 0 to 255, mean subtracted): torchvision's own are for scaled RGB and give wrong ones."
        )
    return text


def _check_fit(net: NetLike, layers: Mapping[str, list[np.ndarray]], name: str | Path) -> None:
    wrong = [
        f"  layer '{layer}', parameter {i}: file {array.shape}, net {tuple(blob.data.shape)}"
        for layer, blobs in layers.items()
        for i, (array, blob) in enumerate(zip(blobs, net.params.get(layer, ())))
        if not _fits(array.shape, tuple(blob.data.shape))
    ]
    if wrong:
        more = [f"  ... and {len(wrong) - 6} more"] if wrong[6:] else []
        advice = (
            "Another number of outputs means other classes or widths: give the net it was trained as (--net)."
        )
        raise ValueError("\n".join([f"{name} does not fit the net:", *wrong[:6], *more, advice]))


def _fits(shape: tuple[int, ...], wanted: tuple[int, ...]) -> bool:
    """Equal but for leading ones, or O x CHW against O x C x H x W."""
    if bare(shape) == bare(wanted):
        return True
    same_outputs = {shape[:1], bare(shape)[:1]} & {wanted[:1], bare(wanted)[:1]}
    other_axes = len(bare(shape)) != len(bare(wanted))
    return other_axes and bool(same_outputs) and np.prod(shape) == np.prod(wanted)


def _upsamples(net: NetLike, layer: str) -> bool:
    """A deconvolution that `surgery.interp` can fill."""
    if net.layer_dict[layer].type != "Deconvolution":
        return False
    inputs, outputs, height, width = net.params[layer][0].data.shape
    return height == width and outputs in (1, inputs)


# -- writing ------------------------------------------------------------------------------------------


def write(net: NetLike, path: str | Path) -> float:
    """Write the parameters of `net` in the format that the name of `path` ends in, one of SUFFIXES.

    Reads the file again and returns the largest absolute difference to the net: 0, unless the file is wrong.

    Raises:
        ValueError: another suffix, or what writes the format is missing.
    """
    layers = {layer: [np.asarray(blob.data) for blob in blobs] for layer, blobs in net.params.items()}
    path = check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".h5":
        net.save_hdf5(str(path))
    elif path.suffix == ".caffemodel":
        net.save(str(path))
    else:
        archives.write(path, dict(_named(path, layers)))
    return _difference(path, layers)


def write_layers(layers: Mapping[str, Sequence[np.ndarray]], path: str | Path) -> float:
    """As `write`, of parameters that are in no net: a caffemodel then knows no types of layers."""
    path = check_suffix(path)
    layers = {name: [np.asarray(array, np.float32) for array in arrays] for name, arrays in layers.items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in (".h5", ".caffemodel"):
        caffemodel.write(path, layers)
    else:
        archives.write(path, dict(_named(path, layers)))
    return _difference(path, layers)


def check_suffix(path: str | Path) -> Path:
    """`path`, or ValueError if its name does not say which format is meant."""
    if not str(path).endswith(SUFFIXES):
        raise ValueError(f"{path}: its name has to end in {', '.join(SUFFIXES)}")
    return Path(path)


def _named(path: Path, layers: Mapping[str, Sequence[np.ndarray]]) -> Iterator[tuple[str, np.ndarray]]:
    """(key, array) of all parameters; a layer with more than the names (BatchNorm's three) has numbers."""
    names = () if path.suffix == ".npz" else ("weight", "bias")
    for layer, blobs in layers.items():
        for i, array in enumerate(blobs):
            yield f"{layer}.{names[i] if len(blobs) <= len(names) else i}", array


def _difference(path: Path, layers: Mapping[str, Sequence[np.ndarray]]) -> float:
    """Between a file and what was written into it."""
    again = read(path, Reading(in_order=True)).layers  # under the names that stand there
    return max(
        float(np.abs(np.subtract(array, blob)).max(initial=0))
        for layer, blobs in layers.items()
        for array, blob in zip(again[layer], blobs, strict=True)
    )


# -- both --------------------------------------------------------------------------------------------


def fill_from(net: NetLike, source: Path, how: Reading = Reading()) -> tuple[str, Weights]:
    """Fill a net from any file of weights; returns a report and what was read.

    Args:
        net: the one that they are for, as its fillers made it.

    Raises:
        ValueError: the weights do not fit or fill the net, or are no numbers.
    """
    weights = read(source, how)
    missing = [layer for layer in weights.broken if layer in net.params]
    if missing and not how.partial:
        raise ValueError(
            f"{source}: {weights.changes[0]}. --partial takes the convolutions, and leaves these layers as "
            "the net's fillers make them"
        )
    report = fill(net, weights, source, in_order=how.in_order)
    given = list(net.params) if how.in_order else list(weights.layers)
    if not how.partial:
        check_filled(net, (layer for layer in net.params if layer not in given), source, given)
    check_finite(net, source)
    return "\n".join([report, *(f"  {change}" for change in weights.changes)]), weights


def convert(net: NetLike | None, source: Path, path: str | Path, how: Reading = Reading()) -> str:
    """Write the weights in `source` to `path`, in the format that its name ends in; returns a report.

    What was done stands in a JSON file beside `path`, too, see `provenance`.

    Args:
        net: see `fill_from`; None to take the layers as they are in the file.

    Raises:
        ValueError: the weights do not fit or fill the net, or what was written is not what was read.
    """
    path = check_suffix(path)
    refuse_inputs([path, provenance.beside(path)], [source])
    if net is None:
        weights = read(source, how)
        _check_numbers(source, weights.layers)
        report, count = "\n".join(f"  {change}" for change in weights.changes), len(weights.layers)
        difference = write_layers(weights.layers, path)
    else:
        report, weights = fill_from(net, source, how)
        count, difference = len(net.params), write(net, path)
    if difference != 0:
        raise ValueError(f"{path}: read again, it differs from what was written by up to {difference:g}")
    provenance.record(path, source, weights.kind, weights.changes)
    return f"{report}\n{path}: {count} layers; read again, the largest difference is 0".lstrip("\n")


def _check_numbers(source: Path, layers: Mapping[str, list[np.ndarray]]) -> None:
    blobs = {name: [SimpleNamespace(data=array) for array in arrays] for name, arrays in layers.items()}
    check_finite(SimpleNamespace(params=blobs), source)
