"""Weights to and from files of other frameworks: NumPy's .npz and PyTorch's .pth beside Caffe's own.

A parameter is called `<layer>.<index>` in an .npz and `<layer>.weight` / `<layer>.bias` in a .pth. The
latter needs torch, which a BVLC Caffe does not bring. The values are Caffe's everywhere: O x I x H x W, for
BGR input. Nothing is unpickled.
"""

from __future__ import annotations

import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

import surgery

from ..outputs import refuse_inputs, replacing
from ..protocols import NetLike
from . import caffemodel
from .caffemodel import bare, some
from .loading import check_filled

#: What a file is written as, by the end of its name.
SUFFIXES = (".npz", ".pth", ".caffemodel", ".caffemodel.h5")

_ZIP, _PICKLE = b"PK\x03\x04", b"\x80"
_INDEX = {"W": 0, "weight": 0, "b": 1, "bias": 1}  # Chainer's names and PyTorch's
_NUMBERED = re.compile(r"(features|classifier)\.\d+")


@dataclass
class Weights:
    """The parameters of a file. `layers`: name -> arrays; `unknown`: the keys that name no parameter."""

    layers: dict[str, list[np.ndarray]]
    unknown: list[str] = field(default_factory=list)


# -- reading ------------------------------------------------------------------------------------------


def read(path: str | Path) -> Weights:
    """The parameters in an .npz, .pth, .caffemodel or .caffemodel.h5; the content decides, not the name.

    Understands the .npz written here and by Chainer (`<layer>/W`, `<layer>/b`), and state dicts.

    Raises:
        FileNotFoundError: nothing is there.
        ValueError: a web page, a file that is cut off or of another kind, or torch is needed and missing.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: expected a file of weights, found nothing")
    with path.open("rb") as file:
        head = file.read(512)
    _refuse_text(path, head)
    if head.startswith(_ZIP):
        return _read_zip(path)
    if head.startswith(_PICKLE):  # how PyTorch saved before it took to zip files
        return _by_layer(path, _state_dict(path))
    return Weights(caffemodel.arrays(path))


def _refuse_text(path: Path, head: bytes) -> None:
    size = path.stat().st_size
    if re.match(rb"\s*<(!doctype|html|\?xml|head|body)", head, re.IGNORECASE):
        raise ValueError(f"{path}: the server sent a web page ({size} bytes), not a model; download it again")
    if head and all(32 <= byte < 127 or byte in b"\t\r\n" for byte in head):
        start = head.decode().split("\n")[0][:60]
        raise ValueError(f"{path}: text ({size} bytes, '{start}'), not a model; download the file itself")


def _read_zip(path: Path) -> Weights:
    try:
        with zipfile.ZipFile(path) as file:
            is_npz = all(name.endswith(".npy") for name in file.namelist())
        arrays = _npz(path) if is_npz else _state_dict(path)
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, MemoryError) as error:
        size = path.stat().st_size
        raise ValueError(f"{path}: cut off or damaged ({size} bytes): {error}; download it again") from error
    return _by_layer(path, arrays)


def _npz(path: Path) -> dict[str, np.ndarray]:
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except ValueError as error:  # objects, which would have to be unpickled
        raise ValueError(f"{path}: expected arrays of numbers: {error}") from error


def _state_dict(path: Path) -> dict[str, Any]:
    """The arrays of a state dict, whether saved alone or inside a training checkpoint."""
    from pickle import UnpicklingError  # only its name: torch's own reader makes tensors and nothing else

    torch = _torch(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (UnpicklingError, RuntimeError, EOFError, LookupError, ValueError, TypeError) as error:
        raise ValueError(
            f"{path}: not plain weights of PyTorch, or cut off ({path.stat().st_size} bytes). Only tensors "
            "are read from files; where it was made, torch.save(model.state_dict(), 'weights.pth') writes one"
        ) from error
    for key in ("model_state_dict", "state_dict"):
        found = found.get(key, found) if isinstance(found, Mapping) else {}
    tensors = {str(key): value for key, value in found.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise ValueError(f"{path}: expected a state dict (name -> tensor), found none")
    if all(key.startswith("module.") for key in tensors):  # saved from a DataParallel
        tensors = {key.removeprefix("module."): value for key, value in tensors.items()}
    return {
        key: (value.float() if value.is_floating_point() else value).numpy() for key, value in tensors.items()
    }


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{path}: .pth files need PyTorch: pip install torch") from error
    return torch


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
    if all(_NUMBERED.fullmatch(layer) for layer in names):
        text += (
            " Numbered layers, as in torchvision's VGG16, are paired by --in-order. The values have to be "
            "Caffe's (for BGR, 0 to 255, mean subtracted): torchvision's own are for scaled RGB and give "
            "wrong results here."
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
        ValueError: another suffix, or torch is needed and missing.
    """
    path = check_suffix(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".npz":
        arrays: dict[str, Any] = dict(_named(net, ()))
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    elif path.suffix == ".pth":
        torch = _torch(path)
        state = {key: torch.from_numpy(array.copy()) for key, array in _named(net, ("weight", "bias"))}
        with replacing(path) as temporary:
            torch.save(state, temporary)
    elif path.suffix == ".h5":
        net.save_hdf5(str(path))
    else:
        net.save(str(path))
    again = read(path).layers
    return max(
        float(np.abs(np.subtract(array, blob.data)).max(initial=0))
        for layer, blobs in net.params.items()
        for array, blob in zip(again[layer], blobs, strict=True)
    )


def check_suffix(path: str | Path) -> Path:
    """`path`, or ValueError if its name does not say which format is meant."""
    if not str(path).endswith(SUFFIXES):
        raise ValueError(f"{path}: its name has to end in {', '.join(SUFFIXES)}")
    return Path(path)


def _named(net: NetLike, names: tuple[str, ...]) -> Iterator[tuple[str, np.ndarray]]:
    """(key, array) of all parameters; a layer with more than `names` (BatchNorm's three) has numbers."""
    for layer, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            yield f"{layer}.{names[i] if len(blobs) <= len(names) else i}", np.asarray(blob.data)


# -- both --------------------------------------------------------------------------------------------


def convert(net: NetLike, source: Path, path: str | Path, *, in_order: bool = False) -> str:
    """Write the weights in `source` to `path`, in the format that its name ends in; returns a report.

    Args:
        net: the one that they are for, as its fillers made it.
        in_order: see `fill`.

    Raises:
        ValueError: the weights do not fit or fill the net, or what was written is not what was read.
    """
    refuse_inputs([check_suffix(path)], [source])
    weights = read(source)
    report = fill(net, weights, source, in_order=in_order)
    given = list(net.params) if in_order else list(weights.layers)
    check_filled(net, (layer for layer in net.params if layer not in given), source, given)
    difference = write(net, path)
    if difference != 0:
        raise ValueError(f"{path}: read again, it differs from the net by up to {difference:g}")
    return f"{report}\n{path}: {len(net.params)} layers; read again, the largest difference is 0"
