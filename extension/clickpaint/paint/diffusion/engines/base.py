"""What engines have in common: the scene that they find, and the recipe that they make of it."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.diffusion.conditioning import Conditioning, Words, encode
from clickpaint.paint.diffusion.influences import Known
from clickpaint.paint.diffusion.latents import Coder, filled, latent_mask
from clickpaint.paint.diffusion.loop import Guidance, Part
from clickpaint.paint.diffusion.loop import noise as draw
from clickpaint.paint.paint_job import PaintJob
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

    from clickpaint.paint.checkpoint.opening import AnyCheckpoint, AnyKind, Checkpoint
    from clickpaint.paint.diffusion.checkpoint_model import Model
    from clickpaint.paint.paint_job import PaintOptions


@dataclass(frozen=True, eq=False)
class Recipe:
    """What `loop.denoise` needs.

    Attributes:
        latents: float32 [batch, c, h, w], with the noise of the first of the timesteps.
        timesteps: the levels to visit, in order.
        guidance: how the answers for the prompts become one.
        parts: what takes part in each step, in order.
        conditioning: None for the job's prompts.
        scheduler, generators: None for the scene's. Of the latents, those of the job's pictures come first.
        areas: for each picture, what becomes `Painted.area`; None for all of it.
        prepared: share of the whole work that it took to make this.
    """

    latents: torch.Tensor
    timesteps: Sequence[torch.Tensor]
    guidance: Guidance
    parts: Sequence[Part]
    conditioning: Conditioning | None = None
    scheduler: Any = None
    generators: Sequence[torch.Generator] | None = None
    areas: Sequence[np.ndarray] | None = None
    prepared: float = 0.05


@dataclass(frozen=True, eq=False)
class Scene:
    """A job before its first step, for some of its seeds.

    Attributes:
        model: what its family makes of the checkpoint.
        scheduler: set to the job's number of steps.
        generators: one for each seed.
        coder: the checkpoint's VAE.
        depth: measures a picture, uint8 [h, w, 3], as float32 of any size, larger is nearer; None where nobody can.
        carried: makes of the noise that a seed means the one that is used, [batch, 4, h, w] each; None for that noise itself.
        words: textual inversions.
        control: what takes part in every sampling of the job, whatever the engine.
        together: whether one call of the network may answer for several branches.
        progress: of the whole work.
    """

    checkpoint: AnyCheckpoint
    model: Model
    job: PaintJob
    scheduler: Any
    generators: Sequence[torch.Generator]
    coder: Coder
    depth: Callable[[np.ndarray], np.ndarray] | None = None
    carried: Callable[[torch.Tensor], torch.Tensor] | None = None
    words: Words = field(default_factory=dict)
    control: Sequence[Part] = ()
    together: bool = True
    progress: Progress = SILENT

    def conditioning(self, steps: int, prompt: str | None = None, further: Mapping[str, str] | None = None) -> Conditioning:
        """The job's prompts as a U-Net takes them; see `conditioning.encode`. prompt: another one than the job's."""
        options = self.job.options
        positive = options.prompt.positive if prompt is None else prompt
        return encode(
            self.stable_diffusion, positive, options.prompt.negative, size=(self.job.width, self.job.height), steps=steps,
            clip_skip=options.model.clip_skip or 1, words=self.words, further=further,
        )  # fmt: skip

    @property
    def stable_diffusion(self) -> Checkpoint:
        """The checkpoint, of an engine that takes no others."""
        assert not isinstance(self.checkpoint, FlowCheckpoint)
        return self.checkpoint

    @property
    def device(self) -> torch.device:
        return self.checkpoint.device

    @functools.cached_property
    def noise(self) -> torch.Tensor:
        """[batch, c, h, w]; the first that is drawn, so that a seed means the same noise for every engine."""
        drawn = draw(self.generators, self.shape, self.device)
        return drawn if self.carried is None else self.carried(drawn)

    @functools.cached_property
    def known(self) -> torch.Tensor:
        """The latents [1, c, h, w] of the picture as it is."""
        return self.coder.encode(self.job.pixels)

    @functools.cached_property
    def mask(self) -> torch.Tensor:
        """Where latents are painted, 0 or 1, [1, 1, h, w]."""
        return latent_mask(self.job.mask, self.device, self.model.cell)

    @property
    def from_nothing(self) -> bool:
        """Whether a picture is made from the prompt alone, so that nothing of what was there before counts."""
        job = self.job
        return job.options.task != "instruct" and job.masked_content == "latent nothing" and job.strength == 1 and bool(job.mask.all())

    @property
    def start(self) -> torch.Tensor:
        """The latents [batch or 1, c, h, w] to begin with, without noise: the picture, and what the masked content says in the hole."""
        content = self.job.masked_content
        if content == "original":
            return self.known
        if content == "fill":
            return self.coder.encode(filled(self.job.pixels, self.job.mask))
        inside = self.mask.new_zeros(1, *self.shape) if content == "latent nothing" else self._more_noise()
        return inside if self.mask.all() else inside * self.mask + self.known * (1 - self.mask)

    def noised_start(self) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """(latents [batch, c, h, w], timesteps) of image to image (SDEdit, Meng et al., 2022): the start, with the noise of the
        level that the strength says. At full strength, "latent nothing" is pure noise everywhere."""
        noise = self.noise
        timesteps, _ = self.model.visited(self.scheduler, self.job.options.sampling.steps, self.job.strength)
        if not timesteps:
            return self.start.expand_as(noise), timesteps
        if self.job.strength == 1 and self.job.masked_content == "latent nothing":
            return noise * self.scheduler.init_noise_sigma, timesteps
        return self.scheduler.add_noise(self.start.expand_as(noise), noise, timesteps[0].reshape(1)), timesteps

    def beside(self) -> list[Part]:
        """What the network wants beside the latents, whatever the engine."""
        return list(self._beside)

    @functools.cached_property
    def _beside(self) -> Sequence[Part]:
        return self.model.beside(self)

    def blend(self) -> list[Part]:
        """What keeps the surroundings as they are during the sampling, with the job's soft mask if it has one."""
        if self.job.soft is None and self.mask.all():
            return []
        mask = self.mask if self.job.soft is None else latent_mask(self.job.soft, self.device, self.model.cell)
        return [Known(self.known, mask, self.noise)]

    @property
    def shape(self) -> tuple[int, int, int]:
        """(channels, height, width) of the latents."""
        return self.model.channels, self.job.height // self.model.cell, self.job.width // self.model.cell

    def _more_noise(self) -> torch.Tensor:
        assert self.noise is not None  # which is drawn first
        return draw(self.generators, self.shape, self.device)


class Engine(ABC):
    """A way in which a picture enters the sampling. Without state.

    Attributes:
        name: as users choose it.
        remembers_nothing: whether it needs a sampler without memory of earlier steps.
        sampler: used where the user chose none; "" for the model's.
    """

    name: str
    sampler = ""
    remembers_nothing = False

    def check(self, kind: AnyKind, options: PaintOptions) -> None:
        """Raise `InvalidInput` where the checkpoint or the options do not fit, with what would."""
        if kind.only_instructs:
            raise InvalidInput(
                "The checkpoint only follows instructions.", "Choose the task instruct, or another checkpoint.", checkpoint=kind.title
            )

    @abstractmethod
    def recipe(self, scene: Scene) -> Recipe: ...
