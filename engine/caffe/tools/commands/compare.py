"""``caffe compare A [B]``: two nets, or one net in two engines, blob by blob.

Both get the same parameters and inputs; every blob is looked at right after the layer that made it, so that
layers in place are told apart. The first layer that diverges is named.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..._caffe.errors import CaffeError
from ..._caffe.log import quiet
from . import blobs

SEED = 1
ONE_SIDED = ONLY_A, ONLY_B = "only in A", "only in B"


class Row(NamedTuple):
    """One top of a layer in A and in B. `absolute` is max|a - b|, `relative` that over max|a|."""

    layer: str
    type: str
    top: str
    absolute: float
    relative: float
    agrees: bool
    note: str = ""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the table. Returns 0 if all blobs agree, 1 if one diverges, 2 if a net could not be run."""
    args = _parser().parse_args(argv)
    try:
        a = Side(args.a, args.weights)
        b = Side(args.b or args.a, args.weights_b, args.engine_b, args.pythonpath_b)
        rows = compare(a, b, Inputs(args.phase, args.image, args.mean), args.rtol, args.atol)
    except (RuntimeError, OSError) as error:
        sys.stderr.write(f"caffe compare: {error}\n")
        return 2
    sys.stdout.write("\n".join([*table(rows), verdict(rows), ""]))
    compared = [row for row in rows if row.note not in ONE_SIDED]
    return 0 if compared and all(row.agrees for row in compared) else 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="caffe compare", description=__doc__)
    parser.add_argument("a", metavar="A", help="a net prototxt")
    parser.add_argument("b", metavar="B", nargs="?", help="the other; default A (other engine or weights)")
    parser.add_argument("--weights", metavar="W", help="caffemodel of A; default what its fillers draw")
    parser.add_argument("--weights-b", metavar="W2", help="caffemodel of B; default A's parameters")
    parser.add_argument("--image", metavar="X", help="an image for the first input; default random numbers")
    parser.add_argument(
        "--mean", type=_numbers, default=(), metavar="B,G,R", help="what is subtracted from the image"
    )
    parser.add_argument("--engine-b", metavar="PYTHON", help="an interpreter whose caffe runs B")
    parser.add_argument("--pythonpath-b", metavar="DIR", help="a folder to import B's caffe from")
    parser.add_argument("--phase", choices=("TRAIN", "TEST"), default="TEST")
    parser.add_argument("--rtol", type=float, default=1e-4, help="times max|a| of the blob (%(default)s)")
    parser.add_argument("--atol", type=float, default=1e-6, help="plus this (%(default)s)")
    return parser


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(float(part) for part in text.split(","))


# -- running ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Side:
    """One of the two nets.

    Attributes:
        net: a prototxt.
        weights: its caffemodel. Without one A has what its fillers draw, and B what A has.
        python, path: for B, the interpreter that runs it and where that finds `caffe`; None is this one.
    """

    net: str
    weights: str | None = None
    python: str | None = None
    path: str | None = None


@dataclass(frozen=True)
class Inputs:
    """What both nets are given.

    Attributes:
        phase: TRAIN or TEST.
        image: for the first input; None fills it with random numbers.
        mean: what is subtracted from the image, one number or one a channel, blue first.
    """

    phase: str = "TEST"
    image: str | None = None
    mean: Sequence[float] = ()


def compare(a: Side, b: Side, inputs: Inputs, rtol: float = 1e-4, atol: float = 1e-6) -> list[Row]:
    """Run two nets on the same inputs and compare the tops of their layers.

    Raises:
        CaffeError: a net cannot be built or run.
    """
    with tempfile.TemporaryDirectory() as folder:
        results = [os.path.join(folder, f"{name}.zip") for name in "ab"]
        values, shared = os.path.join(folder, "inputs.npz"), os.path.join(folder, "a.caffemodel")
        np.savez(values, **input_values(a.net, inputs))  # type: ignore[arg-type]
        common = {"phase": inputs.phase, "seed": SEED, "inputs": values}
        with quiet():
            save = None if b.weights else shared
            first = {**common, "net": a.net, "weights": a.weights, "out": results[0], "save_weights": save}
            blobs.record(first)
            request = {**common, "net": b.net, "weights": b.weights or shared, "out": results[1]}
            request["save_weights"] = None
            if b.python or b.path:
                _elsewhere(request, b.python or sys.executable, b.path)
            else:
                blobs.record(request)
        with zipfile.ZipFile(results[0]) as ours, zipfile.ZipFile(results[1]) as theirs:
            return list(_rows(ours, theirs, rtol, atol))


def input_values(net: str, inputs: Inputs) -> dict[str, np.ndarray]:
    """A value for every input of a net: the image or noise; zeros where labels are read."""
    from ... import Net, proto
    from ..._caffe import read_net

    with quiet():
        net_param = read_net(net)
        net_param.state.phase = getattr(proto.caffe_pb2, inputs.phase)
        built = Net.from_proto(net_param, net)
    plan = built.plan
    labels = {
        plan.blob_names[layer.bottoms[index]]
        for layer in plan.layers
        for index in layer.kind.label_bottoms
        if index < len(layer.bottoms)
    }
    noise = np.random.default_rng(SEED)
    values: dict[str, np.ndarray] = {}
    for index, name in enumerate(built.inputs):
        shape = built.blobs[name].data.shape
        if name in labels or name == "label":
            values[name] = np.zeros(shape, np.float32)
        elif inputs.image and index == 0:
            values[name] = _image(inputs.image, shape, inputs.mean)
        else:
            values[name] = noise.standard_normal(shape, np.float32)
    return values


def _image(path: str, shape: tuple[int, ...], mean: Sequence[float]) -> np.ndarray:
    """The image as nets of Caffe's zoo read it: blue first, 0 to 255, in the input's size."""
    from ... import io

    if len(shape) != 4 or shape[1] not in (1, 3):
        raise CaffeError(f"{path}: an image needs an input of 1 or 3 channels, N x C x H x W, not {shape}")
    pixels = io.resize_image(io.load_image(path, color=shape[1] == 3) * 255, shape[2:])
    planes = pixels[:, :, ::-1].transpose(2, 0, 1)
    if len(mean):
        planes = planes - np.reshape(mean, (-1, 1, 1))
    return np.broadcast_to(planes, shape).astype(np.float32)


def _elsewhere(request: dict[str, Any], python: str, path: str | None) -> None:
    """`blobs.record(request)` in another interpreter, or with another `caffe`."""
    environment = dict(os.environ)
    if path:
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, [path, environment.get("PYTHONPATH")]))
    command = [python, "-c", Path(blobs.__file__).read_text(encoding="utf-8"), json.dumps(request)]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        last = "\n".join(done.stderr.splitlines()[-5:])
        raise CaffeError(f"engine B ({python}) ended with status {done.returncode}:\n{last}")


# -- comparing ----------------------------------------------------------------------------------------


def _rows(first: zipfile.ZipFile, second: zipfile.ZipFile, rtol: float, atol: float) -> Iterator[Row]:
    """A row for each top of A, in order, then one for each top that only B has."""
    theirs = {(entry["layer"], entry["top"]): entry for entry in _index(second)}
    for entry in _index(first):
        other = theirs.pop((entry["layer"], entry["top"]), None)
        names = entry["layer"], entry["type"], entry["top"]
        if other is None:
            yield Row(*names, np.nan, np.nan, True, ONLY_A)
        elif entry["shape"] != other["shape"]:
            yield Row(
                *names, np.nan, np.nan, False, f"shape {tuple(entry['shape'])} and {tuple(other['shape'])}"
            )
        else:
            ours, their = (np.frombuffer(z.read(e["file"]), np.float32).astype(np.float64)
                           for z, e in ((first, entry), (second, other)))  # fmt: skip
            yield Row(*names, *difference(ours, their, rtol, atol))
    for entry in theirs.values():
        yield Row(entry["layer"], entry["type"], entry["top"], np.nan, np.nan, True, ONLY_B)


def _index(archive: zipfile.ZipFile) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = json.loads(archive.read("index.json"))
    return entries


def difference(a: np.ndarray, b: np.ndarray, rtol: float, atol: float) -> tuple[float, float, bool]:
    """max|a - b|, that over max|a|, and whether it is within atol + rtol max|a|.

    Equal infinities and two NaN count as equal; anything else not finite on one side only diverges.
    """
    both = np.isfinite(a) & np.isfinite(b)
    same = np.array_equal(a[~both], b[~both], equal_nan=True)
    absolute = float(np.abs(a[both] - b[both]).max(initial=0)) if same else np.inf
    largest = float(np.abs(a[both]).max(initial=0))
    relative = absolute / largest if largest else (0.0 if absolute == 0 else np.inf)
    return absolute, relative, absolute <= atol + rtol * largest


def table(rows: Sequence[Row]) -> list[str]:
    """One line per top, under a head."""
    cells = [("layer", "type", "top", "max|a-b|", "relative", "")]
    for row in rows:
        numbers = ("", "") if np.isnan(row.absolute) else (f"{row.absolute:.3g}", f"{row.relative:.3g}")
        note = row.note if row.agrees else f"DIVERGES {row.note}"
        cells.append((row.layer, row.type, row.top, *numbers, note))
    widths = [max(map(len, column)) for column in zip(*cells)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in cells]


def verdict(rows: Sequence[Row]) -> str:
    """The last line: agreement, or the first layer that diverges."""
    first = next((row for row in rows if not row.agrees), None)
    compared = sum(row.note not in ONE_SIDED for row in rows)
    if first is None:
        return f"all {compared} blobs agree" if compared else "no blob has the same layer and name in both"
    reason = first.note or f"differs by {first.absolute:.3g}, {first.relative:.3g} of the largest value"
    return f"first layer that diverges: '{first.layer}' ({first.type}): top '{first.top}' {reason}"
