"""Kept for training by clicks in real Chromium: the data set is what was clicked, in every layout that it goes out in."""

from __future__ import annotations

import colorsys
import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.train.dataset.collection import Collection
from clickpaint.train.dataset.examples import DataSet, open_data_set
from clickpaint.train.dataset.picture_reading import mask_of, read_picture
from tests.browser.conftest import BALL_RADIUS, Visit, expect, photograph
from tests.browser.test_accessible import AXE, violations
from tests.browser.test_hands import removed

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
        assert violations(tab) == [], "the data sets"
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
        assert violations(tab) == [], "the question of what to keep"
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
