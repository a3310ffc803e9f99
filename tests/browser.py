"""A real browser for the tests of pages: the machine's Chromium, driven by playwright (extra `browser`)."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
#: Screens, width and height in CSS pixels.
PHONE, DESKTOP = (390, 844), (1280, 900)
#: What is no request to a network.
LOCAL = ("data:", "blob:", "file:", "about:")


@dataclass
class Watched:
    """A page of the browser, with what went wrong in it and what it asked a network for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def width_of_content(self) -> int:
        """In CSS pixels: more than the screen's where the page can be scrolled sideways."""
        return int(self.page.evaluate("document.scrollingElement.scrollWidth"))


@contextmanager
def chromium() -> Iterator[Any]:
    """A running Chromium; skips, with the reason, where there is none or no playwright."""
    api = pytest.importorskip("playwright.sync_api", reason="the extra 'browser' is not installed")
    program = next(filter(None, map(shutil.which, NAMES)), None)
    if program is None:
        pytest.skip(f"no Chromium on PATH: looked for {', '.join(NAMES)}")
    with api.sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        try:
            yield running
        finally:
            running.close()


@contextmanager
def watched(running: Any, screen: tuple[int, int] = DESKTOP, **settings: Any) -> Iterator[Watched]:
    """A new page on a screen; `settings` are those of playwright's `new_context`, as `color_scheme`."""
    context = running.new_context(viewport={"width": screen[0], "height": screen[1]}, **settings)
    seen = Watched(context.new_page())
    seen.page.on("console", lambda said: said.type == "error" and seen.errors.append(said.text))
    seen.page.on("pageerror", lambda error: seen.errors.append(str(error)))
    seen.page.on("request", lambda asked: asked.url.startswith(LOCAL) or seen.requests.append(asked.url))
    try:
        yield seen
    finally:
        context.close()
