"""What Caffe's own snapshot leaves out of a training state: random numbers and data positions.

Kept as JSON in `<prefix>_iter_<N>.resume`, the third file of a snapshot beside the `.caffemodel` and the
`.solverstate`, so that Caffe's files stay Caffe's; written only where a run has such state. It names the
engine that wrote it. A layer takes part by having `snapshot_state() -> dict` and `restore_state(dict)`, with
values JSON can hold, or by saying that it draws random numbers.
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
from ..formats.version import ENGINE
from ..log import log

if TYPE_CHECKING:
    from ..net import Net


def path_for(solverstate: str) -> str:
    """The resume file that belongs to a `.solverstate` or `.solverstate.h5`."""
    return re.sub(r"\.solverstate(\.h5)?$", "", solverstate) + ".resume"


def _needed(nets: Sequence[Net]) -> bool:
    """Whether a layer of `nets` has a state that Caffe's files leave out."""
    return any(hasattr(layer, "snapshot_state") or layer.draws_random for net in nets for layer in net.layers)


def save(path: str, nets: Sequence[Net]) -> None:
    """Write the random state and the state of every layer of `nets`, where one has any."""
    if not _needed(nets):
        return
    random = {key: base64.b64encode(t.numpy().tobytes()).decode() for key, t in device.random_state().items()}
    layers = [
        {
            name: layer.snapshot_state()
            for name, layer in zip(net._layer_names, net.layers)
            if hasattr(layer, "snapshot_state")
        }
        for net in nets
    ]
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"engine": ENGINE, "random": random, "layers": layers}))


def load(path: str, nets: Sequence[Net]) -> None:
    """Put back what `save` wrote; where the file is needed and missing, warn of what starts over.

    Raises:
        SolverError: the file is damaged.
    """
    if not os.path.exists(path):
        if _needed(nets):
            log.warning(
                "No file %s: data layers start from the beginning and random numbers are fresh, so the run "
                "ends in other weights than one that was never stopped. Put the file there if you have it",
                path,
            )
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
