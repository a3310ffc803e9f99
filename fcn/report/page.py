"""The page: one HTML file that holds all it shows, and asks no network. By Jinja2 (the extra `report`)."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import caffe

from ..figures import ClassColours
from ..outputs import replace_text
from ..plotting import Curve, History
from ..plotting.picture import LOSS, SCORES, title
from ..runs import Run, read_rows
from ..score import Scorecard
from ..score.metrics import ABSENT_CLASS_RULE
from ..tables import percent
from ..verify.finding import Finding
from .boundary import boundaries
from .chart import chart
from .facts import facts
from .numbers import card_context
from .pictures import SIDE, Example, palette_data

#: What the file is called in its folder.
NAME = "report.html"
TEMPLATES = Path(__file__).with_name("templates")
#: What the slider goes through, in this order.
VIEWS = ("image", "truth", "prediction", "errors")


@dataclass(frozen=True)
class Labeled:
    """One labeling of what was scored, and its score.

    Attributes:
        examples: kind ('Best', 'Worst') -> images to look into.
        name: what its labels are called, where a net has more than one kind.
    """

    card: Scorecard
    examples: Mapping[str, Sequence[Example]] = field(default_factory=dict)
    name: str = ""


@dataclass(frozen=True)
class Report:
    """What a page is made of.

    Attributes:
        title: what was scored against what.
        labelings: one, but for nets that say more than one thing of a pixel.
        run: where curves and recipe are read; None where what was scored is no run.
        weights: the snapshot that was scored.
        findings: what `fcn verify` says.
    """

    title: str
    labelings: Sequence[Labeled]
    run: Run | None = None
    weights: Path | None = None
    findings: Sequence[Finding] = ()

    @property
    def card(self) -> Scorecard:
        """The score of the first labeling, which knows those of the others."""
        return self.labelings[0].card


def template() -> Any:
    """The template of the page. Raises ValueError, naming the extra, where Jinja2 is not installed."""
    try:
        import jinja2
    except ImportError as error:
        raise ValueError("a report page needs Jinja2: pip install 'caffe-fcn[report]'") from error
    # Names come from the data of strangers: whatever is not marked as markup is escaped.
    loader = jinja2.FileSystemLoader(TEMPLATES)
    made = jinja2.Environment(loader=loader, autoescape=True, undefined=jinja2.StrictUndefined)
    return made.get_template("page.html")


def write(report: Report, folder: Path) -> Path:
    """Write the page into a folder, made if missing; returns the file.

    Raises:
        ValueError: Jinja2 is missing, or a file of the run is damaged.
        OSError: it cannot be written.
    """
    text = render(report)
    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / NAME, text)
    return folder / NAME


def render(report: Report) -> str:
    """The page as text. Raises ValueError as `write` does."""
    page = template()
    script, style = ((TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.js", "style.css"))
    text: str = page.render(
        script=_Trusted(script),
        script_digest="sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
        style=_Trusted(style),
        made_by=getattr(caffe, "__engine__", "caffe-fcn"),
        **_content(report),
    )
    return text


class _Trusted(str):
    """Text of this package that is markup already."""

    def __html__(self) -> str:
        return str(self)


def _content(report: Report) -> dict[str, Any]:
    """What the template shows of a report."""
    card = report.card
    content = {
        "title": report.title,
        "subtitle": f"{card.images} images, {_classes(report)}"
        + (f", {report.weights.name}" if report.weights else ""),
        "labelings": [_labeling(place, one) for place, one in enumerate(report.labelings)],
        "rule": f"{ABSENT_CLASS_RULE[0].upper()}{ABSENT_CLASS_RULE[1:]}.",
        "charts": _charts(report.run),
        "history": _history(report.run),
        "findings": [found.as_json() for found in report.findings],
        "facts": facts(report.run, report.weights) if report.run else [],
    }
    return {**content, "parts": _parts(content)}


def _classes(report: Report) -> str:
    """How many classes, of each labeling."""
    counts = [(len(one.card.classes), f" {one.name}" if one.name else "") for one in report.labelings]
    return " and ".join(f"{count}{name}" for count, name in counts) + " classes"


def _labeling(place: int, labeled: Labeled) -> dict[str, Any]:
    """What the template shows of a labeling; `end` is what the ids of its parts end in."""
    card, colours = labeled.card, ClassColours.of(labeled.card.classes)
    groups = [
        {"title": kind, "examples": [example.context(colours) for example in examples]}
        for kind, examples in labeled.examples.items()
        if examples
    ]
    shown = sum(len(group["examples"]) for group in groups)
    with_image = any(one.image is not None for examples in labeled.examples.values() for one in examples)
    return {
        **card_context(card, colours),
        "name": labeled.name,
        "end": f"-{place + 1}" if place else "",
        "groups": groups,
        "images_note": f"{shown} of {card.images} images by their mean IU, {SIDE} pixels at most on the "
        "longer side. Move a slider to lay one view over the other; point at a pixel to read its classes. "
        "Shares are of truth and prediction together.",
        "views": VIEWS if with_image else VIEWS[1:],
        "start_view": VIEWS.index("prediction") if with_image else 1,
        "palette": palette_data(colours),
        "boundaries": boundaries(card),
    }


def _parts(content: Mapping[str, Any]) -> list[tuple[str, str, bool]]:
    """Address and name of the parts that the page has, and whether each labeling has its own."""
    first = content["labelings"][0]
    parts = (
        ("score", "Score", True, True),
        ("images", "Images", True, first["groups"]),
        ("classes", "Classes", True, True),
        ("confusion", "Confusion", True, True),
        ("boundaries", "Boundaries", True, first["boundaries"]),
        ("curves", "Learning curves", False, content["charts"]),
        ("checks", "Checks", False, content["findings"]),
        ("recipe", "Recipe", False, content["facts"]),
    )
    return [(id, text, each) for id, text, each, there in parts if there]


def _charts(run: Run | None) -> list[dict[str, Any]]:
    """The loss and the score during training, as far as the run has them."""
    curves = History(run.path.name, run).curves if run else {}
    wanted = [(LOSS, True, False), *((name, False, True) for name in SCORES)]
    made = (
        chart(title(name), {"": _in_percent(curves[name]) if share else curves[name]}, log, share)
        for name, log, share in wanted
        if name in curves
    )
    return [one for one in made if one is not None]


def _in_percent(curve: Curve) -> Curve:
    x, y = curve
    return x, [100 * value for value in y]


def _history(run: Run | None) -> dict[str, Any] | None:
    """`scores.csv` as a table; None where there is none."""
    rows = read_rows(run.scores) if run and run.scores.is_file() else []
    if not rows:
        return None
    return {
        "columns": ["step", *(name for name in rows[0] if name != "iteration")],
        "rows": [[_shown(name, text) for name, text in row.items()] for row in rows],
    }


def _shown(column: str, text: str) -> str:
    if column == "iteration" or not text:
        return text
    try:
        return f"{float(text):.4g}" if column.endswith("loss") else percent(float(text))
    except ValueError:
        return text
