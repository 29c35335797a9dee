"""The tab: the canvas, and beside it what can be chosen. The same in the web UI and stand-alone."""

from __future__ import annotations

import html
import json
from collections.abc import Callable
from typing import TYPE_CHECKING

from clickpaint.ui import control, describe, panels, task_tabs
from clickpaint.ui import gradio_compat as compat
from clickpaint.ui.pasting import Paste

if TYPE_CHECKING:
    import gradio as gr

    from clickpaint.ui.front import Front


def build(
    studio: Front, *, language: str | None = None, below: Callable[[], None] | None = None, paste: Paste | None = None, token: str = "",
) -> gr.Blocks:  # fmt: skip
    """The tab of a web UI as Gradio blocks. The page must load `javascript/clickpaint.mjs` and `style.css`; a web UI does so by itself.

    Args:
        language: "auto", "en" or "zh_CN" for the canvas; None for the setting's.
        below: makes what a host puts below the canvas.
        paste: tells a host which widgets take what from an infotext.
        token: what the page's script shows to the API, where the host wants that.
    """
    import gradio as gr

    level = compat.accepted(gr.Row.__init__, equal_height=False)
    with compat.blocks("Clickpaint") as page, gr.Row(elem_id="clickpaint_page", elem_classes=["cp-page"], **level):
        with gr.Column(scale=5, min_width=320, elem_classes=["cp-main"]):
            compat.html(canvas(studio, language or studio.host.setting("language"), token), elem_id="clickpaint_canvas")
            if below is not None:
                below()
        _side(studio, paste)
    return page


def build_beside_canvas(studio: Front) -> gr.Blocks:
    """What is beside the canvas, alone: the stand-alone page has the canvas in its own HTML (`shell.with_canvas`)."""
    with compat.blocks("Clickpaint") as page:
        _side(studio, None)
        compat.on(page.load, "() => (window.clickpaint?.joined(), [])")
    return page


def _side(studio: Front, paste: Paste | None) -> None:
    import gradio as gr

    with gr.Column(scale=1, min_width=300, elem_classes=["cp-side"]):
        can = studio.host.capabilities()
        tasks = can.paint or not can.own_sampler  # without a web UI, a checkpoint may come while the page is open
        if tasks:
            removing = task_tabs.tasks(studio, can, paste, panels.saving)
        else:
            removing = panels.removing(studio)
            panels.starts_removing(removing)
            panels.saving()
        segmenter = panels.selecting(studio)
        panels.follow_files(studio, segmenter, removing.eraser, diffusion=tasks)
        if studio.host.settings_file is not None:
            panels.follow_settings(studio, removing, segmenter, diffusion=tasks)
        describe.panel()
        control.maps()
        panels.results()
        panels.models()


def canvas(studio: Front, language: str, token: str = "") -> str:
    """The canvas element, which starts with the host's settings."""
    setting = studio.host.setting
    options = {key: setting(name) for key, name in SETTINGS.items()} | {"auto_edge": panels.follows_picture(setting)}
    options |= {key: None for key in ("grow", "feather") if options[key] < 0}
    data = html.escape(json.dumps(options), quote=True)
    shown = f' data-token="{html.escape(token)}"' if token else ""
    return f'<clickpaint-canvas data-language="{html.escape(language)}" data-options="{data}"{shown}></clickpaint-canvas>'


SETTINGS = {"segmenter": "segmenter", "eraser": "eraser", "grow": "erase_grow", "feather": "erase_feather", "grain": "erase_grain"}
"""The canvas's options that begin with settings, and those."""
