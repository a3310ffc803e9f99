"""JSON of other programs: read, and looked into with errors that say what is not as it should be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from voc_layers.reading import SampleError, read_text


def read_json(path: Path) -> Any:
    """What a JSON file holds; SampleError where it is none."""
    try:
        return json.loads(read_text(path))
    except (json.JSONDecodeError, RecursionError) as error:
        raise SampleError(f"{path}: expected JSON, found a file that is none ({error})") from error


def records_in(document: Any, key: str, path: Path) -> list[dict[str, Any]]:
    """The list of objects under a key; SampleError where it is no such list."""
    found = document.get(key)
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise SampleError(f"{path}: expected a list of objects under '{key}', found {str(found)[:60]}")
    return found


def whole_size(record: dict[str, Any], height: str, width: str) -> tuple[int, int] | None:
    """Height and width that a record states; None where it has none that make sense."""
    size = record.get(height), record.get(width)
    if all(isinstance(n, int) and 0 < n < 1 << 16 for n in size):
        return size  # type: ignore[return-value]
    return None
