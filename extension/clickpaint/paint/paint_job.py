"""What can be asked of a diffusion model, as data: one frozen object from the user's face of the program to the host."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Literal, get_args

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.edit_options import EditOptions, known, within
from clickpaint.paint.influence_options import GuideOptions, ReferenceOptions

Task = Literal["fill", "replace", "expand", "remove", "instruct", "edit", "vary", "colorize", "restore"]
"""fill: the prompt inside the mask. replace: the prompt around it, the object kept bit for bit. expand: the prompt beyond the
picture's borders. remove: the mask filled with what the surroundings suggest. instruct: what the prompt says is done to what the mask
shows, or to the whole picture. edit: from what the picture shows to what the prompt says, in the mask or in the whole picture
(`paint.edit_options`). vary: another one like what the mask shows, or like the whole picture, which is the reference then. colorize and
restore: it is painted anew, with its luminance, or what its JPEG says (`paint.agreement`), as it was; in the mask or everywhere."""

WHOLE: tuple[Task, ...] = ("instruct", "edit", "vary", "colorize", "restore")
"""Tasks that may be for the whole picture."""

SHOWN: tuple[Task, ...] = ("vary", "colorize", "restore")
"""Tasks that begin with what is shown."""

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

    Attributes:
        preprocessor, model: names as the host's ControlNet lists them; "none" for no preprocessing.
        weight: 0..2.
        start, end: share of the sampling during which it acts, 0..1.
        mode: which side wins where the two disagree.
        values: of the preprocessor's parameters, by their keys.
        resolution: in pixels, at which the preprocessor looks at the crop; 0 for the crop's own.
        map: uint8 [h, w, 3], a finished map of the whole picture, of which the crop takes its part; nothing is preprocessed then.
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
        within("The ControlNet weight", self.weight, 0, 2)
        within("The ControlNet start", self.start, 0, 1)
        within("The ControlNet end", self.end, 0, 1)
        known("control mode", self.mode, get_args(ControlMode))


@dataclass(frozen=True)
class TextPrompt:
    """What to paint, in words.

    Attributes:
        positive: the prompt, in the web UI's syntax (`diffusion.prompt`).
        negative: what is not to be painted.
        styles: names of the host's prompt styles.
    """

    positive: str = ""
    negative: str = ""
    styles: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sampling:
    """How noise becomes a picture.

    Attributes:
        sampler, scheduler: by their names (`diffusion.samplers`, or the host's own); empty for the engine's or the host's default.
        steps: denoising steps, 1..150.
        cfg_scale: how closely the prompt is followed, 0..30; 0 for what the host starts with for the loaded model.
        distilled_cfg_scale: the guidance that was distilled into a model (Flux) or the shift of its schedule (Z-Image), 0..30; 0 for the
            host's, or what the model's makers recommend.
        image_cfg_scale: how closely the engine "instruct" keeps to the picture, 0..30.
        seed: 0..2**32 - 1, of the first result; -1 for a random one.
        denoising_strength: 0..1; 0 changes nothing, 1 keeps nothing.
        batch_count: results to choose from, 1..16; each has the seed after that of the one before.
    """

    sampler: str = ""
    scheduler: str = ""
    steps: int = 20
    cfg_scale: float = 0.0
    distilled_cfg_scale: float = 0.0
    image_cfg_scale: float = 1.5
    seed: int = -1
    denoising_strength: float = 0.75
    batch_count: int = 1

    def __post_init__(self) -> None:
        within("The number of steps", self.steps, 1, 150)
        within("The CFG scale", self.cfg_scale, 0, 30)
        within("The distilled CFG scale", self.distilled_cfg_scale, 0, 30)
        within("The image CFG scale", self.image_cfg_scale, 0, 30)
        within("The seed", self.seed, -1, 2**32 - 1)
        within("The denoising strength", self.denoising_strength, 0, 1)
        within("The number of results", self.batch_count, 1, 16)

    @property
    def guidance_scale(self) -> float:
        """The CFG scale of engines of ours, for Stable Diffusion."""
        return self.cfg_scale or 7.0

    def first_seed(self) -> int:
        """`seed`, or a random one that leaves room for those of the other results; never -1."""
        return self.seed if self.seed >= 0 else random.SystemRandom().randrange(2**32 - self.batch_count)


@dataclass(frozen=True)
class Masking:
    """What happens to the masked area and at its edge.

    Attributes:
        content: what the area holds before the first step.
        grow: pixels of the picture by which the mask is grown, 0..512; None for what fits the picture and the mask (`image.soft_edge`).
        feather: pixels over which the result fades into the picture, 0..512; None as for grow.
        soft: paint less towards the mask's edge during the sampling ("soft inpainting").
    """

    content: MaskedContent = "fill"
    grow: int | None = None
    feather: int | None = None
    soft: bool = False

    def __post_init__(self) -> None:
        known("masked content", self.content, get_args(MaskedContent))
        within("Grow", self.grow, 0, 512)
        within("Feather", self.feather, 0, 512)


@dataclass(frozen=True)
class Passes:
    """At which size a crop is painted, and how often.

    Attributes:
        resolution: side in pixels of the square whose area is painted at, 0..4096; 0 for the checkpoint's native one.
        refine: whether a second pass follows over a crop that is larger than that, at its own resolution; None for "when it is needed".
        refine_strength: denoising strength of the second pass, 0..1.
    """

    resolution: int = 0
    refine: bool | None = None
    refine_strength: float = 0.35

    def __post_init__(self) -> None:
        within("The resolution", self.resolution, 0, 4096)
        within("The refiner's denoising strength", self.refine_strength, 0, 1)


@dataclass(frozen=True)
class ModelOptions:
    """How the checkpoint is used; None for "as the host would".

    Attributes:
        clip_skip: layers of the text encoder that are left out, plus 1; 1..12.
        vae: by the name that the host lists it under.
        token_merging_ratio: share of the tokens that are merged, 0..0.9; None for what the host has set.
    """

    clip_skip: int | None = None
    vae: str | None = None
    token_merging_ratio: float | None = None

    def __post_init__(self) -> None:
        within("Clip skip", self.clip_skip, 1, 12)
        within("The token merging ratio", self.token_merging_ratio, 0, 0.9)


@dataclass(frozen=True)
class RePaintOptions:
    """The walk of the engine "repaint" over the noise levels.

    Attributes:
        jump: levels that it goes back at once, 1..150.
        resamples: how often each stretch of so many levels is painted, 1..50.
    """

    jump: int = 10
    resamples: int = 10

    def __post_init__(self) -> None:
        within("RePaint's jump", self.jump, 1, 150)
        within("The number of RePaint's resamplings", self.resamples, 1, 50)


@dataclass(frozen=True)
class PaintOptions:
    """What the user wants painted, and how. Whatever is left out is as the host would do it.

    Attributes:
        task: what is done to the picture.
        prompt, sampling, masking, passes, model, repaint, guide, reference, edit: see their classes.
        control: ControlNets at work, in the order of their units.
        expand: pixels that are added on each side (left, top, right, bottom), 0..8192; for the task "expand".
        system: a system with files of its own that paints in the place of the checkpoint (`paint.systems`), by its folder's name, or "auto"
            for the first that can do the task; "" for none.
        engine: one of our own, or "auto" to leave it to the host's sampler where it has one.
        jpeg_quality: for the task "restore", 1..100, how strongly the picture was compressed; None for what its file says.
    """

    task: Task = "fill"
    prompt: TextPrompt = field(default_factory=TextPrompt)
    sampling: Sampling = field(default_factory=Sampling)
    masking: Masking = field(default_factory=Masking)
    passes: Passes = field(default_factory=Passes)
    model: ModelOptions = field(default_factory=ModelOptions)
    repaint: RePaintOptions = field(default_factory=RePaintOptions)
    guide: GuideOptions = field(default_factory=GuideOptions)
    reference: ReferenceOptions = field(default_factory=ReferenceOptions)
    edit: EditOptions = field(default_factory=EditOptions)
    control: tuple[ControlUnit, ...] = ()
    expand: tuple[int, int, int, int] = (0, 0, 0, 0)
    engine: Engine = "auto"
    system: str = ""
    jpeg_quality: int | None = None

    def __post_init__(self) -> None:
        known("task", self.task, get_args(Task))
        known("engine", self.engine, get_args(Engine))
        for margin in self.expand:
            within("A margin to expand by", margin, 0, 8192)
        if self.task == "edit" and self.engine != "auto":
            raise InvalidInput("An edit by words has engines of its own.", "Leave the engine at auto, and choose the method.")
        if self.task == "edit" and (self.guide.acts or self.reference.acts):
            raise InvalidInput("An edit by words follows no guide and no reference.", "Leave them out, or choose another task.")
        if self.task == "edit":
            self.edit.check(self.prompt.positive)
        if self.task != "vary" and self.reference.lacks_picture:
            raise InvalidInput("There is no reference picture.", "Give one, or leave its adapter and its numbers out.")
        if self.task in SHOWN and (self.masking.content not in ("fill", "original") or self.passes.refine):
            raise InvalidInput(
                "The task {task} begins with what is shown, and is painted once.", "Leave the masked content and the second pass out.",
                task=self.task,
            )  # fmt: skip
        within("The JPEG's quality", self.jpeg_quality, 1, 100)
        if self.jpeg_quality is not None and self.task != "restore":
            raise InvalidInput("Only restoring asks for a JPEG's quality.", "Leave the quality out, or choose the task restore.")
        if self.task == "expand" and not any(self.expand):
            raise InvalidInput("There is no side to expand.", "Give at least one margin (left, top, right, bottom) in pixels.")


@dataclass(frozen=True, eq=False)
class PaintJob:
    """What a host is asked to paint: one crop at the size the model works at.

    Attributes:
        pixels: uint8 [h, w, 3], h and w multiples of 8.
        mask: bool [h, w], True where the model may paint.
        options: of the whole painting; what the fields below say goes before them.
        masked_content: what the mask holds before the first step of this pass, which may be a refining one.
        strength: denoising strength of this pass, 0..1.
        seed: of the first result, 0..2**32 - 1.
        count: results wanted.
        soft: float32 [h, w] in 0..1, how much of what is painted is taken; None where soft inpainting is not wanted.
        maps: uint8 [h, w, 3] for each of the options' control units whose map is finished, None for the others.
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
    """One result of a host.

    Attributes:
        pixels: uint8 [h, w, 3], of the job's size.
        seed: that it was painted with.
        infotext: the host's own.
        area: float32 [h, w] in 0..1, how much of it is to be taken; None where all of it is, within the job's mask.
    """

    pixels: np.ndarray
    seed: int
    infotext: str = field(default="", repr=False)
    area: np.ndarray | None = field(default=None, repr=False)
