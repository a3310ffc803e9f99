"""Net surgery: a patch classifier's inner products become convolutions, and it labels a whole image at once.

    make example NAME=net_surgery

A small net learns to tell patches of 24 x 24 pixels apart: blank, stripes, disc. Its parameters are then
poured into a net of convolutions, which takes an image of any size: for one of 48 x 96 pixels it gives a map
of 7 x 19 labels, one for each place of a patch, 4 pixels apart. The map is printed, then the tiles' labels.

An inner product over C x H x W is a convolution with a kernel of H x W: same numbers, same order.
Source: Long, Shelhamer and Darrell, "Fully Convolutional Networks for Semantic Segmentation", section 3.1.
"""

from pathlib import Path

import numpy as np

import caffe
from caffe import layers as L

KINDS = " =o"  # blank, stripes, disc
SOLVER = 'train_net: "patches.prototxt" base_lr: 0.01 momentum: 0.9 lr_policy: "fixed" random_seed: 1'


def write_net(file: str, dims: list[int], convolutional: bool) -> None:
    msra = {"weight_filler": {"type": "msra"}}
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": dims})
    n.conv = L.Convolution(n.data, num_output=8, kernel_size=5, **msra)  # 24 -> 20
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, kernel_size=4, stride=4)  # 20 -> 5
    if convolutional:
        n.fc_conv = L.Convolution(n.pool, num_output=16, kernel_size=5)
        n.score_conv = L.Convolution(n.fc_conv, num_output=3, kernel_size=1)
    else:
        n.fc = L.InnerProduct(n.pool, num_output=16, **msra)
        n.score = L.InnerProduct(n.fc, num_output=3, **msra)
        n.label = L.Input(shape={"dim": dims[:1]})
        n.loss = L.SoftmaxWithLoss(n.score, n.label)
    Path(file).write_text(str(n.to_proto()))


def patch(kind: int, rng: np.random.Generator) -> np.ndarray:
    y, x = np.mgrid[:24, :24]
    drawn = 0 * x, (x + rng.integers(8)) // 4 % 2, np.hypot(*(c - rng.uniform(10, 13) for c in (y, x))) < 8
    return drawn[kind] + rng.normal(0, 0.1, (24, 24))


if __name__ == "__main__":
    caffe.init_log(2)  # warnings only
    write_net("patches.prototxt", [30, 1, 24, 24], convolutional=False)
    Path("solver.prototxt").write_text(SOLVER)
    solver, rng = caffe.SGDSolver("solver.prototxt"), np.random.default_rng(0)
    for _ in range(100):
        kinds = solver.net.blobs["label"].data[...] = rng.integers(3, size=30)
        solver.net.blobs["data"].data[:, 0] = [patch(kind, rng) for kind in kinds]
        solver.step(1)
    solver.net.save("patches.caffemodel")
    image = np.block([[patch(kind, rng) for kind in row] for row in ([0, 1, 2, 1], [2, 0, 1, 2])])
    write_net("image.prototxt", [1, 1, *image.shape], convolutional=True)
    net = caffe.Net("image.prototxt", caffe.TEST, weights="patches.caffemodel")  # conv goes by its name
    for old, new in (("fc", "fc_conv"), ("score", "score_conv")):
        for i in range(2):
            net.params[new][i].data.flat = solver.net.params[old][i].data.flat
    kinds = net.forward(data=image[np.newaxis, np.newaxis])["score_conv"][0].argmax(0)
    print(f"an image of {image.shape} gives a map of {kinds.shape}:")
    print("\n".join("".join(KINDS[kind] for kind in row) for row in kinds))
    print("at the tiles:", kinds[::6, ::6].tolist())
