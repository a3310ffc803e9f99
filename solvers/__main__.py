"""python -m solvers [ID ...] --out DIR: write solver prototxts; without --out, list the recipes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from . import KINDS, RECIPES, recipe, text


def main(argv: Sequence[str] | None = None) -> int:
    """Write or list the recipes that the arguments ask for."""
    parser = argparse.ArgumentParser(prog="python -m solvers", description=__doc__)
    parser.add_argument("models", nargs="*", metavar="ID", help=f"default: all of {', '.join(RECIPES)}")
    parser.add_argument("--recipe", choices=KINDS, help="default: the one each model was published with")
    parser.add_argument("--out", type=Path, help="write DIR/ID/solver.prototxt")
    args = parser.parse_args(argv)
    from fcn.outputs import replace_text, told

    for model in args.models or RECIPES:
        try:
            row = recipe(model, args.recipe)
        except ValueError as error:
            parser.error(str(error))
        if args.out is None:
            print(
                f"{row.model:18s} {row.kind:6s} lr {row.base_lr:<6g} momentum {row.momentum:<5g} "
                f"{row.iter_size:2d} image(s) a step, {row.max_iter} steps: {row.expected}"
            )
            continue
        path = args.out / model / "solver.prototxt"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace_text(path, text(row))
        except OSError as error:
            parser.error(f"--out {args.out}: {told(error)}")
        print(path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
