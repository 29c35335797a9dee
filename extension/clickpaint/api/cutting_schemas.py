"""What requests to crop and to cut out look like, and their answers."""

from __future__ import annotations

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, Pixels, picture_file

IntegerBox = tuple[Integer, Integer, Integer, Integer]


class CropBody(Body):
    box: IntegerBox = Field(..., description="Left, top, right, bottom in pixels, inside the picture.")


class CropPictureBody(CropBody):
    image: StrictStr = Field(..., **picture_file())
    format: StrictStr = Field("source", description="png, jpeg, webp, … or source: as it came in.")


class CroppedAnswer(BaseModel):
    image: str
    width: int
    height: int


class CutOutBody(Body):
    feather: Pixels = Field("auto", description="Pixels on either side of the mask's outline in which its edge is looked for; 0: none.")
    whole: StrictBool = Field(False, description="As large as the picture, not only as the object.")


class CutOutPictureBody(CutOutBody):
    image: StrictStr = Field(..., **picture_file())
    mask: StrictStr = Field(..., description="A picture of the same size; white, or opaque, is cut out.", **picture_file())


class CutOutAnswer(BaseModel):
    image: str = Field(..., description="A PNG with transparency, as a data URL.")
    name: str = Field("", description="For its file.")
    box: tuple[int, int, int, int] = Field(..., description="Where it lies in the picture.")
    method: str = Field(..., description="closed-form or vitmatte; feathered where neither can work, or the edge is the mask's.")
    feather: int = Field(..., description="The pixels that acted.")
