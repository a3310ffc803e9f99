"""The part of a file that has come so far, and where from: what a later try goes on with."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

from ..outputs import replace_text


@dataclass(frozen=True)
class Partial:
    """FILE.part, and a note beside it: from which address it comes, and of which version of the file."""

    path: Path

    @classmethod
    def of(cls, file: Path) -> Partial:
        """What has come of a file."""
        return cls(file.with_name(f"{file.name}.part"))

    @property
    def note(self) -> Path:
        """Where the address and the version are kept."""
        return self.path.with_name(f"{self.path.name}.from")

    @property
    def size(self) -> int:
        """How many bytes have come."""
        return self.path.stat().st_size if self.path.is_file() else 0

    def version(self, url: str) -> str | None:
        """What the server at an address calls the version that this is of; None where it says nothing."""
        try:
            found = json.loads(self.note.read_text())
        except (OSError, ValueError, RecursionError):
            return None
        known = isinstance(found, dict) and found.get("url") == url
        return found.get("version") or None if known else None

    def begin(self, url: str, version: str | None) -> None:
        """Start from nothing, with what comes from an address."""
        self.path.write_bytes(b"")
        replace_text(self.note, json.dumps({"url": url, "version": version}))

    def discard(self) -> None:
        """Forget what has come."""
        self.path.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def finish(self, file: Path) -> None:
        """The whole file is here: give it its name."""
        os.replace(self.path, file)
        self.note.unlink(missing_ok=True)
