"""What can be asked of a diffusion model, as data: one frozen object from the user's face of the program to the host."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from clickpaint.errors import InvalidInput

Task = Literal["fill", "replace", "expand", "remove", "instruct"]
"""fill: the prompt inside the mask. replace: the prompt around it, the object kept bit for bit. expand: the prompt beyond the
picture's borders. remove: the mask filled with what the surroundings suggest. instruct: what the prompt says is done to what the mask
shows, or to the whole picture."""

Engine = Literal["auto", "inpaint", "repaint", "controlnet", "depth", "instruct"]
"""How the picture enters the sampling (`paint.diffusion.engines`); "auto" follows the checkpoint and the other options."""

MaskedContent = Literal["fill", "original", "latent noise", "latent nothing", "erased"]
"""What the masked area holds before the first step, by the web UI's names; "erased": the eraser's result."""

ControlMode = Literal["balanced", "prompt", "control"]
CONTROL_MODES: dict[ControlMode, str] = {
    "balanced": "Balanced",
    "prompt": "My prompt is more important",
    "control": "ControlNet is more important",
}
"""As sd-webui-controlnet calls them."""


@dataclass(frozen=True)
class ControlUnit:
    """One ControlNet at work during painting; the control map is made from the very crop that is painted, so it is in register.

    preprocessor, model: names as the host's ControlNet lists them; "none" for no preprocessing. weight: 0..2. start, end:
    share of the sampling during which it acts, 0..1. mode: which side wins where the two disagree. values: of the preprocessor's
    parameters, by their keys. resolution: at which it looks at the crop; 0 for the crop's own. map: uint8 [h, w, 3], a finished map of
    the whole picture, of which the crop takes its part; nothing is preprocessed then.
    """

    preprocessor: str
    model: str
    weight: float = 1.0
    start: float = 0.0
    end: float = 1.0
    mode: ControlMode = "balanced"
    values: tuple[tuple[str, float], ...] = ()
    resolution: int = 0
    map: np.ndarray | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        _within("The ControlNet weight", self.weight, 0, 2)
        _within("The ControlNet start", self.start, 0, 1)
        _within("The ControlNet end", self.end, 0, 1)
        if self.mode not in get_args(ControlMode):
            raise InvalidInput(f"The control mode {self.mode!r} is unknown.", f"Choose one of {', '.join(get_args(ControlMode))}.")


@dataclass(frozen=True)
class PaintOptions:
    """What the user wants painted, and how. Empty strings and None mean "as the host would do it".

    seed: -1 for a random one. denoising_strength: 0..1. batch_count: how many results to choose from. grow, feather: pixels,
    None for a value that follows the mask's size. resolution: side in pixels of the square whose area the model paints at, 0 for
    its native one. refine: a second pass over a crop that is larger than that, at its own resolution, with `refine_strength`;
    None for "when it is needed". engine, and the rest of this paragraph: for our own diffusion alone. image_cfg_scale: likeness to the
    picture of what an instruction makes of it. repaint_jump, repaint_resamples: noise levels that RePaint goes back at once, and how
    often it paints each stretch of so many. tiling of prompts, LoRA and styles are the host's.
    """

    task: Task = "fill"
    prompt: str = ""
    negative_prompt: str = ""
    styles: tuple[str, ...] = ()
    sampler: str = ""
    scheduler: str = ""
    steps: int = 20
    cfg_scale: float = 7.0
    seed: int = -1
    denoising_strength: float = 0.75
    masked_content: MaskedContent = "fill"
    batch_count: int = 1
    soft_inpainting: bool = False
    grow: int | None = None
    feather: int | None = None
    resolution: int = 0
    refine: bool | None = None
    refine_strength: float = 0.35
    clip_skip: int | None = None
    vae: str | None = None
    token_merging_ratio: float | None = None
    control: tuple[ControlUnit, ...] = ()
    expand: tuple[int, int, int, int] = (0, 0, 0, 0)
    engine: Engine = "auto"
    image_cfg_scale: float = 1.5
    repaint_jump: int = 10
    repaint_resamples: int = 10

    def __post_init__(self) -> None:
        for name, value, choices in (
            ("task", self.task, get_args(Task)),
            ("masked content", self.masked_content, get_args(MaskedContent)),
            ("engine", self.engine, get_args(Engine)),
        ):
            if value not in choices:
                raise InvalidInput(f"The {name} {value!r} is unknown.", f"Choose one of {', '.join(choices)}.")
        _within("The number of steps", self.steps, 1, 150)
        _within("The CFG scale", self.cfg_scale, 0, 30)
        _within("The image CFG scale", self.image_cfg_scale, 0, 30)
        _within("RePaint's jump", self.repaint_jump, 1, 150)
        _within("The number of RePaint's resamplings", self.repaint_resamples, 1, 50)
        _within("The denoising strength", self.denoising_strength, 0, 1)
        _within("The refiner's denoising strength", self.refine_strength, 0, 1)
        _within("The number of results", self.batch_count, 1, 16)
        _within("The seed", self.seed, -1, 2**32 - 1)
        _within("The resolution", self.resolution, 0, 4096)
        if self.grow is not None:
            _within("Grow", self.grow, 0, 512)
        if self.feather is not None:
            _within("Feather", self.feather, 0, 512)
        if self.clip_skip is not None:
            _within("Clip skip", self.clip_skip, 1, 12)
        if self.token_merging_ratio is not None:
            _within("The token merging ratio", self.token_merging_ratio, 0, 0.9)
        for margin in self.expand:
            _within("A margin to expand by", margin, 0, 8192)
        if self.task == "expand" and not any(self.expand):
            raise InvalidInput("There is no side to expand.", "Give at least one margin (left, top, right, bottom) in pixels.")


@dataclass(frozen=True, eq=False)
class PaintJob:
    """What a host is asked to paint: one crop at the size the model works at.

    pixels: uint8 [h, w, 3], h and w multiples of 8. mask: bool [h, w], True where the model may paint. masked_content and
    strength are those of this pass, which may be a refining one; seed is never -1; count results are wanted. soft: float32 [h, w]
    in 0..1, how much of what is painted is taken; None where soft inpainting is not wanted. maps: uint8 [h, w, 3] for each of the
    options' control units whose map is finished, None for the others.
    """

    pixels: np.ndarray
    mask: np.ndarray
    options: PaintOptions
    masked_content: MaskedContent
    strength: float
    seed: int
    count: int = 1
    soft: np.ndarray | None = None
    maps: tuple[np.ndarray | None, ...] = ()

    @property
    def width(self) -> int:
        return self.pixels.shape[1]

    @property
    def height(self) -> int:
        return self.pixels.shape[0]


@dataclass(frozen=True, eq=False)
class Painted:
    """One result of a host: pixels uint8 [h, w, 3] of the job's size, its seed, and the host's own infotext."""

    pixels: np.ndarray
    seed: int
    infotext: str = field(default="", repr=False)


def _within(name: str, value: float, low: float, high: float) -> None:
    if not (math.isfinite(value) and low <= value <= high):
        raise InvalidInput(f"{name} cannot be {value}.", f"It goes from {low:g} to {high:g}.", value=str(value), minimum=low, maximum=high)
