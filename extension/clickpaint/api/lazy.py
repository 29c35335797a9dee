"""Our routes in an app that is not ours, made when they are first needed."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from starlette.concurrency import run_in_threadpool
from starlette.requests import HTTPConnection
from starlette.routing import BaseRoute, Match

from clickpaint.errors import AccessDenied

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from clickpaint.api.access import Gate
    from clickpaint.studio.studio import Studio

_ADDRESSES = ("/clickpaint/v1/", "/clickpaint/openapi.json/")


class LazyRoutes(BaseRoute):
    """All our addresses as one route of the web UI's app, made when the first of them is asked for.

    With the versions of FastAPI and pydantic that web UIs have, describing our routes takes a good part of a second, which
    nobody should wait for at every start.

    Args:
        title: of the API's description.
        studio: makes the studio, or hands out the one there is.
        gate: decides about every request, also for the description, which has no gate of its own.
    """

    def __init__(self, title: str, studio: Callable[[], Studio], gate: Gate) -> None:
        self._title, self._studio, self._gate = title, studio, gate
        self._lock = threading.Lock()
        self._app: ASGIApp | None = None

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        # behind --subpath, newer servers leave the subpath in the path and older ones take it away
        ours = scope["type"] == "http" and (scope["path"].removeprefix(scope.get("root_path", "")) + "/").startswith(_ADDRESSES)
        return (Match.FULL if ours else Match.NONE), {}

    async def handle(self, scope: Scope, receive: Receive, send: Send) -> None:
        from clickpaint.api import error_responses

        try:
            self._gate.check(HTTPConnection(scope))
        except AccessDenied as denied:
            await error_responses.of_error(denied)(scope, receive, send)
            return
        await (self._app or await run_in_threadpool(self._make))(scope, receive, send)

    def _make(self) -> ASGIApp:
        with self._lock:
            if self._app is None:
                from fastapi import FastAPI

                from clickpaint import __version__
                from clickpaint.api.router import create_router

                app = FastAPI(title=self._title, version=__version__, docs_url=None, redoc_url=None, openapi_url="/clickpaint/openapi.json")
                app.include_router(create_router(self._studio(), self._gate))
                self._app = app
            return self._app
