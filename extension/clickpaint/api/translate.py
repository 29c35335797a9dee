"""From what a request says to what the studio understands, and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

import numpy as np

from clickpaint.api import schemas
from clickpaint.api.encode import data_url, grey_png, mask_png, rgb_png
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture, media_type
from clickpaint.segment.base import Candidate, Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.session.selection import Adjustment
from clickpaint.session.workspace import State, Workspace
from clickpaint.studio.queue import Task
from clickpaint.studio.selecting import Clicked, Everything, Segmented
from clickpaint.studio.studio import Studio

_FORMATS = ("source", "png", "jpeg", "webp")
_MOST_POINTS = 1000
_MOST_STROKE_POINTS = 200_000
_MOST_OPERATIONS = 100
_MOST_PIXELS = 512  # of growing, shrinking and feathering


def picture_bytes(text: str) -> bytes:
    """The file in base64 or a data URL. Raises `InvalidInput`."""
    if text.startswith("data:"):
        head, comma, text = text.partition(",")
        if not comma or not head.endswith(";base64"):
            raise InvalidInput("The data URL is not in base64.", "It begins with data:image/png;base64, and the file follows.")
    try:
        data = base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidInput("The picture is not valid base64.", "Send the picture's file in base64 or as a data URL.") from error
    if not data:
        raise InvalidInput("The picture is empty.", "Send the picture's file in base64 or as a data URL.")
    return data


def checked_format(text: str) -> str:
    """Of a file in an answer. Raises `InvalidInput`."""
    if text.lower() not in _FORMATS:
        raise InvalidInput(f"The format {text!r} is unknown.", f"Choose one of {', '.join(_FORMATS)}.")
    return text.lower()


def picture_url(studio: Studio, picture: Picture, format: str) -> str:
    """The picture's file as a data URL; format: checked, "source" for the one that it came in."""
    name = picture.source.format if format == "source" else format.upper()
    return data_url(studio.encode(picture, None if format == "source" else name), media_type(name))


def prompts(body: schemas.SelectBody | schemas.SegmentBody) -> Prompts:
    _at_most("points", len(body.points), _MOST_POINTS)
    return Prompts(tuple(Point(point.x, point.y, point.label) for point in body.points), body.box)


def adjustments(body: schemas.MaskBody) -> list[Adjustment]:
    _at_most("operations", len(body.operations), _MOST_OPERATIONS)
    _at_most("stroke points", sum(len(stroke.points) for one in body.operations for stroke in one.strokes), _MOST_STROKE_POINTS)
    _at_most("lasso points", sum(len(one.points) for one in body.operations), _MOST_STROKE_POINTS)
    return [_adjustment(operation) for operation in body.operations]


def _adjustment(body: schemas.OperationBody) -> Adjustment:
    if body.amount is not None and not 0 <= body.amount <= (_MOST_PIXELS if body.op in ("grow", "shrink", "feather") else 2**31):
        raise InvalidInput(f"The amount of {body.op} cannot be {body.amount}.", f"It goes from 0 to {_MOST_PIXELS} pixels.")
    return Adjustment(
        body.op, body.amount, tuple(masks.Stroke(tuple(stroke.points), stroke.radius, stroke.erase) for stroke in body.strokes),
        tuple(body.points), body.box, picture_bytes(body.image) if body.image is not None else b"", body.index, body.mode,
    )  # fmt: skip


def everything_options(body: schemas.EverythingBody | None) -> EverythingOptions:
    given = {} if body is None else {name: value for name, value in dict(body).items() if value is not None and name != "segmenter"}
    return EverythingOptions(**given).checked()


def selection(state: State, workspace: Workspace, known: str | None = None, with_mask: bool = True) -> dict[str, Any] | None:
    """known: the mask's data URL where it has been made already."""
    if state.selection is None:
        return None
    told: dict[str, Any] = {"area": state.selection.area, "box": list(state.selection.box), "feather": state.feather}
    if with_mask:
        told["mask"] = known if known is not None and not state.feather else data_url(selection_png(state, workspace))
    return told


def selection_png(state: State, workspace: Workspace) -> bytes:
    """What is selected, in white; in greys where its edge is soft."""
    if state.selection is None:
        return mask_png(np.zeros(workspace.size[::-1], bool))
    mask = state.selection.mask
    if not state.feather:
        return mask_png(mask)
    return grey_png(np.rint(masks.feather(mask, state.feather) * 255).astype(np.uint8))


def position(workspace: Workspace, label: str = "", state: State | None = None) -> dict[str, Any]:
    """Where the user is now."""
    state = state or workspace.state
    width, height = workspace.size
    return {
        "version": state.version, "width": width, "height": height, "selection": selection(state, workspace),
        "label": label or state.label, "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def candidates(answer: Segmented) -> dict[str, Any]:
    listed = [
        {**_region(candidate, packed), "mask": data_url(mask_png(candidate.mask))}
        for candidate, packed in zip(answer.candidates, answer.packed, strict=True)
    ]
    return {"segmenter": answer.segmenter, "milliseconds": round(answer.milliseconds, 1), "candidates": listed}


def clicked(click: Clicked, workspace: Workspace, mode: str) -> dict[str, Any]:
    told = candidates(click)
    same = told["candidates"][click.chosen]["mask"] if mode == "replace" else None
    return {
        **told, "chosen": click.chosen, "version": click.state.version, "selection": selection(click.state, workspace, same),
        "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def everything(found: Everything) -> dict[str, Any]:
    return {
        "segmenter": found.segmenter, "milliseconds": round(found.milliseconds, 1),
        "regions": [{"score": round(one.score, 4), "area": one.area, "box": list(one.box)} for one in found.regions],
        "labels": data_url(grey_png(found.labels)), "overview": data_url(rgb_png(found.overview)),
    }  # fmt: skip


def tasks(found: Sequence[Task], studio: Studio) -> list[dict[str, Any]]:
    return [task.describe(studio.requests.position(task)) for task in found]


def _region(candidate: Candidate, packed: PackedMask | None) -> dict[str, Any]:
    box = None if packed is None else list(packed.box)
    return {"score": round(float(candidate.score), 4), "area": 0 if packed is None else packed.area, "box": box}


def _at_most(what: str, count: int, most: int) -> None:
    if count > most:
        raise InvalidInput(f"There are {count} {what}.", f"Give at most {most}.", count=count, limit=most)
