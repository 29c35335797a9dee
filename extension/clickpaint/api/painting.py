"""The routes that paint on the host's checkpoint."""

from __future__ import annotations

import io
from typing import Any

from fastapi import APIRouter, Depends, Response

from clickpaint.api import painting_schemas as schemas
from clickpaint.api import translate
from clickpaint.api.encode import PRIVATE, answer, rgb_png
from clickpaint.api.schemas import StateAnswer
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.image import mask as masks
from clickpaint.image.soft_edge import AUTO, SoftEdge
from clickpaint.paint import flat_options
from clickpaint.paint.edit_options import WordEdit
from clickpaint.paint.paint_job import ControlUnit, PaintOptions
from clickpaint.session.workspace import Workspace
from clickpaint.studio.painting import Gallery, PaintedPictures
from clickpaint.studio.studio import Studio

_PALETTE = {"uncrop": "expand", "inpaint": "fill"}
"""Palette's names of tasks."""


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["painting"]

    @router.post(
        "/workspaces/{id}/paint",
        tags=tags,
        summary="Fill, replace, expand or remove with Stable Diffusion",
        response_model=schemas.PaintAnswer,
    )
    def paint(id: str, body: schemas.PaintBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(_gallery(workspace, studio.painting.paint(workspace, options_of(body, studio, workspace), body.eraser), side))

    @router.post("/workspaces/{id}/results/{index}/use", tags=tags, summary="Take another result", response_model=StateAnswer)
    def use(id: str, index: str, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(translate.position(workspace, state=studio.painting.use(workspace, _index(index)), side=side))

    @router.post(
        "/workspaces/{id}/results/{index}/refine",
        tags=tags,
        summary="Paint a result once more, finer",
        response_model=schemas.PaintAnswer,
    )
    def refine(id: str, index: str, body: schemas.PaintBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(_gallery(workspace, studio.painting.refine(workspace, _index(index), options_of(body, studio, workspace)), side))

    @router.get(
        "/workspaces/{id}/results/{index}",
        tags=tags,
        summary="The part of the picture that a result changed",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}},
    )
    def result(id: str, index: str) -> Response:
        results = studio.workspace(id).results
        if not 0 <= _index(index) < len(results):
            raise NotFound("There is no result {index} (any more).", "Paint first.", index=index)
        return Response(rgb_png(results[_index(index)].pixels), 200, PRIVATE, "image/png")

    @router.get(
        "/workspaces/{id}/preview",
        tags=tags,
        summary="What is being painted, as it looks now",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}, 204: {"description": "There is nothing to show"}},
    )
    def preview(id: str) -> Response:
        studio.workspace(id)
        ours = any(task.kind == "paint" and task.active for task in studio.tasks.visible(id))  # and not somebody else's generation
        picture = studio.painting.preview() if ours else None
        if picture is None:
            return Response(status_code=204)
        file = io.BytesIO()
        picture.convert("RGB").save(file, "JPEG", quality=80)
        return Response(file.getvalue(), 200, PRIVATE, "image/jpeg")

    @router.get("/control-names", tags=tags, summary="What ControlNet units can name", response_model=schemas.ControlNamesAnswer)
    def control_names(ours: bool = False) -> Response:
        """Of the host's own ControlNet, or with `ours` (and where the host has no sampler) of our engines."""
        preprocessors, models = studio.painting.control_names(ours)
        return answer({"preprocessors": preprocessors, "models": models})

    @router.post("/checkpoint", tags=tags, summary="Paint with another checkpoint", response_model=schemas.CheckpointBody)
    def choose(body: schemas.CheckpointBody) -> Response:
        studio.host.choose_checkpoint(body.name)
        return answer({"name": studio.host.capabilities().checkpoint})

    @router.post(
        "/checkpoint/prepare",
        tags=tags,
        summary="Get our engines ready for the loaded checkpoint, in the background",
        response_model=schemas.CheckpointBody,
        status_code=202,
    )
    def prepare() -> Response:
        studio.own_sampler.prepare()
        return answer({"name": studio.host.capabilities().checkpoint}, 202)

    @router.post("/paint", tags=["without a session"], summary="Paint in a picture", response_model=schemas.PaintedAnswer)
    def paint_picture(body: schemas.PaintPictureBody) -> Response:
        format = translate.checked_format(body.format)
        picture = studio.decode(translate.picture_bytes(body.image))
        mask = None if body.mask is None else masks.from_file(translate.picture_bytes(body.mask), picture.size)
        painted = studio.painting.paint_picture(picture, mask, options_of(body, studio), body.eraser)
        return answer(_files(studio, painted, format))

    @router.post("/enlarge", tags=["without a session"], summary="Make a picture four times as large", response_model=schemas.PaintedAnswer)
    def enlarge(body: schemas.EnlargeBody) -> Response:
        format = translate.checked_format(body.format)
        picture = studio.decode(translate.picture_bytes(body.image))
        options = flat_options.grouped(steps=body.steps, seed=body.seed)
        return answer(_files(studio, studio.generation.enlarge(picture, options, body.system), format))

    @router.post("/generate", tags=["without a session"], summary="Paint a picture from a prompt", response_model=schemas.PaintedAnswer)
    def generate(body: schemas.GenerateBody) -> Response:
        format = translate.checked_format(body.format)
        return answer(_files(studio, studio.generation.generate(options_of(body, studio), body.width, body.height), format))


def options_of(body: schemas.EngineBody, studio: Studio, workspace: Workspace | None = None) -> PaintOptions:
    """What a body says of painting. Raises `InvalidInput`.

    workspace: whose control maps its units may name; None where there are none.
    """
    values = {name: value for name, value in dict(body).items() if name in flat_options.DEFAULTS}
    values |= {name: None for name in ("grow", "feather") if values[name] == AUTO}
    if "task" in values:
        values["task"] = _PALETTE.get(values["task"], values["task"])
    control = tuple(_unit(unit, studio, workspace) for unit in body.control)
    for name in ("guide_picture", "reference_picture"):
        if values.get(name) is not None:
            values[name] = studio.decode(translate.picture_bytes(values[name])).pixels
    further = (studio.decode(translate.picture_bytes(picture)).pixels for picture in values.get("further_references", ()))
    edits = tuple(WordEdit(edit.text, edit.scale, edit.threshold) for edit in values.get("edits", ()))
    weights = tuple((weight.words, weight.weight) for weight in values.get("word_weights", ()))
    fixed = {"styles": tuple(values.get("styles", ())), "control": control, "edits": edits, "word_weights": weights}
    return flat_options.grouped(**{**values, **fixed, "further_references": tuple(further)})


def _unit(unit: schemas.ControlBody, studio: Studio, workspace: Workspace | None) -> ControlUnit:
    drawn = None
    if unit.map is not None:
        if workspace is None:
            raise InvalidInput("There are no maps without a workspace.", "Open the picture first, and make the map there.")
        made = studio.control_maps.made(workspace, unit.map)
        if made.size != workspace.size:
            raise InvalidInput("The picture has another size than when this map was made.", "Make the map again.")
        drawn = made.map.pixels[..., :3]
    fields: dict[str, Any] = {**dict(unit), "values": tuple(unit.values.items()), "map": drawn}
    return ControlUnit(**fields)


def _files(studio: Studio, painted: PaintedPictures, format: str) -> dict[str, Any]:
    images = [translate.picture_url(studio, picture, format) for picture in painted.pictures]
    return {"images": images, "seeds": list(painted.seeds), **_edge(painted.edge)}


def _gallery(workspace: Workspace, gallery: Gallery, side: int | None) -> dict[str, Any]:
    results = [
        {"index": index, "seed": result.seed, "infotext": result.infotext, "box": list(result.box)}
        for index, result in enumerate(gallery.results)
    ]
    position = translate.position(workspace, state=gallery.state, side=side)
    return {**position, "milliseconds": round(gallery.milliseconds, 1), **_edge(gallery.edge), "results": results}


def _edge(edge: SoftEdge | None) -> dict[str, int | None]:
    return {"grow": None, "feather": None} if edge is None else {"grow": edge.grow, "feather": edge.feather}


def _index(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or len(text) > 4:
        raise NotFound("There is no result {text!r}.", "Give its index.", text=text)
    return int(text)
