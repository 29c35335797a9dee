"""The routes that need no session: a picture comes with the request."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import numpy as np
from fastapi import APIRouter, Response

from clickpaint.api import schemas, translate
from clickpaint.api.encode import answer
from clickpaint.image import mask as masks
from clickpaint.studio.studio import Studio


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["without a session"]

    @router.post("/segment", tags=tags, summary="Masks for a picture", response_model=schemas.CandidatesAnswer)
    def segment(body: schemas.SegmentBody) -> Response:
        """With `everything` the answer is that of /workspaces/{id}/everything."""
        picture = studio.decode(translate.picture_bytes(body.image))
        if body.everything is False:
            return answer(translate.candidates(studio.selecting.segment(picture, translate.prompts(body), body.segmenter)))
        options = body.everything if isinstance(body.everything, schemas.EverythingBody) else None
        name = body.segmenter or (options.segmenter if options else None)
        return answer(translate.everything(studio.selecting.segment_everything(picture, translate.everything_options(options), name)))

    @router.post("/erase", tags=tags, summary="Remove what a mask selects", response_model=schemas.ErasePictureAnswer)
    def erase(body: schemas.ErasePictureBody) -> Response:
        format = translate.checked_format(body.format)
        picture = studio.decode(translate.picture_bytes(body.image))
        mask: np.ndarray = masks.from_file(translate.picture_bytes(body.mask), picture.size)
        erased = studio.erasing.erase_picture(picture, mask, body.eraser, body.grow, body.feather, body.shadow, body.grain)
        image = translate.picture_url(studio, erased.picture, format)
        return answer({"image": image, "eraser": erased.eraser, **asdict(erased.edge), "losses": translate.losses(picture)})
