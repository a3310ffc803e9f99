"""What becomes of images: kept byte for byte, converted without loss, turned with labels, or refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.toolkit.data.importing.test_values import Import


def pair(
    root: Path, image: Image.Image, suffix: str, label: np.ndarray | None = None, **options: object
) -> Path:
    """The image twice, with a label of its size or the one given."""
    for part in ("images", "masks"):
        (root / part).mkdir(parents=True)
    if label is None:
        label = np.zeros(image.size[::-1], np.uint8)
        label[2:5, 3:6] = 1
    for i in range(2):
        image.save(root / f"images/{i}{suffix}", **options)
        Image.fromarray(label).save(root / f"masks/{i}.png")
    return root


def noise(*shape: int) -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


@pytest.mark.parametrize("suffix", [".bmp", ".TIF", ".tiff", ".webp", ".gif", ".png", ".PNG"])
def test_other_formats_keep_every_pixel(suffix: str, tmp_path: Path) -> None:
    image = noise(12, 16, 3) if suffix != ".gif" else noise(12, 16)
    options = {"lossless": True} if suffix == ".webp" else {}
    done = Import(pair(tmp_path / "raw", image, suffix, **options))
    np.testing.assert_array_equal(done.folder.image("0"), np.asarray(image.convert("RGB")))
    assert done.folder.image_path("0").suffix == ".png"


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_a_jpeg_is_kept_byte_for_byte(suffix: str, tmp_path: Path) -> None:
    done = Import(pair(tmp_path / "raw", noise(12, 16, 3), suffix, quality=30))
    assert (done.out / "JPEGImages/0.jpg").read_bytes() == (tmp_path / f"raw/images/0{suffix}").read_bytes()


def test_a_png_called_jpg_gets_its_own_suffix(tmp_path: Path) -> None:
    root = pair(tmp_path / "raw", noise(12, 16, 3), ".png")
    for i in range(2):
        (root / f"images/{i}.png").rename(root / f"images/{i}.jpg")
    assert Import(root).folder.image_path("0").name == "0.png"


def turned(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


@pytest.mark.parametrize(
    ("orientation", "back"), [(6, Image.Transpose.ROTATE_270), (8, Image.Transpose.ROTATE_90)]
)
def test_an_image_is_turned_where_its_label_is_as_it_is_shown(
    orientation: int, back: Image.Transpose, tmp_path: Path
) -> None:
    image = Image.fromarray(np.linspace(0, 255, 24 * 40 * 3).reshape(24, 40, 3).astype(np.uint8))
    label = np.zeros((40, 24), np.uint8)
    label[:9] = 1
    done = Import(pair(tmp_path / "raw", image, ".jpg", label, exif=turned(orientation), quality=95))
    shown = np.asarray(image.transpose(back)).astype(int)
    assert np.abs(done.folder.pair("0")[0] - shown).mean() < 3
    with Image.open(done.folder.image_path("0")) as out:
        assert out.getexif().get(0x0112, 1) == 1
    assert "turned" in (done.out / "import.txt").read_text()


def test_an_image_stays_as_it_is_stored_where_its_label_is(tmp_path: Path) -> None:
    done = Import(pair(tmp_path / "raw", noise(24, 40, 3), ".jpg", exif=turned(6)))
    assert (done.out / "JPEGImages/0.jpg").read_bytes() == (tmp_path / "raw/images/0.jpg").read_bytes()
    assert done.folder.pair("0")[1].shape == (24, 40)


@pytest.mark.parametrize(("shape", "orientation"), [((24, 24, 3), 6), ((24, 40, 3), 3)])
def test_where_sizes_do_not_tell_it_has_to_be_said(
    shape: tuple[int, ...], orientation: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = pair(tmp_path / "raw", noise(*shape), ".png", exif=turned(orientation))
    assert Import(root).status == 1
    assert f"EXIF orientation is {orientation}" in capsys.readouterr().err
    stored = Import(root, "--exif", "ignore").folder.image("0")
    shown = Import(root, "--exif", "apply", "--force").folder.image("0")
    np.testing.assert_array_equal(shown, np.rot90(stored, 2 if orientation == 3 else 3))


def test_transparent_parts_of_an_image_are_black(tmp_path: Path) -> None:
    pixels = np.asarray(noise(12, 16, 4)).copy()
    pixels[:6, :, 3], pixels[6:, :, 3] = 0, 255
    done = Import(pair(tmp_path / "raw", Image.fromarray(pixels), ".png"))
    image = done.folder.image("0")
    assert not image[:6].any()
    np.testing.assert_array_equal(image[6:], pixels[6:, :, :3])


def test_cmyk_becomes_rgb(tmp_path: Path) -> None:
    done = Import(pair(tmp_path / "raw", noise(12, 16, 3).convert("CMYK"), ".jpg"))
    assert done.folder.image("0").shape == (12, 16, 3)
    assert "CMYK to RGB" in (done.out / "import.txt").read_text()


def test_an_image_of_16_bits_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    image = Image.fromarray(np.arange(192, dtype=np.uint16).reshape(12, 16) * 300)
    assert Import(pair(tmp_path / "raw", image, ".png")).status == 1
    assert "expected an image of 8 bits" in capsys.readouterr().err
