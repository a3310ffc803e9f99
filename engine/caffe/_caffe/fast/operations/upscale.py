"""Deconvolution by one kernel a channel, as bilinear upsampling is, and only of what a crop keeps."""

from __future__ import annotations

import torch

from ...blob import Blob
from ...layers.convolution import Deconvolution
from ...layers.shape import Crop
from ...machine import pixels
from ...machine.simd import LANES
from ...machine.workers import Jobs, shared, workers
from ..operation import Chain
from ..parameters import Packed


class Upscale:
    """A Deconvolution, and maybe the Crop after it, from blob to blob.

    A dense kernel whose channels do not mix is found by its zeros; where they mix, the layers run.
    """

    def __init__(self, chain: Chain) -> None:
        layer = chain.layers[0]
        assert isinstance(layer, Deconvolution)
        self.chain, self._layer = chain, layer
        self._weights: Packed[torch.Tensor | None] = Packed(layer.blobs[:1])

    def _of_channels(self, _: torch.Tensor | None) -> torch.Tensor | None:
        """(C, kh, kw), filled up with zeros to whole vectors, or None if channels mix."""
        weight = self._layer.blobs[0].value
        channels = torch.arange(len(weight))
        own = weight[channels, 0 if weight.shape[1] == 1 else channels]
        mixing = weight.shape[1] > 1 and torch.count_nonzero(weight) > torch.count_nonzero(own)
        return None if mixing else torch.nn.functional.pad(own, (0, -own.shape[2] % LANES))

    def ready(self, source: Blob) -> bool:
        """Whether this bottom can be upscaled; gives the tops their shapes."""
        finite = source.count > 0 and bool(torch.isfinite(source.value).all())
        return finite and self._weights.get(self._of_channels) is not None

    def compute_blob(self, source: Blob, top: Blob) -> None:
        """Fill `top`, (N, C, H, W), in the memory that it has."""
        self.chain.reshape()
        weights, window = self._weights.get(self._of_channels), self._layer.window
        assert weights is not None
        batch, channels, height, width = self.chain.made(-1)
        last = self.chain.layers[-1]
        down, right = (cut.start for cut in last.cut[2:]) if isinstance(last, Crop) else (0, 0)
        maps, params = source.value.contiguous(), self._layer.blobs
        bias = params[1].value if len(params) > 1 else torch.zeros(channels)
        values, (kernel_high, kernel_wide) = top.value, window.kernel
        work = pixels.Upscaling(
            maps=maps.data_ptr(),
            weights=weights.data_ptr(),
            bias=bias.data_ptr(),
            target=values.data_ptr(),
            channels=channels,
            height=maps.shape[2],
            width=maps.shape[3],
            high=kernel_high,
            wide=kernel_wide,
            deep=weights.shape[2],
            rows=height,
            across=width,
            stride_y=window.stride[0],
            stride_x=window.stride[1],
            top=down + window.pad[0],
            left=right + window.pad[1],
        )
        lines = -(-kernel_wide // window.stride[1]) * pixels.line_of.py_func(width, kernel_wide)
        workers.do(Jobs([shared(pixels.upscale, work, batch * channels * height, 4 * width, 4 * lines)]))
        top.put(values)
