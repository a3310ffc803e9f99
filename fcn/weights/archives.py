"""Files that hold arrays by name: NumPy's .npz, PyTorch's .pth, safetensors, and the initialisers of ONNX.

Nothing is unpickled. What reads a format is imported when the first such file is met.
"""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ..npz import read_npz
from ..outputs import replacing

_ZIP, _PICKLE, _ONNX = b"PK\x03\x04", b"\x80", b"\x08"

#: What PyTorch's reader raises for files that are damaged.
_DAMAGED = (
    RuntimeError, EOFError, OSError, LookupError, ValueError, TypeError, AttributeError, AssertionError,
    OverflowError, MemoryError, struct.error,
)  # fmt: skip

#: What a network's file is called by those who train it in other frameworks: name -> array.
Arrays = dict[str, np.ndarray]


def reader(head: bytes) -> Callable[[Path], Arrays] | None:
    """What reads the file that starts with `head`; None for Caffe's own and for what is no such file.

    The content decides, not the name.
    """
    if head.startswith(_ZIP):
        return _zip
    if head.startswith(_PICKLE):  # how PyTorch saved before it took to zip files
        return _state_dict
    if head[8:9] == b"{" and head[6:8] == b"\x00\x00":  # the length of a header in JSON, in 8 bytes
        return _safetensors
    # The first field of ONNX is a number, its version; that of a caffemodel is a text, or a layer.
    return _onnx if head.startswith(_ONNX) else None


def write(path: Path, arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays as the suffix of `path` says: .npz, .pth or .safetensors.

    Raises:
        ValueError: what writes the format is not installed.
    """
    save = {".npz": _save_npz, ".safetensors": _save_safetensors}.get(path.suffix, _save_state_dict)
    content = save(path, arrays)
    with replacing(path) as temporary:
        temporary.write_bytes(content)


# Into memory first: of a disk that is full the writers of PyTorch and safetensors do not say so.


def _save_npz(path: Path, arrays: Mapping[str, np.ndarray]) -> memoryview:
    content, values = io.BytesIO(), dict[str, Any](arrays)
    np.savez(content, **values)
    return content.getbuffer()


def _save_safetensors(path: Path, arrays: Mapping[str, np.ndarray]) -> memoryview:
    whole = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    return memoryview(_safetensors_library(path).save(whole))


def _save_state_dict(path: Path, arrays: Mapping[str, np.ndarray]) -> memoryview:
    torch, content = _torch(path), io.BytesIO()
    torch.save({key: torch.from_numpy(array.copy()) for key, array in arrays.items()}, content)
    return content.getbuffer()


# -- one function for each kind -----------------------------------------------------------------------


def _zip(path: Path) -> Arrays:
    try:
        with zipfile.ZipFile(path) as file:
            is_npz = all(name.endswith(".npy") for name in file.namelist())
    except (zipfile.BadZipFile, OSError, RuntimeError, ValueError) as error:
        raise _damaged(path, error) from error
    return read_npz(path) if is_npz else _state_dict(path)


def _state_dict(path: Path) -> Arrays:
    """The arrays of a state dict, whether saved alone or inside a training checkpoint."""
    from pickle import UnpicklingError  # only its name: torch's own reader makes tensors and nothing else

    torch = _torch(path)
    try:
        with path.open("rb") as file:  # of a path, its suffix would count
            found = torch.load(file, map_location="cpu", weights_only=True)
    except (UnpicklingError, *_DAMAGED) as error:
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
    return {key: _numbers(path, key, value) for key, value in tensors.items()}


def _numbers(path: Path, key: str, tensor: Any) -> np.ndarray:
    """A tensor as an array; ValueError for one that NumPy lacks, or that the file cannot hold."""
    size = path.stat().st_size
    if tensor.numel() * tensor.element_size() > size:  # a few numbers, repeated by strides of zero
        raise ValueError(
            f"{path}: '{key}' of the shape {tuple(tensor.shape)} is larger than the file ({size} bytes)"
        )
    try:
        array: np.ndarray = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"{path}: '{key}' is no plain tensor ({error}); save it as float32") from error
    return array


def _safetensors(path: Path) -> Arrays:
    library = _safetensors_library(path)
    from safetensors import SafetensorError

    try:
        return dict(library.load_file(path))
    except SafetensorError as error:
        raise _damaged(path, error) from error
    except (TypeError, KeyError) as error:
        raise ValueError(
            f"{path}: numbers of a kind that NumPy lacks ({error}); save them as float32 where it was made"
        ) from error


def _onnx(path: Path) -> Arrays:
    try:
        import onnx
    except ImportError as error:
        raise ValueError(f"{path}: ONNX files need the extra: pip install 'caffe-fcn[onnx]'") from error
    from google.protobuf.message import DecodeError

    try:
        model = onnx.load(path, load_external_data=False)
    except DecodeError as error:
        raise _damaged(path, error) from error
    initializers = list(model.graph.initializer)
    if any(onnx.external_data_helper.uses_external_data(tensor) for tensor in initializers):
        raise ValueError(
            f"{path}: keeps its weights in another file; where that file lies beside it, "
            "onnx.save(onnx.load(PATH), 'one.onnx') puts both into one"
        )
    try:
        return {str(tensor.name): onnx.numpy_helper.to_array(tensor) for tensor in initializers}
    except (ValueError, TypeError, LookupError, AttributeError, OverflowError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> ValueError:
    size = path.stat().st_size
    return ValueError(f"{path}: cut off or damaged ({size} bytes): {error}; download it again")


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError as error:
        raise ValueError(f"{path}: .pth files need PyTorch: pip install torch") from error
    return torch


def _safetensors_library(path: Path) -> Any:
    try:
        from safetensors import numpy
    except ImportError as error:
        raise ValueError(
            f"{path}: .safetensors files need the extra: pip install 'caffe-fcn[safetensors]'"
        ) from error
    return numpy
