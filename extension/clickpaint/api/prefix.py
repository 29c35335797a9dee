"""Behind a proxy that gives the program a path of its own, whether or not the proxy says so."""

from __future__ import annotations

import gzip
import re
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")
_GRADIO = "/gradio_api/"
_ROOT = b'<script>window.gradio_config.root = new URL(".", location.href).href.replace(/\\/$/, "");</script>'
"""Where the page is, only the browser knows for certain; Gradio's modules, which come after it, ask below that address."""


class PrefixMiddleware:
    """Lets the page, Gradio's own requests and the API work below any path (ASGI).

    The path comes from the header X-Forwarded-Prefix; without one, from where the browser says the page is: in its Referer for
    Gradio's requests, and in the page itself. All of it decides about nothing but addresses in answers.

    Args:
        app: what is to be served.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        prefix = _path(headers.get("x-forwarded-prefix", "").split(",")[0])
        if not prefix and _GRADIO in scope["path"]:
            prefix, scope = _by_referer(scope, headers.get("referer", ""))
        if prefix:
            inner = scope["path"][len(prefix) :] if scope["path"].startswith(prefix + "/") else scope["path"]
            # by ASGI, the path begins with the root path
            scope = {**scope, "root_path": prefix, "path": prefix + inner, "raw_path": (prefix + inner).encode()}
        if scope["type"] == "http" and scope["method"] == "GET" and scope["path"] == prefix + "/":
            scope, send = _uncompressed(scope), _Page(send, packed="gzip" in headers.get("accept-encoding", "")).send
        await self._app(scope, receive, send)


def _path(text: str) -> str:
    """A path without its last slash; "" for what is none."""
    path = text.strip().rstrip("/")
    return path if _PATH.fullmatch(path) and ".." not in path.split("/") else ""


def _by_referer(scope: Scope, referer: str) -> tuple[str, Scope]:
    """The folder of the page that asks, and a request that names the page's host as proxies do."""
    try:
        page = urlsplit(referer)
    except ValueError:
        return "", scope
    prefix = _path(page.path.rpartition("/")[0])
    if not prefix or page.scheme not in ("http", "https"):
        return "", scope
    known = Headers(scope=scope)
    forwarded = {"x-forwarded-host": page.netloc, "x-forwarded-proto": page.scheme}
    added = [(name.encode(), value.encode("latin-1", "replace")) for name, value in forwarded.items() if name not in known]
    return prefix, {**scope, "headers": [*scope["headers"], *added]}


def _uncompressed(scope: Scope) -> Scope:
    return {**scope, "headers": [(name, value) for name, value in scope["headers"] if name.lower() != b"accept-encoding"]}


class _Page:
    """Puts `_ROOT` into a page of Gradio's, behind its configuration. `packed`: whether it may be sent in gzip."""

    def __init__(self, send: Send, *, packed: bool) -> None:
        self._send, self._packed = send, packed
        self._start: Message | None = None
        self._body = b""

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            if not Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                await self._send(message)
                return
            self._start = message
        elif self._start is None:
            await self._send(message)
        else:
            self._body += message.get("body", b"")
            if not message.get("more_body", False):
                await self._finish(self._start)

    async def _finish(self, start: Message) -> None:
        before, config, after = self._body.partition(b"window.gradio_config = ")
        if config:
            settings, end, rest = after.partition(b"</script>")
            rest = re.sub(rb'const root = "[^"]*"', b"const root = window.gradio_config.root", rest, count=1)
            self._body = before.replace(b'"/manifest.json"', b'"./manifest.json"') + config + settings + end + _ROOT + rest
        headers = [(name, value) for name, value in start["headers"] if name.lower() != b"content-length"]
        if self._packed:
            self._body = gzip.compress(self._body, 6)
            headers += [(b"content-encoding", b"gzip"), (b"vary", b"accept-encoding")]
        await self._send({**start, "headers": [*headers, (b"content-length", str(len(self._body)).encode())]})
        await self._send({"type": "http.response.body", "body": self._body})
