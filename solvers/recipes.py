"""The training recipes as data: one row per model and kind of optimisation.

`heavy` is that of the journal paper (Shelhamer, Long, Darrell, PAMI 2016) and of the reference release: one
image per step and momentum 0.99, about the memory of batches of 20 at 0.9 (0.9 to the power of 1/20 is
0.995). Its rate is 1e-10 because the loss is summed: an image of 500 x 500 adds up 250,000 gradients and
momentum 0.99 a hundred steps of them, which moves a weight as far as a rate of 2.5e-3 would with the mean
loss and no momentum.
`accum` is that of the conference paper (Long, Shelhamer, Darrell, CVPR 2015): 20 images per step, momentum
0.9, the mean loss. Each coarser-to-finer step of the chain divides the rate by 100, to refine what the
coarser net has learned and not to overwrite it.
`light` is ours, for narrow trunks and small machines, for which there are no ImageNet weights: Adam, whose
step does not depend on how large a loss is, gets a net off the ground from random weights in hundreds of
steps, where momentum 0.99 at a tiny rate needs days.
"""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Recipe:
    """How one model is trained. Counts are in steps; a step sees `iter_size` images."""

    model: str
    kind: str
    goal: str
    expected: str
    source: str
    base_lr: float
    momentum: float = 0.99
    iter_size: int = 1
    normalize: bool = False
    weight_decay: float = 0.0005
    type: str = "SGD"
    lr_policy: str = "fixed"
    max_iter: int = 100_000
    snapshot: int = 4000
    test_every: int = 4000
    test_iter: int = 736
    display: int = 20
    average_loss: int = 20

    def scores_at(self, step: int) -> bool:
        """Whether the net is scored after so many steps: at its interval, and at the end."""
        return bool(self.test_every and step) and (step % self.test_every == 0 or step >= self.max_iter)

    @property
    def command(self) -> str:
        """The command that runs this recipe."""
        return f"fcn train {self.model} --recipe {self.kind} --gpu 0"


_RELEASE = "shelhamer/fcn.berkeleyvision.org, {}/solver.prototxt; scores from its README"
_CVPR = "Long et al., CVPR 2015, sections 4.2 and 4.3, table 2"

_HEAVY = Recipe(
    "voc-fcn32s",
    "heavy",
    "end-to-end learning from an image classifier, stride 32",
    "63.6 mean IU on seg11valid",
    _RELEASE.format("voc-fcn32s"),
    base_lr=1e-10,
)
_ACCUM = Recipe(
    "voc-fcn32s",
    "accum",
    "the same in batches of 20 images, mean loss",
    "59.4 mean IU on seg11valid",
    _CVPR,
    base_lr=1e-4,
    momentum=0.9,
    iter_size=20,
    normalize=True,
)

_LIGHT = replace(
    _HEAVY,
    kind="light",
    goal="the same with Adam, from weights that know little",
    expected="not published",
    source="fcn demo, and docs/camvid.md",
    type="Adam",
    momentum=0.9,
    base_lr=1.25e-4,
    max_iter=10_000,
    snapshot=400,
    test_every=400,
)

_ROWS = (
    _HEAVY,
    replace(
        _HEAVY,
        model="voc-fcn16s",
        goal="refine FCN-32s with a skip from pool4",
        base_lr=1e-12,
        expected="65.0 mean IU on seg11valid",
        source=_RELEASE.format("voc-fcn16s"),
    ),
    replace(
        _HEAVY,
        model="voc-fcn8s",
        goal="refine FCN-16s with a skip from pool3",
        base_lr=1e-14,
        expected="65.5 mean IU on seg11valid",
        source=_RELEASE.format("voc-fcn8s"),
    ),
    replace(
        _HEAVY,
        model="voc-fcn8s-atonce",
        goal="all three streams in one stage",
        max_iter=300_000,
        expected="65.4 mean IU on seg11valid",
        source=_RELEASE.format("voc-fcn8s-atonce"),
    ),
    _ACCUM,
    replace(
        _ACCUM,
        model="voc-fcn16s",
        goal="refine FCN-32s with a skip from pool4",
        base_lr=1e-6,
        expected="62.4 mean IU on seg11valid",
    ),
    replace(
        _ACCUM,
        model="voc-fcn8s",
        goal="refine FCN-16s with a skip from pool3",
        base_lr=1e-8,
        expected="62.7 mean IU on seg11valid",
    ),
    replace(
        _ACCUM,
        model="voc-fcn8s-atonce",
        goal="all three streams in one stage",
        expected="not published",
        source="the rate of FCN-32s",
    ),
    replace(
        _ACCUM,
        model="voc-fcn-alexnet",
        goal="end-to-end learning from CaffeNet, stride 32",
        expected="48.0 mean IU on seg11valid",
        source=_RELEASE.format("voc-fcn-alexnet"),
    ),
)
_LIGHT_MODELS = dict.fromkeys(row.model for row in _ROWS)

#: model -> kind -> recipe; a model's first kind is the published one.
RECIPES: dict[str, dict[str, Recipe]] = {}
for _row in (*_ROWS, *(replace(_LIGHT, model=_model) for _model in _LIGHT_MODELS)):
    RECIPES.setdefault(_row.model, {})[_row.kind] = _row
KINDS = ("heavy", "accum", "light")


def recipe(model: str, kind: str | None = None) -> Recipe:
    """The recipe of `model`; by default the one it was published with. ValueError names the choices."""
    if model not in RECIPES:
        raise ValueError(f"no recipe for '{model}'; there are recipes for {', '.join(RECIPES)}")
    kinds = RECIPES[model]
    if kind is not None and kind not in kinds:
        raise ValueError(f"'{model}' has no recipe '{kind}'; it has {', '.join(kinds)}")
    return kinds[kind or next(iter(kinds))]
