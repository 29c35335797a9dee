"""A whole job on a checkpoint: from its pixels to the results, as far as memory goes."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from clickpaint.errors import CorruptModel, HostUnsupported, InvalidInput
from clickpaint.image.geometry import Box
from clickpaint.image.mask import bounds
from clickpaint.paint import infotext
from clickpaint.paint.acting import ModelTraits, idle_by_model, refuse_idle
from clickpaint.paint.agreement import SameLuma
from clickpaint.paint.diffusion import samplers
from clickpaint.paint.diffusion.conditioning import Words
from clickpaint.paint.diffusion.engines.base import Engine, Scene
from clickpaint.paint.diffusion.engines.registry import engine_for
from clickpaint.paint.diffusion.influences import Agreeing
from clickpaint.paint.diffusion.latents import Coder
from clickpaint.paint.diffusion.loop import Part, denoise, generators
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.paint.diffusion.prompt import Network, without_networks
from clickpaint.paint.diffusion.reference_attention import ReferenceAttention
from clickpaint.paint.diffusion.score_guidance import Score, ScoreGuided
from clickpaint.paint.diffusion.token_merging import tokens_merged
from clickpaint.paint.influence_options import ReferenceOptions
from clickpaint.paint.paint_job import Painted, PaintJob, PaintOptions
from clickpaint.progress import SILENT, Progress
from clickpaint.weights import device as devices
from clickpaint.weights.device import Device

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint
    from clickpaint.paint.diffusion.checkpoint_model import Model

log = logging.getLogger(__name__)
T = TypeVar("T")

Preview = Callable[[np.ndarray], None]
"""Gets uint8 [h/8, w/8, 3] after every step: roughly what the first result will be."""


@dataclass(frozen=True, eq=False)
class Tools:
    """What painting can make use of. The defaults can do nothing.

    Attributes:
        device: whose precision is used where the checkpoint's weights are float32.
        depth: measures a picture, uint8 [h, w, 3], as float32 of any size, larger is nearer.
        control: makes parts of the job's control units.
        adapted: the checkpoint with the LoRAs and hypernetworks that the prompt asks for, inside of the context; gives warnings about
            what it does not know.
        words: textual inversions.
        image_prompt: the part of a reference picture that an IP-Adapter reads.
        score: what a guide is to make higher; None without one.
        free: lets go of what is not needed when memory runs out.
    """

    device: Device = field(default_factory=Device)
    depth: Callable[[np.ndarray], np.ndarray] | None = None
    control: Callable[[AnyCheckpoint, PaintJob], Sequence[Part]] | None = None
    adapted: Callable[[AnyCheckpoint, Sequence[Network]], AbstractContextManager[Sequence[str]]] | None = None
    words: Words = field(default_factory=dict)
    image_prompt: Callable[[AnyCheckpoint, ReferenceOptions], Part] | None = None
    score: Score | None = None
    free: Callable[[], None] = lambda: None


@dataclass(frozen=True, eq=False)
class Setup:
    """What is settled before anything is painted.

    Attributes:
        model: what its family makes of the checkpoint.
        options: those that were asked for, with a prompt that names no networks.
        networks: that the prompt asks for.
        sampler, schedule: by their proper names.
    """

    checkpoint: AnyCheckpoint
    model: Model
    engine: Engine
    options: PaintOptions
    networks: Sequence[Network]
    sampler: str
    schedule: str
    tools: Tools

    def attempted(self, attempts: Sequence[Callable[[], T]]) -> T:
        """What the first of the attempts gives that memory is enough for, with the prompt's networks applied and tokens merged."""

        def free() -> None:
            self.tools.free()
            devices.release(self.tools.device)

        adapted, ratio = self.tools.adapted, self.options.model.token_merging_ratio or 0.0
        applied = adapted(self.checkpoint, self.networks) if self.networks and adapted else nullcontext(())
        with applied as notes, tokens_merged(self.checkpoint, ratio):
            for note in notes:
                log.warning("%s", note)
            return devices.retrying(attempts, free, "Paint at a lower resolution, or close other programs.")


def set_up(checkpoint: AnyCheckpoint, options: PaintOptions, tools: Tools) -> Setup:
    """Raises `InvalidInput` or `HostUnsupported` as `paint_with`."""
    engine = engine_for(checkpoint.kind, options)
    _check_references(checkpoint, options)
    if options.model.clip_skip not in (None, 1) and not hasattr(checkpoint, "unet"):
        raise InvalidInput(
            "{kind} reads its prompts without skipping layers of CLIP.", "Leave clip skip out, or set it to 1.", kind=checkpoint.kind.title
        )
    if options.reference.acts and options.reference.adapter and tools.image_prompt is None:
        raise HostUnsupported("IP-Adapters are not available here.", "Leave the adapter out; the network itself looks at the picture then.")
    if options.guide.acts and tools.score is None:
        raise HostUnsupported("Guidance is not available here.", "Leave the guide out.")
    if options.control and tools.control is None:
        raise HostUnsupported("ControlNet is not available here.", "Remove the ControlNet units.")
    prompt, networks = without_networks(options.prompt.positive)
    source, further = without_networks(options.edit.source)
    networks = tuple(dict.fromkeys((*networks, *further)))  # one network paints what is there and what is to be
    if networks and tools.adapted is None:
        raise HostUnsupported(
            "LoRAs are not available here.", "Remove <{kind}:{name}> from the prompt.", kind=networks[0].kind, name=networks[0].name
        )
    model = model_of(checkpoint)
    default = checkpoint.kind.memoryless[0] if engine.remembers_nothing else engine.sampler or model.sampler
    sampler, schedule = model.resolve(options.sampling.sampler or default, options.sampling.scheduler)
    plain = replace(options, prompt=replace(options.prompt, positive=prompt), edit=replace(options.edit, source=source))
    _check_acting(checkpoint, model, plain, engine)
    return Setup(checkpoint, model, engine, plain, networks, sampler, schedule, tools)


def _check_acting(checkpoint: AnyCheckpoint, model: Model, options: PaintOptions, engine: Engine) -> None:
    """Raise `InvalidInput` where something is set that changes nothing on the checkpoint."""
    kind = checkpoint.kind
    guided = model.guidance(options).branches != ("cond",) or options.edit.method in ("diffedit", "ledits")  # which ask for both anyway
    traits = ModelTraits(unet=hasattr(checkpoint, "unet"), guidance=getattr(kind, "guidance", ""), negative=guided)
    idle = idle_by_model(traits) - (set() if options.reference.acts else {"reference_fidelity"})
    if options.sampling.cfg_scale:  # who sets it to 1 has switched the negative prompt off, and programs send theirs with every request
        idle -= {"negative_prompt"}
    refuse_idle(options, idle, f"{kind.title} ({engine.name})")


def _check_references(checkpoint: AnyCheckpoint, options: PaintOptions) -> None:
    """Raise `InvalidInput` where the checkpoint cannot look at the reference pictures as they are meant."""
    kind, reference = checkpoint.kind, options.reference
    if hasattr(checkpoint, "unet"):
        if reference.further:
            raise InvalidInput(
                "{kind} looks at one reference picture.",
                "Leave the others out, or load Flux Kontext, Qwen-Image-Edit or Flux.2 Klein.",
                kind=kind.title,
            )
        return
    if options.task == "vary" or (reference.pictures and not kind.instructs):
        raise InvalidInput(
            "{kind} cannot look at a reference picture.",
            "Leave the reference out, or load Stable Diffusion 1, 2 or XL, Flux Kontext, Qwen-Image-Edit or Flux.2 Klein.",
            kind=kind.title,
        )
    if reference.pictures and reference.adjusted:
        raise InvalidInput(
            "{kind} looks at reference pictures in its own way.",
            "Leave out the adapter, weight, fidelity, start and end of the reference.",
            kind=kind.title,
        )


def paint_with(
    checkpoint: AnyCheckpoint, job: PaintJob, *, tools: Tools | None = None, progress: Progress = SILENT, preview: Preview | None = None
) -> list[Painted]:
    """The results of a job, `job.count` of them with the seeds job.seed, job.seed + 1 …; each the same as if it were painted alone.

    The checkpoint's tensors are where they are to be used, and are left as they are. Pixels outside of the mask come back nearly as
    they were; `in_picture.paint` puts results into pictures.

    Args:
        preview: is shown what the first picture seems to come to, after every step.

    Raises:
        InvalidInput: options and checkpoint do not go together, or there is no such sampler.
        HostUnsupported: a tool is missing.
        CorruptModel: the network or the VAE answers with NaN.
        OutOfMemory: even at the most thrifty.
        Interrupted: at most one call of a network after the user asked to stop.
    """
    tools = tools or Tools()
    setup = set_up(checkpoint, job.options, tools)
    described: dict[str, Any] = {
        "sampler": setup.sampler, "schedule": setup.schedule, "checkpoint": checkpoint.name, "engine": setup.engine.name
    } | setup.model.scales(setup.options)  # fmt: skip
    plain = replace(job, options=setup.options)

    def attempt(at_once: int, thrift: int) -> list[Painted]:
        work = _Work(checkpoint, setup.model, plain, setup.engine, setup.sampler, setup.schedule, tools, thrift, preview)
        results: list[Painted] = []
        for first in range(0, job.count, at_once):
            seeds = range(job.seed + first, job.seed + min(first + at_once, job.count))
            pictures = work.run(seeds, progress.part(first / job.count, (first + len(seeds)) / job.count))
            for (picture, area), seed in zip(pictures, seeds, strict=True):
                results.append(Painted(picture, seed, infotext.written(job, seed=seed, **described), area))
        return results

    at_once = 1 if samplers.adaptive(setup.sampler) else job.count  # what one picture needs would shorten the steps of all
    return setup.attempted([lambda: attempt(at_once, 0), lambda: attempt(1, 1), lambda: attempt(1, 2)])


def text_to_image(
    checkpoint: AnyCheckpoint, options: PaintOptions, size: tuple[int, int], *, seed: int, count: int = 1,
    tools: Tools | None = None, progress: Progress = SILENT, preview: Preview | None = None,
) -> list[Painted]:  # fmt: skip
    """Pictures of `size` (width, height), multiples of 8, from nothing but the prompt."""
    width, height = size
    grey, everywhere = np.full((height, width, 3), 128, np.uint8), np.ones((height, width), bool)
    job = PaintJob(grey, everywhere, options, masked_content="latent nothing", strength=1.0, seed=seed, count=count)
    return paint_with(checkpoint, job, tools=tools, progress=progress, preview=preview)


@dataclass(frozen=True, eq=False)
class _Work:
    """One attempt.

    Attributes:
        sampler, schedule: by their proper names.
        thrift: 0 as fast as it goes; 1 the network answers for one branch at a time and the VAE works in tiles; 2 its attention is
            sliced as well.
        preview: see `paint_with`.
    """

    checkpoint: AnyCheckpoint
    model: Model
    job: PaintJob
    engine: Engine
    sampler: str
    schedule: str
    tools: Tools
    thrift: int
    preview: Preview | None

    def run(self, seeds: Sequence[int], progress: Progress) -> list[tuple[np.ndarray, np.ndarray | None]]:
        """For each of the seeds (pixels, `Painted.area`)."""
        checkpoint, options = self.checkpoint, self.job.options
        with computing(checkpoint, self.model, self.tools.device, self.thrift):
            progress.report(0.0, "Preparing")
            model, coder, sources = self.model, Coder(checkpoint, self.model), generators(seeds[0], len(seeds))
            scheduler = model.scheduler(self.sampler, self.schedule, options.sampling, (self.job.width, self.job.height))
            control = self.tools.control(checkpoint, self.job) if options.control and self.tools.control else ()
            scene = Scene(
                checkpoint, model, self.job, scheduler, sources, coder, self.tools.depth, words=self.tools.words, control=control,
                together=self.thrift == 0, progress=progress,
            )  # fmt: skip
            recipe = self.engine.recipe(scene)
            taken = options.sampling.steps if samplers.adaptive(self.sampler) else len({float(t) for t in recipe.timesteps})
            conditioning = recipe.conditioning or model.conditioning(options, scene, taken, self.tools.words)
            influences = [*control, *recipe.parts, *steering(scene, self.tools)]
            progress.check()
            latents = denoise(
                model.network(options), recipe.scheduler or scheduler, recipe.timesteps, recipe.latents, conditioning, recipe.guidance,
                influences, generators=recipe.generators or sources, together=self.thrift == 0,
                progress=progress.part(recipe.prepared, 0.95), preview=previewing(model, self.preview),
            )[: len(seeds)]  # fmt: skip
            results = []
            for number, picture in enumerate(latents.split(1)):
                progress.report(0.95, "Decoding")
                results.append((coder.decode(picture), None if recipe.areas is None else recipe.areas[number]))
            return results


def steering(scene: Scene, tools: Tools) -> list[Part]:
    """What besides the prompt steers the sampling of a job, whatever the engine."""
    options, parts = scene.job.options, []
    if options.task == "colorize":
        parts.append(Agreeing(_on_luma(scene.job.pixels), scene.coder))
    if not hasattr(scene.checkpoint, "unet"):  # a model that edits sees them in its own way
        options = replace(options, reference=ReferenceOptions())
    elif options.task == "vary" and options.reference.picture is None:
        options = replace(options, reference=replace(options.reference, picture=_shown(scene.job)))
    if options.reference.acts and options.reference.adapter:
        assert tools.image_prompt is not None
        parts.append(tools.image_prompt(scene.checkpoint, options.reference))
    elif options.reference.acts:
        assert options.reference.picture is not None
        known = scene.coder.encode(fitted_to(options.reference.picture, scene.job.width * scene.job.height, scene.model.cell))
        parts.append(ReferenceAttention(scene.model.network(options), known, options.reference, scene.generators))
    if options.guide.acts and tools.score is not None:
        parts.append(ScoreGuided(tools.score, options.guide.scale, scene.model, scene.checkpoint.vae, scene.mask))
    return parts


def _on_luma(pixels: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    everywhere = Box(0, 0, pixels.shape[1], pixels.shape[0])
    return lambda made: SameLuma().made(pixels, made, everywhere)


def _shown(job: PaintJob) -> np.ndarray:
    """What the job's mask shows: its box with a little of what is around it."""
    box = bounds(job.mask)
    assert box is not None
    return job.pixels[box.padded(max(box.size) // 8).clipped(job.width, job.height).slices]


def fitted_to(pixels: np.ndarray, area: int, cell: int) -> np.ndarray:
    """uint8 [h, w, 3] at about `area` pixels, its sides multiples of 8 cells, which every network can halve three times."""
    from clickpaint.paint.context import scaled

    height, width = pixels.shape[:2]
    share, step = (area / (width * height)) ** 0.5, 8 * cell
    width, height = (max(round(side * share / step), 1) * step for side in (width, height))
    return scaled(pixels, (width, height))


def previewing(model: Model, show: Preview | None) -> Callable[[torch.Tensor], None] | None:
    """What `denoise` is to call so that `show` sees pictures."""
    return None if show is None else lambda latents: show(model.approximate(latents))


@contextmanager
def computing(checkpoint: AnyCheckpoint, model: Model, device: Device, thrift: int) -> Iterator[None]:
    """Within this block the networks can be asked, in the precision that fits, and as thriftily as `_Work.thrift` says. One that answers
    with NaN raises `CorruptModel`."""
    import torch

    # Weights in half precision compute in it; those in float32 under autocast, as everywhere.
    precise = device.autocast() if checkpoint.dtype == torch.float32 else nullcontext()
    with torch.inference_mode(), precise, model.thrifty(thrift):
        try:
            yield
        except FloatingPointError as error:
            raise CorruptModel(
                "The checkpoint {model} answers with NaN in {dtype}.",
                "Use it in full precision, or choose another checkpoint.",
                model=checkpoint.name,
                dtype=str(checkpoint.dtype).removeprefix("torch."),
            ) from error
