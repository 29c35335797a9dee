"""Which options act: by what is done, by the engine that does it, and by the model. Those that would change nothing are refused, and the
page hides them.

Options go by their names in `flat_options.DEFAULTS`; "eraser" is the one that is given beside them. What acts with a system that paints in
a checkpoint's place is in `systems.system_options`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint import flat_options
from clickpaint.paint.paint_job import SHOWN, WHOLE, PaintOptions

_REPAINT = frozenset({"repaint_jump", "repaint_resamples"})
_EDIT = frozenset({
    "edit_method", "source_prompt", "edits", "word_weights", "inversion", "cross_steps", "self_steps", "local", "mask_ratio",
})  # fmt: skip
_TWICE = frozenset({"refine", "refine_strength"})
"""Of the second pass."""
_START = frozenset({"masked_content", "eraser"})
_IN_A_PICTURE = frozenset({"denoising_strength", "resolution", "grow", "feather", "soft_inpainting"})
_P2P = frozenset({"word_weights", "inversion", "cross_steps", "self_steps", "local"})

_BY_TASK: Mapping[str, frozenset[str]] = {
    # an instruction begins with noise, whatever the strength, and what was done once would be done twice
    "instruct": _EDIT | _TWICE | _START | {"denoising_strength"},
    "edit": _TWICE | _REPAINT,
    **dict.fromkeys(SHOWN, _EDIT | _TWICE | _START),
    "generate": _EDIT | _TWICE | _START | _IN_A_PICTURE,
    "generate a clip": _EDIT | _TWICE | _START | _IN_A_PICTURE | {"scheduler"},
}  # fmt: skip
"""What changes nothing with a task; "generate" makes a picture of a prompt alone."""

_BY_METHOD: Mapping[str, frozenset[str]] = {
    "p2p": frozenset({"edits", "mask_ratio"}),
    "ledits": _P2P | {"mask_ratio", "cfg_scale"},  # each edit has a scale of its own
    "diffedit": _P2P | {"edits", "soft_inpainting"},  # it paints in the mask that it finds
    "sdedit": _P2P | {"edits", "mask_ratio", "source_prompt"},
}
"""What changes nothing with a method of the task "edit"."""

_WITHOUT_MASK = frozenset({"grow", "feather", "soft_inpainting"})


def idle_by_task(task: str, engine: str = "auto", method: str = "p2p", inversion: str = "ddpm", whole: bool = False) -> frozenset[str]:
    """The options that change nothing.

    Args:
        task: one of `paint_job.Task`, "generate" or "generate a clip".
        engine: one of `paint_job.Engine`; of the task "edit" the method is asked for.
        method, inversion: of an edit.
        whole: whether the whole picture is painted, without a mask.
    """
    idle = set(_BY_TASK.get(task, _EDIT))
    if task == "edit":
        idle |= _BY_METHOD[method]
        if (method, inversion) != ("p2p", "seed"):  # it begins with the picture
            idle |= _START
    if task != "instruct":
        idle.add("image_cfg_scale")
    if task != "expand":
        idle.add("expand")
    if task != "restore":
        idle.add("jpeg_quality")
    if engine != "repaint":
        idle |= _REPAINT
    else:
        idle.add("soft_inpainting")  # it paints back and forth in the mask alone
    if whole and task in WHOLE:
        idle |= _WITHOUT_MASK
    return frozenset(idle)


@dataclass(frozen=True)
class ModelTraits:
    """What of a model decides which options act; None for what is not known yet, for which nothing is refused.

    Attributes:
        unet: whether it is one of Stable Diffusion 1, 2 or XL.
        guidance: what "distilled CFG" is for it, as `ModelFamily.guidance`.
        clip: whether CLIP, whose layers can be skipped, reads its prompts.
        schedules: whether the schedule is chosen apart from the sampler.
        negative: whether it is asked for the negative prompt as well, with the options at hand.
    """

    unet: bool | None = None
    guidance: str | None = None
    clip: bool | None = None
    schedules: bool | None = None
    negative: bool | None = None


def idle_by_model(model: ModelTraits) -> frozenset[str]:
    """The options that change nothing with a model."""
    idle: set[str] = set()
    if model.guidance == "":
        idle.add("distilled_cfg_scale")
    if model.unet is False:
        idle |= {"token_merging_ratio", "image_cfg_scale"}
    if model.clip is False:
        idle.add("clip_skip")
    if model.schedules is False:
        idle.add("scheduler")
    if model.negative is False:
        idle |= {"negative_prompt", "reference_fidelity"}
    return frozenset(idle)


def changed_by(options: PaintOptions, eraser: str | None = None) -> set[str]:
    """The options that were set to something else than what is done anyway."""
    usual = {
        **flat_options.DEFAULTS, "clip_skip": (None, 1), "token_merging_ratio": (None, 0), "refine": (None, False),
        "grow": (flat_options.DEFAULTS["grow"], 0), "feather": (flat_options.DEFAULTS["feather"], 0),
    }  # fmt: skip
    changed = {name for name, value in flat_options.values_of(options).items() if not _same(value, usual[name])}
    if eraser is not None:
        changed.add("eraser")
    return changed


def _same(value: Any, usual: Any) -> bool:
    if isinstance(value, np.ndarray):
        return False
    return value == usual or (isinstance(usual, tuple) and not isinstance(value, tuple) and value in usual)


def refuse_idle(
    options: PaintOptions, idle: Iterable[str], painter: str, eraser: str | None = None, remedy: str = "Leave them out."
) -> None:  # fmt: skip
    """Raise `InvalidInput` that names those of `idle` that were set. painter: what they do not act on, for people."""
    names = sorted(changed_by(options, eraser).intersection(idle), key=[*flat_options.DEFAULTS, "eraser"].index)
    if names:
        raise InvalidInput(
            "With {painter} these change nothing: {options}.", remedy, painter=painter, options=", ".join(names)
        )  # fmt: skip


def check_task(options: PaintOptions, *, task: str = "", whole: bool = False, eraser: str | None = None) -> None:
    """Raise `InvalidInput` where something is set that changes nothing with the task, its engine or its method.

    Args:
        task: another one than that of the options, see `idle_by_task`; "" for theirs.
        whole: whether the whole picture is painted, without a mask.
        eraser: that was asked for.
    """
    task = task or options.task
    idle = set(idle_by_task(task, options.engine, options.edit.method, options.edit.inversion, whole))
    painter = f"{task} ({options.edit.method})" if task == "edit" else f"{task} ({options.engine})" if options.engine != "auto" else task
    if options.passes.refine is False:
        idle.add("refine_strength")
    if options.masking.content != "erased":
        idle.add("eraser")
    if options.masking.content == "original" and task in ("edit", *SHOWN):
        idle.discard("masked_content")  # which is what they begin with
    refuse_idle(options, idle, painter, eraser)
