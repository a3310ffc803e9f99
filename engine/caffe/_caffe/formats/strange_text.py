"""What a text says and the schema does not know: kept for layers of the user's own types, else refused.

Which of the two is decided where the layer ends, as its type may come last. Refusals are gathered, so that
one error has all of a file's.
"""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from google.protobuf.message import Message

from ...proto.caffe_pb2 import LayerParameter, V1LayerParameter
from . import fork_settings, forks, schema
from .text_reader import Open, Reader, Token, where

_V1_TYPES = V1LayerParameter.LayerType
_V1_NAMES: tuple[str, ...] = tuple(_V1_TYPES.keys())
#: Today's types that a text of 2014 calls by a name that Caffe's schema of then does not have.
_READ_FROM_V1 = ("Crop",)


class LayerTypes(NamedTuple):
    """The layer types that a text may use."""

    known: Collection[str]
    own: Collection[str]  #: those the user registered: their layers may have settings that no schema knows


class Item(NamedTuple):
    """A field that its message does not have, or a value that the field's enum does not have."""

    token: Token
    path: list[Open]  #: from the layer, or the file, to the message that it is in
    message: Message
    name: str  #: of the field
    value: Any
    is_field: bool

    @property
    def is_v1_type(self) -> bool:
        """Whether it is the type of a layer in the format of 2014."""
        return not self.is_field and self.name == "type" and isinstance(self.message, V1LayerParameter)


@dataclass
class _Layer:
    """A layer being read; the first one is what lies outside all layers."""

    depth: int
    items: list[Item] = field(default_factory=list)
    type_token: Token | None = None


class _Refusal(NamedTuple):
    token: Token
    where: str
    problem: str
    advice: str


class Strange:
    """All that is strange in one text.

    Args:
        types: the layer types there are; without it none is the user's own, and none is judged.
    """

    def __init__(self, reader: Reader, types: LayerTypes | None) -> None:
        self._reader = reader
        self._judges = types is not None
        self._types = types or LayerTypes((), ())
        self._layers = [_Layer(0)]
        self._refusals: list[_Refusal] = []

    def enter_layer(self) -> None:
        """A layer begins: the innermost message that the reader is in."""
        self._layers.append(_Layer(len(self._reader.open)))

    def note_type(self) -> None:
        """The reader is at the layer's type."""
        self._layers[-1].type_token = self._reader.token

    def add(self, message: Message, name: str, token: Token, value: Any, *, is_field: bool) -> None:
        """Keep what was read until the layer that it is in ends."""
        layer = self._layers[-1]
        layer.items.append(Item(token, self._reader.open[layer.depth :], message, name, value, is_field))

    def leave_layer(self, message: Message) -> None:
        """The layer `message` ends, or the file: decide what it keeps."""
        layer = self._layers.pop()
        settings: dict[str, Any] = {}
        refused = False
        is_own = self._is_own(message, layer)
        outside = self._reader.open[: layer.depth]
        for item in layer.items:
            value = item.value if is_own else None
            if item.is_v1_type:
                value = forks.modern_type(item.value, [*self._types.own, *_READ_FROM_V1])
            if value is None:
                self._refuse(message, item, outside)
                refused = True
            else:
                path = [(entry.name, entry.number) for entry in item.path]
                fork_settings.put(settings, path, item.name, value)
        if settings:
            fork_settings.write(message, settings)
        if refused and layer.type_token and isinstance(message, LayerParameter):
            self._judge_type(message, layer.type_token)

    def give_up(self, message: Message) -> None:
        """The text ends in the middle: judge what lies outside of layers, as the layer begun has no end."""
        del self._layers[1:]
        self.leave_layer(message)

    def refusals(self) -> list[str]:
        """One line each, in the order of the text; the first has their number, and advice is given once."""
        reader, lines = self._reader, list[str]()
        first: dict[tuple[str, str], int] = {}
        for token, place, problem, advice in sorted(self._refusals, key=lambda refusal: refusal.token.start):
            line = first.setdefault((problem, advice), len(lines))
            if advice and line < len(lines):
                advice = f": as in line {lines[line].removeprefix(reader.source).split(':')[1]}"
            lines.append(f"{reader.place(token)}: {place}{problem}{advice}")
        if len(lines) > 1:
            lines[0] += f" (1 of {len(lines)} refusals)"
        return lines

    def v1_spelling(self, name: str) -> str:
        """How the type of a layer is written that is given as in 2014, such as ``type: RELU``."""
        today = forks.modern_type(name, self._types.known)
        return f' (type: "{today}")' if today else ""

    # ---- deciding ----------------------------------------------------------------------------

    def _is_own(self, message: Message, layer: _Layer) -> bool:
        """Whether the layer is of a type that the user registered."""
        if isinstance(message, V1LayerParameter):
            names = [item.value for item in layer.items if item.is_v1_type] or [_V1_TYPES.Name(message.type)]
            return forks.modern_type(names[0], self._types.own) is not None
        return isinstance(message, LayerParameter) and message.type in self._types.own

    def _type_of(self, layer: Message) -> tuple[str, bool]:
        """The type of a layer in today's words, and whether there is such a type, if that is judged."""
        if isinstance(layer, V1LayerParameter):
            if not layer.HasField("type"):
                return "", not self._judges
            return forks.modern_type(_V1_TYPES.Name(layer.type), self._types.known) or "", True
        name = layer.type if isinstance(layer, LayerParameter) else ""
        return name, not (self._judges and name) or name in self._types.known

    def _refuse(self, layer: Message, item: Item, outside: list[Open]) -> None:
        problem, advice = self._no_field(layer, item) if item.is_field else self._no_value(layer, item)
        place = where([*outside, *item.path], "" if item.is_field else item.name)
        self._refusals.append(_Refusal(item.token, place, problem, advice))

    def _judge_type(self, layer: LayerParameter, token: Token) -> None:
        """In a file that is refused anyway, a type that there is not is said too."""
        if not self._judges or layer.type in self._types.known:
            return
        advice = forks.type_advice(layer.type, self._types.known) or forks.register(layer.type)
        problem = f"Unknown layer type: {layer.type}"
        self._refusals.append(_Refusal(token, f"layer '{layer.name}': ", problem, f"; {advice}"))

    # ---- what to say -------------------------------------------------------------------------

    def _no_field(self, layer: Message, item: Item) -> tuple[str, str]:
        """What is wrong with a field that the message does not have, and what to do."""
        message, name = item.message.DESCRIPTOR, item.name
        problem = f"no field '{name}' in {message.name}"
        for other in schema.FILES:
            if (
                layer is item.message
                and isinstance(layer, schema.FILES)
                and name in schema.fields(other.DESCRIPTOR)
            ):
                return problem, f": it is a field of {other.DESCRIPTOR.name}; is this the right file?"
        layer_type, exists = self._type_of(layer)
        known = forks.field_advice(message.name, name, item.value, layer_type)
        if known:
            return problem, f": {known if exists else forks.unless_registered(known)}"
        homes = schema.homes(name)
        if 0 < len(homes) <= 4:
            return problem, f": it belongs in {' or '.join(homes)}"
        if not exists:
            return problem, f": {forks.RECEIVES}"
        known = forks.misplaced_advice(name, layer_type)
        if known:
            return problem, f": {known}"
        return problem, choices(name, schema.fields(message))

    def _no_value(self, layer: Message, item: Item) -> tuple[str, str]:
        """What is wrong with a value that the enum does not have, and what to do."""
        problem = f"unknown value '{item.value}'"
        if item.is_v1_type:
            return problem, self._no_v1_type(item.value)
        layer_type, exists = self._type_of(layer)
        known = forks.value_advice(item.value, layer_type)
        if known:
            return problem, f": {known if exists else forks.unless_registered(known)}"
        enum = schema.fields(item.message.DESCRIPTOR)[item.name].descriptor.enum_type
        return problem, choices(item.value, enum.values_by_name)

    def _no_v1_type(self, name: str) -> str:
        today = forks.modern_type(name, self._types.known)
        if today and all(forks.modern_type(old, [today]) is None for old in _V1_NAMES):
            return (
                f': the format of 2014 has no such type; write all layers as layer {{ type: "{today}" .. }}'
            )
        advice = forks.type_advice(name, _V1_NAMES)
        return f": {advice}" if advice else choices(name, _V1_NAMES)


def choices(name: str, names: Iterable[str]) -> str:
    """What a misspelt name was meant to be; else all names, if they are few."""
    names = list(names)
    near = [known for known in names if known.startswith(name + "_")]
    near = near or difflib.get_close_matches(name, names, 1)
    if near:
        return f"; did you mean '{near[0]}'?"
    return f"; known: {', '.join(names)}" if len(names) <= 12 else ""
