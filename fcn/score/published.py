"""Published PASCAL VOC numbers to stand beside ours: pixel acc., mean acc., mean IU, f.w. IU, in percent."""

from __future__ import annotations

from dataclasses import dataclass

from voc_layers.facts import VOC_CLASSES


@dataclass(frozen=True)
class Published:
    """One row of a table; None = the source does not say."""

    source: str
    values: tuple[float | None, float | None, float | None, float | None]


_TABLE_2 = "CVPR 2015, table 2"
_RELEASED = "released weights, measured"

#: model -> rows on seg11valid (736 images of VOC2011 val that are not in SBD's training set).
PUBLISHED: dict[str, tuple[Published, ...]] = {
    "voc-fcn32s": (
        Published(_TABLE_2, (89.1, 73.3, 59.4, 81.4)),
        Published(_RELEASED, (90.4810, 76.4824, 63.6261, 83.4580)),
    ),
    "voc-fcn16s": (
        Published(_TABLE_2, (90.0, 75.7, 62.4, 83.0)),
        Published(_RELEASED, (90.9971, 78.0710, 65.0050, 84.2614)),
    ),
    "voc-fcn8s": (
        Published(_TABLE_2, (90.3, 75.9, 62.7, 83.2)),
        Published(_RELEASED, (91.2212, 77.6146, 65.5126, 84.5445)),
    ),
    "voc-fcn8s-atonce": (Published(_RELEASED, (91.1288, 78.4979, 65.3998, 84.4326)),),
    "voc-fcn-alexnet": (
        Published("CVPR 2015, section 4.1", (None, None, 48.0, None)),
        Published("reference release's README", (None, None, 48.0, None)),
    ),
}


def published(model: str | None, classes: int) -> tuple[Published, ...]:
    """The rows for a model; none where the model has none or the classes are not VOC's."""
    return PUBLISHED.get(model or "", ()) if classes == len(VOC_CLASSES) else ()
