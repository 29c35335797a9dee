"""The flow-matching families in the sampling: what `Model` asks for, by what each family says about itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.paint.diffusion.checkpoint_model import Model
from clickpaint.paint.diffusion.conditioning import Conditioning, Words
from clickpaint.paint.diffusion.loop import Guidance, Part
from clickpaint.paint.flow import schedule as flows
from clickpaint.paint.flow.base import Asked, FlowFamily
from clickpaint.paint.flow.registry import FAMILIES

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.paint_job import PaintOptions, Sampling


class FlowMatching(Model):
    """Implements `Model`."""

    sampler = flows.DEFAULT

    def __init__(self, checkpoint: FlowCheckpoint) -> None:
        self._checkpoint, self._kind = checkpoint, checkpoint.kind
        self._family = FAMILIES[checkpoint.kind.family]
        self.channels, self.cell = self._family.channels, self._family.cell

    def resolve(self, sampler: str, schedule: str) -> tuple[str, str]:
        return flows.resolve(sampler, schedule)

    def scheduler(self, sampler: str, schedule: str, sampling: Sampling, size: tuple[int, int]) -> Any:
        spacing, patches = self._family.spacing(self._kind), self._family.patches(size)
        shift = sampling.distilled_cfg_scale if self._kind.guidance == "shift" and sampling.distilled_cfg_scale else None
        if schedule == flows.AUTOMATIC:
            levels = spacing.levels(sampling.steps, patches, shift)
        else:
            levels = flows.spaced(schedule, sampling.steps, spacing.trained(patches, sampling.steps, shift))
        return flows.FlowScheduler(sampler, levels, self._checkpoint.device)

    def visited(self, scheduler: Any, steps: int, strength: float) -> tuple[list[torch.Tensor], int]:
        return scheduler.visited(strength)

    def conditioning(self, options: PaintOptions, scene: Scene, steps: int, words: Words) -> Conditioning:
        """Prompts are read as they are written: these encoders were trained on sentences, and brackets mean brackets to them."""
        prompt = options.prompt

        def text(written: str, negative: bool) -> list[tuple[int, Any]]:
            return [(steps, self._family.text(self._checkpoint, written, scene, negative=negative))]

        cond = text(prompt.positive, False)
        alone = self.guidance(options).branches == ("cond",)
        return Conditioning(cond, cond if alone else text(prompt.negative, True), steps)

    def network(self, options: PaintOptions) -> Any:
        return _Network(self._family, self._checkpoint.transformer, self._checkpoint.dtype, self._family.distilled(self._kind, options))

    def to_latents(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        return self._family.latents_of(vae, picture)

    def to_picture(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        return self._family.picture_of(vae, latents)

    def beside(self, scene: Scene) -> list[Part]:
        return self._family.beside(self._checkpoint, scene)

    def guidance(self, options: PaintOptions) -> Guidance:
        return self._family.guidance(self.scales(options)["cfg_scale"])

    def scales(self, options: PaintOptions) -> dict[str, Any]:
        sampling, kind = options.sampling, self._kind
        own = kind.distilled or kind.shift or 0.0
        distilled = sampling.distilled_cfg_scale or own if kind.guidance else 0.0
        return {"cfg_scale": sampling.cfg_scale or kind.cfg_scale, "distilled": distilled}

    @contextmanager
    def thrifty(self, thrift: int) -> Iterator[None]:
        """The attention of these transformers has no slices to work in: it never holds its matrix."""
        vae = self._checkpoint.vae
        tiling = getattr(vae, "use_tiling", False)
        try:
            if hasattr(vae, "use_tiling"):
                vae.use_tiling = tiling or thrift >= 1
            yield
        finally:
            if hasattr(vae, "use_tiling"):
                vae.use_tiling = tiling

    def approximate(self, latents: torch.Tensor) -> np.ndarray:
        """From the three directions in which the latents differ most, as nobody has published figures for all of these VAEs: shapes
        are right, colours are not."""
        import torch

        flat = latents[0].float().flatten(1)
        flat = flat - flat.mean(1, keepdim=True)
        directions = torch.linalg.eigh(flat @ flat.T)[1][:, -3:].flip(1)
        directions = directions * directions.sum(0).sign().where(directions.sum(0) != 0, torch.ones_like(directions[0]))
        shown = directions.T @ flat
        shown = shown / shown.std().clamp(min=1e-6) / 2.5
        picture = ((shown.reshape(3, *latents.shape[2:]) + 1) * 127.5).clamp(0, 255).permute(1, 2, 0)
        return picture.to("cpu", torch.uint8).numpy()


@dataclass(frozen=True, eq=False)
class _Network:
    """What the loop calls like a U-Net."""

    family: FlowFamily
    transformer: Any
    dtype: torch.dtype
    distilled: float | None

    def __call__(
        self, sample: torch.Tensor, timestep: Any, *, encoder_hidden_states: torch.Tensor, return_dict: bool = False,
        added_cond_kwargs: dict[str, torch.Tensor] | None = None,
        down_block_additional_residuals: tuple[torch.Tensor, ...] = (), mid_block_additional_residual: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor]:  # fmt: skip
        """The residuals of the "down blocks" are those behind each block of the transformer; there is no middle."""
        level = float(timestep) / 1000
        added, control = added_cond_kwargs or {}, down_block_additional_residuals
        asked = Asked(self.transformer, sample, level, encoder_hidden_states, added, self.distilled, control)
        return (self.family.ask(asked),)
