"""What the demo shows at the end: the paper's table, loss and IU curves, a contact sheet."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import nets
from voc_layers.folder import VocFolder

from ..figures import contact_sheet, drawn, save_picture
from ..outputs import replace_text
from ..plotting import History, draw_histories, one_after_the_other
from ..runs import Run
from ..score import Scores, Truth, summary
from ..score.baseline import baselines
from ..trained import Trained
from .stages import Setting

#: model -> its name in the paper.
TITLES = {model: f"FCN-{nets.get(model).stride}s" for model in nets.CHAIN}


def report(folder: Path, root: Path) -> dict[str, Scores]:
    """Score the three nets on the val list; write the table, the curves and the contact sheet."""
    data = VocFolder.open(folder)
    val = data.split("val")
    rows: dict[str, Scores] = dict(baselines(data.split("train"), val))
    shown = [data.pair(name) for name in val.ids[:6]]
    columns: dict[str, list[Any]] = {"image": [i for i, _ in shown], "truth": [label for _, label in shown]}
    for model, title in TITLES.items():
        predictor = Trained.find(root / model).load()
        rows[title] = Scores(Truth(data, val.ids).score_net(predictor, data.pictures).hist)
        columns[title] = [predictor.labels(image) for image in columns["image"]]
    replace_text(root / "table.txt", summary(rows) + "\n")
    numbers = {name: scores.means() for name, scores in rows.items()}
    replace_text(root / "table.json", json.dumps(numbers, indent=1) + "\n")
    sheet = root / "contact-sheet.png"
    drawn(sheet, lambda: save_picture(contact_sheet(columns, len(data.classes)), sheet))
    drawn(root / "curves.png", lambda: plot(root))
    return rows


def plot(root: Path) -> Path | None:
    """Loss and mean IU of the three stages against the step, one after the other."""
    stages = one_after_the_other(History(title, Run(root / model)) for model, title in TITLES.items())
    return draw_histories(stages, root / "curves.png")


def shortfalls(rows: Mapping[str, Scores], setting: Setting) -> list[str]:
    """What of the paper's effect is missing: a line for each."""
    points = {name: 100 * scores.mean_iu for name, scores in rows.items()}
    titles = list(TITLES.values())
    wrong = [
        f"{finer} is {points[finer] - points[coarser]:.1f} points over {coarser}, expected at least "
        f"{setting.step:g}"
        for coarser, finer in zip(titles, titles[1:])
        if points[finer] < points[coarser] + setting.step
    ]
    base, finest = max(points["best constant"], points["colour per pixel"]), titles[-1]
    if points[finest] < base + setting.lead:
        wrong.append(
            f"{finest} is {points[finest] - base:.1f} points over the baselines, expected {setting.lead:g}"
        )
    return wrong
