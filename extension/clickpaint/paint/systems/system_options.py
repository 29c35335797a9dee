"""Which options act with a system, which paints in a checkpoint's place; see `paint.acting`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from clickpaint.paint import flat_options
from clickpaint.paint.acting import refuse_idle
from clickpaint.paint.paint_job import PaintOptions

if TYPE_CHECKING:
    from clickpaint.paint.systems.system_folders import System

_ALWAYS = frozenset({"task", "system", "steps", "cfg_scale", "seed", "batch_count"})
_WORDS = frozenset({"prompt"})
_BOTH_WORDS = frozenset({"prompt", "negative_prompt"})
_IN_A_PICTURE = frozenset({"grow", "feather", "resolution"})
_FILLING = frozenset({"denoising_strength", "masked_content", "eraser"})

_ACTING: Mapping[str, frozenset[str]] = {
    "StableUnCLIPImg2ImgPipeline": _BOTH_WORDS | _IN_A_PICTURE,
    "UnCLIPImageVariationPipeline": _IN_A_PICTURE,
    "UnCLIPPipeline": _WORDS,
    "DiTPipeline": _WORDS,
    "StableCascadeDecoderPipeline": _BOTH_WORDS,
    "StableCascadeCombinedPipeline": _BOTH_WORDS,
    "IFPipeline": _BOTH_WORDS,
    "IFInpaintingPipeline": _BOTH_WORDS,
    "StableVideoDiffusionPipeline": frozenset(),
    "LDMSuperResolutionPipeline": frozenset(),
}
"""By the pipeline, names of `flat_options.DEFAULTS` besides those that always act."""


def acting(pipeline: str, task: str) -> frozenset[str]:
    """The options that act with a pipeline, by the names of `flat_options.DEFAULTS`."""
    return _ALWAYS | _ACTING.get(pipeline, _BOTH_WORDS) | (_IN_A_PICTURE | _FILLING if task == "fill" else frozenset())


def check_acting(options: PaintOptions, system: System, task: str) -> None:
    """Raises `InvalidInput` that names the options that would change nothing with this system at that task of its."""
    able = system.acts(task)
    idle = {name for name in flat_options.DEFAULTS if name not in able}
    if options.masking.content.startswith("latent"):
        idle.add("masked_content")
    refuse_idle(options, idle, system.name, remedy="Leave them out, or let the checkpoint paint.")
