"""Nothing is lost when pictures come and go, and what a file has more than pixels is said, in real Chromium."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickpaint.studio.studio import Studio
from tests.browser.conftest import BALL, BOUND, SIZE, Visit, expect, photograph, serving
from tests.browser.test_hands import removed


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Studio:
    from clickpaint.hosts.embedded import EmbeddedHost

    host = EmbeddedHost(tmp_path_factory.mktemp("keeping"), overrides={"device": "cpu", "segmenter": "classic", "eraser": "classic"})
    return Studio(host)


@pytest.fixture(scope="module")
def address(studio: Studio) -> Iterator[str]:
    with serving(studio) as address:
        yield address


def named(tab: Visit, name: str) -> None:
    """Until the picture of this name is open."""
    tab.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.name === '{name}'")
    tab.idle()


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


def test_the_history_opens_at_full_resolution_and_lets_go(visit: Callable[..., Visit], studio: Studio, photo: bytes) -> None:
    tab = visit()
    tab.open(photo, "one.png")
    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    tab.page.evaluate("() => document.querySelector('clickpaint-canvas').editor.keepSaved()")
    first, result = tab.js("e.id"), tab.fetch("image")
    tab.open(photograph((120, 120)), "two.png")
    tab.open(photograph((200, 120)), "three.png")
    studio.workspaces.settle()

    tab.page.keyboard.press("h")
    history = tab.page.get_by_role("dialog", name="History")
    item = history.get_by_role("button", name="one.png. Remove")
    item.wait_for()
    tab.page.wait_for_function("() => [...document.querySelectorAll('.cp-history img')].every((picture) => picture.naturalWidth > 0)")
    item.click()
    named(tab, "one.png")
    assert (tab.js("e.id"), tab.fetch("image")) == (first, result)
    tab.key("Control+z")
    assert tab.js("e.state.version") == 0, "with its steps"

    tab.page.keyboard.press("h")
    items = history.locator(".cp-past-item")
    expect(history.get_by_role("button", name="Remove three.png")).to_be_visible()
    before = items.count()
    history.get_by_role("button", name="Remove two.png").click()
    expect(items, "one goes").to_have_count(before - 1)
    assert {entry.name for entry in studio.workspaces.history()} >= {"one.png", "three.png"}
    assert "two.png" not in {entry.name for entry in studio.workspaces.history()}
    history.get_by_role("button", name="Remove all").click()
    history.get_by_role("button", name="for good").click()
    expect(items, "the open one stays").to_have_count(1)
    assert [entry.id for entry in studio.workspaces.history()] == [first]


def test_a_closed_tab_comes_back_once(visit: Callable[..., Visit], studio: Studio, address: str, photo: bytes) -> None:
    tab = visit(alone=True, expected=("AbortError", "Connection errored out"))
    tab.open(photo)
    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    id, context = tab.js("e.id"), tab.page.context
    studio.workspaces.settle()
    studio.workspaces.put_away(id)  # as after a restart
    blank = context.new_page()
    tab.page.close()

    page = context.new_page()
    page.set_default_timeout(BOUND)
    asked: list[Any] = []
    page.route(f"**/workspaces/{id}", lambda route: asked.append(route))
    page.goto(address)
    page.wait_for_function("() => document.querySelector('.cp-restoring img')?.naturalWidth > 0")
    expect(page.get_by_text("Bringing meadow.png back"), "before the server has read it").to_be_visible()
    expect(page.locator(".cp-welcome")).to_be_hidden()
    for route in asked:
        route.continue_()
    page.unroute_all()
    again = Visit(page)
    page.wait_for_selector("clickpaint-canvas.cp-ready")
    again.idle()
    assert (again.js("e.id"), again.js("e.state.version")) == (id, 1)
    expect(page.locator(".cp-restoring")).to_be_hidden()

    blank.goto(address)
    blank.wait_for_selector(".cp-welcome .cp-past-item img")
    other = Visit(blank)
    assert not other.js("e.ready"), "two tabs do not work on one picture"
    blank.locator(".cp-past-open").first.click()
    blank.get_by_text("is open in another tab").wait_for()


def test_a_server_that_dies_in_the_middle_of_anything_loses_nothing(visit: Callable[..., Visit], studio: Studio, photo: bytes) -> None:
    """To the page: the connection is cut, and later a server answers that has only what is on the disk (tests/app kills a real one)."""
    tab = visit(expected=("ERR_CONNECTION_RESET", "AbortError", "Connection errored out"))
    tab.open(photo)
    id, unreachable = tab.js("e.id"), tab.page.get_by_text("The server does not answer")
    cut: list[str] = []

    def answered(route: Any) -> None:
        if any(f"/workspaces/{id}/{place}" in route.request.url for place in cut):
            route.abort("connectionreset")
        else:
            route.continue_()

    # once for all: while a route is taken away and another put in its place, a request can slip through
    tab.page.route(f"**/workspaces/{id}/*", answered)

    def dies(place: str, act: Callable[[], object]) -> None:
        studio.workspaces.settle()
        before = tab.js("[e.state.version, e.state.selection?.area ?? 0, e.state.canUndo]")
        cut.append(place)
        act()
        unreachable.wait_for()
        tab.idle()
        assert tab.js("[e.state.version, e.state.selection?.area ?? 0, e.state.canUndo]") == before
        cut.clear()
        tab.page.keyboard.press("Escape")
        expect(unreachable).to_be_hidden()
        studio.workspaces.put_away(id)  # unless nothing asked for it since the last time

    dies("select", lambda: tab.click(*BALL))
    tab.click(*BALL)
    area = tab.area
    assert area > 5000
    dies("mask", lambda: tab.key("i"))
    dies("erase", lambda: tab.key("Delete"))
    tab.key("Delete")
    removed(tab)
    result = tab.fetch("image")
    dies("undo", lambda: tab.key("Control+z"))
    tab.key("Control+z")
    assert (tab.js("e.state.version"), tab.area) == (0, area)
    dies("redo", lambda: tab.key("Shift+Control+z"))
    tab.key("Shift+Control+z")
    assert tab.js("e.state.version") == 1 and tab.fetch("image") == result


def test_what_the_server_has_lost_is_uploaded_again(visit: Callable[..., Visit], studio: Studio, photo: bytes) -> None:
    tab = visit(expected=("404", "AbortError", "Connection errored out"))
    tab.open(photo)
    for how in ("in the middle", "after a reload"):
        lost = tab.js("e.id")
        studio.close(lost)
        if how == "in the middle":
            tab.click(*BALL)
        else:
            tab.page.reload()
        tab.page.get_by_text("it was uploaded again").wait_for()
        tab.idle()
        assert tab.js("e.id") != lost and tab.js("e.state.name") == "meadow.png"
        assert np.array_equal(np.asarray(Image.open(io.BytesIO(tab.fetch("image")))), np.asarray(Image.open(io.BytesIO(photo))))
        tab.page.keyboard.press("Escape")
    tab.click(*BALL)
    assert tab.area > 5000


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
    frames = [Image.open(io.BytesIO(photograph((x, 160)))) for x in (100, 200)]
    frames[0].save(file, "TIFF", save_all=True, append_images=frames[1:])
    tab = visit(locale=locale)
    tab.open(file.getvalue(), "pages.tif")
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
