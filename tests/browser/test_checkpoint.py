"""The stand-alone page with checkpoints of its own, in real Chromium: choose one, fill, instruct; and what it says without one."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.browser.conftest import BALL, BALL_RADIUS, SIZE, Visit, expect, serving
from tests.browser.film import Landscape
from tests.browser.test_film import Screening, moving
from tests.browser.test_painting import TYPE_IN_AND_PRESS, painted, start, turn_to


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("alone")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    overrides = {"device": "cpu", "segmenter": "classic", "eraser": "classic"}
    with serving(Studio(EmbeddedHost(folder, environment={}, overrides=overrides))) as address:
        yield address


def test_without_a_checkpoint_the_page_says_where_one_goes_and_then_paints_with_it(
    visit: Callable[..., Visit], photo: bytes, folder: Path, toy_checkpoint_file: Callable[..., Path]
) -> None:
    pytest.importorskip("diffusers")
    tab = visit()
    tab.open(photo)
    turn_to(tab, "Fill")
    place = tab.page.locator("clickpaint-checkpoint")
    models = folder / "models" / "Stable-diffusion"
    place.get_by_text(str(models)).wait_for()  # where its owner finds it
    place.locator("input[type=file]").set_input_files(str(toy_checkpoint_file(folder / "chosen" / "a.safetensors")))
    choice = place.locator("select")
    expect(choice).to_have_value("a.safetensors")
    toy_checkpoint_file(models / "instructed.safetensors", 8)
    tab.page.evaluate("() => document.querySelector('clickpaint-checkpoint').load()")
    expect(choice.locator("option")).to_have_count(2)

    tab.click(*BALL)
    tab.page.locator("#clickpaint_fill_prompt textarea").fill("a red kite")
    start(tab, "fill", seed=70, steps=2, resolution=64)
    painted(tab, 1)
    original, now = (np.asarray(Image.open(io.BytesIO(tab.fetch(f"image?version={version}")))) for version in (0, 1))
    y, x = np.ogrid[: SIZE[1], : SIZE[0]]
    distance = np.hypot(x - BALL[0], y - BALL[1])
    assert np.array_equal(now[distance > 2 * BALL_RADIUS], original[distance > 2 * BALL_RADIUS])
    assert (now != original).any(axis=2)[distance < BALL_RADIUS / 2].mean() > 0.9
    with Image.open(io.BytesIO(tab.fetch("image?version=1&format=png"))) as saved:
        assert "Clickpaint engine: inpaint" in saved.info["parameters"]

    edited_by_words(tab)
    varied_and_steered(tab)
    reference_pictures_move_up(tab, photo)
    found_by_the_checkpoint(tab)

    choice.select_option("instructed.safetensors")
    place.locator("p").filter(has_text="instructed.safetensors").wait_for()
    turn_to(tab, "Instruct")
    tab.page.locator("#clickpaint_instruct_prompt textarea").fill("make it snow")
    start(tab, "instruct")
    painted(tab, 5)
    assert tab.js("w.diffusion.asked.task") == "instruct"

    choice.select_option("a.safetensors")
    place.locator("p").filter(has_text="a.safetensors").wait_for()
    painted_in_a_clip(tab)


def edited_by_words(tab: Visit) -> None:
    """The tab Words, from a picture in which the ball is selected and one result has been painted."""
    turn_to(tab, "Words", "edit")
    words = tab.page.locator("clickpaint-words")
    words.get_by_role("button", name="Show the words").click()
    expect(words.get_by_role("status")).to_have_text("Say first what the picture shows.")
    tab.page.locator("#clickpaint_source_prompt textarea").fill("a red ball")
    tab.page.locator("#clickpaint_edit_prompt textarea").fill("a blue ball")
    resolution = [["#clickpaint_resolution input[type=number]", "64"]]
    tab.page.evaluate(TYPE_IN_AND_PRESS, [resolution, "clickpaint-words button"])
    ball = words.get_by_role("button", name="ball", exact=True)
    expect(ball).to_have_attribute("aria-pressed", "true")
    assert tab.js("w.versions.over !== null")
    ball.click()
    expect(ball).to_have_attribute("aria-pressed", "false")
    assert tab.js("w.versions.over === null")
    words.get_by_role("button", name="red", exact=True).click()
    words.get_by_role("button", name="Select it").click()
    expect(words.get_by_role("status")).to_have_text("“red” is selected.")
    start(tab, "edit", seed=70, steps=2, resolution=64)
    painted(tab, 2)
    asked = tab.js("w.diffusion.asked")
    assert asked["edit_method"] == "p2p" and asked["source_prompt"] == "a red ball" and asked["prompt"] == "a blue ball"


def varied_and_steered(tab: Visit) -> None:
    """The button beside the selection's, and what is said in Sampling of guides and references."""
    turn_to(tab, "Fill")
    steering = tab.page.locator("clickpaint-steering")
    steering.evaluate("(panel) => panel.scrollIntoView()")
    guide, reference = steering.locator("[name=guide]"), steering.locator("[name=reference]")
    guide.select_option("clip")
    expect(steering, "what is missing, and where it goes").to_contain_text("Put a CLIP model's folder into models/captioner.")
    guide.select_option("none")
    reference.select_option("look:")
    tab.page.locator("#clickpaint_fill").click()
    expect(tab.page.locator(".cp-toasts")).to_contain_text("There is no reference picture.")
    tab.click(*BALL)
    steering.get_by_role("button", name="This selection").last.click()
    expect(steering.locator("img[src]")).to_be_visible()
    bodies: list[dict[str, Any]] = []
    small = {"resolution": 64, "steps": 2, "seed": 70, "batch_count": 2}

    def shrink(route: Any) -> None:
        bodies.append({**route.request.post_data_json, **small})
        route.continue_(post_data=bodies[-1])

    tab.page.route("**/paint", shrink)
    tab.page.get_by_role("button", name="Paint another one like what is selected").click()
    painted(tab, 3)
    assert (
        bodies[0]["task"] == "vary" and bodies[0]["reference_picture"].startswith("data:image/jpeg") and "masked_content" not in bodies[0]
    )
    expect(tab.page.locator(".cp-result-item")).to_have_count(2)
    reference.select_option("")
    turn_to(tab, "Vary")
    tab.page.locator("#clickpaint_vary").click()
    painted(tab, 4)
    assert not [name for name in bodies[1] if name.startswith("reference")], "what is varied is its own reference"
    tab.page.unroute("**/paint")
    turn_to(tab, "Words", "edit")
    expect(steering, "an edit by words follows neither").to_be_hidden()


def reference_pictures_move_up(tab: Visit, photo: bytes) -> None:
    """With a model that edits and is shown several: the one that is taken away leaves no gap."""

    def several(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, json={**answer.json(), "adjustable": False, "reference": {"available": True, "reason": ""}})

    again = "() => document.dispatchEvent(new CustomEvent('clickpaint:models'))"
    turn_to(tab, "Instruct")
    steering = tab.page.locator("clickpaint-steering")
    tab.page.route("**/steering", several)
    tab.page.evaluate(again)
    steering.locator("[name=reference]").select_option("look:")
    shown, places = steering.locator("img[src]:visible"), steering.locator(".cp-picture-choice:visible")
    sent = "() => document.querySelector('clickpaint-steering').steered('instruct')"
    kept = []
    for i, angle in enumerate((0, 90, 180)):
        stream = io.BytesIO()
        Image.open(io.BytesIO(photo)).rotate(angle, expand=True).save(stream, "PNG")
        places.nth(i).locator("input").set_input_files({"name": "a.png", "mimeType": "image/png", "buffer": stream.getvalue()})
        expect(shown).to_have_count(i + 1)
        kept.append(shown.nth(i).get_attribute("src"))
    steering.get_by_role("button", name="Take away").first.click()
    expect(shown).to_have_count(2)
    assert tab.page.evaluate(sent) == {"reference_picture": kept[1], "further_references": [kept[2]]}
    for _ in range(2):
        steering.get_by_role("button", name="Take away").first.click()
    expect(shown).to_have_count(0)
    steering.locator("[name=reference]").select_option("")
    tab.page.unroute("**/steering")
    tab.page.evaluate(again)


def painted_in_a_clip(tab: Visit) -> None:
    """Fill and Replace in all frames of a clip, from the tabs to the pixels."""
    scene = Landscape((96, 64), 6)
    on = Screening(tab, scene)
    animation = moving([Image.fromarray(scene.frame(number)) for number in range(scene.count)])
    tab.page.locator(".cp-file").set_input_files({"name": "ball.gif", "mimeType": "image/gif", "buffer": animation})
    on.at(0)
    x, y, radius = scene.ball(0)
    tab.click(x, y)
    on.wait("f.corrected.length")
    rows, columns = np.ogrid[:64, :96]

    def frames(version: int) -> list[np.ndarray]:
        answers = [tab.page.request.get(on.ask(f"`${{f.videos.api.base}}videos/${{f.id}}/frames/{number}?format=png&version={version}`"))
                   for number in range(scene.count)]  # fmt: skip
        return [np.asarray(Image.open(io.BytesIO(each.body())).convert("RGB")) for each in answers]

    def changed(version: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Where each frame is another one than it was opened as, and how far every pixel is from the ball's middle, in its radiuses."""
        for number, (now, original) in enumerate(zip(frames(version), frames(0), strict=True)):
            middle = scene.ball(number)
            yield (now != original).any(axis=2), np.hypot(columns - middle[0], rows - middle[1]) / radius

    turn_to(tab, "Fill")
    tab.page.locator("#clickpaint_fill_prompt textarea").fill("a balloon")
    start(tab, "fill", seed=70, steps=2, resolution=64)
    on.wait("f.version === 1 && !f.work.busy")
    for differs, far in changed(1):
        assert differs[far < 0.6].mean() > 0.9 and not differs[far > 3].any()
    on.at(0)
    tab.stage.focus()
    tab.key("Control+z")
    on.wait("f.version === 0 && f.canRedo")
    on.at(0)

    turn_to(tab, "Replace")
    tab.page.locator("#clickpaint_replace_prompt textarea").fill("a beach")
    start(tab, "replace", seed=70, steps=2, resolution=64)
    on.wait("f.version === 2 && !f.work.busy")
    for differs, far in changed(2):
        assert differs[far > 3].mean() > 0.9 and not differs[far < 0.6].any()
    tab.page.reload()
    on.wait("f.info && f.stills.now && f.version === 2 && f.objects[0].known.join() === '0,5'")


def found_by_the_checkpoint(tab: Visit) -> None:
    tab.page.locator("#clickpaint_describe").get_by_text("Describe", exact=True).first.click()
    describe = tab.page.locator("clickpaint-describe")
    describe.get_by_label("Find by words", exact=False).fill("a red ball")
    describe.get_by_label("Look with").select_option("checkpoint")
    describe.get_by_label("What it shall be (DiffEdit)").fill("a blue cube")
    with tab.page.expect_request("**/find") as asked:
        describe.get_by_role("button", name="Find", exact=True).click()
    assert asked.value.post_data_json["instead"] == "a blue cube"
    expect(describe.locator(".cp-find [role=status]")).to_contain_text("found by a.safetensors")


def test_without_a_checkpoint_there_is_what_can_be_had_and_a_file_is_found_by_itself(
    visit: Callable[..., Visit], photo: bytes, folder: Path, toy_checkpoint_file: Callable[..., Path]
) -> None:
    pytest.importorskip("diffusers")
    models = folder / "models" / "Stable-diffusion"
    for file in models.glob("*.safetensors"):
        file.unlink()
    tab = visit()
    tab.open(photo)
    place = tab.page.locator("clickpaint-checkpoint")
    expect(place, "removing needs none").to_be_hidden()
    turn_to(tab, "Fill")
    expect(place.get_by_role("listitem").filter(has_text="Stable Diffusion 1.5 inpainting")).to_contain_text(
        "4.3 GB · CreativeML Open RAIL-M"
    )
    asked: list[str] = []
    tab.page.route("**/models/*/download", lambda route: (asked.append(route.request.url), route.fulfill(status=202, json={"task": {}})))
    place.get_by_role("button", name="Download Stable Diffusion XL").click()
    expect(place.get_by_role("progressbar")).to_be_visible()
    assert asked[0].endswith("/models/sdxl/download")

    tab.page.locator("#clickpaint_controlnet").get_by_text("ControlNet").first.click()
    expect(tab.page.locator("clickpaint-control")).to_contain_text("models/ControlNet")
    expect(tab.page.locator("clickpaint-control")).not_to_contain_text("web UI")

    toy_checkpoint_file(models / "come.safetensors")
    expect(place.locator("select"), "without a reload").to_have_value("come.safetensors")
