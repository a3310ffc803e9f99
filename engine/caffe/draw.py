"""Pictures of nets through Graphviz; needs the extra `draw` (pydot).

Layers are boxes coloured by type, blobs that a layer reads are octagons. Only layers in today's format
(`layer { ... }`) are drawn: upgrade older nets first.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ._caffe import CaffeError, MissingExtraError
from .proto import caffe_pb2

if TYPE_CHECKING:
    import pydot

LAYER_STYLE_DEFAULT = {"shape": "record", "fillcolor": "#6495ED", "style": "filled"}
NEURON_LAYER_STYLE = {"shape": "record", "fillcolor": "#90EE90", "style": "filled"}
BLOB_STYLE = {"shape": "octagon", "fillcolor": "#E0E0E0", "style": "filled"}

_COLORS = {
    "Convolution": "#FF5050", "Deconvolution": "#FF5050", "Pooling": "#FF9900", "InnerProduct": "#CC33FF",
}  # fmt: skip
#: Node -> its attributes; source, target and label of an edge.
Nodes = dict[str, dict[str, Any]]
Edges = list[tuple[str, str, str]]
_WINDOWED = ("Convolution", "Deconvolution", "Pooling")
_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
_EMPTY = '""'
#: Characters of a name in one line of a box.
WIDEST = 28


def get_pooling_types_dict() -> dict[int, str]:
    """Pooling methods by number: `{0: 'MAX', 1: 'AVE', 2: 'STOCHASTIC'}`."""
    methods = caffe_pb2.PoolingParameter.PoolMethod.DESCRIPTOR.values
    return {method.number: method.name for method in methods}


def get_edge_label(layer: caffe_pb2.LayerParameter) -> str:
    """What stands on the edges out of a layer: its number of outputs, or the batch size of Data."""
    if layer.type == "Data":
        return f"Batch {layer.data_param.batch_size}"
    if layer.type in ("Convolution", "Deconvolution"):
        return str(layer.convolution_param.num_output)
    if layer.type == "InnerProduct":
        return str(layer.inner_product_param.num_output)
    return _EMPTY


def get_layer_lr_mult(layer: caffe_pb2.LayerParameter) -> tuple[float, float]:
    """The learning rate multipliers of weights and biases; 1 where the layer gives none.

    Raises:
        ValueError: the type is none of Convolution, Deconvolution and InnerProduct, or there are more
            than two `param`.
    """
    if layer.type not in _LEARNING:
        raise ValueError(f"{layer.type} layers do not have a learning rate multiplier")
    if len(layer.param) > 2:
        raise ValueError(f"layer '{layer.name}' ({layer.type}) has {len(layer.param)} param, not at most 2")
    weights, biases, *_ = *(param.lr_mult for param in layer.param), 1.0, 1.0
    return weights, biases


def get_layer_label(layer: caffe_pb2.LayerParameter, rankdir: str, display_lrm: bool = False) -> str:
    """The text in a layer's box, in double quotes: name, (type), then kernel, stride and pad.

    Args:
        rankdir: in a vertical graph (TB, BT) the words stand side by side, else below each other.
        display_lrm: add the learning rate multipliers.
    """
    separator = " " if rankdir in ("TB", "BT") else r"\n"
    lines = [_wrapped(layer.name), f"({_kind(layer)})"]
    if layer.type in _WINDOWED:
        lines += "kernel size: {:d}|stride: {:d}|pad: {:d}".format(*_window(layer)).split("|")
    return f'"{separator.join([*lines, *_multipliers(layer, display_lrm)])}"'


def _short_label(layer: caffe_pb2.LayerParameter, display_lrm: bool) -> str:
    """The same in two lines; a stride of 1 and no padding go without saying."""
    said = _kind(layer)
    if layer.type in _WINDOWED:
        size, stride, pad = _window(layer)
        said += f" {size} x {size}" + f", stride {stride}" * (stride != 1) + f", pad {pad}" * (pad != 0)
    lines = [_wrapped(layer.name), f"({said})", *_multipliers(layer, display_lrm)]
    return '"{}"'.format(r"\n".join(lines))


def _kind(layer: caffe_pb2.LayerParameter) -> str:
    """The type, escaped, and the method of a pooling."""
    method = f" {get_pooling_types_dict()[layer.pooling_param.pool]}" if layer.type == "Pooling" else ""
    return _escape(layer.type) + method


def _multipliers(layer: caffe_pb2.LayerParameter, shown: bool) -> list[str]:
    """The line with the learning rate multipliers, where they are shown and one is not 0."""
    multipliers = get_layer_lr_mult(layer) if shown and layer.type in _LEARNING else ()
    return ["lr mult: {:.1f}, {:.1f}".format(*multipliers)] if any(multipliers) else []


def _window(layer: caffe_pb2.LayerParameter) -> tuple[int, int, int]:
    """Kernel size, stride and pad; those of the first axis where there are more."""
    if layer.type == "Pooling":
        pooling = layer.pooling_param
        return pooling.kernel_size, pooling.stride, pooling.pad
    conv = layer.convolution_param
    return (
        conv.kernel_size[0] if conv.kernel_size else 1,
        conv.stride[0] if conv.stride else 1,
        conv.pad[0] if conv.pad else 0,
    )


def _wrapped(name: str) -> str:
    """An escaped name; a long one goes on in further lines, after the slash or underscore that still fits."""
    lines = [""]
    for part in re.findall(r"[^/_]*[/_]?", name):
        if lines[-1] and len(lines[-1]) + len(part) > WIDEST:
            lines.append("")
        lines[-1] += part
    return r"\n".join(map(_escape, lines))


def _escape(text: str) -> str:
    """Keep Graphviz from reading a name as a record's structure."""
    return re.sub(r'([\\"{}|<>])', r"\\\1", text)


def choose_color_by_layertype(layertype: str) -> str:
    """The fill colour of a layer's box."""
    return _COLORS.get(layertype, LAYER_STYLE_DEFAULT["fillcolor"])


def get_pydot_graph(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    label_edges: bool = True,
    phase: int | None = None,
    display_lrm: bool = False,
    fold: bool = False,
) -> pydot.Dot:
    """The graph of a net: a node `<name>_<type>` for each layer and `<name>_blob` for each blob.

    Args:
        rankdir: direction of the data: LR, RL, TB or BT.
        label_edges: write `get_edge_label` on the edges out of layers.
        phase: draw only layers whose include and exclude rules name this phase, or none at all.
        display_lrm: write the learning rate multipliers into the boxes.
        fold: for large nets, draw fewer nodes (not in pycaffe): layers that work in place stand in the box of
            the layer whose blob they change, Split layers and the blobs between layers are left out, and
            what the net begins and ends with stands in one row each.

    Raises:
        MissingExtraError: pydot is not installed.
        ValueError: with a phase, a layer that has both include and exclude rules.
    """
    try:
        import pydot
    except ImportError as error:
        raise MissingExtraError("pydot", "draw", "drawing a net") from error

    layers = [layer for layer in caffe_net.layer if phase is None or _in_phase(layer, phase)]
    nodes, edges = (
        _folded(layers, label_edges, display_lrm)
        if fold
        else _whole(layers, rankdir, label_edges, display_lrm)
    )
    graph = pydot.Dot(_quote(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    for name, attributes in nodes.items():
        graph.add_node(pydot.Node(_quote(name), **attributes))
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(_quote(source), _quote(target), label=label))
    for row in _ends(nodes, edges) if fold else ():
        level = pydot.Subgraph(rank="same")
        for name in row:
            level.add_node(pydot.Node(_quote(name)))
        graph.add_subgraph(level)
    return graph


def _whole(
    layers: Iterable[caffe_pb2.LayerParameter], rankdir: str, label_edges: bool, display_lrm: bool
) -> tuple[Nodes, Edges]:
    """A node for each layer and for each blob, as pycaffe draws them."""
    nodes: Nodes = {}
    edges: Edges = []
    for layer in layers:
        here = f"{layer.name}_{layer.type}"
        nodes[here] = {"label": get_layer_label(layer, rankdir, display_lrm), **_layer_style(layer)}
        for bottom in layer.bottom:
            nodes[f"{bottom}_blob"] = {"label": f'"{_escape(bottom)}"', **BLOB_STYLE}
            edges.append((f"{bottom}_blob", here, _EMPTY))
        for top in layer.top:
            # Caffe's drawing styles a blob by its last mention: one that is only written stays plain.
            nodes[f"{top}_blob"] = {"label": f'"{_escape(top)}"'}
            edges.append((here, f"{top}_blob", get_edge_label(layer) if label_edges else _EMPTY))
    return nodes, edges


def _folded(
    layers: Iterable[caffe_pb2.LayerParameter], label_edges: bool, display_lrm: bool
) -> tuple[Nodes, Edges]:
    """A node for each layer that makes a blob of its own, and for each blob that no layer makes."""
    nodes: Nodes = {}
    edges: Edges = []
    makers: dict[str, tuple[str, str]] = {}  # blob -> the node that makes it, and what stands on its edges
    for layer in layers:
        for blob in [blob for blob in layer.bottom if blob not in makers]:
            makers[blob] = (f"{blob}_blob", _EMPTY)
            nodes[f"{blob}_blob"] = {"label": f'"{_wrapped(blob)}"', **BLOB_STYLE}
        if list(layer.bottom) == list(layer.top) and len(layer.top) == 1:
            owner = nodes[makers[layer.top[0]][0]]
            owner["label"] = rf'{owner["label"][:-1]}\n+ {_wrapped(layer.name)} ({_escape(layer.type)})"'
        elif layer.type == "Split":
            makers |= dict.fromkeys(layer.top, makers[layer.bottom[0]])
        else:
            here = f"{layer.name}_{layer.type}"
            nodes[here] = {"label": _short_label(layer, display_lrm), **_layer_style(layer)}
            edges += [(makers[bottom][0], here, makers[bottom][1]) for bottom in layer.bottom]
            makers |= {top: (here, get_edge_label(layer) if label_edges else _EMPTY) for top in layer.top}
    return nodes, edges


def _ends(nodes: Nodes, edges: Edges) -> tuple[list[str], list[str]]:
    """The nodes that nothing leads to, and those that lead nowhere."""
    targets, sources = {target for _, target, _ in edges}, {source for source, _, _ in edges}
    return [name for name in nodes if name not in targets], [name for name in nodes if name not in sources]


def _in_phase(layer: caffe_pb2.LayerParameter, phase: int) -> bool:
    if layer.include and layer.exclude:
        raise ValueError(f"layer {layer.name} has both include and exclude specified.")
    included = not layer.include or any(rule.phase == phase for rule in layer.include)
    return included and all(rule.phase != phase for rule in layer.exclude)


def _layer_style(layer: caffe_pb2.LayerParameter) -> dict[str, str]:
    if len(layer.top) == 1 and list(layer.bottom) == list(layer.top):
        return NEURON_LAYER_STYLE
    return {**LAYER_STYLE_DEFAULT, "fillcolor": choose_color_by_layertype(layer.type)}


def _quote(name: str) -> str:
    """A Graphviz identifier: names of layers and blobs may hold slashes, colons and blanks."""
    return '"' + re.sub(r'(["\\])', r"\\\1", name) + '"'


def draw_net(
    caffe_net: caffe_pb2.NetParameter,
    rankdir: str,
    ext: str = "png",
    phase: int | None = None,
    display_lrm: bool = False,
    fold: bool = False,
) -> bytes:
    """The picture of a net in Graphviz's format `ext`; `raw` is the graph as dot text.

    fold: see `get_pydot_graph`.

    Raises:
        CaffeError: Graphviz's program `dot` is not installed; `raw`, and then `dot` too, go without it.
        Otherwise as for `get_pydot_graph`.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm, fold=fold)
    installed = shutil.which("dot") is not None
    if ext == "raw" or (ext == "dot" and not installed):
        return graph.to_string().encode()
    if not installed:
        raise CaffeError(
            f"a picture in the format '{ext}' is made by Graphviz's program 'dot', which is not on PATH: "
            "install Graphviz, or write a .raw or .dot file, which are text"
        )
    picture: Any = graph.create(format=ext)  # bytes, whatever pydot's annotation says
    return bytes(picture)


def draw_net_to_file(
    caffe_net: caffe_pb2.NetParameter,
    filename: str,
    rankdir: str = "LR",
    phase: int | None = None,
    display_lrm: bool = False,
    fold: bool = False,
) -> None:
    """Write the picture of a net; the extension is the format. Raises what `draw_net` raises."""
    picture = draw_net(caffe_net, rankdir, filename.rpartition(".")[2], phase, display_lrm, fold)
    with open(filename, "wb") as file:
        file.write(picture)
