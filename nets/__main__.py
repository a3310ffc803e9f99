"""Write the prototxts of models: `fcn nets [ID ...] --out DIR`, which is `python -m nets`."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from voc_layers.facts import VOID

from . import MODELS, Model, PythonData, build, get
from .arguments import seed, whole, width

#: The options that name folders.
FOLDERS = tuple(dict.fromkeys(name for row in MODELS.values() if row.task for name in row.task.folders))


def arguments(prog: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=prog, description="write the prototxts of some or all models")
    parser.add_argument("models", nargs="*", metavar="ID", help=f"default: all of {', '.join(MODELS)}")
    parser.add_argument("--out", type=Path, default=Path("prototxt"), help="one folder per model goes here")
    for name in FOLDERS:
        parser.add_argument(f"--{name.replace('_', '-')}", metavar="DIR", help="default: as in the release")
    parser.add_argument("--classes", type=whole(1, VOID), help="score channels (default: those of the model)")
    parser.add_argument("--width", type=width, default=1.0, help="multiply all widths of the trunk")
    parser.add_argument("--seed", type=seed, default=1337, help="seed of the training order")
    return parser


def main(argv: Sequence[str] | None = None, prog: str = "python -m nets") -> int:
    """Write the prototxts that the arguments ask for and print their paths."""
    parser = arguments(prog)
    args = parser.parse_args(argv)
    for unknown in set(args.models) - set(MODELS):
        parser.error(f"no model is called '{unknown}'; there are {', '.join(MODELS)}")
    from fcn.outputs import told

    try:
        _write(args)
    except OSError as error:
        parser.error(f"--out {args.out}: {told(error)}")
    return 0


def _data(row: Model, args: argparse.Namespace) -> Mapping[str, PythonData] | None:
    """The data layers of a model, over the folders that are given; of a classifier none."""
    if row.task is None:
        return None
    given = {name: getattr(args, name) for name in row.task.folders if getattr(args, name) is not None}
    return row.task.layers(**given, seed=args.seed)


def _write(args: argparse.Namespace) -> None:
    from fcn.outputs import replace_text

    for model in args.models or MODELS:
        row = get(model)
        folder = args.out / model
        folder.mkdir(parents=True, exist_ok=True)
        options = {
            "data": _data(row, args),
            "arch": row.arch.scaled(args.width),
            "classes": args.classes or row.classes,
        }
        for form in row.forms:
            path = folder / f"{form}.prototxt"
            replace_text(path, str(build(model, form, **options)))
            print(path)


if __name__ == "__main__":
    raise SystemExit(main())
