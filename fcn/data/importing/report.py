"""What an import did to each file: as text for people, as JSON for programs."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...tables import percent, table

#: Actions, in the order in which a report has them.
KEPT, CONVERTED, TURNED, LABELLED = "image kept", "image converted", "image turned", "label written"
RENAMED, LEFT_OUT, IGNORED = "renamed", "left out", "ignored"
ACTIONS = (KEPT, CONVERTED, TURNED, LABELLED, RENAMED, LEFT_OUT, IGNORED)
#: How many notes of an action, and files of a note, are in the short text.
SHOWN = 3


@dataclass(frozen=True)
class Record:
    """What became of a file. note: how, or why not."""

    file: str
    action: str
    note: str = ""


@dataclass
class Report:
    """The account of an import.

    Attributes:
        notes: how the source was understood: its form, what its values mean, how it was split.
        records: one or more for each file of the source.
        pixels: of each class, and of void last.
        outputs: id -> names of its image and its label file.
    """

    source: str
    form: str
    classes: tuple[str, ...] = ()
    notes: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    splits: Mapping[str, Sequence[str]] = field(default_factory=dict)
    pixels: list[int] = field(default_factory=list)
    outputs: dict[str, tuple[str, str]] = field(default_factory=dict)

    def counts(self) -> dict[str, int]:
        """action -> how many files."""
        found = Counter(record.action for record in self.records)
        return {action: found[action] for action in ACTIONS if found[action]}

    def text(self, whole: bool = False) -> str:
        """The account; `whole`: with every file, and not a few of each action."""
        lines = [f"{shown(self.source)}: {self.form}", *(f"  {note}" for note in self.notes)]
        for action, count in self.counts().items():
            lines += [f"{action}: {count}", *(f"  {line}" for line in self._files(action, whole))]
        counted = (f"{split} {len(ids)}" for split, ids in self.splits.items())
        return "\n".join([*lines, f"splits: {', '.join(counted)}", self._balance()])

    def _files(self, action: str, whole: bool) -> list[str]:
        """A line for each note of an action, with its files."""
        files: dict[str, list[str]] = defaultdict(list)
        for record in self.records:
            if record.action == action:
                files[record.note].append(shown(record.file))
        lines = []
        for note, names in list(files.items())[: None if whole else SHOWN]:
            some = names if whole or len(names) <= SHOWN else [*names[:SHOWN], f"... {len(names)} in all"]
            lines.append(f"{note}: {', '.join(some)}" if note else ", ".join(some))
        return lines if whole or len(files) <= SHOWN else [*lines, f"... {len(files) - SHOWN} more"]

    def _balance(self) -> str:
        total = max(sum(self.pixels), 1)
        rows = [(name, str(n), percent(n / total)) for name, n in zip((*self.classes, "void"), self.pixels)]
        return table(("class", "pixels", "%"), rows)

    def as_json(self) -> dict[str, Any]:
        """All of it, in JSON's types."""
        return {
            "source": self.source,
            "form": self.form,
            "notes": self.notes,
            "classes": list(self.classes),
            "splits": {split: list(ids) for split, ids in self.splits.items()},
            "pixels": dict(zip((*self.classes, "void"), self.pixels)),
            "counts": self.counts(),
            "outputs": {name: list(files) for name, files in self.outputs.items()},
            "files": [vars(record) for record in self.records],
        }


def shown(name: str | Path) -> str:
    """A file's name as text that any terminal takes: a file may be called anything."""
    text = str(name).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
