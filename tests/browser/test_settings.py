"""The settings in the page: searched, changed, kept, and acting."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import BALL, Visit, expect, serving
from tests.browser.test_hands import removed


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("settings")


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    overrides = {"device": "cpu", "segmenter": "classic"}
    with serving(Studio(EmbeddedHost(folder, environment={}, overrides=overrides))) as address:
        yield address


def opened(tab: Visit, search: str = "") -> Any:
    """The dialog, with the settings that this finds."""
    tab.page.get_by_role("button", name="Settings", exact=True).click()
    dialog = tab.page.get_by_role("dialog", name="Settings")
    dialog.locator(".cp-setting").first.wait_for()
    dialog.get_by_role("searchbox").fill(search)
    return dialog


def test_they_are_searched_changed_and_kept(visit: Callable[..., Visit], folder: Path, photo: bytes) -> None:
    tab = visit(expected="400")
    dialog = opened(tab, "photos")
    expect(dialog.get_by_text("No setting is called like that.")).to_be_visible()
    dialog.get_by_role("searchbox").fill("theme")
    expect(dialog.locator(".cp-setting:visible")).to_have_count(1)
    dialog.get_by_label("Theme", exact=True).select_option("Dark")
    expect(dialog.get_by_text("Saved", exact=True)).to_be_visible()
    expect(tab.page.locator("body.dark"), "at once").to_have_count(1)

    dialog.get_by_role("searchbox").fill("")
    expect(dialog.get_by_label("Device", exact=True), "an option decides").to_be_disabled()
    grow = dialog.get_by_label("Grow before erasing (px)", exact=True)
    grow.fill("999")
    grow.blur()
    expect(dialog.get_by_text("It goes from -1 to 256.")).to_be_visible()
    for field, value in (("Grow before erasing (px)", "30"), ("Feather (px)", "5")):
        dialog.get_by_label(field, exact=True).fill(value)
        dialog.get_by_label(field, exact=True).blur()
        expect(dialog.locator(".cp-setting", has_text=field).get_by_text("Saved", exact=True)).to_be_visible()
    dialog.get_by_label("Folder for saved pictures and painted results", exact=True).fill(str(folder / "mine"))
    dialog.get_by_label("Folder for saved pictures and painted results", exact=True).blur()
    folders = dialog.locator(".cp-setting", has_text="Folder for saved pictures and painted results")
    expect(folders.get_by_text("Saved", exact=True)).to_be_visible()
    dialog.get_by_label("Language", exact=True).select_option("简体中文")
    expect(dialog.get_by_role("button", name="Load again")).to_be_visible()
    kept = json.loads((folder / "settings.json").read_text("utf-8"))
    assert kept == {"theme": "dark", "erase_grow": 30, "erase_feather": 5, "output_dir": str(folder / "mine"), "language": "zh_CN"}
    tab.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(tab.page.locator("#clickpaint_grow input[type=number]"), "the widget follows").to_have_value("30")

    tab.page.reload()
    tab.page.wait_for_selector(".cp-sample")
    expect(tab.page.locator("body.dark")).to_have_count(1)
    expect(tab.page.get_by_role("button", name="设置", exact=True)).to_be_visible()
    expect(tab.page.locator("#clickpaint_remove")).to_have_text("移除")
    expect(tab.page.locator("#clickpaint_grow input[type=number]")).to_have_value("30")
    tab.open(photo)
    tab.click(*BALL)
    tab.key("Delete")
    removed(tab)
    tab.key("Control+s")
    tab.page.wait_for_function("() => !document.querySelector('clickpaint-canvas').editor.unsaved")
    tab.page.get_by_role("button", name="设置", exact=True).click()
    dialog = tab.page.get_by_role("dialog", name="设置")
    dialog.get_by_role("button", name="恢复默认值: 语言").click()
    expect(dialog.get_by_text("已保存")).to_be_visible()
    dialog.get_by_role("button", name="恢复默认值: 主题").click()
    expect(tab.page.locator("body.dark")).to_have_count(0)
    assert [*(folder / "mine").iterdir()], "saved where the setting says"


def test_inside_a_web_ui_the_button_opens_its_settings(visit: Callable[..., Visit]) -> None:
    tab = visit()
    pressed = tab.page.evaluate("""() => {
        const pressed = [];
        for (const id of ['tab_settings-button', 'settings_clickpaint-button']) {
            const button = Object.assign(document.createElement('button'), {id, onclick: () => pressed.push(id)});
            document.body.append(button);
        }
        document.querySelector('clickpaint-canvas').actions.settings();
        document.querySelectorAll('[id$=-button]').forEach((one) => one.parentElement === document.body && one.remove());
        return pressed;
    }""")
    assert pressed == ["tab_settings-button", "settings_clickpaint-button"]
