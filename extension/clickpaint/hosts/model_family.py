"""Which family a loaded model belongs to, and what a host starts with for it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from clickpaint.paint.acting import ModelTraits

_UNET = re.compile(r"Stable Diffusion (1|2|XL)\b")

Guidance = Literal["", "distilled CFG", "shift"]
"""What the web UI's "Distilled CFG Scale" is for a model: nothing, the guidance that was distilled into it (Flux dev), or the shift of
its flow's schedule (Z-Image, Lumina, Wan)."""


@dataclass(frozen=True)
class ModelFamily:
    """What a model is, and which settings act on it.

    Attributes:
        name: for people.
        native_size: side in pixels of the square that it was trained on.
        guidance: what acts beside or in place of the CFG scale.
        cfg_scale: that its makers recommend; 1 for models into which guidance was distilled, on which a negative prompt does not act.
        instructs: whether it was trained to do to a picture what a prompt says (Kontext, Qwen-Image-Edit, Klein).
        presets: names of the web UIs' presets for it, the fitting one first.
        anew: whether it paints the whole picture anew where it follows an instruction, so that it can remove something with its shadow.
        shift: of its flow's schedule, which says how much noise a denoising strength is; 0 for a model whose schedule is no flow's.
    """

    name: str
    native_size: int = 1024
    guidance: Guidance = ""
    cfg_scale: float = 7.0
    instructs: bool = False
    presets: tuple[str, ...] = ()
    anew: bool = False
    shift: float = 0.0

    @property
    def unet(self) -> bool:
        """Whether it is one of Stable Diffusion 1, 2 or XL."""
        return _UNET.match(self.name) is not None

    def traits(self, schedules: bool | None = None) -> ModelTraits:
        """What decides which options act on it. schedules: whether the host takes schedules, where that is known."""
        from clickpaint.paint.acting import ModelTraits

        known = self.unet or self.shift > 0
        clip = self.name.startswith("Stable Diffusion") if known else None
        return ModelTraits(self.unet if known else None, self.guidance, clip, schedules)


@dataclass(frozen=True)
class Preset:
    """What a generation starts with where the user says nothing.

    Attributes:
        sampler, scheduler: by the host's names; "" for the host's first.
        cfg_scale: 0..30.
        distilled_cfg_scale: 0..30, the distilled guidance or the shift, whichever the family has; 0 for the host's.
    """

    sampler: str = ""
    scheduler: str = ""
    cfg_scale: float = 7.0
    distilled_cfg_scale: float = 0.0
