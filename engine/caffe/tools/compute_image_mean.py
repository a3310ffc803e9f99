"""``compute_image_mean [flags] DB [OUT]``: the mean image of a database, for `transform_param.mean_file`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import numpy as np

from .._caffe.data import datum
from .._caffe.data.db import open_database
from .._caffe.errors import CaffeError
from .._caffe.log import log
from ..proto.caffe_pb2 import BlobProto
from .command import check_output, command, parse_flags, write_file
from .flags import Flag
from .usage import Program

PROGRAM = Program(
    "compute_image_mean",
    """the mean image of a database of Datums
usage: compute_image_mean [flags] DB [OUT]

  DB   an LMDB or LevelDB
  OUT  the .binaryproto to write; without it only the means of the channels are logged""",
    {"backend": Flag("lmdb", "lmdb or leveldb")},
    words=(1, 2),
)
_PROGRESS = 10000


@command
def main(argv: Sequence[str]) -> int:
    """Log the mean of every channel and write the mean image as a BlobProto of the four old dims.

    Raises:
        CaffeError: the database cannot be read, is empty, or holds items of different sizes; or
            OUT cannot be written.
    """
    values, (path, *out) = parse_flags(argv, PROGRAM)
    for target in out:
        check_output(target)
    mean = mean_image(path, str(values["backend"]))
    if out:
        log.info("Write to %s", out[0])
        blob = BlobProto(num=1, channels=mean.shape[0], height=mean.shape[1], width=mean.shape[2])
        blob.data.extend(mean.ravel().tolist())
        write_file(out[0], blob.SerializeToString())
    log.info("Number of channels: %d", len(mean))
    for channel, value in enumerate(mean.mean(axis=(1, 2))):
        log.info("mean_value channel [%d]: %g", channel, value)
    return 0


def mean_image(path: str, backend: str) -> np.ndarray:
    """The mean over all items, (C, H, W) float32, summed up in float32 as Caffe does.

    Raises:
        DataError: the database cannot be read. CaffeError: it is empty, or an item has another size.
    """
    total: np.ndarray = np.zeros(0, np.float32)
    count = 0
    log.info("Starting iteration")
    with open_database(path, backend) as database:
        for key, value in database.items():
            what = f"record {key!r} of '{path}'"
            pixels = datum.pixels(datum.parse(value, what), what)
            if not count:
                total = np.zeros(pixels.shape, np.float32)
            if pixels.shape != total.shape:
                raise CaffeError(
                    f"Incorrect data field size: {what} is {pixels.shape}, the first {total.shape}"
                )
            total += pixels
            count += 1
            if count % _PROGRESS == 0:
                log.info("Processed %d files.", count)
    if not count:
        raise CaffeError(f"database '{path}' has no records: there is no mean")
    if count % _PROGRESS:
        log.info("Processed %d files.", count)
    total /= np.float32(count)
    return total


if __name__ == "__main__":
    sys.exit(main())
