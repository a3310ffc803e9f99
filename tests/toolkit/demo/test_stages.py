"""The demo: its stages hand over, its report is complete, and its check notices a missing effect."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from fcn import demo
from fcn.demo.stages import STAGES
from fcn.score import Scores

BRIEF = demo.Setting(train=6, val=3, crops=88, steps=(2, 2, 2, 2), step=2, lead=15)


def scores(mean_iu: float) -> Scores:
    """Two classes of 1000 pixels each, with this IU each."""
    right = 2000 * mean_iu / (1 + mean_iu)
    return Scores(np.array([[right, 1000 - right], [1000 - right, right]]))


def rows(*mean_ius: float) -> dict[str, Scores]:
    names = ("best constant", "colour per pixel", "FCN-32s", "FCN-16s", "FCN-8s")
    return dict(zip(names, map(scores, mean_ius), strict=True))


def test_the_check_wants_each_stride_to_gain_and_colour_to_be_left_behind() -> None:
    assert demo.shortfalls(rows(0.3, 0.35, 0.4, 0.45, 0.6), BRIEF) == []
    flat = demo.shortfalls(rows(0.3, 0.3, 0.4, 0.41, 0.6), BRIEF)
    assert len(flat) == 1 and flat[0].startswith("FCN-16s is 1.0 points over FCN-32s")
    near = demo.shortfalls(rows(0.3, 0.55, 0.4, 0.5, 0.6), BRIEF)
    assert len(near) == 1 and near[0].startswith("FCN-8s is 5.0 points over the baselines")


def test_four_stages_and_a_report(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = demo.make_dataset(tmp_path / "data", 3, BRIEF.train, BRIEF.val, BRIEF.crops)
    weights = demo.train(folder, tmp_path, BRIEF, 3)
    assert list(weights) == list(STAGES) and all(path.is_file() for path in weights.values())
    assert [record for record in caplog.records if "all zero" in record.getMessage()] == []
    found = demo.report(folder, tmp_path)
    assert list(found)[-3:] == ["FCN-32s", "FCN-16s", "FCN-8s"]
    table = json.loads((tmp_path / "table.json").read_text())
    assert table["FCN-8s"]["mean IU"] == found["FCN-8s"].mean_iu
    for name in ("contact-sheet.png", "curves.png"):
        with Image.open(tmp_path / name) as picture:
            assert min(picture.size) > 200
