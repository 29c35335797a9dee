"""The stand-alone program as one ASGI app: the API, the page's files, and the page at the root."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clickpaint import __version__
from clickpaint.ui import gradio_compat as compat
from clickpaint.ui import tab
from clickpaint.ui.page_files import PROJECT, SCRIPT, PageScript, StandaloneFiles
from clickpaint.ui.shell import ShellMiddleware, with_canvas

if TYPE_CHECKING:
    from fastapi import FastAPI

    from clickpaint.api.access import LocalGate, PublicGate
    from clickpaint.studio.studio import Studio


_SHAPES = '<circle cx="10" cy="10" r="4.2"/><path d="M10 2v2.4M10 15.6V18M2 10h2.4M15.6 10H18"/>'
_ICON = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20"><rect width="20" height="20" rx="5" fill="#4f46e5"/>'
    f'<g transform="translate(3 3) scale(.7)" fill="none" stroke="#fff" stroke-width="2.2" stroke-linecap="round">{_SHAPES}</g></svg>'
)
_HEADER = f'<header class="cp-header">{_ICON}<h1>Clickpaint</h1><clickpaint-settings></clickpaint-settings></header>'

_THEME = {
    "body_text_color_subdued": "*neutral_600",
    "body_text_color_subdued_dark": "*neutral_400",
    "body_background_fill": "#f4f5f8",
    "body_background_fill_dark": "#101116",
    "block_background_fill_dark": "#1a1b22",
    "background_fill_primary_dark": "#1a1b22",
    "background_fill_secondary_dark": "#15161c",
    "input_background_fill_dark": "#23242d",
    "border_color_primary_dark": "#2c2d37",
    "block_border_width": "0px",
    "block_shadow": "none",
    "block_label_text_weight": "500",
    "block_title_text_weight": "500",
    "block_title_text_size": "*text_sm",
    "block_radius": "12px",
    "button_primary_background_fill": "*primary_600",
    "button_primary_background_fill_hover": "*primary_500",
    "button_primary_background_fill_dark": "*primary_600",
    "button_primary_background_fill_hover_dark": "*primary_500",
    "button_primary_text_color": "white",
    "button_large_radius": "12px",
    "slider_color": "*primary_500",
}


def create_app(studio: Studio, gate: LocalGate | PublicGate) -> FastAPI:
    """The app for a server such as uvicorn. Whoever `gate` refuses gets neither the API nor the page.

    FastAPI's own documentation pages are left out: they load their scripts from another server.
    """
    from fastapi import FastAPI

    from clickpaint.api.access import AccessMiddleware
    from clickpaint.api.prefix import PrefixMiddleware
    from clickpaint.api.router import create_router

    app = FastAPI(title="Clickpaint", version=__version__, docs_url=None, redoc_url=None, openapi_url="/clickpaint/openapi.json")
    app.include_router(create_router(studio, gate))
    files = StandaloneFiles(PageScript((SCRIPT, "clickpaint/host/gradio_labels.mjs")))
    files.add_to(app)
    setting = studio.host.setting
    widgets = {key: setting(key) for key in tab.SETTINGS.values()}  # what they begin with, whatever is chosen later

    def page(gradios: bytes) -> bytes:
        preferences = {key: setting(key) for key in ("language", "theme", *widgets)}
        first = head({**preferences, "widgets": widgets}) + files.tags()
        return with_canvas(gradios, first, _HEADER, tab.canvas(studio, setting("language")))

    app.add_middleware(ShellMiddleware, page=page)
    app.add_middleware(PrefixMiddleware)
    # asked first (the last one added is the outermost), for what a Referer makes `PrefixMiddleware` add, any page can have written
    app.add_middleware(AccessMiddleware, gate=gate)
    with _without_proxies():
        import gradio  # noqa: F401

        blocks = tab.build_beside_canvas(studio)
    return compat.mount(app, blocks, theme=compat.theme(**_THEME))


@contextmanager
def _without_proxies() -> Iterator[None]:
    """Hide the environment's proxies while Gradio is imported: it makes HTTP clients then that nothing of ours ever uses, and which a
    SOCKS proxy, or one with a mistake in it, keeps from being made."""
    proxies = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy")}
    for name in proxies:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(proxies)


def head(preferences: Mapping[str, Any]) -> str:
    """The title, the icon, the settings as they are now, and the translations of Gradio's labels, which a web UI puts into its pages by
    itself."""
    table = json.loads((PROJECT / "localizations" / "zh_CN.json").read_text("utf-8"))
    data, values = (json.dumps(content).replace("<", "\\u003c") for content in ({"zh_CN": table}, preferences))
    return f"""
<title>Clickpaint</title>
<link rel="icon" href="data:image/svg+xml,{quote(_ICON)}">
<script>globalThis.clickpaintPreferences = {values};</script>
<script type="application/json" id="clickpaint_localization">{data}</script>
"""
