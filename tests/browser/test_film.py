"""The film strip: a clip is opened, something in it pointed at, followed and removed, played, saved, and there again after a reload."""

from __future__ import annotations

import io
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from clickpaint.api import video_schemas
from tests.browser.conftest import Visit, expect, photograph
from tests.browser.film import Landscape, filmed

SIZE, COUNT = (160, 96), 9
DROP = """([bytes, name]) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([new Uint8Array(bytes)], name));
    document.querySelector('.cp-stage').dispatchEvent(new DragEvent('drop', {dataTransfer: transfer, bubbles: true}));
}"""


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Landscape]:
    pytest.importorskip("av")
    path = tmp_path_factory.mktemp("film") / "ball.mp4"
    return path, filmed(path, SIZE, COUNT)


def moving(pictures: list[Image.Image]) -> bytes:
    """A GIF of these."""
    file = io.BytesIO()
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=80)
    return file.getvalue()


class Screening:
    """A tab with a clip."""

    def __init__(self, tab: Visit, scene: Landscape) -> None:
        self.tab, self.page, self.scene = tab, tab.page, scene
        self.strip, self.slider = tab.page.locator(".cp-film"), tab.page.locator(".cp-film-track")

    def button(self, name: str) -> Any:
        return self.strip.get_by_role("button", name=name, exact=True)

    def wait(self, condition: str) -> None:
        """Until this holds of the clip `f`."""
        here = "const c = document.querySelector('clickpaint-canvas'), f = c.film.clip;"
        self.page.wait_for_function(f"() => {{ {here} return {condition} }}")

    def ask(self, expression: str) -> Any:
        return self.tab.js(f"((f) => {expression})(c.film.clip)")

    def at(self, number: int) -> None:
        """Until this frame is what the canvas shows and works on."""
        expect(self.slider).to_have_attribute("aria-valuenow", str(number))
        shown = "c.editor.state.workspace.frame.split(' ').slice(1, 3)"
        self.wait(f"f.stills.now && !c.editor.changes.pending && {shown}.join() === '{number},' + f.version")
        self.tab.idle()

    def red(self, number: int) -> bool:
        """Whether what is drawn where the ball is in a frame is as red as the ball."""
        red, green, blue, _ = self.tab.pixel("picture", *self.scene.ball(number)[:2])
        return red > green + 60 and red > blue + 60


def test_a_clip_from_the_file_to_the_file(
    visit: Callable[..., Visit], film: tuple[Path, Landscape], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from clickpaint.video.tracker_classic import ClassicTracker

    path, scene = film
    tab = visit(expected="409 (Conflict)")  # what is stopped is answered so
    tab.open(photograph())
    picture = tab.js("e.id")
    tab.page.locator(".cp-file").set_input_files(path)
    on = Screening(tab, scene)
    expect(on.strip).to_be_visible()
    on.at(0)
    assert on.red(0) and on.slider.get_attribute("aria-valuemax") == str(COUNT - 1)
    expect(on.button("Track")).to_be_disabled()

    # stepping and marks
    for _ in range(3):
        tab.key(".")
    tab.key(",")
    on.at(2)
    assert on.red(2) and not on.red(7)
    tab.key("i")
    on.slider.focus()
    tab.page.keyboard.press("End")
    on.at(COUNT - 1)
    tab.key(",")
    on.at(COUNT - 2)
    tab.key("o")
    on.wait(f"f.info.in_mark === 2 && f.info.out_mark === {COUNT - 2}")
    expect(on.slider).to_have_attribute("aria-valuetext", f"Frame {COUNT - 2} of {COUNT - 1}, 0:00.28")

    # a click says what is meant; Stop keeps what was followed
    tab.key(",")
    on.at(6)
    x, y, _ = scene.ball(6)
    tab.click(x, y)
    on.wait("f.corrected.join() === '6'")
    follow, reached, stopped = ClassicTracker.follow, threading.Event(), threading.Event()

    def slowly(self: Any, frames: Any, start: int, mask: Any, stop: int, progress: Any = None) -> Any:
        for number, tracked in enumerate(follow(self, frames, start, mask, stop, progress)):
            if stop < start and number == 1:
                reached.set()
                stopped.wait(60)
            yield tracked

    monkeypatch.setattr(ClassicTracker, "follow", slowly)
    on.button("Track").click()
    assert reached.wait(60)
    progress = tab.page.locator(".cp-progress")
    expect(progress).to_contain_text(f"of {COUNT - 4} frames")
    with tab.page.expect_response("**/interrupt"):
        progress.get_by_role("button", name="Stop").click()
    stopped.set()
    monkeypatch.undo()
    on.wait("!f.work.busy")
    [[first, last]] = on.ask("f.info.objects[0].known")
    assert 2 < first < 6 and last == 7, "what was found stays"
    on.button("Track").click()
    on.wait("!f.work.busy && String(f.info.objects[0].known) === '2,7'")
    tab.key("i")  # ... of the frame that is shown: only behind it is anything done
    on.wait("f.info.in_mark === 6")
    tab.key("i")
    on.wait("f.info.in_mark === 0")

    # a second object, which is given up again
    on.button("One more object").click()
    expect(on.strip.get_by_role("radio", name="Object 2")).to_be_checked()
    tab.idle()
    assert on.ask("f.others.length") == 1, "the other one's mask is seen, too"
    tab.click(30, 20)
    on.wait("f.info.objects.length === 2")
    on.button("Forget this object").click()
    on.wait("f.info.objects.length === 1 && f.object === '1'")

    # removing, before and after, undo and redo
    on.at(6)
    assert tab.area > 100
    on.button("Remove from the clip").click()
    on.wait("f.version === 1 && !f.work.busy")
    on.at(6)
    assert not on.red(6) and tab.area == 0
    tab.stage.hover()
    tab.page.keyboard.down("Tab")
    on.wait("f.stills.before")
    tab.idle()
    assert on.red(6), "as it was"
    tab.page.keyboard.up("Tab")
    tab.key("Control+z")
    on.wait("f.version === 0")
    on.at(6)
    assert on.red(6)
    tab.key("Control+Shift+z")
    on.wait("f.version === 1")
    on.at(6)

    # playing, with the original beside it: at once from here, and nothing of it is asked for as a whole
    monkeypatch.setattr("clickpaint.video.playing_parts.SECONDS", 0.04)
    asked: list[str] = []
    tab.page.on("request", lambda request: asked.append("/".join(request.url.split("/")[-2:])))
    tab.page.get_by_role("button", name="Compare with the original").click()
    tab.stage.focus()
    tab.key(" ")
    expect(on.button("Pause")).to_be_visible()
    on.wait("f.player.pictures?.before && f.frame !== 6")
    expect(on.button("Pause")).to_have_attribute("aria-busy", "false")
    tab.key(" ")
    expect(on.button("Play")).to_be_visible()
    played = [address for address in asked if address.startswith("parts/")]
    assert played[:3] == ["parts/3?version=1", "parts/4?version=1", "parts/0?version=1"], "from the frame shown, and again from the start"
    assert not [address for address in asked if address.startswith(("file", "preview"))]
    tab.page.get_by_role("button", name="Compare with the original").click()

    # the file, with its sound
    with tab.page.expect_download() as saved:
        tab.key("Control+s")
    saved.value.save_as(tmp_path / "saved.mp4")
    assert saved.value.suggested_filename == "ball-1.mp4"
    sound, times = streams(path)
    assert streams(tmp_path / "saved.mp4") == (sound, times)

    # a reload keeps all
    tab.page.reload()
    on.wait("f.info && f.stills.now && !c.editor.changes.pending")
    assert on.ask("[f.version, f.unsaved, f.object, f.corrected.join(), f.info.out_mark]") == [1, False, "1", "6", COUNT - 2]
    tab.page.wait_for_selector("#clickpaint_remove:not(.cp-idle)")  # Gradio's part has come, and knows that there is something

    # back to the picture; and pictures that move are clips
    tab.page.keyboard.press("Escape")
    expect(on.strip).to_be_hidden()
    on.wait(f"c.editor.state.workspace?.id === '{picture}'")
    animation = moving([Image.fromarray(scene.frame(number)) for number in (0, 1)])
    tab.page.evaluate(DROP, [list(animation), "moves.gif"])
    expect(on.strip).to_be_visible()
    on.at(0)
    assert on.ask("[f.info.container, f.info.frames]") == ["gif", 2]
    on.button("Close the clip").click()
    expect(on.strip).to_be_hidden()
    on.wait(f"c.editor.state.workspace?.id === '{picture}'")

    # the history has both
    tab.key("h")
    past = tab.page.locator(".cp-past-clips .cp-past-item")
    expect(past.filter(has_text="ball.mp4").first).to_be_visible()
    count = past.count()
    past.filter(has_text="moves.gif").get_by_role("button", name="Remove").first.click()
    expect(past).to_have_count(count - 1)
    past.filter(has_text="ball.mp4").locator(".cp-past-open").first.click()
    expect(on.strip).to_be_visible()
    on.at(0)
    assert on.ask("f.version") == 1
    tab.page.keyboard.press("Escape")
    expect(on.strip).to_be_hidden()
    on.wait(f"c.editor.state.workspace?.id === '{picture}' && !c.editor.changes.pending")


def test_a_clip_is_filled_by_what_the_open_tab_says_and_played_frame_by_frame(
    visit: Callable[..., Visit], film: tuple[Path, Landscape]
) -> None:
    tab = visit(expected=("409 (Conflict)", "404 (Not Found)", "504 (Gateway Timeout)"))
    on = Screening(tab, film[1])
    animation = moving([Image.fromarray(film[1].frame(number)) for number in (0, 1)])
    tab.page.locator(".cp-file").set_input_files({"name": "moves.gif", "mimeType": "image/gif", "buffer": animation})
    on.at(0)
    x, y, _ = film[1].ball(0)
    tab.click(x, y)
    on.wait("f.corrected.length")

    # a frame whose workspace the server has lost gets another one with the next click
    tab.page.evaluate("() => { const {api, editor} = document.querySelector('clickpaint-canvas').workbench; return api.close(editor.id) }")
    tab.click(x, y)
    on.wait("!c.editor.begun")
    on.at(0)
    assert tab.area > 100, "what was selected is still there"
    tab.click(x - 4, y)
    on.wait("c.editor.begun && !c.editor.changes.pending")
    tabs = tab.page.locator("#clickpaint_tasks [role=tab]:visible")
    expect(tabs).to_have_text(["Remove", "Fill", "Replace"])
    tabs.nth(1).click()
    tab.page.locator("#clickpaint_fill_prompt textarea").fill("a balloon")
    asked: list[dict[str, Any]] = []

    def answered(route: Any) -> None:
        asked.append(route.request.post_data_json)
        route.fulfill(status=200, json={})

    tab.page.route("**/videos/*/fill", answered)
    with tab.page.expect_response("**/videos/*/fill"):
        tab.page.locator("#clickpaint_fill").click()
    on.wait("!f.work.busy")
    [body] = asked
    assert (body["prompt"], body["objects"], body["denoising_strength"]) == ("a balloon", ["1"], 0.75)
    assert video_schemas.FillInVideoBody(**body).steps == 20, "and nothing is asked that the API refuses"
    assert on.ask("f.info.objects[0].known") == [[0, 1]], "it was followed first"
    tabs.nth(0).click()

    # a proxy that gave up waiting is asked once more
    tab.page.route("**/videos/*/file?*", lambda route: route.fulfill(status=504, body=""), times=1)
    with tab.page.expect_download() as saved:
        tab.page.locator(".cp-actions").get_by_role("button", name="Save").click()
    assert saved.value.suggested_filename == "moves.gif"

    tab.page.set_viewport_size({"width": 390, "height": 844})
    expect(on.slider, "on a telephone it is in sight with the picture").to_be_in_viewport(ratio=1)

    # a browser that takes no parts gets the whole
    tab.page.evaluate("() => { globalThis.MediaSource = globalThis.ManagedMediaSource = undefined }")
    with tab.page.expect_response("**/videos/*/file?version=0"):
        on.button("Play").click()
    on.wait("f.player.pictures && !f.player.waiting")
    on.button("Pause").click()
    on.ask("f.player.forget()")

    # without the package that makes films, or in a browser that plays none
    tab.page.route("**/videos/*/parts", lambda route: route.fulfill(status=409, json={"error": "ModelMissing", "message": "No."}))
    on.button("Play").click()
    for number in (1, 0, 1):
        on.wait(f"f.player.pictures && f.frame === {number}")
    on.button("Pause").click()
    expect(on.button("Play")).to_be_visible()
    expect(tab.page.locator(".cp-toast")).to_have_count(0)


def streams(path: Path) -> tuple[list[bytes], list[float]]:
    """The packets of a video's sound, and when its frames are shown."""
    import av

    with av.open(str(path)) as container:
        sound = [bytes(packet) for packet in container.demux(audio=0) if packet.size]
    with av.open(str(path)) as container:
        return sound, [round(float(frame.pts * frame.time_base), 3) for frame in container.decode(video=0)]
