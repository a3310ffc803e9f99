"""The site: built strictly, opened from the disk, and at peace without a network."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.browser import DESKTOP, PHONE, chromium, watched
from tests.docs.pages import ROOT


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a strict build: a link that leads nowhere, or a page that no menu has, ends it."""
    if not (importlib.util.find_spec("material") and importlib.util.find_spec("mkdocstrings")):
        pytest.skip("the extra 'docs' is not installed")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    env = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


def test_every_document_is_a_page(site: Path) -> None:
    documents = {
        path.relative_to(ROOT / "docs").with_suffix(".html") for path in (ROOT / "docs").rglob("*.md")
    }
    assert {page for page in documents if not (site / page).is_file()} == set()
    first = (site / "index.html").read_text(encoding="utf-8")
    assert 'href="own-data.html"' in first and 'src="images/demo.png"' in first


def test_the_reference_has_the_docstrings(site: Path) -> None:
    text = (site / "api" / "caffe.html").read_text(encoding="utf-8")
    assert 'id="caffe.pycaffe.Net.forward"' in text and "Run the layers from" in text


def test_pages_open_from_the_disk_and_ask_no_network(site: Path) -> None:
    with chromium() as browser:
        for screen, scheme in ((PHONE, "dark"), (DESKTOP, "light")):
            for page in ("index", "paper/alignment", "api/fcn", "layers"):
                with watched(browser, screen, color_scheme=scheme) as seen:
                    seen.page.goto(f"file://{site}/{page}.html")
                    seen.page.wait_for_load_state("networkidle")
                    assert seen.errors == [] and seen.requests == [], page
                    assert seen.width_of_content() <= screen[0], page
                    pictures = "images => images.every(image => image.naturalWidth > 0)"
                    assert seen.page.eval_on_selector_all("article img", pictures)
                    wanted = "slate" if scheme == "dark" else "default"
                    assert seen.page.locator("body").get_attribute("data-md-color-scheme") == wanted


def test_the_search_works_on_a_page_from_the_disk(site: Path) -> None:
    with chromium() as browser, watched(browser) as seen:
        seen.page.goto(f"file://{site}/paper/skips.html")
        seen.page.wait_for_load_state("networkidle")
        seen.page.click(".md-search__input")
        seen.page.keyboard.type("transplant", delay=50)
        found = seen.page.locator(".md-search-result__link")
        found.first.wait_for(state="attached")
        links = [str(link.get_attribute("href")) for link in found.all()]
        assert any("surgery" in link for link in links) and seen.errors == [] and seen.requests == []


@pytest.mark.parametrize(
    ("folder", "text", "wanted"),
    [
        ("docs", "[own](own-data.md#x)", "[own](own-data.md#x)"),
        ("docs/paper", "[scores](../reproduction.md)", "[scores](../reproduction.md)"),
        ("docs/paper", "![a](../images/offset.svg)", "![a](../images/offset.svg)"),
        ("", "![demo](docs/images/demo.png)", "![demo](images/demo.png)"),
        ("", "[data/own](data/own/README.md)", "data/own (`data/own/README.md`)"),
        ("docs", "[`nets/heads.py`](../nets/heads.py)", "`nets/heads.py`"),
        ("docs/paper", "[start](../../README.md)", "[start](../index.md)"),
        ("docs", "[there](https://a.b/c)", "[there](https://a.b/c)"),
        ("docs", "[below](#below)", "[below](#below)"),
    ],
)
def test_links_lead_to_pages_and_files_are_named(folder: str, text: str, wanted: str) -> None:
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    from dev.site_hook import inside

    assert inside(text, folder, "docs/") == wanted


def test_the_theme_brings_its_own_worker(site: Path) -> None:
    for page in site.rglob("*.html"):
        assert not re.search(r'<(script|link)[^>]+(src|href)="https?:', page.read_text(encoding="utf-8")), (
            page
        )
