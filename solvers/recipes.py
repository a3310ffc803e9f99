"""The training recipes as data: one row per model and kind of optimisation.

`heavy` is that of the journal paper (Shelhamer, Long, Darrell, PAMI 2016) and of the reference release: one
image per step and momentum 0.99, about the memory of batches of 20 at 0.9 (0.9 to the power of 1/20 is
0.995). Its rate is 1e-10 because the loss is summed: an image of 500 x 500 adds up 250,000 gradients and
momentum 0.99 a hundred steps of them, which moves a weight as far as a rate of 2.5e-3 would with the mean
loss and no momentum.
`accum` is that of the conference paper (Long, Shelhamer, Darrell, CVPR 2015): 20 images per step, momentum
0.9, the mean loss, a rate for each classifier: 1e-3 for AlexNet, 1e-4 for VGG16, 5e-5 for GoogLeNet; biases
at twice that. `release` is the one recipe of the release that is neither: that of FCN-AlexNet.
Each coarser-to-finer step of the chain divides the rate by 100, to refine what the coarser net has learned
and not to overwrite it; on SIFT Flow the release leaves it at 1e-12 for the second of them.
`light` is ours, for narrow trunks and small machines, for which there are no ImageNet weights: Adam, whose
step does not depend on how large a loss is, gets a net off the ground from random weights in hundreds of
steps, where momentum 0.99 at a tiny rate needs days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True)
class Recipe:
    """How one model is trained. Counts are in steps; a step sees `iter_size` images.

    Attributes:
        normalize: the loss is a mean over the pixels instead of their sum.
        double_bias: biases learn twice as fast as weights, in models that do not say so of themselves.
        power: of the rate policy `poly`: in step i the rate is base_lr (1 - i / max_iter) ^ power.
        max_iter: the last step.
        solver_max_iter: what the release's solver file says, where its script stops at another step.
        snapshot: 0: where the net is scored.
        forms: what the release calls the net to train and the net to score.
    """

    model: str
    kind: str
    goal: str
    expected: str
    source: str
    base_lr: float
    momentum: float = 0.99
    iter_size: int = 1
    normalize: bool = False
    double_bias: bool = False
    weight_decay: float = 0.0005
    type: str = "SGD"
    lr_policy: str = "fixed"
    power: float | None = None
    max_iter: int = 100_000
    snapshot: int = 4000
    test_every: int = 4000
    test_iter: int = 736
    display: int = 20
    average_loss: int = 20
    solver_max_iter: int | None = None
    forms: tuple[str, str] = ("train", "val")

    def changed(self, **changes: Any) -> Recipe:
        """With other values; None means its own."""
        given = {key: value for key, value in changes.items() if value is not None}
        if "max_iter" in given:
            given["solver_max_iter"] = None
        return replace(self, **given)

    def scores_at(self, step: int) -> bool:
        """Whether the net is scored after so many steps: at its interval, and at the end."""
        return bool(self.test_every and step) and (step % self.test_every == 0 or step >= self.max_iter)

    @property
    def command(self) -> str:
        """The command that runs this recipe."""
        return f"fcn train {self.model} --recipe {self.kind} --gpu 0"


_RELEASE = "shelhamer/fcn.berkeleyvision.org, {}/solver.prototxt and solve.py"
_CVPR = "Long et al., CVPR 2015, section 4.3"
_ON_VALID, _ON_NYUD = "{} mean IU on seg11valid", "{} mean IU on NYUDv2's test list"

_HEAVY = Recipe("", "heavy", "", "", "", base_lr=1e-10)
_NYUD = replace(
    _HEAVY, forms=("trainval", "test"), snapshot=2000, test_every=2000, test_iter=654, solver_max_iter=300_000
)
_SIFTFLOW = replace(_NYUD, snapshot=0, test_iter=200)
_CONTEXT = replace(_HEAVY, max_iter=400_000, test_every=8000, test_iter=5105, solver_max_iter=300_000)
_ACCUM = Recipe(
    "", "accum", "", "", _CVPR, base_lr=1e-4, momentum=0.9, iter_size=20, normalize=True, double_bias=True
)
_LIGHT = Recipe(
    "",
    "light",
    "the same with Adam, from weights that know little",
    "not published",
    "fcn demo, and docs/camvid.md",
    type="Adam",
    momentum=0.9,
    base_lr=1.25e-4,
    max_iter=10_000,
    snapshot=400,
    test_every=400,
)

_FROM_VGG16 = "end-to-end learning from an image classifier, stride 32"
_FROM_CAFFENET = "end-to-end learning from CaffeNet, stride 32"
_POOL4, _POOL3 = "refine FCN-32s with a skip from pool4", "refine FCN-16s with a skip from pool3"
_AT_ONCE, _LAST = "all three streams in one stage", "only the last layer learns, stride 32"
_UNKNOWN = "not published"

#: Recipe, model, goal, expected; rate and whatever differs.
_TABLE: tuple[tuple[Recipe, str, str, str, dict[str, Any]], ...] = (
    (_HEAVY, "voc-fcn32s", _FROM_VGG16, _ON_VALID.format(63.6), {}),
    (_HEAVY, "voc-fcn16s", _POOL4, _ON_VALID.format("65.0"), {"base_lr": 1e-12}),
    (_HEAVY, "voc-fcn8s", _POOL3, _ON_VALID.format(65.5), {"base_lr": 1e-14}),
    (_HEAVY, "voc-fcn8s-atonce", _AT_ONCE, _ON_VALID.format(65.4), {"max_iter": 300_000}),
    (
        replace(_ACCUM, kind="release", double_bias=False),
        "voc-fcn-alexnet",
        _FROM_CAFFENET,
        _ON_VALID.format("48.0"),
        {"base_lr": 1e-4, "source": _RELEASE.format("voc-fcn-alexnet")},
    ),
    (_NYUD, "nyud-fcn32s-color", "FCN-32s on colour", _ON_NYUD.format(29.2), {}),
    (_NYUD, "nyud-fcn32s-hha", "FCN-32s on HHA", _ON_NYUD.format(24.2), {}),
    (_NYUD, "nyud-fcn32s-color-d", "early fusion of colour and depth", _ON_NYUD.format(30.5), {}),
    (
        _NYUD,
        "nyud-fcn32s-color-hha",
        "late fusion of the nets on colour and on HHA",
        _ON_NYUD.format(32.8),
        {"base_lr": 1e-12},
    ),
    (_SIFTFLOW, "siftflow-fcn32s", _FROM_VGG16, _UNKNOWN, {}),
    (_SIFTFLOW, "siftflow-fcn16s", _POOL4, "39.5 mean IU on SIFT Flow's test list", {"base_lr": 1e-12}),
    (_SIFTFLOW, "siftflow-fcn8s", _POOL3, _UNKNOWN, {"base_lr": 1e-12}),
    (_CONTEXT, "pascalcontext-fcn32s", _FROM_VGG16, "31.8 mean IU of 59 classes", {}),
    (_CONTEXT, "pascalcontext-fcn16s", _POOL4, "34.8 mean IU of 59 classes", {"base_lr": 1e-12}),
    (_CONTEXT, "pascalcontext-fcn8s", _POOL3, "35.1 mean IU of 59 classes", {"base_lr": 1e-14}),
    (_ACCUM, "voc-fcn32s", _FROM_VGG16, _ON_VALID.format(59.4), {}),
    (_ACCUM, "voc-fcn16s", _POOL4, _ON_VALID.format(62.4), {"base_lr": 1e-6}),
    (_ACCUM, "voc-fcn8s", _POOL3, _ON_VALID.format(62.7), {"base_lr": 1e-8}),
    (_ACCUM, "voc-fcn8s-atonce", _AT_ONCE, _UNKNOWN, {"source": "the rate of FCN-32s"}),
    (_ACCUM, "voc-fcn32s-fixed", _LAST, _ON_VALID.format(45.4), {}),
    (
        _HEAVY,
        "voc-fcn32s-fixed",
        _LAST,
        _UNKNOWN,
        {"source": "the rate of FCN-32s"},
    ),
    (
        _ACCUM,
        "voc-fcn-alexnet",
        _FROM_CAFFENET,
        "39.8 mean IU on VOC 2011 val, 48.0 with SBD's labels",
        {"base_lr": 1e-3},
    ),
    (
        _ACCUM,
        "voc-fcn-googlenet",
        "end-to-end learning from GoogLeNet, stride 32",
        "42.5 mean IU on VOC 2011 val, trained on VOC's own labels",
        {"base_lr": 5e-5},
    ),
)

#: model -> kind -> recipe; a model's first kind is the published one.
RECIPES: dict[str, dict[str, Recipe]] = {}
for _base, _model, _goal, _expected, _changes in _TABLE:
    _row = replace(
        _base,
        model=_model,
        goal=_goal,
        expected=_expected,
        **{"source": _base.source or _RELEASE.format(_model), **_changes},
    )
    RECIPES.setdefault(_model, {})[_row.kind] = _row
for _model, _kinds in RECIPES.items():
    if _model.startswith("voc-"):  # one's own images have no depth and one labeling
        _kinds[_LIGHT.kind] = replace(_LIGHT, model=_model)
KINDS = ("heavy", "accum", "release", "light")


def recipe(model: str, kind: str | None = None) -> Recipe:
    """The recipe of `model`; by default the one it was published with. ValueError names the choices."""
    if model not in RECIPES:
        raise ValueError(f"no recipe for '{model}'; there are recipes for {', '.join(RECIPES)}")
    kinds = RECIPES[model]
    if kind is not None and kind not in kinds:
        raise ValueError(f"'{model}' has no recipe '{kind}'; it has {', '.join(kinds)}")
    return kinds[kind or next(iter(kinds))]
