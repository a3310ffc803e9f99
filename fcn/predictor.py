"""An image through a deploy net, and the class of each pixel by its scores."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from voc_layers.facts import MEAN_BGR
from voc_layers.inputs import Color, Input
from voc_layers.reading import SampleError

from .protocols import NetLike


def best_class(scores: np.ndarray) -> np.ndarray:
    """The class of the highest score: what `scores.argmax(0)` says, of ties and of NaN too, sooner.

    Args:
        scores: K x H x W.

    Returns:
        H x W: uint8, or int64 where K is above 256.
    """
    if len(scores) > 256:
        found: np.ndarray = scores.argmax(0)
        return found
    best, better = scores[0].copy(), np.empty(scores.shape[1:], bool)
    labels = np.zeros(scores.shape[1:], np.uint8)
    number = better.view(np.uint8)
    for k in range(1, len(scores)):  # whole planes, one after the other, as they lie in memory
        np.greater(scores[k], best, out=better)
        np.multiply(number, np.uint8(k), out=number)
        np.maximum(labels, number, out=labels)
        np.maximum(best, scores[k], out=best)
    return scores.argmax(0).astype(np.uint8) if np.isnan(best).any() else labels


class Predictor:
    """A `caffe.Net` with input blobs 1 x C x H x W that gives a score blob, 1 x K x H x W.

    mean: B, G, R to subtract where the one input is a photograph. inputs: what the net looks at otherwise, in
    the order of its input blobs.
    """

    def __init__(
        self,
        net: NetLike,
        mean: Sequence[float] = MEAN_BGR,
        layer: str = "score",
        inputs: Sequence[Input] = (),
    ):
        inputs = tuple(inputs) or (Color("image", tuple(mean)),)
        if len(net.inputs) != len(inputs):
            names = ", ".join(one.name for one in inputs)
            raise SampleError(
                f"expected a deploy net with {len(inputs)} input{'s' if inputs[1:] else ''} ({names}), found "
                f"inputs {list(net.inputs)}: a net with a data layer reads its own images"
            )
        if layer not in net.blobs:
            raise SampleError(f"the net has no blob '{layer}'; it has {', '.join(net.blobs)}")
        self.net, self.inputs, self.layer = net, inputs, layer

    def of(self, layer: str) -> Predictor:
        """The same net, with the scores of another blob."""
        return Predictor(self.net, layer=layer, inputs=self.inputs)

    @property
    def classes(self) -> int:
        return int(self.net.blobs[self.layer].data.shape[1])

    def scores(self, *images: np.ndarray) -> np.ndarray:
        """Class scores, float32 K x H x W, of an RGB image, uint8 H x W x 3. The array is the net's own.

        images: one for each input, as its `read` gives it.
        """
        for name, one, image in zip(self.net.inputs, self.inputs, images, strict=True):
            data, blob = one.blob(image), self.net.blobs[name]
            if blob.data.shape != (1, *data.shape):
                blob.reshape(1, *data.shape)
            blob.data[...] = data
        self.net.forward()
        return self.found

    @property
    def found(self) -> np.ndarray:
        """The scores of the last pass, K x H x W. The array is the net's own."""
        scores: np.ndarray = self.net.blobs[self.layer].data[0]
        return scores

    def labels(self, *images: np.ndarray) -> np.ndarray:
        """The class of each pixel, uint8 H x W; `images` as in `scores`."""
        return best_class(self.scores(*images))
