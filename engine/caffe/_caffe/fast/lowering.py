"""From a net's plan to what the fast path runs: operations, and the layers that stay as they are."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from ...proto.caffe_pb2 import EltwiseParameter, PoolingParameter
from ..graph.plan import LayerPlan
from ..layer import Layer
from ..layers.activation import ReLU, Softmax
from ..layers.affine import Scale
from ..layers.arithmetic import Eltwise
from ..layers.convolution import Convolution, Deconvolution
from ..layers.dense import InnerProduct
from ..layers.noise import Dropout
from ..layers.normalization import LRN, BatchNorm
from ..layers.pooling import Pooling
from ..layers.routing import Concat
from ..layers.shape import Crop
from ..machine.simd import LANES
from ..reference import ReferencePath
from .convolution import algorithms, rounded
from .operation import Chain, Operation
from .operations.convolve import Convolve, ConvolveEach, window_of
from .operations.dense import Dense
from .operations.inner import Inner
from .operations.light import Adjust, Join, Normalize, Pool, Probabilities, Sum
from .operations.upscale import Upscale

_TEST = 1
Item = Operation | Upscale | int  #: an operation, or the number of a layer


def lower(net: ReferencePath) -> list[Item]:
    """What to run, in order."""
    return list(Lowering(net).items())


def join(net: ReferencePath, items: Sequence[Item]) -> None:
    """Have what a Concat alone reads made where the Concat's top lies.

    Convolutions know how many channels they make; where all bottoms are of such, none needs to be copied.
    """
    makers = {item.chain.top: item for item in items if isinstance(item, Convolve)}
    readers = Counter(bottom for planned in net.plan.layers for bottom in planned.bottoms)
    for item in items:
        if not isinstance(item, Join):
            continue
        found = [makers.get(bottom) for bottom in item.chain.bottoms]
        whole = [maker for maker in found if maker is not None and maker.outputs % LANES == 0]
        alone = all(readers[maker.chain.top] - maker.chain.rereads == 1 for maker in whole)
        if len(whole) == len(found) and alone:
            item.take_in(whole, [maker.outputs for maker in whole])


class Lowering:
    """Goes through a plan once.

    Args:
        net: what the items are for; it is not kept by them.
    """

    def __init__(self, net: ReferencePath) -> None:
        self._net, self._plan, self._layers, self._blobs = net, net.plan, net.layers, net.blobs
        self._taken: set[int] = set()

    def items(self) -> Iterator[Item]:
        """One for each layer that no operation before it has taken in."""
        for number in range(len(self._layers)):
            if number in self._taken:
                continue
            operation = self._operation(number) if self._fits(number) else self._of_vector(number)
            yield number if operation is None else operation

    def _of_vector(self, number: int) -> Operation | None:
        """The end of a classifier: inner products of a vector, and their Softmax."""
        layer, planned = self._layers[number], self._plan.layers[number]
        if any(planned.loss_weights) or in_place(planned) or self._plan.phase != _TEST:
            return None
        if type(layer) is InnerProduct and Inner.suits_layer(layer):
            return Inner(self._chain([number]))
        return Probabilities(self._chain([number])) if _of_channels(layer) else None

    def _fits(self, number: int) -> bool:
        """Whether a layer may be part of an operation: ordinary, on maps, keeping nothing for backward."""
        planned, layer = self._plan.layers[number], self._layers[number]
        in_place = bool(set(planned.tops) & set(planned.bottoms))
        keeps = (
            bool(layer.saves)
            and not isinstance(layer, (Pooling, Eltwise))
            and (in_place or isinstance(layer, BatchNorm))
        )
        return (
            len(planned.tops) == 1
            and not any(planned.loss_weights)
            and not (keeps and planned.runs_backward)
            and all(len(self._blobs[blob].dims) == 4 for blob in (*planned.bottoms, *planned.tops))
        )

    def _operation(self, number: int) -> Operation | Upscale | None:
        layer, planned = self._layers[number], self._plan.layers[number]
        kind = type(layer)
        if kind is Convolution and len(planned.bottoms) == 1:
            return self._convolution(number)
        if kind is Deconvolution and len(planned.bottoms) == 1 and upscales(layer):
            return Upscale(self._chain([number, *self._crop(number)]))
        if kind is Pooling and layer.layer_param.pooling_param.pool != PoolingParameter.STOCHASTIC:
            return Pool(self._chain([number]))
        if kind is Eltwise and layer.operation == EltwiseParameter.SUM and not in_place(planned):  # type: ignore[attr-defined]
            after = self._following(number, (ReLU,))
            return Sum(self._chain([number, *after]), self._layers[after[0]].slope if after else 1.0)  # type: ignore[attr-defined]
        if kind is LRN and layer.across and layer.beta == 0.75 and not in_place(planned):  # type: ignore[attr-defined]
            return Normalize(self._chain([number]))
        if _of_channels(layer) and not in_place(planned):
            return Probabilities(self._chain([number]))
        if kind is Concat and self._joins_channels(number):
            return Join(self._chain([number]))
        if self._adjusts(number):
            numbers = [number, *self._epilogue(number)] if kind is not ReLU else [number]
            return Adjust(
                self._chain(numbers),
                [self._layers[n] for n in numbers],
                self._blobs[planned.bottoms[0]].dims[1],
            )
        return None

    def _convolution(self, number: int) -> Operation | None:
        layer = self._layers[number]
        assert isinstance(layer, Convolution)
        if layer.channel_axis != 1 or len(layer.window.kernel) != 2 or not all(layer.window.dilation):
            return None
        group, outputs = (
            layer.layer_param.convolution_param.group,
            layer.layer_param.convolution_param.num_output,
        )
        numbers = [number, *self._epilogue(number)]
        epilogue = [self._layers[n] for n in numbers[1:]]
        if group > 1 and group == layer.channels == outputs:
            return ConvolveEach(self._chain(numbers), epilogue)
        if group > 1 and ((layer.channels // group) % LANES or (outputs // group) % LANES):
            return None
        lanes = (
            rounded(layer.channels, LANES)
            if group == 1 and layer.channels >= LANES
            else layer.channels // group
        )
        tiled = bool(algorithms(window_of(layer), lanes, pooled=True))
        height, width = self._blobs[self._plan.layers[number].tops[0]].dims[2:]
        plain = group == 1 and all(isinstance(each, (ReLU, Dropout)) for each in epilogue)
        taps = layer.window.kernel[0] * layer.window.kernel[1]
        if plain and taps > 1 and not tiled and Dense.suits_layer(layer, height * width):
            return Dense(self._chain(numbers), epilogue)
        pooling = self._pooling(numbers[-1]) if tiled else []
        direct = algorithms(window_of(layer), rounded(lanes, LANES), pooled=False) == [None]
        total = self._sum(numbers) if direct else None
        if total is not None:
            after, other = total
            epilogue += [self._layers[n] for n in after[1:]]
            return Convolve(self._chain([*numbers, *after], [other]), epilogue, False)
        return Convolve(self._chain([*numbers, *pooling]), epilogue, bool(pooling))

    def _chain(self, numbers: Sequence[int], beside: Sequence[int] = ()) -> Chain:
        self._taken.update(numbers)
        return Chain(self._net, numbers, beside)

    def _sum(self, numbers: Sequence[int]) -> tuple[list[int], int] | None:
        """The Eltwise that adds what these layers make to a blob that is there before them, and that blob.

        After the Eltwise maybe a ReLU.
        """
        if any(type(self._layers[n]) is ReLU for n in numbers):
            return None
        reader, made = self._reader(numbers[-1]), self._plan.layers[numbers[-1]].tops[0]
        if reader is None or not self._fits(reader) or not self._adds(reader):
            return None
        (other,) = (bottom for bottom in self._plan.layers[reader].bottoms if bottom != made)
        writers = (n for n in range(reader) if other in self._plan.layers[n].tops)
        if max(writers) > numbers[0]:
            return None
        return [reader, *self._following(reader, (ReLU,))], other

    def _adds(self, number: int) -> bool:
        """Whether a layer is the plain sum of two blobs."""
        layer, planned = self._layers[number], self._plan.layers[number]
        return (
            type(layer) is Eltwise
            and layer.operation == EltwiseParameter.SUM
            and layer.coeffs == [1, 1]
            and not in_place(planned)
            and len(set(planned.bottoms)) == 2
        )

    def _reader(self, number: int) -> int | None:
        """The layer that reads what layer `number` makes."""
        made = self._plan.layers[number].tops[0]
        for later in range(number + 1, len(self._layers)):
            if made in self._plan.layers[later].bottoms:
                return later
        return None

    def _following(self, number: int, kinds: tuple[type[Layer], ...]) -> list[int]:
        """The reader of what layer `number` makes, if it is of these kinds and reads nothing else."""
        reader = self._reader(number)
        if reader is None or type(self._layers[reader]) not in kinds or not self._fits(reader):
            return []
        alone = len(self._plan.layers[reader].bottoms) == 1
        return (
            [reader]
            if alone and (type(self._layers[reader]) is not Dropout or self._layers[reader].phase == 1)
            else []
        )

    def _epilogue(self, number: int) -> list[int]:
        """The layers after layer `number` that work on each value alone: BatchNorm, Scale; ReLU; Dropout."""
        found: list[int] = []
        while after := self._following(([number, *found])[-1], (BatchNorm, Scale)):
            if not self._adjusts(after[0]):
                break
            found += after
        found += self._following(([number, *found])[-1], (ReLU,))
        while after := self._following(([number, *found])[-1], (Dropout,)):
            found += after
        return found

    def _adjusts(self, number: int) -> bool:
        """Whether a layer does the same to all values of a channel."""
        layer, planned = self._layers[number], self._plan.layers[number]
        if len(planned.bottoms) != 1 or not self._fits(number):
            return False
        if type(layer) is Scale:
            return layer.span == (1, 2)
        return type(layer) is ReLU or (type(layer) is BatchNorm and layer.use_global)

    def _pooling(self, number: int) -> list[int]:
        """The reader of what layer `number` makes, if it takes the maximum of each 2 x 2."""
        found = self._following(number, (Pooling,))
        if not found:
            return []
        window = self._layers[found[0]].window  # type: ignore[attr-defined]
        param = self._layers[found[0]].layer_param.pooling_param
        plain = (window.kernel, window.stride, window.pad) == (
            (2, 2),
            (2, 2),
            (0, 0),
        ) and not param.global_pooling
        return found if plain and window.ceil and param.pool == PoolingParameter.MAX else []

    def _crop(self, number: int) -> list[int]:
        """The reader of what layer `number` makes, if it cuts rows and columns of it."""
        reader = self._reader(number)
        if reader is None or type(self._layers[reader]) is not Crop or not self._fits(reader):
            return []
        made, planned = self._plan.layers[number].tops[0], self._plan.layers[reader]
        crop = self._layers[reader].layer_param.crop_param
        return [reader] if planned.bottoms[0] == made and crop.axis in (2, -2) else []

    def _joins_channels(self, number: int) -> bool:
        planned, param = self._plan.layers[number], self._layers[number].layer_param.concat_param
        axis = param.concat_dim if param.HasField("concat_dim") else param.axis
        return len(planned.bottoms) > 1 and axis in (1, -3)


def upscales(layer: Layer) -> bool:
    """Whether a Deconvolution makes as many maps as it reads, and may do so map by map."""
    assert isinstance(layer, Deconvolution)
    param, window = layer.layer_param.convolution_param, layer.window
    alike = layer.channels == param.num_output and param.group in (1, layer.channels)
    return alike and layer.channel_axis == 1 and len(window.kernel) == 2 and window.dilation == (1, 1)


def _of_channels(layer: Layer) -> bool:
    """Whether it is a Softmax over channels, however many axes there are."""
    return type(layer) is Softmax and layer.layer_param.softmax_param.axis == 1


def in_place(planned: LayerPlan) -> bool:
    """Whether a layer writes over what it reads."""
    return bool(set(planned.tops) & set(planned.bottoms))
