"""Images: OpenCV's pixels from files of many kinds, its resizing and grey, and Datums of them."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from PIL import Image

from caffe._caffe.data import datum, images
from caffe._caffe.errors import DataError
from caffe.proto.caffe_pb2 import Datum, TransformationParameter

RGB = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
#: What cv2.resize gives for the middle channel of (37 i + 91 j + 50 c) mod 256, 5x7.
RESIZED = {
    (3, 4): [[96, 149, 159, 126], [158, 61, 221, 124], [156, 123, 58, 185]],
    (8, 11): [
        [50, 91, 149, 207, 172, 67, 125, 183, 241, 159, 84],
        [66, 107, 155, 142, 117, 83, 141, 168, 155, 124, 100],
        [89, 131, 165, 60, 48, 106, 164, 152, 47, 82, 123],
        [112, 154, 188, 83, 71, 129, 187, 175, 70, 105, 146],
        [136, 177, 212, 107, 95, 152, 159, 140, 86, 128, 169],
        [159, 200, 235, 130, 118, 176, 81, 47, 95, 151, 193],
        [182, 158, 127, 114, 141, 199, 94, 59, 116, 174, 216],
        [198, 123, 41, 99, 157, 215, 110, 75, 133, 190, 232],
    ],
    (2, 20): [
        [78, 80, 112, 143, 161, 126, 90, 71, 80, 90, 110, 142, 174, 163, 128, 92, 92, 101, 111, 112],
        [170, 171, 180, 190, 189, 154, 119, 108, 139, 171, 158, 101, 43, 43, 75, 106, 138, 170, 202, 204],
    ],
}  # fmt: skip


def stored(image: Image.Image, kind: str = "PNG", **settings: Any) -> bytes:
    stream = io.BytesIO()
    image.save(stream, kind, **settings)
    return stream.getvalue()


def decode(image: Image.Image, mode: images.Mode, kind: str = "PNG", **settings: Any) -> np.ndarray:
    return images.decode(stored(image, kind, **settings), mode, "x")


@pytest.mark.parametrize("size", RESIZED)
def test_resizing_is_opencvs_to_the_last_bit(size) -> None:
    i, j, c = np.mgrid[:5, :7, :3]
    image = ((37 * i + 91 * j + 50 * c) % 256).astype(np.uint8)
    np.testing.assert_array_equal(images.resize(image, *size)[..., 1], RESIZED[size])


def test_resizing_samples_at_half_pixel_centres_without_smoothing() -> None:
    ramp = np.repeat(np.arange(0, 250, 10, dtype=np.uint8)[None], 3, 0)[..., None]
    found = images.resize(ramp, 3, 10)[1, :, 0]
    np.testing.assert_allclose(found, 10 * ((np.arange(10) + 0.5) * 2.5 - 0.5), atol=1)
    np.testing.assert_array_equal(images.resize(ramp, 3, 25), ramp)


def test_colour_is_bgr() -> None:
    np.testing.assert_array_equal(decode(Image.fromarray(RGB), "color"), RGB[..., ::-1])


@pytest.mark.parametrize(
    ("kind", "formula"),
    [
        ("PNG", lambda r, g, b: (9797 * r + 19234 * g + 3737 * b) >> 15),
        ("BMP", lambda r, g, b: (4899 * r + 9617 * g + 1868 * b + 8192) >> 14),
    ],
)
def test_grey_of_colour_has_the_weights_of_opencvs_readers(kind, formula) -> None:
    found = decode(Image.fromarray(RGB), "gray", kind)
    np.testing.assert_array_equal(found[..., 0], formula(*RGB.astype(int).transpose(2, 0, 1)))


def test_grey_of_a_jpeg_is_its_luminance() -> None:
    data = stored(Image.fromarray(RGB), "JPEG", quality=95)
    with Image.open(io.BytesIO(data)) as image:
        image.draft("YCbCr", image.size)
        luminance = np.asarray(image)[..., 0]
    np.testing.assert_array_equal(images.decode(data, "gray", "x")[..., 0], luminance)


def test_channels_as_stored() -> None:
    alpha = np.random.default_rng(1).integers(0, 256, (6, 8, 4), dtype=np.uint8)
    image = Image.fromarray(alpha)
    np.testing.assert_array_equal(decode(image, "stored"), alpha[..., [2, 1, 0, 3]])
    np.testing.assert_array_equal(decode(image, "color"), alpha[..., [2, 1, 0]])
    gray = Image.fromarray(RGB[..., 0])
    np.testing.assert_array_equal(decode(gray, "stored")[..., 0], RGB[..., 0])
    np.testing.assert_array_equal(decode(gray, "color"), RGB[..., [0, 0, 0]])
    palette = Image.fromarray(RGB).quantize(4)
    np.testing.assert_array_equal(decode(palette, "stored"), np.asarray(palette.convert("RGB"))[..., ::-1])


def test_cmyk_is_converted_as_opencv_does() -> None:
    ink = Image.fromarray(np.full((8, 8, 4), (10, 60, 110, 40), np.uint8), "CMYK")
    c, m, y, k = (255 - value for value in (10, 60, 110, 40))
    expected = [k - ((255 - value) * k >> 8) for value in (y, m, c)]
    found = decode(ink, "color", "JPEG", quality=100)
    np.testing.assert_allclose(found.reshape(-1, 3), np.tile(expected, (64, 1)), atol=2)


def test_the_orientation_of_a_photograph_is_followed() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    image = Image.fromarray(RGB)
    np.testing.assert_array_equal(decode(image, "color", exif=exif), np.rot90(RGB, -1)[..., ::-1])
    assert decode(image, "stored", exif=exif).shape == (6, 8, 3)


def test_sixteen_bits_become_eight_or_are_refused() -> None:
    deep = np.random.default_rng(2).integers(0, 65536, (6, 8)).astype(np.uint16)
    image = Image.fromarray(deep)
    np.testing.assert_array_equal(decode(image, "gray")[..., 0], deep >> 8)
    with pytest.raises(DataError, match="more than 8 bits"):
        decode(image, "stored")


def test_files_that_are_no_images(in_tmp) -> None:
    (in_tmp / "a.png").write_text("no image")
    with pytest.raises(DataError, match="could not decode image 'a.png'"):
        images.read("a.png")
    with pytest.raises(DataError, match="could not open image 'b.png': there is no such file"):
        images.read("b.png")


def test_what_is_encoded_decodes_again() -> None:
    for channels in (1, 3, 4):
        image = np.random.default_rng(3).integers(0, 256, (5, 4, channels), dtype=np.uint8)
        np.testing.assert_array_equal(images.decode(images.encode(image, "png"), "stored", "x"), image)
    assert images.encode(RGB, ".JPG").startswith(b"\xff\xd8")
    with pytest.raises(DataError, match="cannot be encoded as 'xyz'"):
        images.encode(RGB, "xyz")


# ---- Datum ---------------------------------------------------------------------------------------


def test_a_datum_of_raw_pixels(in_tmp) -> None:
    Image.fromarray(RGB).save("a.png")
    raw = datum.from_file("a.png", 7)
    assert (raw.channels, raw.height, raw.width, raw.label, raw.encoded) == (3, 6, 8, 7, False)
    np.testing.assert_array_equal(datum.pixels(raw, "x"), RGB[..., ::-1].transpose(2, 0, 1))
    small = datum.from_file("a.png", height=3, width=4, color=False)
    assert (small.channels, small.height, small.width) == (1, 3, 4)


def test_an_encoded_datum_keeps_the_file_where_nothing_changes(in_tmp) -> None:
    Image.fromarray(RGB).save("a.jpeg")
    file = (in_tmp / "a.jpeg").read_bytes()
    assert datum.from_file("a.jpeg", encoding="jpg").data == file
    for changed in ({"encoding": "png"}, {"encoding": "jpg", "height": 6, "width": 8}):
        found = datum.from_file("a.jpeg", **changed)
        assert found.encoded and found.data != file
    png = datum.from_file("a.jpeg", encoding="png")
    np.testing.assert_array_equal(datum.pixels(png, "x").transpose(1, 2, 0), images.read("a.jpeg"))


def test_floats_in_a_datum() -> None:
    values = np.random.default_rng(4).standard_normal((2, 3, 4)).astype(np.float32)
    np.testing.assert_array_equal(datum.pixels(datum.from_values(values), "x"), values)


def test_force_color_and_force_gray() -> None:
    encoded = Datum(data=stored(Image.fromarray(RGB)), encoded=True)
    gray = datum.pixels(encoded, "x", TransformationParameter(force_gray=True))
    assert gray.shape == (1, 6, 8)
    assert datum.pixels(encoded, "x", TransformationParameter(force_color=True)).shape == (3, 6, 8)
    with pytest.raises(DataError, match="both force_color and force_gray"):
        datum.pixels(encoded, "x", TransformationParameter(force_color=True, force_gray=True))


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (Datum(channels=1, height=2, width=2, data=b"abc"), r"x: 3 values in data for \(1, 2, 2\)"),
        (Datum(channels=1, height=2, width=2), r"x: 0 values in float_data for \(1, 2, 2\)"),
        (Datum(data=b"abc", encoded=True), "could not decode x"),
    ],
)
def test_a_datum_that_does_not_hold_what_it_says(wrong, message) -> None:
    with pytest.raises(DataError, match=message):
        datum.pixels(wrong, "x")


def test_bytes_that_are_no_datum() -> None:
    with pytest.raises(DataError, match="x is not a Datum"):
        datum.parse(b"\xff\xff\xff", "x")


def test_a_suffix_in_the_other_case_is_named(in_tmp):
    Image.fromarray(RGB).save("im0.JPG")
    if (in_tmp / "im0.jpg").exists():
        pytest.skip("names differ in more than their case on this file system")
    with pytest.raises(DataError, match=r"'im0\.jpg': there is no such file, but 'im0\.JPG' is there"):
        images.read("im0.jpg")
    assert images.read("im0.JPG").shape == RGB.shape
