"""Recipes as solver prototxts."""

from __future__ import annotations

from typing import Any

from caffe.proto import caffe_pb2

from .recipes import Recipe

# The scripts score with score.py; the solver's own test phase knows no mean IU.
NEVER = 999_999_999


def solver(
    recipe: Recipe,
    train_net: str | None = None,
    val_net: str | None = "",
    snapshot_prefix: str | None = None,
    seed: int | None = None,
) -> Any:
    """SolverParameter of `recipe`; no fixed seed without `seed`.

    train_net, val_net: by default the files of the release, in the solver's folder; None: no test net.
    """
    train, val = (f"{form}.prototxt" for form in recipe.forms)
    message = caffe_pb2.SolverParameter(
        train_net=train_net or train,
        display=recipe.display,
        average_loss=recipe.average_loss,
        lr_policy=recipe.lr_policy,
        base_lr=recipe.base_lr,
        momentum=recipe.momentum,
        iter_size=recipe.iter_size,
        max_iter=recipe.solver_max_iter or recipe.max_iter,
        weight_decay=recipe.weight_decay,
        snapshot=recipe.snapshot or None,
        snapshot_prefix=snapshot_prefix or ("snapshot/train" if recipe.snapshot else None),
        test_initialization=False,
    )
    if val_net is not None:
        message.test_net.append(val_net or val)
        message.test_iter.append(recipe.test_iter)
        message.test_interval = NEVER
    if recipe.type != "SGD":
        message.type = recipe.type
    if recipe.power is not None:
        message.power = recipe.power
    if seed is not None:
        message.random_seed = seed
    return message


def text(recipe: Recipe, command: str | None = None, **options: Any) -> str:
    """Solver prototxt with the recipe's header as comments; `options` as in `solver`.

    `command` is the one that runs it, by default the recipe's own.
    """
    header = (
        f"{recipe.model}, {recipe.kind}: {recipe.goal}",
        f"expect: {recipe.expected}",
        f"source: {recipe.source}",
        f"run: {command or recipe.command}",
    )
    # A command may have lines of its own, as `python -c` has: all of them are part of the comment.
    comments = "".join(f"# {line}\n" for entry in header for line in entry.splitlines())
    return comments + str(solver(recipe, **options))
