"""From what a request says to what the studio understands, and back."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any
from urllib.parse import unquote

import numpy as np

from clickpaint.api import schemas
from clickpaint.api.encode import data_url, grey_png, mask_png, rgb_png
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.packed import PackedMask
from clickpaint.image.picture import Picture, media_type
from clickpaint.image.soft_edge import automatic
from clickpaint.segment.base import Candidate, Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.segment.shadow import Shadow
from clickpaint.session.selection import Adjustment
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.queue import Task
from clickpaint.studio.selecting import Clicked, Everything, Segmented
from clickpaint.studio.studio import Studio

_URL_LETTERS = bytes.maketrans(b"-_", b"+/")
_FORMATS = ("source", "png", "jpeg", "webp", "avif")
_MOST_PIXELS = 512  # of growing, shrinking and feathering


def picture_bytes(text: str) -> bytes:
    """The file in base64 or a data URL, as the command `base64`, mail libraries and browsers write it.

    Lines and spaces are passed over, the alphabet of URLs is taken as well, and the padding may be missing.

    Raises:
        InvalidInput: it is something else.
    """
    text = text.lstrip("\ufeff \t\r\n")
    if text[:5].lower() == "data:":
        head, comma, text = text.partition(",")
        if not comma or not head.rstrip().lower().endswith(";base64"):
            raise InvalidInput("The data URL is not in base64.", "It begins with data:image/png;base64, and the file follows.")
        if "%" in text:
            text = unquote(text)
    try:
        letters = text.encode("ascii").translate(_URL_LETTERS, delete=b" \t\r\n\v\f").rstrip(b"=")
        data = base64.b64decode(letters + b"=" * (-len(letters) % 4), validate=True)
    except (binascii.Error, UnicodeEncodeError) as error:
        raise InvalidInput("The picture is not valid base64.", "Send the picture's file in base64 or as a data URL.") from error
    if not data:
        raise InvalidInput("The picture is empty.", "Send the picture's file in base64 or as a data URL.")
    return data


def checked_format(text: str) -> str:
    """Of a file in an answer. Raises `InvalidInput`."""
    if text.lower() not in _FORMATS:
        raise InvalidInput("The format {text!r} is unknown.", "Choose one of {formats}.", text=text, formats=", ".join(_FORMATS))
    return text.lower()


def picture_url(studio: Studio, picture: Picture, format: str) -> str:
    """The picture's file as a data URL; format: checked, "source" for the one that it came in."""
    name = picture.source.format if format == "source" else format.upper()
    return data_url(studio.encode(picture, None if format == "source" else name), media_type(name))


def losses(picture: Picture) -> list[dict[str, Any]]:
    """What of a picture's file will be missing in the files made of it."""
    return [{"code": loss.code, "text": loss.text, **loss.data} for loss in picture.source.losses]


def prompts(body: schemas.SelectBody | schemas.SegmentBody) -> Prompts:
    return Prompts(tuple(Point(point.x, point.y, point.label) for point in body.points), body.box)


def adjustments(body: schemas.MaskBody) -> list[Adjustment]:
    for name, count in (
        ("strokes", sum(len(stroke.points) for operation in body.operations for stroke in operation.strokes)),
        ("lassos", sum(len(operation.points) for operation in body.operations)),
    ):
        if count > schemas.MOST_STROKE_POINTS:
            limit = schemas.MOST_STROKE_POINTS
            raise InvalidInput("The {name} have {count} points.", "Give at most {limit}.", count=count, limit=limit, name=name)
    return [_adjustment(operation) for operation in body.operations]


def _adjustment(body: schemas.OperationBody) -> Adjustment:
    if body.amount is not None and not 0 <= body.amount <= (_MOST_PIXELS if body.op in ("grow", "shrink", "feather") else 2**31):
        raise InvalidInput(
            "The amount of {op} cannot be {amount}.",
            "It goes from 0 to {limit} pixels.",
            op=body.op,
            amount=body.amount,
            limit=_MOST_PIXELS,
        )
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
    selected: dict[str, Any] = {"area": state.selection.area, "box": list(state.selection.box), "feather": state.feather}
    if with_mask:
        selected["mask"] = known if known is not None and not state.feather else data_url(selection_png(state, workspace))
    return selected


def selection_png(state: State, workspace: Workspace) -> bytes:
    """What is selected, in white; in greys where its edge is soft."""
    if state.selection is None:
        return mask_png(np.zeros(workspace.size[::-1], bool))
    mask = state.selection.mask
    if not state.feather:
        return mask_png(mask)
    return grey_png(np.rint(masks.feather(mask, state.feather) * 255).astype(np.uint8))


def edge(workspace: Workspace) -> dict[str, int]:
    """What "auto" is for removing from the picture shown."""
    return asdict(automatic(workspace.size))


def shadow(seen: Shadow | None) -> dict[str, Any]:
    if seen is None:
        return {"mask": None, "box": None, "confidence": 0.0, "sure": False, "reflected": False}
    box = masks.bounds(seen.mask)
    return {
        "mask": data_url(mask_png(seen.mask)), "box": None if box is None else list(box),
        "confidence": round(seen.confidence, 3), "sure": seen.sure, "reflected": seen.reflected,
    }  # fmt: skip


def position(workspace: Workspace, label: str = "", state: State | None = None) -> dict[str, Any]:
    """Where the user is now."""
    state = state or workspace.state
    width, height = workspace.size
    return {
        "version": state.version, "width": width, "height": height, "edge": edge(workspace), "selection": selection(state, workspace),
        "label": label or state.label, "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def candidates(answer: Segmented) -> dict[str, Any]:
    listed = [
        {**_region(candidate, packed), "mask": data_url(mask_png(candidate.mask))}
        for candidate, packed in zip(answer.candidates, answer.packed, strict=True)
    ]
    return {"segmenter": answer.segmenter, "milliseconds": round(answer.milliseconds, 1), "candidates": listed}


def clicked(click: Clicked, workspace: Workspace, mode: str) -> dict[str, Any]:
    listed = candidates(click)
    same = listed["candidates"][click.chosen]["mask"] if mode == "replace" else None
    return {
        **listed, "chosen": click.chosen, "version": click.state.version, "selection": selection(click.state, workspace, same),
        "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def everything(segmented: Everything) -> dict[str, Any]:
    return {
        "segmenter": segmented.segmenter, "milliseconds": round(segmented.milliseconds, 1),
        "regions": [{"score": round(region.score, 4), "area": region.area, "box": list(region.box)} for region in segmented.regions],
        "labels": data_url(grey_png(segmented.labels)), "overview": data_url(rgb_png(segmented.overview)),
    }  # fmt: skip


def tasks(visible: Sequence[Task], studio: Studio) -> list[dict[str, Any]]:
    return [task.describe(studio.requests.position(task)) for task in visible]


def _region(candidate: Candidate, packed: PackedMask | None) -> dict[str, Any]:
    box = None if packed is None else list(packed.box)
    return {"score": round(float(candidate.score), 4), "area": 0 if packed is None else packed.area, "box": box}
