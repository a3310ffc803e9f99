"""Where a file of weights comes from: a JSON file beside it, `<its name>.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from ..fetching.source import digest
from ..outputs import replace_text
from ..runs import command, versions


def record(made: Path, source: Path, kind: str, changes: Sequence[str]) -> Path:
    """Write what `made` was made of, beside it; returns the JSON file.

    Args:
        kind: whose names and values the source had.
        changes: what was done to them, a sentence each.
    """
    facts = {
        "file": made.name,
        "sha256": digest(made, "sha256"),
        "source": str(source.absolute()),
        "source_sha256": digest(source, "sha256"),
        "kind": kind,
        "changes": list(changes),
        "time": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command(),
        "versions": versions(),
    }
    earlier = lookup(source)
    path = beside(made)
    replace_text(path, json.dumps({**facts, **({"source_is": earlier} if earlier else {})}, indent=2) + "\n")
    return path


def lookup(weights: Path) -> dict[str, Any] | None:
    """What stands beside a file of weights; None where nothing does, or where it is of another file."""
    try:
        found = json.loads(beside(weights).read_text())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("file") == weights.name else None


def beside(weights: Path) -> Path:
    """The JSON file of a file of weights."""
    return weights.with_name(weights.name + ".json")
