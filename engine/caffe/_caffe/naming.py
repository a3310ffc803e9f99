"""Which file and which layer an error comes from."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

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


class naming:
    """Adds the layer's name to what goes wrong inside it, unless it is the user's own exception."""

    def __init__(self, param: LayerParameter) -> None:
        self._param = param

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type | None, error: BaseException | None, trace: object) -> None:
        if self._param.type == "Python" or error is None:
            return
        if isinstance(error, (LayerError, MissingExtraError)):
            return
        where = f"layer '{self._param.name}' ({self._param.type})"
        if isinstance(error, torch.OutOfMemoryError):
            raise LayerError(
                f"{where}: out of device memory: {error}. Use smaller images or a smaller batch, or "
                "the CPU (caffe.set_mode_cpu())"
            ) from error
        if isinstance(error, RuntimeError):
            raise LayerError(f"{where}: {error}") from error
