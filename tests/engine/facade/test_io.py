"""`caffe.io`: images of every kind become the same arrays, and a net's input format can be undone."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

import caffe
import caffe.io
from caffe.proto import caffe_pb2

LUMINANCE = [0.2125, 0.7154, 0.0721]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).random(shape, np.float32)


def test_importing_it_loads_no_image_library() -> None:
    program = "import sys, caffe.io; print([m for m in ('torch', 'scipy', 'PIL') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


# -- load_image ---------------------------------------------------------------------------------------


def test_colour_images_become_rgb_and_lose_their_alpha(tmp_path: Path) -> None:
    rgba = np.random.default_rng(1).integers(0, 256, (5, 7, 4), np.uint8)
    Image.fromarray(rgba).save(tmp_path / "a.png")
    image = caffe.io.load_image(str(tmp_path / "a.png"))
    assert image.dtype == np.float32
    np.testing.assert_allclose(image, rgba[:, :, :3] / 255.0, atol=1e-7)
    grey = caffe.io.load_image(tmp_path / "a.png", color=False)
    np.testing.assert_allclose(grey, (rgba[:, :, :3] / 255.0 @ LUMINANCE)[:, :, None], atol=1e-6)


@pytest.mark.parametrize("transparency", [None, 0])
def test_palette_images_become_their_colours(tmp_path: Path, transparency: int | None) -> None:
    indices = np.array([[0, 1], [2, 0]], np.uint8)
    colours = np.array([[10, 20, 30], [255, 0, 0], [0, 128, 7]], np.uint8)
    image = Image.fromarray(indices).convert("P")
    image.putpalette(colours.tobytes())
    keep = {} if transparency is None else {"transparency": transparency}
    image.save(tmp_path / "p.png", **keep)
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "p.png"), colours[indices] / 255.0, atol=1e-7)


GREY = np.array([[0, 1000, 65535], [257, 30000, 12]])


@pytest.mark.parametrize(
    ("name", "pixels", "want"),
    [
        ("8.png", (GREY >> 8).astype(np.uint8), (GREY >> 8) / 255),
        ("1.png", GREY > 500, GREY > 500),
        ("16.png", GREY.astype(np.uint16), GREY / 65535),
        ("16.tif", GREY.astype(np.uint16), GREY / 65535),
        ("16.pgm", GREY.astype(np.uint16), GREY / 65535),
        ("32.tif", (GREY * 2**15).astype(np.int32), GREY * 2.0**15 / (2**31 - 1)),
        ("float.tif", (GREY / 65535).astype(np.float32), GREY / 65535),
    ],
)
def test_grey_images_of_any_depth_lie_between_0_and_1(tmp_path, name, pixels, want) -> None:
    if name == "16.pgm":  # which Pillow writes since version 11
        (tmp_path / name).write_bytes(b"P5 3 2 65535 " + pixels.astype(">u2").tobytes())
    else:
        Image.fromarray(pixels).save(tmp_path / name)
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / name, color=False)[:, :, 0], want, atol=1e-6)
    colour = caffe.io.load_image(tmp_path / name)
    assert colour.shape == (2, 3, 3)
    np.testing.assert_allclose(colour, np.dstack([want] * 3), atol=1e-6)


def test_grey_with_alpha(tmp_path: Path) -> None:
    Image.merge("LA", [Image.new("L", (4, 3), 51), Image.new("L", (4, 3), 7)]).save(tmp_path / "la.png")
    np.testing.assert_allclose(caffe.io.load_image(tmp_path / "la.png"), np.full((3, 4, 3), 0.2), atol=1e-7)


def test_exif_orientation_is_not_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (6, 4)).save(tmp_path / "turned.jpg", exif=exif)
    assert caffe.io.load_image(tmp_path / "turned.jpg").shape == (4, 6, 3)


def test_a_missing_or_broken_file_is_an_oserror(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    for name in ("absent.png", "text.png"):
        with pytest.raises(OSError, match=name):
            caffe.io.load_image(str(tmp_path / name))


# -- resize_image -------------------------------------------------------------------------------------


def test_doubling_mixes_neighbours_three_to_one_and_fades_at_the_edge() -> None:
    row = np.array([0, 1, 0.5], np.float32)
    up = caffe.io.resize_image(np.tile(row[None, :, None], (3, 1, 1)), (6, 6))
    inner = np.array([0.75 * 0, 0.25, 0.75, 0.875, 0.625, 0.75 * 0.5])
    np.testing.assert_allclose(up[2, :, 0], inner, atol=1e-6)
    np.testing.assert_allclose(up[0, :, 0], 0.75 * inner, atol=1e-6)  # a quarter of zeros beyond the edge


def test_other_numbers_of_channels_are_interpolated_corner_to_corner() -> None:
    im = noise(5, 3, 4)
    up = caffe.io.resize_image(im, (9, 5))
    np.testing.assert_allclose(up[::2, ::2], im, atol=1e-6)
    np.testing.assert_allclose(up[1, 0], (im[0, 0] + im[1, 0]) / 2, atol=1e-6)


@given(
    im=arrays.arrays(
        st.sampled_from([np.float32, np.uint8]),
        st.tuples(st.integers(1, 9), st.integers(1, 9), st.sampled_from([1, 3])),
        elements=st.integers(0, 255),
    ),
    size=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    order=st.sampled_from([0, 1, 3]),
)
def test_resizing_keeps_to_the_range_of_the_image(im: np.ndarray, size: tuple[int, int], order: int) -> None:
    resized = caffe.io.resize_image(im, size, order)
    assert resized.shape == (*size, im.shape[2]) and resized.dtype == np.float32
    assert resized.min() >= im.min() - 1e-3 and resized.max() <= im.max() + 1e-3
    if im.min() == im.max():
        assert (resized == im.min()).all()


def test_a_shrinking_image_is_smoothed() -> None:
    stripes = np.zeros((40, 40, 1), np.float32)
    stripes[:, ::2] = 1
    small = caffe.io.resize_image(stripes, (10, 10))[2:-2, 2:-2]
    np.testing.assert_allclose(small, 0.5, atol=0.02)


def test_an_image_without_channels_is_refused() -> None:
    with pytest.raises(RuntimeError, match=r"\(4, 5\).*np.newaxis"):
        caffe.io.resize_image(np.zeros((4, 5)), (2, 2))


# -- oversample ---------------------------------------------------------------------------------------


@given(
    size=st.tuples(st.integers(1, 12), st.integers(1, 12)),
    crop=st.tuples(st.integers(1, 12), st.integers(1, 12)),
)
def test_ten_crops_in_order(size: tuple[int, int], crop: tuple[int, int]) -> None:
    images = [noise(*size, 2, seed=seed) for seed in (0, 1)]
    (height, width), (h, w) = size, crop
    if h > height or w > width:
        with pytest.raises(ValueError, match="do not fit"):
            caffe.io.oversample(images, crop)
        return
    y, x = int(height / 2 - h / 2), int(width / 2 - w / 2)
    crops = caffe.io.oversample(images, np.array(crop))
    assert crops.shape == (20, h, w, 2)
    for image, ten in zip(images, crops.reshape(2, 10, h, w, 2)):
        top, bottom, left, right = slice(h), slice(height - h, None), slice(w), slice(width - w, None)
        plain = image[top, left], image[top, right], image[bottom, left], image[bottom, right]
        np.testing.assert_array_equal(ten[:4], plain)
        np.testing.assert_array_equal(ten[4], image[y : y + h, x : x + w])
        np.testing.assert_array_equal(ten[5:], ten[:5, :, ::-1])


# -- Transformer --------------------------------------------------------------------------------------


def transformer(channels: int = 3, height: int = 6, width: int = 7) -> caffe.io.Transformer:
    return caffe.io.Transformer({"data": (1, channels, height, width)})


def test_preprocess_is_the_formula() -> None:
    t = transformer()
    t.set_transpose("data", (2, 0, 1))
    t.set_channel_swap("data", (2, 1, 0))
    t.set_raw_scale("data", 255)
    t.set_mean("data", np.array([104.0, 117.0, 123.0]))
    t.set_input_scale("data", 0.017)
    im = noise(6, 7, 3)
    want = ((im[:, :, ::-1] * 255.0 - [104, 117, 123]) * 0.017).transpose(2, 0, 1)
    np.testing.assert_allclose(t.preprocess("data", im.copy()), want, rtol=1e-5, atol=1e-5)


def test_preprocess_resizes_to_the_input() -> None:
    im = noise(3, 4, 3)
    np.testing.assert_array_equal(transformer().preprocess("data", im), caffe.io.resize_image(im, (6, 7)))


def test_a_shape_of_the_nets_own_kind_works(net_of) -> None:
    net = net_of('layer { name: "d" type: "Input" top: "d" input_param { shape { dim: [1, 3, 6, 7] } } }')
    t = caffe.io.Transformer({"d": net.blobs["d"].shape})
    t.set_transpose("d", (2, 0, 1))
    assert t.preprocess("d", noise(9, 9, 3)).shape == (3, 6, 7)


@given(
    swap=st.permutations(range(3)) | st.none(),
    raw=st.sampled_from([None, 0.5, 255.0]),
    mean=st.sampled_from([None, (3,), (3, 6, 7), (3, 2, 9)]),
    scale=st.sampled_from([None, 0.25, 2.0]),
)
def test_deprocess_undoes_preprocess(swap, raw, mean, scale) -> None:
    t = transformer()
    t.set_transpose("data", (2, 0, 1))
    settings = {
        "channel_swap": swap, "raw_scale": raw, "mean": mean and noise(*mean, seed=3), "input_scale": scale,
    }  # fmt: skip
    for name, value in settings.items():
        if value is not None:
            getattr(t, f"set_{name}")("data", value)
    im = noise(6, 7, 3)
    batch = t.preprocess("data", im.copy())[np.newaxis]
    np.testing.assert_allclose(t.deprocess("data", batch), im, atol=1e-5)


def test_preprocess_may_change_its_argument_as_in_pycaffe() -> None:
    t = transformer()
    t.set_raw_scale("data", 2)
    im = np.ones((6, 7, 3), np.float32)
    t.preprocess("data", im)
    assert (im == 2).all()
    whole = np.ones((6, 7, 3), np.uint8)
    t.preprocess("data", whole)
    assert (whole == 1).all()


def test_a_setting_of_none_is_none() -> None:
    t = transformer()
    t.set_raw_scale("data", None)
    t.set_input_scale("data", None)
    t.mean["data"] = t.channel_swap["data"] = None
    im = noise(6, 7, 3)
    np.testing.assert_array_equal(
        t.preprocess("data", im.copy()), transformer().preprocess("data", im.copy())
    )
    np.testing.assert_array_equal(t.deprocess("data", im), transformer().deprocess("data", im))


def test_means_of_every_shape() -> None:
    t = transformer()
    t.set_mean("data", np.array([1.0, 2.0, 3.0]))
    assert t.mean["data"].shape == (3, 1, 1)
    t.set_mean("data", noise(3, 9, 2))
    assert t.mean["data"].shape == (3, 6, 7)
    t.set_mean("data", np.full((3, 9, 2), 5.0))
    np.testing.assert_array_equal(t.mean["data"], np.full((3, 6, 7), 5.0))
    grey, mean, im = transformer(channels=1), noise(6, 7, seed=1), noise(6, 7, 1)
    grey.set_transpose("data", (2, 0, 1))
    grey.set_mean("data", mean)
    np.testing.assert_allclose(grey.preprocess("data", im.copy())[0], im[:, :, 0] - mean, atol=1e-6)


@pytest.mark.parametrize("shape", [(4,), (6, 7), (1, 3, 6, 7), ()])
def test_a_mean_that_does_not_fit_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Mean"):
        transformer().set_mean("data", np.zeros(shape))


@pytest.mark.parametrize(
    ("method", "value"),
    [
        ("set_transpose", (2, 0, 1)), ("set_channel_swap", (2, 1, 0)), ("set_raw_scale", 1),
        ("set_input_scale", 1), ("set_mean", np.zeros(3)), ("preprocess", np.zeros((6, 7, 3))),
        ("deprocess", np.zeros((3, 6, 7))),
    ],
)  # fmt: skip
def test_every_method_wants_the_name_of_an_input(method: str, value) -> None:
    with pytest.raises(Exception, match="dat is not one of the net inputs"):
        getattr(transformer(), method)("dat", value)


# -- messages -----------------------------------------------------------------------------------------

SHAPES = arrays.array_shapes(min_dims=0, max_dims=5, max_side=4)


@given(arrays.arrays(np.float32, SHAPES, elements=st.floats(-1e6, 1e6, width=32)))
def test_arrays_survive_a_blobproto(array: np.ndarray) -> None:
    blob = caffe_pb2.BlobProto.FromString(caffe.io.array_to_blobproto(array, -array).SerializeToString())
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob), array)
    np.testing.assert_array_equal(caffe.io.blobproto_to_array(blob, return_diff=True), -array)
    packed = caffe.io.arraylist_to_blobprotovector_str([array, array * 2])
    back = caffe.io.blobprotovector_str_to_arraylist(packed)
    assert [item.dtype for item in back] == [np.float64] * 2
    np.testing.assert_array_equal(back[1], array.astype(np.float64) * 2)


def test_a_mean_file_as_scripts_read_it(in_tmp: Path) -> None:
    old = caffe_pb2.BlobProto(num=1, channels=3, height=2, width=2, data=range(12))
    Path("mean.binaryproto").write_bytes(old.SerializeToString())
    blob = caffe.io.caffe_pb2.BlobProto()
    with open("mean.binaryproto", "rb") as file:
        blob.ParseFromString(file.read())
    mean = np.array(caffe.io.blobproto_to_array(blob))[0]
    assert mean.mean(1).mean(1).tolist() == [1.5, 5.5, 9.5]


def test_old_dims_win_over_the_shape() -> None:
    blob = caffe.io.array_to_blobproto(np.arange(6.0))
    blob.num, blob.channels, blob.height, blob.width = 1, 1, 2, 3
    assert caffe.io.blobproto_to_array(blob).shape == (1, 1, 2, 3)


def test_doubles_are_not_read() -> None:
    blob = caffe_pb2.BlobProto(double_data=[1, 2])
    blob.shape.dim.append(2)
    with pytest.raises(ValueError, match="reshape"):
        caffe.io.blobproto_to_array(blob)


@given(arrays.arrays(st.sampled_from([np.uint8, np.float32]), (2, 3, 4), elements=st.integers(0, 255)))
def test_arrays_survive_a_datum(array: np.ndarray) -> None:
    datum = caffe.io.array_to_datum(array, 9)
    back = caffe.io.datum_to_array(caffe_pb2.Datum.FromString(datum.SerializeToString()))
    assert back.dtype == (np.uint8 if array.dtype == np.uint8 else np.float64) and datum.label == 9
    np.testing.assert_array_equal(back, array)
    back += 1  # the array is the caller's own


def test_what_a_datum_cannot_give_is_refused() -> None:
    with pytest.raises(ValueError, match=r"channels x height x width, not \(3, 4\)"):
        caffe.io.array_to_datum(np.zeros((3, 4)))
    with pytest.raises(ValueError, match="encoded"):
        caffe.io.datum_to_array(caffe_pb2.Datum(data=b"\xff\xd8", encoded=True))
