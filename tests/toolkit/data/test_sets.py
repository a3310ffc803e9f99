"""The data layers of NYUDv2, SIFT Flow and PASCAL-Context against what NumPy makes of the same files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.io
from PIL import Image

import caffe
from tests.toolkit import sets
from voc_layers.facts import CONTEXT_CLASSES
from voc_layers.reading import SampleError
from voc_layers.sets.nyud import NyudFolder
from voc_layers.sets.pascalcontext import ContextFolder
from voc_layers.sets.siftflow import SiftFlowFolder


def tops(layer: str, module: str, params: dict[str, Any], count: int, passes: int = 1) -> list[np.ndarray]:
    """What a data layer in a net gives after so many passes."""
    path = Path(next(iter(params.values()))).parent / "net.prototxt"
    names = "".join(f'top: "t{i}" ' for i in range(count))
    path.write_text(
        f'layer {{ name: "data" type: "Python" {names} python_param {{ module: "{module}" layer: "{layer}" '
        f'param_str: "{params}" }} }}'
    )
    net = caffe.Net(str(path), caffe.TEST)
    for _ in range(passes):
        net.forward()
    return [net.blobs[f"t{i}"].data.copy() for i in range(count)]


def nyud(root: Path, names: Sequence[str], split: str = "test", **more: Any) -> list[np.ndarray]:
    params = {"nyud_dir": str(root), "split": split, "tops": list(names), **more}
    return tops("NYUDSegDataLayer", "nyud_layers", params, len(names))


def picture(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.array(image)


def test_a_scene_of_nyud_has_the_tops_that_are_asked_for_in_any_order(tmp_path: Path) -> None:
    root = sets.nyud(tmp_path / "nyud")
    hha, label, depth, color = nyud(root, ["hha", "label", "depth", "color"])
    bgr = picture(root / "data/images/img_5004.png")[..., ::-1].astype(np.float64)
    expected = (bgr - (116.190, 97.203, 92.318)).transpose(2, 0, 1)
    np.testing.assert_allclose(color[0], expected, rtol=0, atol=1e-4)
    straight = picture(root / "data/hha/img_5004.png").astype(np.float64)
    np.testing.assert_allclose(
        hha[0], (straight - (132.431, 94.076, 118.477)).transpose(2, 0, 1), rtol=0, atol=1e-4
    )
    metres = picture(root / "data/depth/img_5004.png").astype(np.float64)
    assert depth.shape == (1, 1, *sets.SIZE)
    np.testing.assert_allclose(depth[0, 0], np.log(metres) - 7.844, rtol=0, atol=1e-5)
    stored = scipy.io.loadmat(root / "segmentation/img_5004.mat")["segmentation"].astype(int)
    np.testing.assert_array_equal(label[0, 0], np.where(stored == 0, 255, stored - 1))


def test_trainval_is_train_and_val_where_it_is_no_list_of_its_own(tmp_path: Path) -> None:
    root = sets.nyud(tmp_path / "nyud")
    assert NyudFolder(root).ids("trainval") == ["5001", "5002", "5003"]
    (root / "trainval.txt").write_text("5005\n")
    assert NyudFolder(root).ids("trainval") == ["5005"]
    (root / "trainval.txt").unlink()
    (root / "val.txt").unlink()
    with pytest.raises(SampleError, match=r"trainval\.txt.*splits there: test, train"):
        NyudFolder(root).ids("trainval")


def test_a_depth_map_with_holes_is_refused_by_name(tmp_path: Path) -> None:
    root = sets.nyud(tmp_path / "nyud")
    path = root / "data/depth/img_5004.png"
    depth = picture(path)
    depth[3, 4:6] = 0
    Image.fromarray(depth).save(path)
    with pytest.raises(SampleError, match=r"img_5004\.png: expected a depth above 0.*found 0 in 2"):
        NyudFolder(root, views=("color", "depth")).pictures("5004")


@pytest.mark.parametrize("names", [["colour"], ["label"], ["color", "color"]])
def test_tops_that_nyud_has_not_are_refused(tmp_path: Path, names: list[str]) -> None:
    with pytest.raises(SampleError, match="tops must be some of color, depth, hha, label"):
        nyud(sets.nyud(tmp_path / "nyud"), names)


def test_a_label_beyond_the_classes_is_told_in_the_numbers_of_its_file(tmp_path: Path) -> None:
    root = sets.nyud(tmp_path / "nyud")
    label = np.full(sets.SIZE, 41, np.uint8)
    scipy.io.savemat(root / "segmentation/img_5004.mat", {"segmentation": label})
    with pytest.raises(SampleError, match=r"img_5004\.mat: expected label values 1 \.\. 40 or 0.*found 41"):
        NyudFolder(root).label("5004")


def test_a_scene_of_sift_flow_has_two_labelings(tmp_path: Path) -> None:
    root = sets.siftflow(tmp_path / "sift")
    params = {"siftflow_dir": str(root), "split": "test", "seed": 1337}
    data, semantic, geometric = tops("SIFTFlowSegDataLayer", "siftflow_layers", params, 3, passes=2)
    bgr = picture(root / f"Images/{sets.SCENES}/s3.jpg")[..., ::-1].astype(np.float64)
    np.testing.assert_allclose(
        data[0], (bgr - (114.578, 115.294, 108.353)).transpose(2, 0, 1), rtol=0, atol=1e-4
    )
    stored = scipy.io.loadmat(root / f"SemanticLabels/{sets.SCENES}/s3.mat")["S"].astype(int)
    np.testing.assert_array_equal(semantic[0, 0], np.where(stored == 0, 255, stored - 1))
    stored = scipy.io.loadmat(root / f"GeoLabels/{sets.SCENES}/s3.mat")["S"].astype(int)
    np.testing.assert_array_equal(geometric[0, 0], np.where(stored < 0, 255, stored - 1))
    assert set(np.unique(geometric)) == {0, 1, 2, 255}


def test_labelings_of_two_sizes_are_refused(tmp_path: Path) -> None:
    root = sets.siftflow(tmp_path / "sift")
    scipy.io.savemat(root / f"GeoLabels/{sets.SCENES}/s2.mat", {"S": np.ones((3, 4), np.int16)})
    for read in (SiftFlowFolder(root).peek, SiftFlowFolder(root).arrays):
        with pytest.raises(SampleError, match="GeoLabels.*expected a label of"):
            read("s2")


def test_pascal_context_counts_59_of_its_annotations(tmp_path: Path) -> None:
    """By their names: their numbers differ, three are called otherwise, and all else is background."""
    voc, home = sets.context(tmp_path, CONTEXT_CLASSES[1:])
    for folder in (voc, voc.parent):
        params = {"voc_dir": str(folder), "context_dir": str(home), "split": "val"}
        data, label = tops("PASCALContextSegDataLayer", "pascalcontext_layers", params, 2)
        numbers = scipy.io.loadmat(home / "trainval/2008_000002.mat")["LabelMap"].astype(int)
        # The list of all names is the task's turned round, after one that is not in the task.
        np.testing.assert_array_equal(label[0, 0], np.where(numbers < 2, 0, 61 - numbers))
        assert data.shape == (1, 3, *sets.SIZE)


def test_an_annotation_without_a_name_and_a_list_without_numbers_are_refused(tmp_path: Path) -> None:
    voc, home = sets.context(tmp_path, CONTEXT_CLASSES[1:])
    folder = ContextFolder(voc, annotations=home)
    scipy.io.savemat(home / "trainval/2008_000002.mat", {"LabelMap": np.full(sets.SIZE, 61, np.uint16)})
    with pytest.raises(SampleError, match=r"expected numbers of labels\.txt, 0 \.\. 60, found 61"):
        folder.label("2008_000002")
    (home / "labels.txt").write_text("aeroplane\n")
    with pytest.raises(SampleError, match="labels.txt: expected lines 'number: name', found 'aeroplane'"):
        ContextFolder(voc, annotations=home).label("2008_000003")


def test_lists_of_the_release_name_the_classes(shared: Path) -> None:
    """The names in the lists that the release ships; those of its own files' comments are left out."""
    from voc_layers.facts import NYUD_CLASSES, SIFTFLOW_CLASSES, SIFTFLOW_GEOMETRY

    lists = shared / "data/lists"
    assert (lists / "nyud/classes.txt").read_text().splitlines()[:40] == list(NYUD_CLASSES)
    numbered = [x for x in (lists / "sift-flow/classes.txt").read_text().splitlines() if x[:2].isdigit()]
    assert [line[3:] for line in numbered] == [*SIFTFLOW_CLASSES, *SIFTFLOW_GEOMETRY]
    task = (lists / "pascal-context/classes-59.txt").read_text().splitlines()
    assert [line.split(": ")[1] for line in task if line] == list(CONTEXT_CLASSES)
