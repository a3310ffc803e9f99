"""The files of MNIST and CIFAR-10 to databases, with which Caffe's first tutorials begin.

MNIST's IDX files (and those of EMNIST, Fashion-MNIST, ...): a head of big-endian 32-bit numbers, then bytes
(LeCun, Cortes, Burges, http://yann.lecun.com/exdb/mnist/). CIFAR-10's binary files: records of a label and of
3 x 32 x 32 bytes, RGB (Krizhevsky, https://www.cs.toronto.edu/~kriz/cifar.html). Labels are stored as Caffe's
converters do it, to which a byte is a signed number.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Iterable, Sequence

import numpy as np

from .._caffe.data.db import Writer
from .._caffe.errors import DataError
from .._caffe.log import log
from ..proto.caffe_pb2 import Datum
from .command import command, parse_flags
from .flags import Flag
from .usage import Program

MNIST = Program(
    "convert_mnist_data",
    """the images and labels of MNIST to a database
usage: convert_mnist_data [flags] IMAGES LABELS DB

  IMAGES  an IDX file such as train-images-idx3-ubyte, not compressed
  LABELS  its labels, such as train-labels-idx1-ubyte
  DB      the database to make; nothing may be there yet""",
    {"backend": Flag("lmdb", "lmdb or leveldb")},
    words=(3, 3),
    misuse=(0, "stdout"),
)
SIAMESE = Program(
    "convert_mnist_siamese_data",
    """pairs of MNIST's images to a LevelDB, as many as there are images, drawn at random
usage: convert_mnist_siamese_data IMAGES LABELS DB

  The two images of a pair are channels of one Datum; its label is 1 if theirs are equal, else 0.""",
    {},
    words=(3, 3),
    misuse=(0, "stdout"),
)
CIFAR = Program(
    "convert_cifar_data",
    """the images and labels of CIFAR-10 to two databases
usage: convert_cifar_data FOLDER OUT lmdb|leveldb

  FOLDER  where data_batch_1.bin to data_batch_5.bin and test_batch.bin are
  OUT     the folder to make cifar10_train_<backend> and cifar10_test_<backend> in""",
    {},
    words=(3, 3),
    misuse=(0, "stdout"),
)
_IMAGES, _LABELS = 2051, 2049  # IDX: bytes, of three dimensions and of one
_COMMIT = 1000
_CIFAR_SHAPE, _CIFAR_RECORDS = (3, 32, 32), 10000


@command
def mnist(argv: Sequence[str]) -> int:
    """Make a database of IDX files; the keys are the numbers of the images, in eight digits.

    Raises:
        CaffeError: the files are no IDX files or do not belong together, or the database exists.
    """
    values, (images_path, labels_path, path) = parse_flags(argv, MNIST)
    images, labels = read_idx(images_path, labels_path)
    with Writer(path, str(values["backend"])) as database:
        _log_size(images)
        _put(database, images[:, np.newaxis], labels.tolist(), digits=8)
    log.info("Processed %d files.", len(images))
    return 0


@command
def siamese(argv: Sequence[str]) -> int:
    """Make a LevelDB of pairs; see `mnist`. The pairs are others each time, as Caffe's are."""
    _, (images_path, labels_path, path) = parse_flags(argv, SIAMESE)
    images, labels = read_idx(images_path, labels_path)
    draw = random.Random()
    with Writer(path, "leveldb") as database:
        _log_size(images)
        for first in range(0, len(images), _COMMIT):
            count = min(_COMMIT, len(images) - first)
            pairs = np.array([[draw.randrange(len(images)) for _ in "ij"] for _ in range(count)])
            same = labels[pairs[:, 0]] == labels[pairs[:, 1]]
            _put(database, images[pairs], map(int, same), digits=8, first=first)
    return 0


@command
def cifar(argv: Sequence[str]) -> int:
    """Make the databases of CIFAR-10's training and test images; the keys are numbers of five digits.

    Raises:
        CaffeError: a file is missing or too short, or a database exists.
    """
    _, (folder, out, backend) = parse_flags(argv, CIFAR)
    batches = [os.path.join(folder, f"data_batch_{number}.bin") for number in range(1, 6)]
    test = os.path.join(folder, "test_batch.bin")
    for path in (*batches, test):
        _check_cifar(path)
    with Writer(os.path.join(out, f"cifar10_train_{backend}"), backend) as database:
        log.info("Writing Training data")
        for number, path in enumerate(batches):
            log.info("Training Batch %d", number + 1)
            _put_cifar(database, path, number * _CIFAR_RECORDS)
    with Writer(os.path.join(out, f"cifar10_test_{backend}"), backend) as database:
        log.info("Writing Testing data")
        _put_cifar(database, test, 0)
    return 0


# -- IDX ----------------------------------------------------------------------------------------------


def read_idx(images_path: str, labels_path: str) -> tuple[np.ndarray, np.ndarray]:
    """Images (N, H, W) uint8 and labels (N,) int8.

    Raises:
        DataError: a file cannot be read, is no such file or too short, or their numbers of items differ.
    """
    images = _Idx(images_path, _IMAGES, "image", dimensions=3)
    labels = _Idx(labels_path, _LABELS, "label", dimensions=1)
    if images.shape[0] != labels.shape[0]:
        raise DataError(
            f"'{images_path}' has {images.shape[0]} images, '{labels_path}' {labels.shape[0]} labels: "
            "they do not belong together"
        )
    return images.values(), labels.values().view(np.int8)


class _Idx:
    """An IDX file of bytes: `shape`, and the `values` when they are asked for."""

    def __init__(self, path: str, magic: int, what: str, dimensions: int) -> None:
        """Raises DataError if the file cannot be read or does not begin with `magic`."""
        self._path, self._head = path, 4 * (1 + dimensions)
        try:
            with open(path, "rb") as file:
                head = file.read(self._head)
        except OSError as error:
            raise DataError(f"Unable to open file {path}: {error.strerror}") from error
        found, *self.shape = np.frombuffer(head.ljust(self._head, b"\0"), ">u4").tolist()
        if found != magic:
            packed = f": it is compressed, run gunzip '{path}' first" if head[:2] == b"\x1f\x8b" else ""
            raise DataError(f"Incorrect {what} file magic in '{path}': {found}, {magic} is needed{packed}")

    def values(self) -> np.ndarray:
        """All values, as uint8. Raises DataError if the file is too short."""
        count, there = math.prod(self.shape), os.path.getsize(self._path) - self._head
        if there < count:
            raise DataError(f"'{self._path}' is cut off: {count} bytes are announced, {there} are there")
        found: np.ndarray = np.fromfile(self._path, np.uint8, count, offset=self._head).reshape(self.shape)
        return found


def _log_size(images: np.ndarray) -> None:
    log.info("A total of %d items.", len(images))
    log.info("Rows: %d Cols: %d", *images.shape[1:])


# -- CIFAR-10 -----------------------------------------------------------------------------------------


def _check_cifar(path: str) -> None:
    needed = _CIFAR_RECORDS * (1 + int(np.prod(_CIFAR_SHAPE)))
    try:
        size = os.path.getsize(path)
    except OSError as error:
        what = "the files of CIFAR-10's binary version are needed"
        raise DataError(f"Unable to open '{path}': {error.strerror}; {what}") from error
    if size < needed:
        raise DataError(f"'{path}' is cut off: {needed} bytes are needed, {size} are there")


def _put_cifar(database: Writer, path: str, first: int) -> None:
    values = np.fromfile(path, np.uint8, _CIFAR_RECORDS * (1 + int(np.prod(_CIFAR_SHAPE))))
    records = values.reshape(_CIFAR_RECORDS, -1)
    images = records[:, 1:].reshape(-1, *_CIFAR_SHAPE)
    _put(database, images, records[:, 0].view(np.int8).tolist(), digits=5, first=first)


# -- both ---------------------------------------------------------------------------------------------


def _put(database: Writer, images: np.ndarray, labels: Iterable[int], digits: int, first: int = 0) -> None:
    """Add a Datum for each image (N, C, H, W); the key of image i is the number `first` + i."""
    _, channels, height, width = images.shape
    for number, (image, label) in enumerate(zip(images, labels), 1):
        datum = Datum(channels=channels, height=height, width=width, data=image.tobytes(), label=label)
        database.put(f"{first + number - 1:0{digits}d}", datum.SerializeToString())
        if number % _COMMIT == 0:
            database.commit()
