"""The contract of a layer, for the built-in types and for users' Python layers alike."""

from __future__ import annotations

import builtins
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, NoReturn, Protocol, TypeVar, runtime_checkable

from ..proto.caffe_pb2 import LayerParameter, ParamSpec
from . import rounding
from .blob import Blob, BlobVec, make_blob
from .errors import LayerError
from .filler import fill
from .formats import fork_settings

if TYPE_CHECKING:
    import numpy as np

    from ..proto.caffe_pb2 import FillerParameter

S = TypeVar("S")
Call = Callable[[], object]


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
    before every forward (with a built-in layer, where a shape has changed since the last);
    `forward(bottom, top)`; `backward(top, propagate_down, bottom)`. Before setup it has `param_str` (str),
    `phase` (0 TRAIN, 1 TEST) and, if its type was registered, `fork_params`: what the prototxt says of it
    that Caffe's schema does not know, as a dictionary. Its parameters are in `blobs`
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
    #: The parameter messages that it reads; None: not known, maybe any.
    reads: ClassVar[tuple[str, ...] | None] = None
    #: The fields of these (`message.field`) that are accepted and change nothing.
    without_effect: ClassVar[tuple[str, ...]] = ()
    #: The bottoms that are labels, not values to compute with.
    label_bottoms: ClassVar[tuple[int, ...]] = ()
    #: Whether it reads its tops from outside: files, databases, a user's program.
    brings_data: ClassVar[bool] = False
    #: Whether its tops are inputs of the net, filled from outside.
    is_input: ClassVar[bool] = False
    #: Whether its top is the memory of its parameter, and so no memory of its own.
    tops_are_params: ClassVar[bool] = False
    #: Whether reshape looks at what the bottoms hold, not only at shapes.
    reshape_reads_values: ClassVar[bool] = False
    #: Whether a forward depends on the one before it.
    carries_state: ClassVar[bool] = False
    #: What is said of parameters that the prototxt gives no `param` for.
    param_specs: ClassVar[tuple[ParamSpec, ...]] = ()
    #: Whether blobs in the prototxt need only have the right count, as the 1x1xNxK of old files.
    any_shape: ClassVar[bool] = False

    #: What forward leaves in `saved`, in words; empty where the blobs hold all that backward asks for.
    saves: ClassVar[str] = ""
    #: What the last forward left for backward; see `recall`.
    saved: Any = None

    layer_param: LayerParameter
    phase: int
    param_str: str
    #: `param_str`, as the first pycaffe with Python layers that have settings called it.
    param_str_: str
    fork_params: dict[str, Any]
    blobs: BlobVec
    #: Whether forward draws random numbers; set by the layer in setup.
    draws_random: bool = False
    #: Which parameters want a diff; set by the net.
    param_flags: list[bool]
    #: Whether a backward follows each forward; set by the path that runs the layer. Without it a layer may
    #: leave `saved` empty, and backward, called all the same, finds again what the bottoms still tell.
    wants_gradient: bool = True

    #: Whether the forward that runs repeats an earlier one: nothing but tops and `saved` may change.
    again: bool = False
    #: Whether it makes scores, which are computed in float32 in any precision; set by the path that runs it.
    scores: bool = False

    def __init__(self, layer_param: LayerParameter) -> None:
        if not isinstance(layer_param, LayerParameter):
            raise TypeError(f"a layer is made of a LayerParameter, not of {type(layer_param).__name__}")
        self.layer_param = layer_param
        self.phase = layer_param.phase
        self.param_str = layer_param.python_param.param_str
        self.param_str_ = self.param_str
        self.fork_params = fork_settings.read(layer_param)
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

    def forward_calls(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> Sequence[Call] | None:
        """`forward` as calls that hold their arguments, for as long as shapes and memory stay as they are.

        They do what `forward` does, in place; None where nothing is saved by them.
        """
        return None

    def backward_calls(
        self, top: Sequence[Blob], propagate_down: Sequence[bool], bottom: Sequence[Blob]
    ) -> Sequence[Call] | None:
        """The same of `backward`, for diffs of parameters that are zero: they are written, not added to."""
        return None

    def close(self) -> None:
        """Let go of threads and files; what the layer made stays. Called by `Net.close`, maybe again."""

    @property
    def rounds(self) -> bool:
        """Whether its products are made of rounded factors now (see `rounding`)."""
        return not self.scores and rounding.rounds()

    def recall(self, kind: builtins.type[S]) -> S:
        """What the last forward left in `saved` for this backward.

        Args:
            kind: its class.

        Raises:
            LayerError: no forward has run, or one that was told that no backward would follow.
        """
        if not isinstance(self.saved, kind):
            mend = "call forward first" if self.wants_gradient else "set force_backward: true in the net"
            self.fail(f"backward needs what forward keeps for it ({self.saves}), which is not there: {mend}")
        return self.saved

    def multiply_adds(self, bottom: Sequence[Blob], top: Sequence[Blob]) -> int:
        """Multiplications with a weight in one forward, at the blobs' present shapes."""
        return 0

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
