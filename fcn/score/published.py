"""Published numbers to stand beside ours: pixel acc., mean acc., mean IU, f.w. IU, in percent."""

from __future__ import annotations

from dataclasses import dataclass

import nets


@dataclass(frozen=True)
class Published:
    """One row of a table; None = the source does not say."""

    source: str
    values: tuple[float | None, float | None, float | None, float | None]


_TABLE_2 = "CVPR 2015, table 2"
_TABLE_4, _TABLE_5, _TABLE_6 = "CVPR 2015, table 4", "CVPR 2015, table 5", "CVPR 2015 (arXiv), table 6"
_RELEASED = "released weights, measured"

#: model -> rows on what it is scored on: of PASCAL VOC, seg11valid (736 images of VOC2011 val that are not in
#: SBD's training set). For a labeling with a name, 'model name' is the key.
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
    "voc-fcn32s-fixed": (Published(_TABLE_2, (83.0, 59.7, 45.4, 72.0)),),
    "nyud-fcn32s-color": (Published(_TABLE_4, (60.0, 42.2, 29.2, 43.9)),),
    "nyud-fcn32s-hha": (Published(_TABLE_4, (57.1, 35.2, 24.2, 40.4)),),
    "nyud-fcn32s-color-d": (Published(_TABLE_4, (61.5, 42.4, 30.5, 45.5)),),
    "nyud-fcn32s-color-hha": (Published(_TABLE_4, (64.3, 44.9, 32.8, 48.0)),),
    "siftflow-fcn16s": (Published(_TABLE_5, (85.2, 51.7, 39.5, 76.1)),),
    "siftflow-fcn16s geo": (Published(_TABLE_5, (94.3, None, None, None)),),
    "pascalcontext-fcn32s": (Published(_TABLE_6, (63.8, 42.7, 31.8, 48.3)),),
    "pascalcontext-fcn16s": (Published(_TABLE_6, (65.7, 46.2, 34.8, 50.7)),),
    "pascalcontext-fcn8s": (Published(_TABLE_6, (65.9, 46.5, 35.1, 51.0)),),
}


def published(model: str | None, classes: int, labeling: str = "") -> tuple[Published, ...]:
    """The rows for a model and one of its labelings; none where the classes are not those it is for."""
    row = nets.MODELS.get(model or "")
    if row is None:
        return ()
    expected = next((one.classes for one in row.labelings if one.name == labeling), None) or row.classes
    first = labeling == row.labelings[0].name
    return PUBLISHED.get(f"{model}" if first else f"{model} {labeling}", ()) if classes == expected else ()
