"""The web UI's callbacks that we use, by our own names, and what differs between versions in registering them."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any


def register(
    *,
    tab: Callable[[], list[tuple[Any, str, str]]],
    settings: Callable[[], None],
    started: Callable[[Any, Any], None],
    after_component: Callable[..., None],
) -> None:
    """Register for this load of the scripts; the web UI forgets all callbacks before it loads them again.

    Args:
        tab: makes the tab's blocks: [(blocks, title, element id)].
        settings: adds the options.
        started: called with the page (None for --nowebui) and the FastAPI app.
        after_component: called with every component of the page and what it was made with.
    """
    from modules import script_callbacks

    for add, callback in (
        (script_callbacks.on_ui_tabs, tab),
        (script_callbacks.on_ui_settings, settings),
        (script_callbacks.on_app_started, started),
        (script_callbacks.on_after_component, after_component),
    ):
        named = {"name": "clickpaint"} if "name" in inspect.signature(add).parameters else {}  # since 1.9
        add(callback, **named)


def report(what: str) -> None:
    """Put an exception into the web UI's log the way it shows its own."""
    from modules import errors

    errors.report(f"Clickpaint: {what}", exc_info=True)
