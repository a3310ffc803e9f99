"""The contract of a layer, for the built-in types and for users' Python layers alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, NamedTuple, NoReturn, Protocol, runtime_checkable

from ..proto.caffe_pb2 import LayerParameter, ParamSpec
from .blob import Blob, BlobVec, make_blob
from .errors import LayerError
from .filler import fill

if TYPE_CHECKING:
    import numpy as np

    from ..proto.caffe_pb2 import FillerParameter


class Arity(NamedTuple):
    """How many blobs a layer takes or makes; `most` None is no limit, and defaults to `least`."""

    least: int
    most: int | None = -1

    def allows(self, count: int) -> bool:
        """Whether `count` blobs are right."""
        if self.most is None:
            return count >= self.least
        return self.least <= count <= (self.least if self.most == -1 else self.most)

    def __str__(self) -> str:
        if self.most is None:
            return f"at least {self.least}"
        return str(self.least) if self.most in (-1, self.least) else f"{self.least} to {self.most}"


class Layer:
    """Base of every layer (``caffe.Layer``).

    A Python layer defines `setup(bottom, top)`, run once; `reshape(bottom, top)`, run after setup and
    before every forward; `forward(bottom, top)`; `backward(top, propagate_down, bottom)`. Before setup
    it has `param_str` (str) and `phase` (0 TRAIN, 1 TEST); its parameters are in `blobs`
    (`self.blobs.add_blob(*shape)`). Bottom diffs are overwritten, parameter diffs accumulate.

    Built-in layers add class attributes: `bottoms` and `tops` (`Arity`), `same_tops` (as many tops as
    bottoms), `auto_top` (missing tops are made), `is_loss`.
    """

    type: ClassVar[str] = "Python"
    bottoms: ClassVar[Arity] = Arity(0, None)
    tops: ClassVar[Arity] = Arity(0, None)
    same_tops: ClassVar[bool] = False
    auto_top: ClassVar[bool] = False
    is_loss: ClassVar[bool] = False
    #: What is said of parameters that the prototxt gives no `param` for.
    param_specs: ClassVar[tuple[ParamSpec, ...]] = ()
    #: Whether blobs in the prototxt need only have the right count, as the 1x1xNxK of old files.
    any_shape: ClassVar[bool] = False

    layer_param: LayerParameter
    phase: int
    param_str: str
    blobs: BlobVec
    #: Whether forward draws random numbers; set by the layer in setup.
    draws_random: bool = False
    #: Which parameters want a diff; set by the net.
    param_flags: list[bool]
    #: Whether the net will call backward; set by the net.
    wants_gradient: bool = True

    def __init__(self, layer_param: LayerParameter) -> None:
        if not isinstance(layer_param, LayerParameter):
            raise TypeError(f"a layer is made of a LayerParameter, not of {type(layer_param).__name__}")
        self.layer_param = layer_param
        self.phase = layer_param.phase
        self.param_str = layer_param.python_param.param_str
        self.blobs = BlobVec()
        self.param_flags = []

    def setup(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """One-time set-up: read the parameters, make the blobs."""

    def reshape(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Give the tops their shapes for the bottoms' present shapes."""

    def forward(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> None:
        """Compute the tops' data from the bottoms'."""

    def backward(self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]) -> None:
        """Compute the bottoms' diffs, where `propagate_down` says so, and add to the parameters'."""

    def close(self) -> None:
        """Let go of threads and files; what the layer made stays. Called by `Net.close`, maybe again."""

    def allow_force_backward(self, index: int) -> bool:
        """Whether `force_backward` may ask this layer for the gradient of bottom `index`."""
        return not (self.is_loss and index == 1)

    def check(self, condition: object, message: str) -> None:
        """Raise `LayerError` naming this layer unless `condition` holds."""
        if not condition:
            self.fail(message)

    def fail(self, message: str) -> NoReturn:
        """Raise `LayerError` naming this layer."""
        raise LayerError(f"layer '{self.layer_param.name}' ({self.type}): {message}")

    def fill_param(self, index: int, dims: Sequence[int], filler: FillerParameter | None) -> None:
        """Make parameter `index` of shape `dims`, filled; kept as it is if the prototxt brought it.

        Raises:
            LayerError: the prototxt's blob has another shape (or count, if `any_shape`).
        """
        if index < len(self.blobs):
            found, wanted = self.blobs[index].dims, tuple(dims)
            fits = math.prod(found) == math.prod(wanted) if self.any_shape else found == wanted
            self.check(fits, f"param {index} in the prototxt is {found}, expected {wanted}")
            return
        blob = make_blob(dims)
        if filler is not None:
            fill(blob, filler, f"layer '{self.layer_param.name}' ({self.type}), param {index}")
        self.blobs.append(blob)


@runtime_checkable
class TakesArrays(Protocol):
    """What a layer has whose batches come from arrays (`net.set_input_arrays`)."""

    def set_arrays(self, data: np.ndarray, labels: np.ndarray) -> None:
        """Take batches from these arrays from now on."""
