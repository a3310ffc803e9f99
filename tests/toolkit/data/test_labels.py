"""What is judged before a training: labels that cannot be meant stop it, odd ones are told with numbers."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import data as data_command
from fcn.data import TrainingData, check_split
from vis import make_palette
from voc_layers import SampleError, VocFolder
from voc_layers.reading import read_classes, read_image, read_label_png, read_split


def folder(
    root: Path, labels: list[np.ndarray], classes: tuple[str, ...] | None, palettes: list = ()
) -> Path:
    """Own data: the first half of the labels to train on, the rest to score."""
    for name in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for i, values in enumerate(labels):
        label = Image.fromarray(values.astype(np.uint8))
        if palettes:
            label.putpalette(palettes[i])
        label.save(root / f"SegmentationClass/{i}.png")
        Image.fromarray(np.zeros((*values.shape, 3), np.uint8)).save(root / f"JPEGImages/{i}.png")
    half = len(labels) // 2
    for split, numbers in (("train", range(half)), ("val", range(half, len(labels)))):
        (root / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{i}\n" for i in numbers))
    if classes:
        (root / "classes.txt").write_text("".join(f"{name}\n" for name in classes))
    return root


def warnings(root: Path) -> list[str]:
    check = check_split(TrainingData.own(root).train)
    assert not check.problems
    return check.warnings


def thirds(*values: int) -> np.ndarray:
    """A label of 9 x 6 pixels: each value in as many rows."""
    return np.repeat(np.array(values, np.uint8), 9 // len(values))[:, None].repeat(6, 1)


def test_masks_of_0_and_255_are_told_with_the_class_and_the_share(tmp_path: Path) -> None:
    (said,) = warnings(folder(tmp_path, [thirds(0, 0, 255)] * 4, ("road", "car")))
    assert "class car is in no label" in said and "33.33 % of the pixels are 255" in said


def test_more_classes_named_than_present(tmp_path: Path) -> None:
    (said,) = warnings(folder(tmp_path, [thirds(0, 1, 255)] * 4, ("a", "b", "c", "d")))
    assert said == "classes c, d are in no label: 2 of 4 classes occur"


def test_labels_that_are_void_altogether_stop_or_are_counted(tmp_path: Path) -> None:
    some = folder(tmp_path / "some", [thirds(0, 1), thirds(255), thirds(0, 1), thirds(255)], ("a", "b"))
    assert warnings(some) == ["1 of 2 labels are void altogether (1): no loss comes of them"]
    none = folder(tmp_path / "all", [thirds(255)] * 2 + [thirds(0, 1)] * 2, ("a", "b"))
    with pytest.raises(SampleError, match="every pixel of its 2 labels is 255, which is void"):
        TrainingData.own(none).check(scored=False)


def test_one_class_alone_stops(tmp_path: Path) -> None:
    root = folder(tmp_path, [thirds(0)] * 2, ("road",))
    with pytest.raises(SampleError, match="one class, 'road'"):
        TrainingData.own(root).check(scored=True)


def test_palettes_that_differ_from_file_to_file(tmp_path: Path) -> None:
    first, second = [0, 0, 0, 200, 0, 0, 0, 200, 0], [0, 0, 0, 0, 200, 0, 200, 0, 0]
    labels = [thirds(0, 1, 2)] * 4
    (said,) = warnings(folder(tmp_path / "a", labels, ("a", "b", "c"), [first, second, first, first]))
    assert "index 1 is (200, 0, 0) in 0 and (0, 200, 0) in 1" in said
    assert warnings(folder(tmp_path / "b", labels, ("a", "b", "c"), [first] * 4)) == []


def test_without_a_classes_txt_labels_are_taken_for_vocs_and_that_is_said(tmp_path: Path) -> None:
    grey = folder(tmp_path / "grey", [thirds(0, 1, 2)] * 4, None)
    assert any("no classes.txt" in text and "PASCAL VOC's 21 classes" in text for text in warnings(grey))
    voc = make_palette(256).ravel().tolist()
    coloured = folder(tmp_path / "voc", [thirds(0, 1, 2)] * 4, None, [voc] * 4)
    assert not any("classes.txt" in text for text in warnings(coloured))


def test_a_number_of_classes_that_contradicts_the_names_is_refused(tmp_path: Path) -> None:
    root = folder(tmp_path, [thirds(0, 1)] * 2, ("a", "b"))
    for count in (1, 3, 21):
        with pytest.raises(SampleError, match=f"classes.txt: names 2 classes, but {count} are asked for"):
            VocFolder.open(root, count)
    assert VocFolder.open(root, 2).classes == ("a", "b")


def test_the_command_shows_the_warnings_below_the_problems(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = folder(tmp_path, [thirds(0, 255)] * 2, ("a", "b"))
    assert data_command.main(["check", str(root)]) == 0
    assert (
        "train: 1 images, no problems, 1 warning\n  warning: class b is in no label"
        in capsys.readouterr().out
    )


# -- text files ---------------------------------------------------------------------------------------

MARKS = {"utf-8": b"", "utf-8-sig": b"", "utf-16": b"", "utf-16-le": b"\xff\xfe", "utf-16-be": b"\xfe\xff"}


@pytest.mark.parametrize("encoding", MARKS)
def test_lists_and_classes_are_read_as_windows_writes_them(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "classes.txt").write_bytes(
        MARKS[encoding] + "# mean: 90 100 110\r\n# void: 9\r\nhintergrund\r\nstraße\r\n".encode(encoding)
    )
    found = read_classes(tmp_path / "classes.txt")
    assert (found.names, found.mean, found.void) == (("hintergrund", "straße"), (90.0, 100.0, 110.0), 9)
    (tmp_path / "train.txt").write_bytes(MARKS[encoding] + "im0\r\nim1\r\n".encode(encoding))
    assert read_split(tmp_path / "train.txt") == ["im0", "im1"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"one\nb\xe4r\n", r"list\.txt:2: expected text in UTF-8, found the byte 0xe4"),
        ("im0\n".encode("utf-16-le"), r"list\.txt: expected text in UTF-8, found bytes that are zero"),
        (b"\n \n", r"list\.txt: expected one entry a line, found an empty list"),
        (b"im0\n../im1\n", r"list\.txt: expected image ids.*'\.\./im1', which leads out"),
        (b"/etc/passwd\n", r"list\.txt: expected image ids.*'/etc/passwd'"),
        (b"a/../../im1\n", r"list\.txt: expected image ids"),
    ],
)
def test_a_list_that_is_none_is_named(tmp_path: Path, content: bytes, says: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    with pytest.raises(SampleError, match=says):
        read_split(tmp_path / "list.txt")


def test_ids_in_folders_below_are_ids(tmp_path: Path) -> None:
    (tmp_path / "list.txt").write_text("city/im..1\nim2\n")
    assert read_split(tmp_path / "list.txt") == ["city/im..1", "im2"]


# -- stored values ------------------------------------------------------------------------------------


def png(path: Path, depth: int, colour: int, width: int, row: bytes, palette: bytes = b"") -> Path:
    """A PNG of one row, by hand: Pillow writes no grey ones of 2 or 4 bits."""

    def chunk(tag: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + tag + data + struct.pack(">I", zlib.crc32(tag + data))

    header = struct.pack(">IIBBBBB", width, 1, depth, colour, 0, 0, 0)
    body = chunk(b"IHDR", header) + (chunk(b"PLTE", palette) if palette else b"")
    body += chunk(b"IDAT", zlib.compress(b"\0" + row)) + chunk(b"IEND", b"")
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)
    return path


GREY, RGB, INDEXED = 0, 2, 3


@pytest.mark.parametrize(
    ("depth", "colour", "row", "values"),
    [
        (1, GREY, b"\xb0", [1, 0, 1, 1]),
        (2, GREY, b"\x1b", [0, 1, 2, 3]),
        (4, GREY, b"\x01\x2f", [0, 1, 2, 15]),
        (8, GREY, b"\x00\x11\x02\xff", [0, 17, 2, 255]),
        (16, GREY, b"\x00\x00\x00\x11\x00\xff\x01\x00", [0, 17, 255, 256]),
        (2, INDEXED, b"\x1b", [0, 1, 2, 3]),
        (4, INDEXED, b"\x01\x23", [0, 1, 2, 3]),
    ],
)
def test_a_label_has_the_values_that_are_stored(
    tmp_path: Path, depth: int, colour: int, row: bytes, values: list[int]
) -> None:
    path = png(tmp_path / "x.png", depth, colour, 4, row, bytes(range(12)) if colour == INDEXED else b"")
    assert read_label_png(path).astype(int).tolist() == [values]


def test_images_of_sixteen_bits_a_channel_are_refused(tmp_path: Path) -> None:
    path = png(tmp_path / "x.png", 16, RGB, 1, bytes(6))
    with pytest.raises(
        SampleError, match=r"x\.png: expected an RGB or grey image of 8 bits, found .* 16 bits"
    ):
        read_image(path)


def test_a_label_that_was_stored_with_loss_is_refused(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "x.png", format="JPEG")
    with pytest.raises(SampleError, match=r"x\.png: expected a PNG, found a JPEG"):
        read_label_png(tmp_path / "x.png")


@pytest.mark.parametrize("cut", [0, 8, 30, 45])
def test_a_damaged_image_is_named(tmp_path: Path, cut: int) -> None:
    path = png(tmp_path / "x.png", 8, GREY, 4, b"\0\1\2\3")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SampleError, match=r"x\.png: expected an image, found a file that does not decode"):
        read_label_png(path)
