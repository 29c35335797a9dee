"""The routes of several pictures at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer, zip_file
from clickpaint.studio.studio import Studio


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
        pictures = [(chosen.workspace, chosen.version) for chosen in body.pictures]
        return zip_file(
            studio.several_pictures.archive(pictures, None if wanted == "source" else wanted.upper(), body.quality), "clickpaint.zip"
        )
