"""Pictures to try at once."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from clickpaint.api import schemas
from clickpaint.api.encode import answer
from clickpaint.image import examples
from clickpaint.studio.studio import Studio


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["samples"]

    @router.get("/samples", tags=tags, summary="Pictures to try", response_model=list[schemas.SampleAnswer])
    def list_samples() -> Response:
        return answer([{"name": name, "title": title} for name, title in examples.TITLES.items()])

    @router.get("/samples/{name}", tags=tags, summary="One of them", response_class=Response,
                responses={200: {"content": {"image/png": {}}}})  # fmt: skip
    def sample(name: str) -> Response:
        return Response(examples.png(name), 200, {"Cache-Control": "private, max-age=3600"}, "image/png")

    @router.get("/samples/{name}/thumbnail", tags=tags, summary="One of them, small", response_class=Response,
                responses={200: {"content": {"image/jpeg": {}}}})  # fmt: skip
    def sample_thumbnail(name: str) -> Response:
        return Response(examples.thumbnail(name), 200, {"Cache-Control": "private, max-age=3600"}, "image/jpeg")
