"""A buffer that lives on the host and, on demand, on a device (Caffe's SyncedMemory).

NumPy arrays handed out share the host buffer. While one of them is alive the host copy leads: what
is computed on a device is brought back at once and what was written through the array is sent before
the next use, so an array obtained earlier behaves on a GPU as on the CPU. When nobody holds an array,
results are adopted without a copy.
"""

from __future__ import annotations

import weakref

import numpy as np
import torch

from . import device

HOST = torch.device("cpu")


class Memory:
    """`size` numbers, zero until written. Blobs that share data hold the same Memory."""

    __slots__ = ("_device", "_export", "_host", "_host_fresh", "_host_leads", "_where", "size")

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._host: torch.Tensor | None = None
        self._device: torch.Tensor | None = None
        self._where = HOST  # the device that `_device` is on
        self._host_fresh = True
        self._host_leads = False
        self._export: weakref.ref[np.ndarray] | None = None

    @property
    def exported(self) -> bool:
        """Whether a NumPy array over this memory is alive."""
        return self._export is not None and self._export() is not None

    @property
    def allocated(self) -> bool:
        """Whether anything was ever written or looked at."""
        return self._host is not None or self._device is not None

    def host(self) -> torch.Tensor:
        """The flat host tensor, up to date."""
        if self._host is None:
            source = self._device
            self._host = _zeros(self.size) if source is None else source.to(HOST, copy=True)
            self._host_fresh = True
        elif not self._host_fresh and self._device is not None:
            self._host.copy_(self._device)
            self._host_fresh = True
        return self._host

    def array(self) -> np.ndarray:
        """The flat NumPy array over the host tensor; the host copy leads while it lives."""
        host = self.host()
        array = self._export() if self._export is not None else None
        if array is None:
            array = host.numpy()
            self._export = weakref.ref(array)
        self._host_leads = True
        return array

    def read(self) -> torch.Tensor:
        """The flat tensor on the current device, up to date."""
        target = device.current()
        if target == HOST:
            host = self.host()
            self._device = None
            return host
        if self._device is None or self._where != target or self._host_leads:
            self._device, self._where = self.host().to(target, copy=True), target
            self._host_leads = self.exported
        return self._device

    def adopt(self, tensor: torch.Tensor) -> None:
        """Take over a flat tensor of at most `size` numbers as the new contents."""
        if self.exported:
            self.read()[: tensor.numel()].copy_(tensor)
            self.touched()
            return
        target = device.current()
        self.size = tensor.numel()
        if target == HOST:
            self._host, self._device, self._host_fresh = tensor.to(HOST), None, True
        else:
            self._host, self._device, self._host_fresh = None, tensor.to(target), False
            self._where, self._host_leads = target, False

    def touched(self) -> None:
        """Tell that the tensor `read` returned was written in place."""
        if self._device is None:
            return
        self._host_fresh = False
        if self.exported:
            self.host()

    def zero(self) -> None:
        """All zeros, by forgetting the contents where nobody holds an array over them."""
        if self.exported:
            self.read().zero_()
            self.touched()
        else:
            self._host = self._device = None
            self._host_fresh, self._host_leads = True, False


def _zeros(size: int) -> torch.Tensor:
    # NumPy's zeros cost nothing until written; torch.zeros touches every page at once.
    return torch.from_numpy(np.zeros(size, str(device.dtype()).removeprefix("torch.")))
