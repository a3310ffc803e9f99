"""Write engine/caffe/imagenet/ilsvrc_2012_mean.npy from the channel means of ILSVRC 2012's training images.

python -m dev.make_mean_file
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

PATH = Path(__file__).resolve().parent.parent / "engine/caffe/imagenet/ilsvrc_2012_mean.npy"
#: Blue, green, red: the means over pixels and images, as published with the models of Caffe's zoo.
MEANS = (104.00698793, 116.66876762, 122.67891434)
SIZE = 256


def mean_image() -> np.ndarray:
    """3 x 256 x 256 float32 whose channels are constant."""
    return np.tile(np.array(MEANS, np.float32)[:, np.newaxis, np.newaxis], (SIZE, SIZE))


if __name__ == "__main__":
    np.save(PATH, mean_image())
    sys.stdout.write(f"wrote {PATH}\n")
