"""The page of a real A1111 and a real Forge in a real Chromium, on a toy checkpoint: what a user does there by hand.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`. Each web UI is started
once; the last test reloads its page. After each test an ordinary txt2img with a fixed seed gives the very picture it gave before.
"""

from __future__ import annotations

import io
import os
import re
import time

import numpy as np
import pytest
from PIL import Image

from clickpaint.settings import SETTINGS
from tests.browser.conftest import TYPE_AND_PRESS, expect
from tests.hosts.page import HostVisit, png
from tests.hosts.real import FOLDERS, RealHost, picture, pixels_of

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]
SIZE = 128
INSIDE, OUTSIDE = (48, 48), (100, 100)  # of the red square, x and y
UNIT = "#txt2img_controlnet_ControlNet-0"
"""The first unit of the web UI's own ControlNet."""


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, browser, tmp_path_factory):
    running = RealHost(request.param, tmp_path_factory.mktemp(request.param), "--api")
    running.generate()  # a first one may differ by a rounding from the next ones
    yield running
    running.stop()


@pytest.fixture(scope="module")
def own(host, browser):
    """What the web UI's page asks of other servers, and what goes wrong in it, without our part of it."""
    visit = HostVisit(host, browser, ours=False)
    visit.page.wait_for_timeout(5000)  # what comes late counts as well
    assert not visit.page.evaluate("() => customElements.get('clickpaint-canvas')")
    visit.close()
    return {*visit.foreign, *visit.faults}


@pytest.fixture(scope="module")
def opened(host, own, browser):
    visit = HostVisit(host, browser)
    yield visit
    visit.close()


@pytest.fixture
def tab(opened, own):
    """The page with our tab in front and the picture open. Afterwards: no fault, and no other server was asked, because of us."""
    opened.turn_to("Clickpaint")
    opened.saved()
    opened.open(png(picture(SIZE)))
    yield opened
    opened.saved()
    assert {*opened.foreign, *opened.faults} <= own


@pytest.fixture(autouse=True)
def unchanged(host):
    before = host.generate()
    yield
    assert np.array_equal(host.generate(), before), "something of the test leaked into the host"


def near(mask: np.ndarray, reach: int) -> np.ndarray:
    from clickpaint.image.mask import grow

    return grow(mask, reach)


def test_the_tab_is_there_and_a_clicked_thing_can_be_removed(tab):
    assert tab.page.locator("#tabs > .tab-nav > button").filter(has_text="Clickpaint").count() == 1
    assert tab.pixel("overlay", *INSIDE)[3] == 0
    tab.click(*INSIDE)
    mask = tab.mask()
    assert tab.area == mask.sum() and mask[36:60, 36:60].all() and mask.mean() < 0.2
    assert tab.pixel("overlay", *INSIDE)[3] > 60, "the mask is not drawn"
    assert tab.pixel("overlay", *OUTSIDE)[3] == 0

    tab.page.locator("#clickpaint_remove").click()
    after = tab.version(1)
    far = ~near(mask, 8 + 4 + 1)
    assert np.array_equal(after[far], picture(SIZE)[far])
    assert after[40:56, 40:56, 0].mean() < 190, "the red is still there"
    assert tab.pixel("picture", *INSIDE)[0] < 190, "it is removed, but not shown"


def test_fill_and_choose_the_second_result(tab):
    tab.click(*INSIDE)
    mask = tab.mask()
    tab.task("Fill")
    tab.page.locator("#clickpaint_fill_prompt textarea").fill("a red kite")
    tab.sampling(steps=4, resolution=SIZE, batch_count=2, seed=21)
    tab.page.locator("#clickpaint_fill").click()
    first = tab.version(1)
    results = tab.page.locator(".cp-thumbnail")
    assert results.count() == 2
    results.nth(1).click()
    second = tab.version(2)
    assert results.nth(1).get_attribute("aria-checked") == "true"
    assert not np.array_equal(first, second)
    far = ~near(mask, 16)  # a little more than painting takes along as a seam
    for one in (first, second):
        assert np.array_equal(one[far], picture(SIZE)[far]) and (one[mask] != picture(SIZE)[mask]).any()

    tab.page.locator("#clickpaint_send_img2img").click()
    assert np.array_equal(tab.arrived("#img2img_image img"), second)
    tab.page.wait_for_function("() => document.querySelector('#img2img_prompt textarea').value === 'a red kite'")
    tab.page.locator("#tab_img2img").wait_for()
    tab.turn_to("Clickpaint")
    tab.task("Remove")


def test_a_picture_made_here_comes_by_its_button(tab, host):
    tab.turn_to("txt2img")
    tab.page.locator("#txt2img_prompt textarea").fill("a house")
    for name, value in {"steps": 4, "width": SIZE, "height": SIZE}.items():
        tab.number(f"#txt2img_{name}", value)
    tab.page.wait_for_timeout(500)
    before = tab.js("e.id")
    tab.page.locator("#txt2img_generate").click()
    tab.page.locator("#html_info_txt2img").get_by_text("Steps: 4").wait_for()
    made = tab.arrived("#txt2img_gallery img")
    assert made.shape == (SIZE, SIZE, 3)
    tab.page.locator("#txt2img_send_to_clickpaint").click()
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.workspace?.id !== '{before}'")
    assert np.array_equal(tab.version(0), made)
    tab.page.locator("clickpaint-canvas").wait_for()


def test_sending_to_the_other_tabs(tab):
    tab.page.locator("#clickpaint_send_extras").click()
    assert np.array_equal(tab.arrived("#extras_image img"), picture(SIZE))
    tab.page.locator("#tab_extras").wait_for()

    tab.turn_to("Clickpaint")
    tab.page.locator("#clickpaint_send_inpaint").click()
    assert np.array_equal(tab.arrived("#img2maskimg img"), picture(SIZE)), "without a selection it goes where masks are drawn"
    tab.page.locator("#img2maskimg").wait_for()

    tab.turn_to("Clickpaint")
    tab.click(*INSIDE)
    tab.page.locator("#clickpaint_send_inpaint").click()
    assert np.array_equal(tab.arrived("#img_inpaint_base img"), picture(SIZE))
    assert np.array_equal(tab.arrived("#img_inpaint_mask img")[..., 0] > 127, tab.mask())
    tab.page.locator("#img_inpaint_mask").wait_for()


@pytest.mark.parametrize("masked", [False, True])
def test_prompt_and_size_go_along_to_inpaint(tab, masked):
    tab.turn_to("img2img")
    tab.page.locator("#img2img_prompt textarea").fill("what was there before")
    tab.turn_to("Clickpaint")
    if masked:
        tab.click(*INSIDE)
    tab.task("Fill")
    tab.page.locator("#clickpaint_fill_prompt textarea").fill(f"a kite, {'masked' if masked else 'whole'}")
    tab.page.locator("#clickpaint_fill_negative textarea").fill("blurry")
    tab.sampling(steps=7 + masked, cfg_scale=5 + masked, denoising=0.6 if masked else 0.5)
    tab.page.locator("#clickpaint_send_inpaint").click()
    expect(tab.page.locator("#img2img_prompt textarea")).to_have_value(f"a kite, {'masked' if masked else 'whole'}")
    expect(tab.page.locator("#img2img_neg_prompt textarea")).to_have_value("blurry")
    for name, wanted in {"width": SIZE, "height": SIZE, "steps": 7 + masked, "cfg_scale": 5 + masked}.items():
        expect(tab.page.locator(f"#img2img_{name} input[type=number]")).to_have_value(str(wanted))
    expect(tab.page.locator("#img2img_denoising_strength input[type=number]")).to_have_value("0.6" if masked else "0.5")
    place = "#img_inpaint_base" if masked else "#img2maskimg"
    assert np.array_equal(tab.arrived(f"{place} img"), picture(SIZE))
    tab.page.locator(place).wait_for()
    tab.turn_to("Clickpaint")
    tab.task("Remove")


def test_nothing_is_asked_before_the_tab_is_shown(host, browser):
    visit = HostVisit(host, browser)
    try:
        assert visit.early == []
    finally:
        visit.close()


def test_everything_fits_on_a_small_screen(tab):
    tab.page.set_viewport_size({"width": 1366, "height": 768})
    try:
        tab.click(*INSIDE)
        tab.page.wait_for_function(
            """() => ['.cp-stage', '.cp-status', '#clickpaint_send', '#clickpaint_page .cp-side'].every(
                (place) => document.querySelector(place).getBoundingClientRect().bottom <= innerHeight)"""
        )
        rows = tab.page.evaluate(
            """() => ['#clickpaint_tasks > :first-child button', '#clickpaint_send button:not(.cp-hidden)', '.cp-actions button'].map(
                (place) => new Set([...document.querySelectorAll(place)].filter((one) => one.getClientRects().length)
                    .map((one) => Math.round(one.getBoundingClientRect().top + one.getBoundingClientRect().height / 2))).size)"""
        )
        assert rows == [1, 1, 1], "a row wraps"
    finally:
        tab.page.set_viewport_size({"width": 1280, "height": 1000})


def test_the_sliders_of_repaint_are_shown_for_repaint_only(tab):
    tab.task("Fill")
    tab.unfold("#clickpaint_sampling")
    jump = tab.page.locator("#clickpaint_repaint_jump")
    tab.page.locator("#clickpaint_steps").wait_for()
    assert not jump.is_visible()
    tab.choose("#clickpaint_engine", "RePaint")
    jump.wait_for()
    tab.choose("#clickpaint_engine", "Web UI")
    jump.wait_for(state="hidden")
    tab.page.locator("#clickpaint_sampling .label-wrap").first.click()
    tab.task("Remove")


def test_the_touch_up_is_pointed_at(tab, host):
    tab.turn_to("txt2img")
    tab.page.locator("#txt2img_prompt textarea").fill("a house")
    for name, value in {"steps": 2, "width": SIZE, "height": SIZE}.items():
        tab.number(f"#txt2img_{name}", value)
    tab.page.locator("#txt2img_generate").click()
    tab.page.locator("#html_info_txt2img").get_by_text("Steps: 2").wait_for()
    tab.arrived("#txt2img_gallery img")
    picker = tab.page.locator("clickpaint-touchup[data-tab=txt2img]")
    field = tab.page.locator(f"#{picker.get_attribute('data-points')} :is(textarea, input)")
    accordion = tab.page.locator(f"#{picker.get_attribute('data-points').replace('points', 'enabled')}")
    accordion.locator(".label-wrap").first.click()
    image = picker.locator("img")
    image.wait_for()
    tab.page.wait_for_function("(image) => image.complete && image.naturalWidth > 0", arg=image.element_handle())
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    image.click(position={"x": box["width"] * 0.25, "y": box["height"] * 0.5})
    image.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.5}, button="right")
    first, second = ([float(number) for number in point.split(",")] for point in field.input_value().split("; "))
    assert np.allclose(first, (0.25, 0.5), atol=0.02) and np.allclose(second, (0.75, 0.5, 0), atol=0.02)
    assert picker.locator(".cp-pick-mark").count() == 2 and picker.locator(".cp-pick-minus").count() == 1
    image.click(position={"x": box["width"] * 0.75, "y": box["height"] * 0.5})  # its mark is taken away
    expect(picker.locator(".cp-pick-mark")).to_have_count(1)
    picker.get_by_text("No points").click()
    assert field.input_value() == ""
    accordion.locator(".label-wrap").first.click()
    tab.turn_to("Clickpaint")


def test_two_pages_at_once_never_mix(tab, host, own, browser):
    other = HostVisit(host, browser)
    try:
        other.turn_to("Clickpaint")
        darker = picture(SIZE) // 2
        other.open(png(darker))
        visits = ((tab, picture(SIZE)), (other, darker))
        masks = []
        for visit, _ in visits:
            visit.click(*INSIDE)
            masks.append(visit.mask())
        for visit, _ in visits:
            visit.page.locator("#clickpaint_remove").click()
        for (visit, pixels), mask in zip(visits, masks, strict=True):
            after, far = visit.version(1), ~near(mask, 13)
            assert np.array_equal(after[far], pixels[far]) and not np.array_equal(after, pixels)
        assert {*other.foreign, *other.faults} <= own
    finally:
        other.close()


def test_our_settings_have_a_section_and_apply(tab, host):
    tab.turn_to("Settings")
    section = tab.page.locator("#settings > .tab-nav > button").filter(has_text=re.compile(r"^\s*Clickpaint\s*$"))
    assert section.count() == 1
    section.click()
    for key, setting in SETTINGS.items():
        shown = tab.page.locator(f"#column_settings_clickpaint #setting_clickpaint_{key}").is_visible()
        assert shown is not setting.alone, key
    try:
        tab.number("#setting_clickpaint_erase_grow", 21)
        tab.page.wait_for_timeout(500)
        tab.page.locator("#settings_submit").click()
        tab.page.locator("#settings_result").get_by_text("clickpaint_erase_grow").wait_for()
        assert host.clickpaint("GET", "/capabilities")["defaults"]["grow"] == 21
    finally:
        grow = SETTINGS["erase_grow"].default
        assert host.request("POST", "/sdapi/v1/options", {"clickpaint_erase_grow": grow})[0] == 200


def test_parameters_come_back_from_the_prompt_and_from_png_info(tab):
    from PIL import PngImagePlugin

    tab.click(*INSIDE)
    tab.task("Fill")
    # values that Gradio was told of only when the button was pressed already
    wished = {"#clickpaint_seed input[type=number]": "77", "#clickpaint_steps input[type=number]": "3",
              "#clickpaint_resolution input[type=number]": str(SIZE), "#clickpaint_fill_prompt textarea": "a red kite"}  # fmt: skip
    head = tab.page.locator("#clickpaint_sampling").get_by_text("Sampling", exact=True)
    head.click()
    tab.page.locator("#clickpaint_seed input[type=number]").wait_for()
    tab.page.evaluate(TYPE_AND_PRESS, [[*wished.items()], "#clickpaint_fill"])
    tab.version(1)
    text = tab.js("w.diffusion.last.infotext")
    assert "Steps: 3," in text and "Seed: 77," in text and "Clickpaint: fill, Clickpaint masked content: fill" in text

    def shows(place: str, value: str) -> None:
        tab.page.wait_for_function("([place, value]) => document.querySelector(place).value === value", arg=[place, value])

    tab.page.locator("#clickpaint_fill_prompt textarea").fill(text.replace("Seed: 77", "Seed: 99"))
    tab.page.wait_for_timeout(700)
    tab.page.locator("#clickpaint_read").click()
    shows("#clickpaint_seed input[type=number]", "99")
    shows("#clickpaint_fill_prompt textarea", "a red kite")

    info, file = PngImagePlugin.PngInfo(), io.BytesIO()
    info.add_text("parameters", text.replace("Seed: 77", "Seed: 555").replace("Clickpaint: fill", "Clickpaint: replace"))
    Image.fromarray(picture(SIZE) // 2).save(file, "PNG", pnginfo=info)
    tab.turn_to("PNG Info")
    upload = tab.page.locator("#pnginfo_image input[type=file]")
    upload.set_input_files({"name": "made.png", "mimeType": "image/png", "buffer": file.getvalue()})
    tab.page.locator("#tab_pnginfo").get_by_text("Seed: 555").first.wait_for()
    before = tab.js("e.id")
    tab.saved()  # without this, the page asks what is to become of the result
    tab.page.locator("#clickpaint_tab").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === 'replace'")
    shows("#clickpaint_replace_prompt textarea", "a red kite")
    shows("#clickpaint_seed input[type=number]", "555")
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.id !== '{before}'")
    assert np.array_equal(tab.version(0), picture(SIZE) // 2)
    tab.page.locator("clickpaint-canvas").wait_for()
    head.click()
    tab.task("Remove")


def made(tab, number):
    """The map of that number, once the panel shows it."""
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-maps').view.made?.map === '{number}'")
    tab.idle()
    return pixels_of(tab.fetch(f"control/{number}"))


def mapped(tab):
    """The canny map of what is clicked, of that alone: uint8 [SIZE, SIZE, 3], made in the panel."""
    tab.click(*INSIDE)
    tab.unfold("#clickpaint_maps")
    panel = tab.page.locator("clickpaint-maps")
    panel.get_by_label("Preprocessor").first.select_option("canny")
    for name in ("Pixel perfect", "Selected object only"):
        panel.get_by_label(name).check()
        assert panel.get_by_label(name).evaluate("(box) => getComputedStyle(box).appearance") != "none", "the tick is not seen"
    panel.get_by_label("Around it").select_option("black")
    panel.get_by_role("button", name="Make map").click()
    map = made(tab, 1)
    lines = map[..., 0] == 255
    assert map.shape == (SIZE, SIZE, 3) and 0.001 < lines.mean() < 0.02
    assert not (lines & ~near(tab.mask(), 1)).any(), "something else is in the map"
    return map


def test_a_map_of_the_clicked_thing_goes_to_the_web_uis_controlnet(tab, host):
    if not host.clickpaint("GET", "/capabilities")["paint"]["controlnet"]:
        pytest.skip(f"{host.flavor} has no ControlNet")
    map = mapped(tab)
    send = tab.page.locator("clickpaint-maps").get_by_role("button", name="To ControlNet (txt2img)")
    send.click()
    tab.page.locator("#tab_txt2img").wait_for()
    assert np.array_equal(tab.arrived(f"{UNIT}_input_image img"), map)

    tab.turn_to("Clickpaint")
    tab.page.locator("clickpaint-maps").get_by_label("Around it").select_option("kept")
    kept = made(tab, 2)
    assert not np.array_equal(kept, map)
    send.click()  # in the place of the first
    assert np.array_equal(tab.arrived(f"{UNIT}_input_image img", kept), kept)


def test_our_engine_paints_by_a_map_of_the_clicked_thing(tab):
    page, lines = tab.page, mapped(tab)[..., 0] == 255
    mask = tab.mask()
    tab.task("Fill")
    tab.sampling(steps=4, resolution=SIZE, batch_count=1, seed=21)
    tab.unfold("#clickpaint_sampling")
    for name in ("sampler", "scheduler"):  # not what an infotext brought before: how strong the map is depends on them
        tab.choose(f"#clickpaint_{name}", "Automatic")
    tab.choose("#clickpaint_engine", "ControlNet")
    page.locator("clickpaint-maps").get_by_role("button", name="Use in this fill").click()
    page.get_by_text("No ControlNet model for this map was found.").wait_for()  # its name does not say what it understands
    unit = page.locator("clickpaint-control fieldset").first
    unit.get_by_label("Model").select_option("brighter")
    results = {}
    for version, weight in enumerate((0, 2), 1):
        unit.get_by_label("Weight").fill(str(weight))
        page.locator("#clickpaint_fill").click()
        results[weight] = tab.version(version).astype(int)
        said = tab.js("w.diffusion.last.infotext")
        assert f'ControlNet 0: "Module: none, Model: brighter, Weight: {weight},' in said and "Clickpaint engine: controlnet" in said
        far = ~near(mask, 16)
        assert np.array_equal(results[weight][far], picture(SIZE)[far])
        tab.stage.focus()
        tab.key("Control+z")
    lighter = (results[2] - results[0]).mean(-1)
    assert lighter[near(lines, 1) & mask].mean() > 30 + lighter[mask & ~near(lines, 12)].mean()
    unit.get_by_label("Model").select_option("")
    tab.choose("#clickpaint_engine", "Web UI")
    tab.task("Remove")


def test_without_a_captioner_the_panel_says_what_to_do(tab):
    tab.click(*INSIDE)
    tab.unfold("#clickpaint_describe")
    panel = tab.page.locator("clickpaint-describe")
    panel.get_by_text("There is no captioner: download BLIP, or put one into models/captioner.").wait_for()
    assert panel.locator("clickpaint-models").get_by_role("button", name="Download").count() == 1
    assert panel.get_by_role("button", name="Describe", exact=True).is_disabled()


def test_a_reload_of_the_page_keeps_the_open_picture(tab):
    tab.click(*INSIDE)
    tab.page.locator("#clickpaint_remove").click()
    after = tab.version(1)
    tab.click(*OUTSIDE)
    id, area = tab.js("e.id"), tab.area
    tab.page.reload(wait_until="load")
    tab.page.wait_for_selector("#tabs > .tab-nav > button")
    tab.turn_to("Clickpaint")
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    tab.idle()
    assert (tab.js("e.id"), tab.area) == (id, area)
    assert np.array_equal(tab.version(1), after)
    assert tab.pixel("picture", *INSIDE)[0] < 190, "it is there, but not shown"
    for _ in range(2):  # what was selected, then the removal
        tab.key("Control+z")
    assert np.array_equal(tab.version(0), picture(SIZE))


def test_after_reload_ui_all_is_there_once_and_works(tab, host, own, browser):
    tab.click(*INSIDE)
    mask, id = tab.mask(), tab.js("e.id")
    tab.turn_to("Settings")
    tab.page.locator("#settings_restart_gradio").click()
    until = time.monotonic() + 120
    while host.log.count("Startup time") < 2:
        if "Restarting UI" in host.log and tab.page.url != "about:blank":
            tab.page.goto("about:blank")  # its own pings, while the web UI starts, may end an A1111
        assert time.monotonic() < until, host.log[-3000:]
        tab.page.wait_for_timeout(200)
    time.sleep(1)
    tab.faults.clear()  # that the server went away, which was asked of it

    again = HostVisit(host, browser)
    try:
        assert again.page.locator("#tabs > .tab-nav > button").filter(has_text="Clickpaint").count() == 1
        assert again.page.locator("clickpaint-canvas").count() == again.page.locator("#txt2img_send_to_clickpaint").count() == 1
        assert again.page.locator("#clickpaint_send_img2img").count() == 1
        assert host.request("GET", "/test-helper/routes")[1] == {"LazyRoutes": 1}

        assert host.clickpaint("GET", f"/workspaces/{id}")["selection"]["area"] == mask.sum()
        host.clickpaint("POST", f"/workspaces/{id}/erase", {})
        far = ~near(mask, 13)
        assert np.array_equal(pixels_of(host.clickpaint("GET", f"/workspaces/{id}/image"))[far], picture(SIZE)[far])

        again.turn_to("Clickpaint")
        again.open(png(picture(SIZE)))
        again.click(*INSIDE)
        again.page.locator("#clickpaint_remove").click()
        assert again.version(1)[40:56, 40:56, 0].mean() < 190
        assert {*again.foreign, *again.faults} <= own
        assert "extension/clickpaint" not in host.log, "a traceback of ours"
    finally:
        again.close()
