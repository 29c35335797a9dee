"""The routes that take a part of a picture."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Response

from clickpaint.api import cutting_schemas, schemas, translate
from clickpaint.api.encode import answer
from clickpaint.image import mask as masks
from clickpaint.studio.extracting import CutOut
from clickpaint.studio.studio import Studio, file_name


def add_routes(router: APIRouter, studio: Studio) -> None:
    @router.post("/workspaces/{id}/crop", tags=["workspace"], summary="Crop to a box", response_model=schemas.StateAnswer)
    def crop(id: str, body: cutting_schemas.CropBody) -> Response:
        workspace = studio.workspace(id)
        return answer(translate.position(workspace, state=studio.extracting.crop(workspace, body.box)))

    @router.post(
        "/workspaces/{id}/cutout", tags=["workspace"], summary="What is selected, cut out", response_model=cutting_schemas.CutOutAnswer
    )
    def cut_out(id: str, body: cutting_schemas.CutOutBody) -> Response:
        workspace = studio.workspace(id)
        name = f"{file_name(workspace.name, 'PNG').removesuffix('.png')}_cutout.png"
        return answer({**_described(studio.extracting.cut_out(workspace, body.feather, body.whole)), "name": name})

    @router.post("/crop", tags=["without a session"], summary="Crop a picture", response_model=cutting_schemas.CroppedAnswer)
    def crop_picture(body: cutting_schemas.CropPictureBody) -> Response:
        format = translate.checked_format(body.format)
        cropped = studio.extracting.crop_picture(studio.decode(translate.picture_bytes(body.image)), body.box)
        return answer({"image": translate.picture_url(studio, cropped, format), "width": cropped.width, "height": cropped.height})

    @router.post("/cutout", tags=["without a session"], summary="Cut out what a mask selects", response_model=cutting_schemas.CutOutAnswer)
    def cut_out_of(body: cutting_schemas.CutOutPictureBody) -> Response:
        picture = studio.decode(translate.picture_bytes(body.image))
        mask = masks.from_file(translate.picture_bytes(body.mask), picture.size)
        return answer(_described(studio.extracting.cut_out_of(picture, mask, body.feather, body.whole)))

    def _described(cut: CutOut) -> dict[str, Any]:
        image = translate.picture_url(studio, cut.picture, "png")
        return {"image": image, "box": list(cut.box), "method": cut.method, "feather": cut.feather}
