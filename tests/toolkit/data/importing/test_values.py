"""What the values of label files are taken for, and what is refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from fcn.commands import data as data_command
from fcn.data.importing import Table, parse_key, read_table
from fcn.data.importing.table import VOID_NAMES
from tests.toolkit.data.importing import raw
from vis import make_palette
from voc_layers import SampleError, VocFolder
from voc_layers.facts import VOID


def flat(root: Path, *labels: np.ndarray | Image.Image, suffix: str = ".png") -> Path:
    """Labels in masks/0, masks/1, ... with images of their sizes; of one label alone two pairs."""
    for i, label in enumerate(labels if len(labels) > 1 else labels * 2):
        image = label if isinstance(label, Image.Image) else Image.fromarray(label)
        for part in ("images", "masks"):
            (root / part).mkdir(parents=True, exist_ok=True)
        Image.new("RGB", image.size, (40 * i, 90, 90)).save(root / f"images/{i}.png")
        image.save(root / f"masks/{i}{suffix}")
    return root


class Import:
    """An import into `out` by the command line, and what it said."""

    def __init__(self, source: Path, *arguments: str) -> None:
        self.out = source.parent / "out"
        self.status = data_command.main(["import", str(source), "-o", str(self.out), *arguments])

    @property
    def folder(self) -> VocFolder:
        return VocFolder.open(self.out)

    @property
    def notes(self) -> str:
        return " ".join(json.loads((self.out / "import.json").read_text())["notes"])


def rows(*values: int, dtype: type = np.uint8) -> np.ndarray:
    """A label with three rows of each value."""
    return np.repeat(np.array(values, dtype), 3)[:, None].repeat(8, 1)


def test_grey_edges_fall_to_the_side_of_the_threshold_which_is_stated(tmp_path: Path) -> None:
    label = rows(0, 0, 60, 200, 255, 255, 255)
    done = Import(flat(tmp_path / "raw", label))
    np.testing.assert_array_equal(done.folder.label("0"), label >= 128)
    assert "from 128 on" in done.notes
    done = Import(tmp_path / "raw", "--threshold", "201", "--force", "--classes", "sky,bird")
    np.testing.assert_array_equal(done.folder.label("0"), label >= 201)
    assert done.folder.classes == ("sky", "bird")


def test_255_beside_class_indices_is_void_and_no_object(tmp_path: Path) -> None:
    done = Import(flat(tmp_path / "raw", rows(0, 15, 255), rows(0, 2, 255)))
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 15, 255))
    assert len(done.folder.classes) == 16


def test_255_is_void_where_that_is_said(tmp_path: Path) -> None:
    done = Import(flat(tmp_path / "raw", rows(0, 255)), "--void", "255")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 255))


def test_another_void_value_becomes_255(tmp_path: Path) -> None:
    done = Import(flat(tmp_path / "raw", rows(0, 1, 2)), "--void", "2", "--classes", "a,b")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 1, VOID))


def test_minus_one_in_arrays_is_void(tmp_path: Path) -> None:
    root = flat(tmp_path / "raw", rows(0, 1))
    for i in range(2):
        (root / f"masks/{i}.png").unlink()
        np.save(root / f"masks/{i}.npy", rows(-1, 1, dtype=np.int16).astype(float))
    np.testing.assert_array_equal(Import(root).folder.label("0"), rows(VOID, 1))


def test_16_bit_labels(tmp_path: Path) -> None:
    label = rows(0, 1, 2, dtype=np.uint16)
    np.testing.assert_array_equal(Import(flat(tmp_path / "raw", label)).folder.label("1"), label)


def test_values_that_are_no_indices_are_shown_and_wait_for_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    label = rows(7, 700, 30000, dtype=np.uint16)
    done = Import(flat(tmp_path / "raw", label))
    table = tmp_path / "out.colors.txt"
    assert done.status == 1 and not done.out.exists() and str(table) in capsys.readouterr().err
    assert [line.split()[0] for line in table.read_text().splitlines() if line[0] != "#"] == [
        "7",
        "700",
        "30000",
    ]
    table.write_text("7 road\n700 void\n30000 car\n")
    done = Import(tmp_path / "raw", "--colors", str(table))
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, VOID, 1))
    assert done.folder.classes == ("road", "car")


def test_colours_are_shown_and_wait_for_names(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    colours = np.array([(0, 0, 0), (9, 8, 7), (1, 2, 3)], np.uint8)
    root = flat(tmp_path / "raw", colours[rows(0, 1, 2)], colours[rows(0, 0, 1)])
    assert Import(root).status == 1
    said = capsys.readouterr().err
    assert "#090807" in said and "#010203" in said and "33.33 %" in said
    done = Import(root, "--yes", "--void", "#010203")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 1, VOID))
    # An edited table stays as it is when the command is given again without it.
    table = tmp_path / "out.colors.txt"
    table.write_text("mine")
    Import(root, "--force")
    assert table.read_text() == "mine" and (tmp_path / "out.colors-2.txt").is_file()


def test_vocs_colours_come_in_vocs_order(tmp_path: Path) -> None:
    index = np.append(make_palette(4), [[224, 224, 192]], 0).astype(np.uint8)
    root = flat(tmp_path / "raw", index[rows(0, 3, 1, 2, 4)])
    done = Import(root, "--yes", "--classes", "none,a,b,c")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 3, 1, 2, VOID))


def test_a_colour_that_the_table_lacks_is_named_with_its_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    colours = np.array([(0, 0, 0), (9, 8, 7), (1, 2, 3)], np.uint8)
    root = flat(tmp_path / "raw", colours[rows(0, 1)], colours[rows(0, 2)])
    (tmp_path / "t.txt").write_text("#000000 a\n#090807 b\n")
    assert Import(root, "--colors", str(tmp_path / "t.txt")).status == 1
    said = capsys.readouterr().err
    assert "#010203 (24 pixels)" in said and "masks/1.png" in said and not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "store",
    [
        lambda label: Image.fromarray(label).convert("RGB"),
        lambda label: Image.merge(
            "RGBA", [*[Image.fromarray(label)] * 3, Image.new("L", label.shape[::-1], 255)]
        ),
        lambda label: Image.merge("LA", [Image.fromarray(label), Image.new("L", label.shape[::-1], 255)]),
    ],
)
def test_grey_labels_with_more_channels(store: Callable[[np.ndarray], Image.Image], tmp_path: Path) -> None:
    label = rows(0, 2, 1)
    np.testing.assert_array_equal(Import(flat(tmp_path / "raw", store(label))).folder.label("0"), label)


def test_what_is_transparent_is_background_whatever_colour_lies_below(tmp_path: Path) -> None:
    rgba = np.zeros((6, 8, 4), np.uint8)
    rgba[..., :3] = (250, 0, 0)
    rgba[3:, :, 3] = 255
    done = Import(flat(tmp_path / "raw", Image.fromarray(rgba)), "--yes")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 1))
    assert "transparent" in (done.out / "import.txt").read_text()


def test_a_jpeg_label_is_refused_and_left_out_on_request(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root = flat(tmp_path / "raw", rows(0, 1), rows(0, 1), rows(0, 1))
    Image.fromarray(rows(0, 1)).save(root / "masks/1.jpg")
    (root / "masks/1.png").unlink()
    assert Import(root).status == 1
    said = capsys.readouterr().err
    assert "masks/1.jpg" in said and "JPEG" in said and "--skip" in said and not (tmp_path / "out").exists()
    done = Import(root, "--skip")
    assert done.status == 0 and sorted(done.folder.ids("trainval")) == ["0", "2"]


def test_all_that_is_wrong_is_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    root = flat(tmp_path / "raw", *[rows(0, 1)] * 5)
    (root / "masks/0.png").write_bytes(b"no image")
    Image.fromarray(rows(0, 1, 1)).save(root / "masks/1.png")
    (root / "images/2.png").write_bytes((root / "images/2.png").read_bytes()[:45])
    assert Import(root).status == 1
    said = capsys.readouterr().err
    assert all(name in said for name in ("masks/0.png", "masks/1.png", "images/2.png"))


def test_two_arrays_in_a_mat_file_have_to_be_told_apart(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import scipy.io

    raw.matlab_arrays(tmp_path / "raw")
    for i in range(raw.COUNT):
        both = {"depth": raw.truth(i) + 5.0, "s": {"mask": raw.truth(i)}}
        scipy.io.savemat(tmp_path / f"raw/gt/im{i}.mat", both)
    assert Import(tmp_path / "raw").status == 1
    assert "depth, s.mask; --mat-name" in capsys.readouterr().err
    done = Import(tmp_path / "raw", "--mat-name", "s.mask")
    np.testing.assert_array_equal(done.folder.label("im2"), raw.truth(2))


# -- tables -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "#000000 sky\n#ff8001 traffic light\n",
        "0 0 0 sky\n255 128 1\ttraffic light\n",
        "name,r,g,b\nsky,0,0,0\ntraffic light,255,128,1\n",
        "# label:color_rgb:parts:actions\nsky:0,0,0::\ntraffic light:255,128,1::\n",
        "\ufeff0,0,0,sky\r\n255,128,1,traffic light\r\n",
    ],
)
def test_tables_are_read_as_programs_write_them(text: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(text, encoding="utf-8", newline="")
    table = read_table(tmp_path / "t.txt")
    assert table.rows == ((0, "sky"), (0xFF8001, "traffic light")) and table.coloured


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("#000000 a\n#00000 b\n", "t.txt:2"),
        ("#000000 a\n256 0 0 b\n", "t.txt:2"),
        ("#000000 a\n#000000 b\n", "#000000 stands there twice"),
        ("#000000 a\n5 b\n", "found both"),
        ("", "found none"),
        ("0 void\n", "found 0"),
    ],
)
def test_what_is_no_table_is_told(text: str, says: str, tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text(text)
    with pytest.raises(SampleError, match=says):
        read_table(tmp_path / "t.txt")


names = st.from_regex(r"[A-Za-z][A-Za-z ._-]{0,8}[A-Za-z]", fullmatch=True).filter(
    lambda name: name.lower() not in VOID_NAMES
)


@given(st.dictionaries(st.integers(0, 65535), names, min_size=1, max_size=9), st.booleans())
def test_a_table_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, rows: dict[int, str], coloured: bool
) -> None:
    table = Table(tuple(rows.items()), coloured)
    path = tmp_path_factory.getbasetemp() / "table.txt"
    path.write_text(table.text("" for _ in table.rows))
    assert read_table(path).rows == table.rows


def test_void_is_a_value_or_a_colour() -> None:
    assert parse_key("#ff0001") == (0xFF0001, True) and parse_key("-1") == (-1, False)
    for text in ("red", "#ff", "1.5", ""):
        with pytest.raises(ValueError, match="expected"):
            parse_key(text)


# -- what has no effect is refused, what a source says is used -----------------------------------------


@pytest.mark.parametrize(
    "arguments", [["--threshold", "9"], ["--void", "7"], ["--colors", "t.txt", "--classes", "a,b"]]
)
def test_options_without_effect_are_refused(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "t.txt").write_text("#000000 a\n#090807 b\n")
    colours = np.array([(0, 0, 0), (9, 8, 7)], np.uint8)
    assert Import(flat(tmp_path / "raw", colours[rows(0, 1)]), "--yes", *arguments).status == 1
    assert "of no use for" in capsys.readouterr().err


def test_a_table_of_colours_beside_labels_of_indices_is_left_alone(tmp_path: Path) -> None:
    root = flat(tmp_path / "raw", rows(0, 1, 2))
    (root / "label_colors.txt").write_text("1 2 3 sky\n4 5 6 road\n7 8 9 car\n")
    np.testing.assert_array_equal(Import(root).folder.label("0"), rows(0, 1, 2))


def test_names_in_the_source_name_what_was_found(tmp_path: Path) -> None:
    root = flat(tmp_path / "raw", rows(1, 2, 3))
    (root / "classes.txt").write_text("a\nb\nc\n")
    done = Import(root, "--yes")
    np.testing.assert_array_equal(done.folder.label("0"), rows(0, 1, 2))
    assert done.folder.classes == ("a", "b", "c")
