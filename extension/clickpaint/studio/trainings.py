"""The use-cases of training: what a training takes, and one going on in the lane of long work, where painting goes before it."""

from __future__ import annotations

import logging
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from clickpaint.errors import Busy, ClickpaintError, HostUnsupported, Interrupted, InvalidInput, NotFound
from clickpaint.hosts.base import Host
from clickpaint.image.picture import from_pixels
from clickpaint.image.picture_files import encode
from clickpaint.image.whole_file import write_whole
from clickpaint.progress import Progress
from clickpaint.studio.model_pool import ModelPool
from clickpaint.studio.own_sampler import OwnSampler
from clickpaint.studio.queue import WORK, Compute
from clickpaint.studio.tasks import Task, Tasks
from clickpaint.train.dataset.collection import checked_name
from clickpaint.train.dataset.examples import DataSet
from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.estimate import Fit, estimate, fitting, with_checkpointing
from clickpaint.train.planned_turns import turns_of
from clickpaint.train.run_types import OpenedForTraining, StepReport
from clickpaint.train.training_run import TrainingRun
from clickpaint.train.training_samples import COMPARING
from clickpaint.train.training_settings import Kind, TrainingJob, TrainingSettings, write_config
from clickpaint.weights.device import free_bytes

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.source import Source

log = logging.getLogger(__name__)
T = TypeVar("T")

_HANDING_OVER = 0.2
"""Seconds."""
_FOLDERS: dict[Kind, str] = {
    "lora": "Lora", "dreambooth": "Lora", "embedding": "embeddings", "controlnet": "ControlNet", "instruct": "Stable-diffusion",
    "finetune": "Stable-diffusion",
}  # fmt: skip
"""The host's folders of results, by what is trained."""


@dataclass(frozen=True)
class Forecast:
    """What a training would take.

    Attributes:
        fit: of memory.
        resolution: side in pixels of the square whose area pictures are brought to.
        step_seconds: what one step takes, from a trial that changes nothing.
        steps: how many there are.
    """

    fit: Fit
    resolution: int
    step_seconds: float
    steps: int

    @property
    def seconds(self) -> float:
        return self.step_seconds * self.steps


class _Tried(Exception):
    """A trial is over: (seconds that a step took)."""


@dataclass(eq=False)
class Training:
    """One training of this program.

    Attributes:
        id: of its task.
        asked: what it is.
        job: the same, with what was chosen for "auto".
        task: where it is, and how it is stopped.
        fit: what it takes; None until that is known.
        step_seconds: what one step takes, from a trial; None until that is known.
        begun_at: the step that it goes on from.
        reports: of every step since then.
        changed: notified after every step and at the end.
        paused: whether it makes way for other work, or was told to wait.
        going: not set while the user wants it to wait.
    """

    asked: TrainingJob
    job: TrainingJob
    task: Task
    fit: Fit | None = None
    step_seconds: float | None = None
    begun_at: int = 0
    reports: list[StepReport] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    error: BaseException | None = None
    paused: bool = False
    going: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.going.set()

    @property
    def id(self) -> str:
        return self.task.id

    def tell(self) -> None:
        with self.changed:
            self.changed.notify_all()

    def wait(self, seconds: float) -> bool:
        """Whether it ended within so many seconds."""
        with self.changed:
            return self.changed.wait_for(lambda: not self.task.active, seconds)


class Trainings:
    """Part of the studio."""

    def __init__(
        self, host: Host, pool: ModelPool, tasks: Tasks, lane: Compute, sampler: OwnSampler, data_set: Callable[[str], DataSet]
    ) -> None:
        self._data_set = data_set
        self._host, self._pool, self._tasks, self._lane, self._sampler = host, pool, tasks, lane, sampler
        self._trainings: dict[str, Training] = {}
        self._lock = threading.Lock()

    def all(self) -> Sequence[Training]:
        """Every training since the program started, the newest last."""
        with self._lock:
            return [*self._trainings.values()]

    def get(self, id: str) -> Training:
        """Raises `NotFound`."""
        with self._lock:
            if id not in self._trainings:
                raise NotFound("There is no such training (any more).", "Start it again.")
            return self._trainings[id]

    def job(self, kind: Kind, name: str, data: str, settings: TrainingSettings, checkpoint: str | None = None) -> TrainingJob:
        """A training whose result goes where the host looks for such files.

        Args:
            kind: what is trained.
            name: of the result.
            data: the data set's name.
            settings: how.
            checkpoint: one of the host's, which is taken for it; None for the one that is loaded.

        Raises:
            InvalidInput: a name that no file can have. NotFound, HostUnsupported: there is no such checkpoint, or it is not ours to take.
        """
        if checkpoint:
            self._host.choose_checkpoint(checkpoint)
        folder = self._host.folders(_FOLDERS[kind])[0]
        loaded = checkpoint or self._host.capabilities().checkpoint
        return TrainingJob(kind, data, loaded, folder / f"{checked_name(name)}.safetensors", settings)

    def start(self, job: TrainingJob, restart: bool = False) -> Training:
        """Begin a training, or go on with the one whose state is beside the result.

        Args:
            job: what it is.
            restart: throw away what an earlier one has left.

        Raises:
            Busy: another one is under way.
            InvalidInput: the result has no name that it can have.
            NotFound, HostUnsupported: there is no such data set, or none may be used here.
        """
        if job.output.suffix.lower() not in (".safetensors", ".sft"):
            raise InvalidInput("The result cannot be called {file}.", "Give it a name that ends in .safetensors.", file=job.output.name)
        self._data_set(job.data)
        with self._lock:
            self._check_none_goes()
            training = Training(job, job, self._tasks.start("train", subject=job.name))
            self._trainings[training.id] = training
        if restart:
            shutil.rmtree(job.folder, ignore_errors=True)
        threading.Thread(target=self._go, args=(training,), name="clickpaint-train", daemon=True).start()
        return training

    def pause(self, training: Training) -> None:
        """Let it wait after the step that it is in, with what it has learned; everything else can be done meanwhile."""
        training.going.clear()
        training.tell()

    def go_on(self, training: Training) -> Training:
        """The training that goes on: the same where it waits; where it is over, another from the state that it has left. Raises as
        `start`."""
        if not training.task.active:
            return self.start(training.asked)
        training.going.set()
        training.tell()
        return training

    def _go(self, training: Training) -> None:
        error: BaseException | None = None
        try:
            self._train(training)
        except BaseException as failure:
            error = failure
            if not isinstance(failure, ClickpaintError):
                log.exception("The training %s failed", training.job.name)
        training.error = error
        training.task.finish(error)
        training.tell()

    def _train(self, training: Training) -> None:
        source = self._source()
        resolution = training.job.settings.resolution or self._native_size(source)
        classes = self._class_set(training, resolution)
        job = training.job
        data = turns_of(self._data_set(job.data), job.kind, job.settings, resolution, classes)
        self._in_lane(training, lambda progress: self._measure(training, source, resolution))
        if data.trigger and job.kind not in COMPARING and not training.job.settings.sample_prompts:
            training.job = replace(training.job, settings=replace(training.job.settings, sample_prompts=(data.trigger,)))
        job = training.job

        def tell(report: StepReport) -> None:
            training.reports.append(report)
            training.tell()

        def tried(seconds: float) -> None:
            training.step_seconds = seconds
            training.tell()

        run = TrainingRun(job, data, self._host.device(), job.folder / "cache", tell, tried)
        training.begun_at = run.resumable() or 0
        write_config(job)
        training.tell()

        def pause() -> bool:
            return not training.going.is_set() or self._awaited()

        while self._in_lane(training, lambda progress: run.run(lambda: self._opened(source), progress, pause)) == "paused":
            training.paused = True
            training.tell()
            if training.going.is_set():
                time.sleep(_HANDING_OVER)  # whoever waits for the host's lock is woken first
            with training.task.alarming(training.going):
                training.going.wait()
            training.task.check()

    def _in_lane(self, training: Training, work: Callable[[Progress], T]) -> T:
        """`work(progress)` in the lane of long work; also after an interruption it returns only when nothing is computed any more."""
        begun, ended = threading.Event(), threading.Event()

        def compute(progress: Progress) -> T:
            begun.set()
            training.paused = False
            try:
                return self._pool.retrying_with_freed_memory(lambda: work(progress))
            finally:
                ended.set()

        try:
            return self._lane.run(training.task, compute, WORK)
        except Interrupted:
            if begun.is_set():
                ended.wait()  # the state is being kept
            raise

    def _awaited(self) -> bool:
        """Whether something else wants to compute: it does so between two steps."""
        return self._lane.awaited() or self._host.awaited()

    def _native_size(self, source: Source) -> int:
        from clickpaint.paint.checkpoint.opening import open_checkpoint

        return open_checkpoint(source).kind.native_size

    def forecast(self, job: TrainingJob) -> Forecast:
        """What a training would take, from one step on the network itself that changes nothing and leaves nothing.

        Raises:
            OutOfMemory: it does not fit; the error says what would. HostUnsupported, NotFound, InvalidInput: it cannot be.
            Busy: another training is under way.
        """
        data_set = self._data_set(job.data)
        with self._lock:
            self._check_none_goes()
            trial = Training(job, job, self._tasks.start("train", subject=job.name))
        error: BaseException | None = None
        try:
            with tempfile.TemporaryDirectory(prefix="clickpaint-") as folder:
                trial.job = replace(job, output=Path(folder) / job.output.name)
                return self._in_lane(trial, lambda progress: self._tried(trial, data_set, progress))
        except BaseException as failure:
            error = failure
            raise
        finally:
            trial.task.finish(error)

    def _tried(self, trial: Training, data_set: DataSet, progress: Progress) -> Forecast:
        source = self._source()
        resolution = trial.job.settings.resolution or self._native_size(source)
        self._measure(trial, source, resolution)
        job, fit = trial.job, trial.fit
        assert fit is not None

        def stop(seconds: float) -> None:
            raise _Tried(seconds)

        data = turns_of(data_set, job.kind, job.settings, resolution, data_set if job.kind == "dreambooth" else None)
        try:
            TrainingRun(job, data, self._host.device(), None, None, stop).run(lambda: self._opened(source), progress)
        except _Tried as tried:
            return Forecast(fit, resolution, tried.args[0], job.settings.steps)
        raise AssertionError("a training began without its trial")

    def _check_none_goes(self) -> None:
        """Raises `Busy`."""
        if any(training.task.active for training in self._trainings.values()):
            raise Busy("A training is under way already.", "Wait for it, or stop it.")

    def _source(self) -> Source:
        source = self._host.checkpoint()
        if source is None:
            raise HostUnsupported(self._host.capabilities().reason or "No checkpoint is loaded.", "Load one, then train.")
        return source

    def _fit(self, job: TrainingJob, source: Source, resolution: int) -> Fit:
        import torch

        from clickpaint.paint.checkpoint.opening import open_checkpoint

        device = self._host.device()
        checkpoint = open_checkpoint(source)
        dtype = device.torch_dtype if checkpoint.dtype == torch.float32 or device.kind == "cpu" else checkpoint.dtype
        free = free_bytes(device)
        return fitting(job, estimate(job, checkpoint, resolution, dtype), free, device.type)

    def _measure(self, training: Training, source: Source, resolution: int) -> None:
        """Find out what the training takes, and choose what is "auto". Raises `OutOfMemory`."""
        training.fit = self._fit(training.job, source, resolution)
        settings = with_checkpointing(training.job.settings, training.fit.thrifty)
        training.job = replace(training.job, settings=replace(settings, resolution=resolution))
        training.tell()

    @contextmanager
    def _opened(self, source: Source) -> Iterator[OpenedForTraining]:
        from clickpaint.paint.checkpoint.opening import Checkpoint, Checkpoints

        own = Checkpoints()
        with own.using(source, self._host.device().torch) as checkpoint:
            assert isinstance(checkpoint, Checkpoint)  # others were refused when they were measured
            yield OpenedForTraining(checkpoint, source.tensors)
        own.forget()

    def _class_set(self, training: Training, resolution: int) -> DataSet | None:
        """The data set of the object's class, painted where there is none. Raises `InvalidInput`."""
        job = training.job
        if job.kind != "dreambooth":
            return None
        if job.settings.class_data:
            return self._data_set(job.settings.class_data)
        if not job.settings.class_prompt:
            raise InvalidInput("It is not said what class the object is of.", "Give --class-prompt or --class-data.")
        folder = job.folder / "class"
        missing = [number for number in range(job.settings.class_count) if not (folder / f"{number:04}.png").is_file()]

        def paint(progress: Progress) -> None:
            from clickpaint.paint.flat_options import grouped

            options = grouped(prompt=job.settings.class_prompt, steps=job.settings.sample_steps)
            with self._sampler.opened(options) as sampler:
                for place, number in enumerate(missing):
                    progress.report(place / len(missing), "Painting pictures of the class", done=place, total=len(missing))
                    side = resolution // 8 * 8
                    painted = sampler.generate(options, (side, side), job.settings.seed + number)
                    (folder / f"{number:04}.txt").parent.mkdir(parents=True, exist_ok=True)
                    (folder / f"{number:04}.txt").write_text(job.settings.class_prompt, encoding="utf-8")
                    write_whole(folder / f"{number:04}.png", encode(from_pixels(painted[0].pixels), "PNG"))

        if missing:
            self._in_lane(training, paint)
        return open_data_set(folder)
