"""The routes of one user's session."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Response

from clickpaint.api import schemas, translate, uploads
from clickpaint.api.encode import PRIVATE, answer, rgb_png
from clickpaint.errors import InvalidInput, NotFound
from clickpaint.image.geometry import Box
from clickpaint.image.picture_files import media_type
from clickpaint.session.workspace import Workspace
from clickpaint.studio.studio import Studio, Travel, file_name

_OPEN_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}}}
        },
        "application/json": {
            "schema": {
                "type": "object", "required": ["image"],
                "properties": {"image": {"type": "string", "description": "Base64 or a data URL."}, "name": {"type": "string"}},
            }
        },
    },
}  # fmt: skip


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["workspace"]

    @router.post(
        "/workspaces",
        tags=tags,
        summary="Open a picture",
        status_code=201,
        response_model=schemas.WorkspaceAnswer,
        openapi_extra={"requestBody": _OPEN_BODY},
    )
    def open_workspace(upload: tuple[bytes, str] = Depends(uploads.received)) -> Response:
        data, name = uploads.picture(upload)
        return answer(_described(studio.open(data, _file_name(name))), 201)

    @router.get("/workspaces/{id}", tags=tags, summary="What there is", response_model=schemas.WorkspaceAnswer)
    def get_workspace(id: str) -> Response:
        return answer(_described(studio.workspace(id)))

    @router.delete("/workspaces/{id}", tags=tags, summary="Close, and remove from the disk", status_code=204, response_class=Response)
    def close_workspace(id: str, keep: str = "0") -> Response:
        """keep: 1 to leave it in the history, from where it can be asked for again; only its memory is freed."""
        if keep in ("", "0", "false"):
            studio.close(id)
        else:
            studio.put_away(id)
        return Response(status_code=204)

    @router.post("/workspaces/{id}/select", tags=tags, summary="Select what is clicked on", response_model=schemas.SelectAnswer)
    def select(id: str, body: schemas.SelectBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        size = workspace.size
        shown = translate.looked_at(size, side)
        click = studio.selecting.select(
            workspace, translate.prompts(body), body.segmenter, body.mode, body.previous, body.candidate, body.preview, shown
        )
        return answer(translate.clicked(click, workspace, size if shown else None, side))

    @router.post("/workspaces/{id}/choose", tags=tags, summary="Take another candidate", response_model=schemas.StateAnswer)
    def choose(id: str, body: schemas.ChooseBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(translate.position(workspace, state=studio.selecting.choose(workspace, body.candidate), side=side))

    @router.post("/workspaces/{id}/mask", tags=tags, summary="Adjust the selection", response_model=schemas.StateAnswer)
    def adjust_mask(id: str, body: schemas.MaskBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(translate.position(workspace, state=studio.selecting.adjust(workspace, translate.adjustments(body)), side=side))

    @router.post("/workspaces/{id}/everything", tags=tags, summary="Find all regions", response_model=schemas.EverythingAnswer)
    def find_everything(id: str, body: schemas.EverythingBody | None = None) -> Response:
        workspace = studio.workspace(id)
        options = translate.everything_options(body)
        return answer(translate.everything(studio.selecting.everything(workspace, options, body.segmenter if body else None)))

    @router.get("/workspaces/{id}/shadow", tags=tags, summary="The selection's shadow", response_model=schemas.ShadowAnswer)
    def shadow(id: str, side: int | None = Depends(translate.mask_side)) -> Response:
        """The cast shadow and the reflection that belong to what is selected."""
        return answer(translate.shadow(studio.erasing.shadow(studio.workspace(id)), side))

    @router.post("/workspaces/{id}/erase", tags=tags, summary="Remove what is selected", response_model=schemas.EraseAnswer)
    def erase_selected(id: str, body: schemas.EraseBody | None = None, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        erase = studio.erasing.erase
        drawn = translate.adjustments(body) if body else ()
        done = erase(workspace, body.eraser, body.grow, body.feather, body.shadow, drawn, body.grain) if body else erase(workspace)
        position = translate.position(workspace, state=done.state, side=side)
        return answer({
            **position, "eraser": done.eraser, **asdict(done.edge), "milliseconds": round(done.milliseconds, 1),
            "changed": list(done.changed),
        })  # fmt: skip

    @router.post("/workspaces/{id}/undo", tags=tags, summary="One step back", response_model=schemas.StateAnswer)
    def undo(id: str, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(travelled(workspace, studio.undo, side))

    @router.post("/workspaces/{id}/redo", tags=tags, summary="One step forth", response_model=schemas.StateAnswer)
    def redo(id: str, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        return answer(travelled(workspace, studio.redo, side))

    @router.get(
        "/workspaces/{id}/image", tags=tags, summary="The picture", response_class=Response, responses={200: {"content": {"image/*": {}}}}
    )
    def image(
        id: str, version: str = "", format: str = "png", download: str = "0", quality: str = "", box: str = "", longest: str = ""
    ) -> Response:
        """version: a number or "original"; left out, the one shown now. format: png, jpeg, webp or source (as it came in).
        quality: 1 to 100, for jpeg and webp; left out, the source's own or a high one.
        box: "left,top,right,bottom", only this part, as a PNG for looking at: made quickly, without the source's metadata.
        longest: 1 to 4096, a JPEG for looking at whose longer side has at most so many pixels."""
        workspace = studio.workspace(id)
        number = _version(version)
        if box:
            part = workspace.part(number, _box(box, workspace.size_of(number)))
            return Response(rgb_png(part), 200, PRIVATE, "image/png")
        if longest:
            small = workspace.small_jpeg(number, _longest(longest))
            return Response(small, 200, PRIVATE, "image/jpeg")
        picture = workspace.picture(number)
        wanted = translate.checked_format(format)
        name = picture.source.format if wanted == "source" else wanted.upper()
        headers = {**PRIVATE}
        if download not in ("", "0", "false"):
            headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(file_name(workspace.name, name), safe='')}"
        return Response(studio.encode(picture, None if wanted == "source" else name, _quality(quality)), 200, headers, media_type(name))

    @router.post(
        "/workspaces/{id}/save", tags=tags, summary="Save in the program's folder for saved pictures", response_model=schemas.SavedAnswer
    )
    def save(id: str, body: schemas.SaveBody | None = None) -> Response:
        workspace = studio.workspace(id)
        if body is None:
            return answer({"file": studio.save(workspace).name})
        wanted = translate.checked_format(body.format)
        return answer({"file": studio.save(workspace, body.version, None if wanted == "source" else wanted.upper(), body.quality).name})

    @router.get(
        "/workspaces/{id}/mask",
        tags=tags,
        summary="The selection",
        response_class=Response,
        responses={200: {"content": {"image/png": {}}}},
    )
    def mask(id: str, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        data = translate.selection_png(workspace.state, workspace, side)
        return Response(data, 200, PRIVATE, "image/png")

    def travelled(workspace: Workspace, way: Callable[[Workspace], Travel], side: int | None) -> dict[str, Any]:
        travel = way(workspace)
        return {**translate.position(workspace, travel.step.label, side=side), "changed": travel.changed and list(travel.changed)}

    def _described(workspace: Workspace) -> dict[str, Any]:
        state = workspace.state
        return {
            "id": workspace.id, "width": workspace.size[0], "height": workspace.size[1], "format": workspace.original.source.format,
            "name": workspace.name, "segmenter": workspace.segmenter, "version": state.version, "versions": workspace.versions,
            "selection": translate.selection(state, workspace, with_mask=False), "can_undo": workspace.can_undo,
            "can_redo": workspace.can_redo, "edge": translate.edge(workspace),
            "offsets": {version: workspace.margins(version)[:2] for version in workspace.versions},
            "tasks": translate.tasks(studio.tasks.visible(workspace.id), studio),
            "losses": translate.losses(workspace.original),
        }  # fmt: skip


def _version(text: str) -> int | None:
    if text == "":
        return None
    if text == "original":
        return 0
    if not text.isdecimal() or not text.isascii() or len(text) > 9:
        raise NotFound("There is no version {text!r} of this picture.", "Give a number, or original.", text=text)
    return int(text)


def _quality(text: str) -> int | None:
    if text == "":
        return None
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:4]) <= 100:
        raise InvalidInput("The quality {text!r} cannot be used.", "It goes from 1 to 100.", text=text)
    return int(text)


def _longest(text: str) -> int:
    if not text.isdecimal() or not text.isascii() or not 1 <= int(text[:5]) <= 4096:
        raise InvalidInput("The length {text!r} cannot be used.", "It goes from 1 to 4096 pixels.", text=text)
    return int(text)


def _box(text: str, size: tuple[int, int]) -> Box:
    """A box within a picture of this (width, height), from what the address says."""
    numbers = text.split(",")
    if len(numbers) != 4 or not all(number.isdecimal() and number.isascii() and len(number) < 9 for number in numbers):
        raise InvalidInput("The box {text!r} cannot be read.", "Give left,top,right,bottom in pixels.", text=text)
    left, top, right, bottom = map(int, numbers)
    width, height = size
    if not (left < right <= width and top < bottom <= height):
        raise InvalidInput(
            "The box is empty or reaches over the picture.", "The picture is {width} x {height} pixels.", width=width, height=height
        )
    return Box(left, top, right, bottom)


def _file_name(name: str) -> str:
    """The last part of a name that came with a file, without what no file name may hold."""
    last = name.replace("\\", "/").rpartition("/")[2]
    return "".join(letter for letter in last if letter.isprintable() and letter not in '<>:"|?*')[:200].strip(". ")
