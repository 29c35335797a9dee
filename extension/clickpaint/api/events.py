"""The routes about what is under way: ask, listen, stop.

They run on the server's event loop and not on one of its threads, so that they answer also while every thread waits for something.
"""

from __future__ import annotations

import time
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer
from clickpaint.api.streams import Event, stream
from clickpaint.studio.studio import Studio

_EVERY_SECONDS = 0.25
_LONGEST_SECONDS = 600.0  # a browser connects again by itself


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["progress"]

    def under_way(workspace: str | None) -> list[dict[str, Any]]:
        if workspace is not None:
            studio.check_owner(workspace)
        return translate.tasks(studio.tasks.visible(workspace), studio)

    @router.get("/progress", tags=tags, summary="What is under way", response_model=schemas.TasksAnswer)
    async def progress(workspace: str | None = None) -> Response:
        """The tasks of one workspace or one video, by its id (left out: of requests without one), and all downloads."""
        return answer({"tasks": under_way(workspace)})

    @router.get("/events", tags=tags, summary="What is under way, as server-sent events", response_class=StreamingResponse,
                responses={200: {"content": {"text/event-stream": {}}}})  # fmt: skip
    async def events(request: Request, workspace: str | None = None) -> StreamingResponse:
        """Each event's data is what /progress answers, sent whenever it changes."""
        under_way(workspace)

        began, known = time.monotonic(), None

        def news() -> list[Event] | None:
            nonlocal known
            if time.monotonic() - began > _LONGEST_SECONDS or studio.host.ending():
                return None
            tasks = translate.tasks(studio.tasks.visible(workspace), studio)
            changed, known = tasks != known, tasks
            return [Event({"tasks": tasks})] if changed else []

        return stream(request, news, _EVERY_SECONDS)

    @router.post("/interrupt", tags=tags, summary="Stop what is under way", response_model=schemas.InterruptedAnswer)
    async def interrupt(body: schemas.InterruptBody | None = None) -> Response:
        workspace = body.workspace if body is not None else None
        if workspace is not None:
            studio.check_owner(workspace)
        return answer({"interrupted": studio.interrupt(workspace)})
