"""Painting by the page, in real Chromium, on a host that paints each result in one grey: that of its seed."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.hosts.model_family import ModelFamily
from clickpaint.progress import Progress
from tests.browser.conftest import BALL, BALL_RADIUS, SIZE, TYPE_AND_PRESS, Visit, expect, serving
from tests.toys.studio import ToyHost

OUTSIDE = (40, 40)
TYPE_IN_AND_PRESS = TYPE_AND_PRESS.replace(
    "field.value = value;", "field.value = value; field.dispatchEvent(new Event('input', {bubbles: true}));"
)


class SlowHost(ToyHost):
    """Paints in steps, and waits between them as long as `hold`."""

    def __init__(self, folder: Path) -> None:
        self._go = threading.Event()
        self.hold = False
        super().__init__(folder, segmenter="classic", eraser="classic", device="cpu")
        self.can_paint = True
        self.controls = (["none", "canny"], ["None", "control_canny [1234]"])
        self.before_painting = self._steps

    def _steps(self, progress: Progress) -> None:
        progress.report(0.3, "Painting", done=6, total=20, unit="step")
        while not self._go.wait(0.02):
            progress.check()

    @property
    def hold(self) -> bool:
        return not self._go.is_set()

    @hold.setter
    def hold(self, hold: bool) -> None:
        self._go.clear() if hold else self._go.set()


@pytest.fixture(scope="module")
def host(tmp_path_factory: pytest.TempPathFactory) -> SlowHost:
    return SlowHost(tmp_path_factory.mktemp("painting"))


@pytest.fixture(scope="module")
def address(host: SlowHost) -> Iterator[str]:
    from clickpaint.studio.studio import Studio

    with serving(Studio(host)) as address:
        yield address


@pytest.fixture
def tab(visit: Callable[..., Visit], photo: bytes, host: SlowHost) -> Iterator[Visit]:
    tab = visit()
    tab.open(photo)
    host.jobs.clear()
    yield tab
    host.hold = False


def turn_to(tab: Visit, name: str, task: str = "") -> None:
    """Open the tab of this name; task: of which it is, where that is not its name in small letters."""
    tab.page.get_by_role("tab", name=name, exact=True).click()
    task = task or name.lower()
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === '{task}'")


def start(tab: Visit, task: str, button: str = "", **sampling: float) -> None:
    """Press the task's button, or another one, with these values in the fields of Sampling.

    They are typed and the button is pressed at once: Gradio makes the fields only when they are seen, and sets them to their first values
    some time later once more.
    """
    button = button or f"#clickpaint_{task}"
    if not sampling:
        return tab.page.locator(button).click()
    fields = [[f"#clickpaint_{name} input[type=number]", str(value)] for name, value in sampling.items()]
    if not tab.page.locator(fields[0][0]).is_visible():
        tab.page.locator("#clickpaint_sampling").get_by_text("Sampling", exact=True).click()
    for place, _ in fields:
        tab.page.wait_for_selector(place)
    return tab.page.evaluate(TYPE_IN_AND_PRESS, [fields, button])


def painted(tab: Visit, version: int) -> None:
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.version === {version}")
    tab.idle()


def test_fill_choose_refine_undo(tab: Visit, host: SlowHost) -> None:
    before = tab.pixel("picture", *BALL)
    tab.click(*BALL)
    assert tab.pixel("overlay", BALL[0] + 20, BALL[1] + 20)[3] > 60
    turn_to(tab, "Fill")
    tab.page.locator("#clickpaint_fill_prompt textarea").fill("a red kite")
    tab.page.locator("#clickpaint_fill_negative textarea").fill("blurry")
    start(tab, "fill", seed=70, batch_count=3, steps=7, denoising=0.5)
    painted(tab, 1)
    job = host.jobs[0]
    assert (job.options.task, job.options.prompt.positive, job.options.prompt.negative) == ("fill", "a red kite", "blurry")
    assert (job.seed, job.count, job.options.sampling.steps, job.strength, job.options.passes.refine) == (70, 3, 7, 0.5, None)
    assert tab.pixel("picture", *BALL)[:3] == [70, 70, 70]
    original, now = (np.asarray(Image.open(io.BytesIO(tab.fetch(f"image?version={version}")))) for version in (0, 1))
    y, x = np.ogrid[: SIZE[1], : SIZE[0]]
    far = np.hypot(x - BALL[0], y - BALL[1]) > 2 * BALL_RADIUS
    assert np.array_equal(now[far], original[far])
    assert tab.area > 0, "the selection stays, to paint once more"
    assert tab.pixel("overlay", BALL[0] + 20, BALL[1] + 20)[3] == 0, "but it does not cover what was painted"

    results = tab.page.locator(".cp-thumbnail")
    expect(results).to_have_count(3)
    for result, checked in zip(results.all(), ("true", "false", "false"), strict=True):
        expect(result).to_have_attribute("aria-checked", checked)
    expect(results.nth(2)).to_have_attribute("title", re.compile("72"))
    tab.page.wait_for_function("() => [...document.querySelectorAll('.cp-thumbnail img')].every((one) => one.naturalWidth > 20)")
    results.nth(2).focus()
    tab.page.keyboard.press("Enter")
    painted(tab, 2)
    assert tab.pixel("picture", *BALL)[:3] == [72, 72, 72]
    expect(results.nth(2)).to_have_attribute("aria-checked", "true")

    tab.page.get_by_role("button", name="Refine result 3", exact=False).click()
    painted(tab, 3)
    assert (host.jobs[-1].masked_content, host.jobs[-1].options.prompt.positive) == ("original", "a red kite")
    expect(results).to_have_count(4)
    expect(results.nth(3)).to_have_attribute("aria-checked", "true")

    for version, value in ((2, 72), (1, 70)):
        tab.key("Control+z")
        assert tab.js("e.state.version") == version and tab.pixel("picture", *BALL)[:3] == [value] * 3
    expect(results.nth(0)).to_have_attribute("aria-checked", "true")
    tab.key("Control+z")
    assert tab.pixel("picture", *BALL) == before
    expect(tab.page.locator(".cp-results"), "its results are of another picture").to_be_hidden()
    tab.key("Control+Shift+z")
    assert tab.pixel("picture", *BALL)[:3] == [70, 70, 70]
    tab.page.locator("#clickpaint_random_seed").click()
    tab.page.wait_for_function("() => document.querySelector('#clickpaint_seed input').value === '-1'")
    tab.page.locator("#clickpaint_reuse_seed").click()
    tab.page.wait_for_function("() => Number(document.querySelector('#clickpaint_seed input').value) >= 70")


def test_replace_and_remove_by_diffusion(tab: Visit, host: SlowHost) -> None:
    before = tab.pixel("picture", *BALL)
    turn_to(tab, "Replace")
    start(tab, "replace")
    expect(tab.page.get_by_text("Nothing is selected yet.")).to_be_visible()
    assert not host.jobs
    tab.page.get_by_role("button", name="Close", exact=True).first.click()
    tab.click(*BALL)
    start(tab, "replace", ".cp-remove", seed=200)
    painted(tab, 1)
    assert host.jobs[-1].options.task == "replace", "the button beside the selection does what the open tab does"
    assert np.abs(np.subtract(tab.pixel("picture", *BALL), before)).max() < 12, "the object itself is kept"
    assert host.jobs[-1].seed == 200 and tab.pixel("picture", *OUTSIDE)[:3] == [200, 200, 200]

    tab.key("Control+z")
    turn_to(tab, "Remove")
    tab.page.locator("#clickpaint_eraser input").click()
    tab.page.get_by_role("option", name="Stable Diffusion").click()
    tab.stage.focus()
    tab.key("Delete")
    painted(tab, 2)
    assert host.jobs[-1].options.task == "remove"
    assert tab.pixel("picture", *BALL)[:3] == [host.jobs[-1].seed % 256] * 3, "whatever seed Gradio's field holds by now"


def test_what_changes_nothing_is_not_seen_and_not_sent(tab: Visit, host: SlowHost) -> None:
    host.family = ModelFamily("Flux Kontext", 64, "distilled CFG", 1.0, instructs=True, anew=True, shift=3.0)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    start(tab, "fill", denoising=0.4)
    painted(tab, 1)
    assert host.jobs[-1].options.sampling.denoising_strength == 0.4
    fields = [tab.page.locator(f"#clickpaint_{name}") for name in ("denoising", "masked_content", "second_pass")]
    for field in fields:
        expect(field).to_be_visible()
    turn_to(tab, "Instruct")
    for field in fields:
        expect(field).not_to_be_visible()
    expect(tab.page.locator("#clickpaint_soft_inpainting")).to_be_visible()
    start(tab, "instruct")
    painted(tab, 2)
    assert host.jobs[-1].options.task == "instruct" and host.jobs[-1].options.sampling.denoising_strength == 0.75
    host.family = None


def test_expand(tab: Visit, host: SlowHost) -> None:
    turn_to(tab, "Expand")
    tab.page.get_by_role("button", name="To 1:1").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.margins[1] === 80")
    tab.idle()
    assert tab.pixel("overlay", 240, -80)[3] > 100, "the new canvas is framed"
    start(tab, "expand", seed=31)
    painted(tab, 1)
    assert host.jobs[0].options.expand == (0, 80, 0, 80)
    assert tab.js("[e.size.width, e.size.height]") == [480, 480]
    assert tab.pixel("picture", 240, 20)[:3] == [31, 31, 31]
    assert tab.pixel("picture", BALL[0], BALL[1] + 80)[0] > 180, "the ball moved with the picture"
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.margins[1] === 0")
    expect(tab.page.locator(".cp-refine").first).to_be_hidden()

    tab.page.get_by_role("button", name="Compare with the original").click()
    knob = tab.page.locator(".cp-knob")
    knob.focus()
    knob.press("End")
    tab.idle()
    assert tab.pixel("picture", BALL[0], BALL[1] + 80)[0] > 180, "the original lies where it belongs"
    tab.page.get_by_role("button", name="Compare with the original").click()

    tab.click(BALL[0], BALL[1] + 80)
    assert abs(tab.area / (np.pi * BALL_RADIUS**2) - 1) < 0.15, "the larger picture is clicked in its own pixels"
    tab.key("Control+z")
    tab.key("Control+z")
    assert tab.js("[e.size.width, e.size.height, c.view.picture.height]") == [*SIZE, SIZE[1]]
    assert Image.open(io.BytesIO(tab.fetch("image"))).size == SIZE
    tab.key("Control+Shift+z")
    assert tab.js("[e.size.width, e.size.height, c.view.picture.height]") == [480, 480, 480]


def test_progress_live_picture_and_interrupting(visit: Callable[..., Visit], photo: bytes, host: SlowHost) -> None:
    tab = visit(expected="409", alone=True)
    tab.page.clock.install()
    tab.open(photo)
    before = tab.pixel("picture", *BALL)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    host.hold = True
    start(tab, "fill")
    live = tab.page.locator(".cp-live img")
    live.wait_for(state="visible")
    tab.page.wait_for_function("() => document.querySelector('.cp-live img').naturalWidth === 8")
    expect(tab.page.locator(".cp-progress").get_by_text("Step 6 of 20")).to_be_visible()
    tab.page.get_by_role("button", name="Stop").click()
    tab.page.get_by_text("Stopped. Nothing was changed.").wait_for()
    tab.idle()
    assert tab.pixel("picture", *BALL) == before and tab.js("e.state.version") == 0
    expect(live).to_be_hidden()
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.page.clock.fast_forward(5000)
    tab.idle()
    assert not [url for url in asked if "preview" in url], "nobody looks any more"
    host.hold = False
    start(tab, "fill")
    painted(tab, 1)


def test_control_units_come_when_they_are_looked_at(tab: Visit, host: SlowHost) -> None:
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append(request.url))
    tab.click(*BALL)
    turn_to(tab, "Fill")
    assert not [url for url in asked if "control-names" in url]
    tab.page.locator("#clickpaint_controlnet").get_by_text("ControlNet", exact=True).click()
    unit = tab.page.locator("clickpaint-control fieldset").first
    unit.get_by_label("Model").select_option("control_canny [1234]")
    unit.get_by_label("Preprocessor").select_option("canny")
    unit.get_by_label("Weight").fill("0.5")
    start(tab, "fill")
    painted(tab, 1)
    (control,) = host.jobs[0].options.control
    assert (control.model, control.preprocessor, control.weight, control.mode) == ("control_canny [1234]", "canny", 0.5, "balanced")


def test_narrow(visit: Callable[..., Visit], photo: bytes, host: SlowHost, tmp_path: Path) -> None:
    tab = visit(viewport={"width": 390, "height": 844}, has_touch=True, color_scheme="dark")
    tab.open(photo)
    tab.page.touchscreen.tap(*tab.at(*BALL))
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.selection")
    tab.js("w.diffusion.paint('fill', {batch_count: 3})")
    painted(tab, 1)
    tab.page.screenshot(path=tmp_path / "narrow.png")
    assert tab.page.evaluate("() => document.documentElement.scrollWidth <= innerWidth"), "the page is wider than the window"
    boxes = [bar.bounding_box() for bar in tab.page.locator(".cp-bar:visible").all()]
    for i, one in enumerate(boxes):
        assert one["x"] >= 0 and one["x"] + one["width"] <= 390
        for other in boxes[:i]:
            apart = one["y"] >= other["y"] + other["height"] or other["y"] >= one["y"] + one["height"]
            assert apart or one["x"] >= other["x"] + other["width"] or other["x"] >= one["x"] + one["width"], "two bars overlap"
