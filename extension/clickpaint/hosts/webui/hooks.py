"""The web UI's callbacks that we use, by our own names, and what differs between versions in registering them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any


def register(
    *,
    tab: Callable[[], list[tuple[Any, str, str]]],
    settings: Callable[[], None],
    started: Callable[[Any, Any], None],
    after_component: Callable[..., None],
    before_page: Callable[[], None],
) -> None:
    """Register for this load of the scripts; the web UI forgets all callbacks before it loads them again.

    Args:
        tab: makes the tab's blocks: [(blocks, title, element id)].
        settings: adds the options.
        started: called with the page (None for --nowebui) and the FastAPI app.
        after_component: called with every component of the page and what it was made with.
        before_page: called when the scripts of all extensions are loaded, before the page is made (without one, too).
    """
    from modules import script_callbacks

    def add_all() -> None:
        for add, callback in (
            (script_callbacks.on_ui_tabs, tab),
            (script_callbacks.on_ui_settings, settings),
            (script_callbacks.on_app_started, started),
            (script_callbacks.on_after_component, after_component),
            (script_callbacks.on_before_ui, before_page),
        ):
            named = {"name": "clickpaint"} if "name" in inspect.signature(add).parameters else {}  # since 1.9
            add(callback, **named)

    # With every callback the web UI looks up the source of each frame of the stack, to learn who it is from: 25 ms for each in the
    # middle of its start. A thread's stack is short.
    with ThreadPoolExecutor(1, "clickpaint-register") as pool:
        pool.submit(add_all).result()
