"""What requests and answers of the routes of videos look like; see `schemas`.

Frames are numbered from 0; marks and stretches hold their last frame. An object's id is chosen by whoever makes it.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.painting_schemas import EngineBody
from clickpaint.api.pydantic_compat import Body, Integer, at_most, documented, picture_file
from clickpaint.api.schemas import MOST_OPERATIONS, MOST_POINTS, Box, OperationBody, PointBody, TaskAnswer
from clickpaint.studio.video_objects import MOST_OBJECTS

MOST_FRAMES_AT_ONCE = 200

OPEN_BODY = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object", "required": ["file"],
                "properties": {"file": {
                    "type": "array", "items": {"type": "string", "format": "binary"},
                    "description": "The clip; or several pictures, its frames in the order of the numbers in their names.",
                }},
            }
        },
        "application/octet-stream": {"schema": {"type": "string", "format": "binary", "description": "The clip; its name as ?name=."}},
        "application/json": {
            "schema": {
                "type": "object", "required": ["path"],
                "properties": {"path": {"type": "string", "description": "Of a file or a folder of pictures on the server; only where it "
                                        "serves one user on this machine. It stays where it is."}},
            }
        },
    },
}  # fmt: skip


class FrameBody(Body):
    """What an object is in one frame: points and a box, a phrase, or a mask; operations change that, or alone the mask that it has."""

    points: list[PointBody] = Field([], description="All points in this frame, not only the newest.", **at_most(MOST_POINTS))
    box: Box | None = None
    phrase: StrictStr | None = Field(None, description="Its name, to be looked for as POST find does.", **documented(maxLength=200))
    mask: StrictStr | None = Field(None, description="A picture file of the frame's size: white, or opaque.", **picture_file())
    operations: list[OperationBody] = Field([], description="As of POST mask: strokes, grow …", **at_most(MOST_OPERATIONS))


class ObjectBody(Body):
    name: StrictStr | None = Field(None, description="For people; left out, it stays.", **documented(maxLength=200))
    frames: dict[str, FrameBody | None] = Field(
        {}, description="By the frame's number; null takes back what was said about that frame. Others stay.",
        **documented(maxItems=MOST_FRAMES_AT_ONCE),
    )  # fmt: skip
    segmenter: StrictStr | None = Field(None, description="Its name; left out, the setting's.")


class MarksBody(Body):
    in_mark: Integer | None = Field(None, description="The first frame that is worked on.")
    out_mark: Integer | None = Field(None, description="The last one.")


class VideoWorkBody(Body):
    objects: list[StrictStr] = Field([], description="Their ids; left out, all.", **at_most(MOST_OBJECTS))
    object: StrictStr | None = Field(None, description="The id of one, instead of `objects`.")
    wait: StrictBool = Field(True, description="false: answer with the task as soon as it is under way (202).")


# "from" is a word of Python's, so that this body is declared by hand.
class TrackBody(VideoWorkBody):
    tracker: StrictStr | None = Field(None, description="Its name; left out or auto, the best one that works now.")
    from_: Integer | None = Field(None, alias="from", description="The first frame to look in; left out, the in mark.")
    to: Integer | None = Field(None, description="The last one; left out, the out mark.")


class RemoveFromVideoBody(VideoWorkBody):
    eraser: StrictStr | None = Field(None, description="What paints where no frame shows what is behind; left out, the setting's.")
    grow: Integer | None = Field(None, description="Pixels by which masks are grown, 0 to 256; left out, 4.")
    feather: Integer = Field(0, description="Pixels over which the result fades into the frames, 0 to 128.")
    shadow: StrictBool = Field(False, description="Whether shadows and reflections that are found frame by frame go too.")


class FillInVideoBody(VideoWorkBody, EngineBody):
    """What to paint over objects; it moves with them."""

    key_frames: Integer = Field(12, description="Frames from one that is painted to the next, 1 to 1000.")


class ReplaceInVideoBody(VideoWorkBody, EngineBody):
    """What to put around objects: one of a picture, another video, and a prompt. Of the rest only grow, by which the masks are dilated,
    and feather, the pixels on both sides of their outlines in which the edge is looked for, hold for all three."""

    background: StrictStr | None = Field(None, **picture_file())
    background_video: StrictStr | None = Field(None, description="The id of another video, which begins again where it is shorter.")
    key_frames: Integer = Field(12, description="Frames after which what the camera uncovered is painted, 1 to 1000.")
    eraser: StrictStr | None = Field(None, description="Fills a painted background where the object stood; left out, the setting's.")


class PromptsAnswer(BaseModel):
    points: list[tuple[float, float, int]] = Field([], description="x, y and label each, as they came.")
    box: tuple[float, float, float, float] | None = None
    phrase: str = ""


class VideoObjectAnswer(BaseModel):
    id: str
    name: str
    frames: dict[int, PromptsAnswer] = Field(
        ..., description="What was said, by the frame's number, of the first 200 of them; without points and box where a mask was given."
    )
    given: int = Field(..., description="In how many frames something was said.")
    known: list[tuple[int, int]] = Field(..., description="Stretches of frames in which its mask is known.")
    doubtful: list[tuple[int, int]] = Field(..., description="Stretches in which the tracker is unsure: look at them.")


class FrameMaskAnswer(BaseModel):
    frame: int
    area: int
    box: tuple[int, int, int, int] | None = Field(None, description="Null where nothing is selected.")
    mask: str = Field(..., description="PNG data URL of one channel.")


class ObjectAnswer(VideoObjectAnswer):
    confidence: list[float | None] = Field([], description="Of every frame, 0 to 1; null where it was never followed. Only if asked for.")
    masks: list[FrameMaskAnswer] = Field([], description="Of the frames that were named in the request.")


class VideoVersionAnswer(BaseModel):
    number: int
    label: str = Field(..., description="The step, for people.")
    kind: str = Field(..., description="Of the task that made it.")
    first: int = Field(..., description="The frames that were worked on, both included; where it was interrupted, those that it came to.")
    last: int
    whole: bool = Field(..., description="Whether it was not interrupted.")
    made: float = Field(..., description="In seconds since 1970.")
    details: dict[str, Any] = Field({}, description="What made it.")


class StoredVideoAnswer(BaseModel):
    id: str
    name: str = Field(..., description="Of the file that was opened.")
    width: int = Field(..., description="Of a frame, upright, in pixels.")
    height: int
    frames: int = Field(..., description="How many there are.")
    duration_s: float
    fps: float = Field(..., description="Frames a second, over all.")
    variable_frame_rate: bool
    has_audio: bool
    pixel_aspect: float = Field(..., description="Width of a pixel for a height of 1.")
    container: str = Field(..., description="mp4, mov, mkv, webm, avi, gif, webp, png … or folder.")
    codec: str
    opened: float = Field(..., description="In seconds since 1970.")
    changed: float = Field(..., description="In seconds since 1970.")
    bytes: int = Field(..., description="On the disk, with all that was made of it.")


class VideoAnswer(StoredVideoAnswer):
    timestamps: list[float] | None = Field(None, description="When each frame is shown first, in seconds; only at a variable frame rate.")
    version: int = Field(..., description="The one shown now; 0 is what was opened.")
    versions: list[VideoVersionAnswer] = Field(..., description="The results, without what was opened, in the order they were made.")
    can_undo: bool
    can_redo: bool
    objects: list[VideoObjectAnswer]
    in_mark: int = Field(..., description="The first frame that is worked on.")
    out_mark: int = Field(..., description="The last one.")
    tasks: list[TaskAnswer]


class TrackAnswer(BaseModel):
    tracker: str
    frames: int = Field(..., description="How many were followed anew.")
    doubtful: dict[str, list[tuple[int, int]]] = Field(..., description="By the object's id, stretches that should be looked at.")
    video: VideoAnswer


class VideoResultAnswer(BaseModel):
    version: int = Field(..., description="The new one.")
    details: dict[str, Any] = Field({}, description="What made it.")
    video: VideoAnswer


class PartsAnswer(BaseModel):
    frames_each: int = Field(..., description="Frames in every part but the last: part n begins with frame n * frames_each.")
    count: int = Field(..., description="How many parts there are.")
    media_type: str = Field(..., description="Of each, with its codecs.")


class VideoTaskAnswer(BaseModel):
    task: TaskAnswer


class StripAnswer(BaseModel):
    picture: str = Field(..., description="A JPEG as a data URL: the thumbnails beside each other.")
    frames: list[int] = Field(..., description="Whose they are, from left to right.")
    width: int = Field(..., description="Of one thumbnail, in pixels.")
    height: int
