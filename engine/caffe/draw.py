"""Pictures of nets through Graphviz; needs the extra `draw` (pydot).

Layers are boxes coloured by type, blobs that a layer reads are octagons. Only layers in today's format
(`layer { ... }`) are drawn: upgrade older nets first.
"""

from __future__ import annotations

import re
import shutil
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
_LEARNING = ("Convolution", "Deconvolution", "InnerProduct")
_EMPTY = '""'


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
    kind = layer.type
    if kind == "Pooling":
        kind += " " + get_pooling_types_dict()[layer.pooling_param.pool]
    lines = [_escape(layer.name), f"({_escape(kind)})"]
    if layer.type in ("Convolution", "Deconvolution", "Pooling"):
        lines += "kernel size: {:d}|stride: {:d}|pad: {:d}".format(*_window(layer)).split("|")
    if display_lrm and layer.type in _LEARNING:
        multipliers = get_layer_lr_mult(layer)
        if any(multipliers):
            lines.append("lr mult: {:.1f}, {:.1f}".format(*multipliers))
    return f'"{separator.join(lines)}"'


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
) -> pydot.Dot:
    """The graph of a net: a node `<name>_<type>` for each layer and `<name>_blob` for each blob.

    Args:
        rankdir: direction of the data: LR, RL, TB or BT.
        label_edges: write `get_edge_label` on the edges out of layers.
        phase: draw only layers whose include and exclude rules name this phase, or none at all.
        display_lrm: write the learning rate multipliers into the boxes.

    Raises:
        MissingExtraError: pydot is not installed.
        ValueError: with a phase, a layer that has both include and exclude rules.
    """
    try:
        import pydot
    except ImportError as error:
        raise MissingExtraError("pydot", "draw", "drawing a net") from error

    nodes: dict[str, dict[str, Any]] = {}
    edges: list[tuple[str, str, str]] = []
    for layer in caffe_net.layer:
        if phase is not None and not _in_phase(layer, phase):
            continue
        here = f"{layer.name}_{layer.type}"
        nodes[here] = {"label": get_layer_label(layer, rankdir, display_lrm), **_layer_style(layer)}
        for bottom in layer.bottom:
            nodes[f"{bottom}_blob"] = {"label": f'"{_escape(bottom)}"', **BLOB_STYLE}
            edges.append((f"{bottom}_blob", here, _EMPTY))
        for top in layer.top:
            # Caffe's drawing styles a blob by its last mention: one that is only written stays plain.
            nodes[f"{top}_blob"] = {"label": f'"{_escape(top)}"'}
            edges.append((here, f"{top}_blob", get_edge_label(layer) if label_edges else _EMPTY))

    graph = pydot.Dot(_quote(caffe_net.name or "Net"), graph_type="digraph", rankdir=rankdir)
    for name, attributes in nodes.items():
        graph.add_node(pydot.Node(_quote(name), **attributes))
    for source, target, label in edges:
        graph.add_edge(pydot.Edge(_quote(source), _quote(target), label=label))
    return graph


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
) -> bytes:
    """The picture of a net in Graphviz's format `ext`; `raw` is the graph as dot text.

    Raises:
        CaffeError: Graphviz's program `dot` is not installed; `raw`, and then `dot` too, go without it.
        Otherwise as for `get_pydot_graph`.
    """
    graph = get_pydot_graph(caffe_net, rankdir, phase=phase, display_lrm=display_lrm)
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
) -> None:
    """Write the picture of a net; the extension is the format. Raises what `draw_net` raises."""
    picture = draw_net(caffe_net, rankdir, filename.rpartition(".")[2], phase, display_lrm)
    with open(filename, "wb") as file:
        file.write(picture)
