"""LabelMe's and COCO's JSON as other programs write it: what is drawn, what is refused."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from fcn.data.importing import Options, import_data
from tests.toolkit.data.importing import raw
from tests.toolkit.data.importing.test_values import Import
from voc_layers import SampleError, VocFolder


def change(path: Path, **fields: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def test_circles_masks_void_and_lines_of_labelme(tmp_path: Path) -> None:
    raw.labelme(tmp_path / "raw")
    piece = io.BytesIO()
    Image.fromarray(np.array([[0, 255, 255], [255, 255, 0]], np.uint8)).save(piece, "PNG")
    change(
        tmp_path / "raw/im1.json",
        shapes=[
            {"label": "car", "shape_type": "circle", "points": [[20, 20], [20, 26]]},
            {"label": "__ignore__", "shape_type": "rectangle", "points": [[0, 0], [56, 2]]},
            {"label": "road", "shape_type": "mask", "points": [[54, 38], [57, 40]], "mask": encoded(piece)},
            {"label": "road", "shape_type": "linestrip", "points": [[0, 0], [9, 9]]},
        ],
    )
    done = Import(tmp_path / "raw", "--classes", "road,car")
    label = done.folder.label("im1")
    assert label[20, 20] == 2 and label[29, 20] == 0 and (label[:2] == 255).all()
    np.testing.assert_array_equal(label[38:, 53:], [[0, 0, 1], [0, 1, 1]])
    assert "1 lines or points" in (done.out / "import.txt").read_text()


def encoded(data: io.BytesIO) -> str:
    return base64.b64encode(data.getvalue()).decode()


def test_smaller_objects_of_coco_lie_on_larger_ones(tmp_path: Path) -> None:
    raw.coco(tmp_path / "raw")
    path = tmp_path / "raw/annotations/instances.json"
    annotations = json.loads(path.read_text())["annotations"]
    change(path, annotations=annotations[::-1])
    np.testing.assert_array_equal(
        Import(tmp_path / "raw").folder.label("im0"), np.array([0, 2, 1])[raw.truth(0)]
    )


def test_one_file_of_annotations_can_be_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw.coco(tmp_path / "raw")
    folder = tmp_path / "raw/annotations"
    (folder / "persons.json").write_bytes((folder / "instances.json").read_bytes())
    assert Import(tmp_path / "raw").status == 1
    assert "import one file by its name" in capsys.readouterr().err
    done = data_of(folder / "instances.json", tmp_path / "out")
    np.testing.assert_array_equal(done.label("im3"), np.array([0, 2, 1])[raw.truth(3)])


def data_of(source: Path, out: Path) -> VocFolder:
    import_data(source, out)
    return VocFolder.open(out)


def test_an_image_that_is_not_there_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for form in (raw.coco, raw.labelme):
        root = tmp_path / form.__name__
        form(root)
        next(root.rglob("im2.jpg")).unlink()
        assert Import(root, "--force").status == 1
        assert "im2.jpg is not there" in capsys.readouterr().err
        assert Import(root, "--skip", "--force").status == 0


def test_a_name_that_leads_out_of_the_source_is_not_followed(tmp_path: Path) -> None:
    raw.photo(2).save(tmp_path / "secret.jpg")
    raw.coco(tmp_path / "raw")
    path = tmp_path / "raw/annotations/instances.json"
    images = json.loads(path.read_text())["images"]
    for written in ("../../secret.jpg", str(tmp_path / "secret.jpg")):
        images[2]["file_name"] = written
        change(path, images=images)
        done = Import(tmp_path / "raw", "--skip", "--force")
        assert len(done.folder.ids("trainval")) == raw.COUNT - 1


def test_a_class_that_is_not_named_is_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    raw.labelme(tmp_path / "raw")
    assert Import(tmp_path / "raw", "--classes", "road,lorry").status == 1
    assert "'car'" in capsys.readouterr().err


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=8,
)


def places(node: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value in a document."""
    inner = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    return [path, *(place for key, value in inner for place in places(value, (*path, key)))]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(["labelme", "coco"]), st.data())
def test_a_damaged_document_is_an_error_that_says_so(
    tmp_path_factory: pytest.TempPathFactory, form: str, data: st.DataObject
) -> None:
    """One value of the JSON becomes another: the import goes through, or says what is wrong."""
    root = tmp_path_factory.mktemp(form)
    {"labelme": raw.labelme, "coco": raw.coco}[form](root / "raw")
    path = next((root / "raw").rglob("*.json"))
    document = json.loads(path.read_text())
    where = data.draw(st.sampled_from(places(document)[1:]))
    node = document
    for key in where[:-1]:
        node = node[key]
    node[where[-1]] = data.draw(values)
    path.write_text(json.dumps(document))
    try:
        import_data(root / "raw", root / "out", Options())
    except SampleError:
        assert not (root / "out").exists()
    assert {p.name for p in root.iterdir()} <= {"raw", "out"}
