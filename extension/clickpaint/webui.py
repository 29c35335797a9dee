"""Clickpaint inside a web UI: the composition of host, studio, routes and page, and their registration."""

from __future__ import annotations

import functools
import threading
from typing import TYPE_CHECKING, Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from clickpaint.studio import Studio
    from clickpaint.workspace import Workspace

TITLE, ELEMENT = "Clickpaint", "clickpaint"
_MAKING = threading.Lock()
_ADDRESSES = ("/clickpaint/v1/", "/clickpaint/openapi.json/")
_SEND_AFTER = {
    "txt2img_send_to_extras": "txt2img", "img2img_send_to_extras": "img2img",
    "pnginfo_image": None, "pnginfo_generation_info": None, "extras_tab": None,
}  # fmt: skip
"""Components of the web UI after which there are buttons of ours, and whose results they send; None in PNG Info, which has no results."""


def register() -> None:
    """Register with the web UI; `scripts/clickpaint.py` calls this on every load of the scripts."""
    from clickpaint.hosts.webui import hooks
    from clickpaint.hosts.webui.options import add_options

    hooks.register(tab=_tab, settings=add_options, started=_started, after_component=_after_component, before_page=_before_page)


def script() -> type:
    """The class of the always-on script, for the module that the web UI looks through."""
    from clickpaint.hosts.webui.script import script_class

    def apply(*arguments: Any) -> Any:
        from clickpaint.touchup import touch_up

        return touch_up(studio(), *arguments)

    return script_class(apply)


class Front:
    """What the page is made of (`ui.front.Front`). The rest of the studio is made when it is first used: everybody's start of the web
    UI would wait for it."""

    def __init__(self) -> None:
        from clickpaint.engines import Engines
        from clickpaint.hosts.webui.host import WebUIHost

        self.host = WebUIHost()
        self.engines = Engines(self.host)

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
    from clickpaint.studio import Studio

    return Studio(front().host, front().engines)


class HostGate:
    """Asks for what the web UI asks for (`api.access.Gate`)."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def check(self, connection: HTTPConnection) -> None:
        from clickpaint.api.errors import AccessDenied
        from clickpaint.hosts.webui import credentials

        if not credentials.origin_allowed(connection.headers.get("origin"), connection.headers.get("host", "")):
            raise AccessDenied(403, "Requests from pages of another origin are refused.", "Start the web UI with --cors-allow-origins.")
        if not credentials.needed(self._app):
            return
        if credentials.logged_in(self._app, dict(connection.cookies)):
            return
        if not credentials.password_right(connection.headers.get("authorization", "")):
            basic = credentials.takes_passwords()
            remedy = "Send a user and a password of --api-auth (basic authentication)." if basic else "Log in to the web UI."
            raise AccessDenied(401, "This needs a login.", remedy, challenge='Basic realm="Clickpaint"' if basic else "")


def _tab() -> list[tuple[Any, str, str]]:
    from clickpaint.hosts.webui import hooks, within

    try:
        from clickpaint.ui import tab

        with within.unserved():
            return [(tab.build(front(), below=_send_row, paste=_paste), TITLE, ELEMENT)]
    except Exception as error:  # a tab that says what is wrong helps; one that is missing does not
        hooks.report("the tab could not be made")
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

    from clickpaint.controlling import Layer
    from clickpaint.progress import Progress

    # Forge generates in inference mode; models loaded in it could not be used outside of it later
    with torch.inference_mode(False), torch.no_grad(), studio().in_this_thread(Progress()):
        return studio().controlling.detect_object(pixels, mask, Layer(name, values, resolution))


def _broken(error: Exception) -> Any:
    import gradio as gr

    with gr.Blocks(analytics_enabled=False) as page:
        gr.Markdown(
            f"**Clickpaint could not start:** {type(error).__name__}: {error}\n\nThe log of the web UI says more. Updating the extension,"
            " or reinstalling its packages by deleting and adding it again, usually helps. Nothing else of the web UI is affected."
        )
    return page


def _started(page: Any, app: Any) -> None:
    app.router.routes.insert(0, LazyRoutes(HostGate(app)))


class LazyRoutes(BaseRoute):
    """All our addresses as one route of the web UI's app, made when the first of them is asked for.

    With the versions of FastAPI and pydantic that web UIs have, describing our routes takes a good part of a second, which
    nobody should wait for at every start.
    """

    def __init__(self, gate: HostGate) -> None:
        self._gate = gate
        self._lock = threading.Lock()
        self._made: ASGIApp | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # behind --subpath, newer servers leave the subpath in the path and older ones take it away
        ours = scope["type"] == "http" and (scope["path"].removeprefix(scope.get("root_path", "")) + "/").startswith(_ADDRESSES)
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        from clickpaint.api import errors

        try:
            self._gate.check(HTTPConnection(scope))
        except errors.AccessDenied as denied:  # also for the description of the routes, which has no gate of its own
            await errors.of_error(denied)(scope, receive, send)
            return
        await (self._made or await run_in_threadpool(self._make))(scope, receive, send)

    def _make(self) -> ASGIApp:
        with self._lock:
            if self._made is None:
                from fastapi import FastAPI

                from clickpaint import __version__
                from clickpaint.api.router import create_router

                made = FastAPI(title=TITLE, version=__version__, docs_url=None, redoc_url=None, openapi_url="/clickpaint/openapi.json")
                made.include_router(create_router(studio(), self._gate))
                self._made = made
            return self._made


def _after_component(component: Any, elem_id: str | None = None, **_: Any) -> None:
    """A "Send to Clickpaint" button beside the web UI's own: under the results of txt2img and img2img, and in PNG Info."""
    if elem_id in _SEND_AFTER:  # of thousands of components
        source = _SEND_AFTER[elem_id]
        if source is None:
            _png_info().seen(component, elem_id)
        else:
            from clickpaint.ui import panels

            panels.send_here(source, type(component))
