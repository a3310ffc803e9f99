"""A job: everything that a stage of training is, in one value that a run stores and gives back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import nets
import solvers
from voc_layers.facts import MEAN_BGR
from voc_layers.folder import Split, split_of


@dataclass(frozen=True)
class Job:
    """What a stage of training is. Two runs of the same job on the same machine end alike.

    Attributes:
        model: the id of the net, see `nets.MODELS`.
        recipe: how it is trained.
        layers: form -> data layer. 'train' is needed, and 'val' where the recipe scores during training.
        class_names: in the order of the label values; as many as the net has scores.
        width: what the widths of the model's own trunk are multiplied by.
        trunk: another trunk than the model's own.
        weights: what the net starts from: a file, the folder of a run, or None for the run of its parent.
        seed: of dropout and fillers; the data layers have their own.
        precision: how many bits are multiplied in training, and in the scores during it; see
            `fcn.engine.multiplying`.
    """

    model: str
    recipe: solvers.Recipe
    layers: Mapping[str, nets.PythonData]
    class_names: tuple[str, ...]
    width: float = 1.0
    trunk: nets.Trunk | None = None
    weights: Path | None = None
    seed: int | None = 1337
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
    def mean(self) -> tuple[float, ...]:
        """B, G, R: what is subtracted from images."""
        return tuple(self.layers["train"].params.get("mean", MEAN_BGR))

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

    def build(self, form: str, iteration: int = 0) -> Any:
        """NetParameter of 'train', 'val' or 'deploy'; that of 'train' reads on after so many steps."""
        options: dict[str, Any] = {"classes": len(self.class_names), "arch": self.arch}
        if not self.is_classifier:
            options["normalize"] = self.recipe.normalize
        data = {**self.layers, "train": self._read_on(self.layers["train"], iteration)}
        return nets.build(self.model, form, data=data, **options)

    def _read_on(self, layer: nets.PythonData, iteration: int) -> nets.PythonData:
        """The layer after so many steps; one that is not of `voc_layers` keeps its own order."""
        if not iteration or layer.module != nets.PythonData.module:
            return layer
        return replace(layer, params={**layer.params, "start": iteration * self.recipe.iter_size})

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `from_dict` undoes it."""
        found = {field.name: getattr(self, field.name) for field in fields(self)}
        trunk: Any = self.trunk
        return {
            **found,
            "recipe": asdict(self.recipe),
            "layers": {form: {**asdict(x), "params": dict(x.params)} for form, x in self.layers.items()},
            "trunk": None if trunk is None else asdict(trunk),
            "weights": None if self.weights is None else str(self.weights),
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
                "weights": Path(values["weights"]) if values["weights"] else None,
            }
        )


def _tuples(value: Any) -> Any:
    """JSON's lists as the tuples they were."""
    if isinstance(value, dict):
        return {key: _tuples(inner) for key, inner in value.items()}
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
