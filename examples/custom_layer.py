"""A layer in Python with a parameter and its gradient: Swish with a learned slope for each channel.

    make example NAME=custom_layer

y = x * sigmoid(b x), with one b per channel. A layer has four methods: `setup` makes parameters, `reshape`
says how large the top is, `forward` and `backward` compute. The program asks what a small step does to the
output, once by the gradients and once by forward passes: two lines, each with the same number twice.

The layer: Ramachandran et al., "Searching for Activation Functions", 2017.
"""

from pathlib import Path

import numpy as np

import caffe
from caffe import layers as L


class LearnedSwish(caffe.Layer):
    """`L.Python(bottom, module='custom_layer', layer='LearnedSwish')`, N x C x H x W to the same."""

    def setup(self, bottom, top) -> None:
        if len(self.blobs) == 0:
            self.blobs.add_blob(bottom[0].channels)
            self.blobs[0].data[...] = 1

    def reshape(self, bottom, top) -> None:
        top[0].reshape(*bottom[0].shape)

    def forward(self, bottom, top) -> None:
        self.slope = self.blobs[0].data[:, np.newaxis, np.newaxis]
        self.gate = 1 / (1 + np.exp(-self.slope * bottom[0].data))
        top[0].data[...] = bottom[0].data * self.gate

    def backward(self, top, propagate_down, bottom) -> None:
        x, dy = bottom[0].data, top[0].diff
        dgate = dy * x * self.gate * (1 - self.gate)
        self.blobs[0].diff[...] += (dgate * x).sum(axis=(0, 2, 3))  # parameters add up, bottoms do not
        if propagate_down[0]:
            bottom[0].diff[...] = dy * self.gate + dgate * self.slope


if __name__ == "__main__":
    caffe.init_log(2)  # warnings only
    data = L.Input(shape={"dim": [2, 3, 4, 4]})
    spec = caffe.to_proto(L.Python(data, name="swish", module="custom_layer", layer="LearnedSwish"))
    Path("net.prototxt").write_text(f"force_backward: true\n{spec}")
    net = caffe.Net("net.prototxt", caffe.TRAIN)
    x, b, y = net.blobs[net.inputs[0]], net.params["swish"][0], net.blobs[net.outputs[0]]
    rng = np.random.default_rng(0)
    for values in (x.data, b.data, y.diff):
        values[...] = rng.normal(1, 0.5, values.shape)
    net.forward()
    net.backward()
    for name, blob in (("bottom", x), ("slope", b)):
        step = 1e-2 * rng.choice([-1, 1], blob.data.shape)
        ends = []
        for sign in (1, -2):  # to + step, then from there to - step
            blob.data[...] += sign * step
            net.forward()
            ends.append((y.data * y.diff).sum())
        blob.data[...] += step
        print(f"{name}: gradient {(blob.diff * step).sum():.6f}, difference {(ends[0] - ends[1]) / 2:.6f}")
