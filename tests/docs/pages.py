"""The documents, and the blocks in them that show commands."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")), *sorted((ROOT / "data").rglob("*.md"))]
#: Programs whose commands are looked at.
PROGRAMS = ("fcn", "caffe", "make")
BLOCK = re.compile(r"(?:<!-- (run|prints|needs [^>]+) -->\n)?```(\w*)\n(.*?)^```", re.M | re.S)


@dataclass(frozen=True)
class Block:
    """A block of a document; `mark` is what a comment says before it: run, prints, needs ..., or ''."""

    page: Path
    mark: str
    language: str
    text: str

    @property
    def commands(self) -> list[list[str]]:
        """The words of each line that calls one of PROGRAMS."""
        if self.language or self.mark == "prints":
            return []
        lines = self.text.replace("\\\n", " ").splitlines()
        return [words for line in lines if (words := _words(line)) and words[0] in PROGRAMS]


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line, comments=True)
    except ValueError:  # no command: a text with an apostrophe
        return []
    return words[: words.index(">")] if ">" in words else words


def blocks(page: Path) -> Iterator[Block]:
    """The blocks of a document, in order."""
    for mark, language, text in BLOCK.findall(page.read_text(encoding="utf-8")):
        yield Block(page, mark, language, text)


def name(page: Path) -> str:
    """A document's path in the project."""
    return str(page.relative_to(ROOT))
