"""What requests and answers of the routes with words look like; see `schemas`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, Number, WholeNumber, at_most, picture_file, points_at_most
from clickpaint.api.schemas import MOST_POINTS, Box, EverythingBody, Mode, PointBody, StateAnswer

MOST_STROKE_POINTS = 100_000


class RegionBody(Body):
    padding: Number = Field(0.1, description="What is shown around the region, as a share of its box's longer side: 0 to 4.")
    background: Literal["keep", "white", "blur", "dim"] = "keep"
    smallest: Integer = Field(224, description="Pixels of the crop's longer side at least; smaller ones are enlarged.")


class StyleBody(Body):
    length: Integer | None = Field(None, description="Words, 3 to 150, held within a fifth; left out, what comes.")
    sentiment: Literal["positive", "natural", "negative"] = "natural"
    factuality: Literal["factual", "imagination"] = "factual"
    form: Literal["sentence", "prompt"] = Field("sentence", description="prompt: phrases as Stable Diffusion's prompts have them.")
    language: StrictStr = Field("English", description="Others need a text model, or a captioner that is a chat model.")
    wiki: StrictBool = Field(False, description="Add what is generally known; needs a text model.")


class CaptionBody(Body):
    """Left out, all of it: one plain caption of what is selected."""

    captioner: StrictStr | None = Field(None, description="Its name; left out, the setting's.")
    region: RegionBody | None = None
    style: StyleBody | None = None
    candidates: Integer = Field(1, description="Wordings to show, 1 to 8.")
    seed: WholeNumber = 0
    context: StrictBool = Field(False, description="Also describe the whole picture.")
    tags: StrictBool = False
    refine: StrictBool | None = Field(None, description="By a text model; left out, where there is one and the style asks for something.")
    trajectory: list[list[tuple[Number, Number]]] = Field(
        [], description="Strokes of the mouse, (x, y) each; select by them first.", **points_at_most(MOST_STROKE_POINTS, nesting=2)
    )
    segmenter: StrictStr | None = Field(None, description="For the trajectory or the points.")
    stream: StrictBool = Field(False, description="Answer with server-sent events: raw, piece, again, caption or error.")


class CaptionPictureBody(CaptionBody):
    image: StrictStr = Field(..., **picture_file())
    mask: StrictStr | None = Field(
        None, description="What to describe: white, or opaque. Without mask, points and box the whole picture.", **picture_file()
    )
    points: list[PointBody] = Field([], **at_most(MOST_POINTS))
    box: Box | None = None


class ChatBody(Body):
    question: StrictStr
    captioner: StrictStr | None = Field(None, description="Who answers; left out, whoever can.")
    stream: StrictBool = Field(False, description="Answer with server-sent events: piece, answer or error.")


class SieveBody(Body):
    smallest: Integer = Field(2500, description="Pixels of a region.")
    most: Integer = Field(10, description="Regions, 1 to 200.")
    overlap: Number = Field(0.95, description="Of the smaller of two regions, above which only the surer stays.")
    surest: Number = Field(-1.8, description="Least mean log probability of a caption's tokens.")
    seen: Number = Field(0.2, description="Least CLIP similarity of a caption with its region.")


class PanoramaBody(Body):
    captioner: StrictStr | None = None
    region: RegionBody | None = None
    style: StyleBody | None = None
    sieve: SieveBody | None = None
    regions: EverythingBody | None = None
    paragraph: StrictBool = True
    text: StrictBool = Field(True, description="Read what is written, where a package for it is installed.")
    seed: WholeNumber = 0


class PanoramaPictureBody(PanoramaBody):
    image: StrictStr = Field(..., **picture_file())


class PhraseBody(Body):
    phrase: StrictStr
    segmenter: StrictStr | None = None
    instead: StrictStr | None = Field(
        None, description="What might be there, maybe nothing in particular: the checkpoint says where that differs. Left out: the best "
        "that is here for phrases, which is the checkpoint only where nothing else is.",
    )  # fmt: skip
    mask_ratio: Number = Field(3.0, description="With instead: of the mean difference, what counts as all of it; less selects more.")
    resolution: Integer = Field(0, description="With instead: side of the square whose area is looked at; 0: the checkpoint's own.")


class FindBody(PhraseBody):
    mode: Mode = "replace"


class TraceBody(Body):
    """What strokes of the mouse go around or over."""

    strokes: list[list[tuple[Number, Number]]] = Field(
        ..., description="(x, y) each, in pixels of the picture.", **points_at_most(MOST_STROKE_POINTS, nesting=2)
    )
    mode: Mode = "replace"
    segmenter: StrictStr | None = None


class TextBody(Body):
    """How all text is combined with the selection."""

    mode: Mode = "replace"


class TextPictureBody(Body):
    image: StrictStr = Field(..., **picture_file())


class TextLineAnswer(BaseModel):
    text: str
    score: float
    outline: list[tuple[float, float]] = Field(..., description="Its corners (x, y) in pixels, clockwise from the text's upper left.")
    box: tuple[int, int, int, int]


class TextAnswer(StateAnswer):
    milliseconds: float
    lines: list[TextLineAnswer]
    labels: str = Field(..., description="PNG data URL, 16 bit: 1 + index of the line at each pixel, 0 for none.")


class TextMaskAnswer(BaseModel):
    milliseconds: float
    lines: list[TextLineAnswer]
    mask: str = Field(..., description="PNG data URL: white where text stands.")


class FindPictureBody(PhraseBody):
    image: StrictStr = Field(..., **picture_file())


class RankBody(Body):
    prompt: StrictStr


class WordingAnswer(BaseModel):
    text: str
    score: float
    clip: float | None = None


class CaptionAnswer(BaseModel):
    """text: what to show. prompt: the same as a prompt. failure: why a text model made nothing of it."""

    text: str
    prompt: str
    captioner: str
    wordings: list[WordingAnswer]
    box: Box | None = None
    context: str
    tags: list[dict[str, Any]]
    refined: str | None = None
    background: str = ""
    failure: dict[str, Any] | None = None
    milliseconds: float


class TurnAnswer(BaseModel):
    question: str
    answer: str
    box: Box | None = None


class ChatAnswer(TurnAnswer):
    history: list[TurnAnswer]


class HistoryAnswer(BaseModel):
    history: list[TurnAnswer]


class PanoramaAnswer(BaseModel):
    """regions: caption, score, clip, box, area, segmentation (COCO's run lengths). overview: the labelled picture."""

    captioner: str
    width: int
    height: int
    caption: str
    paragraph: str
    text: list[str]
    regions: list[dict[str, Any]]
    overview: str
    failure: dict[str, Any] | None = None
    milliseconds: float


class FoundAnswer(StateAnswer):
    score: float
    found_by: str


class MaskAnswer(BaseModel):
    mask: str
    score: float
    found_by: str
    box: Box


class RankAnswer(BaseModel):
    """order: indices of the results, the best first."""

    scores: list[float]
    order: list[int]


class CaptionersAnswer(BaseModel):
    captioners: list[dict[str, Any]]
    controls: dict[str, dict[str, Any]]
    styles: dict[str, list[str]]
    text_model: str
