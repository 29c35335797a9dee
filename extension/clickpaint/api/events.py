"""The routes about what is under way: ask, listen, stop."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer
from clickpaint.studio.studio import Studio

_EVERY_SECONDS = 0.25
_SILENT_SECONDS = 10.0  # then a comment, so that proxies keep the connection and a client that is gone is noticed
_LONGEST_SECONDS = 600.0  # a browser connects again by itself


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["progress"]

    def under_way(workspace: str | None) -> list[dict[str, Any]]:
        if workspace is not None:
            studio.workspace(workspace)
        return translate.tasks(studio.tasks.visible(workspace), studio)

    @router.get("/progress", tags=tags, summary="What is under way", response_model=schemas.TasksAnswer)
    def progress(workspace: str | None = None) -> Response:
        """The tasks of one workspace (left out: of requests without one), and all downloads."""
        return answer({"tasks": under_way(workspace)})

    @router.get("/events", tags=tags, summary="What is under way, as server-sent events", response_class=StreamingResponse,
                responses={200: {"content": {"text/event-stream": {}}}})  # fmt: skip
    def events(request: Request, workspace: str | None = None) -> StreamingResponse:
        """Each event's data is what /progress answers, sent whenever it changes."""
        under_way(workspace)

        async def stream() -> AsyncIterator[bytes]:
            began = told_at = time.monotonic()
            told = None
            while time.monotonic() - began < _LONGEST_SECONDS and not studio.host.ending() and not await request.is_disconnected():
                tasks = translate.tasks(studio.tasks.visible(workspace), studio)
                if tasks != told:
                    told, told_at = tasks, time.monotonic()
                    yield b"data: " + json.dumps({"tasks": tasks}).encode("ascii") + b"\n\n"
                elif time.monotonic() - told_at > _SILENT_SECONDS:
                    told_at = time.monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(_EVERY_SECONDS)

        # with an encoding of its own the web UIs' GZipMiddleware hands each event on, which otherwise it keeps until the last
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}
        return StreamingResponse(stream(), media_type="text/event-stream", headers=headers)

    @router.post("/interrupt", tags=tags, summary="Stop what is under way", response_model=schemas.Interrupted)
    def interrupt(body: schemas.InterruptBody | None = None) -> Response:
        workspace = body.workspace if body is not None else None
        if workspace is not None:
            studio.workspace(workspace)
        return answer({"interrupted": studio.interrupt(workspace)})
