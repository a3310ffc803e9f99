"""Write the tables of recipes, published scores and benchmarks into README.md and docs.

python -m dev.generate_tables

Each table stands between `<!-- table: NAME -->` and `<!-- end -->`; what lies between is replaced.
"""

from __future__ import annotations

import re
from pathlib import Path

import nets
import solvers
from benchmarks import report
from benchmarks.results import newest
from fcn.score.published import PUBLISHED

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (
    ROOT / "README.md",
    ROOT / "docs" / "reproduction.md",
    ROOT / "docs" / "every-row.md",
    ROOT / "docs" / "benchmarks.md",
)
#: model -> our four numbers on seg11valid, in percent, and where they were measured. Empty: not run.
MEASURED: dict[str, tuple[str, str]] = {}
CLASSIFIERS = {"vgg16": "VGG16", "caffenet": "CaffeNet", "googlenet": "GoogLeNet"}
#: What a model of a data set is called in the Makefile: PASCAL VOC's go without its name where they can.
SHORT = ("voc-fcn32s", "voc-fcn16s", "voc-fcn8s", "voc-fcn8s-atonce", "voc-fcn-alexnet")


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _four(values: tuple[float | None, ...], decimals: int) -> str:
    return " / ".join("–" if value is None else f"{value:.{decimals}f}" for value in values)


def _models(*datasets: str) -> list[str]:
    """The fully convolutional models of data sets, or of all."""
    rows = nets.MODELS.items()
    return [name for name, row in rows if row.task and (not datasets or row.task.dataset in datasets)]


def _rows_of(model: str) -> tuple[tuple[float | None, ...] | None, tuple[float | None, ...] | None]:
    """What the paper and the release say of a model."""
    rows = PUBLISHED.get(model, ())
    paper = next((row.values for row in rows if "CVPR" in row.source), None)
    return paper, next((row.values for row in rows if "CVPR" not in row.source), None)


def _iu(values: tuple[float | None, ...] | None) -> str:
    return "–" if values is None or values[2] is None else f"{values[2]:.1f}"


def results() -> str:
    """Mean IU of each model: the paper's, the release's, ours."""
    rows = []
    for model in _models():
        paper, release = _rows_of(model)
        ours = MEASURED.get(model, ("not run", ""))[0]
        rows.append([model, _iu(paper), _iu(release), ours, f"`{_target(model)}`"])
    return _table(["model", "paper (CVPR 2015)", "reference release", "ours", "command"], rows)


def _target(model: str) -> str:
    return f"make {model.removeprefix('voc-') if model in SHORT else model}"


def commands() -> str:
    """What trains each model, and what it starts from."""
    rows = []
    for model in _models():
        row = nets.get(model)
        parents = [CLASSIFIERS.get(parent, parent) for parent in row.parents]
        folders = [f"--{name.replace('_', '-')} DIR" for name in row.task.folders]
        weights = ["--weights FILE"] * any(parent in CLASSIFIERS for parent in row.parents)
        command = " ".join(["fcn train", model, *folders, *weights, "--gpu 0"])
        rows.append([model, ", ".join(parents), f"`{_target(model)} GPU=0`", f"`{command}`"])
    return _table(["model", "starts from", "make", "fcn"], rows)


def scores() -> str:
    """All four numbers of each model of PASCAL VOC."""
    return _scores("voc")


def other_scores() -> str:
    """All four numbers of the models of the other data sets."""
    return _scores("nyud", "siftflow", "pascalcontext")


def _scores(*datasets: str) -> str:
    rows = []
    for model in _models(*datasets):
        paper, release = _rows_of(model)
        ours, where = MEASURED.get(model, ("not run", ""))
        said = [_four(values, n) if values else "–" for values, n in ((paper, 1), (release, 2))]
        rows.append([model, *said, ours, where])
    return _table(["model", "paper, CVPR 2015", "reference release", "ours", "commit, hardware, time"], rows)


def recipes() -> str:
    """How each model is trained, as published."""
    rows = []
    for model in solvers.RECIPES:
        row, parents = solvers.recipe(model), nets.get(model).parents
        rows.append(
            [
                model,
                f"{row.base_lr:e}".replace(".000000", "").replace("e-0", "e-"),
                f"{row.momentum:g}",
                str(row.iter_size),
                "mean" if row.normalize else "summed",
                f"{row.max_iter:,}",
                ", ".join(CLASSIFIERS.get(parent, parent) for parent in parents),
            ]
        )
    head = ["model", "rate", "momentum", "images an update", "loss", "iterations", "starts from"]
    return _table(head, rows)


def peers() -> str:
    """The newest benchmark beside other libraries."""
    found = newest()
    if found is None:
        return "Not run yet: `make bench`."
    path = f"../benchmarks/results/{found.stem}"
    links = f"All of it: [tables]({path}.md), [plots]({path}.png)."
    return "\n\n".join([report.about(found), report.summary(found), links])


TABLES = {
    "results": results,
    "commands": commands,
    "scores": scores,
    "other_scores": other_scores,
    "recipes": recipes,
    "peers": peers,
}


def filled(text: str) -> str:
    """A document with its tables as they are now."""

    def fill(match: re.Match[str]) -> str:
        return f"{match[1]}\n{TABLES[match[2]]()}\n<!-- end -->"

    return re.sub(r"(<!-- table: (\w+) -->)\n.*?<!-- end -->", fill, text, flags=re.S)


def main() -> None:
    for path in DOCUMENTS:
        path.write_text(filled(path.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
