"""The panel of control maps, in real Chromium, with the preprocessors that need no weights."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import BALL, SIZE, Visit, expect, serving
from tests.browser.test_painting import SlowHost, painted, start, turn_to

WAVING = ((240, 60), (240, 100), (210, 100), (190, 140), (180, 180), (270, 100), (290, 140), (300, 180), (220, 180), (220, 230), (220, 280),
          (260, 180), (260, 230), (260, 280), (234, 54), (246, 54), (226, 58), (254, 58))  # fmt: skip


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> SlowHost:
    host = SlowHost(tmp_path_factory.mktemp("control"))
    host.controls = (["none", "canny"], ["None", "control_openpose [1]", "control_v11p_sd15_canny [2]"])
    return host


@pytest.fixture(scope="module")
def address(host: SlowHost) -> Iterator[str]:
    from clickpaint.studio.studio import Studio

    with serving(Studio(host)) as address:
        yield address


@pytest.fixture
def tab(visit: Callable[..., Visit], photo: bytes, host: SlowHost) -> Visit:
    host.jobs.clear()
    return unfolded(visit(), photo)


def unfolded(tab: Visit, photo: bytes) -> Visit:
    """The tab with a picture and the panel open."""
    tab.open(photo)
    tab.page.locator("#clickpaint_maps").get_by_text("Control map", exact=True).click()
    tab.page.wait_for_selector("clickpaint-maps .cp-make")
    return tab


def press(tab: Visit, name: str) -> None:
    tab.page.locator("clickpaint-maps").get_by_role("button", name=name).click()


def made(tab: Visit, map: int) -> np.ndarray:
    """The map of that number, once the panel shows it."""
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-maps').view.made?.map === '{map}'")
    tab.idle()
    return np.asarray(Image.open(io.BytesIO(tab.fetch(f"control/{map}"))))


def slide(tab: Visit, label: str, value: float) -> None:
    """As a slider that is let go."""
    script = """(slider, value) => {
        slider.value = value;
        for (const name of ['input', 'change']) slider.dispatchEvent(new Event(name, {bubbles: true}));
    }"""
    tab.page.locator("clickpaint-maps").get_by_label(label).first.evaluate(script, value)


def picked(tab: Visit, x: float, y: float) -> str:
    """The colour that a click on the map in the panel gives."""
    picture = tab.page.locator(".cp-map")
    box = picture.bounding_box()
    assert box is not None
    picture.click(position={"x": x / SIZE[0] * box["width"], "y": y / SIZE[1] * box["height"]})
    return tab.page.locator("clickpaint-maps").get_by_label("Colour").input_value()


def test_a_map_is_made_follows_its_sliders_and_becomes_a_result(tab: Visit) -> None:
    before = tab.pixel("picture", *BALL)
    press(tab, "Make map")
    first = made(tab, 1)
    assert first.max() == 255
    assert tab.pixel("overlay", *BALL) == [0, 0, 0, 179], "the map lies over the picture"
    slide(tab, "Over picture", 0.4)
    tab.idle()
    assert tab.pixel("overlay", *BALL)[3] == 102
    slide(tab, "High Threshold", 20)
    slide(tab, "Low Threshold", 20)
    tab.page.wait_for_function("() => document.querySelector('clickpaint-maps').view.made.body.layers[0].values.low === 20")
    assert made(tab, tab.js("Number(document.querySelector('clickpaint-maps').view.made.map)")).sum() > 2 * first.sum(), (
        "the last values count"
    )
    slide(tab, "Over picture", 1)
    press(tab, "Keep as result")
    painted(tab, 1)
    assert len({*tab.pixel("picture", *BALL)[:3]}) == 1 and tab.pixel("overlay", *BALL)[3] == 0
    tab.stage.focus()
    tab.key("Control+z")
    assert tab.pixel("picture", *BALL) == before
    assert tab.pixel("overlay", *BALL)[3] == 255, "it is a map of this version"


def test_the_object_alone_and_two_maps_in_one(visit: Callable[..., Visit], photo: bytes) -> None:
    tab = unfolded(visit(expected="422"), photo)
    page, panel = tab.page, tab.page.locator("clickpaint-maps")
    panel.get_by_label("Selected object only").check()
    press(tab, "Make map")
    page.get_by_text("Nothing is selected.").wait_for()
    tab.click(*BALL)
    panel.get_by_label("Preprocessor").first.select_option("threshold")
    slide(tab, "Binarization Threshold", 0)
    press(tab, "Make map")
    control_map = made(tab, 1)
    scale = control_map.shape[0] / SIZE[1]
    assert control_map[int(BALL[1] * scale), int(BALL[0] * scale)].min() == 255 and control_map[10, 10].max() == 0
    panel.get_by_label("Around it").select_option("kept")
    assert made(tab, 2)[10, 10].max() > 100, "the picture"
    panel.get_by_label("Blend with a second map").check()
    made(tab, 3)
    panel.get_by_label("Preprocessor").nth(1).select_option("invert")
    panel.locator("[name=blend]").select_option("average")
    control_map = made(tab, 4)
    assert 100 < control_map[int(BALL[1] * scale), int(BALL[0] * scale)].max() < 255
    expect(page.locator(".cp-map")).to_have_attribute("aria-label", re.compile("^Map of threshold \\+ invert"))


def test_a_selection_is_made_of_a_map(tab: Visit) -> None:
    panel = tab.page.locator("clickpaint-maps")
    panel.get_by_label("Preprocessor").first.select_option("threshold")
    slide(tab, "Binarization Threshold", 100)
    press(tab, "Make map")
    control_map = made(tab, 1)
    assert picked(tab, 20, 20) == "#ffffff" and picked(tab, *BALL) == "#000000"
    press(tab, "Select by colour")
    tab.idle()
    dark = float((control_map == 0).all(axis=2).mean())
    assert tab.area == pytest.approx(dark * SIZE[0] * SIZE[1], rel=0.02) and dark > 0.03
    tab.page.get_by_role("button", name="Add", exact=True).click()
    press(tab, "Select by brightness")
    tab.idle()
    assert tab.area == SIZE[0] * SIZE[1], "added, as the canvas combines selections"
    tab.stage.focus()
    tab.key("Control+z")
    assert tab.area == pytest.approx(dark * SIZE[0] * SIZE[1], rel=0.02)


def test_a_fill_uses_the_map_that_is_seen(tab: Visit, host: SlowHost, photo: bytes) -> None:
    page = tab.page
    tab.click(*BALL)
    press(tab, "Make map")
    made(tab, 1)
    press(tab, "Use in this fill")
    page.get_by_text("Unit 1 works with this map and control_v11p_sd15_canny [2].").wait_for()
    slide(tab, "Low Threshold", 40)
    now = made(tab, 2)
    turn_to(tab, "Fill")
    start(tab, "fill")
    painted(tab, 1)
    (unit,) = host.jobs[0].options.control
    assert unit.model == "control_v11p_sd15_canny [2]"
    assert unit.map is not None and np.array_equal(unit.map, now), "the map as it was last seen"
    page.locator("clickpaint-control").get_by_label("Preprocessor").first.select_option("canny")
    start(tab, "fill")
    painted(tab, 2)
    (unit,) = host.jobs[-1].options.control
    assert (unit.map, unit.preprocessor, dict(unit.values), unit.resolution) == (None, "canny", {"low": 40, "high": 200}, 512)

    press(tab, "Use in this fill")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-control').hasMap")
    tab.page.locator(".cp-file").set_input_files({"name": "another.png", "mimeType": "image/png", "buffer": photo})
    tab.page.get_by_role("button", name="Open without saving").click()
    tab.page.wait_for_function("() => !document.querySelector('clickpaint-control').hasMap")
    tab.idle()
    assert tab.page.evaluate("() => document.querySelector('clickpaint-control').units()[0].preprocessor") == "canny"
    expect(page.locator(".cp-map")).to_be_hidden()


def test_the_map_is_saved_and_sent_to_a_web_uis_controlnet(tab: Visit) -> None:
    page = tab.page
    page.evaluate("""() => document.body.insertAdjacentHTML('beforeend', `<div id="img2img_controlnet">
        <div id="img2img_controlnet_ControlNet-0_controlnet_same_img2img_checkbox"><input type="checkbox"></div>
        <div id="img2img_controlnet_ControlNet-0_input_image"><input type="file"></div></div>`)""")
    press(tab, "Make map")
    control_map = made(tab, 1)
    with page.expect_download() as download:
        press(tab, "Save")
    assert download.value.suggested_filename == "meadow-canny.png"
    assert np.array_equal(np.asarray(Image.open(download.value.path())), control_map)
    press(tab, "To ControlNet (img2img)")
    page.wait_for_function("() => document.querySelector('#img2img_controlnet_ControlNet-0_input_image input').files.length === 1")
    unit = page.locator("#img2img_controlnet")
    read = "async (input) => { const {width, height} = await createImageBitmap(input.files[0]); return [width, height] }"
    size = unit.locator("input[type=file]").evaluate(read)
    assert size == [control_map.shape[1], control_map.shape[0]]
    expect(unit.locator("input[type=checkbox]"), "in img2img a picture of its own").to_be_checked()
    offers(tab, "To ControlNet (txt2img)", 0)


def offers(tab: Visit, name: str, number: int = 1) -> None:
    """The panel has so many buttons of this name, or comes to have them."""
    expect(tab.page.locator("clickpaint-maps").get_by_role("button", name=name)).to_have_count(number)


def test_what_cannot_run_says_why_and_offers_its_files(tab: Visit) -> None:
    panel = tab.page.locator("clickpaint-maps")
    panel.get_by_label("Control type").first.select_option("OpenPose")
    expect(panel.locator("[name=preprocessor]").first).to_have_value("openpose_full")
    expect(panel.locator(".cp-note:visible")).to_have_text(re.compile("^It needs the model control_openpose_body\\."))
    expect(panel.locator(".cp-make")).to_be_disabled()
    offers(tab, "Download")
    panel.get_by_label("Control type").first.select_option("Segmentation")
    option = panel.locator("[name=preprocessor]").first.locator("option[value=segmentation]")
    expect(option).to_be_disabled()
    expect(option).to_have_attribute("title", re.compile("UniFormer"))
    panel.get_by_label("Control type").first.select_option("Canny")
    expect(panel.locator(".cp-make")).to_be_enabled()
    offers(tab, "Download", 0)


def pose() -> dict[str, Any]:
    return {
        "people": [{"pose_keypoints_2d": [value for point in WAVING for value in (*point, 1)]}],
        "canvas_width": 480,
        "canvas_height": 320,
    }


def read(tab: Visit, data: bytes) -> None:
    file = {"name": "pose.json", "mimeType": "application/json", "buffer": data}
    tab.page.locator("clickpaint-maps input[type=file]").set_input_files(file)


def test_a_pose_is_read_dragged_and_saved(tab: Visit) -> None:
    page, panel = tab.page, tab.page.locator("clickpaint-maps")
    panel.get_by_label("Control type").first.select_option("OpenPose")
    read(tab, json.dumps(pose()).encode())
    control_map = made(tab, 1)
    assert control_map.shape[:2] == (320, 480) and control_map[180, 180].max() > 0 and control_map[100, 60].max() == 0
    press(tab, "Move joints")
    expect(page.get_by_text("Drag a joint.")).to_be_visible()
    tab.drag((180, 180), (120, 140), (60, 100))
    control_map = made(tab, 2)
    assert control_map[180, 180].max() == 0 and control_map[100, 60].max() > 0, "the wrist is elsewhere"
    tab.page.keyboard.press("Control+z")
    control_map = made(tab, 3)
    assert control_map[180, 180].max() > 0 and control_map[100, 60].max() == 0, "the joint is back"
    tab.page.keyboard.press("Control+y")
    control_map = made(tab, 4)
    assert control_map[180, 180].max() == 0 and control_map[100, 60].max() > 0

    tab.stage.focus()
    tab.page.evaluate("() => { const e = document.querySelector('clickpaint-canvas').editor; e.crosshair = {x: 300, y: 180} }")
    tab.key("Enter")
    for _ in range(8):
        tab.key("Shift+ArrowRight")
    tab.key("Enter")
    assert made(tab, 5)[180, 300].max() == 0, "by the keyboard too"

    tab.click(220, 280, button="right")
    control_map = made(tab, 6)
    assert control_map[284, 220].max() == 0, "a joint was taken away"
    with page.expect_download() as download:
        press(tab, "Save pose")
    saved = json.loads(Path(download.value.path()).read_text())
    joints = np.reshape(saved["people"][0]["pose_keypoints_2d"], (18, 3))
    assert np.abs(joints[4] - (60, 100, 1)).max() < 2 and joints[10].tolist() == [0, 0, 0] and joints[7, 0] > 310
    press(tab, "Move joints")
    assert tab.js("e.tool.name") == "click"
    read(tab, b"no")
    page.get_by_text("The file is no pose in JSON.").wait_for()


def test_a_map_over_the_picture_goes_by_a_button_and_by_esc_which_closes_one_thing_after_another(tab: Visit) -> None:
    tab.click(*BALL)
    press(tab, "Make map")
    made(tab, 1)
    assert tab.pixel("overlay", 10, 10)[3] == 179
    press(tab, "Take it off the picture")
    tab.idle()
    assert tab.pixel("overlay", 10, 10)[3] == 0
    press(tab, "Lay it over the picture")
    tab.idle()
    assert tab.pixel("overlay", 10, 10)[3] == 179

    tab.js("c.toasts.bad('Something is wrong.')")
    tab.page.locator(".cp-stage").focus()
    alert = tab.page.get_by_role("alert")
    for left in ([False, True, True], [False, False, True], [False, False, False]):
        tab.key("Escape")
        assert [alert.count() > 0, tab.js("w.versions.over !== null"), tab.area > 0] == left, "message, map, selection: one by one"
    expect(tab.page.locator("clickpaint-maps").get_by_role("button", name="Lay it over the picture")).to_be_visible()
