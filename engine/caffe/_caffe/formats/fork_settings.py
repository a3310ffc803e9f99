"""Settings of a layer that Caffe's schema does not know, carried by its message.

A fork's prototxt has messages and fields of the fork's own. For a layer whose type the user registered they
become Python values, and travel as protobuf keeps everything that a schema does not know: an unknown field.
So every copy of the message has them, `str` does not show them, and no other program minds them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from .wire import nested

#: The highest number a field can have; the contents are JSON.
_NUMBER = (1 << 29) - 1

#: From a layer to a message in it: the name of each field, and which one it is where the field is repeated.
Path = Sequence[tuple[str, int | None]]


def read(message: Message) -> dict[str, Any]:
    """The settings that `message` carries; none for most."""
    unknown = UnknownFieldSet(message)
    for index in range(len(unknown)):
        if unknown[index].field_number == _NUMBER:
            settings: dict[str, Any] = json.loads(unknown[index].data)
            return settings
    return {}


def write(message: Message, settings: dict[str, Any]) -> None:
    """Let `message` carry `settings` (dictionaries, lists, strings, numbers, bools) in place of others."""
    message.DiscardUnknownFields()
    if settings:
        message.MergeFromString(nested(_NUMBER, json.dumps(settings).encode()))


def put(settings: dict[str, Any], path: Path, name: str, value: Any) -> None:
    """Put `name` into the dictionary that `path` leads to; a name that is there already makes a list."""
    for step, index in path:
        if index is None:
            settings = settings.setdefault(step, {})
            continue
        entries = settings.setdefault(step, [])
        entries.extend({} for _ in range(len(entries), index + 1))
        settings = entries[index]
    if name not in settings:
        settings[name] = value
        return
    before = settings[name] if isinstance(settings[name], list) else [settings[name]]
    settings[name] = before + (value if isinstance(value, list) else [value])
