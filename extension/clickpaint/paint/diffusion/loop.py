"""The denoising loop: one network, one scheduler, and parts that take part in every step."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from clickpaint.paint.diffusion.attention import Attend, Layer, wrapped
from clickpaint.paint.diffusion.lean_layers import Prompts, lean
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.diffusion.conditioning import Conditioning, Text

_CHECKED_EVERY = 8
"""Steps after which a device that works on its own is waited for, to see whether its answers are numbers."""


@dataclass(frozen=True, eq=False)
class Moment:
    """Where the sampling is.

    Attributes:
        share: of the noise levels that are done, 0 at the first step; below 1. What looks twice at one level, or returns to one, does
            not count twice.
        share_after: of those that will be done with this step; at most 1.
        timestep: the level that is left, a tensor without dimensions on the network's device.
        following: the one that is reached, None after the last.
        level: the timestep as a number, which does not wait for the device.
    """

    share: float
    share_after: float
    timestep: torch.Tensor
    following: torch.Tensor | None
    scheduler: Any
    generators: Sequence[torch.Generator]
    level: float


@dataclass(frozen=True, eq=False)
class Inputs:
    """What goes into the network at once. Its rows are the pictures of the batch for the first branch, then for the next one.

    Attributes:
        branches: of the guidance's ("uncond", "cond"); not all of them at once where memory is short or the prompts differ in length.
        sample: float32 [rows, c, h, w], scaled as the network expects it at `moment.timestep`.
        context: [rows, tokens, C] in the network's type; the same tensor in all steps that have the same prompts.
        added: what else describes the prompt, by its names for the network, such as SDXL's "text_embeds" [rows, 1280] and "time_ids"
            [rows, 6].
    """

    branches: tuple[str, ...]
    sample: torch.Tensor
    context: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Residuals:
    """What a ControlNet adds to the skip connections (`down`) and to the middle of the network."""

    down: tuple[torch.Tensor, ...]
    mid: torch.Tensor

    def __add__(self, other: Residuals) -> Residuals:
        return Residuals(tuple(a + b for a, b in zip(self.down, other.down, strict=True)), self.mid + other.mid)


class Part:
    """Something that takes part in the sampling. A hook does nothing unless a part overrides it; none writes into what it gets.

    Attributes:
        networks: of diffusers, that it asks in every step.
    """

    networks: Sequence[Any] = ()

    def residuals(self, inputs: Inputs, moment: Moment) -> Residuals | None:
        """What to add inside the network. `inputs` are as yet untouched by any part: nothing but latents. Parts' residuals add up."""
        return None

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        """The inputs with what the network wants besides, such as further channels. Parts are asked in their order."""
        return inputs

    def prediction(self, prediction: torch.Tensor, sample: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The network's answer [batch, c, h, w] about `sample`, as the guidance has combined it, corrected."""
        return prediction

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The latents [batch, c, h, w] at the level `moment.following`, corrected."""
        return latents

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        """What computes an attention layer of the network in place of `attend`, None to leave it alone; see `diffusion.attention`. Asked
        once for each layer, before the first step; `model_input` says before each call what it is about."""
        return None


JOINED = "and "
"""How the branches of further prompts of a composition are called, with their number behind it."""


class Guidance(Protocol):
    """How the network's answers for several conditions become one."""

    @property
    def branches(self) -> tuple[str, ...]:
        """What the network is asked for: of "cond" and "uncond", for InstructPix2Pix "image" (the picture, no instruction), and for
        further prompts `JOINED` with a number."""
        ...

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor: ...


@dataclass(frozen=True)
class ClassifierFree:
    """Classifier-free guidance (Ho and Salimans, 2022); a scale of 1 asks for the prompt alone."""

    scale: float

    @property
    def branches(self) -> tuple[str, ...]:
        return ("cond",) if self.scale == 1 else ("uncond", "cond")

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        cond = answers["cond"]
        return cond if self.scale == 1 else answers["uncond"] + self.scale * (cond - answers["uncond"])


@dataclass(frozen=True)
class Composed:
    """Composable diffusion (Liu et al., 2022): guidance towards several prompts at once, each as strong as its weight."""

    scale: float
    weights: tuple[float, ...]

    @property
    def branches(self) -> tuple[str, ...]:
        return "uncond", "cond", *(f"{JOINED}{number}" for number in range(1, len(self.weights)))

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        uncond, *prompts = (answers[name] for name in self.branches)
        for prompt, weight in zip(prompts, self.weights, strict=True):
            uncond = uncond + (prompt - answers["uncond"]) * (weight * self.scale)
        return uncond


@dataclass(frozen=True)
class Instructed:
    """Equation 3 of InstructPix2Pix (Brooks et al., 2023): `scale` for the instruction, `image_scale` for likeness to the picture."""

    scale: float
    image_scale: float

    @property
    def branches(self) -> tuple[str, ...]:
        return "cond", "image", "uncond"

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        cond, image, uncond = (answers[name] for name in self.branches)
        return uncond + self.scale * (cond - image) + self.image_scale * (image - uncond)


def generators(seed: int, count: int) -> list[torch.Generator]:
    """One source of randomness per picture, with the seeds seed, seed + 1 …; on the CPU, so that they are the same everywhere."""
    import torch

    return [torch.Generator("cpu").manual_seed(seed + i) for i in range(count)]


def noise(generators: Sequence[torch.Generator], shape: Sequence[int], device: torch.device) -> torch.Tensor:
    """Normal noise, float32 [len(generators), *shape]; each picture's row depends on its own seed alone."""
    import torch

    return torch.stack([torch.randn(tuple(shape), generator=generator) for generator in generators]).to(device)


def denoise(
    unet: Any, scheduler: Any, timesteps: Sequence[torch.Tensor], latents: torch.Tensor, conditioning: Conditioning, guidance: Guidance,
    parts: Sequence[Part] = (), *, generators: Sequence[torch.Generator], together: bool = True,
    progress: Progress = SILENT, preview: Callable[[torch.Tensor], None] | None = None, label: str = "Painting",
) -> torch.Tensor:  # fmt: skip
    """The latents [batch, c, h, w] that are left when all noise is gone.

    Args:
        unet: a `UNet2DConditionModel`, or what is called like one; asked in its own precision, the rest is float32.
        scheduler: of diffusers, or used like one, already told the number of steps.
        timesteps: the levels to visit, of the scheduler's; an adaptive one adds to them at each step.
        together: whether one call of the network may answer for several branches, which takes more memory.
        preview: is shown the latents [1, c, h, w] that the first picture seems to come to, after every step.
        label: what the progress calls it.

    Raises:
        Interrupted: the user asked to stop, at most one call of the network ago.
        FloatingPointError: the network answers with NaN.
    """
    extra: dict[str, Any] = {}
    if "generator" in inspect.signature(scheduler.step).parameters:
        extra["generator"] = list(generators)
    adaptive = getattr(scheduler, "adaptive", False)
    waits = latents.device.type == "cpu"
    rows = Rows(unet.dtype, keep=together)
    wraps = [part.attention for part in parts if type(part).attention is not Part.attention]
    with wrapped(unet, wraps), lean([unet, *(network for part in parts for network in part.networks)], rows.prompts):
        for number, moment in enumerate((_adaptive_moments if adaptive else _moments)(scheduler, timesteps, generators)):
            if adaptive:
                progress.report(moment.share, label, done=number, unit="step")
            else:
                progress.report(number / len(timesteps), label, done=number, total=len(timesteps), unit="step")
            timestep = _in_memory(moment)
            sample = scheduler.scale_model_input(latents, timestep)
            answers = looked(unet, sample, conditioning, guidance.branches, parts, moment, together, progress, rows)
            prediction = guidance.combine(answers)
            for part in parts:
                prediction = part.prediction(prediction, sample, moment)
            if waits or number % _CHECKED_EVERY == 0:
                _check(prediction)
            latents = scheduler.step(prediction, timestep, latents, **extra, return_dict=False)[0]
            following = timesteps[number + 1] if number + 1 < len(timesteps) else None
            moment = replace(moment, following=following, share_after=scheduler.share if adaptive else moment.share_after)
            for part in parts:
                latents = part.after_step(latents, moment)
            if preview is not None:
                preview(clean(sample[:1], prediction[:1], moment))
    if not waits:
        _check(latents)
    return latents


def _check(values: torch.Tensor) -> None:
    import torch

    if not torch.isfinite(values).all():
        raise FloatingPointError("the network answers with NaN")


def _in_memory(moment: Moment) -> torch.Tensor:
    """The timestep where schedulers can look it up without waiting for the device."""
    import torch

    timestep = moment.timestep
    return timestep if timestep.device.type == "cpu" else torch.tensor(moment.level, dtype=timestep.dtype)


class Rows:
    """Prompts as rows of the network's inputs, made once for all steps that have the same.

    Args:
        dtype: the network's.
        keep: whether layers may keep what they make of the prompts, which takes memory.
    """

    _MOST = 4
    """Prompts that are kept: two that take turns, for branches that are asked by themselves."""

    def __init__(self, dtype: torch.dtype, keep: bool = False) -> None:
        self.dtype, self.prompts = dtype, Prompts() if keep else Prompts(0)
        self._made: dict[Any, tuple[list[Text], torch.Tensor, dict[str, torch.Tensor]]] = {}

    def of(self, texts: list[Text], batch: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        """(context, added) of `Inputs`, for a batch of as many pictures."""
        import torch

        key = (*map(id, texts), batch)
        if key not in self._made:
            if len(self._made) == self._MOST:
                self.prompts.let_go(self._made.pop(next(iter(self._made)))[1])
            added = {name: torch.cat([_for_each(text.added[name], batch) for text in texts]).to(self.dtype) for name in texts[0].added}
            context = torch.cat([_for_each(text.context, batch) for text in texts]).to(self.dtype)
            self.prompts.hold(context)
            self._made[key] = texts, context, added  # the texts stay, and so do their numbers
        return self._made[key][1:]


def looked(
    unet: Any, sample: torch.Tensor, conditioning: Conditioning, branches: tuple[str, ...], parts: Sequence[Part], moment: Moment,
    together: bool = True, progress: Progress = SILENT, rows: Rows | None = None,
) -> dict[str, torch.Tensor]:  # fmt: skip
    """What the network answers about `sample` [batch, 4, h, w], scaled for it, for each of the branches: float32 of the same shape."""
    answers: dict[str, torch.Tensor] = {}
    rows = rows or Rows(unet.dtype)
    for inputs in _calls(sample, conditioning, branches, moment, together, rows):
        progress.check()
        answers.update(zip(inputs.branches, _ask(unet, inputs, parts, moment, rows.dtype).chunk(len(inputs.branches)), strict=True))
    return answers


def _moments(scheduler: Any, timesteps: Sequence[torch.Tensor], generators: Sequence[torch.Generator]) -> Iterator[Moment]:
    """Before each step; what follows is not known yet."""
    numbers = [float(t) for t in timesteps]
    levels = sorted(set(numbers), reverse=True)
    places = {level: place for place, level in enumerate(levels)}
    for t, number in zip(timesteps, numbers, strict=True):
        place = places[number]
        yield Moment(place / len(levels), (place + 1) / len(levels), t, None, scheduler, generators, number)


def _adaptive_moments(scheduler: Any, timesteps: Sequence[torch.Tensor], generators: Sequence[torch.Generator]) -> Iterator[Moment]:
    """As `_moments`, of a scheduler that tells by itself how far it is; each step adds the next timestep."""
    for t in timesteps:
        yield Moment(scheduler.share, scheduler.share, t, None, scheduler, generators, float(t))


def _calls(
    sample: torch.Tensor, conditioning: Conditioning, branches: tuple[str, ...], moment: Moment, together: bool, rows: Rows
) -> Iterator[Inputs]:  # fmt: skip
    """The inputs of as few calls as possible: prompts of different lengths cannot share one."""
    texts = {branch: conditioning.text(branch, moment.share) for branch in branches}
    groups: dict[Any, list[str]] = {}
    for branch in branches:
        groups.setdefault(texts[branch].context.shape[1] if together else branch, []).append(branch)
    for group in groups.values():
        context, added = rows.of([texts[branch] for branch in group], len(sample))
        yield Inputs(tuple(group), sample.repeat(len(group), 1, 1, 1), context, added)


def _for_each(values: torch.Tensor, batch: int) -> torch.Tensor:
    """One row for each picture of the batch, of what has one for all of them or one for each already."""
    return values if len(values) == batch else values.repeat(batch, *[1] * (values.ndim - 1))


def _ask(unet: Any, inputs: Inputs, parts: Sequence[Part], moment: Moment, dtype: torch.dtype) -> torch.Tensor:
    added = [residuals for part in parts if (residuals := part.residuals(inputs, moment)) is not None]
    for part in parts:
        inputs = part.model_input(inputs, moment)
    extra: dict[str, Any] = {}
    if added:
        residuals = functools.reduce(operator.add, added)
        extra["down_block_additional_residuals"] = tuple(each.to(dtype) for each in residuals.down)
        extra["mid_block_additional_residual"] = residuals.mid.to(dtype)
    if inputs.added:
        extra["added_cond_kwargs"] = {key: value.to(dtype) for key, value in inputs.added.items()}
    answer = unet(inputs.sample.to(dtype), moment.timestep, encoder_hidden_states=inputs.context.to(dtype), return_dict=False, **extra)[0]
    return answer.float()


def clean(sample: torch.Tensor, prediction: torch.Tensor, moment: Moment) -> torch.Tensor:
    """What the network takes the latents without noise to be; `sample` as the network got it, with unit variance at every level."""
    if hasattr(moment.scheduler, "clean"):
        return moment.scheduler.clean(sample, prediction, moment.timestep)
    level = moment.scheduler.alphas_cumprod[round(moment.level)].to(sample.device)
    if moment.scheduler.config.prediction_type == "v_prediction":
        return level.sqrt() * sample - (1 - level).sqrt() * prediction
    return (sample - (1 - level).sqrt() * prediction) / level.sqrt()
