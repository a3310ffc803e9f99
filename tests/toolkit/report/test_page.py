"""The report page in a browser: what it shows, what the mouse, the keyboard and the screen do to it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fcn.report import write
from fcn.tables import percent
from tests.browser import DESKTOP, PHONE, Watched, chromium, watched
from tests.toolkit.report.cards import EVIL, report, report_of_two, run_with_curves, scorecard

pytest.importorskip("jinja2", reason="the extra 'report' is not installed")

ERROR, RIGHT = (224, 106, 0), (0, 114, 178)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    """The page of 3 classes and that of 60."""
    folder = tmp_path_factory.mktemp("pages")
    run = run_with_curves(folder / "run")
    return {classes: write(report(classes, run), folder / str(classes)) for classes in (3, 60)}


def opened(seen: Watched, path: Path) -> Any:
    seen.page.goto(path.as_uri())
    seen.page.wait_for_selector("html[data-ready]")
    return seen.page


@pytest.fixture
def page(browser: Any, pages: dict[int, Path]) -> Iterator[Any]:
    """The page of 3 classes on a desktop; nothing may go wrong in it, and nothing is asked of a network."""
    with watched(browser) as seen:
        yield opened(seen, pages[3])
        assert (seen.errors, seen.requests) == ([], [])


def pixel(example: Any, x: float, y: float) -> tuple[int, ...]:
    """The colour of a picture at a share of its width and height."""
    found = example.locator("canvas").evaluate(
        "(c, [x, y]) => [...c.getContext('2d').getImageData(x * c.width, y * c.height, 1, 1).data]", [x, y]
    )
    return tuple(found[:3])


def near(one: tuple[int, ...], other: tuple[int, ...], by: int = 60) -> bool:
    return max(abs(a - b) for a, b in zip(one, other)) <= by


@pytest.mark.parametrize("classes", [3, 60])
@pytest.mark.parametrize("screen", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_page_fits_the_screen_and_asks_nobody(
    browser: Any, pages: dict[int, Path], classes: int, screen: tuple[int, int], scheme: str
) -> None:
    with watched(browser, screen, color_scheme=scheme) as seen:
        page = opened(seen, pages[classes])
        assert seen.width_of_content() <= screen[0]
        assert page.title() == f"a net on {classes} classes"
        assert page.locator("table.classes tbody tr").count() == classes
        assert page.locator("table.confusion tbody td").count() == classes**2
        assert page.locator(".example canvas").count() == 9
        assert page.locator("#curves svg").count() == page.locator("#boundaries svg").count() == 2
        assert (seen.errors, seen.requests) == ([], [])


def test_names_are_text(page: Any) -> None:
    assert page.title() != "caught"
    assert page.locator("table.classes tbody th").nth(2).inner_text() == EVIL


def test_the_slider_goes_from_image_to_truth_prediction_and_errors(page: Any) -> None:
    worst = page.locator(".example").last
    slider, at = worst.locator("input"), (0.25, 0.1)  # in the rows that the net takes for class 2
    seen = {}
    for k, view in enumerate(("image", "truth", "prediction", "errors")):
        slider.fill(str(k))
        assert worst.locator("[aria-pressed='true'][data-stop]").inner_text() == view
        assert slider.get_attribute("aria-valuetext") == view
        seen[view] = pixel(worst, *at)
    assert near(seen["image"], (200, 41, 30), 12) and near(seen["errors"], ERROR, 30)
    assert len(set(seen.values())) == 4
    assert near(
        pixel(worst, 0.75, 0.1), tuple((3 * a + 2 * b) // 5 for a, b in zip((200, 41, 30), RIGHT)), 40
    )
    slider.fill("2.5")  # errors over the left half, the prediction in the right one
    assert near(pixel(worst, *at), ERROR, 30) and not near(pixel(worst, 0.75, 0.1), RIGHT)
    assert slider.get_attribute("aria-valuetext") == "errors 50 %, prediction 50 %"


def test_the_slider_and_its_stops_take_the_keyboard(page: Any) -> None:
    first = page.locator(".example").first
    slider = first.locator("input")
    slider.press("Home")
    assert slider.get_attribute("aria-valuetext") == "image"
    before = pixel(first, 0.01, 0.5)
    for _ in range(5):
        slider.press("ArrowRight")
    assert "truth 25 %" in str(slider.get_attribute("aria-valuetext")) and pixel(first, 0.01, 0.5) != before
    first.get_by_role("button", name="errors").press("Enter")
    assert slider.input_value() == "3"


def test_one_slider_moves_all_and_one_fades_the_classes(page: Any) -> None:
    page.get_by_label("view of all images").fill("1")
    assert {slider.input_value() for slider in page.locator(".example input").all()} == {"1"}
    first = page.locator(".example").first
    page.get_by_label("opacity of the classes").fill("0")
    faded = pixel(first, 0.75, 0.5)
    page.get_by_label("opacity of the classes").fill("100")
    assert near(faded, (200, 30, 30), 15) and not near(pixel(first, 0.75, 0.5), faded)


def test_the_pointer_and_the_arrow_keys_name_the_classes(page: Any) -> None:
    worst = page.locator(".example").last
    canvas, under = worst.locator("canvas"), worst.locator(".under")
    box = canvas.bounding_box()
    for (x, y), told in {
        (0.75, 0.5): "truth: skyprediction: sky",
        (0.25, 0.02): f"truth: roadprediction: {EVIL}",
        (0.25, 0.98): "truth: voidprediction: road",
    }.items():
        canvas.hover(position={"x": x * box["width"], "y": y * box["height"]})
        assert "".join(under.inner_text().split("\n")) == told
    page.mouse.move(0, 0)
    assert under.inner_text().strip() == ""
    canvas.focus()
    page.keyboard.press("ArrowDown")
    assert under.inner_text().startswith("truth: sky")
    for _ in range(3):
        page.keyboard.press("ArrowLeft")
    assert under.inner_text().startswith("truth: road")


def test_the_confusion_matrix_takes_pointer_and_keyboard(page: Any) -> None:
    section = page.locator("#confusion")
    readout, cells = section.locator(".readout"), section.locator("tbody td")
    cells.nth(2).hover()
    wrong, whole = sum(range(12)) * 40, 12 * 36 * 40
    assert readout.inner_text() == (
        f"truth road, predicted as {EVIL}: {100 * wrong / whole:.2f} % ({wrong:,} of {whole:,} pixels)"
    )
    cells.nth(0).focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("End")
    assert readout.inner_text().startswith(f"truth sky, predicted as {EVIL}: 0.00 % (0 of")
    assert section.locator("td[tabindex='0']").count() == 1


def test_classes_are_sorted_by_a_column(page: Any) -> None:
    table = page.locator("table.classes")
    values = "rows => rows.map(row => Number(row.cells[1].dataset.value))"

    def shown() -> list[float]:
        return table.locator("tbody tr").evaluate_all(values)

    unsorted = shown()
    head = table.locator("thead th").nth(1)
    for state, expected in (
        ("descending", sorted(unsorted, reverse=True)), ("ascending", sorted(unsorted)), ("none", unsorted)
    ):  # fmt: skip
        head.locator("button").click()
        assert shown() == expected and head.get_attribute("aria-sort") == state


def test_light_and_dark_by_choice(browser: Any, pages: dict[int, Path]) -> None:
    colour = "getComputedStyle(document.body).backgroundColor"
    with watched(browser, color_scheme="dark") as seen:
        page = opened(seen, pages[3])
        dark, button = page.evaluate(colour), page.locator("#theme")
        button.click()
        light = page.evaluate(colour)
        assert button.inner_text() == "light" and light != dark
        button.focus()
        page.keyboard.press("Enter")
        assert button.inner_text() == "dark" and page.evaluate(colour) == dark
        page.emulate_media(color_scheme="light")
        assert page.evaluate(colour) == dark
        button.click()
        assert button.inner_text() == "auto" and page.evaluate(colour) == light


def test_a_larger_picture(page: Any) -> None:
    figure = page.locator(".example").nth(1)
    before = figure.locator("canvas").bounding_box()["width"]
    figure.get_by_role("button", name="larger").click()
    assert figure.locator("canvas").bounding_box()["width"] > 1.5 * before


def test_label_maps_without_photographs(browser: Any, tmp_path: Path) -> None:
    path = write(report(3, photographs=False), tmp_path)
    with watched(browser) as seen:
        page = opened(seen, path)
        worst = page.locator(".example").last
        assert worst.locator("[data-stop]").all_inner_texts() == ["truth", "prediction", "errors"]
        worst.locator("input").fill("0")
        truth = pixel(worst, 0.25, 0.1)
        worst.locator("input").fill("1")
        assert truth != pixel(worst, 0.25, 0.1)
        worst.locator("input").fill("2")
        assert near(pixel(worst, 0.25, 0.1), ERROR, 5)
        assert page.locator("#curves, #recipe, #checks").count() == 0
        assert (seen.errors, seen.requests) == ([], [])


def test_every_control_has_a_name(page: Any) -> None:
    nameless = """all => all.filter(one => !(one.getAttribute('aria-label') || one.textContent.trim()
        || one.closest('label'))).length"""
    assert page.locator("button, input, canvas, [role='region'], svg[role='img']").evaluate_all(nameless) == 0
    assert page.locator("main h2").all_inner_texts() == [
        "Score", "Images", "Classes", "Confusion", "Boundaries", "Learning curves"
    ]  # fmt: skip


def test_the_scores_near_boundaries_are_charts_and_a_table(page: Any) -> None:
    section = page.locator("#boundaries")
    summary = str(section.locator("svg").last.get_attribute("aria-label"))
    assert summary.startswith("mean IU: near boundaries: ") and "; all pixels: " in summary
    dots = section.locator("svg").last.locator("circle title").all_text_contents()
    assert [text.split(": ")[0].split()[-1] for text in dots] == ["1", "2", "4", "8"]
    circles = section.locator("svg").last.locator("circle")
    places = circles.evaluate_all("all => all.map(one => one.cx.baseVal.value)")
    steps = [b - a for a, b in zip(places, places[1:])]
    assert max(steps) - min(steps) < 1  # widths that double lie equally far apart
    section.locator("summary").focus()
    page.keyboard.press("Enter")
    rows = section.locator("tbody tr").all_inner_texts()
    assert [row.split("\t")[0] for row in rows] == [f"at most {width}" for width in (1, 2, 4, 8)] + ["all"]
    card = scorecard(3, widths=(1, 2, 4, 8))
    ious = [percent(scores.mean_iu) for scores in (*card.near.values(), card.scores)]
    assert [row.split("\t")[2] for row in rows] == ious


def test_of_several_labelings_one_is_chosen(browser: Any, tmp_path: Path) -> None:
    path = write(report_of_two(run_with_curves(tmp_path / "run")), tmp_path)
    with watched(browser) as seen:
        page = opened(seen, path)
        heads = page.locator("main h2:visible")
        assert heads.all_inner_texts()[:2] == ["Score: semantic", "Images: semantic"]
        assert page.locator(".example:visible").count() == 9
        first = pixel(page.locator(".example:visible").first, 0.25, 0.5)
        page.get_by_label("semantic", exact=True).focus()
        page.keyboard.press("ArrowRight")
        assert page.get_by_label("geometric", exact=True).is_checked()
        assert heads.all_inner_texts() == [
            *(f"{part}: geometric" for part in ("Score", "Images", "Classes", "Confusion", "Boundaries")),
            "Learning curves",
        ]  # fmt: skip
        shown = page.locator(".example:visible")
        assert shown.count() == 9 and page.locator("table.confusion:visible tbody td").count() == 9
        ground = pixel(shown.first, 0.25, 0.5)  # which the second labeling leaves clear
        assert near(ground, (200, 30, 30), 15) and not near(ground, first, 15)
        shown.first.locator("canvas").hover(position={"x": 10, "y": 10})
        assert shown.first.locator(".under").inner_text().startswith("truth: background")
        page.get_by_label("view of all images").and_(page.locator(":visible")).fill("1")
        assert shown.last.locator("[aria-pressed='true'][data-stop]").inner_text() == "truth"
        page.locator("nav").get_by_role("link", name="Confusion").click()
        assert page.url.endswith("#confusion-2")
        page.goto(path.as_uri() + "#classes")
        assert page.get_by_label("semantic", exact=True).is_checked()
        assert heads.first.inner_text() == "Score: semantic"
        assert (seen.errors, seen.requests) == ([], [])
    with watched(browser, PHONE) as seen:
        page = opened(seen, path.rename(tmp_path / "other.html"))
        assert seen.width_of_content() <= PHONE[0]
    with watched(browser, java_script_enabled=False) as seen:
        seen.page.goto((tmp_path / "other.html").as_uri())
        assert seen.page.locator("h2:visible").count() == 11 and not seen.page.locator(".choice").is_visible()
