"""Several pictures at once: a row of them, work that stays with each, and the same done to all."""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import BALL, Visit, expect, photograph, serving
from tests.browser.test_hands import removed

COLOURS = {"red.png": "#d22b2b", "blue.png": "#2244cc", "yellow.png": "#e0b020"}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("several")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    overrides = {"device": "cpu", "segmenter": "classic", "eraser": "opencv_telea"}
    with serving(Studio(EmbeddedHost(folder, environment={}, overrides=overrides))) as address:
        yield address


def choose(tab: Visit, files: dict[str, bytes]) -> None:
    tab.page.locator(".cp-file").set_input_files(
        [{"name": name, "mimeType": "image/png", "buffer": data} for name, data in files.items()]  # type: ignore[arg-type]
    )


def shown(tab: Visit, name: str) -> None:
    tab.page.wait_for_function("(name) => document.querySelector('clickpaint-canvas').editor.state.name === name", arg=name)
    tab.idle()


def balls() -> dict[str, bytes]:
    return {name: photograph(colour=colour, seed=i) for i, (name, colour) in enumerate(COLOURS.items())}


def test_work_stays_with_each_picture_and_the_same_is_done_to_all(visit: Callable[..., Visit], folder: Path) -> None:
    tab = visit(expected=("400", "404"))
    strip, pictures = tab.page.locator(".cp-strip"), tab.page.locator(".cp-strip-picture")
    choose(tab, {**balls(), "broken.png": b"no picture"})
    shown(tab, "red.png")
    expect(pictures).to_have_count(4)
    expect(strip.get_by_role("button", name="Do the same to all")).to_be_disabled()
    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    pictures.nth(1).click()
    shown(tab, "blue.png")
    assert tab.js("e.state.version") == 0
    tab.click(*BALL)
    selected = tab.area
    pictures.nth(0).click()
    shown(tab, "red.png")
    assert tab.js("[e.state.version, e.state.canUndo, c.keeping.question.element.open]") == [1, True, False], (
        "nothing is asked, nothing is lost"
    )
    pictures.nth(1).click()
    shown(tab, "blue.png")
    assert tab.area == selected > 0

    strip.get_by_role("button", name="Do the same to all").click()
    dialog = tab.page.get_by_role("dialog", name="Do the same to all")
    expect(dialog.get_by_label("What these words name")).to_be_disabled()
    expect(dialog).to_contain_text("CLIP")
    dialog.get_by_label("In the same place").check()
    dialog.get_by_role("button", name="Start").click()
    expect(strip.locator("[data-sign=check]")).to_have_count(2)
    expect(strip.locator("[data-sign=warning]"), "what fails does not stop the others").to_have_count(1)
    expect(pictures.nth(3)).to_have_attribute("title", re.compile(r"broken\.png\. This is not a picture"))
    shown(tab, "blue.png")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")  # what is shown follows
    tab.idle()

    with tab.page.expect_download() as download:
        strip.get_by_role("button", name="Download all in one zip file").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert archive.namelist() == [*COLOURS]
        for name, original in balls().items():
            before, after = (np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(int) for data in (original, archive.read(name)))
            assert np.abs(after - before)[BALL[1], BALL[0]].max() > 40 and np.array_equal(after[:60], before[:60])
    strip.get_by_role("button", name="Save all into the program's folder").click()
    expect(tab.page.get_by_text("3 pictures are saved")).to_be_visible()
    assert {file.name for file in (folder / "outputs").iterdir()} == {*COLOURS}

    tab.page.locator(".cp-strip-item").nth(3).hover()
    tab.page.get_by_role("button", name="Close: broken.png").click()
    expect(pictures).to_have_count(3)
    tab.page.reload()
    expect(pictures, "also after a reload").to_have_count(3)
    shown(tab, "blue.png")
    pictures.nth(2).click()
    shown(tab, "yellow.png")
    assert tab.js("e.state.version") == 1
    for _ in range(2):
        tab.page.locator(".cp-strip-item").first.hover()
        tab.page.locator(".cp-strip-close").first.click()
    expect(strip).to_be_hidden()
    assert tab.js("e.state.name") == "yellow.png"


def test_it_is_stopped_and_one_more_picture_joins(visit: Callable[..., Visit]) -> None:
    tab = visit(expected="409")
    pictures = tab.page.locator(".cp-strip-picture")
    choose(tab, balls())
    shown(tab, "red.png")
    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    held: list[object] = []
    tab.page.route("**/select-as-in", lambda route: held.append(route))
    tab.page.get_by_role("button", name="Do the same to all").click()
    with tab.page.expect_request("**/select-as-in"):
        tab.page.get_by_role("button", name="Start").click()
    expect(tab.page.locator(".cp-strip-count")).to_have_text("1 of 2")
    tab.page.locator(".cp-strip").get_by_role("button", name="Stop").click()
    held[0].continue_()  # type: ignore[attr-defined]
    expect(tab.page.locator(".cp-strip-count")).to_have_text("3 pictures")
    assert tab.js("c.pictures.set.entries.map((one) => one.version)") == [1, 0, 0]
    choose(tab, {"green.png": photograph(colour="#229944")})
    shown(tab, "green.png")
    expect(pictures).to_have_count(4)
    for name in ("red.png", "blue.png", "yellow.png"):
        tab.page.get_by_role("button", name=f"Close: {name}").click(force=True)
    expect(tab.page.locator(".cp-strip")).to_be_hidden()
