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
DOCUMENTS = (ROOT / "README.md", ROOT / "docs" / "reproduction.md", ROOT / "docs" / "benchmarks.md")
#: model -> our four numbers on seg11valid, in percent, and where they were measured. Empty: not run.
MEASURED: dict[str, tuple[str, str]] = {}
CLASSIFIERS = {"vgg16": "VGG16", "caffenet": "CaffeNet"}


def _table(head: list[str], rows: list[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _four(values: tuple[float | None, ...], decimals: int) -> str:
    return " / ".join("–" if value is None else f"{value:.{decimals}f}" for value in values)


def results() -> str:
    """Mean IU of each model: the paper's, the release's, ours."""
    rows = []
    for model, published in PUBLISHED.items():
        paper = published[0] if len(published) > 1 else None
        rows.append(
            [
                model,
                f"{paper.values[2]:.1f}" if paper else "–",
                f"{published[-1].values[2]:.1f}",
                MEASURED.get(model, ("not run", ""))[0],
                f"`make {model.removeprefix('voc-')}`",
            ]
        )
    return _table(["model", "paper (CVPR 2015)", "reference release", "ours", "command"], rows)


def scores() -> str:
    """All four numbers of each model."""
    rows = []
    for model, published in PUBLISHED.items():
        paper = _four(published[0].values, 1) if len(published) > 1 else "–"
        ours, where = MEASURED.get(model, ("not run", ""))
        rows.append([model, paper, _four(published[-1].values, 2), ours, where])
    return _table(["model", "paper, CVPR 2015", "reference release", "ours", "commit, hardware, time"], rows)


def recipes() -> str:
    """How each model is trained, as published."""
    rows = []
    for model in solvers.RECIPES:
        row, parent = solvers.recipe(model), nets.get(model).parent or ""
        rows.append(
            [
                model,
                f"{row.base_lr:g}".replace("e-0", "e-") if row.base_lr < 1e-4 else "1e-4",
                f"{row.momentum:g}",
                str(row.iter_size),
                "mean" if row.normalize else "summed",
                f"{row.max_iter:,}",
                CLASSIFIERS.get(parent, parent),
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


TABLES = {"results": results, "scores": scores, "recipes": recipes, "peers": peers}


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
