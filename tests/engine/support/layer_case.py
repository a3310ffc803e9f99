"""One layer in a net of its own: run it on given arrays, or hold its gradients against finite differences.

    result = run('type: "Power" power_param { power: 2 }', {"x": x}, topdiff=dy)
    result.tops["top"]; result.bottom_diffs["x"]; result.param_diffs[0]
    check_gradient('type: "InnerProduct" inner_product_param { num_output: 2 }', {"x": x}, [w, b])

The text is the inside of a `layer { }`; `name`, `bottom` (the inputs, in order) and `top` are added
where it has none. A text that contains `layer {` is taken as it is, below the inputs.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

import caffe
from caffe._caffe import device

Arrays = Mapping[str, np.ndarray]


class Result(NamedTuple):
    """Copies of what a run left in the net; the diffs are empty if there was no backward pass."""

    tops: dict[str, np.ndarray]
    bottom_diffs: dict[str, np.ndarray]
    param_diffs: list[np.ndarray]


def random(*shape: int, seed: int = 0) -> np.ndarray:
    """Standard normal numbers, the same for the same seed and shape."""
    return np.random.default_rng(seed).standard_normal(shape)


@contextmanager
def float64() -> Iterator[None]:
    """Blobs made inside hold float64."""
    device.set_dtype(torch.float64)
    try:
        yield
    finally:
        device.set_dtype(torch.float32)


def build(
    text: str,
    inputs: Arrays,
    params: Sequence[np.ndarray] | None = None,
    *,
    phase: int = caffe.TEST,
    tops: Sequence[str] = ("top",),
    force_backward: bool = True,
) -> caffe.Net:
    """The net of the layer(s) in `text` over an Input layer per array, with its parameters set."""
    parts = [f"force_backward: {str(force_backward).lower()}"]
    for name, array in inputs.items():
        dims = " ".join(f"dim: {dim}" for dim in np.shape(array))
        parts.append(
            f'layer {{ name: "{name}" type: "Input" top: "{name}" input_param {{ shape {{ {dims} }} }} }}'
        )
    parts.append(text if "layer {" in text else f"layer {{ {_completed(text, inputs, tops)} }}")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "net.prototxt")
        path.write_text("\n".join(parts))
        net = caffe.Net(str(path), phase)
    if params is not None:
        blobs = _params(net)
        assert len(blobs) == len(params), f"{len(params)} arrays for {len(blobs)} parameters"
        for blob, array in zip(blobs, params):
            assert blob.data.shape == array.shape, f"{array.shape} for a parameter of {blob.data.shape}"
            blob.data[...] = array
    return net


def _completed(text: str, inputs: Arrays, tops: Sequence[str]) -> str:
    if "name:" not in text.split("{")[0]:
        text = f'name: "layer" {text}'
    if "bottom:" not in text:
        text += "".join(f' bottom: "{name}"' for name in inputs)
    if "top:" not in text:
        text += "".join(f' top: "{name}"' for name in tops)
    return text


def _params(net: caffe.Net) -> list[caffe._caffe.Blob]:
    return [blob for blobs in net.params.values() for blob in blobs]


def forward(net: caffe.Net, inputs: Arrays) -> dict[str, np.ndarray]:
    """Fill the inputs, run forward, copy the outputs."""
    for name, array in inputs.items():
        net.blobs[name].data[...] = array
    net.forward()
    return {name: net.blobs[name].data.copy() for name in net.outputs}


def run(
    text: str,
    inputs: Arrays,
    params: Sequence[np.ndarray] | None = None,
    *,
    phase: int = caffe.TEST,
    topdiff: np.ndarray | Arrays | None = None,
    tops: Sequence[str] = ("top",),
    force_backward: bool = True,
    forwards: int = 1,
) -> Result:
    """Forward (`forwards` times), and backward if `topdiff` is given.

    `topdiff` is an array for the only top, a dict for several, or an empty dict to run a loss layer's
    backward with its own loss weight.
    """
    net = build(text, inputs, params, phase=phase, tops=tops, force_backward=force_backward)
    for _ in range(forwards):
        outputs = forward(net, inputs)
    if topdiff is None:
        return Result(outputs, {}, [])
    _backward(net, topdiff if isinstance(topdiff, Mapping) else {net.outputs[0]: topdiff})
    return Result(
        outputs,
        {name: net.blobs[name].diff.copy() for name in inputs},
        [blob.diff.copy() for blob in _params(net)],
    )


def _backward(net: caffe.Net, topdiff: Arrays) -> None:
    for name, array in topdiff.items():
        net.blobs[name].diff[...] = array
    net.clear_param_diffs()
    net.backward()


def check_gradient(
    text: str,
    inputs: Arrays,
    params: Sequence[np.ndarray] | None = None,
    *,
    wrt: Sequence[str] | None = None,
    phase: int = caffe.TEST,
    tops: Sequence[str] = ("top",),
    force_backward: bool = True,
    step: float = 1e-5,
    tolerance: float = 1e-6,
) -> None:
    """Assert that backward is the derivative of forward, by central differences in float64.

    The function is the sum of all outputs, each weighted by a random top diff. Every value of the
    inputs named in `wrt` (default: all) and of every parameter is moved by `step`; the difference may
    be `tolerance` times the larger of 1 and the derivative.
    """
    with float64():
        net = build(text, inputs, params, phase=phase, tops=tops, force_backward=force_backward)
        outputs = forward(net, inputs)
        topdiff = {name: random(*value.shape, seed=7) for name, value in outputs.items()}
        _backward(net, topdiff)
        values = {name: np.array(array, np.float64) for name, array in inputs.items()}
        wanted = [
            (name, values[name], net.blobs[name].diff.copy()) for name in (inputs if wrt is None else wrt)
        ]
        wanted += [(f"param {i}", blob.data, blob.diff.copy()) for i, blob in enumerate(_params(net))]

        def objective() -> float:
            return sum(float((topdiff[name] * value).sum()) for name, value in forward(net, values).items())

        for name, array, found in wanted:
            expected = _differences(objective, array, step)
            error = np.abs(found - expected) / np.maximum(1, np.abs(expected))
            assert error.max(initial=0) <= tolerance, f"{name}: backward\n{found}\ndifferences\n{expected}"


def _differences(objective: Callable[[], float], array: np.ndarray, step: float) -> np.ndarray:
    result = np.zeros(array.shape)
    for index in np.ndindex(array.shape):
        kept = array[index]
        sides = []
        for moved in (kept + step, kept - step):
            array[index] = moved
            sides.append(objective())
        array[index] = kept
        result[index] = (sides[0] - sides[1]) / (2 * step)
    return result
