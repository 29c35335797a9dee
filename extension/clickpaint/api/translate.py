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
from clickpaint.api.encode import data_url, grey_png, mask_png, packed_png, rgb_png
from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks
from clickpaint.image.packed import PackedMask, resampled
from clickpaint.image.picture import Picture
from clickpaint.image.picture_files import media_type
from clickpaint.image.soft_edge import automatic
from clickpaint.segment.base import Candidate, Point, Prompts
from clickpaint.segment.everything import EverythingOptions
from clickpaint.segment.shadow import Shadow
from clickpaint.session.selection import Adjustment
from clickpaint.session.steps import State
from clickpaint.session.workspace import Workspace
from clickpaint.studio.selecting import Clicked, Everything, Segmented
from clickpaint.studio.studio import Studio
from clickpaint.studio.tasks import Task

_MOST_IDS = 500

_SILHOUETTE = 256
"""Pixels of the longer side of a candidate that is not the chosen one: enough for a button and for a look."""
_URL_LETTERS = bytes.maketrans(b"-_", b"+/")
_FORMATS = ("source", "png", "jpeg", "webp", "avif")
_MOST_PIXELS = 512  # of growing, shrinking and feathering


def ids_of(text: str) -> list[str]:
    """Those of a query, separated by commas. Raises `InvalidInput` for too many."""
    ids = [id for id in text.split(",") if id]
    if len(ids) > _MOST_IDS:
        raise InvalidInput("These are too many ids.", "Give at most {limit}.", limit=_MOST_IDS)
    return ids


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


def adjustments(body: schemas.MaskBody | schemas.EraseBody) -> list[Adjustment]:
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


async def mask_side(mask_side: str = "") -> int | None:
    """What a route depends on that answers with masks. mask_side: the longer side in pixels, 64 to 65536, in which a mask is looked at;
    those of larger pictures come in this size then, with a box and an area that are true up to a pixel of it."""
    if mask_side == "":
        return None
    if not mask_side.isdecimal() or not mask_side.isascii() or not 64 <= int(mask_side[:6]) <= 65536:
        raise InvalidInput("The length {text!r} cannot be used.", "It goes from 64 to 65536 pixels.", text=mask_side)
    return int(mask_side)


def looked_at(size: tuple[int, int], side: int | None) -> tuple[int, int] | None:
    """The (width, height) in which a picture's masks are looked at; None for its own. side: as `mask_side` gives it."""
    if side is None or side >= max(size):
        return None
    return max(round(size[0] * side / max(size)), 1), max(round(size[1] * side / max(size)), 1)


def selection(
    state: State, workspace: Workspace, side: int | None = None, shown: np.ndarray | None = None, with_mask: bool = True
) -> dict[str, Any] | None:
    """side: as `mask_side` gives it. shown: the mask in that size, where it has been made already."""
    selected = state.selection
    if selected is None:
        return None
    size = looked_at(workspace.size, side)
    if size is not None and with_mask:
        small = selected.scaled(size) if shown is None else shown
        extent = _extent(small, workspace.size)
        if extent is not None:  # what is too small to be seen there comes as it is
            return {**extent, "feather": state.feather, "mask": data_url(_mask_file(small, state.feather * size[0] / workspace.size[0]))}
    answered: dict[str, Any] = {"area": selected.area, "box": list(selected.box), "feather": state.feather}
    if with_mask:
        answered["mask"] = data_url(selection_png(state, workspace))
    return answered


def selection_png(state: State, workspace: Workspace, side: int | None = None) -> bytes:
    """What is selected, in white; in greys where its edge is soft."""
    size = looked_at(workspace.size, side) or workspace.size
    if state.selection is None:
        return mask_png(np.zeros(size[::-1], bool))
    if size == workspace.size and round(state.feather) < 1:
        return packed_png(state.selection)
    mask = state.selection.mask if size == workspace.size else state.selection.scaled(size)
    return _mask_file(mask, state.feather * size[0] / workspace.size[0])


def _mask_file(mask: np.ndarray, feather: float) -> bytes:
    if round(feather) < 1:
        return mask_png(mask)
    return grey_png(np.rint(masks.feather(mask, round(feather)) * 255).astype(np.uint8))


def edge(workspace: Workspace) -> dict[str, int]:
    """What "auto" is for removing from the picture shown."""
    return asdict(automatic(workspace.size))


def shadow(seen: Shadow | None, side: int | None) -> dict[str, Any]:
    """side: as `mask_side` gives it."""
    if seen is None:
        return {"mask": None, "box": None, "confidence": 0.0, "sure": False, "reflected": False}
    box, size = masks.bounds(seen.mask), looked_at((seen.mask.shape[1], seen.mask.shape[0]), side)
    return {
        "mask": data_url(mask_png(seen.mask if size is None else resampled(seen.mask, size))), "box": None if box is None else list(box),
        "confidence": round(seen.confidence, 3), "sure": seen.sure, "reflected": seen.reflected,
    }  # fmt: skip


def _extent(small: np.ndarray, size: tuple[int, int]) -> dict[str, Any] | None:
    """The area and the box, as far as a smaller mask, bool [h, w], tells; None where nothing is selected in it. size: the picture's."""
    packed = PackedMask.of(small)
    if packed is None:
        return None
    across, down = size[0] / packed.size[0], size[1] / packed.size[1]
    left, top, right, bottom = packed.box
    box = [int(left * across), int(top * down), min(-int(-right * across // 1), size[0]), min(-int(-bottom * down // 1), size[1])]
    return {"area": max(round(packed.area * across * down), 1), "box": box}


def position(workspace: Workspace, label: str = "", state: State | None = None, side: int | None = None) -> dict[str, Any]:
    """Where the user is now. side: as `mask_side` gives it."""
    state = state or workspace.state
    width, height = workspace.size
    return {
        "version": state.version, "width": width, "height": height, "edge": edge(workspace),
        "selection": selection(state, workspace, side),
        "label": label or state.label, "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def candidates(answer: Segmented) -> dict[str, Any]:
    listed = [{**_whole(candidate), "score": _score(candidate)} for candidate in answer.candidates]
    return {**_answered(answer), "candidates": listed}


def clicked(click: Clicked, workspace: Workspace, size: tuple[int, int] | None, side: int | None) -> dict[str, Any]:
    """size: (width, height) of the picture clicked in, where the masks are looked at smaller; then only the one that was chosen comes in
    that size, the others as silhouettes. side: as `mask_side` gives it."""
    listed = [
        {
            **(_whole(candidate) if size is None else _smaller(candidate, click.shown if index == click.chosen else None, size)),
            "score": _score(candidate),
        }
        for index, candidate in enumerate(click.candidates)
    ]
    state, replaced = click.state, click.state.series is not None and click.state.series.mode == "replace"
    if replaced and not state.feather and state.selection is not None and listed[click.chosen]["box"] is not None:
        selected = {name: listed[click.chosen][name] for name in ("mask", "area", "box")} | {"feather": 0}
    else:
        selected = selection(state, workspace, side, click.shown if replaced else None)
    return {
        **_answered(click), "candidates": listed, "chosen": click.chosen, "version": state.version, "selection": selected,
        "can_undo": workspace.can_undo, "can_redo": workspace.can_redo,
    }  # fmt: skip


def _answered(answer: Segmented) -> dict[str, Any]:
    return {"segmenter": answer.segmenter, "milliseconds": round(answer.milliseconds, 1)}


def _score(candidate: Candidate) -> float:
    return round(float(candidate.score), 4)


def _whole(candidate: Candidate) -> dict[str, Any]:
    packed = candidate.packed
    if packed is None:
        return {"area": 0, "box": None, "mask": data_url(mask_png(candidate.mask))}
    return {"area": packed.area, "box": list(packed.box), "mask": data_url(packed_png(packed))}


def _smaller(candidate: Candidate, shown: np.ndarray | None, size: tuple[int, int]) -> dict[str, Any]:
    """shown: the mask in the size in which it is looked at; None for a silhouette. What that is too small for comes whole."""
    small = candidate.scaled(looked_at(size, _SILHOUETTE) or size) if shown is None else shown
    extent = _extent(small, size)
    if extent is None and candidate.packed is not None:
        return _whole(candidate)
    return {**(extent or {"area": 0, "box": None}), "mask": data_url(mask_png(small))}


def everything(segmented: Everything) -> dict[str, Any]:
    return {
        "segmenter": segmented.segmenter, "milliseconds": round(segmented.milliseconds, 1),
        "regions": [{"score": round(region.score, 4), "area": region.area, "box": list(region.box)} for region in segmented.regions],
        "labels": data_url(grey_png(segmented.labels)), "overview": data_url(rgb_png(segmented.overview)),
    }  # fmt: skip


def tasks(visible: Sequence[Task], studio: Studio) -> list[dict[str, Any]]:
    return [task.describe(studio.requests.position(task)) for task in visible]
