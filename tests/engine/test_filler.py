"""Fillers: Caffe's formulas, their statistics, and what they refuse."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from scipy import stats

from caffe._caffe import device
from caffe._caffe.blob import make_blob
from caffe._caffe.errors import LayerError
from caffe._caffe.filler import FILLERS, fill
from caffe.proto.caffe_pb2 import FillerParameter


def filled(shape: tuple[int, ...], seed: int = 1, **settings: Any) -> np.ndarray:
    device.set_random_seed(seed)
    blob = make_blob(shape)
    blob.data[...] = 9
    fill(blob, FillerParameter(**settings))
    return np.array(blob.data)


def assert_drawn_from(values: np.ndarray, distribution: Any) -> None:
    """Kolmogorov-Smirnov; the seeds are fixed, so this holds always or never."""
    assert stats.kstest(values.ravel().astype(float), distribution.cdf).pvalue > 0.01


def test_the_names_are_caffes() -> None:
    names = {"constant", "uniform", "gaussian", "positive_unitball", "xavier", "msra", "bilinear"}
    assert set(FILLERS) == names


def test_constant_is_the_default_and_zero_its_value() -> None:
    assert (filled((2, 3)) == 0).all()
    assert (filled((2, 3), value=-1.5) == -1.5).all()
    assert filled((), type="constant", value=2.5) == 2.5


def test_uniform() -> None:
    assert_drawn_from(filled((50, 100), type="uniform"), stats.uniform(0, 1))
    values = filled((50, 100), type="uniform", min=-3, max=-1)
    assert_drawn_from(values, stats.uniform(-3, 2))
    assert values.min() >= -3 and values.max() <= -1
    assert (filled((5,), type="uniform", min=2, max=2) == 2).all()


def test_gaussian() -> None:
    assert_drawn_from(filled((50, 100), type="gaussian"), stats.norm(0, 1))
    assert_drawn_from(filled((50, 100), type="gaussian", mean=5, std=0.01), stats.norm(5, 0.01))


@pytest.mark.parametrize("sparse", [0, 5, 40])
def test_sparse_keeps_so_many_values_per_output_on_average(sparse: int) -> None:
    values = filled((40, 500), type="gaussian", mean=3, std=0.5, sparse=sparse)
    kept = values[values != 0]
    chance = sparse / 40
    deviation = math.sqrt(values.size * chance * (1 - chance))
    assert abs(kept.size - values.size * chance) <= 4 * deviation
    if sparse:
        assert_drawn_from(kept, stats.norm(3, 0.5))


@pytest.mark.parametrize("norm,n", [("FAN_IN", 75), ("FAN_OUT", 100), ("AVERAGE", 87.5)])
def test_xavier_and_msra(norm: str, n: float) -> None:
    """A 4x3x5x5 kernel: fan_in = 300 / 4, fan_out = 300 / 3."""
    shape = (4, 3, 5, 5)
    settings = {"variance_norm": FillerParameter.VarianceNorm.Value(norm)}
    limit = math.sqrt(3 / n)
    values = np.concatenate([filled(shape, seed, type="xavier", **settings).ravel() for seed in range(20)])
    assert_drawn_from(values, stats.uniform(-limit, 2 * limit))
    values = np.concatenate([filled(shape, seed, type="msra", **settings).ravel() for seed in range(20)])
    assert_drawn_from(values, stats.norm(0, math.sqrt(2 / n)))


@pytest.mark.parametrize("norm", list(FillerParameter.VarianceNorm.keys()))
def test_one_axis_has_fan_out_count(norm: str) -> None:
    """A vector of 3000: fan_in 1, fan_out 3000."""
    n = {"FAN_IN": 1, "FAN_OUT": 3000, "AVERAGE": 1500.5}[norm]
    values = filled((3000,), type="xavier", variance_norm=FillerParameter.VarianceNorm.Value(norm))
    assert_drawn_from(values, stats.uniform(-math.sqrt(3 / n), 2 * math.sqrt(3 / n)))


def test_positive_unitball() -> None:
    values = filled((7, 3, 5), type="positive_unitball")
    assert (values >= 0).all() and np.ptp(values) > 0
    np.testing.assert_allclose(values.reshape(7, -1).sum(1), 1, rtol=1e-6)
    assert (filled((4,), type="positive_unitball") == 1).all()


@pytest.mark.parametrize("size", range(1, 9))
def test_bilinear(size: int) -> None:
    factor = math.ceil(size / 2)
    centre = (size - 1) / (2 * factor)
    wanted = [
        [(1 - abs(x / factor - centre)) * (1 - abs(y / factor - centre)) for x in range(size)]
        for y in range(size)
    ]
    values = filled((2, 3, size, size), type="bilinear")
    np.testing.assert_allclose(values, np.broadcast_to(wanted, values.shape), rtol=1e-6)


def test_bilinear_by_hand() -> None:
    row = np.array([0.25, 0.75, 0.75, 0.25])
    assert (filled((1, 1, 4, 4), type="bilinear") == np.outer(row, row)).all()
    row = np.array([0.5, 1, 0.5])
    assert (filled((1, 1, 3, 3), type="bilinear") == np.outer(row, row)).all()


@pytest.mark.parametrize("kind", ["uniform", "gaussian", "positive_unitball", "xavier", "msra"])
def test_a_seed_gives_the_same_numbers_again(kind: str) -> None:
    first = filled((5, 6), 3, type=kind)
    assert (filled((5, 6), 3, type=kind) == first).all()
    assert (filled((5, 6), 4, type=kind) != first).any()


@pytest.mark.parametrize(
    "shape,settings,complaint",
    [
        ((2, 2), {"type": "glorot"}, "Unknown filler name: glorot. Known: bilinear, constant"),
        ((2, 0), {"type": "constant"}, r"nothing to fill: the blob has shape \(2, 0\)"),
        ((2,), {"type": "uniform", "min": 2, "max": 1}, "min 2 is above max 1"),
        ((2,), {"type": "gaussian", "std": 0}, "std must be positive, not 0"),
        ((2,), {"type": "gaussian", "std": -1}, "std must be positive, not -1"),
        ((2,), {"type": "gaussian", "sparse": 3}, "sparse: 3 is more than dim 0"),
        ((2,), {"type": "gaussian", "sparse": -2}, "not -2"),
        ((), {"type": "gaussian", "sparse": 1}, "at least one axis"),
        ((2,), {"type": "xavier", "sparse": 1}, "Sparsity not supported"),
        ((2,), {"sparse": 0}, "Sparsity not supported"),
        ((), {"type": "msra"}, "at least one axis"),
        ((1, 1, 2, 4), {"type": "bilinear"}, "must be square"),
        ((2, 2), {"type": "bilinear"}, "4 axes"),
    ],
)
def test_what_a_filler_refuses(shape: tuple[int, ...], settings: dict[str, Any], complaint: str) -> None:
    with pytest.raises(LayerError, match=f"^layer 'ip': .*{complaint}"):
        fill(make_blob(shape), FillerParameter(**settings), "layer 'ip'")
