"""InnerProduct of one vector, by the threads of the fast path.

PyTorch's own threads go on looking for work for milliseconds after such a product, and take the processors
from the next pass meanwhile.
"""

from __future__ import annotations

import math

from ...blob import Blob
from ...layers.dense import InnerProduct
from ...machine import dense
from ...machine.simd import LANES
from ...machine.workers import Jobs, shared, workers
from ..operation import Chain


class Inner:
    """An InnerProduct from blob to blob, with the weights as they lie in memory."""

    def __init__(self, chain: Chain) -> None:
        layer = chain.layer(0)
        assert isinstance(layer, InnerProduct)
        self.chain, self._layer = chain, layer

    @staticmethod
    def suits_layer(layer: InnerProduct) -> bool:
        """Whether the weights lie row by row, and are multiplied as they are."""
        return not layer.layer_param.inner_product_param.transpose and not layer.rounds

    def ready(self, source: Blob) -> bool:
        """Whether this bottom is one vector."""
        return source.count == self._layer.features > 0

    def compute(self, source: Blob, top: Blob) -> None:
        """Fill `top`, (1, N), in the memory that it has."""
        self.chain.reshape()
        blobs, x, y = self._layer.blobs, source.value.contiguous(), top.value
        weights = blobs[0].value
        work = dense.Rows(
            weights=weights.data_ptr(),
            x=x.data_ptr(),
            bias=blobs[1].value.data_ptr() if len(blobs) > 1 else 0,
            target=y.data_ptr(),
            depth=self._layer.features,
        )
        job = shared(dense.multiply_rows, work, math.prod(y.shape), self._layer.features, 4 * LANES)
        workers.do(Jobs([job]))
        top.put(y)
