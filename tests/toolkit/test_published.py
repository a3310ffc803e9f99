"""The generated nets and recipes are the reference release's, field by field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import nets
import solvers
from dev import published

#: model -> file -> digest; of the fifteen published models, those that can be built here are compared.
DIGESTS = {path.stem: json.loads(path.read_text()) for path in sorted(published.FOLDER.glob("*.json"))}
NETS = [(model, form) for model in DIGESTS for form in DIGESTS[model] if form != "solver"]
#: What the release calls our forms where it has `trainval` and `test` lists.
FORMS = {"trainval": "train", "test": "val"}


def digest(proto: Any) -> dict:
    return published.digest(published.message(proto))


@pytest.mark.parametrize(("model", "form"), NETS)
def test_a_net_equals_the_published_one(model: str, form: str) -> None:
    assert (
        list(published.differences(digest(nets.build(model, FORMS.get(form, form))), DIGESTS[model][form]))
        == []
    )


@pytest.mark.parametrize("model", DIGESTS)
def test_a_recipe_equals_the_published_solver(model: str) -> None:
    ours = digest(solvers.solver(solvers.recipe(model)))
    assert list(published.differences(ours, DIGESTS[model]["solver"])) == []


def test_every_fully_convolutional_model_is_compared_but_for_those_that_the_release_has_not() -> None:
    fcns = {name for name, model in nets.MODELS.items() if model.stride}
    assert fcns - DIGESTS.keys() == {"voc-fcn32s-fixed", "voc-fcn-googlenet"} and fcns == set(solvers.RECIPES)
    assert len(DIGESTS) == 15 and len(NETS) == 31


def test_a_difference_is_named() -> None:
    proto = nets.build("voc-fcn8s", "train", normalize=True)
    by_name = {layer.name: layer for layer in proto.layer}
    by_name["conv3_2"].convolution_param.pad[0] = 2
    by_name["fuse_pool4"].bottom[0] = "score_fr"
    by_name["data"].python_param.param_str = by_name["data"].python_param.param_str.replace("122.6", "122.7")
    by_name["fc7"].type = "InnerProduct"
    proto.layer.add(name="extra", type="Silence")
    found = published.differences(digest(proto), DIGESTS["voc-fcn8s"]["train"])
    assert {" ".join(line.split()[:3]) for line in found} == {
        "layer extra: the",
        "layer data: param_str.mean",
        "layer conv3_2: convolution_param",
        "layer fuse_pool4: bottom",
        "layer fc7: type",
        "layer loss: loss_param",
    }


def test_a_solver_that_differs_is_named() -> None:
    ours = solvers.solver(solvers.recipe("voc-fcn8s"), seed=3)
    ours.base_lr *= 2
    found = list(published.differences(digest(ours), DIGESTS["voc-fcn8s"]["solver"]))
    assert [line.split()[0] for line in found] == ["base_lr", "random_seed"]


@pytest.mark.data
def test_the_digests_are_those_of_the_release(shared: Path) -> None:
    release = published.of_folder(shared / "golden" / "published-nets")
    assert release == DIGESTS and len(release) == 15
