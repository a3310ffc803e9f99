"""convert_mnist_data, convert_mnist_siamese_data and convert_cifar_data, on files of the layout they read."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import numpy as np
import pytest

from caffe.proto.caffe_pb2 import Datum
from caffe.tools import convert_datasets

lmdb = pytest.importorskip("lmdb")

SHAPE = (1234, 5, 4)  # more items than are committed at once


def idx(values: np.ndarray, magic: int) -> bytes:
    return np.array([magic, *values.shape], ">u4").tobytes() + values.tobytes()


@pytest.fixture
def digits(in_tmp: Path) -> tuple[np.ndarray, np.ndarray]:
    """The IDX files `images` and `labels`, whose values these are."""
    rng = np.random.default_rng(4)
    images = rng.integers(0, 256, SHAPE, np.uint8)
    labels = np.resize([*range(10), 200], len(images)).astype(np.uint8)
    Path("images").write_bytes(idx(images, 2051))
    Path("labels").write_bytes(idx(labels, 2049))
    return images, labels


def records(path: str) -> list[tuple[bytes, bytes]]:
    with lmdb.open(path, readonly=True, lock=False) as environment, environment.begin() as transaction:
        return list(transaction.cursor())


def records_of_leveldb(path: str) -> list[tuple[bytes, bytes]]:
    with pytest.importorskip("plyvel").DB(path) as database:
        return list(database)


def signed(label: int) -> int:
    """A byte as C reads it into a `char`."""
    return int(np.uint8(label).astype(np.int8))


def test_mnist_becomes_a_datum_an_image(digits):
    images, labels = digits
    assert convert_datasets.mnist(["images", "labels", "db"]) == 0
    found = records("db")
    assert [key for key, _ in found] == [b"%08d" % number for number in range(len(images))]
    for (_, value), image, label in zip(found, images, labels):
        # Every field is in the file, in the order of its number.
        assert value == Datum(
            channels=1, height=5, width=4, data=image.tobytes(), label=signed(label)
        ).SerializeToString()  # fmt: skip


def test_mnist_to_leveldb(digits):
    pytest.importorskip("plyvel")
    assert convert_datasets.mnist(["images", "labels", "level", "--backend=leveldb"]) == 0
    assert convert_datasets.mnist(["images", "labels", "lm"]) == 0
    assert records_of_leveldb("level") == records("lm")


def test_siamese_pairs_are_two_images_and_whether_their_labels_are_equal(digits):
    pytest.importorskip("plyvel")
    images, labels = digits
    number = {image.tobytes(): index for index, image in enumerate(images)}
    assert convert_datasets.siamese(["images", "labels", "pairs"]) == 0
    found = records_of_leveldb("pairs")
    assert [key for key, _ in found] == [b"%08d" % each for each in range(len(images))]
    equal, drawn = [], set()
    for _, value in found:
        datum = Datum.FromString(value)
        assert (datum.channels, datum.height, datum.width, len(datum.data)) == (2, 5, 4, 40)
        i, j = number[datum.data[:20]], number[datum.data[20:]]
        assert datum.label == (labels[i] == labels[j])
        equal.append(datum.label)
        drawn |= {i, j}
    assert 0.03 < np.mean(equal) < 0.2  # one of eleven
    assert len(drawn) > 0.75 * len(images)  # 1 - e^-2 of them


@pytest.fixture
def batches(in_tmp: Path) -> list[np.ndarray]:
    """CIFAR-10's six files in `cifar`; the records of each, a label and the pixels."""
    Path("cifar").mkdir()
    rng = np.random.default_rng(5)
    found = []
    for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]:
        found.append(rng.integers(0, 256, (10000, 3073), np.uint8))
        found[-1][:, 0] %= 10
        found[-1].tofile(f"cifar/{name}.bin")
    return found


def test_cifar_becomes_two_databases(batches):
    assert convert_datasets.cifar(["cifar", ".", "lmdb"]) == 0
    for name, want in (("train", np.concatenate(batches[:5])), ("test", batches[5])):
        found = records(f"cifar10_{name}_lmdb")
        assert [key for key, _ in found] == [b"%05d" % number for number in range(len(want))]
        for index in (0, 1, 9999, len(want) - 1):
            label, data = int(want[index, 0]), want[index, 1:].tobytes()
            assert found[index][1] == Datum(
                channels=3, height=32, width=32, data=data, label=label
            ).SerializeToString()  # fmt: skip


def test_a_file_of_cifar_that_is_missing_or_cut_off_leaves_no_database(batches, capsys):
    Path("cifar/test_batch.bin").write_bytes(bytes(100))
    assert convert_datasets.cifar(["cifar", ".", "lmdb"]) == 134
    assert "'cifar/test_batch.bin' is cut off" in capsys.readouterr().err
    Path("cifar/data_batch_3.bin").unlink()
    assert convert_datasets.cifar(["cifar", ".", "lmdb"]) == 134
    assert "'cifar/data_batch_3.bin'" in capsys.readouterr().err
    assert not list(Path().glob("cifar10_*"))
    shutil.rmtree("cifar")


@pytest.mark.parametrize(("images", "labels", "message"), [
    ("nowhere", "labels", "Unable to open file nowhere"),
    ("images", "nowhere", "Unable to open file nowhere"),
    ("labels", "images", "Incorrect image file magic in 'labels': 2049"),
    ("packed", "labels", "run gunzip 'packed'"),
    ("cut", "labels", "'cut' is cut off: 24680 bytes are announced, 84 are there"),
    ("images", "few", "'images' has 1234 images, 'few' 7 labels"),
])  # fmt: skip
@pytest.mark.parametrize("tool", [convert_datasets.mnist, convert_datasets.siamese])
def test_files_that_are_not_mnists(tool, images, labels, message, digits, capsys):
    Path("packed").write_bytes(gzip.compress(Path("images").read_bytes()))
    Path("cut").write_bytes(Path("images").read_bytes()[:100])
    Path("few").write_bytes(idx(np.zeros(7, np.uint8), 2049))
    assert tool([images, labels, "db"]) == 134
    assert message in capsys.readouterr().err.splitlines()[-1] and not Path("db").exists()


@pytest.mark.parametrize("tool", [convert_datasets.mnist, convert_datasets.siamese, convert_datasets.cifar])
def test_another_number_of_words_is_answered_as_caffes_converters_do(tool, capsys):
    assert tool(["one", "two"]) == 0
    assert "usage: convert_" in capsys.readouterr().out
