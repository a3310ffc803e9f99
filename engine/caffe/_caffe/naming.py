"""Which file and which layer an error comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

import torch

from .errors import LayerError, MissingExtraError, NetError

if TYPE_CHECKING:
    from ..proto.caffe_pb2 import LayerParameter


@contextmanager
def naming_file(path: str) -> Iterator[None]:
    """Puts the prototxt's name before what is wrong with the net or a layer in it."""
    try:
        yield
    except (NetError, LayerError) as error:
        error.args = (f"{path}: {error}",)
        raise


@contextmanager
def naming(param: LayerParameter) -> Iterator[None]:
    """Adds the layer's name to what goes wrong inside it, unless it is the user's own exception."""
    try:
        yield
    except (RuntimeError, MemoryError) as error:
        raise_named(param, error)


def raise_named(param: LayerParameter, error: RuntimeError | MemoryError) -> NoReturn:
    """Raise what went wrong inside a layer with the layer's name, unless it is the user's own exception."""
    if param.type == "Python" or isinstance(error, (LayerError, MissingExtraError)):
        raise error
    where = f"layer '{param.name}' ({param.type})"
    if isinstance(error, torch.OutOfMemoryError):
        raise LayerError(
            f"{where}: out of device memory: {error}. Use smaller images or a smaller batch, or "
            "the CPU (caffe.set_mode_cpu())"
        ) from error
    if isinstance(error, MemoryError):
        raise LayerError(f"{where}: out of memory: {error or 'there is none left'}") from error
    raise LayerError(f"{where}: {error}") from error
