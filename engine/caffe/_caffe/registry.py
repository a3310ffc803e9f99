"""Layer types by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from .blob import StringVec
from .errors import LayerError, NetError
from .formats import forks
from .formats.strange_text import LayerTypes

if TYPE_CHECKING:
    from ..proto.caffe_pb2 import LayerParameter
    from .layer import Layer

_TYPES: dict[str, type[Layer]] = {}
_BUILT_IN: dict[str, type[Layer]] = {}
_C = TypeVar("_C", bound="type[Layer]")


def register(name: str) -> Callable[[_C], _C]:
    """Class decorator: the layer type `name` of a prototxt is this class."""

    def add(cls: _C) -> _C:
        if name in _TYPES:
            raise NetError(f"layer type {name} is registered already, by {_TYPES[name].__qualname__}")
        cls.type = name
        _TYPES[name] = cls
        _BUILT_IN[name] = cls
        return cls

    return add


def register_layer(name: str, cls: type[Layer], replace: bool = False) -> None:
    """Make `cls` the layer type `name`, for a fork's layer or one of your own.

    `cls` is written like a Python layer (a `caffe.Layer` with setup, reshape, forward, backward). What a
    prototxt says of such a layer that Caffe's schema does not know is in its `fork_params`; its `param_str`
    is that of `python_param`, if the prototxt gives it.

    Raises:
        NetError: the name is taken and `replace` is false, or `cls` is not a `caffe.Layer`.
    """
    from .layer import Layer

    if not (isinstance(cls, type) and issubclass(cls, Layer)):
        raise NetError(f"register_layer({name!r}): {cls!r} is not a subclass of caffe.Layer")
    _load_built_in()
    if name in _TYPES and not replace:
        raise NetError(f"layer type {name} exists; pass replace=True to put {cls.__qualname__} in its place")
    _TYPES[name] = cls


def layer_class(layer: LayerParameter) -> type[Layer]:
    """The class of a layer's `type`.

    Raises:
        NetError: no such type; the message lists the known ones and what is known of forks'.
    """
    return layer_classes([layer])[0]


def layer_classes(layers: Iterable[LayerParameter]) -> list[type[Layer]]:
    """The classes of several layers' types.

    Raises:
        NetError: types that there are not, all of them, each with its layers and what is known of forks'.
    """
    _load_built_in()
    layers = list(layers)
    unknown: dict[str, list[str]] = {}
    for layer in layers:
        if layer.type not in _TYPES:
            unknown.setdefault(layer.type, []).append(layer.name)
    if unknown:
        raise NetError(_unknown_types(unknown))
    return [_TYPES[layer.type] for layer in layers]


def _unknown_types(unknown: Mapping[str, list[str]]) -> str:
    lines = []
    for kind, names in unknown.items():
        which = "layer" if len(names) == 1 else "layers"
        which += f" {', '.join(map(repr, names))}"
        advice = _type_advice(kind)
        lines.append(f"{which}: Unknown layer type: {kind or '(none given)'}{advice and f'; {advice}'}")
    if len(lines) > 1:
        lines[0] += f" (1 of {len(lines)} unknown types)"
    lines.append(f"known types: {', '.join(sorted(_TYPES))}; caffe.register_layer adds one of your own")
    return "\n".join(lines)


def _type_advice(kind: str) -> str:
    if not kind:
        return 'every layer needs one, as type: "ReLU"'
    near = difflib.get_close_matches(kind, _TYPES, 1)
    return forks.type_advice(kind, _TYPES) or (f"did you mean {near[0]}?" if near else "")


def is_built_in(cls: type[Layer]) -> bool:
    """Whether a class is one of the engine's own, not a user's (which may derive from one)."""
    return _BUILT_IN.get(cls.type) is cls


def text_types() -> LayerTypes:
    """The types that a prototxt may use, those of the user among them."""
    _load_built_in()
    own = {name for name, cls in _TYPES.items() if _BUILT_IN.get(name) is not cls}
    return LayerTypes(set(_TYPES), own)


def layer_types() -> Mapping[str, type[Layer]]:
    """The classes of all types by name, users' own among them."""
    _load_built_in()
    return MappingProxyType(_TYPES)


def create(layer: LayerParameter) -> Layer:
    """A layer of the given parameters, not set up yet."""
    try:
        return layer_class(layer)(layer)
    except TypeError as error:
        raise LayerError(f"layer '{layer.name}' ({layer.type}) cannot be constructed: {error}") from error


def layer_type_list() -> StringVec:
    """The names of Caffe's layer types (and those registered by the user), sorted by byte order."""
    _load_built_in()
    return StringVec(sorted(_TYPES))


def _load_built_in() -> None:
    from . import layers

    layers.load()
