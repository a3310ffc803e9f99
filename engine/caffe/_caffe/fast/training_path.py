"""The fast path of nets that are trained: what it runs forward and backward."""

from __future__ import annotations

from functools import partial

import torch

from ...proto.caffe_pb2 import PoolingParameter
from ..blob import Blob
from ..layers.activation import ReLU
from ..layers.convolution import Convolution, Deconvolution
from ..layers.pooling import Pooling
from ..layers.shape import Crop
from ..machine.simd import LANES
from ..naming import raise_named
from ..reference import ReferencePath
from .folding import opened
from .lowering import Item, Lowering, in_place, upscales
from .operation import Operation
from .operations.training import Scratch, Trained, TrainedConvolve, TrainedDense, TrainedPool
from .operations.upscale import Upscale
from .path import FastPath
from .planes import Plane


class TrainingPath(FastPath):
    """Forward passes of nets that are trained, and the backward passes after them.

    Args:
        reference: the net.
    """

    batches = False  # weights are packed into memory that operations share

    def __init__(self, reference: ReferencePath) -> None:
        super().__init__(reference)
        #: per operation of the last forward pass, the planes of its bottoms
        self._sources: dict[Operation, list[Plane]] = {}
        self._fresh: dict[int, Plane] = {}

    def _lower(self, net: ReferencePath) -> list[Item]:
        return list(_TrainingLowering(net).items())

    def forward(self) -> float:
        self._sources.clear()
        return super().forward()

    def _ran(self, operation: Operation, bottoms: list[Plane]) -> None:
        self._sources[operation] = bottoms

    def backward(self) -> None:
        """Run all layers backward."""
        grads: dict[int, Plane] = {}
        with torch.no_grad():
            for item in reversed(self._items):
                self._backward(item, grads)

    def _backward(self, item: Item, grads: dict[int, Plane]) -> None:
        """Run an operation backward, or a layer by itself."""
        if not isinstance(item, Trained) or item not in self._sources:
            for number in reversed([item] if isinstance(item, int) else item.chain.numbers):
                self._step_backward(number, grads)
            return
        try:
            self._operate_backward(item, grads)
        except (RuntimeError, MemoryError) as error:
            raise_named(self._plan.layers[item.chain.numbers[0]].param, error)

    def _step_backward(self, number: int, grads: dict[int, Plane]) -> None:
        planned = self._plan.layers[number]
        if planned.runs_backward:
            self._steps[number].backward()
            for bottom in planned.bottoms:
                grads.pop(bottom, None)

    def _operate_backward(self, operation: Trained, grads: dict[int, Plane]) -> None:
        chain, plan = operation.chain, self._plan
        first = plan.layers[chain.numbers[0]]
        if not first.runs_backward:
            return
        (source,) = self._sources[operation]
        source = self._present(source, self._blobs[first.bottoms[0]])
        result = self._present(operation.plane, self._blobs[chain.top])
        grad = grads.get(chain.top)
        if grad is None or not self._blobs[chain.top].diff_memory.untouched:
            grad = self._fresh.setdefault(chain.top, Plane())
            grad.allocate = self._allocate
            grad.lay_out(opened(operation.plane.layout))
            grad.read(self._blobs[chain.top].grad)
        operation.backward(source, result, grad, first.propagate_down[0])
        for number in reversed(chain.numbers):
            self._steps[number].gradients_done()
        self._promise_grad(chain.top, grad)
        if first.propagate_down[0]:
            grads[first.bottoms[0]] = operation.bottom_grad
            self._promise_grad(first.bottoms[0], operation.bottom_grad)

    @staticmethod
    def _present(plane: Plane, blob: Blob) -> Plane:
        """What a blob holds: the plane of the forward pass, or all of it if users may have written there."""
        if blob.data_memory.untouched or plane.layout.dims != blob.dims:
            return plane
        read = Plane()
        read.lay_out(opened(plane.layout))
        read.read(blob.value)
        return read

    def _promise_grad(self, number: int, grad: Plane) -> None:
        blob = self._blobs[number]
        blob.diff_memory.promise(partial(_values, grad), blob.count)


class _TrainingLowering(Lowering):
    """Convolutions with a ReLU in place and poolings, whose gradients the fast path knows, and upsampling."""

    def __init__(self, net: ReferencePath) -> None:
        super().__init__(net)
        self._scratch = Scratch.fresh()

    def _fits(self, number: int) -> bool:
        planned = self._plan.layers[number]
        ends = (*planned.bottoms, *planned.tops)
        crop = type(self._layers[number]) is Crop
        return (
            len(planned.tops) == len(planned.bottoms) - crop == 1
            and not any(planned.loss_weights)
            and all(len(self._blobs[blob].dims) == 4 for blob in ends)
        )

    def _operation(self, number: int) -> Operation | Upscale | None:
        layer = self._layers[number]
        if type(layer) is Convolution:
            return self._trained_convolution(number, layer)
        if type(layer) is Deconvolution and upscales(layer):
            return Upscale(self._chain([number, *self._crop(number)]))
        if type(layer) is Pooling:
            apart = all(k <= s for k, s in zip(layer.window.kernel, layer.window.stride))
            covered = all(k >= s for k, s in zip(layer.window.kernel, layer.window.stride))
            plain = layer.layer_param.pooling_param.pool == PoolingParameter.MAX and layer.window.pad == (
                0,
                0,
            )
            return (
                TrainedPool(self._chain([number]))
                if plain and apart and covered and layer.window.ceil
                else None
            )
        return None

    def _trained_convolution(self, number: int, layer: Convolution) -> Operation | None:
        param, window = layer.layer_param.convolution_param, layer.window
        plain = layer.channel_axis == 1 and len(window.kernel) == 2 and all(window.dilation)
        if not plain or window.stride != (1, 1) or param.group != 1 or param.num_output < LANES:
            return None
        after = [n for n in self._following(number, (ReLU,)) if in_place(self._plan.layers[n])]
        chain = self._chain([number, *after])
        height, width = self._blobs[self._plan.layers[number].tops[0]].dims[2:]
        kind = TrainedDense if TrainedDense.suits_layer(layer, height * width) else TrainedConvolve
        flags = self._plan.layers[number].param_flags
        return kind(chain, [self._layers[n] for n in after], flags, self._scratch)


def _values(plane: Plane) -> torch.Tensor:
    return plane.values().view(-1)
