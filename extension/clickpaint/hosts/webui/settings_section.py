"""Our settings among the web UI's: a section of their own, generated from the one table of settings."""

from __future__ import annotations

from typing import Any

from clickpaint.settings import SETTINGS, Setting

OPTION = "clickpaint_"
"""Put before our settings' keys in the web UI's options."""

_SECTION = ("clickpaint", "Clickpaint")


def add_options() -> None:
    """Register all settings that mean something here; called for `on_ui_settings`, again after every reload of the page."""
    from modules import shared

    for setting in SETTINGS.values():
        if not setting.alone:
            shared.opts.add_option(OPTION + setting.key, _info(setting))


def _info(setting: Setting) -> Any:
    import gradio as gr
    from modules import shared

    component: Any = None
    arguments: dict[str, Any] = {}
    if setting.choices is not None:
        component, arguments = gr.Dropdown, {"choices": list(setting.choices)}
    elif isinstance(setting.default, (int, float)) and not isinstance(setting.default, bool):
        component, arguments = gr.Number, {"precision": 0 if isinstance(setting.default, int) else None}
    # private ones name paths and addresses: neither the web UI's API nor a pasted infotext may set them
    info = shared.OptionInfo(setting.default, setting.label, component, arguments, section=_SECTION, restrict_api=setting.private)
    return info.info(setting.help) if setting.help else info
