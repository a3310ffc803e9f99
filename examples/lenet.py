"""LeNet on drawn digits: the net written in Python, trained by a solver, tested on digits it never saw.

    make example NAME=lenet

`lenet` writes the net, `SOLVER` says how it is trained, and a MemoryData layer takes the digits as arrays. A
minute later the share of 1000 new digits that are read is printed: about 0.99.

The net: LeCun et al., "Gradient-based learning applied to document recognition", 1998.
"""

from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

import caffe
from caffe import layers as L

BATCH = 50
SOLVER = """
net: "lenet.prototxt" base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "fixed" random_seed: 1
max_iter: 200 display: 50 test_iter: 20 test_interval: 100 snapshot_prefix: "lenet"
"""


def lenet(n: caffe.NetSpec) -> str:
    """The net on top of `n.data` and `n.label`."""
    xavier = {"weight_filler": {"type": "xavier"}}
    n.conv1 = L.Convolution(n.data, kernel_size=5, num_output=20, **xavier)
    n.pool1 = L.Pooling(n.conv1, kernel_size=2, stride=2)
    n.conv2 = L.Convolution(n.pool1, kernel_size=5, num_output=50, **xavier)
    n.pool2 = L.Pooling(n.conv2, kernel_size=2, stride=2)
    n.fc1 = L.InnerProduct(n.pool2, num_output=500, **xavier)
    n.relu1 = L.ReLU(n.fc1, in_place=True)
    n.score = L.InnerProduct(n.relu1, num_output=10, **xavier)
    n.loss = L.SoftmaxWithLoss(n.score, n.label)
    n.accuracy = L.Accuracy(n.score, n.label, include={"phase": caffe.TEST})
    return str(n.to_proto())


def digits(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Images (count, 1, 28, 28) in [0, 1], turned, shifted and noisy; labels (count,)."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 10, count)
    images = rng.normal(0, 0.1, (count, 28, 28))
    for image, digit in zip(images, labels):
        canvas = Image.new("L", (28, 28))
        font = ImageFont.load_default(rng.integers(17, 25))
        ImageDraw.Draw(canvas).text(rng.uniform(11, 17, 2), str(digit), fill=255, font=font, anchor="mm")
        image += np.asarray(canvas.rotate(rng.uniform(-20, 20), Image.Resampling.BILINEAR)) / 255
    return images[:, np.newaxis].astype(np.float32), labels.astype(np.float32)


if __name__ == "__main__":
    n = caffe.NetSpec()
    n.data, n.label = L.MemoryData(batch_size=BATCH, channels=1, height=28, width=28, ntop=2)
    Path("lenet.prototxt").write_text(lenet(n))
    Path("solver.prototxt").write_text(SOLVER)
    solver = caffe.get_solver("solver.prototxt")
    solver.net.set_input_arrays(*digits(3000, seed=1))
    solver.test_nets[0].set_input_arrays(*digits(20 * BATCH, seed=2))
    solver.solve()
    accuracy = np.mean([solver.test_nets[0].forward()["accuracy"] for _ in range(20)])
    print(f"accuracy on new digits: {accuracy:.3f}")
