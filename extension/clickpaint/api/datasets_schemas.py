"""What requests to data sets look like, and their answers; see `schemas`."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, at_most, picture_file
from clickpaint.api.schemas import ErrorAnswer

MOST_EXAMPLES = 10_000
Layout = Literal["text", "onetrainer", "kohya", "kohya-alpha", "imagefolder", "instruct", "controlnet"]


class DataSetBody(Body):
    name: StrictStr = Field(..., description="Of its folder as well.")
    trigger: StrictStr = Field("", description="The word that the object is to be called by.")


class DataSetSummary(BaseModel):
    name: str
    trigger: str
    examples: int
    turns: int = Field(..., description="Examples by their repeats.")
    masked: int = Field(..., description="Examples with a mask.")
    thumbnail: str | None = Field(..., description="Address of the first example's, relative to the API's.")
    failure: str | None = Field(None, description="Why it cannot be used.")


class ExampleAnswer(BaseModel):
    id: str
    caption: str
    prompt: str = Field(..., description="What a trainer gives the text encoder: the caption with the trigger word.")
    repeats: int
    width: int
    height: int
    mask: bool
    control_map: bool
    before: bool
    object_side: float = Field(..., description="Square root of the object's pixels.")
    sharpness: float = Field(..., description="Variance of the Laplacian within the object's box, in grey levels².")
    marks: list[str] = Field(..., description="Of duplicate, blurred, tiny, no caption.")
    same_as: str | None = Field(..., description="The earlier example that shows the same.")
    thumbnail: str


class BucketAnswer(BaseModel):
    width: int
    height: int
    turns: int


class BalanceAnswer(BaseModel):
    turns: int
    masked: int
    buckets: list[BucketAnswer]
    largest_source: float = Field(..., description="Share of the turns that one picture gave.")
    words: dict[str, int]


class DataSetAnswer(BaseModel):
    name: str
    trigger: str
    examples: list[ExampleAnswer]
    balance: BalanceAnswer
    resolution: int
    layouts: dict[str, str] = Field(..., description="What it can be exported as.")
    captions: bool = Field(..., description="Whether a captioner is here.")


class ExampleChangeBody(Body):
    id: StrictStr
    caption: StrictStr | None = None
    repeats: Integer | None = None


class DataSetChangeBody(Body):
    trigger: StrictStr | None = None
    examples: list[ExampleChangeBody] = Field([], **at_most(MOST_EXAMPLES))


class KeepForTrainingBody(Body):
    dataset: StrictStr = Field(..., description="The data set's name; it is made where there is none of it.")
    trigger: StrictStr | None = Field(None, description="For a new data set.")
    what: Literal["selection", "regions", "edit", "map"] = Field(
        "selection", description="edit: the pair before and after the last change."
    )
    regions: list[Integer] = Field([], description="Of the last everything, for regions.")
    captions: list[StrictStr] = Field([], description="Of each of the regions, instead of caption.")
    map: StrictStr = Field("", description="A control map's id, for map.")
    caption: StrictStr | None = Field(None, description="Left out, what a captioner says where there is one; of an edit, its prompt.")
    repeats: Integer = 1


class AddExampleBody(Body):
    image: StrictStr = Field(..., **picture_file())
    name: StrictStr = "picture"
    mask: StrictStr | None = Field(None, description="The object: white, or opaque.", **picture_file())
    control_map: StrictStr | None = Field(None, **picture_file())
    before: StrictStr | None = Field(None, description="The picture before the edit that the caption names.", **picture_file())
    caption: StrictStr | None = Field(None, description="Left out, what a captioner says where there is one.")
    repeats: Integer = 1


class KeptAnswer(BaseModel):
    dataset: str
    ids: list[str]
    captions: list[str]
    examples: int = Field(..., description="How many there are now.")
    failure: ErrorAnswer | None = Field(..., description="Why a caption is empty.")


class CaptionSetBody(Body):
    ids: list[StrictStr] | None = Field(None, description="Left out, all.", **at_most(MOST_EXAMPLES))
    captioner: StrictStr | None = None
    overwrite: StrictBool = Field(False, description="Also those that have a caption.")


class MaskSetBody(Body):
    phrase: StrictStr
    ids: list[StrictStr] | None = Field(None, description="Left out, all.", **at_most(MOST_EXAMPLES))
    segmenter: StrictStr | None = None
    overwrite: StrictBool = Field(False, description="Also those that have a mask.")


class WorkedThroughAnswer(BaseModel):
    done: list[str]
    failed: dict[str, ErrorAnswer]


class ImportedAnswer(BaseModel):
    name: str
    imported: int
