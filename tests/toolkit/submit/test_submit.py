"""What is uploaded to PASCAL VOC's server: layout, pictures, archive, and what is refused."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import caffe
from fcn.commands import submit
from vis import make_palette

NET = """
layer { name: "in" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }
layer { name: "score" type: "Convolution" bottom: "data" top: "score"
        convolution_param { num_output: 21 kernel_size: 1 } }
"""
INSIDE = "results/VOC2012/Segmentation/comp6_test_cls"


@pytest.fixture
def voc(tmp_path: Path) -> Path:
    """A folder as VOC 2012's test archive unpacks: images and a list, no label maps."""
    root, rng = tmp_path / "VOC2012", np.random.default_rng(0)
    for folder in ("JPEGImages", "ImageSets/Segmentation"):
        (root / folder).mkdir(parents=True)
    for i in range(3):
        picture = rng.integers(0, 255, (10 + i, 12, 3), np.uint8)
        Image.fromarray(picture).save(root / f"JPEGImages/2008_{i:06}.jpg")
    (root / "ImageSets/Segmentation/test.txt").write_text("2008_000002\n2008_000000\n")
    return root


@pytest.fixture
def net(tmp_path: Path) -> list[str]:
    """Weights, and the options that say which net they are for: class 20 where it is bright."""
    (tmp_path / "deploy.prototxt").write_text(NET)
    net = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    net.params["score"][0].data[20] = 1
    net.save(str(tmp_path / "w.caffemodel"))
    return [str(tmp_path / "w.caffemodel"), "--net", str(tmp_path / "deploy.prototxt")]


def packed(archive: Path) -> dict[str, bytes]:
    with tarfile.open(archive) as tar:
        return {entry.name: tar.extractfile(entry).read() for entry in tar.getmembers()}  # type: ignore[union-attr]


def test_the_archive_holds_an_indexed_png_for_each_image_of_the_list(
    net: list[str], voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert submit.main([*net, "--voc-dir", str(voc), "-o", str(out)]) == 0
    archive = out / "comp6_test_cls.tar.gz"
    assert str(archive) in capsys.readouterr().out
    found = packed(archive)
    assert list(found) == [f"{INSIDE}/2008_000002.png", f"{INSIDE}/2008_000000.png"]
    with Image.open(out / INSIDE / "2008_000002.png") as picture:
        assert picture.mode == "P" and picture.size == (12, 12)
        assert picture.getpalette() == make_palette(256).ravel().tolist()
        assert set(np.unique(picture)) == {0, 20}
    assert (out / INSIDE / "2008_000002.png").read_bytes() == found[f"{INSIDE}/2008_000002.png"]
    again = tmp_path / "again"
    assert submit.main([*net, "--voc-dir", str(voc), "-o", str(again), "--jobs", "2"]) == 0
    assert (again / archive.name).read_bytes() == archive.read_bytes()


def test_saved_predictions_are_packed_under_another_competition_and_year(voc: Path, tmp_path: Path) -> None:
    maps, out = tmp_path / "maps", tmp_path / "out"
    maps.mkdir()
    for name, height in (("2008_000002", 12), ("2008_000000", 10)):
        Image.fromarray(np.full((height, 12), 7, np.uint8)).save(maps / f"{name}.png")
    options = ["--competition", "comp5", "--year", "VOC2011", "--voc-dir", str(voc), "-o", str(out)]
    assert submit.main([str(maps), *options]) == 0
    inside = "results/VOC2011/Segmentation/comp5_test_cls"
    found = packed(out / "comp5_test_cls.tar.gz")
    assert set(found) == {f"{inside}/2008_000002.png", f"{inside}/2008_000000.png"}
    (out / inside / ".2008_000002.png.7.tmp").touch()  # of a call that was killed
    assert submit.main([str(maps), *options]) == 0 and packed(out / "comp5_test_cls.tar.gz") == found
    with Image.open(out / inside / "2008_000000.png") as picture:
        assert picture.mode == "P" and np.unique(picture).tolist() == [7]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ("gone", "2008_000000.png: expected a file"),
        ("size", r"expected (10, 12) pixels (H, W)"),
        ("void", "expected 0 to 20, found 255"),
        ("more", "beside the images of test, remove 2008_000001"),
        ("image", "1 of the 2 images of test are not there: 2008_000000"),
        ("list", "test.txt: expected one image id a line, found nothing"),
        ("names", "the server knows PASCAL VOC's classes only"),
    ],
)
def test_what_the_server_would_not_take_is_refused_and_not_packed(
    change: str, says: str, voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps, out = tmp_path / "maps", tmp_path / "out"
    maps.mkdir()
    for name, height in (("2008_000002", 12), ("2008_000000", 10)):
        Image.fromarray(np.zeros((height, 12), np.uint8)).save(maps / f"{name}.png")
    first = maps / "2008_000000.png"
    if change == "gone":
        first.unlink()
    elif change == "size":
        Image.fromarray(np.zeros((12, 10), np.uint8)).save(first)
    elif change == "void":
        Image.fromarray(np.full((10, 12), 255, np.uint8)).save(first)
    elif change == "more":
        (out / INSIDE).mkdir(parents=True)
        Image.fromarray(np.zeros((9, 9), np.uint8)).save(out / INSIDE / "2008_000001.png")
    elif change == "image":
        (voc / "JPEGImages/2008_000000.jpg").unlink()
    elif change == "list":
        (voc / "ImageSets/Segmentation/test.txt").unlink()
    else:
        (voc / "classes.txt").write_text("sky\nroad\n")
    assert submit.main([str(maps), "--voc-dir", str(voc), "-o", str(out)]) == 1
    assert says in capsys.readouterr().err and not list(tmp_path.rglob("*.tar.gz"))


def test_predictions_are_not_written_over_themselves(
    voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    maps = tmp_path / INSIDE
    maps.mkdir(parents=True)
    for name, height in (("2008_000002", 12), ("2008_000000", 10)):
        Image.fromarray(np.zeros((height, 12), np.uint8)).save(maps / f"{name}.png")
    before = (maps / "2008_000000.png").read_bytes()
    assert submit.main([str(maps), "--voc-dir", str(voc), "-o", str(tmp_path)]) == 1
    assert "would replace" in capsys.readouterr().err and (maps / "2008_000000.png").read_bytes() == before


def test_a_net_of_other_classes_is_refused(
    net: list[str], voc: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "deploy.prototxt").write_text(NET.replace("21", "3"))
    other = caffe.Net(str(tmp_path / "deploy.prototxt"), caffe.TEST)
    other.save(str(tmp_path / "w.caffemodel"))
    assert submit.main([*net, "--voc-dir", str(voc), "-o", str(tmp_path / "out")]) == 1
    assert "gives 3 scores, expected 21" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        submit.main([*net, "--voc-dir", str(voc), "-o", "out", "--year", "2012"])
