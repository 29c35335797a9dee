"""Kept for training by clicks in real Chromium: the data set is what was clicked, in every layout that it goes out in; and what becomes of
it by a training that is begun, watched, stopped and tried in the page."""

from __future__ import annotations

import colorsys
import io
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickpaint.train.dataset.collection import Collection, NewExample
from clickpaint.train.dataset.examples import DataSet
from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.dataset.picture_reading import mask_of, read_picture
from tests.browser.conftest import BALL_RADIUS, Visit, expect, photograph, serving
from tests.browser.test_accessible import AXE, violations
from tests.browser.test_hands import removed


@pytest.fixture(scope="module")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def address(data_folder: Path) -> Iterator[str]:
    """A program with a checkpoint of a test's size."""
    from clickpaint.studio.studio import Studio
    from tests.toys.studio import ToyHost
    from tests.toys.tensor_source import TensorSource
    from tests.train.toys import checkpoint_tensors

    host = ToyHost(data_folder, segmenter="classic", eraser="classic", device="cpu")
    host.can_paint = True
    host.source = TensorSource("toy", lambda: checkpoint_tensors(4, "sd1"), prediction="epsilon")
    with serving(Studio(host)) as address:
        yield address


LAYOUTS = ("onetrainer", "kohya", "kohya-alpha", "imagefolder")


def drawn(number: int) -> tuple[tuple[int, int], bytes]:
    """A ball of its own colour at a place of its own, and where it is."""
    ball = 70 + number * 83 % 340, 70 + number * 47 % 180
    red, green, blue = (round(255 * part) for part in colorsys.hsv_to_rgb(number * 0.618 % 1, 0.9, 0.85))
    return ball, photograph(ball, f"#{red:02x}{green:02x}{blue:02x}", number)


def keep(tab: Visit, name: str, caption: str = "", count: int = 0, what: str = "selection") -> None:
    """Keep it with the key and the question that a user is asked."""
    tab.page.keyboard.press("k")
    dialog = tab.page.locator("dialog.cp-keep[open]")
    field = dialog.locator("input[name=dataset]")
    # it asks the server for the sets that there are before it can be used
    expect(dialog.locator("textarea")).not_to_have_attribute("placeholder", "")
    field.fill(name)
    dialog.locator("select").select_option(what)
    trigger = dialog.locator("input[name=trigger]")
    if trigger.is_visible():
        trigger.fill("ohwx")
    dialog.locator("textarea").fill(caption)
    dialog.locator("textarea").press("Enter")
    expect(tab.page.locator(".cp-notices")).to_contain_text(f"“{name}” ({count})")
    tab.idle()


def contents(data_set: DataSet) -> list[Any]:
    rows = []
    for example in data_set.examples:
        mask = mask_of(example)
        rows.append((
            read_picture(example.picture).digest, data_set.prompt(example), example.repeats, None if mask is None else mask.tobytes(),
        ))  # fmt: skip
    return sorted(rows, key=repr)


def exported(tab: Visit, layout: str, folder: Path) -> DataSet:
    panel = tab.page.locator("clickpaint-datasets")
    panel.locator("select[name=layout]").select_option(layout)
    with tab.page.expect_download() as download:
        panel.get_by_role("button", name="Download", exact=True).click()
    assert download.value.suggested_filename.endswith(f"-{layout}.zip")
    with zipfile.ZipFile(io.BytesIO(Path(download.value.path()).read_bytes())) as archive:
        archive.extractall(folder / layout)
    return open_data_set(folder / layout)


def collected(tab: Visit, data_folder: Path, folder: Path, count: int) -> Collection:
    """Click on `count` pictures, keep each, and compare what every layout gives back with what was clicked."""
    for number in range(count):
        ball, picture = drawn(number)
        tab.open(picture, f"photo{number}.png")
        tab.click(*ball)
        keep(tab, "balls", f"a ball, number {number}", number + 1)
    collection = Collection(data_folder / "datasets")
    data_set = collection.get("balls")
    assert data_set.trigger == "ohwx" and [example.caption for example in data_set.examples] == [
        f"a ball, number {number}" for number in range(count)
    ]
    rows, columns = np.mgrid[:320, :480]
    for number, example in enumerate(data_set.examples):
        (x, y), picture = drawn(number)
        assert np.array_equal(read_picture(example.picture).pixels, np.asarray(Image.open(io.BytesIO(picture))))
        disc, mask = (columns - x) ** 2 + (rows - y) ** 2 <= BALL_RADIUS**2, mask_of(example)
        assert mask is not None and (disc & (mask > 127)).sum() / (disc | (mask > 127)).sum() > 0.93
    tab.page.keyboard.press("d")
    expect(tab.page.locator(".cp-set-example")).to_have_count(count)
    for layout in LAYOUTS:
        assert contents(exported(tab, layout, folder)) == contents(data_set), layout
    return collection


def test_clicked_pictures_go_into_a_data_set_and_out_in_every_layout(
    visit: Callable[..., Visit], data_folder: Path, tmp_path: Path
) -> None:
    tab = visit()
    collection = collected(tab, data_folder, tmp_path, 3)
    panel = tab.page.locator("clickpaint-datasets")
    expect(panel.locator(".cp-set-example img[src]")).to_have_count(3)
    if AXE.exists():
        tab.page.evaluate(AXE.read_text("utf-8"))
        assert violations(tab, "dialog[open]") == [], "the data sets"
        tab.page.emulate_media(color_scheme="dark")

    words = panel.locator(".cp-set-example textarea")
    words.nth(0).fill("the first")
    words.nth(0).press("Enter")
    expect(words.nth(1)).to_be_focused()
    panel.locator(".cp-set-example input").nth(1).fill("4")
    panel.locator(".cp-set-example input").nth(1).press("Tab")
    expect(panel.locator("p.cp-quiet").last).to_contain_text("Turns in an epoch: 6, with a mask: 6.")
    panel.get_by_label("Trigger word").last.fill("sks")
    panel.get_by_label("Trigger word").last.press("Tab")
    panel.get_by_role("button", name="Delete photo2").click()
    expect(panel.locator(".cp-set-example")).to_have_count(2)
    data_set = collection.get("balls")
    assert data_set.trigger == "sks" and [(example.caption, example.repeats) for example in data_set.examples] == [
        ("the first", 1), ("a ball, number 1", 4)
    ]  # fmt: skip
    assert contents(exported(tab, "kohya", tmp_path / "again")) == contents(data_set)
    tab.page.keyboard.press("Escape")

    tab.key("Delete")
    removed(tab)
    if AXE.exists():
        tab.page.keyboard.press("k")
        tab.page.locator("dialog.cp-keep[open]").wait_for()
        assert violations(tab, "dialog[open]") == [], "the question of what to keep"
        tab.page.keyboard.press("Escape")
    keep(tab, "balls", "remove the ball", 3, "edit")
    pair = collection.get("balls").examples[-1]
    assert pair.before is not None and np.array_equal(read_picture(pair.before).pixels, np.asarray(Image.open(io.BytesIO(drawn(2)[1]))))
    tab.page.keyboard.press("d")
    expect(panel.locator("[data-mark=pair]")).to_have_count(1)
    expect(panel.locator(".cp-set-example").last.locator("img[src]")).to_have_count(2)
    panel.get_by_role("button", name="Delete the data set").click()
    panel.get_by_role("button", name="for good?").click()
    expect(panel.locator(".cp-set-example")).to_have_count(0)
    assert collection.names() == []


def test_a_data_set_is_learned_in_the_page(visit: Callable[..., Visit], data_folder: Path) -> None:
    from tests.train.toys import scene

    collection, example = Collection(data_folder / "datasets"), scene((40, 160, 60))
    collection.create("reds", "ohwx")
    file = io.BytesIO()
    Image.fromarray(example.pixels).save(file, "PNG")
    collection.add("reds", [NewExample("a", file.getvalue(), "a red square", example.mask > 0.5)])
    tab = visit()
    tab.page.locator(".cp-sample").first.click()
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    tab.idle()
    tab.page.keyboard.press("d")
    tab.page.locator("clickpaint-datasets").get_by_role("button", name="Train", exact=True).click()
    panel = tab.page.locator("clickpaint-training")
    expect(panel.locator("select[name=dataset]")).to_have_value("reds")
    expect(panel.locator("input[name=trigger]")).to_have_value("ohwx")
    panel.locator("input[name=name]").fill("red")
    panel.locator("select[name=quality]").select_option("quick")
    panel.locator("summary").click()
    expect(panel.locator("input[name=rank]")).to_have_attribute("placeholder", "8")  # as the quality chooses it

    def tell(**values: int) -> None:
        for name, value in values.items():
            panel.locator(f".cp-learn-fields [name={name}]").fill(str(value))
            panel.locator(f".cp-learn-fields [name={name}]").press("Tab")

    tell(steps=100000, resolution=64, rank=2, sample_every=1000, sample_steps=1)
    panel.get_by_role("button", name="How long, how much memory?").click()
    expect(panel.locator(".cp-note")).to_contain_text("for 100000 steps at 64 px")
    if AXE.exists():
        tab.page.evaluate(AXE.read_text("utf-8"))
        assert violations(tab, "dialog[open]") == [], "all that a training can be told"
    panel.locator("summary").click()
    panel.get_by_role("button", name="Start", exact=True).click()
    now = panel.locator(".cp-learn-now")
    expect(now.locator("polyline")).to_have_count(2)
    now.get_by_role("button", name="Pause and paint").click()
    expect(now).to_contain_text("Waits until you go on")
    tab.page.reload()
    tab.page.wait_for_selector("clickpaint-canvas.cp-ready")
    tab.page.locator("body").press("n")
    expect(now).to_contain_text("Waits until you go on")
    expect(panel.locator("input[name=name]")).to_have_value("red")
    expect(now.locator("img[src]")).to_have_count(1)
    if AXE.exists():
        tab.page.evaluate(AXE.read_text("utf-8"))
        assert violations(tab, "dialog[open]") == [], "a training"
        tab.page.emulate_media(color_scheme="dark")
        assert violations(tab, "dialog[open]") == [], "a training in the dark"
    now.get_by_role("button", name="Go on").click()
    expect(now).to_contain_text("left")
    now.get_by_role("button", name="Stop").click()
    expect(now).to_contain_text("Stopped; it can go on")

    panel.locator("summary").click()
    tell(steps=2)
    panel.get_by_role("button", name="Start", exact=True).click()
    expect(now.get_by_role("alert")).to_contain_text("holds a training with other settings")
    panel.get_by_role("button", name="Start over").click()
    expect(now).to_contain_text("Done · step 2 of 2")
    now.get_by_role("button", name="Try it").click()
    expect(tab.page.locator("#clickpaint_fill_prompt textarea")).to_have_value("<lora:red:1> ohwx")
    assert (data_folder / "Lora" / "red.safetensors").is_file()
