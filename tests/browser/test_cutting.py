"""Cropping, cutting out, the quick brush, masks as files and the frame of an expanded canvas, in real Chromium."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import BALL, BALL_RADIUS, SIZE, Visit, expect
from tests.browser.test_hands import removed, undone
from tests.browser.test_painting import turn_to


@pytest.fixture
def tab(visit: Callable[..., Visit], photo: bytes) -> Visit:
    tab = visit(permissions=["clipboard-read", "clipboard-write"], expected="400 (Bad Request)")
    tab.open(photo)
    return tab


def choose(tab: Visit, item: str) -> None:
    tab.page.get_by_role("button", name="Cut out, and masks").click()
    tab.page.get_by_role("menuitem", name=item).click()


def sized(tab: Visit, width: int, height: int) -> None:
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.size.width === {width}")
    tab.idle()
    assert tab.js("[e.size.width, e.size.height]") == [width, height]


def test_a_crop_is_drawn_dragged_by_its_handles_and_undone(tab: Visit, photo: bytes) -> None:
    tab.key("x")
    tab.drag((200, 90), (400, 290))
    assert tab.js("e.tools.crop.box") == [200, 90, 400, 290]
    tab.drag((300, 190), (310, 180))
    assert tab.js("e.tools.crop.box") == [210, 80, 410, 280], "inside, it is moved"
    right = tab.page.get_by_role("slider", name="Crop, Right side")
    right.focus()
    right.press("ArrowLeft")
    right.press("Shift+ArrowLeft")
    assert tab.js("e.tools.crop.box") == [210, 80, 400, 280]
    expect(right).to_have_attribute("aria-valuenow", "400")  # written when the frame is next drawn
    tab.page.get_by_label("Ratio", exact=True).select_option("16:9")
    left, top, *_ = tab.js("e.tools.crop.box")
    right.press("Enter")
    sized(tab, 190, 107)
    assert tab.js("e.tool.name") == "click"
    original = np.asarray(Image.open(io.BytesIO(photo)).convert("RGB"))
    shown = np.asarray(Image.open(io.BytesIO(tab.fetch("image"))).convert("RGB"))
    assert np.array_equal(shown, original[top : top + 107, left : left + 190])
    tab.page.keyboard.press("Control+z")
    sized(tab, *SIZE)
    tab.page.keyboard.press("Control+y")
    sized(tab, 190, 107)
    after = tab.pixel("picture", 20, 50)
    tab.page.get_by_role("button", name="Compare with the original").click()
    tab.idle()
    assert tab.pixel("picture", 20, 50) == after, "the original lies where it was cropped"
    tab.page.get_by_role("button", name="Compare with the original").click()
    tab.key("x")
    tab.drag((10, 10), (50, 50))
    tab.key("Escape")
    assert tab.js("[e.tools.crop.drafting, e.tool.name]") == [False, "crop"]
    tab.key("Escape")
    assert tab.js("e.tool.name") == "click"


def test_the_quick_brush_removes_what_is_painted_in_one_step_and_keeps_the_selection(tab: Visit) -> None:
    tab.key("r")
    tab.drag((20, 20), (80, 80))
    tab.key("q")
    area, before = tab.area, tab.pixel("picture", *BALL)
    tab.js("e.setRadius(60)")
    tab.drag((BALL[0] - 4, BALL[1]), (BALL[0] + 4, BALL[1]))
    removed(tab)
    assert before[0] - tab.pixel("picture", *BALL)[0] > 40 and tab.area == area
    undone(tab)
    assert tab.pixel("picture", *BALL) == before and tab.area == area


def test_what_is_selected_is_cut_out_to_a_file_and_onto_the_clipboard(tab: Visit) -> None:
    tab.click(*BALL)
    with tab.page.expect_download() as download:
        choose(tab, "Cut out the selection (PNG)")
    assert download.value.suggested_filename == "meadow_cutout.png"
    cut = Image.open(io.BytesIO(Path(download.value.path()).read_bytes()))
    assert cut.mode == "RGBA" and abs(cut.width - 2 * BALL_RADIUS) < 20
    alpha = np.asarray(cut)[..., 3]
    assert abs(alpha.sum() / 255 / (np.pi * BALL_RADIUS**2) - 1) < 0.1 and alpha[0, 0] == 0
    choose(tab, "Copy the selection, cut out")
    expect(tab.page.locator(".cp-notices")).to_contain_text("Cut out")
    size = """async () => {
        const [item] = await navigator.clipboard.read(), picture = await createImageBitmap(await item.getType('image/png'));
        return [picture.width, picture.height];
    }"""
    assert tab.page.evaluate(size) == list(cut.size)


def test_a_mask_is_saved_loaded_scaled_and_refused(tab: Visit) -> None:
    tab.key("r")
    tab.drag((100, 100), (200, 180))
    with tab.page.expect_download() as download:
        choose(tab, "Save the mask (PNG)")
    assert download.value.suggested_filename == "meadow_mask.png"
    data = Path(download.value.path()).read_bytes()
    area = tab.area
    tab.key("Escape")
    assert tab.area == 0

    def load(data: bytes) -> None:
        tab.page.locator(".cp-mask-file").set_input_files({"name": "mask.png", "mimeType": "image/png", "buffer": data})

    def made(image: Any) -> bytes:
        file = io.BytesIO()
        image.save(file, "PNG")
        return file.getvalue()

    load(data)
    expect(tab.page.locator(".cp-notices")).to_contain_text("The mask is selected.")
    assert tab.area == area
    load(made(Image.open(io.BytesIO(data)).resize((SIZE[0] // 2, SIZE[1] // 2))))
    expect(tab.page.locator(".cp-notices")).to_contain_text("The mask was scaled from 240 × 160 to 480 × 320.")
    assert abs(tab.area / area - 1) < 0.05
    load(made(Image.new("L", (50, 90), 255)))
    expect(tab.page.get_by_role("alert")).to_contain_text("The mask is 50 × 90, the picture 480 × 320.")
    tab.key("Escape")
    drop = """([bytes, share]) => {
        const transfer = new DataTransfer(), stage = document.querySelector('.cp-stage');
        const {left, top, height} = stage.getBoundingClientRect(), at = {clientX: left + 50, clientY: top + share * height};
        transfer.items.add(new File([new Uint8Array(bytes)], 'dropped.png', {type: 'image/png'}));
        stage.dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true, ...at}));
    }"""
    tab.page.evaluate(drop, [list(made(Image.new("L", SIZE, 255))), 0.9])
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.selection?.area === 480 * 320")
    tab.idle()
    assert tab.js("e.state.name") == "meadow.png"


def test_the_expanded_canvas_is_dragged_and_the_fields_follow(tab: Visit) -> None:
    turn_to(tab, "Expand")
    fields = [tab.page.locator(f"#clickpaint_expand_{side} input[type=number]") for side in ("left", "top", "right", "bottom")]
    right = tab.page.get_by_role("slider", name="Expand, Right side")
    right.focus()
    right.press("Shift+ArrowRight")
    right.press("ArrowLeft")
    expect(fields[2]).to_have_value("56")
    place = tab.page.get_by_role("button", name="Expand, Top left corner").bounding_box()
    assert place is not None
    x, y = place["x"] + place["width"] / 2, place["y"] + place["height"] / 2
    scale = tab.js("c.view.scale")
    tab.page.mouse.move(x, y)
    tab.page.mouse.down()
    tab.page.mouse.move(x - 30 * scale, y - 21 * scale, steps=3)
    tab.page.mouse.up()
    expect(fields[0]).to_have_value("32")
    expect(fields[1]).to_have_value("24")
    tab.idle()
    assert tab.js("w.diffusion.margins") == [32, 24, 56, 0]


def test_the_menu_is_worked_by_keys(tab: Visit) -> None:
    button = tab.page.get_by_role("button", name="Cut out, and masks")
    button.focus()
    button.press("Enter")
    focused = "() => document.activeElement.textContent"
    assert tab.page.evaluate(focused) == "Load a mask …", "without a selection there is nothing to cut out"
    tab.page.keyboard.press("Escape")
    assert button.evaluate("(button) => document.activeElement === button && button.ariaExpanded === 'false'")
    tab.click(*BALL)
    button.focus()
    button.press("ArrowDown")
    tab.page.keyboard.press("ArrowUp")
    assert tab.page.evaluate(focused) == "Load a mask …"
