"""`fcn data check`: everything that is wrong with a folder, in one pass, for people and for programs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn.commands import data as data_command
from fcn.data.alike import alike, thumbnail


@pytest.fixture
def large(tmp_path: Path) -> Path:
    """A folder of 200 pairs, 150 to train on."""
    for part in ("JPEGImages", "SegmentationClass", "ImageSets/Segmentation"):
        (tmp_path / part).mkdir(parents=True)
    for i in range(200):
        scene(i).save(tmp_path / f"JPEGImages/{i}.jpg")
        Image.fromarray(np.eye(32, 40, dtype=np.uint8)).save(tmp_path / f"SegmentationClass/{i}.png")
    lists = {"train": range(150), "val": range(150, 200)}
    for split, ids in lists.items():
        (tmp_path / f"ImageSets/Segmentation/{split}.txt").write_text("".join(f"{i}\n" for i in ids))
    (tmp_path / "classes.txt").write_text("ground\nline\n")
    return tmp_path


def scene(seed: int) -> Image.Image:
    """40 x 32 pixels of soft blobs, as photographs are rather than noise."""
    coarse = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    return Image.fromarray(coarse).resize((40, 32), Image.Resampling.BICUBIC)


def check(root: Path, capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, dict]:
    status = data_command.main(["check", str(root), "--json", *arguments])
    return status, json.loads(capsys.readouterr().out)


def test_a_sound_folder(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, found = check(large, capsys, "--strict")
    assert status == 0 and found["problems"] == [] and found["warnings"] == []
    train = found["splits"]["train"]
    assert train["images"] == 150 and train["labels"] == {"ground": 150, "line": 150, "void": 0}
    assert train["pixels"] == {"ground": 150 * (32 * 40 - 32), "line": 150 * 32, "void": 0}
    assert found["sizes"] == [{"height": 32, "width": 40, "pairs": 200}]


def test_three_planted_faults_are_all_found_in_one_pass(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (large / "SegmentationClass/17.png").unlink()
    Image.fromarray(np.full((32, 40), 7, np.uint8)).save(large / "SegmentationClass/99.png")
    Image.fromarray(np.zeros((30, 40), np.uint8)).save(large / "SegmentationClass/180.png")
    status, found = check(large, capsys)
    assert status == 1 and len(found["problems"]) == 3
    for name, problem in zip(("17.png", "99.png", "180.png"), found["problems"]):
        assert name in problem
    assert "found 7 in 1280 pixels" in found["problems"][1]
    assert len(found["splits"]["train"]["problems"]) == 2 and len(found["splits"]["val"]["problems"]) == 1


def test_copies_in_both_splits_are_found_however_they_were_saved(
    large: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    scene(3).save(large / "JPEGImages/160.jpg", quality=40)
    smaller = scene(4).resize((400, 320)).resize((40, 32))
    smaller.save(large / "JPEGImages/170.jpg", quality=60)
    (large / "ImageSets/Segmentation/val.txt").write_text("5\n" + "".join(f"{i}\n" for i in range(150, 200)))
    status, found = check(large, capsys)
    assert status == 0 and len(found["warnings"]) == 2
    assert found["alike"] == [{"splits": ["train", "val"], "ids": [["3", "160"], ["4", "170"]]}]
    assert found["shared"] == [{"splits": ["train", "val"], "ids": ["5"]}]
    assert check(large, capsys, "--strict")[0] == 1


def test_labels_in_no_list_are_told(large: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (large / "ImageSets/Segmentation/val.txt").write_text("".join(f"{i}\n" for i in range(150, 198)))
    _, found = check(large, capsys)
    assert found["unlisted"] == ["198", "199"]


def test_images_of_one_kind_are_not_alike() -> None:
    """Sky above ground in each, at different places: more than one feature has to agree."""
    rng = np.random.default_rng(0)
    views = {}
    for i in range(60):
        view = np.full((60, 80, 3), 200, np.uint8)
        view[int(rng.integers(20, 45)) :] = rng.integers(30, 120)
        for _ in range(6):
            y, x, size = rng.integers(0, 50), rng.integers(0, 70), rng.integers(6, 24)
            view[y : y + size, x : x + size] = rng.integers(0, 255, 3)
        views[str(i)] = thumbnail(view)
    first = {name: views[name] for name in list(views)[:30]}
    assert alike(first, {name: views[name] for name in list(views)[30:]}) == []
    assert alike(first, {"copy": views["7"]}) == [("7", "copy")]
