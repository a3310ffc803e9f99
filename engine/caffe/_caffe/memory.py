"""A buffer that lives on the host and, on demand, on a device (Caffe's SyncedMemory).

NumPy arrays handed out share the host buffer. While one of them is alive the host copy leads: what
is computed on a device is brought back at once and what was written through the array is sent before
the next use, so an array obtained earlier behaves on a GPU as on the CPU. When nobody holds an array,
results are adopted without a copy. Results may also be promised: they are made when somebody looks.
"""

from __future__ import annotations

import math
import weakref
import zlib
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import torch

from . import device

HOST = device.HOST

#: Up to this many numbers it costs less to write zeros than to ask for memory that holds them.
_SMALL = 1 << 16
_MOST_VIEWS = 8
#: Up to this many numbers are sent to a CUDA device from memory that is locked for it.
_LOCKED = 1 << 24
#: Ends the key of a matrix turned on its side among the views: no axis of a shape is that long.
_TURNED = -1


class Memory:
    """`size` numbers, zero until written. Blobs that share data hold the same Memory."""

    __slots__ = (
        "_changes", "_device", "_export", "_handed_out", "_hidden", "_host", "_host_fresh", "_host_leads",
        "_judged", "_promise", "_promised_at", "_where", "_watchers", "settled", "size", "views",
    )  # fmt: skip

    def __init__(self, size: int = 0) -> None:
        self.size = size
        self._host: torch.Tensor | None = None
        self._device: torch.Tensor | None = None
        self._where = HOST  # the device that `_device` is on
        self._host_fresh = True
        self._host_leads = False
        self._export: weakref.ref[np.ndarray] | None = None
        #: The flat host tensor, while it is all there is; to be read only.
        self.settled: torch.Tensor | None = None
        #: Of the host tensor while it is all there is, by their shape; good while computing on the host.
        self.views: dict[tuple[int, ...] | None, torch.Tensor] = {}
        #: The views while zeros are still to be written into the host tensor; else None.
        self._hidden: dict[tuple[int, ...] | None, torch.Tensor] | None = None
        self._promise: Callable[[], torch.Tensor] | None = None
        self._watchers: dict[int, Callable[[], None]] = {}
        self._changes = 0  # how often the contents were replaced
        self._handed_out = 0  # how often an array was given to somebody who may write through it
        self._promised_at = -1  # `_handed_out` when the contents were last promised
        # when `state` last looked: what it knew to have been replaced, `_handed_out`, and the contents
        self._judged: tuple[tuple[int, int], int, int] | None = None

    def watch(self, who: int, call: Callable[[], None]) -> None:
        """Have `call()` run once, before somebody is given an array to write through; one call a `who`."""
        self._watchers[who] = call

    def unwatch(self, who: int) -> None:
        """Take back what `watch` was asked for."""
        self._watchers.pop(who, None)

    @property
    def exported(self) -> bool:
        """Whether a NumPy array over this memory is alive."""
        return self._export is not None and self._export() is not None

    @property
    def allocated(self) -> bool:
        """Whether anything was ever written or looked at."""
        return self._host is not None or self._device is not None or self._promise is not None

    @property
    def promised(self) -> bool:
        """Whether the contents are still to be made."""
        return self._promise is not None

    @property
    def veiled(self) -> torch.Tensor | None:
        """The flat host tensor that is to be zeros, and will be, unless somebody writes all of it before."""
        return None if self._hidden is None else self._host

    @property
    def stays(self) -> bool:
        """Whether what is adopted on the host is copied into the memory there is, if it has its size."""
        return self.settled is not None and self.size <= _SMALL

    @property
    def untouched(self) -> bool:
        """Whether nobody was given an array to write through since the contents were last promised."""
        return self._handed_out == self._promised_at

    def promise(self, make: Callable[[], torch.Tensor], size: int) -> None:
        """Let `make()`, a flat tensor of `size` numbers of its own, be the contents; called when needed."""
        if self._promise is make:  # what it was to be, and nobody has asked for it
            self._changes += 1
            return
        if self.exported:
            self.adopt(make())
            return
        self._forget()
        self._changes += 1
        self.size, self._promise, self._promised_at = size, make, self._handed_out

    def _fulfil(self) -> None:
        if self._promise is not None:
            changes = self._changes
            self.adopt(self._promise())  # which forgets the promise; one that fails stays, and fails again
            self._changes = changes

    def state(self, judge: Callable[[torch.Tensor], int]) -> Hashable:
        """What is equal to an earlier `state` as long as nobody changed the contents, also through an array.

        Args:
            judge: tells contents apart; called when somebody may have written without saying so.
        """
        values = self.host()
        told = (self._changes, values._version)
        if self._judged is None or self._judged[0] != told:
            self._judged = (told, self._handed_out, judge(values))
        elif self.exported or self._judged[1] != self._handed_out:
            found = judge(values)
            if found != self._judged[2]:
                self._changes += 1
            self._judged = ((self._changes, values._version), self._handed_out, found)
        return self, self._changes, values._version

    def mark(self) -> Hashable:
        """Equal to an earlier mark only if nobody changed the contents, nor got an array to do so, since."""
        held = zlib.crc32(self.host().numpy().data) if self.exported else None
        return id(self), self._changes, self._handed_out, held

    @contextmanager
    def preserved(self) -> Iterator[None]:
        """What is written inside is gone at the end, and does not count as a change.

        Of what is promised the same is to be promised inside.
        """
        changes, promised_at = self._changes, self._promised_at
        if self.promised:
            yield
            self._changes = changes
            return
        kept = self.read().clone() if self.exported else self.read()
        if not self.exported:
            self._forget()
        try:
            yield
        finally:
            self.adopt(kept)
            self._changes, self._promised_at = changes, promised_at

    @property
    def zeroed(self) -> bool:
        """Whether nothing was written since the last `zero`, nor could be: nobody has looked."""
        return self._hidden is not None or not self.allocated

    def host(self) -> torch.Tensor:
        """The flat host tensor, up to date."""
        if self._promise is not None:
            self._fulfil()
        if self._host is None:
            source = self._device
            self._host = _host_zeros(self.size) if source is None else source.to(HOST, copy=True)
            self._host_fresh = True
        elif not self._host_fresh and self._device is not None:
            self._host.copy_(self._device)
            self._host_fresh = True
        elif self._hidden is not None:
            self._host.zero_()
            self._reveal()
        return self._host

    def peek(self) -> torch.Tensor | None:
        """The flat tensor as it is, wherever it is, to be looked at; None where there is none.

        That is so where nothing was written, where it was zeroed since, and of what is only promised.
        """
        if self._promise is not None or self._hidden is not None:
            return None
        return self._host if self._host is not None and self._host_fresh else self._device

    def at_hand(self) -> torch.Tensor | None:
        """The flat host tensor, if it holds the contents; None where the host would wait for a device."""
        fresh = self._host_fresh and self._promise is None and self._hidden is None
        return self._host if fresh else None

    def array(self) -> np.ndarray:
        """The flat NumPy array over the host tensor; the host copy leads while it lives."""
        while self._watchers:
            self._watchers.popitem()[1]()
        host = self.host()
        self._handed_out += 1
        array = self._export() if self._export is not None else None
        if array is None:
            array = host.numpy()
            self._export = weakref.ref(array)
        self._host_leads = True
        return array

    def read(self) -> torch.Tensor:
        """The flat tensor on the current device, up to date."""
        target = device.current()
        if target is HOST:
            if self.settled is None:
                self.settled, self._device = self.host(), None
            return self.settled
        if self._promise is not None:
            self._fulfil()
        if self._device is None or self._where != target or self._host_leads:
            self._device, self._where = _sent(self.host(), target), target
            self._host_leads = self.exported
        self._unsettle()
        return self._device

    def view(self, dims: tuple[int, ...]) -> torch.Tensor:
        """`read` in the shape `dims`, of at most `size` numbers: the same tensor as long as nothing moved."""
        view = self.views.get(dims)
        if view is not None and device.current() is HOST:
            return view
        flat, count = self.read(), math.prod(dims)
        view = (flat if flat.numel() == count else flat[:count]).view(dims)
        return self._keep(dims, view)

    def turned(self, dims: tuple[int, int]) -> torch.Tensor:
        """`view`, its two axes exchanged."""
        key = (*dims, _TURNED)
        view = self.views.get(key)
        if view is not None and device.current() is HOST:
            return view
        return self._keep(key, self.view(dims).t())

    def _keep(self, key: tuple[int, ...], view: torch.Tensor) -> torch.Tensor:
        if self.settled is not None:
            if len(self.views) >= _MOST_VIEWS:  # of a blob whose shape changes from pass to pass
                self.views.clear()
            self.views[key] = view
        return view

    def blank(self, dims: tuple[int, ...]) -> torch.Tensor | None:
        """Like `view`, for somebody who writes all of it, if there is memory that holds zeros; else None."""
        return self.view(dims) if device.current() is HOST and self.unveil() else None

    def holds(self, tensor: torch.Tensor) -> bool:
        """Whether `tensor` is on the memory that `read` returns."""
        if self.settled is not None and device.current() is HOST:
            return tensor.data_ptr() == self.settled.data_ptr()
        # What was read before the memory was zeroed is void.
        return not self.zeroed and not self.promised and tensor.data_ptr() == self.read().data_ptr()

    def adopt(self, tensor: torch.Tensor) -> None:
        """Take over a flat tensor of at most `size` numbers as the new contents."""
        self._promise = None
        self._changes += 1
        if self.exported:
            self.read()[: tensor.numel()].copy_(tensor)
            self.touched()
            return
        target = device.current()
        if self._hidden is not None:
            self._reveal()
        kept = self.settled
        if target is HOST and kept is not None and self.stays and _alike(kept, tensor):
            kept.copy_(tensor)  # views of it are good for the next pass
            return
        self._unsettle()
        self.size = tensor.numel()
        if target is HOST:
            self._host = self.settled = tensor.to(HOST)
            self._device, self._host_fresh = None, True
        else:
            self._host, self._device, self._host_fresh = None, tensor.to(target), False
            self._where, self._host_leads = target, False

    def settle(self, place: torch.Tensor) -> bool:
        """Keep the contents in `place`, a flat host tensor of `size` numbers, from now on.

        Returns:
            False: nothing is done, as somebody holds an array over the memory, or it is on a device.
        """
        if self.exported or device.current() is not HOST or not _alike(place, self.read()):
            return False
        place.copy_(self.read())
        self._unsettle()
        self._host = self.settled = place
        return True

    def bring(self, tensor: torch.Tensor) -> None:
        """`adopt` a tensor that is on the host and may be kept there; a device gets it when it asks."""
        if self.exported or device.current() is HOST:
            self.adopt(tensor)
            return
        self._changes += 1
        self._forget()
        self.size, self._host = tensor.numel(), tensor

    @contextmanager
    def set_aside(self) -> Iterator[None]:
        """Inside, the contents are those on the device alone, in memory that nobody holds an array over.

        At the end all is as before, but for what was written into that memory in place.
        """
        contents = self.read()
        before = [getattr(self, name) for name in self.__slots__]
        self.views, self._watchers = {}, {}
        self._export, self._host, self._host_leads, self._host_fresh = None, None, False, False
        self.settled, self._device, self._where = None, contents, device.current()
        try:
            yield
        finally:
            for name, value in zip(self.__slots__, before):
                setattr(self, name, value)

    def touched(self) -> None:
        """Tell that the tensor `read` returned was written in place."""
        self._changes += 1
        if self._device is None:
            return
        self._host_fresh = False
        if self.exported:
            self.host()

    def zero(self, keep: bool = False) -> None:
        """All zeros; where nobody holds an array over the contents, by forgetting them.

        keep: the memory stays, for contents that come again at once; little memory always does.
        """
        self._changes += 1
        if self.exported:
            self.read().zero_()
            self.touched()
        elif self.settled is not None and (keep or self.size <= _SMALL):
            self._hidden, self.views, self.settled = self.views, {}, None
        elif self._hidden is None:
            self._forget()

    def _forget(self) -> None:
        self._unsettle()
        self._host = self._device = self._promise = None
        self._host_fresh, self._host_leads = True, False

    def unveil(self) -> bool:
        """Whether `zero` left memory for somebody who writes all of it, which then is the contents."""
        if self._hidden is None:
            return False
        self._reveal()
        return True

    def _reveal(self) -> None:
        """What `zero` hid, for whoever has written the zeros or will write something else."""
        self.settled, self.views, self._hidden = self._host, self._hidden or {}, None

    def _unsettle(self) -> None:
        self.settled = self._hidden = None
        self.views.clear()


class Seen(NamedTuple):
    """What `unchanged` compares."""

    memory: Memory
    state: Hashable
    host: torch.Tensor
    version: int
    changes: int
    handed_out: int


def see(memory: Memory, judge: Callable[[torch.Tensor], int]) -> Seen:
    """The state of a memory that is on the host, for `unchanged`."""
    state, host = memory.state(judge), memory.host()
    return Seen(memory, state, host, host._version, memory._changes, memory._handed_out)


def unchanged(seen: Sequence[Seen], judge: Callable[[torch.Tensor], int]) -> bool:
    """Whether each of them has the same `Memory.state` still; quick where nobody can have written."""
    for memory, state, host, version, changes, handed_out in seen:
        known = (
            memory._host is host
            and host._version == version
            and memory._changes == changes
            and memory._handed_out == handed_out
            and not (memory._export is not None and memory.exported)
        )
        if not known and memory.state(judge) != state:
            return False
    return True


def zeros(size: int) -> torch.Tensor:
    """A flat tensor of zeros on the current device; on the host it costs nothing until it is written."""
    target = device.current()
    return _host_zeros(size) if target is HOST else torch.zeros(size, dtype=device.dtype(), device=target)


def _alike(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.dtype == other.dtype and one.numel() == other.numel()


def _sent(values: torch.Tensor, target: torch.device) -> torch.Tensor:
    """A copy of a host tensor on a device.

    From ordinary memory CUDA copies only once the device has come to an end, for which the host would wait.
    """
    if target.type == "cuda" and values.numel() <= _LOCKED:
        return values.pin_memory().to(target, non_blocking=True)
    return values.to(target, copy=True)


@lru_cache(maxsize=64)
def scalar(value: float, dtype: torch.dtype) -> torch.Tensor:
    """A number to multiply or divide tensors of `dtype` by, on any device. Do not write into it.

    PyTorch makes such a tensor of each Python number that it is given and converts it, which takes longer
    than an operation on a small blob.
    """
    return torch.tensor(value, dtype=dtype)


def _host_zeros(size: int) -> torch.Tensor:
    # NumPy's zeros cost nothing until written; torch.zeros touches every page at once.
    return torch.from_numpy(np.zeros(size, str(device.dtype()).removeprefix("torch.")))
