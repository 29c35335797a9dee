"""The stand-alone program as one ASGI app: the API, the page's files, and the page at the root."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from clickpaint import __version__
from clickpaint.ui import gradio_compat as compat
from clickpaint.ui import tab

if TYPE_CHECKING:
    from fastapi import FastAPI

    from clickpaint.api.access import LocalGate, PublicGate
    from clickpaint.studio.studio import Studio

PROJECT = Path(__file__).resolve().parents[3]
STATIC = "clickpaint/static"

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
    add_files(app)
    _add_preferences(app, studio)
    app.add_middleware(PrefixMiddleware)
    # asked first (the last one added is the outermost), for what a Referer makes `PrefixMiddleware` add, any page can have written
    app.add_middleware(AccessMiddleware, gate=gate)
    with _without_proxies():
        import gradio  # noqa: F401

        page = tab.build(studio, header=_HEADER)
    return compat.mount(app, page, head=head(), theme=compat.theme(**_THEME))


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


def head() -> str:
    """What a web UI puts into its pages by itself: the style, the module, and the translations of Gradio's labels."""
    table = json.loads((PROJECT / "localizations" / "zh_CN.json").read_text("utf-8"))
    data = json.dumps({"zh_CN": table}).replace("<", "\\u003c")
    module = PROJECT / "javascript" / "clickpaint.mjs"
    return f"""
<link rel="stylesheet" href="{STATIC}/style.css?{_changed(PROJECT / "style.css")}">
<link rel="icon" href="data:image/svg+xml,{quote(_ICON)}">
<script src="{STATIC}/preferences.js"></script>
<script type="application/json" id="clickpaint_localization">{data}</script>
<script type="module" src="{STATIC}/javascript/clickpaint.mjs?{_changed(module)}"></script>
<script type="module" src="{STATIC}/javascript/clickpaint/host/gradio_labels.mjs"></script>
"""


def add_files(app: FastAPI) -> None:
    """Serve the modules and the style. A browser asks about them again each time, so that an update is seen at once."""
    from starlette.requests import Request
    from starlette.responses import FileResponse, Response
    from starlette.staticfiles import StaticFiles

    class Modules(StaticFiles):
        def file_response(self, *args: Any, **kwargs: Any) -> Response:
            response = super().file_response(*args, **kwargs)
            # said here, because on Windows the registry may call them text/plain, and browsers refuse to run that
            response.headers["content-type"] = "text/javascript; charset=utf-8"
            response.headers["cache-control"] = "no-cache"
            response.headers["x-content-type-options"] = "nosniff"
            return response

    def style(request: Request) -> Response:
        return FileResponse(PROJECT / "style.css", media_type="text/css", headers={"cache-control": "no-cache"})

    app.mount(f"/{STATIC}/javascript", Modules(directory=PROJECT / "javascript"), name="clickpaint-javascript")
    app.add_route(f"/{STATIC}/style.css", style)


def _add_preferences(app: FastAPI, studio: Studio) -> None:
    """Tell the page the settings that it starts with, as they are now: the page itself is made once, when the program starts."""
    from starlette.requests import Request
    from starlette.responses import Response

    keys = ("language", "theme", *tab.SETTINGS.values())

    def preferences(request: Request) -> Response:
        values = json.dumps({key: studio.host.setting(key) for key in keys})
        return Response(
            f"globalThis.clickpaintPreferences = {values};", 200, {"Cache-Control": "no-store"}, "text/javascript; charset=utf-8"
        )

    app.add_route(f"/{STATIC}/preferences.js", preferences)


def _changed(file: Path) -> int:
    return int(file.stat().st_mtime)
