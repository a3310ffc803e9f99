"""What Caffe's own snapshot leaves out of a training state: random numbers and data positions.

Kept as JSON in the hidden file `.<name>_iter_<N>.resume` beside the `.solverstate`, so that Caffe's files
stay Caffe's; written only where a run has such state. A layer takes part by having
`snapshot_state() -> dict` and `restore_state(dict)`, with values JSON can hold.
"""

from __future__ import annotations

import base64
import json
import os
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch

from .. import device
from ..errors import SolverError
from ..formats.files import replacing
from ..log import log

if TYPE_CHECKING:
    from ..net import Net


def path_for(solverstate: str) -> str:
    """The resume file that belongs to a `.solverstate` or `.solverstate.h5`."""
    folder, name = os.path.split(re.sub(r"\.solverstate(\.h5)?$", "", solverstate))
    return os.path.join(folder, f".{name}.resume")


def random_text() -> dict[str, str]:
    """The state of every generator, as JSON can hold it."""
    return {key: base64.b64encode(t.numpy().tobytes()).decode() for key, t in device.random_state().items()}


def save(path: str, nets: Sequence[Net], random_before: dict[str, str]) -> None:
    """Write the random state and the state of every layer of `nets` that has one.

    Args:
        random_before: `random_text` of the solver's beginning; a run that drew nothing since, and has
            no layer with a state, needs no file.
    """
    layers = [
        {
            name: layer.snapshot_state()
            for name, layer in zip(net._layer_names, net.layers)
            if hasattr(layer, "snapshot_state")
        }
        for net in nets
    ]
    random = random_text()
    if not any(layers) and random == random_before:
        return
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"random": random, "layers": layers}))


def load(path: str, nets: Sequence[Net]) -> None:
    """Put back what `save` wrote; without the file, say what starts over.

    Raises:
        SolverError: the file is damaged.
    """
    if not os.path.exists(path):
        log.info("No file %s: data layers start from the beginning, random numbers are fresh", path)
        return
    try:
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        random = {
            key: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
            for key, text in saved["random"].items()
        }
        layers = list(saved["layers"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SolverError(f"'{path}' is damaged ({error}); delete it to resume as Caffe would") from error
    device.restore_random_state(random)
    for net, states in zip(nets, layers):
        for name, layer in zip(net._layer_names, net.layers):
            if name in states and hasattr(layer, "restore_state"):
                layer.restore_state(states[name])
