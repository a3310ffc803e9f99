"""The operators of ONNX for each type of layer. Imported only by what needs onnx: `fcn.export.onnx_model`.

Parameters become initialisers under the names of `fcn weights export` (`<layer>.weight`), with Caffe's
values, so that `fcn weights import` reads the file again.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from onnx import NodeProto, TensorProto, helper, numpy_helper

from . import settings
from .graph import Layer

_END = np.iinfo(np.int64).max


class Writer:
    """Writes the operators of one layer; what they are made of gathers in `nodes` and `initializers`."""

    def __init__(self, layer: Layer) -> None:
        self.layer = layer
        self.nodes: list[NodeProto] = []
        self.initializers: list[TensorProto] = []
        names = ("weight", "bias") if len(layer.arrays) <= 2 else ("0", "1", "2")
        self.weights = [f"{layer.name}.{name}" for name, _ in zip(names, layer.arrays)]
        self.initializers = [numpy_helper.from_array(a, n) for a, n in zip(layer.arrays, self.weights)]

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """An operator; returns the name of its output."""
        return self._add(kind, inputs, [f"{self.layer.name}/{len(self.nodes)}"], attributes)

    def top(self, kind: str, *inputs: str, **attributes: Any) -> None:
        """The operator that fills the tops of the layer."""
        self._add(kind, inputs, self.layer.tops, attributes)

    def constant(self, value: Any, dtype: type = np.float32) -> str:
        """The name of a constant array or number."""
        return self.op("Constant", value=numpy_helper.from_array(np.asarray(value, dtype)))

    def whole(self, *values: int) -> str:
        """The name of a constant list of whole numbers."""
        return self.constant(values, np.int64)

    def number(self, value: float, kind: str, x: str, neutral: float) -> str:
        """`x` and a number under an operator; `x` itself where the number changes nothing."""
        return x if value == neutral else self.op(kind, x, self.constant(value))

    def _add(
        self, kind: str, inputs: Sequence[str], outputs: Sequence[str], attributes: dict[str, Any]
    ) -> str:
        name = f"{self.layer.name}/{len(self.nodes)}" if self.nodes else self.layer.name
        self.nodes.append(helper.make_node(kind, list(inputs), list(outputs), name, **attributes))
        return outputs[0]


# -- one function per type ----------------------------------------------------------------------------


def _window(window: settings.Window) -> dict[str, Any]:
    return {"kernel_shape": window.kernel, "strides": window.stride, "pads": [*window.pad, *window.pad]}


def _convolution(at: Writer, x: str) -> None:
    window = settings.convolution(at.layer)
    kind = "Conv" if at.layer.type == "Convolution" else "ConvTranspose"
    group = at.layer.spec.convolution_param.group
    at.top(kind, x, *at.weights, **_window(window), dilations=window.dilation, group=group)


def _inner_product(at: Writer, x: str) -> None:
    p = at.layer.spec.inner_product_param
    if at.layer.axis(p.axis) != 1:
        raise at.layer.refuse("its axis is not 1")
    flat = x if at.layer.rank == 2 else at.op("Flatten", x, axis=1)
    at.top("Gemm", flat, *at.weights, transB=int(not p.transpose))


def _pooling(at: Writer, x: str) -> None:
    p, window = at.layer.spec.pooling_param, settings.pooling(at.layer)
    kind = "AveragePool" if p.pool == p.AVE else "MaxPool"
    if window is None:
        at.top(f"Global{kind}", x)
        return
    padded = {"count_include_pad": 1} if p.pool == p.AVE else {}
    at.top(kind, x, **_window(window), ceil_mode=int(p.round_mode == p.CEIL), **padded)


def _lrn(at: Writer, x: str) -> None:
    p = at.layer.spec.lrn_param
    if p.norm_region == p.ACROSS_CHANNELS:
        at.top("LRN", x, size=p.local_size, alpha=p.alpha, beta=p.beta, bias=p.k)
        return
    pad = (p.local_size - 1) // 2
    window = settings.Window((p.local_size,) * 2, (1, 1), (pad, pad))
    mean = at.op("AveragePool", at.op("Mul", x, x), **_window(window), count_include_pad=1)
    base = at.op("Add", at.op("Mul", mean, at.constant(p.alpha)), at.constant(1))
    at.top("Mul", x, at.op("Pow", base, at.constant(-p.beta)))


def _batch_norm(at: Writer, x: str) -> None:
    p, count = at.layer.spec.batch_norm_param, float(at.layer.arrays[2].reshape(-1)[0])
    if p.HasField("use_global_stats") and not p.use_global_stats:
        raise at.layer.refuse("it normalises by the statistics of the batch, as in training")
    scale = at.constant(1 / count if count else 0)
    mean, variance = (at.op("Mul", name, scale) for name in at.weights[:2])
    channels = at.layer.arrays[0].size
    one, zero = at.constant(np.ones(channels)), at.constant(np.zeros(channels))
    at.top("BatchNormalization", x, one, zero, mean, variance, epsilon=p.eps)


def _affine(at: Writer, x: str, other: str | None = None) -> None:
    """Scale and Bias."""
    layer = at.layer
    scales = layer.type == "Scale"
    param = layer.spec.scale_param if scales else layer.spec.bias_param
    if other is not None:
        raise layer.refuse("a factor or summand from a second bottom is not written")

    def over(number: int) -> str:
        shape = settings.over_axes(layer, param, layer.arrays[number].shape)
        return at.op("Reshape", at.weights[number], at.whole(*shape))

    if len(at.weights) == 2:
        at.top("Add", at.op("Mul", x, over(0)), over(1))
    else:
        at.top("Mul" if scales else "Add", x, over(0))


def _eltwise(at: Writer, *bottoms: str) -> None:
    p = at.layer.spec.eltwise_param
    if p.operation == p.PROD:
        first, *others = bottoms
        for other in others[:-1]:
            first = at.op("Mul", first, other)
        at.top("Mul", first, others[-1])
        return
    if p.operation == p.MAX:
        at.top("Max", *bottoms)
        return
    factors = list(p.coeff) or [1.0] * len(bottoms)
    parts = [at.number(factor, "Mul", bottom, 1) for factor, bottom in zip(factors, bottoms)]
    at.top("Add" if len(parts) == 2 else "Sum", *parts)


def _crop(at: Writer, x: str, like: str) -> None:
    axis, offsets = settings.crop(at.layer)
    sizes = at.op("Shape", like, start=axis)
    starts = at.whole(*offsets)
    axes = at.whole(*range(axis, at.layer.rank))
    at.top("Slice", x, starts, at.op("Add", starts, sizes), axes)


def _slice(at: Writer, x: str) -> None:
    axis, points = settings.slices(at.layer)
    if not points:
        at.top("Split", x, axis=axis)
        return
    for start, end, top in zip((0, *points), (*points, _END), at.layer.tops):
        at.op("Slice", x, at.whole(start), at.whole(end), at.whole(axis))
        at.nodes[-1].output[0] = top


def _reshape(at: Writer, x: str) -> None:
    p = at.layer.spec.reshape_param
    if p.axis != 0 or p.num_axes != -1:
        raise at.layer.refuse("reshaping of some axes only is not written")
    at.top("Reshape", x, at.whole(*p.shape.dim))


def _flatten(at: Writer, x: str) -> None:
    p = at.layer.spec.flatten_param
    axis = at.layer.axis(p.axis)
    if at.layer.axis(p.end_axis) != at.layer.rank - 1:
        raise at.layer.refuse("flattening that ends before the last axis is not written")
    at.top("Reshape", x, at.whole(*[0] * axis, -1))


def _argmax(at: Writer, x: str) -> None:
    p = at.layer.spec.argmax_param
    if not p.HasField("axis") or p.out_max_val or p.top_k != 1:
        raise at.layer.refuse("only the best position along an axis is written")
    found = at.op("ArgMax", x, axis=at.layer.axis(p.axis), keepdims=1)
    at.top("Cast", found, to=TensorProto.FLOAT)


def _reduction(at: Writer, x: str) -> None:
    p = at.layer.spec.reduction_param
    axes = list(range(at.layer.axis(p.axis), at.layer.rank))
    kinds = {p.SUM: "ReduceSum", p.ASUM: "ReduceL1", p.SUMSQ: "ReduceSumSquare", p.MEAN: "ReduceMean"}
    kind = kinds[p.operation]
    if kind == "ReduceSum":  # which alone takes its axes as an input in this version of ONNX
        found = at.op(kind, x, at.whole(*axes), keepdims=0)
    else:
        found = at.op(kind, x, axes=axes, keepdims=0)
    at.top("Mul", found, at.constant(p.coeff))


def _mvn(at: Writer, x: str) -> None:
    p = at.layer.spec.mvn_param
    axes = list(range(1 if p.across_channels else 2, at.layer.rank))
    mean = at.op("ReduceMean", x, axes=axes)
    if not p.normalize_variance:
        at.top("Sub", x, mean)
        return
    x = at.op("Sub", x, mean)
    deviation = at.op("Sqrt", at.op("ReduceMean", at.op("Mul", x, x), axes=axes))
    at.top("Div", x, at.op("Add", deviation, at.constant(p.eps)))


def _power(at: Writer, x: str) -> None:
    p = at.layer.spec.power_param
    x = at.number(p.shift, "Add", at.number(p.scale, "Mul", x, 1), 0)
    at.top("Pow", x, at.constant(p.power))


def _exp(at: Writer, x: str) -> None:
    scale, shift, base = settings.exponential(at.layer)
    x = at.number(shift, "Add", at.number(scale, "Mul", x, 1), 0)
    at.top("Exp", at.number(base, "Mul", x, 1))


def _log(at: Writer, x: str) -> None:
    scale, shift, base = settings.exponential(at.layer)
    x = at.number(shift, "Add", at.number(scale, "Mul", x, 1), 0)
    at.top("Div", at.op("Log", x), at.constant(base))


def _prelu(at: Writer, x: str) -> None:
    slopes = at.op("Reshape", at.weights[0], at.whole(-1, *[1] * (at.layer.rank - 2)))
    at.top("PRelu", x, slopes)


def _relu(at: Writer, x: str) -> None:
    slope = at.layer.spec.relu_param.negative_slope
    if slope:
        at.top("LeakyRelu", x, alpha=slope)
    else:
        at.top("Relu", x)


def _clip(at: Writer, x: str) -> None:
    p = at.layer.spec.clip_param
    at.top("Clip", x, at.constant(p.min), at.constant(p.max))


def _threshold(at: Writer, x: str) -> None:
    above = at.op("Greater", x, at.constant(at.layer.spec.threshold_param.threshold))
    at.top("Cast", above, to=TensorProto.FLOAT)


def _swish(at: Writer, x: str) -> None:
    at.top("Mul", x, at.op("Sigmoid", at.number(at.layer.spec.swish_param.beta, "Mul", x, 1)))


def _tile(at: Writer, x: str) -> None:
    p = at.layer.spec.tile_param
    times = [1] * at.layer.rank
    times[at.layer.axis(p.axis)] = p.tiles
    at.top("Tile", x, at.whole(*times))


def _embed(at: Writer, x: str) -> None:
    rows = at.op("Gather", at.weights[0], at.op("Cast", x, to=TensorProto.INT64))
    at.top("Add", rows, at.weights[1] if len(at.weights) > 1 else at.constant(0))


def _plain(kind: str) -> Callable[..., None]:
    """An operator of ONNX that is the layer."""
    return lambda at, *bottoms: at.top(kind, *bottoms)


#: type of a layer -> what writes its operators.
MAKERS: Mapping[str, Callable[..., None]] = {
    "AbsVal": _plain("Abs"),
    "ArgMax": _argmax,
    "BNLL": _plain("Softplus"),
    "BatchNorm": _batch_norm,
    "Bias": _affine,
    "Clip": _clip,
    "Concat": lambda at, *bottoms: at.top("Concat", *bottoms, axis=settings.concat_axis(at.layer)),
    "Convolution": _convolution,
    "Crop": _crop,
    "Deconvolution": _convolution,
    "Dropout": _plain("Identity"),
    "ELU": lambda at, x: at.top("Elu", x, alpha=at.layer.spec.elu_param.alpha),
    "Eltwise": _eltwise,
    "Embed": _embed,
    "Exp": _exp,
    "Flatten": _flatten,
    "InnerProduct": _inner_product,
    "LRN": _lrn,
    "Log": _log,
    "MVN": _mvn,
    "PReLU": _prelu,
    "Parameter": lambda at: at.top("Identity", at.weights[0]),
    "Pooling": _pooling,
    "Power": _power,
    "ReLU": _relu,
    "Reduction": _reduction,
    "Reshape": _reshape,
    "Scale": _affine,
    "Sigmoid": _plain("Sigmoid"),
    "Slice": _slice,
    "Softmax": lambda at, x: at.top("Softmax", x, axis=at.layer.axis(at.layer.spec.softmax_param.axis)),
    "Swish": _swish,
    "TanH": _plain("Tanh"),
    "Threshold": _threshold,
    "Tile": _tile,
}
