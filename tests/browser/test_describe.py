"""The Describe panel in real Chromium: a captioner that says which colour it sees, and a text model at an address of its own."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.caption.base import Crop, Decoding, Turn, Wording
from clickpaint.caption.registry import CaptionerInfo
from clickpaint.progress import SILENT, Progress
from clickpaint.train.dataset.picture_reading import mask_of
from tests.browser.conftest import Visit, expect, serving
from tests.caption.text_server import TextServer, text_server
from tests.toys.studio import BLUE, GREEN, GREY, RED, ToyStudio, file_of, toy_studio

NAMES = {RED: "red", BLUE: "blue", GREEN: "green", GREY: "grey"}
SQUARE, BAR = (120, 90), (380, 220)
"""Inside the red and the blue."""
TALL = {"width": 1280, "height": 2200}
"""A window that shows the canvas and the whole panel."""


class ToyCaptioner:
    """A `Captioner`. `hold`: whether it waits before it speaks; `absent`: whether there is none; `mute`: whether it answers nothing."""

    name, can_caption, can_answer, follows = "toy", True, True, False

    def __init__(self) -> None:
        self._go = threading.Event()
        self.hold = self.absent = self.mute = False
        self.asked: list[Decoding] = []

    def caption(self, crops: Sequence[Crop], decoding: Decoding, progress: Progress = SILENT) -> list[list[Wording]]:
        self.asked.append(decoding)
        progress.report(0.5, "Describing the toy")
        while not self._go.wait(0.02):
            progress.check()
        return [self._wordings(crop)[: decoding.candidates] for crop in crops]

    @property
    def hold(self) -> bool:
        return not self._go.is_set()

    @hold.setter
    def hold(self, hold: bool) -> None:
        self._go.clear() if hold else self._go.set()

    def _wordings(self, crop: Crop) -> list[Wording]:
        colours = [NAMES[tuple(colour)] for colour in np.unique(crop.pixels[crop.mask], axis=0).tolist() if tuple(colour) in NAMES]
        what = " and ".join(colours)
        return [Wording(f"a {what} thing", -0.1), Wording(f"something {what}", -0.7), Wording(f"{what}, no doubt", -1.2)]

    def answer(self, crop: Crop, question: str, history: Sequence[Turn] = (), progress: Progress = SILENT) -> str:
        return f"{len(history) + 1}. {self._wordings(crop)[0].text}"


@pytest.fixture(scope="module")
def captioner() -> ToyCaptioner:
    return ToyCaptioner()


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory, captioner: ToyCaptioner) -> ToyStudio:
    studio = toy_studio(tmp_path_factory.mktemp("describing"))
    studio.toy.can_paint = True
    captioners: Any = studio.captioners
    real = captioners.listed
    captioners.listed = lambda: (
        real() if captioner.absent else [CaptionerInfo("toy", "The Toy", "git", True, not captioner.mute, True), *real()]
    )
    captioners._made = lambda info: captioner
    return studio


@pytest.fixture(scope="module")
def address(studio: ToyStudio) -> Iterator[str]:
    with serving(studio) as address:
        yield address


def blocks() -> bytes:
    """A PNG, 480 × 320: a red square and a blue bar on grey."""
    pixels = np.empty((320, 480, 3), np.uint8)
    pixels[:] = GREY
    pixels[40:160, 60:200] = RED
    pixels[190:250, 280:460] = BLUE
    return file_of(pixels)


@pytest.fixture
def tab(visit: Callable[..., Visit], captioner: ToyCaptioner) -> Iterator[Visit]:
    tab = visit(viewport=TALL, expected="409 (Conflict)")  # what is interrupted answers with it
    tab.open(blocks(), "blocks.png")
    unfold(tab)
    captioner.asked.clear()
    yield tab
    captioner.hold = captioner.absent = False


@pytest.fixture
def server(studio: ToyStudio) -> Iterator[TextServer]:
    with text_server() as server:
        studio.toy.settings.update(text_model_url=server.address, text_model_seconds=2)
        yield server
        server.stop.set()
        del studio.toy.settings["text_model_url"]


def unfold(tab: Visit) -> None:
    tab.page.locator("#clickpaint_describe .label-wrap").click()
    tab.page.wait_for_selector("clickpaint-describe .cp-body, clickpaint-describe .cp-notice:not([hidden])")
    tab.page.wait_for_function("() => document.querySelector('clickpaint-describe').captions?.known")


def panel(tab: Visit) -> Any:
    return tab.page.locator("clickpaint-describe")


def go(tab: Visit) -> None:
    panel(tab).get_by_role("button", name="Describe", exact=True).click()


def reads(tab: Visit, selector: str, text: str) -> None:
    script = "([selector, text]) => document.querySelector(selector)?.textContent === text"
    tab.page.wait_for_function(script, arg=[selector, text])


def selected(tab: Visit, area: int) -> None:
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.selection?.area === {area}")


def prompted(tab: Visit, task: str, words: str) -> None:
    script = "([id, words]) => document.querySelector(`#clickpaint_${id}_prompt textarea`)?.value === words"
    tab.page.wait_for_function(script, arg=[task, words])
    expect(tab.page.locator(f"#clickpaint_{task}"), "its tab is open").to_be_visible()


def test_a_click_is_described_chosen_and_becomes_a_prompt(tab: Visit, captioner: ToyCaptioner) -> None:
    here = panel(tab)
    tab.click(*SQUARE)
    assert captioner.asked == [], "nobody asked yet"
    go(tab)
    reads(tab, ".cp-said .cp-words", "a red thing")
    reads(tab, ".cp-bubble p", "a red thing")
    expect(tab.page.locator(".cp-bubble p")).to_have_attribute("aria-live", "polite")
    bubble, stage = tab.page.locator(".cp-bubble").bounding_box(), tab.stage.bounding_box()
    top = tab.at(0, 40)[1]
    assert bubble and stage and stage["y"] <= bubble["y"] and bubble["y"] + bubble["height"] <= top, "above the square"
    wordings = here.get_by_role("radio")
    expect(wordings).to_have_text(["a red thing90 % sure", "something red50 % sure", "red, no doubt30 % sure"])
    wordings.nth(1).focus()
    tab.page.keyboard.press("Enter")
    reads(tab, ".cp-bubble p", "something red")
    here.get_by_role("button", name="Use as prompt").click()
    prompted(tab, "fill", "something red")
    wordings.nth(0).click()
    here.get_by_role("button", name="All but this").click()
    prompted(tab, "replace", "a red thing")
    tab.click(*BAR)
    expect(tab.page.locator(".cp-bubble"), "those words were about something else").to_be_hidden()
    tab.key("Control+z")
    tab.page.locator(".cp-bubble").wait_for(state="hidden")


def test_every_selection_is_described_while_that_is_wanted(visit: Callable[..., Visit], captioner: ToyCaptioner) -> None:
    tab = visit(viewport=TALL, alone=True)
    tab.page.clock.install()
    tab.open(blocks(), "blocks.png")
    unfold(tab)
    captioner.asked.clear()
    panel(tab).get_by_label("Every selection").check()
    tab.click(*SQUARE)
    reads(tab, ".cp-bubble p", "a red thing")
    tab.key("Escape")
    tab.click(*BAR)
    reads(tab, ".cp-bubble p", "a blue thing")
    panel(tab).get_by_label("Every selection").uncheck()
    count = len(captioner.asked)
    tab.click(*SQUARE)
    tab.page.clock.fast_forward(5000)
    assert not tab.page.evaluate("() => document.querySelector('clickpaint-describe').captions.writing")
    assert len(captioner.asked) == count


def test_what_needs_a_text_model_is_disabled_and_says_why(tab: Visit, captioner: ToyCaptioner) -> None:
    here = panel(tab)
    for label in ("Language", "Add what is generally known"):
        field = here.get_by_label(label)
        expect(field).to_be_disabled()
        description = tab.page.locator(f"#{field.get_attribute('aria-describedby')}")
        expect(description).to_contain_text("text model")
        expect(description).to_be_visible()
    style = here.get_by_label("Style")
    assert style.locator("option[value=tags]").is_disabled() and style.locator("option[value=tags]").get_attribute("title")
    blip = here.get_by_label("Captioner").locator("option[value=blip]")
    expect(blip).to_be_disabled()
    expect(blip).to_contain_text("not here")
    tab.click(*SQUARE)
    here.get_by_label("Sentiment").select_option("negative")
    here.get_by_label("Length", exact=True).check()
    here.locator("input[name=words]").fill("40")
    go(tab)
    reads(tab, ".cp-said .cp-words", "a red thing")
    assert captioner.asked[-1].words == (32, 48) and "gloomy" in captioner.asked[-1].favoured


def test_a_text_model_writes_after_the_raw_words(visit: Callable[..., Visit], server: TextServer, captioner: ToyCaptioner) -> None:
    tab = visit(viewport=TALL)
    tab.open(blocks())
    unfold(tab)
    here = panel(tab)
    expect(here.get_by_label("Language")).to_be_enabled()
    here.get_by_label("Sentiment").select_option("positive")
    here.get_by_label("Language").select_option("French")
    tab.click(*SQUARE)
    seen = """() => {
        window.seen = [];
        const words = document.querySelector('.cp-said .cp-words');
        new MutationObserver(() => window.seen.push(words.textContent)).observe(words, {childList: true});
    }"""
    tab.page.evaluate(seen)
    server.answers = ["une jolie chose rouge"]
    go(tab)
    reads(tab, ".cp-said .cp-words", "une jolie chose rouge")
    said = tab.page.evaluate("() => window.seen")
    assert said.index("a red thing") < said.index("une jolie chose rouge")
    assert "French" in server.prompt

    for fault in ("401", "slow"):
        server.fault = fault
        go(tab)
        tab.page.wait_for_selector(".cp-said .cp-fault")
        reads(tab, ".cp-said .cp-words", "a red thing")
        expect(here.locator(".cp-said [role=alert]")).not_to_be_empty()
        tab.page.wait_for_function("() => !document.querySelector('clickpaint-describe').captions.writing")  # nothing hangs
    server.fault = ""
    go(tab)
    reads(tab, ".cp-said .cp-words", "une jolie chose rouge")
    expect(here.locator(".cp-said .cp-fault")).to_have_count(0)


def test_a_conversation_about_what_is_selected(tab: Visit) -> None:
    here = panel(tab)
    here.locator("summary", has_text="Chat").click()
    tab.click(*SQUARE)
    question = here.get_by_label("What would you like to know?")
    for number in (1, 2):
        question.fill("What is it?")
        question.press("Enter")
        tab.page.wait_for_function(f"() => document.querySelectorAll('.cp-answer').length === {number}")
        tab.page.wait_for_function("() => !document.querySelector('clickpaint-describe').captions.answering")
    expect(here.locator(".cp-answer")).to_have_text(["1. a red thing", "2. a red thing"])
    tab.stage.focus()
    tab.key("Escape")
    tab.click(*BAR)
    tab.page.wait_for_function("() => document.querySelectorAll('.cp-turn.cp-stale').length === 2")
    question.fill("And this?")
    here.get_by_role("button", name="Ask").click()
    tab.page.wait_for_function("() => document.querySelectorAll('.cp-answer').length === 3")
    tab.page.wait_for_function("() => !document.querySelector('clickpaint-describe').captions.answering")
    expect(here.locator(".cp-answer").last).to_have_text("1. a blue thing")
    assert len(json.loads(tab.fetch("chat"))["history"]) == 3
    here.get_by_role("button", name="Forget this conversation").click()
    tab.page.wait_for_function("() => !document.querySelector('.cp-answer')")
    assert json.loads(tab.fetch("chat"))["history"] == []


def test_everything_is_labelled_listed_selected_and_exported(tab: Visit, captioner: ToyCaptioner) -> None:
    here = panel(tab)
    here.locator("summary", has_text="Describe everything").click()
    captioner.hold = True
    here.get_by_role("button", name="Describe everything").click()
    here.get_by_role("button", name="Stop").wait_for()
    tab.page.wait_for_selector(".cp-progress:not([hidden])")
    here.get_by_role("button", name="Stop").click()
    here.get_by_role("button", name="Describe everything").wait_for()
    expect(here.locator(".cp-regions li")).to_have_count(0)

    captioner.hold = False
    here.get_by_role("button", name="Describe everything").click()
    here.locator(".cp-regions li").first.wait_for()
    said = ["a grey thing", "a red thing", "a blue thing"]
    expect(here.locator(".cp-wording-one > span")).to_have_text(said)
    labels = tab.page.locator(".cp-label")
    expect(labels).to_have_text(said)
    place, (x, y) = labels.nth(1).bounding_box(), tab.at(60, 40)
    assert place and abs(place["x"] - x) < 3 and abs(place["y"] - y) < 3

    here.locator(".cp-regions .cp-wording-one").nth(2).hover()
    tab.page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.previews.layer")
    assert tab.js("w.previews.layer.box") == [280, 190, 460, 250]
    tab.idle()
    assert tab.pixel("overlay", *BAR)[3] > 60
    here.locator(".cp-regions .cp-wording-one").nth(2).click()
    selected(tab, 180 * 60)
    assert tab.js("e.state.selection.box") == [280, 190, 460, 250]
    labels.nth(1).click(modifiers=["Shift"])
    selected(tab, 180 * 60 + 140 * 120)

    with tab.page.expect_download() as saved:
        here.get_by_role("button", name="JSON").click()
    document = json.loads(Path(saved.value.path()).read_text("utf-8"))
    assert saved.value.suggested_filename == "blocks-regions.json"
    assert [one["caption"] for one in document["regions"]] == said and "overview" not in document
    with tab.page.expect_download() as saved:
        here.get_by_role("button", name="Labelled picture").click()
    assert Path(saved.value.path()).read_bytes()[:4] == b"\x89PNG"
    here.get_by_label("Labels on the picture").uncheck()
    expect(labels.first).to_be_hidden()


def test_everything_is_kept_for_training_described_and_masked_in_a_row(tab: Visit, studio: ToyStudio) -> None:
    here, sets, question = panel(tab), tab.page.locator("clickpaint-datasets"), tab.page.locator("dialog.cp-keep")
    here.locator("summary", has_text="Describe everything").click()
    here.get_by_role("button", name="Describe everything").click()
    here.get_by_role("button", name="Keep all for training").click()
    question.locator("input[name=dataset]").fill("things")
    question.locator("input[name=dataset]").press("Enter")
    expect(tab.page.locator(".cp-notices")).to_contain_text("“things” (3)")
    here.get_by_role("button", name="Keep for training").nth(1).click()
    expect(question.locator("input[name=dataset]")).to_have_value("things")
    question.get_by_role("button", name="Keep for training").click()
    expect(tab.page.locator(".cp-notices")).to_contain_text("“things” (4)")
    picture = studio.decode(blocks())
    studio.training_data.add_picture("things", "whole.png", picture, None, "")

    tab.stage.focus()
    tab.page.keyboard.press("d")
    words = sets.locator(".cp-set-example textarea")
    expect(words).to_have_count(5)
    assert [words.nth(number).input_value() for number in range(4)] == ["a grey thing", "a red thing", "a blue thing", "a red thing"]
    sets.get_by_role("button", name="Describe all without words").click()
    expect(words.nth(4)).to_have_value("a blue and grey and red thing")
    sets.get_by_label("Phrase").fill("blue thing")
    sets.get_by_role("button", name="Mask all without a mask").click()
    expect(sets.locator("[data-mark=unmasked]")).to_have_count(0)
    mask = mask_of(studio.training_data.collection.get("things").examples[-1])
    assert mask is not None and np.array_equal(mask > 127, (picture.pixels == BLUE).all(axis=2))


def test_a_phrase_selects_what_it_names(tab: Visit, captioner: ToyCaptioner) -> None:
    here = panel(tab)
    phrase = here.get_by_label("Find by words", exact=False)
    phrase.fill("blue thing")
    phrase.press("Enter")
    here.locator(".cp-find [role=status]", has_text="was found by toy").wait_for()
    assert tab.js("e.state.selection.box") == [280, 190, 460, 250]
    tab.stage.focus()
    tab.key("Control+z")
    assert tab.area == 0, "finding is a step that can be undone"


WHY_NO_CHAT = (
    ("zh-CN", "这里没有能回答问题的模型。", "请将 BLIP-VQA"),
    ("en", "Nothing here can answer questions.", "Put BLIP-VQA"),
)  # fmt: skip


def test_why_there_is_no_chat_is_said_in_the_pages_language(visit: Callable[..., Visit], captioner: ToyCaptioner) -> None:
    captioner.mute = True
    try:
        for locale, reason, remedy in WHY_NO_CHAT:
            tab = visit(viewport=TALL, locale=locale)
            tab.open(blocks())
            unfold(tab)
            note = panel(tab).locator("details:has(.cp-chat) > .cp-note")
            said = note.text_content()
            assert said.startswith(reason) and remedy in said
            assert locale == "en" or not re.search(r"[a-z]{3,} [a-z]{2,} [a-z]{2,}", said), "no English sentence is left"
            expect(panel(tab).locator("details:has(.cp-chat) button[type=submit]")).to_be_disabled()
    finally:
        captioner.mute = False


def test_strokes_over_things_and_around_them_are_selected_and_described(tab: Visit) -> None:
    here = panel(tab)
    stroke = here.get_by_role("button", name="Select by strokes")
    stroke.click()
    expect(stroke).to_have_attribute("aria-pressed", "true")
    expect(tab.page.locator(".cp-status")).to_contain_text("over the object or around it")
    tab.drag((90, 60), (130, 90), (180, 140))
    reads(tab, ".cp-said .cp-words", "a red thing")
    selected(tab, 140 * 120)
    tab.page.keyboard.down("Shift")
    tab.drag((300, 220), (440, 222))
    tab.page.keyboard.up("Shift")
    reads(tab, ".cp-said .cp-words", "a blue and red thing")
    selected(tab, 140 * 120 + 180 * 60)
    tab.drag((40, 170), (270, 170), (270, 300), (40, 300), (40, 176))
    reads(tab, ".cp-said .cp-words", "a grey thing")
    box = tab.js("e.state.selection.box")
    assert np.abs(np.subtract(box, (40, 170, 271, 301))).max() <= 2, "what a stroke goes around is a box"
    tab.stage.focus()
    tab.key("Control+z")
    selected(tab, 140 * 120 + 180 * 60)
    stroke.click()
    expect(stroke).to_have_attribute("aria-pressed", "false")
    assert tab.js("e.tool.name") == "click"


class Brightness:
    """A CLIP to which the picture is the better whose middle is the brighter."""

    name = "toy"

    def __init__(self) -> None:
        self.prompts: list[str] = []

    def similarities(self, pictures: Sequence[np.ndarray], texts: Sequence[str], progress: Progress = SILENT) -> np.ndarray:
        self.prompts.append(texts[0])
        return np.array([[one[len(one) // 2, one.shape[1] // 2, 0] / 1000] for one in pictures], np.float32)


def test_the_results_of_a_painting_are_ranked_by_how_they_fit_its_prompt(tab: Visit, studio: ToyStudio) -> None:
    captioners: Any = studio.captioners
    rank = tab.page.locator(".cp-rank")

    def paint(prompt: str, seed: int) -> None:
        tab.page.evaluate(
            """([prompt, seed]) => {
                const {diffusion} = document.querySelector('clickpaint-canvas').workbench;
                return diffusion.paint('fill', {prompt, seed, batch_count: 3});
            }""",
            [prompt, seed],
        )
        tab.idle()

    def shown(texts: list[str]) -> None:
        script = "(texts) => `${[...document.querySelectorAll('.cp-score:not([hidden])')].map((one) => one.textContent)}` === `${texts}`"
        tab.page.wait_for_function(script, arg=texts)

    tab.click(*SQUARE)
    paint("a red kite", 100)
    rank.wait_for()
    tab.page.wait_for_function("() => document.querySelector('.cp-rank').title.includes('CLIP model')")
    expect(rank, "and its title says why").to_be_disabled()
    clip = Brightness()
    captioners.clip = lambda: clip
    try:
        tab.page.evaluate("() => document.dispatchEvent(new CustomEvent('clickpaint:models', {bubbles: true}))")
        tab.page.wait_for_function("() => !document.querySelector('.cp-rank').disabled")
        assert clip.prompts == [], "nobody asked yet"
        rank.click()
        shown(["0.100", "0.101", "0.102"])
        assert clip.prompts == ["a red kite"]
        expect(rank).to_have_attribute("aria-pressed", "true")
        best = tab.page.locator(".cp-thumbnail", has=tab.page.locator(".cp-best"))
        expect(best).to_have_attribute("aria-label", "Result 3, seed 102. Fits the prompt best: CLIP 0.102")  # a second one is an error
        expect(tab.page.locator(".cp-thumbnail").first).to_have_attribute("title", re.compile(r"Fits the prompt: CLIP 0\.100"))

        paint("a blue kite", 254)  # of the third the grey is 0 again
        shown(["0.254", "0.255", "0.000"])
        assert clip.prompts[-1] == "a blue kite", "the next painting is ranked by itself"
        expect(best).to_have_attribute("aria-label", re.compile("^Result 2, "))
        paint("", 10)
        expect(rank, "without a prompt nothing fits").to_be_hidden()
        expect(tab.page.locator(".cp-score:not([hidden])")).to_have_count(0)
        count = len(clip.prompts)
        paint("a kite", 20)
        shown(["0.020", "0.021", "0.022"])
        rank.click()
        shown([])
        asked: list[str] = []
        tab.page.on("request", lambda request: asked.append(request.url))
        paint("a kite", 30)
        tab.idle()
        assert len(clip.prompts) == count + 1
        assert not [url for url in asked if url.endswith("/rank")], "nothing was asked"
        expect(tab.page.locator(".cp-score:not([hidden])")).to_have_count(0)
    finally:
        del captioners.clip


def test_without_a_captioner_the_panel_offers_one(visit: Callable[..., Visit], captioner: ToyCaptioner) -> None:
    captioner.absent = True
    try:
        tab = visit(viewport={"width": 420, "height": 900})
        unfold(tab)
        notice = panel(tab).locator(".cp-notice")
        expect(notice).to_contain_text("There is no captioner")
        expect(notice.get_by_role("button", name="Download BLIP base")).to_be_visible()
        expect(panel(tab).get_by_role("button", name="Describe", exact=True)).to_be_disabled()
        captioner.absent = False
        tab.page.evaluate("() => document.dispatchEvent(new CustomEvent('clickpaint:models'))")
        notice.wait_for(state="hidden")
        expect(panel(tab).get_by_label("Captioner"), "as soon as there is one, it is used").to_be_visible()
    finally:
        captioner.absent = False
