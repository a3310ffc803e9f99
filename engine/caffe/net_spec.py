"""Nets written in Python: `L.Convolution(bottom, num_output=..)` builds layers, `to_proto` the text.

    n = NetSpec()
    n.data = layers.Input(shape=dict(dim=[1, 3, 224, 224]))
    n.conv = layers.Convolution(n.data, num_output=64, kernel_size=3, pad=1)
    n.relu = layers.ReLU(n.conv, in_place=True)
    text = str(n.to_proto())

A call makes a `Function` (a layer) and returns its `Top`s (blobs). Nothing is looked up in the engine:
any type name is accepted, and wrong settings are reported by `to_proto`, as in pycaffe.
"""

from __future__ import annotations

import difflib
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import Any

from .proto import caffe_pb2

_Built = dict["Function", caffe_pb2.LayerParameter]
_Names = dict[Any, str]


def param_name_dict() -> dict[str, str]:
    """Layer type to the stem of its settings' field: `{"Convolution": "convolution", ...}`.

    Both come from the schema: the field `convolution_param` of LayerParameter holds a
    `ConvolutionParameter`.
    """
    fields = caffe_pb2.LayerParameter.DESCRIPTOR.fields
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in fields
        if field.message_type is not None and field.name.endswith("_param")
    }


_PARAM_NAMES = param_name_dict()


def to_proto(*tops: Top) -> caffe_pb2.NetParameter:
    """The net that computes `tops`: every layer they need once, depth first, with automatic names.

    Raises:
        AttributeError: a setting that the layer's message does not have, or an argument that is no Top.
        TypeError, ValueError: a value that does not fit its field.
        IndexError: an empty list as a value.
    """
    layers: _Built = OrderedDict()
    autonames: Counter[str] = Counter()
    names: _Names = {}
    for index, top in enumerate(tops):
        if not isinstance(top, Top):
            raise AttributeError(f"to_proto: argument {index} is not a Top but of type {type(top).__name__}")
        top.fn._to_proto(layers, names, autonames)
    return _net(layers)


def _net(layers: _Built) -> caffe_pb2.NetParameter:
    net = caffe_pb2.NetParameter()
    net.layer.extend(layers.values())
    return net


def assign_proto(proto: Any, name: str, val: Any) -> None:
    """Set the field `name` of a message from plain Python values.

    A dict fills a nested message, a list a repeated field (of messages, if its first item is a dict);
    anything else given to a repeated field becomes its one element.
    """
    if name not in proto.DESCRIPTOR.fields_by_name:
        raise AttributeError(_no_field(name, proto))
    repeated = hasattr(getattr(proto, name), "extend")
    if repeated and not isinstance(val, list):
        val = [val]
    if isinstance(val, list) and not repeated:
        raise AttributeError(f"{name} takes one value, not a list")
    if isinstance(val, list):
        if isinstance(val[0], dict):
            for item in val:
                _fill(getattr(proto, name).add(), item)
        else:
            getattr(proto, name).extend(val)
    elif isinstance(val, dict):
        _fill(getattr(proto, name), val)
    else:
        setattr(proto, name, val)


def _fill(message: Any, values: dict[str, Any]) -> None:
    for key, value in values.items():
        assign_proto(message, key, value)


def _no_field(name: str, *messages: Any) -> str:
    fields = [field for message in messages for field in message.DESCRIPTOR.fields_by_name]
    near = difflib.get_close_matches(name, fields, 1)
    advice = f"; did you mean {near[0]}?" if near else ""
    return f"no field {name} in {' or '.join(message.DESCRIPTOR.name for message in messages)}{advice}"


class Top:
    """One output blob of a layer: output `n` of the Function `fn`."""

    def __init__(self, fn: Function, n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net that computes this blob; see `to_proto` of the module."""
        return to_proto(self)

    def _to_proto(self, layers: _Built, names: _Names, autonames: Counter[str]) -> None:
        self.fn._to_proto(layers, names, autonames)


class Function:
    """One layer: its type, its input Tops and its settings.

    Raises:
        TypeError: an input that is not a Top.
    """

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for index, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise TypeError(f"{type_name} input {index} is not a Top (type is {type(top)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = dict(params)
        self.ntop: int = self.params.pop("ntop", 1)
        self.in_place: bool = self.params.pop("in_place", False)
        self.tops = tuple(Top(self, n) for n in range(self.ntop))

    def _to_proto(self, layers: _Built, names: _Names, autonames: Counter[str]) -> None:
        """Add this layer to `layers`, after the layers it reads."""
        for fn in _in_order(self, layers):
            layers[fn] = fn._layer(layers, names, autonames)

    def _layer(self, layers: _Built, names: _Names, autonames: Counter[str]) -> caffe_pb2.LayerParameter:
        layer = caffe_pb2.LayerParameter(type=self.type_name)
        layer.bottom.extend(layers[top.fn].top[top.n] for top in self.inputs)
        layer.top.extend(layer.bottom if self.in_place else [_name(t, names, autonames) for t in self.tops])
        namesake = self if self in names or not self.tops else self.tops[0]
        layer.name = _name(namesake, names, autonames)
        for key, value in self.params.items():
            try:
                assign_proto(self._holder(layer, key), key, value)
            except (AttributeError, IndexError, TypeError, ValueError) as error:
                where = f"layer '{layer.name}' ({self.type_name}), {key}={value!r}"
                raise type(error)(f"{where}: {error}") from error
        return layer

    def _holder(self, layer: caffe_pb2.LayerParameter, key: str) -> Any:
        """The message that `key` is a field of: the layer's own settings, else the layer itself."""
        if self.type_name not in _PARAM_NAMES or key.endswith("param"):
            return layer
        own = getattr(layer, _PARAM_NAMES[self.type_name] + "_param")
        if key in own.DESCRIPTOR.fields_by_name:
            return own
        if key not in layer.DESCRIPTOR.fields_by_name:
            raise AttributeError(_no_field(key, own, layer))
        return layer


def _in_order(fn: Function, done: _Built) -> Iterator[Function]:
    """`fn` after all it needs that is not in `done` yet: depth first, inputs from first to last.

    The stack is a list: a net may be deeper than Python's own stack. Layers are marked done by the
    caller while it iterates.
    """
    pending: list[tuple[Function, Iterator[Top]]] = [(fn, iter(fn.inputs))]
    while pending:
        current, inputs = pending[-1]
        needed = next((top.fn for top in inputs if top.fn not in done), None)
        if needed is not None:
            pending.append((needed, iter(needed.inputs)))
            continue
        pending.pop()
        if current not in done:
            yield current


def _name(item: Top | Function, names: _Names, autonames: Counter[str]) -> str:
    """The given name, or `<Type><k>`: k counts the unnamed tops of that type."""
    if item not in names:
        type_name = (item.fn if isinstance(item, Top) else item).type_name
        autonames[type_name] += 1
        names[item] = f"{type_name}{autonames[type_name]}"
    return names[item]


class NetSpec:
    """Tops by name; `to_proto` writes their layers in the order of first assignment.

    Attributes and items are the same thing. Reading a name that was not assigned is a KeyError, even
    as an attribute (pycaffe's behaviour: `hasattr` raises too).
    """

    tops: OrderedDict[str, Any]

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Any) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Any:
        return self.tops[name]

    def __setitem__(self, key: str, value: Any) -> None:
        self.tops[key] = value

    def __getitem__(self, item: str) -> Any:
        return self.tops[item]

    def __delitem__(self, name: str) -> None:
        del self.tops[name]

    def to_proto(self) -> caffe_pb2.NetParameter:
        """The net of all named Tops and what they need; raises what `to_proto` of the module raises."""
        names: _Names = {top: name for name, top in self.tops.items()}
        autonames: Counter[str] = Counter()
        layers: _Built = OrderedDict()
        for name, top in self.tops.items():
            if not isinstance(top, (Top, Function)):
                raise AttributeError(f"'{name}' of the NetSpec is not a Top but of type {type(top).__name__}")
            top._to_proto(layers, names, autonames)
        return _net(layers)


class Layers:
    """`layers.T(*tops, **settings)` is a layer of type T, whatever T is.

    Keywords ending in `param` are fields of the layer (`param`, `convolution_param`); others are fields
    of the type's own message, or else of the layer. `ntop` is the number of outputs, `in_place=True`
    writes into the inputs.

    Returns:
        One Top; a tuple of Tops if `ntop` is above 1; the Function itself if it is 0.
    """

    def __getattr__(self, name: str) -> Callable[..., Any]:
        if name.startswith("__"):
            raise AttributeError(name)

        def layer_fn(*args: Top, **kwargs: Any) -> Any:
            fn = Function(name, args, kwargs)
            return fn.tops[0] if fn.ntop == 1 else fn.tops or fn

        return layer_fn


class _Message:
    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, self._name + "Parameter", None)
        if message is None:
            raise AttributeError(f"params.{self._name}: there is no message {self._name}Parameter")
        if not hasattr(message, name):
            known = [value.name for enum in message.DESCRIPTOR.enum_types for value in enum.values]
            raise AttributeError(f"params.{self._name}.{name}: known are {', '.join(known) or 'none'}")
        return getattr(message, name)


class Parameters:
    """`params.Pooling.MAX` is the enum value MAX of the message PoolingParameter."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        return _Message(name)


layers = Layers()
params = Parameters()
