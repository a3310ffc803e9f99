"""Scores of tiles put together are those of the whole image, where the geometry of the net says so."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import caffe
import nets
import surgery
from fcn.infer.geometry import Geometry, Sides
from fcn.infer.tiles import INSIDE, Tiling, scored
from fcn.predictor import Predictor
from tests.source_tree import ROOT
from voc_layers.reading import SampleError

VGG = nets.VGG(stages=((4,),) * 5, fc=4, fc_kernel=4)
#: Rounding: another size of image is computed in another order.
TOLERANCE = 1e-5
DATA = (
    'layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 64 dim: 64 } } }'
)


@cache
def narrow(model: str) -> tuple[Predictor, Geometry]:
    """A narrow net with random weights."""
    arch = {"voc-fcn-alexnet": nets.CAFFENET.scaled(0.02)}.get(model, VGG)
    return filled(str(nets.build(model, "deploy", arch=arch, classes=3)))


def filled(prototxt: str) -> tuple[Predictor, Geometry]:
    with TemporaryDirectory() as folder:
        path = Path(folder, "deploy.prototxt")
        path.write_text(prototxt)
        net, geometry = caffe.Net(str(path), caffe.TEST), Geometry.read(path, ["score"])
    rng = np.random.default_rng(0)
    for name, blobs in net.params.items():
        for blob in blobs:
            fan_in = max(1, np.prod(blob.data.shape[1:]))
            blob.data[...] = rng.normal(0, 1.5 / np.sqrt(fan_in), blob.data.shape)
        if name.startswith("upscore"):
            surgery.interp(net, [name])
    return Predictor(net), geometry


def image(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(height * width).integers(0, 256, (height, width, 3), np.uint8)


def stitched(net: Predictor, picture: np.ndarray, tiling: Tiling) -> np.ndarray:
    whole = np.full((net.classes, *picture.shape[:2]), np.nan, np.float32)
    for place, (scores,) in scored(net, [picture], ["score"], tiling):
        assert np.isnan(whole[(slice(None), *place)]).all()  # no pixel twice
        whole[(slice(None), *place)] = scores
    return whole


@pytest.mark.parametrize("model", ["voc-fcn32s", "voc-fcn16s", "voc-fcn8s", "voc-fcn-alexnet"])
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_tiles_put_together_are_the_whole_image(model: str, data: st.DataObject) -> None:
    net, geometry = narrow(model)
    least = Tiling(geometry, 1024).least_side(0)
    tiling = Tiling(geometry, data.draw(st.integers(least, least + 70), "side"))
    assert tiling.is_exact
    height = tiling.side + data.draw(st.integers(1, 140), "more rows")
    beyond = st.integers(tiling.side + 1, tiling.side + 30)
    width = data.draw(st.one_of(st.integers(20, 60), beyond), "columns")
    picture = image(height, width)
    whole = net.scores(picture).copy()
    parts = stitched(net, picture, tiling)
    assert np.abs(parts - whole).max() <= TOLERANCE * np.abs(whole).max()
    best = np.sort(whole, axis=0)
    clear = best[-1] - best[-2] > 2 * TOLERANCE * np.abs(whole).max()
    assert (parts.argmax(0) == whole.argmax(0))[clear].all() and clear.mean() > 0.9


@pytest.mark.parametrize("model", ["voc-fcn32s", "voc-fcn16s", "voc-fcn8s", "voc-fcn-alexnet"])
def test_a_part_differs_inside_its_margins_and_nowhere_else(model: str) -> None:
    net, geometry = narrow(model)
    grid, side = geometry.grid(0), 448
    first, last = geometry.exact(0, side, INSIDE)
    picture = image(side + 2 * 192, 60)
    start = 192 // grid * grid
    whole = net.scores(picture)[:, start : start + side].copy()
    part = net.scores(picture[start : start + side])
    rows = np.abs(part - whole).max((0, 2)) > TOLERANCE * np.abs(whole).max()
    assert rows[:first].any() and rows[last:].any()
    assert not rows[first:last].any()


def test_at_the_image_s_own_sides_there_is_no_margin() -> None:
    _, geometry = narrow("voc-fcn8s")
    first, last = geometry.exact(0, 448, INSIDE)
    assert geometry.exact(0, 448, Sides(False, True)) == (0, last)
    assert geometry.exact(0, 448, Sides(True, False)) == (first, 448)
    assert geometry.exact(1, 448, Sides(False, False)) == (0, 448)


@given(side=st.integers(600, 1500), overlap=st.none() | st.integers(0, 500), length=st.integers(1, 6000))
def test_tiles_cover_every_pixel_once_and_start_on_the_grid(
    side: int, overlap: int | None, length: int
) -> None:
    _, geometry = narrow("voc-fcn8s")
    tiling = Tiling(geometry, side, overlap)
    spans = tiling.spans(0, length)
    assert [ends.start for _, ends in spans] == [0, *(ends.stop for _, ends in spans[:-1])]
    assert spans[-1][1].stop == length
    for read, ends in spans:
        assert read.start % geometry.grid(0) == 0 and read.stop - read.start <= side
        assert read.start <= ends.start < ends.stop <= read.stop


def test_less_overlap_differs_at_the_seams_alone() -> None:
    net, geometry = narrow("voc-fcn32s")
    tiling = Tiling(geometry, 448, 64)
    assert not tiling.is_exact and "not as of the whole image" in tiling.describe()
    picture = image(448 + 200, 50)
    whole = net.scores(picture).copy()
    wrong = np.abs(stitched(net, picture, tiling) - whole).max((0, 2)) > TOLERANCE * np.abs(whole).max()
    before, behind = tiling.margins(0)
    seam = tiling.stride(0) + before
    assert wrong.any() and not wrong[: 448 - behind].any() and not wrong[seam:].any()


#: Settings of a layer that reach beyond its place, and nets that mix them.
LAYERS = {
    "dilated": 'layer { name: "a" type: "Convolution" bottom: "data" top: "score" '
    "convolution_param { num_output: 2 kernel_h: 3 kernel_w: 5 dilation: 4 pad_h: 4 pad_w: 8 } }",
    "pooling": 'layer { name: "a" type: "Pooling" bottom: "data" top: "a" '
    "pooling_param { pool: AVE kernel_size: 3 stride: 2 pad: 1 } } "
    'layer { name: "up" type: "Deconvolution" bottom: "a" top: "b" '
    "convolution_param { num_output: 3 kernel_size: 5 stride: 2 pad: 1 } } "
    'layer { name: "c" type: "Crop" bottom: "b" bottom: "data" top: "score" '
    "crop_param { axis: 2 offset: 1 offset: 0 } }",
    "lrn": 'layer { name: "a" type: "LRN" bottom: "data" top: "a" '
    "lrn_param { local_size: 5 norm_region: WITHIN_CHANNEL } } "
    'layer { name: "s" type: "Convolution" bottom: "a" top: "score" '
    "convolution_param { num_output: 2 kernel_size: 3 pad: 1 } }",
    "branches": 'layer { name: "a" type: "Convolution" bottom: "data" top: "a" '
    "convolution_param { num_output: 2 kernel_size: 7 pad: 3 } } "
    'layer { name: "b" type: "Convolution" bottom: "data" top: "b" '
    "convolution_param { num_output: 2 kernel_size: 1 } } "
    'layer { name: "c" type: "Concat" bottom: "a" bottom: "b" top: "score" }',
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_of_all_kinds_are_followed(kind: str) -> None:
    net, geometry = filled(DATA + LAYERS[kind])
    picture = image(131, 119)
    whole = net.scores(picture).copy()
    tiling = Tiling(geometry, 48)
    np.testing.assert_allclose(stitched(net, picture, tiling), whole, rtol=0, atol=1e-4 * np.abs(whole).max())
    assert tiling.stride(0) > 16


@pytest.mark.parametrize(
    ("layer", "said"),
    [
        ('type: "InnerProduct" inner_product_param { num_output: 2 }', "'whole' (InnerProduct)"),
        ('type: "Pooling" pooling_param { pool: AVE global_pooling: true }', "'whole' (Pooling)"),
        ('type: "Softmax" softmax_param { axis: 2 }', "'whole' (Softmax)"),
        ('type: "BatchNorm" batch_norm_param { use_global_stats: false }', "'whole' (BatchNorm)"),
    ],
)
def test_a_layer_that_looks_at_the_whole_image_is_named(layer: str, said: str, tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(
        f'{DATA} layer {{ name: "whole" bottom: "data" top: "score" {layer} }}'
    )
    with pytest.raises(SampleError) as error:
        Geometry.read(tmp_path / "net.prototxt", ["score"])
    assert said in str(error.value)


@pytest.mark.parametrize("make", [lambda g, n: Tiling(g, n), lambda g, n: Tiling(g, n + 200, 200)])
def test_a_tile_that_is_too_small_is_told_the_least(make: Callable[[Geometry, int], Tiling]) -> None:
    _, geometry = narrow("voc-fcn8s")
    with pytest.raises(SampleError) as error:
        make(geometry, 16)
    least = int(str(error.value).split("take tiles of ")[1].split()[0])
    assert make(geometry, least if make(geometry, 600).overlap is None else least - 200)


@pytest.mark.slow
def test_memory_goes_by_the_tile_and_not_by_the_image() -> None:
    """The most memory of a process, in MiB, for an image and for one of four times as many pixels."""
    program = """
import sys
from benchmarks.memory import peak_bytes
from fcn.infer.tiles import Tiling, scored
from tests.toolkit.infer.test_tiles import image, narrow
net, geometry = narrow("voc-fcn8s")
picture = image(int(sys.argv[1]), int(sys.argv[1]))
for _ in scored(net, [picture], ["score"], Tiling(geometry, int(sys.argv[2]))):
    pass
print(peak_bytes() >> 20)
"""

    def peak(side: int, tile: int) -> int:
        command = [sys.executable, "-c", program, str(side), str(tile)]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        return int(done.stdout)

    assert peak(1600, 480) - peak(800, 480) < 60 < 150 < peak(1600, 1600) - peak(800, 800)
