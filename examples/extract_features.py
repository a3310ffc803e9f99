"""Features of image files from a blob inside a net, and each image's nearest neighbour by them.

    make example NAME=extract_features

`caffe.io.Transformer` makes of a file what the net reads, `forward(blobs=...)` gives the blob besides the
outputs. Printed is a line for each of twelve images: it is most like another one of its own kind.

The images are drawn and the net has random filters; with a caffemodel of your own, `extract` stays as it is.
"""

from pathlib import Path

import numpy as np
from PIL import Image

import caffe
from caffe import layers as L


def draw_images() -> list[str]:
    """Three pictures each of two colours and of stripes in two directions, of several sizes."""
    rng = np.random.default_rng(0)
    for i, side in enumerate((40, 50, 60)):
        wave = 128 + 90 * np.sin(np.arange(side)[:, np.newaxis] / 2 + i)
        kinds = {"red": [200, 40, 40], "blue": [40, 40, 200], "bars": wave, "rungs": wave[:, np.newaxis]}
        for kind, colour in kinds.items():
            pixels = rng.normal(0, 9, (side, side, 3)) + colour
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(f"{kind}{i}.png")
    return sorted(str(path) for path in Path().glob("*[0-2].png"))


def make_net() -> caffe.Net:
    n = caffe.NetSpec()
    n.data = L.Input(shape={"dim": [1, 3, 48, 48]})
    n.conv = L.Convolution(n.data, num_output=64, kernel_size=7, weight_filler={"type": "msra"})
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = L.Pooling(n.relu, pool=caffe.params.Pooling.AVE, global_pooling=True)
    n.score = L.InnerProduct(n.pool, num_output=10)
    Path("net.prototxt").write_text(str(n.to_proto()))
    caffe.set_random_seed(1)
    return caffe.Net("net.prototxt", caffe.TEST)


def extract(net: caffe.Net, blob: str, mean: list[float], images: list[str]) -> np.ndarray:
    """The blob as (images, values), for a net that wants BGR from 0 to 255 less a mean, as most do."""
    data = net.inputs[0]
    net.blobs[data].reshape(len(images), *net.blobs[data].data.shape[1:])
    transformer = caffe.io.Transformer({data: net.blobs[data].data.shape})
    transformer.set_transpose(data, (2, 0, 1))
    transformer.set_channel_swap(data, (2, 1, 0))
    transformer.set_raw_scale(data, 255)
    transformer.set_mean(data, np.array(mean))
    values = [transformer.preprocess(data, caffe.io.load_image(image)) for image in images]
    return net.forward(blobs=[blob], **{data: np.array(values)})[blob].reshape(len(images), -1)


if __name__ == "__main__":
    caffe.init_log(2)  # warnings only
    images = draw_images()
    features = extract(make_net(), "pool", [128, 128, 128], images)
    np.save("features.npy", features)
    unit = features / np.linalg.norm(features, axis=1, keepdims=True)
    for image, nearest in zip(images, (unit @ unit.T - 2 * np.eye(len(unit))).argmax(1)):
        print(image, "is most like", images[nearest])
