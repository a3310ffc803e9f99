"""Split layers for blobs with several readers (Caffe: util/insert_splits.cpp).

Every version of a blob, from one writer of its name to the next, has one reader afterwards. Names:
blob `b` of layer `l`, its top number t, becomes `b_l_t_split_0`, `b_l_t_split_1`, ...
"""

from __future__ import annotations

from collections import Counter

from ...proto.caffe_pb2 import LayerParameter, NetParameter
from .bottoms import unknown_bottom
from .filter import without_fields

_Version = tuple[int, int]  # (layer, top) of the layer that wrote the blob last


def insert_splits(net: NetParameter) -> NetParameter:
    """The net with a Split after each layer that makes a blob with more than one use.

    A use is a bottom, or an explicit loss weight of the layer that makes the blob. Such a weight moves
    to the first top of the split, and the layer's own list is cleared.

    Returns:
        A new message, also where there is nothing to split.

    Raises:
        NetError: a bottom that no layer above makes.
    """
    sources, uses, weights = _count_uses(net)
    result = without_fields(net, "layer")
    taken: Counter[_Version] = Counter()
    for number, original in enumerate(net.layer):
        layer = result.layer.add()
        layer.CopyFrom(original)
        for index, blob in enumerate(original.bottom):
            version = sources[number, index]
            if uses[version] > 1:
                producer = net.layer[version[0]].name
                layer.bottom[index] = split_blob_name(producer, blob, version[1], taken[version])
                taken[version] += 1
        for index, blob in enumerate(original.top):
            version = (number, index)
            if uses[version] > 1:
                weight = weights.get(version, 0.0)
                _configure(result.layer.add(), original.name, blob, index, uses[version], weight)
                if weight:
                    layer.ClearField("loss_weight")
                    taken[version] += 1  # the top that carries the weight is nobody's bottom
    return result


def split_layer_name(layer: str, blob: str, top: int) -> str:
    """The name of the Split after top number `top` of `layer`."""
    return f"{blob}_{layer}_{top}_split"


def split_blob_name(layer: str, blob: str, top: int, copy: int) -> str:
    """The name of output number `copy` of that Split."""
    return f"{split_layer_name(layer, blob, top)}_{copy}"


def _count_uses(
    net: NetParameter,
) -> tuple[dict[tuple[int, int], _Version], Counter[_Version], dict[_Version, float]]:
    """(version read by each (layer, bottom), uses of each version, explicit loss weight of each version)."""
    newest: dict[str, _Version] = {}
    sources: dict[tuple[int, int], _Version] = {}
    uses: Counter[_Version] = Counter()
    weights: dict[_Version, float] = {}
    for number, layer in enumerate(net.layer):
        for index, blob in enumerate(layer.bottom):
            if blob not in newest:
                later = ((below.name, below.top) for below in net.layer[number:])
                raise unknown_bottom(blob, layer.name, index, list(newest), later)
            sources[number, index] = newest[blob]
            uses[newest[blob]] += 1
        newest.update({blob: (number, index) for index, blob in enumerate(layer.top)})
        for blob, weight in zip(layer.top, layer.loss_weight):
            weights[newest[blob]] = weight
            uses[newest[blob]] += weight != 0
    return sources, uses, weights


def _configure(split: LayerParameter, layer: str, blob: str, top: int, copies: int, weight: float) -> None:
    split.name = split_layer_name(layer, blob, top)
    split.type = "Split"
    split.bottom.append(blob)
    split.top.extend(split_blob_name(layer, blob, top, copy) for copy in range(copies))
    if weight:
        split.loss_weight.extend([weight] + [0.0] * (copies - 1))
