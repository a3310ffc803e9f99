"""python -m fcn.demo: the paper on a laptop, from an image classifier to FCN-8s.

On the drawn scenes of ``fcn.demo_data``: (1) train a small VGG-style classifier on image labels; (2) make it
convolutional and train FCN-32s; (3) FCN-16s from it; (4) FCN-8s from that. Ends with the paper's Table 2 on
images that training never saw, loss and IU curves, and a contact sheet. All of it is in RUNS/demo/seed-N.

The nets, the surgery, the training loop and the scores are those of the real data sets; only the widths, the
step counts and the rates differ.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nets
import solvers
from fcn.baseline import baselines
from fcn.dataset import Dataset, open_dataset
from fcn.demo_data import CROP, make_dataset
from fcn.evaluate import compute_hist, score_net
from fcn.figures import contact_sheet, curves
from fcn.inputs import Inputs
from fcn.metrics import Scores
from fcn.predict import Source, quiet
from fcn.report import percent, summary
from fcn.runs import Run, read_rows
from fcn.training import train_stage
from fcn.weights import save_random
from nets.vgg import VGG

CHAIN = {"voc-fcn32s": "FCN-32s", "voc-fcn16s": "FCN-16s", "voc-fcn8s": "FCN-8s"}
CLASSIFIER = "vgg16"
ARCH = VGG(stages=((16,), (32,), (48,), (64,), (96,)), fc=192, fc_kernel=4, dropout=0.1, overhang=3)
# He's filler keeps the size of what passes; colours come in at about 60 and scores should start near 1.
GAIN = 0.6
BATCH = 16


STAGES = {
    CLASSIFIER: "1. a VGG-style classifier on image labels",
    "voc-fcn32s": "2. its fc layers become convolutions: FCN-32s",
    "voc-fcn16s": "3. FCN-16s, from FCN-32s, with a skip from pool4",
    "voc-fcn8s": "4. FCN-8s, from FCN-16s, with a skip from pool3",
}


@dataclass(frozen=True)
class Setting:
    """How long each part takes: image counts, and per stage (steps, base rate)."""

    train: int
    val: int
    crops: int
    steps: Mapping[str, tuple[int, float]]


FULL = Setting(
    480,
    100,
    4000,
    {
        CLASSIFIER: (800, 1e-3),
        "voc-fcn32s": (900, 5e-4),
        "voc-fcn16s": (900, 5e-4),
        "voc-fcn8s": (1200, 5e-4),
    },
)
QUICK = Setting(
    240,
    40,
    2400,
    {
        CLASSIFIER: (500, 1e-3),
        "voc-fcn32s": (300, 5e-4),
        "voc-fcn16s": (300, 5e-4),
        "voc-fcn8s": (400, 5e-4),
    },
)


def recipe(model: str, setting: Setting) -> solvers.Recipe:
    """The stage's recipe: one image a step and the summed loss as in the paper's heavy recipe, but Adam,
    which needs minutes where momentum 0.99 at a tiny rate needs days."""
    steps, rate = setting.steps[model]
    every = max(1, steps // 4)
    row = solvers.recipe("voc-fcn32s" if model == CLASSIFIER else model, "heavy")
    return replace(
        row,
        model=model,
        goal=STAGES[model],
        expected="a higher mean IU with each finer stride",
        source="fcn/demo.py",
        normalize=model == CLASSIFIER,
        type="Adam",
        momentum=0.9,
        base_lr=rate,
        max_iter=steps,
        snapshot=every,
        test_every=every,
        test_iter=setting.val,
        display=50,
        average_loss=50,
    )


def classifier_layers(folder: Path, mean: Sequence[float], seed: int) -> dict[str, nets.PythonData]:
    """The classifier's data layers: single objects with an image label."""
    common = {"root": str(folder), "size": CROP, "mean": tuple(mean), "seed": seed, "cache": True}
    source = str(folder / "Classification" / "{}.txt")
    return {
        "train": nets.PythonData(
            "ImageLabelLayer", {**common, "source": source.format("train"), "batch": BATCH}
        ),
        "val": nets.PythonData(
            "ImageLabelLayer", {**common, "source": source.format("val"), "batch": 50, "randomize": False}
        ),
    }


def train(folder: Path, root: Path, setting: Setting, seed: int) -> dict[str, Path]:
    """The four stages on the data in ``folder``; returns each one's weights."""
    data = Inputs.own(folder)
    listed = open_dataset(folder)
    found: dict[str, Path] = {}
    start = root / "start.caffemodel"
    save_random(CLASSIFIER, start, seed=seed, arch=ARCH, classes=len(listed.classes), gain=GAIN)
    layers: Mapping[str, nets.PythonData] = classifier_layers(folder, listed.mean, seed)
    for model in (CLASSIFIER, *CHAIN):
        print(f"\n{STAGES[model]}", flush=True)
        found[model] = train_stage(
            model,
            Run.create(root, model),
            layers,
            recipe(model, setting),
            classes=len(listed.classes),
            arch=ARCH,
            weights=start,
            seed=seed,
            evaluate=_accuracy if model == CLASSIFIER else lambda solver: _scores(solver, data, listed),
            facts={"voc_dir": str(folder), "class_names": listed.classes},
        )
        start, layers = found[model], data.layers(seed=seed)
    return found


def _accuracy(solver: Any) -> dict[str, float]:
    net = solver.test_nets[0]
    net.share_with(solver.net)
    total = [float(net.forward()["accuracy"]) for _ in range(8)]
    accuracy = sum(total) / len(total)
    print(f"   accuracy on unseen images: {percent(accuracy)} %", flush=True)
    return {"accuracy": accuracy}


def _scores(solver: Any, data: Inputs, listed: Dataset) -> dict[str, float]:
    net = solver.test_nets[0]
    net.share_with(solver.net)
    hist, loss = compute_hist(net, None, data.ids("val"), loss="loss")
    scores = Scores(hist)
    print(f"   mean IU on unseen images: {percent(scores.mean_iu)} %", flush=True)
    return {"loss": loss, **scores.means()}


def report(folder: Path, root: Path) -> dict[str, Scores]:
    """Score the three nets on the val list; write the table, the curves and the contact sheet."""
    data = open_dataset(folder)
    rows: dict[str, Scores] = dict(baselines(data))
    columns: dict[str, list[Any]] = {"image": [], "truth": []}
    shown = data.ids("val")[:6]
    columns["image"] = [data.image(name) for name in shown]
    columns["truth"] = [data.label(name) for name in shown]
    for model, title in CHAIN.items():
        predictor = Source.find(root / model).load(mean=data.mean)
        hist, _ = score_net(predictor, data, data.ids("val"))
        rows[title] = Scores(hist)
        columns[title] = [predictor.labels(image) for image in columns["image"]]
    contact_sheet(columns, len(data.classes)).save(root / "contact-sheet.png")
    plot(root)
    text = summary(rows)
    (root / "table.txt").write_text(text + "\n")
    numbers = {name: scores.means() for name, scores in rows.items()}
    (root / "table.json").write_text(json.dumps(numbers, indent=1) + "\n")
    return rows


def plot(root: Path) -> None:
    """Loss and mean IU of the three stages against the step, one after the other."""
    panels: dict[str, dict[str, tuple[list[float], list[float]]]] = {"loss per pixel": {}, "mean IU": {}}
    offset = 0.0
    for model, title in CHAIN.items():
        run = Run(root / model)
        losses, scores = read_rows(run.curves), read_rows(run.scores)
        for panel, rows, key in (
            ("loss per pixel", losses, "loss_per_pixel"),
            ("mean IU", scores, "mean IU"),
        ):
            x = [offset + float(row["iteration"]) for row in rows]
            panels[panel][title] = (x, [float(row[key]) for row in rows])
        offset += float(losses[-1]["iteration"])
    curves(panels, root / "curves.png", x_label="step", log_scale=("loss per pixel",))


def check(rows: Mapping[str, Scores], step: float, lead: float) -> list[str]:
    """What of the paper's effect is missing: a line per shortfall. ``step``, ``lead``: points of mean IU."""
    points = {name: 100 * scores.mean_iu for name, scores in rows.items()}
    chain = list(CHAIN.values())
    wrong = [
        f"{finer} is {points[finer] - points[coarser]:.1f} points over {coarser}, expected at least {step}"
        for coarser, finer in zip(chain, chain[1:])
        if points[finer] < points[coarser] + step
    ]
    base = max(points["best constant"], points["colour per pixel"])
    if points[chain[-1]] < base + lead:
        wrong.append(
            f"{chain[-1]} is {points[chain[-1]] - base:.1f} points over the baselines, expected {lead}"
        )
    return wrong


def main(argv: Sequence[str] | None = None) -> int:
    """Run the demo; the exit status is 1 if ``--check`` was asked for and the paper's effect is missing."""
    parser = argparse.ArgumentParser(prog="python -m fcn.demo", description=__doc__.split("\n\n")[0])
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--seed", type=int, default=0, help="of the data, the weights and the training order")
    parser.add_argument("--quick", action="store_true", help="a quarter of the work, a coarser result")
    parser.add_argument("--check", action="store_true", help="fail unless IU rises with each finer stride")
    args = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="   %(message)s", stream=sys.stdout)
    setting, begun = (QUICK, time.monotonic()) if args.quick else (FULL, time.monotonic())
    root = args.runs / "demo" / f"seed-{args.seed}{'-quick' if args.quick else ''}"
    print(f"drawing {setting.train} + {setting.val} scenes and {setting.crops} single objects", flush=True)
    folder = make_dataset(root / "data", args.seed, setting.train, setting.val, setting.crops)
    with quiet():
        train(folder, root, setting, args.seed)
        rows = report(folder, root)
    print(f"\n{summary(rows)}\n")
    minutes = (time.monotonic() - begun) / 60
    print(f"{setting.val} images that training never saw; {minutes:.1f} minutes; all in {root}")
    wrong = check(rows, 1 if args.quick else 2, 5 if args.quick else 15) if args.check else []
    for line in wrong:
        print(f"not as in the paper: {line}", file=sys.stderr)
    return int(bool(wrong))


if __name__ == "__main__":
    raise SystemExit(main())
