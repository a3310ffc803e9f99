"""File names as cameras, Windows and people write them, from the folder to the score."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcn.commands import data as data_command
from fcn.commands import score as score_command
from fcn.data import MissingInputs, TrainingData
from fcn.data.inputs import require
from voc_layers import SampleError, VocFolder
from voc_layers.files import IMAGE_SUFFIXES, LABEL_SUFFIXES, Files
from voc_layers.reading import read_image, read_label_png

LABEL = np.array([[0, 1, 2], [1, 2, 255]], np.uint8)


def picture() -> Image.Image:
    return Image.fromarray(np.full((2, 3, 3), (10, 120, 240), np.uint8))


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A data set without a file in it: one id, im0, in both lists."""
    for folder in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / folder).mkdir(parents=True)
    for split in ("train", "val"):
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text("im0\n")
    (tmp_path / "classes.txt").write_text("a\nb\nc\n")
    return tmp_path


def filled(own: Path, image: str = "im0.jpg", label: str = "im0.png") -> VocFolder:
    picture().save(own / "JPEGImages" / image)
    Image.fromarray(LABEL).save(own / "SegmentationClass" / label)
    return VocFolder.open(own)


@given(st.data())
def test_a_suffix_is_found_in_any_case(tmp_path_factory: pytest.TempPathFactory, draw: st.DataObject) -> None:
    suffix = draw.draw(st.sampled_from(IMAGE_SUFFIXES))
    written = "".join(draw.draw(st.sampled_from((c.lower(), c.upper()))) for c in suffix)
    root = tmp_path_factory.mktemp("folder")
    for name in ("im0" + written, "im0.txt", "im01.jpg"):
        (root / name).touch()
    assert Files(root, IMAGE_SUFFIXES).find("im0") == root / f"im0{written}"


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_an_image_of_every_kind_is_read(own: Path, suffix: str) -> None:
    image, label = filled(own, "im0" + suffix.upper()).pair("im0")
    assert np.abs(image.astype(int) - np.asarray(picture())).max() <= 8  # JPEG and WebP are not exact
    assert (label == LABEL).all()


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
@pytest.mark.parametrize("palette", [True, False])
def test_a_label_of_every_kind_keeps_its_values(tmp_path: Path, suffix: str, palette: bool) -> None:
    label = Image.fromarray(LABEL)
    if palette:
        label.putpalette([(7 * k) % 256 for k in range(768)])
    label.save(tmp_path / f"x{suffix}")
    assert (read_label_png(tmp_path / f"x{suffix}") == LABEL).all()


def test_a_folder_as_a_camera_fills_it_is_checked_and_scored(own: Path, tmp_path: Path) -> None:
    filled(own, "im0.JPG", "im0.PNG")
    require(TrainingData.own(own), True, ())
    assert data_command.main(["check", str(own)]) == 0
    guesses = tmp_path / "guesses"
    guesses.mkdir()
    Image.fromarray(LABEL).save(guesses / "im0.Tif")
    out = tmp_path / "scored"
    for against in (["--data", str(own)], ["--labels", str(own / "SegmentationClass")]):
        named = [] if "--data" in against else ["--classes", str(own / "classes.txt")]
        assert score_command.main([str(guesses), *against, *named, "--out", str(out)]) == 0


def test_two_files_of_one_id_are_refused(own: Path, capsys: pytest.CaptureFixture[str]) -> None:
    filled(own)
    picture().save(own / "JPEGImages/im0.PNG")
    with pytest.raises(SampleError, match=r"im0: expected one file .*im0\.PNG, im0\.jpg"):
        VocFolder.open(own).image("im0")
    assert data_command.main(["check", str(own)]) == 1
    assert "im0.PNG, im0.jpg" in capsys.readouterr().out


@pytest.mark.parametrize("line", ["im0.jpg", "JPEGImages/im0.JPG", "im0 1", "IM0", "im0.jpg im0.png"])
def test_a_list_of_something_else_is_answered_with_the_id(own: Path, line: str) -> None:
    filled(own)
    (own / "ImageSets/Segmentation/train.txt").write_text(f"{line}\n")
    with pytest.raises(MissingInputs, match="here 'im0'"):
        require(TrainingData.own(own), True, ())
    with pytest.raises(SampleError, match="here 'im0'"):
        VocFolder.open(own).image(line)


def test_ids_may_have_points_and_folders(own: Path) -> None:
    (own / "JPEGImages/city").mkdir()
    picture().save(own / "JPEGImages/city/im0.jpg.JPG")
    files = Files(own / "JPEGImages", IMAGE_SUFFIXES)
    assert files.find("city/im0.jpg").name == "im0.jpg.JPG"
    picture().save(own / "JPEGImages/city/im1.jpg")
    assert files.find("city/im1").name == "im1.jpg"  # it was not there when the folder was listed
    with pytest.raises(SampleError, match="here 'city/im1'"):
        files.find("city/im1.jpg")


def test_what_is_there_instead_is_named(own: Path) -> None:
    (own / "JPEGImages/im0.heic").touch()
    with pytest.raises(SampleError, match=r"found nothing; there is im0\.heic"):
        VocFolder.open(own).image("im0")
    with pytest.raises(SampleError, match=r"found nothing; there is im0\.heic"):
        read_image(own / "JPEGImages/im0.jpg")


def test_what_does_not_keep_the_values_of_a_label_is_refused(tmp_path: Path) -> None:
    label = Image.fromarray(LABEL)
    label.save(tmp_path / "white.tif", tiffinfo={262: 0})
    label.save(tmp_path / "lossy.tif", compression="jpeg")
    label.save(tmp_path / "gif.png", format="GIF")
    label.save(tmp_path / "pages.tif", save_all=True, append_images=[label])
    for name, says in (
        ("white.tif", "0 is white"),
        ("lossy.tif", "a TIFF compressed as a JPEG"),
        ("gif.png", "a GIF"),
        ("pages.tif", "found 2 in one file"),
    ):
        with pytest.raises(SampleError, match=rf"{name}: .*{says}"):
            read_label_png(tmp_path / name)


def test_a_grey_bitmap_of_four_bits_is_refused(tmp_path: Path) -> None:
    """Pillow takes two of its pixels for one."""
    header = b"BM" + bytes(8) + (118).to_bytes(4, "little") + (40).to_bytes(4, "little")
    header += (4).to_bytes(4, "little") + (1).to_bytes(4, "little") + b"\1\0\4\0" + bytes(24)
    palette = b"".join(bytes((i, i, i, 0)) for i in range(16))
    (tmp_path / "x.bmp").write_bytes(header + palette + bytes((0x01, 0x2F, 0, 0)))
    with pytest.raises(SampleError, match=r"x\.bmp: .*grey BMP of 4 bits"):
        read_label_png(tmp_path / "x.bmp")
