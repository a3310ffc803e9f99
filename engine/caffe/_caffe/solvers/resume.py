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
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from .. import device
from ..errors import CaffeError, SolverError
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
    with replacing(path) as temporary:
        temporary.write_text(json.dumps({"engine": ENGINE, "random": random, "layers": _states(nets)}))


@dataclass(frozen=True)
class Resume:
    """What a resume file says: random states by generator, and for each net its layers' states by name."""

    path: str
    random: dict[str, torch.Tensor]
    layers: list[dict[str, Any]]

    @contextmanager
    def taken_up(self, nets: Sequence[Net]) -> Iterator[None]:
        """Put random numbers and layers where the file has them; back again if the block fails.

        Raises:
            SolverError: a state is not one of this net, or damaged.
        """
        random, layers = device.random_state(), _states(nets)
        try:
            try:
                if device.root_solver():  # whose numbers they are
                    device.restore_random_state(self.random)
                _place(nets, self.layers)
            except (CaffeError, ValueError, KeyError, TypeError, IndexError, RuntimeError) as error:
                raise _damaged(self.path, error) from error
            yield
        except BaseException:
            device.restore_random_state(random)
            _place(nets, layers)
            raise


def load(path: str, nets: Sequence[Net]) -> Resume:
    """What `save` wrote; where the file is needed and missing, warn of what starts over.

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
        return Resume(path, {}, [])
    try:
        with open(path, encoding="utf-8") as file:
            saved = json.load(file)
        random = {
            key: torch.frombuffer(bytearray(base64.b64decode(text)), dtype=torch.uint8)
            for key, text in saved["random"].items()
        }
        return Resume(path, random, [dict(states) for states in saved["layers"]])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise _damaged(path, error) from error


def _damaged(path: str, error: Exception) -> SolverError:
    return SolverError(
        f"'{path}' is damaged, or of another net ({error}); delete it to resume as Caffe would"
    )


def _states(nets: Sequence[Net]) -> list[dict[str, Any]]:
    """The state of every layer that has one, by name, of each net."""
    return [
        {
            name: layer.snapshot_state()
            for name, layer in zip(net._layer_names, net.layers)
            if hasattr(layer, "snapshot_state")
        }
        for net in nets
    ]


def _place(nets: Sequence[Net], layers: Sequence[Mapping[str, Any]]) -> None:
    """Give layers their states."""
    for net, states in zip(nets, layers):
        for name, layer in zip(net._layer_names, net.layers):
            if name in states and hasattr(layer, "restore_state"):
                layer.restore_state(states[name])
