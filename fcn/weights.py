"""python -m fcn.weights random MODEL -o FILE: base weights filled at random, where the real ones are missing.

A net that starts from them trains and saves like any other, for trying things out; it does not reach the
published scores.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import nets
from fcn.predict import quiet


def save_random(
    model: str,
    path: str | Path,
    *,
    seed: int = 1337,
    arch: Any = None,
    classes: int | None = None,
    gain: float = 1.0,
) -> None:
    """Write a caffemodel of the classifier ``model`` ('vgg16', 'caffenet'): He-filled weights, zero biases.

    ``arch`` and ``classes`` as in ``nets.build``; ``gain`` multiplies all weights. Raises
    ValueError for a model without fillers of its own.
    """
    import caffe

    row = nets.get(model)
    if row.stride is not None:
        raise ValueError(
            f"'{model}' starts from '{row.parent}': make random weights for the classifier, one "
            f"of {', '.join(name for name, m in nets.MODELS.items() if m.stride is None)}"
        )
    caffe.set_random_seed(seed)
    proto = nets.build(model, "deploy", arch=arch or row.arch, classes=classes or row.classes)
    with tempfile.NamedTemporaryFile("w", suffix=".prototxt", delete=False) as file:
        file.write(str(proto))
    try:
        with quiet():
            net = caffe.Net(file.name, caffe.TEST)
    finally:
        Path(file.name).unlink()
    for blobs in net.params.values():
        blobs[0].data[...] *= gain
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    net.save(str(path))


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m fcn.weights", description=__doc__)
    random = parser.add_subparsers(dest="command", required=True).add_parser(
        "random", help="fill a classifier at random"
    )
    random.add_argument("model", help="vgg16 or caffenet")
    random.add_argument("-o", "--out", type=Path, required=True, metavar="FILE")
    random.add_argument("--seed", type=int, default=1337)
    random.add_argument("--classes", type=int, help="outputs of fc8 (default 1000)")
    random.add_argument("--width", type=float, default=1.0, help="multiply all widths of the trunk")
    args = parser.parse_args(argv)
    try:
        save_random(
            args.model,
            args.out,
            seed=args.seed,
            classes=args.classes,
            arch=nets.get(args.model).arch.scaled(args.width),
        )
    except ValueError as error:
        parser.error(str(error))
    print(f"{args.out}: {args.model}, width {args.width:g}, random (seed {args.seed})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
