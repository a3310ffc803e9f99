"""SBD's label files: read as MATLAB writes them, and named whatever is wrong with them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import scipy.sparse

from fcn.data import TrainingData
from voc_layers import SampleError
from voc_layers.reading import check_label, read_label_mat

LABEL = np.zeros((5, 6), np.uint8)
LABEL[1, 1:4] = (3, 20, 255)


def save(path: Path, segmentation: Any, **options: Any) -> Path:
    """As SBD's files are: the boundaries of each class, which are sparse, come first."""
    boundaries = np.empty((2, 1), object)
    boundaries[:, 0] = [scipy.sparse.eye(5, format="csc"), scipy.sparse.random(5, 6, 0.3, format="csc")]
    fields = {"Boundaries": boundaries, "Segmentation": segmentation, "CategoriesPresent": np.array([3, 20])}
    scipy.io.savemat(path, {"other": 1, "GTcls": fields}, **options)
    return path


def save_v73(path: Path, **datasets: Any) -> Path:
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, values in datasets.items():
            file[name.replace("__", "/")] = values
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
    return path


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u4", "i8", "f4", "f8"])
def test_labels_of_every_type(tmp_path: Path, dtype: str, compressed: bool) -> None:
    path = save(tmp_path / "x.mat", LABEL.astype(dtype), do_compression=compressed)
    found = check_label(read_label_mat(path), path, 21)
    assert found.dtype == np.uint8 and np.array_equal(found, LABEL)


def test_version_7_3_has_its_axes_turned(tmp_path: Path) -> None:
    path = save_v73(tmp_path / "x.mat", GTcls__Segmentation=LABEL.T)
    assert np.array_equal(read_label_mat(path), LABEL)


@pytest.mark.parametrize(
    ("segmentation", "says"),
    [
        (np.where(LABEL == 3, np.nan, 0.0), "expected whole numbers, found nan in 1 pixels"),
        (LABEL / 2, r"expected whole numbers, found 1\.5 in 2 pixels"),
        (np.dstack([LABEL] * 3), r"expected a label of H x W, found the shape \(5, 6, 3\)"),
        (LABEL.astype(np.int16) - 1, "found -1, 254 in 28 pixels"),
        ("text", "no array of real numbers"),
        ({"deeper": LABEL}, "no array of real numbers"),
        (LABEL * 1j, "no array of real numbers"),
    ],
)
def test_what_is_no_label_is_named(tmp_path: Path, segmentation: Any, says: str) -> None:
    path = save(tmp_path / "x.mat", segmentation)
    with pytest.raises(SampleError, match=rf"x\.mat: .*{says}"):
        check_label(read_label_mat(path), path, 21)


def without_the_struct(path: Path) -> None:
    scipy.io.savemat(path, {"GTinst": {"Segmentation": LABEL}})


def without_the_field(path: Path) -> None:
    scipy.io.savemat(path, {"GTcls": {"Boundaries": LABEL}})


def no_struct(path: Path) -> None:
    scipy.io.savemat(path, {"GTcls": LABEL})


def version_4(path: Path) -> None:
    scipy.io.savemat(path, {"GTcls": LABEL}, format="4")


def v73_without_the_struct(path: Path) -> None:
    save_v73(path, other=LABEL)


def v73_cut(path: Path) -> None:
    save_v73(path, GTcls__Segmentation=LABEL)
    path.write_bytes(path.read_bytes()[:900])


@pytest.mark.parametrize(
    "make",
    [
        without_the_struct,
        without_the_field,
        no_struct,
        version_4,
        v73_without_the_struct,
        v73_cut,
        Path.touch,
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, make) -> None:
    make(tmp_path / "x.mat")
    with pytest.raises(SampleError, match=r"x\.mat: expected a \.mat file with GTcls\.Segmentation"):
        read_label_mat(tmp_path / "x.mat")


@pytest.mark.parametrize("compressed", [False, True])
def test_damage_of_any_kind_is_an_error_or_does_not_matter(tmp_path: Path, compressed: bool) -> None:
    """Some library ends the process on one flipped bit: nothing but this error may come."""
    whole = save(tmp_path / "x.mat", LABEL, do_compression=compressed).read_bytes()
    generator, path, refused = random.Random(0), tmp_path / "damaged.mat", 0
    for _ in range(1500):
        cut = generator.randrange(1, len(whole))
        data = bytearray(whole[: generator.choice([len(whole), len(whole), cut])])
        for _ in range(generator.choice([1, 1, 3])):
            data[generator.randrange(len(data))] ^= 1 << generator.randrange(8)
        path.write_bytes(data)
        try:
            read_label_mat(path)
        except SampleError as error:
            assert str(path) in str(error)
            refused += 1
    assert refused > 500


def test_sbd_is_looked_at_before_the_training(data: Path, tmp_path: Path) -> None:
    """One error with the files, not hours later."""
    sbd = tmp_path / "sbd"
    (sbd / "cls").mkdir(parents=True)
    shutil.copytree(data / "JPEGImages", sbd / "img")
    (sbd / "train.txt").write_text("0\n1\n2\n")
    sizes = {"0": (30, 40), "1": (30, 50), "2": (30, 40)}
    for name, size in sizes.items():
        scipy.io.savemat(sbd / f"cls/{name}.mat", {"GTcls": {"Segmentation": np.eye(*size)}})
    TrainingData.pascal(data, sbd, "val").check(scored=True)
    (sbd / "cls/0.mat").write_bytes(b"")
    scipy.io.savemat(sbd / "cls/1.mat", {"GTcls": {"Segmentation": np.eye(30, 49)}})
    with pytest.raises(
        SampleError, match=r"(?s)0\.mat: expected a \.mat.*1\.mat: expected a label of \(30, 50\)"
    ):
        TrainingData.pascal(data, sbd, "val").check(scored=True)
