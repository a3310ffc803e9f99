"""A job: everything that a stage of training is, in one value that a run stores and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import nets
import solvers
from voc_layers.facts import MEAN_BGR
from voc_layers.folder import Folder, Split
from voc_layers.inputs import Color, Input
from voc_layers.kinds import MODULES, folder_of, split_of
from voc_layers.order import Order, is_random, share


@dataclass(frozen=True)
class Job:
    """What a stage of training is. Two runs of the same job on the same machine end alike.

    Attributes:
        model: the id of the net, see `nets.MODELS`.
        recipe: how it is trained.
        layers: form -> data layer. 'train' is needed, and 'val' where the recipe scores during training.
        class_names: in the order of the label values; as many as the net has scores (of its first labeling).
        width: what the widths of the model's own trunk are multiplied by.
        trunk: another trunk than the model's own.
        weights: what the net starts from, a file or the folder of a run for each of the model's parents; none
            for the runs of its parents.
        seed: of dropout and fillers; the data layers have their own.
        kept: where the weights are those of a net with other classes: the classes of this one that keep its
            scores -> what they are called there. None where the weights fit as they are.
        precision: how many bits are multiplied in training, and in the scores during it; see
            `fcn.engine.multiplying`.
    """

    model: str
    recipe: solvers.Recipe
    layers: Mapping[str, nets.PythonData]
    class_names: tuple[str, ...]
    width: float = 1.0
    trunk: nets.Trunk | None = None
    weights: tuple[Path, ...] = ()
    seed: int | None = 1337
    kept: Mapping[str, str] | None = None
    precision: str = "float32"

    @property
    def arch(self) -> nets.Trunk:
        """The trunk, with its widths."""
        return self.trunk or nets.get(self.model).arch.scaled(self.width)

    @property
    def is_classifier(self) -> bool:
        """Whether the net gives one label to an image."""
        return nets.get(self.model).stride is None

    @property
    def labelings(self) -> tuple[nets.Labeling, ...]:
        """What the net says of each pixel."""
        return nets.get(self.model).labelings

    @property
    def folder(self) -> Folder | None:
        """What the images to score on lie in, or those to train on; None where it is of no known layout."""
        layer = self.layers.get("val", self.layers["train"])
        return folder_of(layer.layer, layer.params, self.class_names)

    @property
    def inputs(self) -> tuple[Input, ...]:
        """What the net looks at, and the means that are subtracted."""
        mean = self.layers["train"].params.get("mean", MEAN_BGR)
        return self.folder.inputs if self.folder else (Color("image", tuple(mean)),)

    @property
    def normalized(self) -> bool:
        """Whether the loss is a mean over the labels: a classifier's always is, as by Caffe's default."""
        return self.recipe.normalize or self.is_classifier

    def split(self, form: str) -> Split | None:
        """The images and labels of 'train' or 'val', read anew; None where they are not in such a folder."""
        if form not in self.layers:
            return None
        layer = self.layers[form]
        return split_of(layer.layer, layer.params, self.class_names)

    def images(self, step: int) -> tuple[str, ...]:
        """The ids that this process trains on in step `step`, from 0; () where it cannot be said."""
        split, params = self.split("train"), self.layers["train"].params
        if split is None or not split.ids:
            return ()
        order = Order(len(split.ids), is_random(split.name, params), params.get("seed"))
        if order.generator and params.get("seed") is None:
            return ()
        mine = share()
        batch = params.get("batch", 1)
        count = self.recipe.iter_size * batch * mine.solvers
        order.skip(step * count)
        drawn = [split.ids[order.draw()] for _ in range(count)]
        return tuple(drawn[mine.rank :: mine.solvers])

    def build(self, form: str, read: int = 0) -> Any:
        """NetParameter of 'train', 'val' or 'deploy'; that of 'train' reads on after so many batches."""
        options: dict[str, Any] = {"classes": len(self.class_names), "arch": self.arch}
        if not self.is_classifier:
            options["normalize"] = self.recipe.normalize
            options["double_bias"] = self.recipe.double_bias
        data = {**self.layers, "train": self._read_on(self.layers["train"], read)}
        return nets.build(self.model, form, data=data, **options)

    def _read_on(self, layer: nets.PythonData, read: int) -> nets.PythonData:
        """The layer after so many batches; one that is not of this project keeps its own order."""
        if not read or layer.module not in MODULES:
            return layer
        return replace(layer, params={**layer.params, "start": read})

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` undoes it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        trunk: Any = self.trunk
        return {
            **found,
            "recipe": asdict(self.recipe),
            "layers": {form: {**asdict(x), "params": dict(x.params)} for form, x in self.layers.items()},
            "trunk": None if trunk is None else asdict(trunk),
            "weights": [str(path) for path in self.weights],
        }

    @classmethod
    def from_dict(cls, found: Mapping[str, Any]) -> Job:
        """The job that `as_dict` described. Raises KeyError, TypeError or ValueError for anything else."""
        values: dict[str, Any] = {key: _tuples(value) for key, value in found.items()}
        own: Any = type(nets.get(values["model"]).arch)
        return cls(
            **{
                **values,
                "recipe": solvers.Recipe(**values["recipe"]),
                "layers": {form: nets.PythonData(**layer) for form, layer in values["layers"].items()},
                "trunk": own(**values["trunk"]) if values["trunk"] else None,
                "weights": tuple(map(Path, _listed(values["weights"]))),
            }
        )


def _listed(value: Any) -> tuple[str, ...]:
    """Several paths; runs before there were nets of two trunks have one, or none."""
    return (value,) if isinstance(value, str) else tuple(value or ())


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
