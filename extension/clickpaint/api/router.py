"""All routes together, for the stand-alone app and for the app of a host."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from clickpaint.api import (
    batch,
    caption,
    control,
    cutting,
    datasets,
    error_responses,
    events,
    examples,
    history,
    models,
    painting,
    program_settings,
    schemas,
    stateless,
    systems,
    trainings,
    videos,
    word_maps,
    workspaces,
)
from clickpaint.api.access import Gate
from clickpaint.api.route import guarded
from clickpaint.settings import MEGABYTE
from clickpaint.studio.studio import Studio

PREFIX = "/clickpaint/v1"

_ERRORS: dict[int | str, dict[str, Any]] = {
    400: {"description": "The request cannot be worked on"},
    401: {"description": "The access token is missing"},
    403: {"description": "Not from there"},
    404: {"description": "No such workspace, model, version or address (any more)"},
    409: {"description": "Not now: a model is missing, or the work was interrupted"},
    413: {"description": "More than a limit of the settings, or than the memory"},
    422: {"description": "A field is missing, unknown or of the wrong type"},
    429: {"description": "Too much is waiting; the same request will work later"},
}


def create_router(studio: Studio, gate: Gate) -> APIRouter:
    """The routes under `PREFIX`. They bring their own error handling, so that the app they are included in needs none for them."""
    answers = {"application/json": {"schema": {"$ref": f"#/components/schemas/{schemas.ErrorAnswer.__name__}"}}}
    named: dict[int | str, dict[str, Any]] = {status: {**text, "content": answers} for status, text in _ERRORS.items()}

    def limit() -> int:
        # a file in base64 is a third larger
        return studio.host.setting("max_upload_mb") * MEGABYTE * 4 // 3 + MEGABYTE

    def clip_limit() -> int:
        return studio.video_library.most_bytes + MEGABYTE

    router = APIRouter(prefix=PREFIX, route_class=guarded(gate, limit, clip_limit), responses=named)
    for part in (
        workspaces,
        cutting,
        painting,
        systems,
        control,
        caption,
        word_maps,
        stateless,
        batch,
        datasets,
        trainings,
        models,
        events,
        examples,
    ):
        part.add_routes(router, studio)
    history.add_routes(router, studio, gate)
    videos.add_routes(router, studio, gate)
    # where a model is given, FastAPI makes a field of it for each route and each status: a thousand, which took most of the time;
    # what the model is like is read off these few
    router.responses = {status: {**text, "model": schemas.ErrorAnswer} for status, text in _ERRORS.items()}
    program_settings.add_routes(router, studio, gate)

    @router.api_route("/{rest:path}", methods=["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"], include_in_schema=False)
    def unknown(request: Request, rest: str) -> Response:
        message = f"There is nothing at {request.method} {PREFIX}/{rest}."
        return error_responses.described(404, "NotFound", message, "See the API's documentation for its addresses.")

    return router
