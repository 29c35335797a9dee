"""What a reload of the page keeps, what was typed a moment before a button was pressed, and parameters read back."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image, PngImagePlugin

from clickpaint.studio.studio import Studio
from tests.browser.conftest import BALL, TYPE_AND_PRESS, Visit, expect, serving
from tests.browser.test_painting import SlowHost, painted, start, turn_to


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    return Studio(SlowHost(tmp_path_factory.mktemp("session")))


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    with serving(studio) as address:
        yield address


@pytest.fixture
def host(studio: Studio) -> Iterator[SlowHost]:
    assert isinstance(studio.host, SlowHost)
    studio.host.jobs.clear()
    yield studio.host
    studio.host.hold = False


CUT_OFF = ("AbortError", "Connection errored out")
"""What Gradio says of its own requests that a reload ends."""


def reload(tab: Visit) -> None:
    tab.page.reload()
    tab.page.wait_for_selector(".cp-sample", state="attached")
    tab.idle()


def test_a_reload_keeps_picture_selection_and_history(visit: Callable[..., Visit], host: SlowHost, photo: bytes) -> None:
    tab = visit(expected=CUT_OFF)
    tab.open(photo)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    start(tab, "fill")
    painted(tab, 1)
    id, area, shown, seed = tab.js("e.id"), tab.area, tab.pixel("picture", *BALL), tab.js("w.diffusion.seed")
    reload(tab)
    assert (tab.js("e.id"), tab.js("e.state.version"), tab.area, tab.js("e.state.name")) == (id, 1, area, "meadow.png")
    assert tab.pixel("picture", *BALL) == shown
    assert tab.pixel("overlay", BALL[0] + 20, BALL[1] + 20)[3] > 60, "what is selected is not seen"
    results = tab.page.locator(".cp-thumbnail")
    expect(results).to_have_count(1)
    expect(results.first).to_have_attribute("aria-checked", "true")
    assert tab.js("w.diffusion.seed") == seed
    tab.page.wait_for_function("() => document.querySelector('.cp-thumbnail img').naturalWidth > 0")
    tab.key("Control+z")
    assert tab.js("e.state.version") == 0 and tab.pixel("picture", *BALL) != shown
    expect(results.first).to_be_hidden()
    tab.click(*BALL)
    assert tab.area == pytest.approx(area, rel=0.01)


def test_the_page_goes_on_after_the_server_lost_its_memory(
    visit: Callable[..., Visit], studio: Studio, host: SlowHost, photo: bytes
) -> None:
    """As after a restart or a crash: what is on the disk is all that there is."""
    tab = visit(expected=CUT_OFF)
    tab.open(photo)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    start(tab, "fill")
    painted(tab, 1)
    id, area, shown = tab.js("e.id"), tab.area, tab.pixel("picture", *BALL)
    studio.workspaces.settle()
    assert studio.workspaces.put_away(id)
    reload(tab)
    assert (tab.js("e.id"), tab.js("e.state.version"), tab.area, tab.js("e.state.name")) == (id, 1, area, "meadow.png")
    assert tab.pixel("picture", *BALL) == shown
    expect(tab.page.locator(".cp-thumbnail")).to_have_count(1)
    assert studio.workspaces.put_away(id)
    tab.key("Control+z")
    tab.idle()
    assert tab.js("e.state.version") == 0 and tab.pixel("picture", *BALL) != shown, "without a reload, too"
    tab.open(photo)
    assert tab.js("e.id") != id and [entry.id for entry in studio.workspaces.history([id])] == [id], "another picture drops none"


def test_what_is_saved_arrives_in_the_folder_for_saved_pictures(visit: Callable[..., Visit], host: SlowHost, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    with tab.page.expect_response(lambda response: response.url.endswith("/save")) as saved:
        tab.key("Control+s")
    assert saved.value.status == 200 and saved.value.json()["file"] == "meadow.png"
    assert [path.name for path in host.output_folder().iterdir()] == ["meadow.png"]


def test_after_expanding_the_original_still_lies_where_it_was(visit: Callable[..., Visit], host: SlowHost, photo: bytes) -> None:
    tab = visit(expected=CUT_OFF)
    tab.open(photo)
    turn_to(tab, "Expand")
    tab.page.get_by_role("button", name="To 1:1").click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.margins[1] === 80")
    start(tab, "expand")
    painted(tab, 1)
    reload(tab)
    assert tab.js("[e.size.width, e.size.height, e.state.offset.y, w.versions.at(0).height]") == [480, 480, 80, 320]


def test_what_was_being_painted_is_shown_when_it_is_done(visit: Callable[..., Visit], host: SlowHost, photo: bytes) -> None:
    tab = visit(expected=CUT_OFF)
    tab.open(photo)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    host.hold = True
    start(tab, "fill")
    tab.page.wait_for_function("() => document.querySelector('.cp-progress').hidden === false")
    tab.page.reload()
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    assert tab.js("e.state.version") == 0
    host.hold = False
    painted(tab, 1)
    assert tab.pixel("picture", *BALL)[0] == tab.pixel("picture", *BALL)[1]


def test_a_forgotten_picture_leaves_an_empty_page_that_says_so(visit: Callable[..., Visit], studio: Studio, photo: bytes) -> None:
    tab = visit(expected=("404", *CUT_OFF))
    tab.open(photo)
    studio.close(tab.js("e.id"))
    tab.page.evaluate("() => document.querySelector('clickpaint-canvas').workbench.opening.files.forget(" + f"'{tab.js('e.id')}')")
    reload(tab)
    expect(tab.page.get_by_text("is not on the server any more")).to_be_visible()
    expect(tab.page.get_by_role("heading", name="Click on anything")).to_be_visible()
    reload(tab)
    expect(tab.page.locator(".cp-toast"), "it is said once").to_have_count(0)
    tab.open(photo)
    assert tab.js("e.ready")


def test_a_copy_of_a_tab_never_gets_its_picture(visit: Callable[..., Visit], photo: bytes) -> None:
    tab = visit(expected=CUT_OFF)
    tab.open(photo)
    assert tab.page.evaluate("() => sessionStorage.length") == 0, "what a copy starts with"
    reload(tab)
    assert tab.js("e.ready") and tab.page.evaluate("() => sessionStorage.length") == 0


def test_nothing_typed_is_lost_however_soon_the_button_is_pressed(visit: Callable[..., Visit], host: SlowHost, photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    tab.click(*BALL)
    turn_to(tab, "Fill")
    tab.page.locator("#clickpaint_sampling").get_by_text("Sampling", exact=True).click()
    tab.page.wait_for_selector("#clickpaint_seed input[type=number]")
    numbers = {"seed": "77", "steps": "9", "denoising": "0.5", "batch_count": "99"}
    fields = [[f"#clickpaint_{name} input[type=number]", value] for name, value in numbers.items()]
    tab.page.evaluate(TYPE_AND_PRESS, [[*fields, ["#clickpaint_fill_prompt textarea", "quick"]], "#clickpaint_fill"])
    painted(tab, 1)
    job = host.jobs[0]
    assert (job.seed, job.options.sampling.steps, job.options.prompt.positive, job.strength) == (77, 9, "quick", 0.5)
    assert job.count == 16, "beyond what the field allows"


def test_parameters_of_a_dropped_picture_and_of_the_prompt_are_read(visit: Callable[..., Visit], photo: bytes) -> None:
    tab = visit()
    tab.open(photo)
    turn_to(tab, "Fill")
    read = tab.page.locator("#clickpaint_read")
    read.click()
    tab.page.get_by_text("There are no parameters to read.").wait_for()

    text = PngImagePlugin.PngInfo()
    text.add_text(
        "parameters", "a cat\nNegative prompt: dog\nSteps: 7, Sampler: Euler, Seed: 5, Clickpaint: replace, Clickpaint second pass: on"
    )
    file = io.BytesIO()
    Image.open(io.BytesIO(photo)).save(file, "PNG", pnginfo=text)
    tab.open(file.getvalue(), "made.png")
    read.click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === 'replace'")

    def reads(place: str, value: str, why: str | None = None) -> None:
        expect(tab.page.locator(f"#clickpaint_{place}"), why).to_have_value(value)

    tab.page.wait_for_function("() => document.querySelector('#clickpaint_replace_prompt textarea').value === 'a cat'")
    reads("replace_negative textarea", "dog")
    tab.page.locator("#clickpaint_sampling").get_by_text("Sampling", exact=True).click()
    tab.page.wait_for_selector("#clickpaint_seed input[type=number]")
    reads("seed input[type=number]", "5")
    reads("steps input[type=number]", "7")
    reads("second_pass input", "On")

    tab.page.locator("#clickpaint_replace_prompt textarea").fill("a bird\nSteps: 11, Sampler: Euler, Seed: 8")
    read.click()
    tab.page.wait_for_function("() => document.querySelector('#clickpaint_seed input[type=number]').value === '8'")
    reads("replace_prompt textarea", "a bird")
    turn_to(tab, "Expand")
    reads("expand_prompt textarea", "a bird", "what tells no task goes to every prompt")


def test_lists_offer_what_came_since(visit: Callable[..., Visit], studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    from clickpaint.studio.model_pool import Listing

    tab = visit()
    listed = [*studio.pool.segmenters(), Listing("new_one", "Brand New", True, "", None, "present")]
    monkeypatch.setattr(studio.pool, "segmenters", lambda: listed)
    tab.page.evaluate("() => document.querySelector('clickpaint-canvas').downloads.dispatchEvent(new CustomEvent('moved'))")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.capabilities.segmenters.at(-1).name === 'new_one'")
    option = tab.page.get_by_role("option", name="Brand New")
    for _ in range(200):
        tab.page.locator("#clickpaint_segmenter input").click()
        tab.page.get_by_role("option").first.wait_for()
        if option.count():
            break
        tab.page.keyboard.press("Escape")  # an open list is not told of what came since
        tab.page.locator("#clickpaint_segmenter input").blur()  # it opens when it gets the focus
        tab.page.get_by_role("option").first.wait_for(state="hidden")
    option.click()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.options.segmenter === 'new_one'")
