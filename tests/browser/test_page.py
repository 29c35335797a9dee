"""The page in real Chromium against a real server: everything that a user does there."""

from __future__ import annotations

import contextlib
import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.browser.conftest import BALL, BALL_RADIUS, LOOK, SIZE, expect, photograph
from tests.browser.test_painting import turn_to
from tests.toys.text import GROUND, LEVEL, sign

DISK = np.pi * BALL_RADIUS**2


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def test_the_whole_job(visit: Any, photo: bytes, tmp_path: Path) -> None:
    tab = visit()
    tab.open(photo)
    assert tab.pixel("overlay", *BALL)[3] == 0
    before = tab.pixel("picture", *BALL)

    tab.click(*BALL)
    assert abs(tab.area / DISK - 1) < 0.15
    assert tab.pixel("overlay", BALL[0] + 20, BALL[1] + 20)[3] > 60, "the mask is not drawn"
    assert tab.pixel("overlay", 40, 40)[3] == 0
    tab.page.screenshot(path=tmp_path / "selected.png")
    mask = Image.open(io.BytesIO(tab.fetch("mask"))).convert("L")

    tab.page.locator("#clickpaint_remove").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    tab.idle()
    removed = tab.pixel("picture", *BALL)
    assert before[0] - removed[0] > 40, "the ball is still there"

    tab.stage.hover()
    tab.page.keyboard.down("Tab")
    tab.idle()
    assert tab.pixel("picture", *BALL) == before
    tab.page.keyboard.up("Tab")
    tab.idle()
    assert tab.pixel("picture", *BALL) == removed
    tab.page.get_by_role("button", name="Compare with the original").click()
    tab.idle()
    expect(tab.page.locator(".cp-knob")).to_be_visible()
    knob = tab.page.locator(".cp-knob")
    knob.focus()
    for key in ("End", "Home"):
        knob.press(key)
        tab.idle()
        assert tab.pixel("picture", *BALL) == (before if key == "End" else removed)
    tab.page.get_by_role("button", name="Compare with the original").click()

    tab.key("Control+z")
    assert tab.pixel("picture", *BALL) == before
    assert tab.area > 0 and tab.js("e.state.prompts.points.length") == 1, "undo brings mask and click back"
    tab.key("Control+Shift+Z")
    assert tab.pixel("picture", *BALL) == removed

    with tab.page.expect_download() as download:
        tab.page.locator("#clickpaint_save").click()
    assert download.value.suggested_filename == "meadow.png"
    saved, original = pixels(Path(download.value.path()).read_bytes()), pixels(photo)
    hole = np.asarray(mask.filter(ImageFilter.MaxFilter(2 * (8 + 4) + 1))) > 0
    assert np.array_equal(saved[~hole], original[~hole])
    inside = np.asarray(mask) > 0
    assert np.abs(saved[inside].astype(int) - original[inside]).mean() > 20

    tab.page.locator("#clickpaint_results").get_by_text("Results").first.click()
    with tab.page.expect_download() as whole:
        tab.page.locator("#clickpaint_gallery button").click()
    assert whole.value.suggested_filename == "meadow.png"
    assert Path(whole.value.path()).read_bytes() == Path(download.value.path()).read_bytes(), "the file itself, not the small copy"


def test_negative_clicks_another_object_and_candidates(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    tab.click(*BALL)
    ball = tab.area
    tab.page.keyboard.down("Shift")
    tab.click(60, 300)
    tab.page.keyboard.up("Shift")
    assert tab.area > ball
    tab.key("Control+z")
    assert tab.area == ball
    tab.click(30, 30, button="right")
    assert [point["label"] for point in tab.js("e.state.prompts.points")] == [1, 0]
    candidates = tab.page.locator(".cp-candidate")
    if candidates.count() > 1:
        areas = tab.js("e.state.prompts.candidates.map((one) => one.area)")
        candidates.nth(1).click()
        tab.idle()
        assert tab.area == areas[1]
    tab.key("i")
    assert tab.area > SIZE[0] * SIZE[1] / 2
    tab.key("Escape")
    assert tab.area == 0
    expect(tab.page.locator(".cp-selection")).to_be_hidden()


def test_box_lasso_brush_and_eraser(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    x, y = BALL
    tab.key("r")
    tab.drag((x - 60, y - 60), (x + 60, y + 60))
    assert abs(tab.area / DISK - 1) < 0.15

    tab.key("l")
    tab.drag((50, 50), (150, 50), (150, 150), (50, 150), (50, 52))
    assert abs(tab.area / 100**2 - 1) < 0.05, "a new lasso replaces"
    tab.page.keyboard.down("Shift")
    tab.drag((200, 50), (250, 50), (250, 100), (200, 100), (200, 52))
    tab.page.keyboard.up("Shift")
    assert abs(tab.area / (100**2 + 50**2) - 1) < 0.05, "Shift adds"

    tab.key("Escape")
    tab.key("b")
    tab.js("e.setRadius(10)")
    tab.drag((100, 200), (200, 200))
    painted = tab.area
    assert abs(painted / (100 * 20 + np.pi * 100) - 1) < 0.08
    assert tab.pixel("overlay", 150, 195)[3] > 60
    tab.key("e")
    tab.drag((150, 180), (150, 220))
    assert abs((painted - tab.area) / 400 - 1) < 0.25
    tab.key("[")
    assert tab.js("e.radius") < 10


def test_keyboard_alone(visit: Any, photo: bytes) -> None:
    tab = visit()
    for _ in range(30):
        tab.page.keyboard.press("Tab")
        if tab.page.evaluate("() => document.activeElement.classList.contains('cp-sample')"):
            break
    else:
        pytest.fail("the samples cannot be reached by the Tab key")
    tab.page.keyboard.press("Enter")
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    assert tab.page.evaluate("() => document.activeElement.className") == "cp-stage", "whoever opened it by keyboard goes on there"
    tab.open(photo)

    tab.stage.focus()
    tab.key("ArrowRight")
    x, y = tab.js("[e.crosshair.x, e.crosshair.y]")
    assert (x, y) == (SIZE[0] // 2, SIZE[1] // 2)
    while tab.js("e.crosshair.x") < BALL[0]:
        tab.key("Shift+ArrowRight")
    tab.key("ArrowDown")
    tab.key("Enter")
    assert abs(tab.area / DISK - 1) < 0.15
    tab.key("Delete")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    tab.key("?")
    expect(tab.page.get_by_role("dialog", name="Keyboard and mouse")).to_be_visible()
    tab.page.keyboard.press("Escape")
    expect(tab.page.get_by_role("dialog")).to_be_hidden()
    tab.page.keyboard.press("Tab")
    assert tab.page.evaluate("() => document.activeElement.closest('.cp-bar, .cp-compare') !== null"), "Tab leaves the canvas"


def test_touch_and_a_narrow_window(visit: Any, photo: bytes, tmp_path: Path) -> None:
    tab = visit(viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    tab.open(photo)
    tab.page.touchscreen.tap(*tab.at(*BALL))
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.selection")
    tab.idle()
    assert abs(tab.area / DISK - 1) < 0.15
    tab.page.screenshot(path=tmp_path / "narrow.png")
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    for bar in tab.page.locator(".cp-bar:visible").all():
        box = bar.bounding_box()
        assert box["x"] >= 0 and box["x"] + box["width"] <= 390

    scale = tab.js("c.view.scale")
    session = tab.page.context.new_cdp_session(tab.page)
    x, y = tab.at(*BALL)

    def touch(kind: str, gap: int) -> None:
        points = [{"x": x - gap, "y": y, "id": 0}, {"x": x + gap, "y": y, "id": 1}] if gap else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    touch("touchStart", 20)
    for gap in (30, 45, 60):
        touch("touchMove", gap)
    touch("touchEnd", 0)
    tab.idle()
    assert 2 < tab.js("c.view.scale") / scale < 4
    assert tab.js("e.state.prompts.points.length") == 1, "a pinch is no click"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_colours_follow_the_theme(visit: Any, photo: bytes, tmp_path: Path, scheme: str) -> None:
    tab = visit(color_scheme=scheme, viewport={"width": 1440, "height": 900})
    tab.open(photo)
    tab.click(*BALL)
    tab.page.screenshot(path=tmp_path / f"{scheme}.png")
    read = "(name) => getComputedStyle(document.querySelector('.cp-status .cp-engines'))[name].match(/[\\d.]+/g).slice(0, 3).map(Number)"
    text = np.mean(tab.page.evaluate(f"() => ({read})('color')"))
    body = tab.page.evaluate("() => getComputedStyle(document.body).backgroundColor.match(/[\\d.]+/g).slice(0, 3).map(Number)")
    assert abs(text - np.mean(body)) > 150, "text cannot be read on its background"
    assert (text > 128) == (scheme == "dark")
    assert tab.page.evaluate("() => document.documentElement.scrollHeight <= innerHeight + 4"), "the page scrolls at 1440 × 900"


def test_zoom_and_pan(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    x, y = (round(value) for value in tab.at(*BALL))  # mouse events have whole pixels
    tab.page.mouse.move(x, y)
    under = f"(r => Object.values(c.view.toPicture({x} - r.left - 1, {y} - r.top - 1)))(c.stage.getBoundingClientRect())"
    held = tab.js(under)
    for _ in range(4):
        tab.page.mouse.wheel(0, -200)
    tab.idle()
    assert tab.js("c.view.scale") > 3
    assert np.allclose(tab.js(under), held)
    before = tab.at(*BALL)
    tab.page.keyboard.down("Space")
    tab.page.mouse.down()
    tab.page.mouse.move(x + 60, y - 30)
    tab.page.mouse.up()
    tab.page.keyboard.up("Space")
    tab.idle()
    assert np.allclose(tab.at(*BALL), (before[0] + 60, before[1] - 30))
    assert tab.area == 0, "panning is no click"
    tab.key("0")
    assert tab.js("c.view.fitted")


def transfer(tab: Any, data: bytes, name: str, event: str) -> None:
    """Drop or paste a file, as the browser would report it."""
    script = """([bytes, name, kind]) => {
        const transfer = new DataTransfer();
        transfer.items.add(new File([new Uint8Array(bytes)], name, {type: name.endsWith('txt') ? 'text/plain' : 'image/png'}));
        const target = document.querySelector('.cp-stage'), bubbles = true;
        if (kind === 'paste') document.body.dispatchEvent(new ClipboardEvent('paste', {clipboardData: transfer, bubbles}));
        for (const type of kind === 'drop' ? ['dragenter', 'dragover', 'drop'] : [])
            target.dispatchEvent(new DragEvent(type, {dataTransfer: transfer, bubbles}));
    }"""
    tab.page.evaluate(script, [list(data), name, event])
    if not name.endswith("txt"):
        tab.page.wait_for_function("(name) => document.querySelector('clickpaint-canvas').workbench.editor.state.name === name", arg=name)
    tab.idle()


def test_drop_paste_and_copy(visit: Any, photo: bytes) -> None:
    tab = visit(permissions=["clipboard-read", "clipboard-write"])
    transfer(tab, photo, "dropped.png", "drop")
    assert tab.js("e.state.name") == "dropped.png"
    transfer(tab, photograph((120, 120)), "pasted.png", "paste")
    assert tab.js("e.state.name") == "pasted.png"
    assert tab.js("e.size.width") == SIZE[0]
    transfer(tab, b"hello", "letter.txt", "drop")
    expect(tab.page.get_by_role("alert")).to_contain_text("no picture")
    assert tab.js("e.state.name") == "pasted.png"

    tab.page.get_by_role("button", name="Copy the result").click()
    tab.page.get_by_text("Copied.").wait_for()
    size = tab.page.evaluate("""async () => {
        const [item] = await navigator.clipboard.read();
        const picture = await createImageBitmap(await item.getType('image/png'));
        return [picture.width, picture.height];
    }""")
    assert tuple(size) == SIZE


def test_errors_say_what_to_do(visit: Any) -> None:
    tab = visit(expected="status of 4")
    tab.page.locator(".cp-file").set_input_files({"name": "broken.png", "mimeType": "image/png", "buffer": photograph()[:2000]})
    alert = tab.page.get_by_role("alert")
    alert.wait_for()
    assert len(alert.locator("strong").inner_text()) > 10
    expect(tab.page.locator(".cp-welcome"), "the page is as it was").to_be_visible()
    alert.get_by_role("button", name="Close").click()
    expect(alert).to_have_count(0)
    tab.open(photograph())
    tab.page.locator("#clickpaint_remove").click()
    expect(tab.page.get_by_role("alert")).to_contain_text("Click on an object first")


def test_a_lost_server_is_told(visit: Any, photo: bytes) -> None:
    tab = visit(expected="ERR_FAILED")
    tab.open(photo)
    tab.page.route("**/select", lambda route: route.abort())
    tab.click(*BALL)
    expect(tab.page.get_by_role("alert")).to_contain_text("does not answer")
    tab.page.unroute("**/select")
    tab.click(*BALL)
    assert tab.area > 0, "the next click works again"


def test_two_tabs_never_mix(visit: Any) -> None:
    one, other = visit(), visit()
    one.open(photograph((120, 160), seed=1), "one.png")
    other.open(photograph((360, 160), "#2244cc", seed=2), "other.png")
    one.click(120, 160)
    other.click(360, 160)
    assert one.js("e.id") != other.js("e.id")
    assert one.js("e.state.selection.box[2]") < 240 < other.js("e.state.selection.box[0]")
    one.key("Delete")
    one.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    assert other.js("e.state.version") == 0
    assert np.array_equal(pixels(other.fetch("image")), pixels(photograph((360, 160), "#2244cc", seed=2)))
    other.key("Control+z")
    assert other.area == 0 and one.js("e.state.version") == 1


def test_preview_under_the_pointer(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    tab.js("void (e.clickMilliseconds = 1)")
    tab.page.mouse.move(*tab.at(BALL[0] + 4, BALL[1]))
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.previews.layer")
    assert tab.area == 0 and not tab.js("e.state.canUndo"), "a preview changes nothing"
    tab.page.locator("#clickpaint_preview input").uncheck()
    tab.page.mouse.move(*tab.at(BALL[0] - 4, BALL[1]))
    tab.idle()
    assert tab.js("w.previews.layer === null && e.options.preview === false")


def test_everything_can_be_clicked(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    tab.key("a")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.regions")
    tab.idle()
    assert tab.pixel("overlay", 60, 60)[3] > 0, "the overview is not drawn"
    index = tab.js(f"e.regions.labels.data[{BALL[1]} * e.regions.labels.width + {BALL[0]}]")
    assert index > 0
    expected = tab.js(f"e.regions.list[{index - 1}].area")
    tab.click(*BALL)
    assert tab.area == expected
    tab.key("Escape")
    assert tab.js("e.regions === null") and tab.area == expected


def test_long_work_shows_progress_and_stops(visit: Any) -> None:
    tab = visit(expected="status of 409")
    large = io.BytesIO()
    Image.open(io.BytesIO(photograph())).resize((1920, 1280)).save(large, "PNG", compress_level=1)
    tab.open(large.getvalue())
    tab.key("l")
    tab.drag((200, 200), (1700, 200), (1700, 1100), (200, 1100), (200, 210))
    area = tab.area
    tab.page.locator("#clickpaint_remove").click()
    tab.page.locator(".cp-progress").wait_for()
    expect(tab.page.locator(".cp-progress")).to_contain_text("Removing")
    tab.page.get_by_role("button", name="Stop").click()
    tab.page.get_by_text("Stopped. Nothing was changed.").wait_for()
    tab.idle()
    assert tab.area == area and tab.js("e.state.version") == 0
    tab.page.locator(".cp-progress").wait_for(state="hidden")


def test_formats(visit: Any, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    expect(tab.page.locator("#clickpaint_quality")).to_be_hidden()
    tab.page.locator("#clickpaint_format input").click()
    tab.page.get_by_role("option", name="JPEG").click()
    tab.page.locator("#clickpaint_quality").wait_for()
    with tab.page.expect_download() as download:
        tab.page.get_by_role("button", name="Save", exact=True).first.click()
    assert download.value.suggested_filename == "meadow.jpg"
    with Image.open(download.value.path()) as saved:
        assert saved.format == "JPEG"


CLOSED_LISTS = """() => {
    const {get} = Object.getOwnPropertyDescriptor(HTMLInputElement.prototype, 'value');
    return [...document.querySelectorAll('input[role=combobox], input[role=listbox]')].map((input) => get.call(input));
}"""
"""What is seen in the lists, whatever their inputs say to scripts."""


def test_chinese(visit: Any, photo: bytes, tmp_path: Path) -> None:
    tab = visit(locale="zh-CN")
    tab.open(photo)
    tab.page.locator("#clickpaint_remove", has_text="移除").wait_for()
    tab.page.screenshot(path=tmp_path / "chinese.png")
    expect(tab.page.get_by_role("button", name="撤销")).to_have_count(1)
    visible = tab.page.locator("body").inner_text()
    assert "预览指针处的物体" in visible
    for english in ("Remove with", "Save as", "Results", "Nothing selected", "New"):
        assert english not in visible
    tab.page.locator("#clickpaint_eraser input").click()
    tab.page.get_by_role("option", name="自动").click()
    tab.page.wait_for_function(f"() => ({CLOSED_LISTS})().includes('自动')")
    grain = tab.page.locator("#clickpaint_grain")
    expect(grain, "automatic is the classic eraser here").to_contain_text("颗粒")
    expect(grain).to_be_visible()
    tab.page.locator("#clickpaint_eraser input").click()
    tab.page.get_by_role("option", name="OpenCV Telea").click()
    expect(grain).to_be_hidden()
    assert "Automatic" not in tab.page.evaluate(CLOSED_LISTS)


def test_models_are_offered(visit: Any) -> None:
    tab = visit()
    offer = tab.page.locator(".cp-offer")
    expect(offer).to_contain_text("MobileSAM + MI-GAN")
    expect(offer.get_by_role("button", name="Better selections and removals: 69 MB")).to_be_visible()
    tab.page.locator("#clickpaint_models").get_by_text("Models").first.click()
    rows = tab.page.locator("#clickpaint_models clickpaint-models li")
    rows.first.wait_for()
    row = rows.filter(has_text="MobileSAM")
    expect(row).to_contain_text("Apache")
    expect(row.get_by_role("button", name="Download")).to_be_visible()


def test_a_download_shows_bytes_and_time(visit: Any) -> None:
    """The server's part is played here: what the page asks, and what it makes of the answers."""
    tab = visit()
    task: dict[str, Any] = {
        "id": "t", "kind": "download", "workspace": None, "subject": "mobile_sam", "state": "running", "text": "", "fraction": 0.25,
        "done": 10_000_000, "total": 40_000_000, "unit": "B", "seconds_left": 12.0, "queue_position": None,
    }  # fmt: skip
    asked: list[str] = []

    def started(route: Any) -> None:
        asked.append(route.request.url)
        route.fulfill(status=202, json={"task": task})

    tab.page.route("**/models/*/download", started)
    tab.page.route("**/progress*", lambda route: route.fulfill(json={"tasks": [task] if asked else []}))
    offer = tab.page.locator(".cp-offer")
    offer.get_by_role("button", name="69 MB").click()
    offer.get_by_text("10 MB / 69 MB").wait_for()
    assert sorted(url.split("/")[-2] for url in asked) == ["migan", "mobile_sam"]
    expect(offer).to_contain_text("12 s left")
    expect(offer.get_by_role("button", name="69 MB")).to_be_hidden()
    task |= {"state": "failed", "text": "The download broke off."}
    tab.page.get_by_role("alert").get_by_text("The download broke off.").wait_for()
    expect(offer.get_by_role("button", name="69 MB"), "it can be tried again").to_be_visible()


def test_models_are_managed_in_one_place(visit: Any, data_folder: Path) -> None:
    """What there is and what it takes; a file put into its folder is found without a reload, checked, and deleted by a second press."""
    tab = visit()
    tab.page.locator("#clickpaint_models").get_by_text("Models").first.click()
    manager = tab.page.locator("clickpaint-model-manager")
    manager.locator(".cp-manager-top").scroll_into_view_if_needed()
    expect(manager.locator("h2").first, "checkpoints come first").to_have_text("Painting")
    expect(manager.locator(".cp-usage")).to_contain_text("On the disk: 0 kB")
    row = manager.locator("li").filter(has_text="MI-GAN")
    expect(row.get_by_role("button", name="Delete")).to_have_count(0)

    file = data_folder / "models" / "lama" / "migan_pipeline_v2.onnx"
    file.parent.mkdir(parents=True)
    own = data_folder / "models" / "VAE" / "soft.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(bytes(2_000_000))
    with file.open("wb") as sparse:
        sparse.truncate(28_079_181)
    tab.page.evaluate("() => window.dispatchEvent(new Event('focus'))")
    expect(row.get_by_role("button", name="Delete")).to_be_visible()
    expect(manager.locator(".cp-usage")).to_contain_text("On the disk: 28 MB")
    expect(manager.locator(".cp-own")).to_contain_text("soft.safetensors")
    expect(tab.page.locator(".cp-offer").get_by_role("button", name="Better selections: 41 MB")).to_be_visible()
    row.get_by_role("button", name="Delete MI-GAN").click()
    assert file.exists()
    row.get_by_role("button", name="Really delete MI-GAN").click()
    expect(row.get_by_role("button", name="Delete")).to_have_count(0)
    assert not file.exists() and own.exists()
    own.unlink()

    with file.open("wb") as sparse:
        sparse.truncate(28_079_181)
    manager.get_by_role("button", name="Refresh").click()
    row.get_by_role("button", name="Check MI-GAN").click()
    tab.page.get_by_role("alert").get_by_text("MI-GAN is not what the catalog promises").wait_for()
    assert not file.exists(), "it was set aside"


def test_text_is_selected_line_by_line_and_removed(visit: Any) -> None:
    pytest.importorskip("rapidocr")
    file = io.BytesIO()
    Image.fromarray(sign()).save(file, "PNG")
    tab = visit()
    tab.open(file.getvalue(), "sign.png")
    tab.page.get_by_role("button", name="Select text").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.regions")
    both = tab.area
    tab.click(LEVEL[0] + 20, LEVEL[1] + 12)
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.selection.area < {both}")
    tab.page.locator(".cp-selection").get_by_role("button", name="Remove").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    now = np.asarray(Image.open(io.BytesIO(tab.fetch("image?version=1")))).astype(int)
    changed = (now != sign()).any(axis=2)
    assert changed[LEVEL[1] : LEVEL[3], LEVEL[0] : LEVEL[2]].any() and not changed[130:].any(), "the other line stays"
    assert np.abs(now[: LEVEL[3] + 10] - GROUND).max() <= 12
    assert tab.js("e.regions") is None


def test_while_a_picture_opens_nothing_is_asked_about_the_one_before(visit: Any, photo: bytes) -> None:
    tab = visit(alone=True)
    tab.page.clock.install()
    tab.open(photo)
    before, asked, uploads = tab.js("e.id"), [], []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.route("**/v1/workspaces", lambda route: uploads.append(route))
    tab.page.locator(".cp-file").set_input_files({"name": "next.png", "mimeType": "image/png", "buffer": photo})
    expect(tab.page.locator(".cp-progress")).to_contain_text("Opening")
    asked.clear()  # those of before: the first picture was still being encoded
    tab.page.clock.fast_forward(5000)
    tab.page.evaluate("() => new Promise(requestAnimationFrame)")
    assert not [url for url in asked if "/progress" in url], "its answer may be that there is no such picture any more"
    uploads[0].continue_()
    tab.page.wait_for_function("(before) => document.querySelector('clickpaint-canvas').editor.id !== before", arg=before)
    tab.idle()


def test_a_canvas_that_appears_may_be_drawn_before_it_is_measured(visit: Any) -> None:
    """As in a web UI, whose tab is hidden at first; a fault in it fails the visit."""
    script = """() => new Promise((done) => {
        const hidden = document.createElement("div"), canvas = document.createElement("clickpaint-canvas");
        hidden.hidden = true;
        hidden.append(canvas);
        document.body.append(hidden);
        const look = () => {
            if (!canvas.colours) return requestAnimationFrame(look);
            done([canvas.stage.clientWidth > 0, canvas.colours.tint]);
            hidden.remove();
        };
        requestAnimationFrame(() => {
            requestAnimationFrame(() => (hidden.hidden = false));
            canvas.editor.pending.push({x: 1, y: 1, label: 1, pending: true}); // drawn in one of the colours
            canvas.editor.redraw();
            look();
        });
    })"""
    shown, tint = visit().page.evaluate(script)
    assert shown and tint


def test_the_modules_do_the_same_one_by_one(visit: Any, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """All other tests run on the modules as one script."""
    together = visit()
    scripts = "() => performance.getEntriesByType('resource').map(({name}) => name).filter((name) => name.includes('clickpaint/static'))"
    assert len([name for name in together.page.evaluate(scripts) if ".mjs" in name]) == 1
    monkeypatch.setenv("CLICKPAINT_MODULES", "1")
    apart = visit()
    assert len([name for name in apart.page.evaluate(scripts) if ".mjs" in name]) > 50
    shown = []
    for tab in (together, apart):
        tab.open(photo)
        tab.click(*BALL)
        shown.append((tab.area, tab.page.locator("clickpaint-canvas").inner_text()))
    assert shown[0] == shown[1] and abs(shown[0][0] / DISK - 1) < 0.15


COUNT_FRAMES = """{
    const {requestAnimationFrame} = window;
    window.asked = 0;
    window.requestAnimationFrame = (callback) => (window.asked++, requestAnimationFrame.call(window, callback));
}"""
"""How many frames were asked for since the page began to load."""

NOBODY_ELSE = """() => new Promise((done) => {
    const before = window.asked;
    let left = 10;
    const next = () => (--left ? requestAnimationFrame(next) : done(window.asked - before < 10));
    requestAnimationFrame(next);
})"""
"""Whether ten frames went by of which no other script asked for one."""


def test_the_canvas_is_usable_before_gradio_has_come_and_then_all_rests(visit: Any, photo: bytes) -> None:
    tab = visit(alone=True)
    tab.page.context.add_init_script(COUNT_FRAMES)
    held: list[Any] | None = []
    tab.page.route("**/assets/*.js", lambda route: route.continue_() if held is None else held.append(route))
    tab.page.reload()
    tab.page.wait_for_selector(".cp-sample")
    tab.open(photo)
    tab.click(*BALL)
    assert tab.area and not tab.page.locator("#clickpaint_remove").count()
    routes, held = held, None
    for route in routes:
        route.continue_()
    expect(tab.page.locator("#clickpaint_remove"), "it knows that something is selected").not_to_have_class("cp-idle")
    tab.page.locator("#clickpaint_remove").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    tab.page.wait_for_function(NOBODY_ELSE)  # Gradio, too, which would count on for ever how long it has been loading


SKELETON = """() => [...document.body.querySelectorAll(':not(script, style, option, .cp-past-text span)')].map((one) => {
    const text = [...one.childNodes].map((child) => child.data?.trim() ?? '').join('');
    return [one.localName, ...one.classList, one.hidden, one.value, one.checked, one.disabled, one.ariaPressed, text].join(' ');
})"""
"""All that the page has, but for how many minutes ago a picture was open."""

ALL_THERE = """async () => {
    await document.querySelector('clickpaint-canvas').started;
    await Promise.all([...document.images].map((one) => one.decode().catch(() => {})));
}"""


def test_a_page_made_anew_is_as_one_loaded_anew(visit: Any, windows: Any) -> None:
    """What nearly every test begins with, whatever the one before left."""
    from playwright.sync_api import TimeoutError

    tab = visit()
    window = next(one for one in itertools.chain(*windows.values()) if one.page is tab.page)
    window.load(LOOK)
    tab.page.wait_for_load_state("networkidle")
    tab.page.evaluate(ALL_THERE)
    loaded = tab.page.evaluate(SKELETON)
    for name in ("Fill", "Expand"):
        turn_to(tab, name)
        tab.page.locator(f"#clickpaint_{name.lower()}_prompt textarea").fill("a kite")
    tab.page.locator("#clickpaint_maps").get_by_text("Control map", exact=True).click()
    tab.page.wait_for_selector("clickpaint-maps .cp-make")
    tab.js("(c.toasts.bad('Something is wrong.'), e.setRadius(99), e.setOption('grow', 7), c.actions.help())")
    tab.page.evaluate("() => { document.body.classList.add('dark'); localStorage.left = 'here' }")
    assert tab.page.evaluate(SKELETON) != loaded
    window.end()
    tab.page.evaluate("() => document.body.classList.remove('dark')")
    assert window.remade()
    with contextlib.suppress(TimeoutError):
        tab.page.wait_for_function(f"(loaded) => `${{({SKELETON})()}}` === `${{loaded}}`", arg=loaded)
    assert tab.page.evaluate(SKELETON) == loaded
    tab.page.evaluate("() => document.body.append(document.createElement('p'))")
    assert not window.remade(), "what it cannot undo is seen"
