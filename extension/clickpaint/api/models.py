"""The routes about what can be used here, and about getting more."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from clickpaint import __version__
from clickpaint.api import model_schemas as schemas
from clickpaint.api.encode import answer
from clickpaint.image.soft_edge import AUTO
from clickpaint.studio.studio import Studio
from clickpaint.weights.catalog import files_of, models

_LIMITS = ("max_megapixels", "max_upload_mb", "max_workspaces", "workspace_minutes", "keep_workspaces_days", "keep_workspaces_mb")


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["models"]
    setting = studio.host.setting

    @router.get("/capabilities", tags=tags, summary="What can be used here", response_model=schemas.CapabilitiesAnswer)
    def capabilities() -> Response:
        host = studio.host.capabilities()
        device = studio.host.device()
        return answer({
            "version": __version__, "host": studio.host.name, "device": f"{device.type} ({device.dtype})",
            "segmenters": [asdict(listing) for listing in studio.pool.segmenters()],
            "erasers": [asdict(listing) for listing in studio.pool.erasers()],
            "trackers": [asdict(listing) for listing in studio.pool.trackers()],
            "video_erasers": [asdict(listing) for listing in studio.pool.video_erasers()],
            "defaults": {
                "segmenter": studio.pool.segmenter_name(), "eraser": studio.pool.eraser_name(),
                **{name: AUTO if setting(f"erase_{name}") < 0 else setting(f"erase_{name}") for name in ("grow", "feather")},
            },
            "automatic": {"segmenter": studio.pool.segmenter_name("auto"), "eraser": studio.pool.eraser_name("auto")},
            "limits": {key: setting(key) for key in _LIMITS},
            "paint": {
                "available": host.paint, "own_sampler": host.own_sampler, "caption": host.caption, "controlnet": host.controlnet,
                "samplers": list(host.samplers), "schedulers": list(host.schedulers), "checkpoints": list(host.checkpoints),
                "styles": list(host.styles), "checkpoint": host.checkpoint, "native_size": host.native_size, "reason": host.reason,
                "varies": studio.steering.varies(),
                "family": None if host.family is None else asdict(host.family), "preset": asdict(host.preset),
                "idle": studio.steering.idle(host),
                "removal_prompt": studio.painting.removal_prompt(host),
            },
            "offline": setting("offline"), "public": host.public,
        })  # fmt: skip

    @router.get("/models", tags=tags, summary="All model files of the catalog", response_model=list[schemas.ModelAnswer])
    def list_models() -> Response:
        wanted, used = studio.pool.recommended(), studio.inventory.used()
        lacking = studio.systems.lacking()
        return answer([_model(name, wanted, used, lacking) for name in models()])

    @router.get("/models/usage", tags=tags, summary="What models take on the disk and in memory", response_model=schemas.UsageAnswer)
    def usage() -> Response:
        return answer(asdict(studio.inventory.usage()))

    @router.post("/models/free", tags=tags, summary="Free the memory of loaded models", response_model=schemas.UsageAnswer)
    def free() -> Response:
        studio.pool.free()
        return answer(asdict(studio.inventory.usage()))

    @router.post(
        "/models/files",
        tags=tags,
        summary="The next piece of a model file of one's own (stand-alone)",
        response_model=schemas.ReceivedAnswer,
        openapi_extra={"requestBody": {"required": True, "content": {"application/octet-stream": {"schema": {"type": "string"}}}}},
    )
    async def receive(request: Request, kind: str, name: str, offset: int, total: int) -> Response:
        """kind: "Stable-diffusion", "VAE", "Lora", "embeddings" or "ControlNet". offset: where the piece begins; 0 begins anew.
        total: bytes of the whole file. After the last piece it lies in its folder, and a checkpoint is what paints."""
        data = await request.body()
        return answer(asdict(await run_in_threadpool(studio.own_files.receive, kind, name, offset, total, data)))

    @router.post("/models/{name}/download", tags=tags, summary="Begin a download", status_code=202, response_model=schemas.TaskStarted)
    def download(name: str) -> Response:
        return answer({"task": studio.downloads.download(name).describe()}, 202)

    @router.post("/models/{name}/cancel", tags=tags, summary="Stop a download", response_model=schemas.Cancelled)
    def cancel(name: str) -> Response:
        return answer({"cancelled": studio.downloads.cancel(name)})

    @router.post("/models/{name}/verify", tags=tags, summary="Check a file", status_code=202, response_model=schemas.TaskStarted)
    def verify(name: str) -> Response:
        return answer({"task": studio.downloads.verify(name).describe()}, 202)

    @router.delete("/models/{name}", tags=tags, summary="Delete a model's files", response_model=schemas.Freed)
    def remove(name: str) -> Response:
        return answer({"freed": studio.downloads.remove(name)})

    def _model(name: str, wanted: tuple[str, ...], used: frozenset[str], lacking: dict[str, str]) -> dict[str, Any]:
        state = studio.pool.store.state(name)
        first = files_of(name)[0]
        if first.role == "system" and first.family in lacking:
            state = replace(state, state="unavailable", reason=lacking[first.family])
        task = studio.tasks.find(("download", "verify"), name)
        return {
            "name": name, "title": first.title, "role": first.role, "bytes": state.bytes, "bytes_done": state.bytes_done,
            "licence": first.licence, "source": first.source, "note": first.note, "state": state.state, "reason": state.reason,
            "progress": task.describe() if task is not None else None, "recommended": name in wanted, "used": name in used,
            "removable": studio.pool.store.removable(name),
        }  # fmt: skip
