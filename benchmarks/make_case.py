"""Makes the files of a case, in a process of its own: `python -m benchmarks.make_case MODEL HxW FOLDER`.

The weights are random and made to behave like learnt ones: activations keep their size from layer to layer,
and the scores are spread so that a softmax of them is neither flat nor one-hot, where errors would not show.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

import caffe
import surgery
from caffe._caffe import net_footprint

from .arguments import size_type
from .case import COMPARED, DECAY, INFERENCE, MOMENTUM, RATE, TRAINING, Case
from .models import MODELS, Size

#: What the scores are scaled to: their standard deviation.
SPREAD = 2.0


def make(case: Case, model: str, size: Size, training: bool) -> None:
    """Write everything that `Case` names, the weights unless they are there, and the float64 results."""
    case.folder.mkdir(parents=True, exist_ok=True)
    stream = np.random.default_rng(1)
    image = stream.standard_normal((1, 3, *size)).astype(np.float32) * 60
    case.write("image", image)
    case.deploy.write_text(str(MODELS[model].deploy(size)))
    net = caffe.Net(str(case.deploy), caffe.TEST)
    footprint = net_footprint(net.plan, net.runner.layers, net.runner.blobs)
    replace(case, macs=footprint.macs).save()
    if not case.arrays.exists():
        _write_weights(case, net, image)
    del net
    from .peers import reference
    from .peers.twin import Twin, read_arrays, read_net

    twin = Twin(read_net(case.deploy), read_arrays(case.arrays))
    case.write(INFERENCE, reference.outputs(twin, image))
    if training:
        label = stream.integers(0, 21, (1, 1, *size)).astype(np.float32)
        case.write("label", label)
        _write_training(case, model, size)
        twin = Twin(read_net(case.train), read_arrays(case.arrays))
        case.write(TRAINING, reference.losses(twin, image, label, COMPARED[TRAINING]))


def fill(net: Any) -> None:
    """Draw the parameters of a `caffe.Net`, the same each time; bilinear kernels where it upsamples."""
    stream = np.random.default_rng(0)
    for name, blobs in net.params.items():
        kind = net.layer_dict[name].type
        for index, blob in enumerate(blobs):
            blob.data[...] = _draw(stream, kind, index, tuple(blob.shape))
    surgery.interp(net, [name for name in net.params if net.layer_dict[name].type == "Deconvolution"])


def _write_weights(case: Case, net: Any, image: np.ndarray) -> None:
    fill(net)
    _spread_scores(net, image)
    net.save(str(case.caffemodel))
    arrays = {f"{i}/{name}": b.data for name, blobs in net.params.items() for i, b in enumerate(blobs)}
    np.savez(case.arrays, **arrays)


def _draw(stream: np.random.Generator, kind: str, index: int, shape: tuple[int, ...]) -> Any:
    """One parameter: He noise and small biases; statistics and scales near those that change nothing."""
    if kind == "BatchNorm":
        values = (stream.normal(0, 0.1, shape), stream.uniform(0.5, 1.5, shape), 1.0)
        return values[index]
    if kind == "Scale":
        return stream.uniform(0.5, 1.0, shape) if index == 0 else stream.normal(0, 0.1, shape)
    if index == 1:
        return stream.normal(0, 0.1, shape)
    return stream.standard_normal(shape, np.float32) * np.sqrt(2 / np.prod(shape[1:]), dtype=np.float32)


def _spread_scores(net: Any, image: np.ndarray) -> None:
    """Scale each layer that gives scores so that they have the standard deviation SPREAD."""
    net.blobs["data"].data[...] = image
    net.forward()
    last = list(net.params)[-1]
    scores = {last: net.bottom_names["prob"][0]} if "prob" in net.blobs else {}
    scores = scores or {name: name for name in net.params if name.startswith("score")}
    for name, blob_name in scores.items():
        factor = SPREAD / net.blobs[blob_name].data.std()
        for blob in net.params[name]:
            blob.data[...] *= factor


def _write_training(case: Case, model: str, size: Size) -> None:
    """A solver whose net reads Input blobs instead of files."""
    train = MODELS[model].train
    assert train is not None
    proto = train()
    del proto.layer[0]
    inputs = caffe.NetSpec()
    inputs.data = caffe.layers.Input(name="input", shape={"dim": [1, 3, *size]})
    inputs.label = caffe.layers.Input(name="labels", shape={"dim": [1, 1, *size]})
    case.train.write_text(f"{inputs.to_proto()}{proto}")
    case.solver.write_text(
        f'train_net: "{case.train}" lr_policy: "fixed" base_lr: {RATE} momentum: {MOMENTUM} '
        f'weight_decay: {DECAY} max_iter: 1000 snapshot_prefix: "{case.folder}/snapshot"\n'
    )


def main() -> None:
    """Make one case, as `benchmarks.contest` asks for it."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("size", type=size_type, metavar="HxW")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--gpu", action="store_true")
    parser.add_argument("--training", action="store_true")
    args = parser.parse_args()
    height, width = args.size
    case = Case(args.folder, f"{MODELS[args.model].label}, {height} x {width}", 0, args.threads, args.gpu)
    make(case, args.model, args.size, args.training)


if __name__ == "__main__":
    main()
