"""The drawn pictures of the documents are what the code draws now."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import pytest

from dev.draw_pictures import FOLDER, PICTURES


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_in_step(name: str) -> None:
    """If this fails: python -m dev.draw_pictures"""
    drawn = PICTURES[name]()
    assert (FOLDER / name).read_text(encoding="utf-8") == drawn
    assert ElementTree.fromstring(drawn).tag == "{http://www.w3.org/2000/svg}svg"
