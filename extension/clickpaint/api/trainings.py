"""The routes of trainings: begin, watch, stop, go on."""

from __future__ import annotations

import re
from typing import Any

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from clickpaint.api import trainings_schemas as schemas
from clickpaint.api.encode import PRIVATE, answer
from clickpaint.api.streams import Event, stream
from clickpaint.errors import ClickpaintError, NotFound
from clickpaint.studio.studio import Studio
from clickpaint.studio.trainings import Training
from clickpaint.train.run_folder import SAMPLES, curve_of
from clickpaint.train.training_settings import DEFAULTS_OF, SETTING_FIELDS, TrainingJob, TrainingSettings, quality_settings

_EVERY_SECONDS = 0.25
_SAMPLE = re.compile(r"\d{6,}_\d+\.png")


def add_routes(router: APIRouter, studio: Studio) -> None:
    tags: list[Any] = ["training"]

    @router.get("/trainings", tags=tags, summary="The trainings since the program started", response_model=list[schemas.TrainingAnswer])
    def trainings() -> Response:
        return answer([_described(training) for training in studio.trainings.all()])

    @router.get("/trainings/settings", tags=tags, summary="What a training can be told", response_model=list[schemas.TrainingSetting])
    def settings(kind: schemas.Kind = "lora", quality: schemas.Quality | None = None) -> Response:
        """What each is where nothing else is said, with what a quality chooses."""
        chosen = {**DEFAULTS_OF[kind], **(quality_settings(quality, kind) if quality else {})}
        heeded = {name: known for name, known in SETTING_FIELDS.items() if kind in known.metadata["kinds"]}
        listed = [
            {
                "name": name, "help": known.metadata["help"], "default": chosen.get(name, known.default),
                "choices": known.metadata["choices"], "minimum": known.metadata["minimum"], "maximum": known.metadata["maximum"],
            }
            for name, known in heeded.items()
        ]  # fmt: skip
        return answer(listed)

    def job_of(body: schemas.TrainingBody) -> TrainingJob:
        values = {**quality_settings(body.quality, body.kind), **body.settings} if body.quality else body.settings
        return studio.trainings.job(body.kind, body.name, body.dataset, TrainingSettings.of(values, body.kind), body.checkpoint)

    @router.post(
        "/trainings", tags=tags, summary="Begin, or go on with, a training", status_code=201, response_model=schemas.TrainingAnswer
    )
    def start(body: schemas.TrainingBody) -> Response:
        """One goes on from the state that an earlier one of the same name has left, unless `restart`."""
        return answer(_described(studio.trainings.start(job_of(body), body.restart)), 201)

    @router.post("/trainings/forecast", tags=tags, summary="What a training would take", response_model=schemas.ForecastAnswer)
    def forecast(body: schemas.TrainingBody) -> Response:
        """From one step that changes nothing. Where it does not fit, the error says what would."""
        expected = studio.trainings.forecast(job_of(body))
        estimate = expected.fit.estimate
        expectation = {
            "memory_bytes": estimate.total, "free_bytes": expected.fit.free, "parameters": estimate.parameters,
            "gradient_checkpointing": expected.fit.thrifty, "resolution": expected.resolution, "steps": expected.steps,
            "step_seconds": expected.step_seconds, "seconds": expected.seconds,
        }  # fmt: skip
        return answer(expectation)

    @router.get("/trainings/{id}", tags=tags, summary="Where a training is", response_model=schemas.TrainingAnswer)
    def training(id: str) -> Response:
        return answer(_described(studio.trainings.get(id)))

    @router.get("/trainings/{id}/events", tags=tags, summary="Where a training is, as server-sent events",
                response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})  # fmt: skip
    async def events(request: Request, id: str) -> StreamingResponse:
        """Each event's data is what /trainings/{id} answers, sent whenever it changes; they end with the training."""
        followed = studio.trainings.get(id)
        known: dict[str, Any] | None = None
        over = False

        def news() -> list[Event] | None:
            nonlocal known, over
            if over or studio.host.ending():
                return None
            over = not followed.task.active
            description = _described(followed)
            changed, known = description != known, description
            return [Event(description)] if changed else []

        return stream(request, news, _EVERY_SECONDS)

    @router.post("/trainings/{id}/stop", tags=tags, summary="Stop a training; its state is kept", response_model=schemas.TrainingAnswer)
    def stop(id: str) -> Response:
        stopped = studio.trainings.get(id)
        stopped.task.interrupt()
        return answer(_described(stopped))

    @router.post("/trainings/{id}/pause", tags=tags, summary="Let a training wait", response_model=schemas.TrainingAnswer)
    def pause(id: str) -> Response:
        """After the step that it is in; until /resume."""
        waiting = studio.trainings.get(id)
        studio.trainings.pause(waiting)
        return answer(_described(waiting))

    @router.post("/trainings/{id}/resume", tags=tags, summary="Go on", status_code=201, response_model=schemas.TrainingAnswer)
    def resume(id: str) -> Response:
        """The same training where it waits; where it is over, another with an id of its own, from the state that it has left."""
        return answer(_described(studio.trainings.go_on(studio.trainings.get(id))), 201)

    @router.get("/trainings/{id}/curve", tags=tags, summary="The loss of every step", response_model=schemas.CurveAnswer)
    def curve(id: str) -> Response:
        shown = studio.trainings.get(id)
        losses, rates = curve_of(shown.job.folder)
        since = [report for report in shown.reports if report.step > len(losses)]  # the file is as old as the state
        return answer({"losses": losses + [report.loss for report in since], "learning_rates": rates + [report.rate for report in since]})

    @router.get("/trainings/{id}/samples/{file}", tags=tags, summary="A sample", response_class=Response,
                responses={200: {"content": {"image/png": {}}}})  # fmt: skip
    def sample(id: str, file: str) -> Response:
        path = studio.trainings.get(id).job.folder / SAMPLES / file
        if _SAMPLE.fullmatch(file) is None or not path.is_file():
            raise NotFound("There is no sample {file}.", "See the training for those that there are.", file=file)
        return Response(path.read_bytes(), 200, PRIVATE, "image/png")


def _described(training: Training) -> dict[str, Any]:
    task, job, fit, reports, error = training.task, training.job, training.fit, training.reports[-20:], training.error
    done = reports[-1].step if reports else training.begun_at
    seconds = training.step_seconds
    left = (job.settings.steps - done) * seconds if seconds is not None and task.active else None
    return {
        "id": training.id, "name": job.name, "dataset": job.data, "kind": job.kind, "state": task.state, "paused": training.paused,
        "held": not training.going.is_set(), "text": task.error or task.step.text,
        "failure": error.describe() if isinstance(error, ClickpaintError) else None, "step": done, "steps": job.settings.steps,
        "loss": sum(report.loss for report in reports) / len(reports) if reports else None, "step_seconds": seconds,
        "seconds_left": left, "parameters": fit.estimate.parameters if fit else None,
        "memory_bytes": fit.estimate.total if fit else None, "gradient_checkpointing": fit.thrifty if fit else None,
        "output": job.output.name if task.state == "done" else None,
        "samples": [f"trainings/{training.id}/samples/{file.name}" for file in sorted((job.folder / SAMPLES).glob("*.png"))],
    }  # fmt: skip
