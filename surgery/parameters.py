"""Moving parameters from one net into another."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from .protocols import ParamsLike

log = logging.getLogger("surgery")


class Parameter(NamedTuple):
    """One parameter of a layer: weights are 0, biases 1."""

    layer: str
    number: int

    def __str__(self) -> str:
        return f"{self.layer}[{self.number}]"


@dataclass
class Report:
    """What `transplant` did, to whole layers (by name) and to single parameters."""

    copied: list[Parameter] = field(default_factory=list)
    coerced: list[Parameter] = field(default_factory=list)
    dropped: list[str | Parameter] = field(default_factory=list)
    untouched: list[str | Parameter] = field(default_factory=list)

    def __str__(self) -> str:
        coerced = {parameter.layer for parameter in self.coerced}
        copied = [parameter.layer for parameter in self.copied if parameter.layer not in coerced]
        rows: tuple[tuple[str, Iterable[str | Parameter]], ...] = (
            ("copied", copied),
            ("coerced", [parameter.layer for parameter in self.coerced]),
            ("dropped", self.dropped),
            ("received nothing", self.untouched),
        )
        return "\n".join(f"  {verb}: {', '.join(dict.fromkeys(map(str, n))) or 'none'}" for verb, n in rows)


def transplant(
    new_net: ParamsLike, net: ParamsLike, suffix: str = "", *, skip: Collection[str] = ()
) -> Report:
    """Fill `new_net` with the parameters of `net`, layer by layer, by name.

    A parameter of the same shape is copied. One of another shape but the same number of values is coerced:
    the weights of an inner product (O x CHW) become those of the equivalent convolution (O x C x H x W).
    Layers that `new_net` does not have are dropped, as are parameters beyond what its layer holds.

    Args:
        suffix: appended to the old names: '_sem' fills `conv1_1_sem` from `conv1_1`.
        skip: layers of the new net that stay as they are.

    Returns:
        What was done, which is logged too; `untouched` are the layers of the new net that received nothing.

    Raises:
        ValueError: numbers of values that differ; nothing has been changed then.
    """
    report, moves = Report(), []
    for old in net.params:
        new = old + suffix
        if new not in new_net.params or new in skip:
            report.dropped.append(old)
            continue
        targets = new_net.params[new]
        for i, blob in enumerate(net.params[old]):
            if i >= len(targets):
                report.dropped.append(Parameter(old, i))
                continue
            source, target = blob.data, targets[i].data
            _check_count(old, new, i, source, target)
            (report.copied if source.shape == target.shape else report.coerced).append(Parameter(new, i))
            moves.append((new, source, target))
    for _, source, target in moves:
        target[...] = source.reshape(target.shape)
    filled = {name for name, _, _ in moves}
    report.untouched = [name for name in new_net.params if name not in filled]
    log.info("transplant:\n%s", report)
    return report


def expand_score(new_net: ParamsLike, new_layer: str, net: ParamsLike, layer: str) -> None:
    """Put a score layer with k classes into one with more: its first k classes are the old ones.

    Biases may be vectors or the 4-D blobs (1 x 1 x 1 x k) of old files.

    Raises:
        ValueError: the new layer has fewer classes or other inputs.
    """
    old, wider = net.params[layer][0].data, new_net.params[new_layer][0].data
    if old.shape[0] > wider.shape[0]:
        raise ValueError(_misfit(layer, old, new_layer, wider))
    map_score(new_net, new_layer, net, layer, {k: k for k in range(old.shape[0])})


def map_score(
    new_net: ParamsLike, new_layer: str, net: ParamsLike, layer: str, classes: Mapping[int, int]
) -> None:
    """Copy what scores some classes, weights and biases; the others stay as they are.

    Args:
        classes: class of the new layer -> the class of the old one that it becomes.

    Raises:
        ValueError: the new layer has other inputs; nothing has been changed then.
    """
    new, old = list(classes), list(classes.values())
    source, target = net.params[layer][0].data, new_net.params[new_layer][0].data
    if source.shape[1:] != target.shape[1:]:
        raise ValueError(_misfit(layer, source, new_layer, target))
    target[new] = source[old]
    for bias, new_bias in zip(net.params[layer][1:], new_net.params[new_layer][1:]):
        new_bias.data.reshape(-1)[new] = np.ravel(bias.data)[old]


def _misfit(layer: str, old: np.ndarray, new_layer: str, new: np.ndarray) -> str:
    return (
        f"layer '{layer}' {old.shape} does not fit into '{new_layer}' {new.shape}: "
        "the first axis (classes) may grow, the others must be equal"
    )


def widen(new_net: ParamsLike, new_layer: str, net: ParamsLike, layer: str) -> None:
    """Fill a convolution from one with fewer input channels: each further channel gets the others' mean.

    What the release does for a net that reads depth beside colour.

    Raises:
        ValueError: the new layer has other filters, or fewer input channels.
    """
    old, new = net.params[layer], new_net.params[new_layer]
    weights, wider = old[0].data, new[0].data
    channels = weights.shape[1]
    kept = [axis for axis in range(weights.ndim) if axis != 1]
    if channels > wider.shape[1] or any(weights.shape[axis] != wider.shape[axis] for axis in kept):
        raise ValueError(
            f"layer '{layer}' {weights.shape} does not fit into '{new_layer}' {wider.shape}: the second axis "
            "(input channels) may grow, the others must be equal"
        )
    wider[:, :channels] = weights
    wider[:, channels:] = weights.mean(axis=1, keepdims=True)
    for bias, wider_bias in zip(old[1:], new[1:]):
        wider_bias.data[...] = bias.data.reshape(wider_bias.data.shape)


def _check_count(old: str, new: str, index: int, source: np.ndarray, target: np.ndarray) -> None:
    if source.size == target.size:
        return
    raise ValueError(
        f"parameter {index} of layer '{old}' is {source.shape} and does not fit layer '{new}' of the new "
        f"net, {target.shape}. If they are different layers (other classes, say), rename the one in the new "
        f"net or pass skip=['{new}'] to leave it as it is; surgery.expand_score keeps old classes among more "
        "new ones."
    )
