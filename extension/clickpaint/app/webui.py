"""Clickpaint inside a web UI: the composition of host, studio, routes and page, and their registration."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError

if TYPE_CHECKING:
    from clickpaint.session.workspace import Workspace
    from clickpaint.studio.studio import Studio

TITLE, ELEMENT = "Clickpaint", "clickpaint"
_MAKING = threading.Lock()
_SEND_AFTER = {
    "txt2img_send_to_extras": "txt2img", "img2img_send_to_extras": "img2img",
    "pnginfo_image": None, "pnginfo_generation_info": None, "extras_tab": None,
}  # fmt: skip
"""Components of the web UI after which there are buttons of ours, and whose results they send; None in PNG Info, which has no results."""


def register() -> None:
    """Register with the web UI; `scripts/clickpaint.py` calls this on every load of the scripts."""
    from clickpaint.hosts.webui import hooks
    from clickpaint.hosts.webui.settings_section import add_options

    hooks.register(tab=_tab, settings=add_options, started=_started, after_component=_after_component, before_page=_before_page)


def script() -> type:
    """The class of the always-on script, for the module that the web UI looks through."""
    from clickpaint.hosts.webui.script import script_class

    def apply(*arguments: Any) -> Any:
        from clickpaint.studio.touchup import touch_up

        return touch_up(studio(), *arguments)

    return script_class(apply)


class Front:
    """What the page is made of (`ui.front.Front`). The rest of the studio is made when it is first used: everybody's start of the web
    UI would wait for it."""

    def __init__(self) -> None:
        from clickpaint.hosts.webui.host import WebUIHost
        from clickpaint.studio.model_pool import ModelPool

        self.host = WebUIHost()
        self.pool = ModelPool(self.host)

    def workspace(self, id: str) -> Workspace:
        return studio().workspace(id)


@functools.lru_cache(maxsize=1)
def front() -> Front:
    return Front()


def studio() -> Studio:
    """The one studio of this process: open pictures and loaded models outlive a reload of the page."""
    with _MAKING:  # the first requests may come at once
        return _studio()


@functools.lru_cache(maxsize=1)
def _studio() -> Studio:
    from clickpaint.studio.studio import Studio

    return Studio(front().host, front().pool)


def _tab() -> list[tuple[Any, str, str]]:
    from clickpaint.hosts.webui import credentials, probe, within

    try:
        from clickpaint.ui import tab

        with within.unserved():
            return [(tab.build(front(), below=_send_row, paste=_paste, token=credentials.token_for_page()), TITLE, ELEMENT)]
    except Exception as error:  # a tab that says what is wrong helps; one that is missing does not
        probe.report("the tab could not be made")
        return [(_broken(error), TITLE, ELEMENT)]


def _send_row() -> None:
    from clickpaint.hosts.webui import sending
    from clickpaint.ui import gradio_compat

    def heading(text: str) -> None:
        gradio_compat.html(f'<span class="cp-send-heading">{text}</span>', elem_id="clickpaint_send_heading")

    sending.add_row(_shown, gradio_compat.on, heading, gradio_compat.described_once)


def _paste(fields: list[Any]) -> Any:
    from clickpaint.hosts.webui import sending
    from clickpaint.ui import gradio_compat

    parse = sending.add_paste_fields(fields, gradio_compat.on, gradio_compat.described_once)
    _png_info().bind()
    return parse


@functools.lru_cache(maxsize=1)
def _png_info() -> Any:
    from clickpaint.hosts.webui.sending import PngInfo

    return PngInfo()


def _shown(workspace: str, version: int, result: int) -> tuple[Any, str]:
    """The pixels of a version and the infotext that belongs to it."""
    from clickpaint.ui.pasting import of_version

    opened = studio().workspace(workspace)
    return opened.picture(version).pixels, of_version(opened, version, result)


def _before_page() -> None:
    from clickpaint.hosts.webui import preprocessors

    preprocessors.register(_object_map)


def _object_map(pixels: Any, mask: Any, name: str, values: Any, resolution: int | None) -> Any:
    """See `hosts.webui.preprocessors`, whose preprocessors the web UI runs in the middle of its own work."""
    import torch

    from clickpaint.control.map_options import Layer
    from clickpaint.progress import Progress

    # Forge generates in inference mode; models loaded in it could not be used outside of it later
    with torch.inference_mode(False), torch.no_grad(), studio().in_this_thread(Progress()):
        return studio().control_maps.detect_object(pixels, mask, Layer(name, values, resolution))


def _broken(error: Exception) -> Any:
    import gradio as gr

    from clickpaint.hosts.webui import failures, probe

    cause = probe.explained(error)
    if isinstance(cause, ClickpaintError):
        message, advice = cause.message, cause.remedy
    else:
        message, advice = f"{type(error).__name__}: {failures.reason(error)}", ""
    usual = "Updating the extension, or reinstalling its packages by deleting and adding it again, usually helps."
    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown(
            f"**Clickpaint could not start.** {message}\n\n"
            f"{advice or usual} Nothing else of the web UI is affected; its log has the details."
        )
    return page


def _started(page: Any, app: Any) -> None:
    from clickpaint.api.lazy import LazyRoutes
    from clickpaint.hosts.webui import touchup_requests
    from clickpaint.hosts.webui.gate import WebUIGate
    from clickpaint.ui.page_files import PageScript, WebUIScript

    touchup_requests.check(app, TITLE)
    gate = WebUIGate(app)
    app.router.routes[:0] = [LazyRoutes(TITLE, studio, gate), WebUIScript(PageScript(), gate.shows_page)]


def _after_component(component: Any, elem_id: str | None = None, **_: Any) -> None:
    """A "Send to Clickpaint" button beside the web UI's own: under the results of txt2img and img2img, and in PNG Info."""
    if elem_id in _SEND_AFTER:  # of thousands of components
        source = _SEND_AFTER[elem_id]
        if source is None:
            _png_info().seen(component, elem_id)
        else:
            from clickpaint.ui import panels

            panels.send_here(source, type(component))
