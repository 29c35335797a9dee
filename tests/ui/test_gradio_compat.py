"""Handlers that work in every version: the same call, whatever the argument is called there."""

from __future__ import annotations

import re
from typing import Any

import pytest

pytest.importorskip("gradio")

from clickpaint.ui import gradio_compat as compat


class Widget:
    """A component's event, with the arguments that it has in versions of gradio."""

    def __init__(self) -> None:
        self.given: dict[str, Any] = {}

    def click_3(self, fn=None, inputs=None, outputs=None, api_name=None, queue=None, show_progress="full", _js=None):
        self.given = locals() | {"js": _js}

    def click_4(self, fn=None, inputs=None, outputs=None, api_name=None, queue=True, show_progress="full", js=None, show_api=True):
        self.given = locals()

    def click_6(self, fn=None, inputs=None, outputs=None, queue=True, show_progress="full", js=None, api_visibility="public"):
        self.given = locals()


@pytest.mark.parametrize("major", [3, 4, 6])
def test_a_handler_without_python_never_waits_in_a_queue(monkeypatch: pytest.MonkeyPatch, major: int) -> None:
    monkeypatch.setattr(compat, "version", lambda: major)
    widget = Widget()
    compat.on(getattr(widget, f"click_{major}"), "() => []", ["slider"])
    given = widget.given
    assert (given["js"], given["fn"], given["inputs"], given["outputs"], given["queue"]) == ("() => []", None, ["slider"], None, False)
    assert given.get("api_visibility") == "private" if major == 6 else given["api_name"] is False


@pytest.mark.parametrize("major", [3, 4, 6])
def test_one_with_python_waits_where_the_host_wants_it(monkeypatch: pytest.MonkeyPatch, major: int) -> None:
    monkeypatch.setattr(compat, "version", lambda: major)
    widget = Widget()
    compat.on(getattr(widget, f"click_{major}"), "x => [x]", ["a"], print, ["b"])
    assert widget.given["fn"] is print and widget.given["outputs"] == ["b"]
    assert widget.given["queue"] is (None if major == 3 else True)


def test_only_what_is_known_is_handed_on() -> None:
    def function(one: int, *, two: int = 0) -> None: ...

    assert compat.accepted(function, one=1, two=2, three=3) == {"one": 1, "two": 2}


def test_a_kept_description_is_that_of_the_component_and_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    import gradio as gr

    made = []
    describe = gr.Image.api_info
    monkeypatch.setattr(gr.Image, "api_info", lambda self: made.append(self) or describe(self))
    plain, kept = gr.Image(), compat.described_once(gr.Image())
    assert [kept.api_info(), kept.api_info()] == [plain.api_info()] * 2 and made == [kept, plain]


def test_the_theme_loads_no_font() -> None:
    theme = compat.theme(body_background_fill="#123456", not_known_anywhere="x")
    assert not any(str(sheet).startswith("http") for sheet in theme._stylesheets)
    assert "#123456" in theme._get_theme_css()
    assert not re.search(r"url\(['\"]?(https?:|//)", theme._get_theme_css())
