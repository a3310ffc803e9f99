"""Blob: an N-d array with a value and a gradient, seen by pycaffe as NumPy and by layers as tensors."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import NoReturn, SupportsIndex, TypeVar, overload

import numpy as np
import torch

from . import device, markup
from .errors import BlobError
from .memory import HOST, Memory

Item = TypeVar("Item")

MAX_AXES = 32
MAX_COUNT = 2**31 - 1


class _Vector(list[Item]):
    """A list under the name Boost.Python gave its vectors; as there, equal to nothing but itself."""

    __hash__ = object.__hash__  # type: ignore[assignment]

    def __eq__(self, other: object) -> bool:
        return self is other

    def __ne__(self, other: object) -> bool:
        return self is not other

    @overload
    def __getitem__(self, index: SupportsIndex) -> Item: ...
    @overload
    def __getitem__(self, index: slice) -> list[Item]: ...
    def __getitem__(self, index: SupportsIndex | slice) -> Item | list[Item]:
        if isinstance(index, slice):
            return type(self)(super().__getitem__(index))
        return super().__getitem__(index)


class IntVec(_Vector[int]):
    """A blob's shape, or blob ids."""


class DtypeVec(_Vector[float]):
    """Numbers, one per blob."""


class StringVec(_Vector[str]):
    """Names."""


class BoolVec(_Vector[bool]):
    """Flags."""


class LayerVec(_Vector[Item]):
    """Layers in the order they run."""


class NetVec(_Vector[Item]):
    """Test nets."""


class RawBlobVec(_Vector["Blob"]):
    """What a Python layer is given as `bottom` and `top`."""


class BlobVec(_Vector["Blob"]):
    """A layer's parameters."""

    def add_blob(self, *dims: int, **kwargs: object) -> None:
        """Append a zero-filled blob of the given shape."""
        if kwargs:
            raise RuntimeError("BlobVec.add_blob takes no kwargs")
        self.append(make_blob(check_dims(dims)))


def check_dims(dims: Sequence[int]) -> tuple[int, ...]:
    """The shape as a tuple of ints.

    Raises:
        TypeError: a dim is not an integer.
        BlobError: a negative dim, too many axes, or more numbers than a signed 32-bit count holds.
    """
    for dim in dims:
        if not isinstance(dim, (int, np.integer)):
            raise TypeError(f"a blob's dims are ints, not {type(dim).__name__}: {tuple(dims)}")
    shape = tuple(int(dim) for dim in dims)
    if len(shape) > MAX_AXES:
        raise BlobError(f"a blob has at most {MAX_AXES} axes, not {len(shape)}: {shape}")
    if any(dim < 0 for dim in shape):
        raise BlobError(f"a blob's dims are not negative: {shape}")
    if math.prod(shape) > MAX_COUNT:
        raise BlobError(f"blob size exceeds INT_MAX: shape {shape} has {math.prod(shape)} values")
    return shape


class Layout:
    """Shapes and memory of the blobs of one net; `version` grows whenever one of them changes."""

    __slots__ = ("version",)

    def __init__(self) -> None:
        self.version = 0


def make_blob(dims: Iterable[int] | None = None, layout: Layout | None = None) -> Blob:
    """A new blob: unshaped (no axes and count 0), or zero-filled of the given shape.

    Args:
        layout: of the net that it is part of.
    """
    blob = Blob.__new__(Blob)
    blob.layout = layout or Layout()
    blob._dims = None
    blob._count = 0
    blob._data, blob._diff = Memory(), Memory()
    if dims is not None:
        blob.resize(dims)
    return blob


class Blob:
    """An array of 0 to 32 axes with `data` and `diff` of the same shape (Caffe's Blob).

    Users see NumPy views that share the blob's memory; layers use the torch side (`value`, `put`,
    `grad`, `put_grad`, `add_grad`). Cannot be constructed from Python, as in pycaffe.
    """

    __slots__ = ("__weakref__", "_count", "_data", "_diff", "_dims", "layout")

    _dims: tuple[int, ...] | None
    _count: int
    _data: Memory
    _diff: Memory
    layout: Layout  #: that it tells of its changes

    def __init__(self, *args: object) -> None:
        raise RuntimeError("This class cannot be instantiated from Python: a net makes its blobs")

    # ---- pycaffe ----------------------------------------------------------------------------

    @property
    def data(self) -> np.ndarray:
        """The values: an array of the blob's shape over the blob's memory."""
        return self._array(self._data)

    @data.setter
    def data(self, value: object) -> NoReturn:
        raise AttributeError("a blob's data cannot be assigned: write into them, blob.data[...] = value")

    @property
    def diff(self) -> np.ndarray:
        """The gradient: an array of the blob's shape over the blob's memory."""
        return self._array(self._diff)

    @diff.setter
    def diff(self, value: object) -> NoReturn:
        raise AttributeError("a blob's diff cannot be assigned: write into it, blob.diff[...] = value")

    def _array(self, memory: Memory) -> np.ndarray:
        if self._dims is None:
            self._refuse_shapeless()
        return memory.array()[: self._count].reshape(self._dims)

    @property
    def shape(self) -> IntVec:
        """The dims as a list."""
        return IntVec(self.dims)

    @shape.setter
    def shape(self, value: object) -> NoReturn:
        raise AttributeError("a blob's shape cannot be assigned: call blob.reshape(*dims)")

    @property
    def count(self) -> int:
        """The number of values."""
        return self._count

    @property
    def num(self) -> int:
        """Dim 0 (1 if there is none)."""
        return self._legacy(0)

    @property
    def channels(self) -> int:
        """Dim 1 (1 if there is none)."""
        return self._legacy(1)

    @property
    def height(self) -> int:
        """Dim 2 (1 if there is none)."""
        return self._legacy(2)

    @property
    def width(self) -> int:
        """Dim 3 (1 if there is none)."""
        return self._legacy(3)

    def _legacy(self, axis: int) -> int:
        if len(self.dims) > 4:
            raise BlobError(
                f"num/channels/height/width are for blobs of at most 4 axes, not {self.dims}: use .shape"
            )
        return self.dims[axis] if axis < len(self.dims) else 1

    def reshape(self, *dims: int, **kwargs: object) -> None:
        """Change the shape; other layers follow at the next forward or `net.reshape()`."""
        if kwargs:
            raise RuntimeError("Blob.reshape takes no kwargs")
        self.resize(check_dims(dims))

    def _repr_html_(self) -> str:
        """What a notebook shows: the shape, and the range of what there is. Nothing is computed for it."""
        rows = [(name, *_range(memory, self._count)) for name, memory in self._memories()]
        return markup.table(f"Blob {self.dims}", ("", "min", "mean", "max"), rows)

    def _memories(self) -> tuple[tuple[str, Memory], ...]:
        return ("data", self._data), ("diff", self._diff)

    @property
    def data_memory(self) -> Memory:
        """Where the data are; blobs that share them have the same one."""
        return self._data

    @property
    def diff_memory(self) -> Memory:
        """Where the diff is; blobs that share it have the same one."""
        return self._diff

    # ---- for layers -------------------------------------------------------------------------

    @property
    def dims(self) -> tuple[int, ...]:
        """The shape as a tuple."""
        return self._dims or ()

    def axis(self, index: int) -> int:
        """`index` as a non-negative axis ("canonical axis").

        Raises:
            BlobError: there is no such axis.
        """
        axes = len(self.dims)
        if not -axes <= index < axes:
            raise BlobError(f"axis {index} out of range for a {axes}-axis blob of shape {self.dims}")
        return index + axes if index < 0 else index

    def resize(self, dims: Iterable[int]) -> None:
        """Caffe's Reshape: memory is renewed (zeros) only when it must grow.

        Renewed means a new Memory: whoever shared the old one keeps it.
        """
        shape = tuple(dims)
        if shape == self._dims:
            return
        shape = check_dims(shape)
        count = math.prod(shape)
        if count > self._data.size:
            self._data = Memory(count)
        if count > self._diff.size:
            self._diff = Memory(count)
        self._dims, self._count = shape, count
        self.layout.version += 1

    @staticmethod
    def _refuse_shapeless() -> NoReturn:
        raise BlobError("this blob has no shape yet: reshape it (an Input layer without `shape`?)")

    @property
    def value(self) -> torch.Tensor:
        """The data on the current device, in the blob's shape. Do not write into it."""
        view = self._data.views.get(self._dims)
        if view is not None and device.current() is HOST:
            return view
        if self._dims is None:
            self._refuse_shapeless()
        return self._data.view(self._dims)

    def value_as(self, dims: tuple[int, ...]) -> torch.Tensor:
        """The data like `value`, in another shape of as many values."""
        return self._data.view(dims)

    def grad_as(self, dims: tuple[int, ...]) -> torch.Tensor:
        """The diff like `grad`, in another shape of as many values."""
        return self._diff.view(dims)

    def turned_value(self, dims: tuple[int, int]) -> torch.Tensor:
        """The data as a matrix of the shape `dims`, transposed."""
        return self._data.turned(dims)

    def turned_grad(self, dims: tuple[int, int]) -> torch.Tensor:
        """The diff as a matrix of the shape `dims`, transposed."""
        return self._diff.turned(dims)

    def taken(self) -> torch.Tensor:
        """The data, for a layer that replaces them in place and still needs them: `put` leaves them alone."""
        kept = self.value
        return kept.clone() if self._data.exported or self._data.stays else kept

    def put(self, tensor: torch.Tensor) -> None:
        """data := `tensor`, taking it over. It must hold as many values as the blob.

        A tensor that is a view of other storage is copied, so that no two blobs ever share memory
        by accident; the blob's own memory is left as it is.
        """
        if tensor is not self._data.views.get(self._dims):
            self._put(self._data, tensor)

    def bring(self, tensor: torch.Tensor) -> None:
        """`put` a tensor that is on the host, whatever the device, and that nobody else holds."""
        if tensor.numel() != self._count:
            raise BlobError(f"{tuple(tensor.shape)} does not fit a blob of shape {self.dims}")
        self._data.bring(tensor.reshape(-1))

    @property
    def grad(self) -> torch.Tensor:
        """The diff on the current device, in the blob's shape. Do not write into it."""
        view = self._diff.views.get(self._dims)
        if view is not None and device.current() is HOST:
            return view
        if self._dims is None:
            self._refuse_shapeless()
        return self._diff.view(self._dims)

    def put_grad(self, tensor: torch.Tensor) -> None:
        """diff := `tensor`, on the terms of `put`."""
        if tensor is not self._diff.views.get(self._dims):
            self._put(self._diff, tensor)

    def _put(self, memory: Memory, tensor: torch.Tensor) -> None:
        if tensor.numel() != self._count:
            raise BlobError(f"{tuple(tensor.shape)} does not fit a blob of shape {self.dims}")
        if memory.holds(tensor):
            memory.touched()
            return
        # Before detach(), which forgets that a tensor is a view.
        borrowed = tensor._is_view() or not tensor.is_contiguous()
        if tensor.requires_grad:
            tensor = tensor.detach()
        if borrowed:
            tensor = tensor.clone(memory_format=torch.contiguous_format)
        memory.adopt(tensor.view(-1))

    def blank_grad(self) -> torch.Tensor | None:
        """Where the next `add_grad` may be computed in place: the memory of a diff that is zero.

        Whoever asks writes all of it. None if there is something to add to, or no memory yet.
        """
        return None if self._dims is None else self._diff.blank(self._dims)

    def add_grad(self, tensor: torch.Tensor) -> None:
        """diff += `tensor` (parameter gradients accumulate), which may be what `blank_grad` returned."""
        if tensor is self._diff.views.get(self._dims):
            return
        if self._diff.zeroed or self._diff.holds(tensor):
            self.put_grad(tensor)
            return
        self.grad.add_(tensor.reshape(self.dims))
        self._diff.touched()

    def zero_grad(self, keep: bool = False) -> None:
        """diff := 0. keep: its memory stays, for the gradient of the next step."""
        self._diff.zero(keep)

    def update(self) -> None:
        """data -= diff, the last step of a solver's iteration."""
        self.value.sub_(self.grad)
        self._data.touched()

    def share_data(self, other: Blob) -> None:
        """Use `other`'s data memory; counts must agree, shapes may differ."""
        self._check_count(other)
        if self._data is not other._data:
            self._data = other._data
            self.layout.version += 1

    def share_diff(self, other: Blob) -> None:
        """Use `other`'s diff memory; counts must agree, shapes may differ."""
        self._check_count(other)
        if self._diff is not other._diff:
            self._diff = other._diff
            self.layout.version += 1

    def _check_count(self, other: Blob) -> None:
        if self._count != other._count:
            raise BlobError(f"blobs of shape {self.dims} and {other.dims} cannot share memory: counts differ")


def _range(memory: Memory, count: int) -> tuple[str, str, str]:
    """min, mean and max of the first `count` numbers, or why there are none."""
    values = memory.peek()
    if memory.promised:
        return "computed when it is read", "", ""
    if values is None:
        return "0", "0", "0"
    if not count:
        return "", "", ""
    values = values[:count]
    low, high = values.aminmax()
    return f"{low:.4g}", f"{values.mean():.4g}", f"{high:.4g}"
