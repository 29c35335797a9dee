"""The routes that paint on the host's checkpoint."""

from __future__ import annotations

import io
from typing import Any

from fastapi import APIRouter, Response

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer, rgb_png
from clickpaint.errors import NotFound
from clickpaint.paint.job import ControlUnit, PaintOptions
from clickpaint.painting import Gallery
from clickpaint.studio import Studio
from clickpaint.workspace import Workspace

_PRIVATE = {"Cache-Control": "private, no-store"}


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["painting"]

    @router.post("/workspaces/{id}/paint", tags=tags, summary="Fill, replace, expand or remove with Stable Diffusion",
                 response_model=schemas.PaintAnswer)  # fmt: skip
    def paint(id: str, body: schemas.PaintBody) -> Response:
        workspace = studio.workspace(id)
        return answer(_told(workspace, studio.painting.paint(workspace, _options(body), body.eraser)))

    @router.post("/workspaces/{id}/results/{index}/use", tags=tags, summary="Take another result", response_model=schemas.StateAnswer)
    def use(id: str, index: str) -> Response:
        workspace = studio.workspace(id)
        return answer(translate.position(workspace, state=studio.painting.use(workspace, _index(index))))

    @router.post("/workspaces/{id}/results/{index}/refine", tags=tags, summary="Paint a result once more, finer",
                 response_model=schemas.PaintAnswer)  # fmt: skip
    def refine(id: str, index: str, body: schemas.PaintBody) -> Response:
        workspace = studio.workspace(id)
        return answer(_told(workspace, studio.painting.refine(workspace, _index(index), _options(body))))

    @router.get("/workspaces/{id}/results/{index}", tags=tags, summary="The part of the picture that a result changed",
                response_class=Response, responses={200: {"content": {"image/png": {}}}})  # fmt: skip
    def result(id: str, index: str) -> Response:
        results = studio.workspace(id).results
        if not 0 <= _index(index) < len(results):
            raise NotFound(f"There is no result {index} (any more).", "Paint first.")
        return Response(rgb_png(results[_index(index)].pixels), 200, _PRIVATE, "image/png")

    @router.get("/workspaces/{id}/preview", tags=tags, summary="What is being painted, as it looks now", response_class=Response,
                responses={200: {"content": {"image/jpeg": {}}}, 204: {"description": "There is nothing to show"}})  # fmt: skip
    def preview(id: str) -> Response:
        studio.workspace(id)
        ours = any(task.kind == "paint" and task.active for task in studio.tasks.visible(id))  # and not somebody else's generation
        picture = studio.host.preview() if ours else None
        if picture is None:
            return Response(status_code=204)
        file = io.BytesIO()
        picture.convert("RGB").save(file, "JPEG", quality=80)
        return Response(file.getvalue(), 200, _PRIVATE, "image/jpeg")

    @router.get("/control-names", tags=tags, summary="What the host's ControlNet offers", response_model=schemas.ControlNamesAnswer)
    def control_names() -> Response:
        preprocessors, models = studio.host.control_names()
        return answer({"preprocessors": preprocessors, "models": models})


def _options(body: schemas.PaintBody) -> PaintOptions:
    given = {name: value for name, value in dict(body).items() if name not in ("control", "styles", "expand", "eraser")}
    control = tuple(ControlUnit(**dict(unit)) for unit in body.control)
    return PaintOptions(**given, styles=tuple(body.styles), expand=body.expand, control=control)


def _told(workspace: Workspace, gallery: Gallery) -> dict[str, Any]:
    results = [
        {"index": index, "seed": one.seed, "infotext": one.infotext, "box": list(one.box)} for index, one in enumerate(gallery.results)
    ]
    told = translate.position(workspace, state=gallery.state)
    return {**told, "milliseconds": round(gallery.milliseconds, 1), "results": results}


def _index(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise NotFound(f"There is no result {text!r}.", "Give its index.")
    return int(text)
