"""The stand-alone page as browsers get it: the canvas stands in its HTML and can be used at once; Gradio's widgets beside it come after."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_BASE = re.compile(rb"<base [^>]*>")
_ENTRY = re.compile(rb'<script type="module"[^>]* src="(\./assets/[^"]+)"></script>')
_THEME = re.compile(rb'"theme_hash": ?"([0-9a-f]+)"')
_APP = re.compile(rb"<gradio-app\b.*?</gradio-app>", re.DOTALL)

_THEME_OF_BROWSER = b"""<script>
{
    const asked = new URL(location.href).searchParams.get("__theme"), {theme = "auto"} = globalThis.clickpaintPreferences ?? {};
    const wanted = theme === "auto" ? asked : theme, system = matchMedia("(prefers-color-scheme: dark)");
    if (wanted === "dark" || (wanted !== "light" && system.matches)) document.body.classList.add("dark");
}
</script>"""
"""Dark or light as the settings and Gradio decide it, before Gradio is there to do so."""

_START = b"""<script type="module">
const late = new Promise((done) => setTimeout(done, 3000));
await Promise.race([document.querySelector("clickpaint-canvas")?.started, late]);
const native = window.requestAnimationFrame, running = "[data-testid=status-tracker]:not(.hide)";
let loading = true;
const frame = (callback) => (loading || document.querySelector(running) ? native.call(window, callback) : 0);
window.requestAnimationFrame = frame;
document.addEventListener("clickpaint:joined", () => {
    loading = false;
    if (window.requestAnimationFrame === frame) window.requestAnimationFrame = native;
}, {once: true});
import("%b");
</script>"""
"""Loads Gradio once the canvas can be used.

Gradio 6 counts in every frame for how long it has been loading, and goes on counting when it has loaded: the browser would draw sixty
frames a second for as long as the page is open. What counts took its `requestAnimationFrame` while it was loaded; the one that it finds
here gives no more frames once nothing is seen to run.
"""

_KEPT = ("/assets/", "/static/js/")
_MOST_KEPT = 32 << 20
_FOREVER = "private, max-age=31536000, immutable"
_Packing: TypeAlias = tuple[str, str, str]
"""A file's path, its query, and the codings that a browser takes."""
_Answer: TypeAlias = tuple[Message, bytes]


def with_canvas(page: bytes, head: str, header: str, canvas: str) -> bytes:
    """Gradio's page with the canvas in it. A page that looks like none of Gradio's comes back as it is.

    Args:
        page: HTML.
        head: what comes first in its <head>; it loads the script that makes the canvas.
        header: HTML above the canvas.
        canvas: HTML of the canvas.
    """
    base, entry, app = _BASE.search(page), _ENTRY.search(page), _APP.search(page)
    if not (base and entry and app):
        return page
    theme = _THEME.search(page)
    first = [head.encode()]
    if theme:
        first.append(b'<link rel="stylesheet" href="theme.css?v=%b">' % theme[1])
    before = f'<div class="cp-alone">{header}<div id="clickpaint_page" class="cp-page"><div class="cp-main">{canvas}</div>'.encode()
    parts = [
        page[: base.end()], *first, page[base.end() : entry.start()], _START % entry[1], page[entry.end() : app.start()],
        _THEME_OF_BROWSER, before, app[0], b"</div></div>", page[app.end() :],
    ]  # fmt: skip
    return b"".join(parts)


class ShellMiddleware:
    """Puts the canvas into Gradio's page, and answers for Gradio's own files, which never change, from memory (ASGI).

    Gradio packs a file anew whenever it is asked for: for ninety files that takes longer than all the rest of the page.

    Args:
        app: what is to be served.
        page: makes a page of ours from Gradio's.
        packed: where its files are kept, by their address and how they are packed; None for a place of its own.
    """

    def __init__(self, app: ASGIApp, page: Callable[[bytes], bytes], packed: dict[_Packing, _Answer] | None = None) -> None:
        self._app, self._page = app, page
        self._packed: dict[_Packing, _Answer] = {} if packed is None else packed

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "GET":
            await self._app(scope, receive, send)
            return
        path = scope["path"].removeprefix(scope.get("root_path", ""))
        if path == "/":
            await self._app(scope, receive, _Whole(send, self._finish_page).send)
        elif path.startswith(_KEPT) or (path == "/theme.css" and scope["query_string"].startswith(b"v=")):
            await self._file(path, scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _file(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        key = (path, scope["query_string"].decode("latin-1"), headers.get("accept-encoding", ""))
        kept = self._packed.get(key)
        if kept is None:

            def keep(start: Message, body: bytes) -> tuple[Message, bytes]:
                if start["status"] == 200:
                    MutableHeaders(raw=start["headers"])["cache-control"] = _FOREVER
                    self._keep(key, (start, body))
                return start, body

            await self._app(_without(scope, b"if-none-match", b"if-modified-since", b"range"), receive, _Whole(send, keep).send)
        else:
            await send(kept[0])
            await send({"type": "http.response.body", "body": kept[1]})

    def _keep(self, key: _Packing, answer: _Answer) -> None:
        self._packed[key] = answer
        while sum(len(body) for _, body in self._packed.values()) > _MOST_KEPT:
            del self._packed[next(iter(self._packed))]

    def _finish_page(self, start: Message, body: bytes) -> tuple[Message, bytes]:
        headers = MutableHeaders(raw=list(start["headers"]))
        if start["status"] != 200 or not headers.get("content-type", "").startswith("text/html"):
            return start, body
        body = self._page(body)
        headers["content-length"] = str(len(body))
        return {**start, "headers": headers.raw}, body


def _without(scope: Scope, *names: bytes) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name.lower() not in names]}


class _Whole:
    """Collects an answer and sends what `finish` makes of it."""

    def __init__(self, send: Send, finish: Callable[[Message, bytes], tuple[Message, bytes]]) -> None:
        self._send, self._finish = send, finish
        self._start: Message = {}
        self._body = bytearray()

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._start = {**message, "headers": list(message["headers"])}
        elif message["type"] == "http.response.body":
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                start, body = self._finish(self._start, bytes(self._body))
                await self._send(start)
                await self._send({"type": "http.response.body", "body": body})
        else:
            await self._send(message)
