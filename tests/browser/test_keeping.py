"""Nothing is lost when pictures come and go, and what a file has more than pixels is said, in real Chromium."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import BALL, SIZE, Visit, expect, photograph
from tests.browser.test_hands import removed


def choose(tab: Visit, data: bytes, name: str = "next.png") -> None:
    """Choose a file, without waiting for anything."""
    tab.page.locator(".cp-file").set_input_files({"name": name, "mimeType": "image/png", "buffer": data})


def test_another_picture_never_takes_an_unsaved_results_place_unasked(visit: Callable[..., Visit], photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    tab.open(photograph((120, 120)), "second.png")
    assert tab.js("e.state.name") == "second.png", "without a result nothing is asked"
    tab.click(120, 120)
    tab.key("Delete")
    removed(tab)
    version = tab.js("e.state.version")
    question = tab.page.get_by_role("dialog", name="The result is not saved")
    for leave in ("Cancel", "Escape"):
        choose(tab, photo)
        question.wait_for()
        if leave == "Escape":
            tab.page.keyboard.press("Escape")
        else:
            question.get_by_role("button", name="Cancel").click()
        expect(question).to_be_hidden()
        tab.idle()
        assert (tab.js("e.state.name"), tab.js("e.state.version")) == ("second.png", version)

    choose(tab, photo)
    with tab.page.expect_download() as download:
        question.get_by_role("button", name="Save, then open").click()
    assert download.value.suggested_filename == "second.png"
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.name === 'next.png'")

    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    with tab.page.expect_download():
        tab.key("Control+s")
    choose(tab, photo, "third.png")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.name === 'third.png'")
    expect(question, "what is saved may go").to_be_hidden()


def test_what_is_transparent_is_selected_by_a_button(visit: Callable[..., Visit], photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    button = tab.page.get_by_role("button", name="Select what is transparent")
    expect(button).to_be_hidden()
    pixels = np.dstack([np.asarray(Image.open(io.BytesIO(photo)).convert("RGB")), np.full(SIZE[::-1], 255, np.uint8)])
    pixels[40:100, 50:150, 3] = 0
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    tab.open(file.getvalue(), "clear.png")
    button.click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.selection")
    tab.idle()
    assert (tab.area, tab.js("e.state.selection.box")) == (60 * 100, [50, 40, 150, 100])


@pytest.mark.parametrize(("locale", "words"), [("en", "only the first is edited"), ("zh-CN", "只编辑并保留第一张")])
def test_what_of_a_file_is_not_kept_is_said(visit: Callable[..., Visit], photo: bytes, locale: str, words: str) -> None:
    file = io.BytesIO()
    frames = [Image.open(io.BytesIO(photograph((x, 160)))).convert("P") for x in (100, 200)]
    frames[0].save(file, "GIF", save_all=True, append_images=frames[1:])
    tab = visit(locale=locale)
    tab.open(file.getvalue(), "moves.gif")
    expect(tab.page.locator(".cp-lost")).to_contain_text(words)
    tab.open(photo)
    expect(tab.page.locator(".cp-lost"), "of a picture that loses nothing it is not said").to_have_count(0)


def test_phones_pictures_can_be_chosen_and_opened(visit: Callable[..., Visit], photo: bytes) -> None:
    pytest.importorskip("pillow_heif").register_heif_opener()
    tab = visit()
    offered = tab.page.locator(".cp-file").get_attribute("accept").split(",")
    assert {".heic", ".heif", ".avif"} <= set(offered)
    file = io.BytesIO()
    Image.open(io.BytesIO(photo)).convert("RGB").save(file, "HEIF")
    transfer = """([bytes]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], 'IMG_1.HEIC'));
        document.querySelector('.cp-stage').dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
    }"""
    tab.page.evaluate(transfer, [list(file.getvalue())])
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    tab.idle()
    assert tab.js("e.state.name") == "IMG_1.HEIC" and tab.js("e.size.width") == SIZE[0]
