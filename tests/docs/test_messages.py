"""The messages that docs/messages.md explains are said by the code."""

from __future__ import annotations

import ast
import re
from functools import cache
from pathlib import Path

import pytest

from tests.docs.pages import ROOT

ROWS = re.findall(r"^\| `(.+?)` \|", (ROOT / "docs/messages.md").read_text(encoding="utf-8"), re.M)


@cache
def literals() -> str:
    """Every text in the code, a line each; what is filled in is `...`."""
    found = []
    for folder in ("engine/caffe", "fcn", "voc_layers", "surgery", "nets"):
        for path in (ROOT / folder).rglob("*.py"):
            tree = ast.parse(path.read_text(encoding="utf-8"))
            found += [
                _text(node) for node in ast.walk(tree) if isinstance(node, (ast.JoinedStr, ast.Constant))
            ]
    return "\n".join(found)


def _text(node: ast.JoinedStr | ast.Constant) -> str:
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "..." for part in node.values)
    return node.value.replace("\n", " ") if isinstance(node.value, str) else ""


@pytest.mark.parametrize("message", ROWS)
def test_a_message_is_said_by_the_code(message: str) -> None:
    pattern = ".*".join(map(re.escape, message.split("...")))
    assert re.search(pattern, literals())


def test_links_between_the_tables_lead_somewhere() -> None:
    text = Path(ROOT, "docs/messages.md").read_text(encoding="utf-8")
    assert len(ROWS) > 15 and all(
        (ROOT / "docs" / to).exists() for to in re.findall(r"\]\(([^)#:]+)\)", text)
    )
