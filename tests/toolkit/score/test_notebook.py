"""A scorecard as notebooks show it, in a browser."""

from __future__ import annotations

from tests.browser import chromium, watched
from tests.toolkit.report.cards import EVIL, scorecard


def test_a_notebook_shows_the_numbers_and_the_confusion() -> None:
    card = scorecard(4)
    with chromium() as browser, watched(browser) as seen:
        seen.page.set_content(f"<!doctype html><title>ours</title>{card._repr_html_()}")
        tables = seen.page.locator("table")
        assert tables.count() == 3 and seen.page.title() == "ours" and not seen.errors and not seen.requests
        numbers, classes, confusion = (tables.nth(k).locator("tbody tr") for k in range(3))
        iu = f"{100 * card.scores.mean_iu:.2f}"
        assert numbers.nth(0).locator("td").all_inner_texts()[3] == iu
        assert classes.nth(2).locator("td").first.inner_text() == EVIL
        row = card.hist[0] / card.hist[0].sum()
        cells = confusion.nth(0).locator("td")
        assert cells.all_inner_texts() == [f"{100 * share:.0f}" if share else "" for share in row]
        assert EVIL in (cells.nth(2).get_attribute("title") or "")
        right, wrong, empty = cells.nth(0), cells.nth(1), confusion.nth(3).locator("td").nth(0)
        brightness = "cell => Number(getComputedStyle(cell).backgroundColor.match(/\\d+/)[0])"
        assert right.evaluate(brightness) < 60 and wrong.evaluate(brightness) == 255
        assert empty.evaluate(brightness) == 217  # grey
        assert "is true nowhere" in (empty.get_attribute("title") or "")


def test_many_classes_are_shown_without_numbers_in_the_cells() -> None:
    html = scorecard(40)._repr_html_()
    confusion = html[html.index("confusion, %") :]
    assert confusion.count("</td>") == 1600 and confusion.count("></td>") == 1600
