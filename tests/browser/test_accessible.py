"""axe-core finds nothing in any state of the page."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.api.encode import data_url, grey_png
from tests.browser.conftest import BALL, Visit
from tests.browser.test_film import moving
from tests.browser.test_hands import removed
from tests.browser.test_several_pictures import choose, shown

AXE = Path(__file__).parents[1] / "js" / "node_modules" / "axe-core" / "axe.min.js"


def violations(tab: Visit, place: str = "html") -> list[str]:
    """What is wrong in this part of the page, where all else is as it was when it was looked at last."""
    tab.page.evaluate("() => document.getAnimations().forEach((one) => one.cancel())")  # what fades in has no contrast yet
    script = """async (place) => {
        const {violations} = await axe.run(place, {resultTypes: ['violations']});
        const said = (node) => `${node.target} ${node.failureSummary.replace(/\\s+/g, ' ')}`;
        return violations.flatMap(({id, nodes}) => nodes.map((node) => `${id}: ${said(node)}`));
    }"""
    return tab.page.evaluate(script, place)


# Which colours there are is the scheme's alone, which words the language's: each of either is seen once.
@pytest.mark.parametrize(("locale", "scheme"), [("en", "dark"), ("zh-CN", "light")])
def test_there_are_no_violations(visit: Callable[..., Visit], photo: bytes, locale: str, scheme: str) -> None:
    if not AXE.exists():
        pytest.skip("needs axe-core: `npm ci` in tests/js installs it where npm reaches its registry")
    tab = visit(locale=locale, color_scheme=scheme)
    tab.page.evaluate(AXE.read_text("utf-8"))
    assert violations(tab) == [], "on the welcome page"
    tab.open(photo)
    assert violations(tab) == [], "with a picture"
    tab.click(*BALL)
    assert violations(tab) == [], "with a selection"
    tab.page.locator(".cp-more button").first.click()
    assert violations(tab, "clickpaint-canvas") == [], "with the menu of the selection"
    tab.page.keyboard.press("Escape")
    tab.key("x")
    tab.drag((100, 100), (300, 250))
    assert violations(tab, "clickpaint-canvas") == [], "with a crop"
    tab.key("c")
    tab.page.locator("[id^=clickpaint_tab_expand]").first.click()
    tab.idle()
    assert violations(tab) == [], "with the frame of an expanded canvas"
    seen = [{"text": word, "map": data_url(grey_png(np.full((4, 4), 200, np.uint8)))} for word in ("a", "ball")]
    tab.page.route("**/word-maps", lambda route: route.fulfill(json={"words": seen}))
    tab.page.locator("[id^=clickpaint_tab_edit]").first.click()
    tab.page.locator("#clickpaint_source_prompt textarea").fill("a ball")
    tab.page.locator("clickpaint-words button").first.click()
    tab.page.locator("clickpaint-words [aria-pressed=true]").wait_for()
    assert violations(tab) == [], "with a word over the picture"
    tab.page.locator("[id^=clickpaint_tab_remove]").first.click()
    tab.key("Delete")
    removed(tab)
    tab.page.locator("#clickpaint_results button").first.click()
    tab.page.wait_for_selector("#clickpaint_gallery img")
    assert violations(tab, "#clickpaint_results") == [], "with results"
    tab.page.locator("#clickpaint_models button").first.click()
    manager = tab.page.locator("clickpaint-model-manager")
    manager.locator(".cp-manager-top").scroll_into_view_if_needed()
    manager.locator("summary").click()
    manager.locator(".cp-place code").first.wait_for()
    assert violations(tab, "#clickpaint_models") == [], "with the models"
    for button, dialog in (
        (".cp-status .cp-icon:last-child", ".cp-help:not(.cp-ask)[open]"),
        ("clickpaint-settings > .cp-icon", ".cp-settings .cp-setting"),
        (".cp-actions [title*='(H)']", ".cp-history .cp-past-item img[src]"),
    ):
        tab.page.locator(button).click()
        tab.page.locator(dialog).first.wait_for()
        assert violations(tab, "dialog[open]") == [], dialog
        tab.page.keyboard.press("Escape")
    choose(tab, {"meadow.png": photo, "other.png": photo})
    tab.page.locator(".cp-strip-picture").first.wait_for()
    shown(tab, "meadow.png")
    assert violations(tab, "clickpaint-canvas") == [], "with several pictures"
    tab.page.locator(".cp-strip-actions .cp-strong").click()
    tab.page.locator("dialog.cp-again[open]").wait_for()
    assert violations(tab, "dialog[open]") == [], "with the question of doing the same again"
    tab.page.keyboard.press("Escape")
    choose(tab, {"moves.gif": moving([Image.open(io.BytesIO(photo)).reduce(2)] * 2 + [Image.new("RGB", (240, 160))])})
    tab.page.locator(".cp-film").wait_for()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').film.clip.stills.now")
    tab.click(BALL[0] / 2, BALL[1] / 2)
    assert violations(tab) == [], "with a clip"
