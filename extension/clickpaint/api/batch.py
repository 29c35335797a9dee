"""The routes of several pictures at once."""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer
from clickpaint.studio.studio import Studio

_BLOCK = 1 << 18


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["several pictures"]

    @router.post("/workspaces/{id}/select-as-in", tags=tags, summary="Select as in another picture", response_model=schemas.StateAnswer)
    def select_as_in(id: str, body: schemas.SelectAsInBody) -> Response:
        workspace, source = studio.workspace(id), studio.workspace(body.workspace)
        state = studio.several_pictures.select_as_in(workspace, source, body.version, body.how, body.segmenter)
        return answer(translate.position(workspace, state=state))

    @router.post(
        "/archive", tags=tags, summary="Many pictures in one zip file", response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}},
    )  # fmt: skip
    def archive(body: schemas.ArchiveBody) -> Response:
        wanted = translate.checked_format(body.format)
        pictures = [(one.workspace, one.version) for one in body.pictures]
        file = studio.several_pictures.archive(pictures, None if wanted == "source" else wanted.upper(), body.quality)
        headers = {"Cache-Control": "private, no-store", "Content-Disposition": "attachment; filename*=UTF-8''clickpaint.zip"}
        return StreamingResponse(_blocks(file), 200, headers, "application/zip")


def _blocks(file: IO[bytes]) -> Iterator[bytes]:
    with file:
        while block := file.read(_BLOCK):
            yield block
