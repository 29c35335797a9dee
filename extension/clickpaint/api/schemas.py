"""What requests and answers look like. Requests are checked against these; answers are only documented by them.

Coordinates are pixels of the full picture, origin top-left; boxes are [left, top, right, bottom], right and bottom exclusive.
A picture in JSON is base64, with or without a `data:` prefix; a mask in an answer is a PNG data URL of one channel and the picture's size.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, Number, Pixels, at_most, picture_file, points_at_most
from clickpaint.studio.several_pictures import MOST_PICTURES

MOST_POINTS = 1000
MOST_STROKE_POINTS = 200_000
MOST_OPERATIONS = 100

Mode = Literal["replace", "add", "subtract", "intersect"]
Box = tuple[Number, Number, Number, Number]
Op = Literal[
    "grow", "shrink", "feather", "invert", "clear", "all", "fill_holes", "drop_specks", "strokes", "lasso", "upload", "box", "region",
    "transparent",
]  # fmt: skip


class PointBody(Body):
    x: Number
    y: Number
    label: Integer = Field(1, description="1 adds what lies there, 0 takes it away.")


class SelectBody(Body):
    points: list[PointBody] = Field([], description="All points of this series of clicks, not only the newest.", **at_most(MOST_POINTS))
    box: Box | None = None
    segmenter: StrictStr | None = Field(None, description="Its name; left out, the setting's.")
    previous: Integer | None = Field(None, description="Refine the candidate with this index of the last answer.")
    mode: Mode = Field("replace", description="How the result is combined with the selection as it was before this series of clicks.")
    candidate: Integer | None = Field(None, description="Make this candidate the selection; left out, the best.")
    preview: StrictBool = Field(False, description="Change nothing; for a preview under the pointer.")


class ChooseBody(Body):
    candidate: Integer


class StrokeBody(Body):
    points: list[tuple[Number, Number]] = Field(..., **points_at_most(MOST_STROKE_POINTS))
    radius: Number = Field(..., description="Of the round brush, in pixels of the picture.")
    erase: StrictBool = False


class OperationBody(Body):
    """One operation on the selection. `amount`: pixels for grow, shrink and feather; an area in pixels for drop_specks and fill_holes."""

    op: Op
    amount: Integer | None = None
    strokes: list[StrokeBody] = Field([])
    points: list[tuple[Number, Number]] = Field([], description="Of a lasso.", **points_at_most(MOST_STROKE_POINTS))
    box: Box | None = None
    image: StrictStr | None = Field(None, description="To upload: white, or opaque, is selected.", **picture_file())
    index: Integer | None = Field(None, description="Of a region of the last 'everything'.")
    mode: Mode = Field("add", description="How a shape is combined with the selection.")


class MaskBody(Body):
    operations: list[OperationBody] = Field(..., **at_most(MOST_OPERATIONS))


class EverythingBody(Body):
    """Meta's parameters of the automatic mask generator; what is left out has Meta's default."""

    segmenter: StrictStr | None = None
    points_per_side: Integer | None = None
    points_per_batch: Integer | None = None
    pred_iou_thresh: Number | None = None
    stability_score_thresh: Number | None = None
    stability_score_offset: Number | None = None
    box_nms_thresh: Number | None = None
    crop_n_layers: Integer | None = None
    crop_nms_thresh: Number | None = None
    crop_overlap_ratio: Number | None = None
    crop_n_points_downscale_factor: Integer | None = None
    min_mask_region_area: Integer | None = None


GRAIN = "0 (structure alone) to 1, of the grain around it; left out: the setting's. Refused by erasers that do not list it as an option."


class EraseBody(Body):
    eraser: StrictStr | None = Field(None, description="Its name; left out, the setting's.")
    grow: Pixels | None = Field(None, description="Pixels by which the selection is grown first; auto: what fits; left out: the setting's.")
    feather: Pixels | None = Field(
        None, description="Of the soft edge, in pixels; auto: what fits; left out: the selection's or the setting's."
    )
    shadow: StrictBool = Field(False, description="Whether its shadow and reflection, as GET shadow shows them, go too.")
    grain: Number | None = Field(None, description=GRAIN)
    operations: list[OperationBody] = Field(
        [], description="What is removed instead of the selection, which stays.", **at_most(MOST_OPERATIONS)
    )


class SelectAsInBody(Body):
    workspace: StrictStr = Field(..., description="The other picture's.")
    version: Integer | None = Field(None, description="What was selected when that version of it was made; left out, what is selected now.")
    how: Literal["place", "box"] = Field("place", description="The same part of the picture, or what the segmenter finds in its box.")
    segmenter: StrictStr | None = Field(None, description="Its name, for a box; left out, the setting's.")


class ArchivedPicture(Body):
    workspace: StrictStr
    version: Integer | None = Field(None, description="0 for the original; left out, the one shown now.")


class ArchiveBody(Body):
    pictures: list[ArchivedPicture] = Field(..., **at_most(MOST_PICTURES))
    format: StrictStr = Field("source", description="png, jpeg, webp or source, as it came in.")
    quality: Integer | None = Field(None, description="1 to 100, for jpeg and webp.")


class SaveBody(Body):
    version: Integer | None = Field(None, description="0 for the original; left out, the one shown now.")
    format: StrictStr = Field("source", description="png, jpeg, webp or source, as it came in.")
    quality: Integer | None = Field(None, description="1 to 100, for jpeg and webp.")


class SegmentBody(Body):
    image: StrictStr = Field(..., **picture_file())
    points: list[PointBody] = Field([], **at_most(MOST_POINTS))
    box: Box | None = None
    segmenter: StrictStr | None = None
    everything: EverythingBody | StrictBool = Field(False, description="All regions instead of what was pointed at.")


class ErasePictureBody(Body):
    image: StrictStr = Field(..., **picture_file())
    mask: StrictStr = Field(..., description="A picture of the same size; white, or opaque, is removed.", **picture_file())
    eraser: StrictStr | None = None
    grow: Pixels | None = None
    feather: Pixels | None = None
    shadow: StrictBool = Field(False, description="Whether the shadow and the reflection that are found go too.")
    grain: Number | None = Field(None, description=GRAIN)
    format: StrictStr = Field("source", description="png, jpeg, webp, … or source: as it came in.")


class InterruptBody(Body):
    workspace: StrictStr | None = Field(None, description="Left out: requests that belong to no workspace.")


class ErrorAnswer(BaseModel):
    error: str = Field(..., description="The kind of error.")
    message: str = Field(..., description="What is wrong, one sentence.")
    remedy: str = Field("", description="What to do about it, one sentence.")
    code: str = Field("", description="The template that the message is made of, with the names of values of `data`.")
    remedy_code: str = Field("", description="The remedy's.")
    data: dict[str, Any] = Field({}, description="The facts behind it.")


class SelectionAnswer(BaseModel):
    mask: str | None = Field(None, description="PNG data URL, soft where the selection is feathered; not in GET /workspaces/{id}.")
    area: int
    box: tuple[int, int, int, int]
    feather: int = 0


class EdgeAnswer(BaseModel):
    grow: int = Field(..., description="Pixels by which a mask is grown.")
    feather: int = Field(..., description="Pixels over which a result fades into the picture.")


class StateAnswer(BaseModel):
    version: int
    width: int = Field(..., description="Of the picture shown now; expanding changes it.")
    height: int
    edge: EdgeAnswer = Field(..., description="What auto is for removing from this picture.")
    selection: SelectionAnswer | None
    can_undo: bool
    can_redo: bool
    label: str = Field("", description="The step that was made, undone or redone.")
    changed: tuple[int, int, int, int] | None = Field(
        None, description="After undo and redo: outside of this box the picture shown is the one before; null where they have not one size."
    )


class TaskAnswer(BaseModel):
    id: str
    kind: Literal[
        "encode", "select", "choose", "mask", "trace", "text", "everything", "erase", "crop", "cutout", "follow", "fill", "replace",
        "preview", "export", "dataset", "train", "undo",
        "redo", "paint", "use", "generate", "control", "keep", "caption", "chat", "find", "rank", "download", "verify",
    ]  # fmt: skip
    workspace: str | None
    subject: str = Field("", description="The model's name, for downloads and checks.")
    state: Literal["waiting", "running", "done", "failed", "interrupted"]
    text: str
    fraction: float | None
    done: int | None
    total: int | None
    unit: str
    seconds_left: float | None
    queue_position: int | None = Field(None, description="How many come before this one; 0 while it is computed.")


class TasksAnswer(BaseModel):
    tasks: list[TaskAnswer]


class LossAnswer(BaseModel):
    """Something of the file that will be in no file made of it: code is "frames", "trailer", "channels" or "depth"; the number in the text
    comes along by name."""

    code: str
    text: str


class WorkspaceAnswer(BaseModel):
    id: str
    width: int
    height: int
    format: str
    name: str
    segmenter: str
    version: int
    versions: list[int]
    selection: SelectionAnswer | None
    can_undo: bool
    can_redo: bool
    edge: EdgeAnswer = Field(..., description="What auto is for removing from this picture.")
    offsets: dict[int, tuple[int, int]] = Field(..., description="Of each version, where the original's upper left corner lies in it.")
    tasks: list[TaskAnswer]
    losses: list[LossAnswer] = Field(..., description="What of the file is neither edited nor kept.")


class SavedAnswer(BaseModel):
    file: str = Field(..., description="Its name in the program's folder for saved pictures.")


class StoredWorkspaceAnswer(BaseModel):
    id: str
    name: str = Field(..., description="Of the file that was opened.")
    width: int
    height: int
    versions: list[int]
    steps: list[str] = Field(..., description="What was done to the picture to get what it shows, in order.")
    opened: float = Field(..., description="In seconds since 1970.")
    changed: float = Field(..., description="In seconds since 1970.")
    bytes: int = Field(..., description="On the disk.")
    thumbnail: str = Field(..., description="Its address, below that of the API.")


class CandidateAnswer(BaseModel):
    score: float
    area: int
    box: tuple[int, int, int, int] | None
    mask: str


class CandidatesAnswer(BaseModel):
    segmenter: str
    milliseconds: float
    candidates: list[CandidateAnswer]


class SelectAnswer(CandidatesAnswer):
    chosen: int
    version: int
    selection: SelectionAnswer | None
    can_undo: bool
    can_redo: bool


class RegionAnswer(BaseModel):
    score: float
    area: int
    box: tuple[int, int, int, int]


class EverythingAnswer(BaseModel):
    segmenter: str
    milliseconds: float
    regions: list[RegionAnswer]
    labels: str = Field(..., description="PNG data URL, 16 bit: 1 + index of the region at each pixel, 0 for none.")
    overview: str = Field(..., description="PNG data URL: the picture with its regions coloured.")


class EraseAnswer(StateAnswer):
    eraser: str
    grow: int = Field(..., description="The pixels that acted.")
    feather: int
    milliseconds: float
    # never null here, which a type checker cannot know of a field that may be assigned to
    changed: tuple[int, int, int, int] = Field(  # pyrefly: ignore[bad-override-mutable-attribute]
        ..., description="Outside of this box nothing did."
    )


class ShadowAnswer(BaseModel):
    mask: str | None = Field(None, description="PNG data URL of the shadow and the reflection; null where none is seen.")
    box: tuple[int, int, int, int] | None = None
    confidence: float = Field(0, description="0 to 1.")
    sure: bool = Field(False, description="Whether it may be removed without asking.")
    reflected: bool = Field(False, description="Whether any of it is a reflection.")


class ErasePictureAnswer(BaseModel):
    image: str
    eraser: str
    grow: int = Field(..., description="The pixels that acted.")
    feather: int
    losses: list[LossAnswer] = Field(..., description="What of the file that came in is not in this one.")


class InterruptedAnswer(BaseModel):
    interrupted: int


class SampleAnswer(BaseModel):
    name: str
    title: str
