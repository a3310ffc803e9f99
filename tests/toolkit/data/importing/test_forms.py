"""Each form that people have data in, from the raw folder to labels that are right pixel by pixel."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from fcn.commands import data as data_command
from tests.toolkit.data.importing import raw
from voc_layers import VocFolder
from voc_layers.facts import VOID

#: Form -> how it is made, arguments, classes of the import, and what each label value of `raw` becomes.
CASES: dict[str, tuple[Callable[[Path], None], list[str], dict[int, str], tuple[int, int, int]]] = {
    "flat": (raw.flat, [], {0: "background", 1: "road", 2: "car"}, (0, 1, 2)),
    "palettes": (raw.palettes, ["--yes"], {0: "background", 1: "class_1", 2: "class_2"}, (0, 2, 1)),
    "four bits": (raw.four_bits, ["--classes", "a,b,c"], {0: "a", 1: "b", 2: "c"}, (0, 1, 2)),
    "colours": (raw.colours, [], {0: "background", 1: "road", 2: "car"}, (0, 1, 2)),
    "black and white": (raw.black_and_white, [], {0: "background", 1: "object"}, (0, 1, 1)),
    "NumPy": (raw.numpy_arrays, [], {0: "background", 1: "class_1", 2: "class_2"}, (0, 1, 2)),
    "MATLAB": (raw.matlab_arrays, [], {0: "background", 1: "class_1", 2: "class_2"}, (0, 1, 2)),
    "lists": (raw.listed, ["--classes", "a,b,c"], {0: "a", 1: "b", 2: "c"}, (0, 1, 2)),
    "LabelMe": (raw.labelme, ["--classes", "road,car"], {0: "background", 1: "road", 2: "car"}, (0, 1, 2)),
    "COCO": (raw.coco, [], {0: "background", 1: "car", 2: "road"}, (0, 2, 1)),
    "Cityscapes": (raw.cityscapes, [], {0: "road", 13: "car"}, (VOID, 0, 13)),
    "CamVid": (raw.camvid, [], {3: "Road", 8: "Car"}, (VOID, 3, 8)),
}


@pytest.mark.parametrize("form", CASES)
def test_from_raw_folder_to_labels_that_are_right(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, arguments, classes, values = CASES[form]
    source, out = tmp_path / "raw", tmp_path / "out"
    make(source)
    before = contents(source)
    assert data_command.main(["import", str(source), "-o", str(out), *arguments]) == 0, (
        capsys.readouterr().err
    )
    assert contents(source) == before
    folder = VocFolder.open(out)
    assert {index: folder.classes[index] for index in classes} == classes
    seen = set()
    for id_ in (*folder.ids("train"), *folder.ids("val"), *(folder.ids("test") if form == "CamVid" else ())):
        image, label = folder.pair(id_)
        i = int(re.findall(r"\d+", id_.replace("_000019", ""))[-1])
        np.testing.assert_array_equal(label, np.array(values, np.uint8)[raw.truth(i)], err_msg=id_)
        assert np.abs(image.astype(int) - np.asarray(raw.photo(i))).mean() < 20
        seen.add(i)
    assert seen == set(range(raw.COUNT))
    assert data_command.main(["check", str(out)]) == 0
    account = json.loads((out / "import.json").read_text())
    reported = {record["file"] for record in account["files"]}
    assert set(before) <= reported | {"classes.txt", "label_colors.txt", "train.txt", "val.txt"}


def contents(root: Path) -> dict[str, bytes]:
    return {
        path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()
    }


def test_splits_of_the_source_are_kept(tmp_path: Path) -> None:
    raw.cityscapes(tmp_path / "raw")
    assert data_command.main(["import", str(tmp_path / "raw"), "-o", str(tmp_path / "out")]) == 0
    folder = VocFolder.open(tmp_path / "out")
    assert {name.split("_")[0] for name in folder.ids("train")} == {"aachen"}
    assert {name.split("_")[0] for name in folder.ids("val")} == {"lindau"}
    assert folder.ids("trainval") == folder.ids("train") + folder.ids("val")


def test_images_of_one_name_get_ids_of_their_folders(tmp_path: Path) -> None:
    raw.listed(tmp_path / "raw")
    assert data_command.main(["import", str(tmp_path / "raw"), "-o", str(tmp_path / "out")]) == 0
    ids = VocFolder.open(tmp_path / "out").ids("trainval")
    assert sorted(ids) == sorted(f"{d}_{i}" for d in ("day", "night") for i in range(raw.COUNT))
    assert "its id is day_0" in (tmp_path / "out/import.txt").read_text()
