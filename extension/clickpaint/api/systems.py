"""The routes of systems with files of their own, and of what can steer a sampling here."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter, Response

from clickpaint.api import systems_schemas as schemas
from clickpaint.api import video_answers, video_schemas
from clickpaint.api.encode import answer
from clickpaint.paint import flat_options
from clickpaint.studio.studio import Studio


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["painting"]

    @router.get("/systems", tags=tags, summary="Systems with files of their own", response_model=list[schemas.SystemAnswer])
    def list_systems() -> Response:
        return answer([
            {"name": system.name, "title": system.kind.title, "paper": system.kind.paper, "tasks": list(system.kind.tasks),
             "gives": system.kind.gives, "licence": system.kind.licence, "bytes": system.nbytes,
             "acts": {task: sorted(system.acts(task)) for task in system.kind.tasks}, "available": not system.reason,
             "reason": system.reason}
            for system in studio.systems.listed()
        ])  # fmt: skip

    @router.get("/steering", tags=tags, summary="What can steer a sampling here", response_model=schemas.SteeringAnswer)
    def steering() -> Response:
        able = studio.steering.abilities()
        return answer({
            "guides": {kind: asdict(availability) for kind, availability in able.guides.items()}, "reference": asdict(able.reference),
            "adjustable": able.adjustable, "adapters": list(able.adapters),
        })  # fmt: skip

    @router.post("/workspaces/{id}/animate", tags=tags, summary="A clip that begins with the picture", status_code=201,
                 response_model=video_schemas.VideoAnswer)  # fmt: skip
    def animate(id: str, body: schemas.AnimateBody) -> Response:
        """By Stable Video Diffusion, in a folder of models/diffusers. The clip is opened as if it had been sent to /videos."""
        options = flat_options.grouped(steps=body.steps, cfg_scale=body.cfg_scale, seed=body.seed)
        made = studio.animating.animate(studio.workspace(id), options, body.system, body.frames, body.fps, body.motion)
        return answer(video_answers.video(studio, made), 201)
