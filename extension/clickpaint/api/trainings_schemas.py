"""What requests about trainings look like, and their answers; see `schemas`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body

Kind = Literal["lora", "dreambooth", "embedding", "controlnet", "instruct", "finetune"]
Quality = Literal["quick", "good", "best"]


class TrainingBody(Body):
    name: StrictStr = Field(..., description="Of the result's file, without its ending.")
    dataset: StrictStr = Field(..., description="A data set's name.")
    kind: Kind = "lora"
    checkpoint: StrictStr | None = Field(None, description="One of the host's, which is taken; None for the one that is loaded.")
    quality: Quality | None = Field(None, description="A choice of settings; those that are given go before it.")
    settings: dict[str, Any] = Field(default_factory=dict, description="By name; see /trainings/settings.")
    restart: StrictBool = Field(False, description="Start over instead of going on.")


class TrainingSetting(BaseModel):
    name: str
    help: str
    default: Any = None
    choices: list[str] | None = None
    minimum: float | None = None
    maximum: float | None = None


class TrainingAnswer(BaseModel):
    id: str
    name: str
    kind: str
    state: str = Field(..., description="waiting, running, done, failed or interrupted.")
    paused: bool = Field(..., description="Whether it makes way for other work, or waits to be told to go on.")
    held: bool = Field(..., description="Whether it was told to wait; otherwise it goes on by itself.")
    dataset: str
    text: str = Field(..., description="What is being done, or why it failed.")
    failure: dict[str, Any] | None = Field(..., description="Why it failed, as errors are answered.")
    step: int
    steps: int
    loss: float | None = Field(..., description="The mean of the last twenty steps.")
    step_seconds: float | None = Field(..., description="What a step takes, from a trial.")
    seconds_left: float | None
    parameters: int | None = Field(..., description="How many numbers learn.")
    memory_bytes: int | None = Field(..., description="What it takes besides the checkpoint.")
    gradient_checkpointing: bool | None
    output: str | None = Field(..., description="The result's file; None until it is there.")
    samples: list[str] = Field(..., description="Addresses of the samples, relative to the API's.")


class CurveAnswer(BaseModel):
    losses: list[float]
    learning_rates: list[float]


class ForecastAnswer(BaseModel):
    memory_bytes: int = Field(..., description="What it takes besides the checkpoint.")
    free_bytes: int
    parameters: int
    gradient_checkpointing: bool
    resolution: int
    steps: int
    step_seconds: float = Field(..., description="Of a trial.")
    seconds: float = Field(..., description="Of all steps.")
