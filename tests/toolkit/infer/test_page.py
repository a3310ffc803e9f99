"""The page of a folder of results in a browser: of several labelings one is chosen."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import caffe
import nets
from fcn.commands import infer
from tests.browser import DESKTOP, PHONE, chromium, watched


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of two photographs through a narrow net of SIFT Flow, which draws 33 classes and 3."""
    folder, rng, model = tmp_path_factory.mktemp("sift"), np.random.default_rng(0), "siftflow-fcn32s"
    prototxt = folder / "deploy.prototxt"
    prototxt.write_text(str(nets.build(model, "deploy", arch=nets.VGG16.scaled(0.02))))
    net = caffe.Net(str(prototxt), caffe.TEST)
    for blobs in net.params.values():
        for blob in blobs:
            blob.data[...] = rng.normal(0, 0.2, blob.data.shape)
    net.save(str(folder / "net.caffemodel"))
    for name in ("coast", "street"):
        Image.fromarray(rng.integers(0, 256, (60, 80, 3), np.uint8)).save(folder / f"{name}.png")
    given = [
        "--weights",
        folder / "net.caffemodel",
        "--net",
        prototxt,
        "--model",
        model,
        "-o",
        folder / "out",
    ]
    images = [folder / "coast.png", folder / "street.png"]
    assert infer.main([*map(str, [*images, *given]), "--page"]) == 0
    return folder / "out/index.html"


@pytest.mark.parametrize("screen", [PHONE, DESKTOP])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_one_labeling_is_shown_and_the_keyboard_chooses(
    browser: Any, page: Path, screen: tuple[int, int], scheme: str
) -> None:
    with watched(browser, screen, color_scheme=scheme) as seen:
        seen.page.goto(page.as_uri())
        shown = seen.page.locator("article a:visible")

        def pictures() -> list[str]:
            links = [
                str(link) for link in shown.evaluate_all("all => all.map(one => one.getAttribute('href'))")
            ]
            return [link for link in links if link.endswith("_overlay.png")]

        assert pictures() == ["coast_overlay.png", "street_overlay.png"]
        seen.page.get_by_label("semantic").press("ArrowRight")
        seen.page.get_by_label("geometric").and_(seen.page.locator(":checked")).wait_for()
        assert pictures() == ["coast_geo_overlay.png", "street_geo_overlay.png"]
        loaded = "all => Promise.all(all.map(one => one.decode().then(() => one.naturalWidth)))"
        images = seen.page.locator("img:visible")
        images.nth(3).wait_for()
        assert images.evaluate_all(loaded) == [80] * 4
        assert seen.width_of_content() <= screen[0]
        assert (seen.errors, seen.requests) == ([], [])
