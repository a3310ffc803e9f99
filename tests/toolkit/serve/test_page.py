"""The page in a browser: an image comes in, its classes are shown, toggled and saved."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from fcn.commands import infer
from fcn.figures import ClassColours
from tests.browser import DESKTOP, PHONE, Watched, chromium, watched
from tests.toolkit.serve.conftest import Served

DROP = """
async ({ data, name, type, event }) => {
  const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
  const transfer = new DataTransfer();
  transfer.items.add(new File([bytes], name, { type }));
  const made = event === "drop"
    ? new DragEvent("drop", { dataTransfer: transfer, bubbles: true, cancelable: true })
    : new ClipboardEvent("paste", { clipboardData: transfer, bubbles: true });
  document.getElementById("drop").dispatchEvent(made);
}
"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture
def seen(browser: Any, server: Served) -> Iterator[Watched]:
    """The page on a desktop; at the end nothing has gone wrong in it, and it asked nobody else."""
    with watched(browser, DESKTOP, accept_downloads=True) as page:
        page.page.goto(server.url)
        page.page.wait_for_selector("body.ready")
        yield page
        assert page.errors == [] and all(url.startswith(server.url) for url in page.requests)


def give(page: Any, file: Path, event: str = "drop", kind: str = "image/png") -> None:
    data = base64.b64encode(file.read_bytes()).decode()
    page.evaluate(DROP, {"data": data, "name": file.name, "type": kind, "event": event})


def overlay(page: Any) -> np.ndarray:
    """The canvas over the image, H x W x 4."""
    data = page.evaluate("document.getElementById('overlay').toDataURL()").split(",")[1]
    with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
        return np.array(picture.convert("RGBA"))


@pytest.fixture
def label(photo: Path, fcn_run: Path, tmp_path: Path) -> np.ndarray:
    """What `fcn infer` says of the photograph; its file is NAME.png in the test's folder."""
    assert infer.main([str(photo), "--weights", str(fcn_run), "-o", str(tmp_path)]) == 0
    with Image.open(tmp_path / photo.name) as found:
        return np.array(found)


@pytest.mark.parametrize("event", ["drop", "paste"])
def test_an_image_that_comes_in_is_covered_by_its_classes(
    event: str, seen: Watched, photo: Path, label: np.ndarray
) -> None:
    page = seen.page
    give(page, photo, event)
    page.wait_for_selector("#side:not([hidden])")
    shown = overlay(page)
    own = tuple(ClassColours.of(("sea", "grass", "brick")).palette[0])  # no background: it is drawn too
    for number, colour in enumerate((own, (128, 0, 0), (0, 128, 0))):
        assert (shown[label == number] == (*colour, 255)).all()
    assert len(np.unique(label)) == 3
    listed = page.locator("#classes li")
    names, counts = ["sea", "grass", "brick"], np.bincount(label.ravel())
    expected = [
        f"{names[k]} {100 * counts[k] / label.size:.1f} %" for k in np.argsort(-counts, kind="stable")
    ]
    assert [" ".join(text.split()) for text in listed.all_inner_texts()] == expected


def test_classes_are_toggled_and_the_opacity_slides(seen: Watched, photo: Path, label: np.ndarray) -> None:
    page = seen.page
    page.set_input_files("#file", str(photo))
    page.wait_for_selector("#side:not([hidden])")
    page.get_by_label("grass").uncheck()
    assert (overlay(page)[label == 1][:, 3] == 0).all() and (overlay(page)[label == 2][:, 3] == 255).all()
    page.get_by_role("button", name="All").click()
    assert (overlay(page)[..., 3] == 255).all() and page.get_by_label("grass").is_checked()
    page.get_by_role("button", name="None").click()
    assert (overlay(page)[..., 3] == 0).all()
    page.focus("#alpha")
    page.keyboard.press("ArrowRight")
    assert page.evaluate("document.getElementById('overlay').style.opacity") == "0.55"


def test_the_class_under_the_pointer_is_named(seen: Watched, photo: Path, label: np.ndarray) -> None:
    page = seen.page
    page.set_input_files("#file", str(photo))
    page.wait_for_selector("#side:not([hidden])")
    box = page.locator("#overlay").bounding_box()
    for row, column in ((5, 5), (30, 70), (55, 20)):
        page.mouse.move(
            box["x"] + (column + 0.5) / 80 * box["width"], box["y"] + (row + 0.5) / 60 * box["height"]
        )
        assert page.inner_text("#under") == ("sea", "grass", "brick")[label[row, column]]
    page.mouse.move(1, 1)
    assert page.inner_text("#under") == "–"


def test_what_is_downloaded_is_what_the_command_writes(
    seen: Watched, photo: Path, label: np.ndarray, tmp_path: Path
) -> None:
    page = seen.page
    page.set_input_files("#file", str(photo))
    page.wait_for_selector("#side:not([hidden])")
    with page.expect_download() as waiting:
        page.click("#label-map")
    assert waiting.value.suggested_filename == "cat & dog.png"
    assert Path(waiting.value.path()).read_bytes() == (tmp_path / "cat & dog.png").read_bytes()
    with page.expect_download() as waiting:
        page.click("#overlay-png")
    assert waiting.value.suggested_filename == "cat & dog_overlay.png"
    with Image.open(waiting.value.path()) as mine, Image.open(tmp_path / "cat & dog_overlay.png") as theirs:
        difference = np.array(mine.convert("RGB")).astype(int) - np.array(theirs)
    assert np.abs(difference).max() <= 2  # the browser rounds, the command cuts off


def test_a_larger_image_is_made_smaller(seen: Watched, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (300, 400, 3), np.uint8)
    Image.fromarray(noise).save(tmp_path / "large.png")
    seen.page.set_input_files("#file", str(tmp_path / "large.png"))
    seen.page.wait_for_selector("#side:not([hidden])")
    assert seen.page.inner_text("#status") == "163 × 122 pixels, made smaller from 400 × 300"


def test_what_the_server_does_not_take_is_drawn_anew(seen: Watched, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (50, 40, 4), np.uint8)
    Image.fromarray(noise, "RGBA").save(tmp_path / "clear.png")
    seen.page.set_input_files("#file", str(tmp_path / "clear.png"))
    seen.page.wait_for_selector("#side:not([hidden])")
    assert seen.page.inner_text("#status") == "40 × 50 pixels, drawn anew by the browser"
    assert len(seen.errors) == 1 and "422" in seen.errors.pop()  # the browser notes the first try


def test_what_the_browser_cannot_decode_is_told(seen: Watched, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "broken.png").write_bytes(photo.read_bytes()[:60])
    seen.page.set_input_files("#file", str(tmp_path / "broken.png"))
    seen.page.wait_for_selector("#problem:not(:empty)")
    assert "broken.png" in seen.page.inner_text("#problem")
    give(seen.page, photo, kind="text/plain")
    seen.page.wait_for_function(
        "document.getElementById('problem').textContent.includes('expected an image')"
    )
    seen.page.set_input_files("#file", str(photo))  # and it goes on
    seen.page.wait_for_selector("#side:not([hidden])")
    assert seen.page.inner_text("#problem") == ""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_phone_shows_all_of_it(browser: Any, server: Served, photo: Path, scheme: str) -> None:
    with watched(browser, PHONE, color_scheme=scheme, has_touch=True) as phone:
        page = phone.page
        page.goto(server.url)
        page.wait_for_selector("body.ready")
        page.set_input_files("#file", str(photo))
        page.wait_for_selector("#side:not([hidden])")
        assert phone.width_of_content() == PHONE[0]
        page.tap("#overlay")
        assert page.inner_text("#under") in ("sea", "grass", "brick")
        paper = "getComputedStyle(document.body).backgroundColor"
        before = page.evaluate(paper)
        page.tap("#theme")
        assert page.evaluate(paper) != before
        assert phone.errors == []
