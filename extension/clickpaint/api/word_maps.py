"""The routes of where the checkpoint sees words."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from fastapi import APIRouter, Depends, Response

from clickpaint.api import edit_schemas as schemas
from clickpaint.api import translate
from clickpaint.api.encode import answer, data_url, grey_png
from clickpaint.paint.diffusion.seeing_words import SeenWord
from clickpaint.studio.studio import Studio


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["words"]

    @router.post("/workspaces/{id}/word-maps", tags=tags, summary="Where each word is seen", response_model=schemas.WordMapsAnswer)
    def word_maps(id: str, body: schemas.WordMapsBody) -> Response:
        return answer(_maps(studio.word_masks.maps(studio.workspace(id), body.prompt, body.resolution)))

    @router.post(
        "/workspaces/{id}/word-maps/select", tags=tags, summary="Select where a word is seen", response_model=schemas.SelectWordAnswer
    )
    def select(id: str, body: schemas.SelectWordBody, side: int | None = Depends(translate.mask_side)) -> Response:
        workspace = studio.workspace(id)
        state, word = studio.word_masks.select(workspace, body.prompt, body.index, body.threshold, body.mode, body.resolution)
        return answer({**translate.position(workspace, state=state, side=side), "word": word})

    @router.post("/word-maps", tags=["without a session"], summary="Where each word is seen", response_model=schemas.WordMapsAnswer)
    def word_maps_in(body: schemas.WordMapsPictureBody) -> Response:
        picture = studio.decode(translate.picture_bytes(body.image))
        return answer(_maps(studio.word_masks.maps_in(picture, body.prompt, body.resolution)))


def _maps(words: Sequence[SeenWord]) -> dict[str, Any]:
    return {"words": [{"text": word.text, "map": data_url(grey_png((word.seen * 255).round().astype(np.uint8)))} for word in words]}
