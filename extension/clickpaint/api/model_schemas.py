"""What is said of model files, of what is loaded and of what this server can; `schemas` says what holds for all."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from clickpaint.api.schemas import TaskAnswer


class EngineAnswer(BaseModel):
    name: str
    title: str
    available: bool
    reason: str
    model: str | None
    state: str
    blocked: bool
    options: list[str] = Field([], description="What only some engines can be told, such as an eraser's grain.")


class CapabilitiesAnswer(BaseModel):
    version: str
    host: str
    device: str
    segmenters: list[EngineAnswer]
    erasers: list[EngineAnswer]
    trackers: list[EngineAnswer]
    video_erasers: list[EngineAnswer]
    defaults: dict[str, Any]
    automatic: dict[str, str] = Field(..., description="What auto stands for now.")
    limits: dict[str, int]
    paint: dict[str, Any]
    offline: bool
    public: bool


class ModelAnswer(BaseModel):
    name: str
    title: str
    role: str
    bytes: int | None
    bytes_done: int
    licence: str
    source: str
    note: str
    state: Literal["present", "missing", "partial", "corrupt", "unavailable"]
    reason: str
    progress: TaskAnswer | None
    recommended: bool
    used: bool
    removable: bool


class OwnFileAnswer(BaseModel):
    kind: str
    name: str
    bytes: int
    used: bool


class LoadedAnswer(BaseModel):
    name: str
    bytes: int


class UsageAnswer(BaseModel):
    disk_free: int | None
    disk_used: int
    memory_budget: int
    memory_used: int
    loaded: list[LoadedAnswer]
    files: list[OwnFileAnswer]
    folders: dict[str, str] = Field(..., description="Where files of each kind are put; empty on a server for everybody.")


class ReceivedAnswer(BaseModel):
    bytes: int = Field(..., description="Of the file that are here; the next piece begins there.")
    complete: bool


class Freed(BaseModel):
    freed: int


class TaskStarted(BaseModel):
    task: TaskAnswer


class Cancelled(BaseModel):
    cancelled: bool
