"""InnerProduct of one vector, by the threads of the fast path.

PyTorch's own threads go on looking for work for milliseconds after such a product, and take the processors
from the next pass meanwhile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from ...blob import Blob
from ...layers.dense import InnerProduct
from ...machine import dense
from ...machine.simd import LANES
from ...machine.workers import Job, Jobs, shared, workers
from ..convolution import rounded
from ..operation import Chain, Operation
from ..planes import Plane, PlaneLayout, whole


class Inner(Operation):
    """An InnerProduct, weights as they lie in memory: of a plane of one pixel, or from blob to blob."""

    light = True

    def __init__(self, chain: Chain) -> None:
        super().__init__(chain)
        layer = chain.layers[0]
        assert isinstance(layer, InnerProduct)
        self._layer = layer

    @staticmethod
    def suits_layer(layer: InnerProduct) -> bool:
        """Whether the weights lie row by row, and are multiplied as they are."""
        param = layer.layer_param.inner_product_param
        return param.axis == 1 and not param.transpose and not layer.rounds

    def suits(self, layouts: Sequence[PlaneLayout]) -> bool:
        return layouts[0].dims == (1, self._layer.features, 1, 1)

    @property
    def made(self) -> tuple[int, ...]:
        return (*self.chain.made(-1), 1, 1)

    def lay_out(self, layouts: Sequence[PlaneLayout]) -> None:
        outputs = self.chain.made(-1)[1]
        self.plane.lay_out(whole(1, outputs, 1, 1, rounded(outputs, LANES)))

    def jobs(self, planes: Sequence[Plane]) -> list[Job]:
        return [self._job(planes[0].pixel, self.plane.pixel)]

    def ready(self, source: Blob) -> bool:
        """Whether this bottom is one vector."""
        return source.count == self._layer.features > 0

    def compute_blob(self, source: Blob, top: Blob) -> None:
        """Fill `top`, (1, N), in the memory that it has."""
        self.chain.reshape()
        x, y = source.value.contiguous(), top.value
        workers.do(Jobs([self._job(x.data_ptr(), y.data_ptr())]))
        top.put(y)

    def _job(self, source: int, target: int) -> Job:
        """From the vector at one address to that at another."""
        weights, *bias = (blob.value.data_ptr() for blob in self._layer.blobs)
        features = self._layer.features
        work = dense.Rows(weights, source, bias[0] if bias else 0, target, features)
        return shared(dense.multiply_rows, work, math.prod(self.chain.made(-1)), features, 4 * LANES)
