"""The tables in the documents are those of the recipes and of the published scores."""

from __future__ import annotations

from pathlib import Path

import pytest

from dev import generate_tables


@pytest.mark.parametrize("path", generate_tables.DOCUMENTS, ids=lambda path: path.name)
def test_generated_tables_are_in_step(path: Path) -> None:
    """If this fails: python -m dev.generate_tables"""
    text = path.read_text()
    assert "<!-- table: " in text and generate_tables.filled(text) == text
