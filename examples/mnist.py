"""LeNet as Caffe's first tutorial trains it: MNIST's files, `convert_mnist_data`, `caffe train`.

    make example NAME=mnist

Printed is what the commands log: the loss every 50 steps, the accuracy every 100. The digits are drawn and
written as MNIST's files are; with the real ones in the folder where this runs (gunzip them) nothing is drawn.
Writing the databases needs the extra `lmdb`.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
from lenet import digits, lenet

import caffe
from caffe import layers as L

FILES = {
    "train": ("train-images-idx3-ubyte", "train-labels-idx1-ubyte"),
    "test": ("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"),
}
COUNTS = {"train": 3000, "test": 1000}
SOLVER = """
train_net: "train.prototxt" test_net: "test.prototxt" test_iter: 10 test_interval: 100 max_iter: 200
display: 50 base_lr: 0.01 momentum: 0.9 weight_decay: 0.0005 lr_policy: "inv" gamma: 0.0001 power: 0.75
snapshot_prefix: "lenet" random_seed: 1
"""


def draw(images_path: str, labels_path: str, count: int, seed: int) -> None:
    """Write IDX files: a head of big-endian numbers, then bytes."""
    images, labels = digits(count, seed)
    pixels = (images.clip(0, 1) * 255).astype(np.uint8)
    Path(images_path).write_bytes(np.array([2051, count, 28, 28], ">u4").tobytes() + pixels.tobytes())
    Path(labels_path).write_bytes(
        np.array([2049, count], ">u4").tobytes() + labels.astype(np.uint8).tobytes()
    )


def on_database(source: str, batch: int) -> str:
    n = caffe.NetSpec()
    scale = {"scale": 1 / 256}
    n.data, n.label = L.Data(source=source, backend=caffe.params.Data.LMDB, batch_size=batch, ntop=2,
                             transform_param=scale)  # fmt: skip
    return lenet(n)


def run(*command: str) -> None:
    """A command of the engine; in a shell it is `caffe ...`."""
    subprocess.run([sys.executable, "-m", "caffe", *command], check=True)


if __name__ == "__main__":
    for seed, (split, paths) in enumerate(FILES.items(), 1):
        if not all(Path(path).exists() for path in paths):
            draw(*paths, COUNTS[split], seed)
        if not Path(f"mnist_{split}_lmdb").exists():
            run("convert_mnist_data", *paths, f"mnist_{split}_lmdb")
        Path(f"{split}.prototxt").write_text(
            on_database(f"mnist_{split}_lmdb", {"train": 64, "test": 100}[split])
        )
    Path("solver.prototxt").write_text(SOLVER)
    run("train", "-solver", "solver.prototxt", "-log_dir", ".")
