"""Layer types by name."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeVar

from .blob import StringVec
from .errors import LayerError, NetError

if TYPE_CHECKING:
    from ..proto.caffe_pb2 import LayerParameter
    from .layer import Layer

_TYPES: dict[str, type[Layer]] = {}
_BUILT_IN: set[str] = set()
_C = TypeVar("_C", bound="type[Layer]")


def register(name: str) -> Callable[[_C], _C]:
    """Class decorator: the layer type `name` of a prototxt is this class."""

    def add(cls: _C) -> _C:
        if name in _TYPES:
            raise NetError(f"layer type {name} is registered already, by {_TYPES[name].__qualname__}")
        cls.type = name
        _TYPES[name] = cls
        _BUILT_IN.add(name)
        return cls

    return add


def register_layer(name: str, cls: type[Layer], replace: bool = False) -> None:
    """Make `cls` the layer type `name`, for a fork's layer or one of your own.

    `cls` is written like a Python layer (a `caffe.Layer` with setup, reshape, forward, backward); its
    text parameters are read from `layer_param.python_param.param_str` if the prototxt gives them.

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
    _load_built_in()
    if layer.type in _TYPES:
        return _TYPES[layer.type]
    from .formats.forks import hint

    near = difflib.get_close_matches(layer.type, _TYPES, 1)
    advice = hint(layer.type) or (f"did you mean {near[0]}?" if near else "")
    if not layer.type:
        advice = 'every layer needs one, as type: "ReLU"'
    advice = advice and f"; {advice}"
    raise NetError(
        f"layer '{layer.name}': Unknown layer type: {layer.type or '(none given)'}{advice}\n"
        f"known types: {', '.join(sorted(_TYPES))}; caffe.register_layer adds one of your own"
    )


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
