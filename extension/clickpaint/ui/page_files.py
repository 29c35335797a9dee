"""The page's own files over HTTP: the script, joined from its modules, and the style."""

from __future__ import annotations

import functools
import gzip
import hashlib
import importlib.util
import logging
import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

from clickpaint.ui.bundle import Bundle, BundleError, bundle

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.types import Receive, Scope, Send

log = logging.getLogger(__name__)

PROJECT = Path(__file__).resolve().parents[3]
MODULES = PROJECT / "javascript"
SCRIPT = "clickpaint.mjs"
STATIC = "clickpaint/static"
_JAVASCRIPT = "text/javascript; charset=utf-8"


class PageScript:
    """The script made of `javascript/`, joined when it is first asked for and again whenever a module has changed.

    With CLICKPAINT_MODULES=1 in the environment there is none, and browsers get the modules one by one, as they are.

    Args:
        entries: the modules that it begins with, paths in `folder`.
        folder: of all modules.
    """

    def __init__(self, entries: Sequence[str] = (SCRIPT,), folder: Path = MODULES) -> None:
        self.entries, self._folder = tuple(entries), folder
        self._lock = threading.Lock()
        self._seen: tuple[Any, ...] | None = None
        self._bundle: Bundle | None = None

    def current(self) -> Bundle | None:
        """None where the modules are to be served themselves."""
        if os.environ.get("CLICKPAINT_MODULES", "") not in ("", "0"):
            return None
        with self._lock:
            files = sorted(self._folder.rglob("*.mjs"))
            seen = tuple((file, (status := file.stat()).st_mtime_ns, status.st_size) for file in files)
            if seen != self._seen:
                self._seen = seen
                try:
                    self._bundle = bundle(self._folder, self.entries)
                except BundleError as error:
                    self._bundle = None
                    log.warning("The page's modules are served one by one: %s", error)
            return self._bundle


class StandaloneFiles:
    """What the stand-alone page loads of ours. Addresses hold a hash of what they give, so that a browser asks for each once.

    Args:
        script: the page's script.
    """

    def __init__(self, script: PageScript) -> None:
        self._script = script

    def tags(self) -> str:
        """The style and the script, for the page's <head>; addresses are relative to the page."""
        style = f"{STATIC}/{_style().digest}/style.css"
        joined = self._script.current()
        scripts = [f"{STATIC}/{joined.digest}/{SCRIPT}"] if joined else [f"{STATIC}/javascript/{entry}" for entry in self._script.entries]
        lines = [f'<link rel="stylesheet" href="{style}">', *(f'<script type="module" src="{script}"></script>' for script in scripts)]
        return "\n".join(lines)

    def add_to(self, app: FastAPI) -> None:
        """Serve them, and the modules by themselves, about which a browser asks again each time."""
        from starlette.staticfiles import StaticFiles

        class Modules(StaticFiles):
            def file_response(self, *args: Any, **kwargs: Any) -> Response:
                response = super().file_response(*args, **kwargs)
                # said here, because on Windows the registry may call them text/plain, and browsers refuse to run that
                response.headers["content-type"] = _JAVASCRIPT
                response.headers["cache-control"] = "no-cache"
                response.headers["x-content-type-options"] = "nosniff"
                return response

        app.mount(f"/{STATIC}/javascript", Modules(directory=MODULES), name="clickpaint-javascript")
        app.add_route(f"/{STATIC}/style.css", lambda request: _answer(request, _style()))
        app.add_route(f"/{STATIC}/{{digest}}/style.css", lambda request: _answer(request, _style()))
        for name in (SCRIPT, f"{SCRIPT}.map"):
            app.add_route(f"/{STATIC}/{{digest}}/{name}", functools.partial(self._script_file, name))

    def _script_file(self, name: str, request: Request) -> Response:
        joined = self._script.current()
        if joined is None:
            return Response("The page is served by modules.", 404)
        return _answer(request, _file_of(joined, name))


class WebUIScript(BaseRoute):
    """Answers for the script's file in a web UI, which lists the files of `javascript/` and serves them as they are: one request instead
    of one for each module. Whatever this route leaves out, the web UI answers as ever.

    Args:
        script: the page's script.
        shown: whether whoever asks is shown the web UI's page.
    """

    def __init__(self, script: PageScript, shown: Callable[[HTTPConnection], bool]) -> None:
        self._script, self._shown = script, shown

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        if scope["type"] != "http" or scope["method"] != "GET" or not scope["path"].endswith((f"/{SCRIPT}", f"/{SCRIPT}.map")):
            return Match.NONE, {}
        _, named, path = scope["path"].partition("/file=")
        ours = named and os.path.realpath(path.removesuffix(".map")) == os.path.realpath(MODULES / SCRIPT)
        wanted = ours and self._shown(HTTPConnection(scope)) and self._script.current() is not None
        return (Match.FULL if wanted else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        joined = self._script.current()
        assert joined is not None, "it was there when the route matched"
        response = _answer(Request(scope), _file_of(joined, scope["path"].rpartition("/")[2]))
        await response(scope, receive, send)


@dataclass(frozen=True)
class _File:
    """What is sent. `digest`: of the content, as addresses and tags have it."""

    body: bytes
    kind: str
    digest: str


def _style() -> _File:
    body = (PROJECT / "style.css").read_bytes()
    return _File(body, "text/css; charset=utf-8", hashlib.sha256(body).hexdigest()[:16])


@functools.lru_cache(maxsize=4)
def _file_of(joined: Bundle, name: str) -> _File:
    if name.endswith(".map"):
        return _File(joined.map.encode(), "application/json", joined.digest)
    return _File(f"{joined.code}//# sourceMappingURL={SCRIPT}.map\n".encode(), _JAVASCRIPT, joined.digest)


def _answer(request: Request, file: _File) -> Response:
    """The file, compressed: for ever where the address holds its digest, otherwise to be asked about again each time."""
    coding = _coding(request.headers.get("accept-encoding", ""))
    tag = f'"{file.digest}{coding}"'
    lasting = request.scope.get("path_params", {}).get("digest") == file.digest
    headers = {
        "cache-control": "private, max-age=31536000, immutable" if lasting else "no-cache",
        "etag": tag,
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    if coding:
        headers["content-encoding"] = coding
    return Response(_compressed(file.body, coding), headers=headers, media_type=file.kind)


def _coding(accepted: str) -> str:
    """The best that both sides know: br where its package is there (Gradio brings it), gzip, or "" for none."""
    known = {coding.split(";")[0].strip() for coding in accepted.split(",") if not coding.replace(" ", "").endswith(";q=0")}
    if "br" in known and importlib.util.find_spec("brotli") is not None:
        return "br"
    return "gzip" if "gzip" in known else ""


@functools.lru_cache(maxsize=8)
def _compressed(body: bytes, coding: str) -> bytes:
    if coding == "br":
        import brotli

        return brotli.compress(body, quality=9)
    return gzip.compress(body, 9, mtime=0) if coding else body
