"""Deconvolution by one kernel a channel, as bilinear upsampling is, and only of what a crop keeps."""

from __future__ import annotations

import numpy as np
import torch

from ...blob import Blob
from ...layers.convolution import Deconvolution
from ...layers.shape import Crop
from ...machine import pixels
from ...machine.workers import in_pieces
from ..operation import Chain
from ..parameters import Packed


class Upscale:
    """A Deconvolution, and maybe the Crop after it, from blob to blob.

    A dense kernel whose channels do not mix is found by its zeros; where they mix, the layers run.
    """

    def __init__(self, chain: Chain) -> None:
        layer = chain.layer(0)
        assert isinstance(layer, Deconvolution)
        self.chain, self._layer = chain, layer
        self._weights = Packed(layer.blobs[:1], self._of_channels)

    def _of_channels(self, _: np.ndarray | None) -> np.ndarray | None:
        """(C, kh, kw), or None if channels mix."""
        weight = self._layer.blobs[0].value
        channels = len(weight)
        if weight.shape[1] == 1:
            return np.array(weight[:, 0].numpy())
        own = weight[torch.arange(channels), torch.arange(channels)]
        others = torch.count_nonzero(weight) - torch.count_nonzero(own)
        return np.array(own.numpy()) if others == 0 else None

    def ready(self, source: Blob) -> bool:
        """Whether this bottom can be upscaled; gives the tops their shapes."""
        return (
            source.count > 0 and bool(torch.isfinite(source.value).all()) and self._weights.get() is not None
        )

    def compute_blob(self, source: Blob, top: Blob) -> None:
        """Fill `top`, (N, C, H, W), in the memory that it has."""
        self.chain.reshape()
        weights, window = self._weights.get(), self._layer.window
        assert weights is not None
        batch, channels, height, width = self.chain.made(-1)
        last = self.chain.layer(-1)
        down, right = (cut.start for cut in last.cut[2:]) if isinstance(last, Crop) else (0, 0)
        shape = np.array([*window.stride, *window.pad, down, right], np.int64)
        maps = source.value.contiguous().flatten(0, 1).numpy()
        params = self._layer.blobs
        bias = params[1].value.numpy() if len(params) > 1 else np.zeros(channels, np.float32)
        values = top.value
        target = values.flatten(0, 1).numpy()

        def run(first: int, count: int) -> None:
            pixels.upscale(maps, weights, bias, target, shape, first, count)

        in_pieces(batch * channels * height, 4 * width, run)
        top.put(values)
