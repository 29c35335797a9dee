"""The routes of data sets: keep for training, look through, describe, mask, export, import."""

from __future__ import annotations

import io
from typing import Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import datasets_schemas as schemas
from clickpaint.api import translate, uploads
from clickpaint.api.encode import PRIVATE, answer, zip_file
from clickpaint.caption.caption_job import CaptionOptions
from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.image import mask as masks
from clickpaint.studio.studio import Studio
from clickpaint.studio.training_data import Keeping, Kept, WorkedThrough
from clickpaint.train.dataset.collection import ExampleChange, checked_name, example_id
from clickpaint.train.dataset.examples import LAYOUTS, DataSet

_ZIP_BODY = {
    "content": {"multipart/form-data": {"schema": {
        "type": "object", "required": ["file"], "properties": {"file": {"type": "string", "format": "binary"}},
    }}},
    "required": True,
}  # fmt: skip
_RESOLUTIONS = 64, 4096


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["data sets"]
    data = studio.training_data

    @router.get("/datasets", tags=tags, summary="The data sets that there are", response_model=list[schemas.DataSetSummary])
    def datasets() -> Response:
        return answer([_summary(studio, name) for name in data.collection.names()])

    @router.post("/datasets", tags=tags, summary="Make an empty data set", status_code=201, response_model=schemas.DataSetSummary)
    def make(body: schemas.DataSetBody) -> Response:
        data.collection.create(body.name, body.trigger)
        return answer(_summary(studio, checked_name(body.name)), 201)

    @router.get("/datasets/{name}", tags=tags, summary="All of a data set, looked through", response_model=schemas.DataSetAnswer)
    def dataset(name: str, resolution: int = 512) -> Response:
        """resolution: that it is to be trained at; what is tiny, and the buckets, follow from it."""
        return answer(_described(studio, name, resolution))

    @router.patch(
        "/datasets/{name}", tags=tags, summary="Change captions, repeats, the trigger word", response_model=schemas.DataSetSummary
    )
    def change(name: str, body: schemas.DataSetChangeBody) -> Response:
        changes = {example.id: ExampleChange(example.caption, example.repeats) for example in body.examples}
        data.collection.change(name, changes, body.trigger)
        return answer(_summary(studio, name))

    @router.delete("/datasets/{name}", tags=tags, summary="Delete a data set", status_code=204, response_class=Response)
    def delete(name: str) -> Response:
        data.collection.delete(name)
        return Response(status_code=204)

    @router.delete("/datasets/{name}/examples/{id}", tags=tags, summary="Delete an example", status_code=204, response_class=Response)
    def discard(name: str, id: str) -> Response:
        data.collection.discard(name, [id])
        return Response(status_code=204)

    @router.post("/workspaces/{id}/keep-for-training", tags=tags, summary="Keep for training", response_model=schemas.KeptAnswer)
    def keep(id: str, body: schemas.KeepForTrainingBody) -> Response:
        keeping = Keeping(body.what, body.caption, tuple(body.regions), tuple(body.captions), body.map, body.repeats)
        return answer(_kept(studio, body.dataset, data.keep(studio.workspace(id), body.dataset, keeping, body.trigger)))

    @router.post("/datasets/{name}/examples", tags=tags, summary="Add a picture", response_model=schemas.KeptAnswer)
    def add(name: str, body: schemas.AddExampleBody) -> Response:
        picture = studio.decode(translate.picture_bytes(body.image))
        mask = None if body.mask is None else masks.from_file(translate.picture_bytes(body.mask), picture.size)
        map = None if body.control_map is None else studio.decode(translate.picture_bytes(body.control_map)).pixels
        before = None if body.before is None else studio.decode(translate.picture_bytes(body.before))
        kept = data.add_picture(
            name, body.name, picture, mask, body.caption, repeats=body.repeats, control_map=map, before=before
        )  # fmt: skip
        return answer(_kept(studio, name, kept))

    @router.post("/datasets/{name}/caption", tags=tags, summary="Describe examples", response_model=schemas.WorkedThroughAnswer)
    def caption(name: str, body: schemas.CaptionSetBody) -> Response:
        return answer(_through(data.caption(name, body.ids, CaptionOptions(body.captioner), body.overwrite)))

    @router.post("/datasets/{name}/mask", tags=tags, summary="Select what a phrase names", response_model=schemas.WorkedThroughAnswer)
    def mask(name: str, body: schemas.MaskSetBody) -> Response:
        return answer(_through(data.mask(name, body.phrase, body.ids, body.segmenter, body.overwrite)))

    @router.get(
        "/datasets/{name}/examples/{id}/thumbnail", tags=tags, summary="A small picture of an example", response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}}},
    )  # fmt: skip
    def thumbnail(name: str, id: str, what: Literal["picture", "map", "before"] = "picture") -> Response:
        """picture: what its mask leaves out is dimmed."""
        return Response(data.thumbnail(name, id, what), 200, PRIVATE, "image/jpeg")

    @router.get(
        "/datasets/{name}/export", tags=tags, summary="A zip file for another trainer", response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}},
    )  # fmt: skip
    def export(name: str, layout: schemas.Layout = "imagefolder") -> Response:
        return zip_file(data.export(name, layout), f"{name}-{layout}.zip")

    @router.post(
        "/datasets/{name}/import", tags=tags, summary="Bring a zip file of a data set", response_model=schemas.ImportedAnswer,
        openapi_extra={"requestBody": _ZIP_BODY},
    )  # fmt: skip
    def take(name: str, upload: tuple[bytes, str] = Depends(uploads.received)) -> Response:
        """Any usual layout. A data set of this name is added to, or made."""
        return answer({"name": checked_name(name), "imported": data.take_zip(name, io.BytesIO(upload[0]))})


def _summary(studio: Studio, name: str) -> dict[str, Any]:
    failure = None
    try:
        data_set = studio.training_data.collection.get(name)
    except InvalidInput as error:  # a damaged one: shown, so that it can be deleted
        data_set, failure = DataSet((), "", name), error.sentence
    examples = data_set.examples
    return {
        "name": name, "trigger": data_set.trigger, "examples": len(examples), "turns": sum(example.repeats for example in examples),
        "masked": sum(example.mask is not None for example in examples),
        "thumbnail": _thumbnail(name, example_id(examples[0])) if examples else None, "failure": failure,
    }  # fmt: skip


def _described(studio: Studio, name: str, resolution: int) -> dict[str, Any]:
    if not _RESOLUTIONS[0] <= resolution <= _RESOLUTIONS[1]:
        raise InvalidInput(
            "The resolution cannot be {resolution}.", "Give at least {step} pixels.", resolution=resolution, step=_RESOLUTIONS[0]
        )
    collection = studio.training_data.collection
    data_set, seen = collection.get(name), None
    if data_set.examples:
        data_set, seen = studio.training_data.inspect(name, resolution)
    ids = [example_id(example) for example in data_set.examples]
    marks = () if seen is None else seen.marks
    examples = [
        {
            "id": id, "caption": example.caption, "prompt": data_set.prompt(example), "repeats": example.repeats, "width": mark.width,
            "height": mark.height, "mask": example.mask is not None, "control_map": example.control_map is not None,
            "before": example.before is not None, "object_side": round(mark.object_side, 1), "sharpness": round(mark.sharpness, 1),
            "marks": list(mark.names), "same_as": None if mark.same_as is None else ids[mark.same_as],
            "thumbnail": _thumbnail(name, id),
        }
        for id, example, mark in zip(ids, data_set.examples, marks, strict=True)
    ]  # fmt: skip
    balance = {"turns": 0, "masked": 0, "buckets": [], "largest_source": 0.0, "words": {}}
    if seen is not None:
        buckets = [{"width": size[0], "height": size[1], "turns": turns} for size, turns in seen.balance.buckets.items()]
        balance = {
            "turns": seen.balance.turns, "masked": seen.balance.masked, "buckets": buckets,
            "largest_source": round(seen.balance.largest_source, 4), "words": dict(seen.balance.words),
        }  # fmt: skip
    return {
        "name": name, "trigger": data_set.trigger, "examples": examples, "balance": balance, "resolution": resolution,
        "layouts": LAYOUTS, "captions": studio.words.controls()["caption"].available,
    }  # fmt: skip


def _thumbnail(name: str, id: str) -> str:
    return f"datasets/{quote(name, safe='')}/examples/{quote(id, safe='')}/thumbnail"


def _kept(studio: Studio, name: str, kept: Kept) -> dict[str, Any]:
    return {
        "dataset": name, "ids": list(kept.ids), "captions": list(kept.captions),
        "examples": len(studio.training_data.collection.get(name).examples),
        "failure": None if kept.failure is None else _failure(kept.failure),
    }  # fmt: skip


def _through(through: WorkedThrough) -> dict[str, Any]:
    return {"done": list(through.done), "failed": {id: _failure(error) for id, error in through.failed.items()}}


def _failure(error: ClickpaintError) -> dict[str, Any]:
    return error.describe()
