"""What requests and answers about systems with files of their own look like, and about what steers a sampling."""

from __future__ import annotations

from pydantic import BaseModel, Field, StrictStr

from clickpaint.api.pydantic_compat import Body, Integer, Number, WholeNumber


class SystemAnswer(BaseModel):
    name: str
    title: str
    paper: str
    tasks: list[str]
    gives: str
    licence: str = Field(..., description="Of the weights that its makers published.")
    bytes: int = Field(..., description="What its weights take on the disk.")
    acts: dict[str, list[str]] = Field(..., description="By its tasks, the options that act with it; others are refused.")
    available: bool
    reason: str


class AbleAnswer(BaseModel):
    available: bool
    reason: str = Field(..., description="What is missing and where it goes; empty where nothing is.")


class SteeringAnswer(BaseModel):
    guides: dict[str, AbleAnswer] = Field(..., description="By their kinds: clip, picture, classifier.")
    reference: AbleAnswer = Field(..., description="Whether the loaded network can look at a picture.")
    adjustable: bool = Field(..., description="Whether weight, fidelity, start, end and adapters act; edit models look in their own way.")
    adapters: list[str] = Field(..., description="IP-Adapters in the ControlNet folder.")


class AnimateBody(Body):
    system: StrictStr = Field("auto", description="One of GET /systems, or the first that can.")
    frames: Integer = Field(14, description="2 to 64.")
    fps: Number = Field(7.0, description="Frames a second, 0.1 to 120.")
    motion: Integer = Field(127, description="How much moves, 1 to 255.")
    steps: Integer = 20
    cfg_scale: Number = Field(0.0, description="Likeness to the picture; 0: 3.")
    seed: WholeNumber = Field(-1, description="-1: a random one.")
