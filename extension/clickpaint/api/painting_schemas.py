"""What painting's requests and answers look like; `schemas` says what holds for all."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.edit_schemas import EditFields
from clickpaint.api.pydantic_compat import Body, Integer, Number, Pixels, WholeNumber, at_most, documented, picture_file
from clickpaint.api.schemas import StateAnswer
from clickpaint.paint.influence_options import MOST_REFERENCES


class ControlBody(Body):
    preprocessor: StrictStr = "none"
    model: StrictStr
    weight: Number = 1.0
    start: Number = 0.0
    end: Number = 1.0
    mode: Literal["balanced", "prompt", "control"] = "balanced"
    values: dict[str, Number] = Field({}, description="Of the preprocessor's parameters; left out: their defaults.")
    resolution: Integer = Field(0, description="At which the preprocessor looks at the crop; 0: the crop's own.")
    map: StrictStr | None = Field(None, description="A map that was made of this workspace, by its id; used as it is.")


class EngineBody(Body):
    """What painting can be told, also in a clip; names and ranges are those of the web UI's img2img."""

    engine: Literal["auto", "inpaint", "repaint", "controlnet", "depth", "instruct"] = Field(
        "auto", description="auto: the host's own sampler; without one, what fits the checkpoint. The others are ours."
    )
    prompt: StrictStr = ""
    negative_prompt: StrictStr = ""
    sampler: StrictStr = Field("", description="Left out: the host's for the loaded model, or its first.")
    scheduler: StrictStr = Field("", description="Left out: the host's for the loaded model.")
    steps: Integer = 20
    cfg_scale: Number = Field(
        0.0, description="0: what the host starts with for the loaded model; stand-alone what its makers recommend, 7 for Stable Diffusion."
    )
    seed: WholeNumber = Field(-1, description="-1: a random one.")
    denoising_strength: Number = 0.75
    masked_content: Literal["fill", "original", "latent noise", "latent nothing", "erased"] = "fill"
    soft_inpainting: StrictBool = False
    grow: Pixels | None = Field(None, description="In pixels; left out or auto: what fits the picture and the mask.")
    feather: Pixels | None = Field(None, description="In pixels; left out or auto: what fits the picture and the mask.")
    resolution: Integer = Field(0, description="Side of the square whose area is painted at; 0: the checkpoint's own.")
    refine: StrictBool | None = Field(None, description="A second pass at the picture's resolution; left out: where it is needed.")
    refine_strength: Number = 0.35
    clip_skip: Integer | None = None
    control: list[ControlBody] = Field([], description="Units of the host's ControlNet, in register with what is painted.", **at_most(32))
    repaint_jump: Integer = Field(10, description="Noise levels that RePaint goes back at once.")
    repaint_resamples: Integer = Field(10, description="How often RePaint paints each stretch.")
    eraser: StrictStr | None = Field(None, description='For the masked content "erased".')
    system: StrictStr = Field("", description="One of GET /systems that paints in the checkpoint's place, or auto.")
    guide: Literal["none", "clip", "classifier", "picture"] = Field("none", description="Whose score steers besides the prompt.")
    guide_words: StrictStr = Field("", description='Phrases for CLIP, such as "stormy; people:-0.5", or a classifier\'s class.')
    guide_scale: Number = Field(100.0, description="0 to 10000.")
    guide_picture: StrictStr | None = Field(None, description='For the guide "picture".', **picture_file())
    reference_picture: StrictStr | None = Field(
        None,
        description="What the result is to resemble, by the network's own attention; or what a model that edits looks at as well.",
        **picture_file(),
    )
    further_references: list[StrictStr] = Field(
        [],
        description="The second and others, for models that edit; a prompt counts the picture itself as the first.",
        **documented(maxItems=MOST_REFERENCES - 1, format="byte"),
    )
    reference_adapter: StrictStr = Field(
        "", description="An IP-Adapter in the ControlNet folder that reads it; empty: the network's own attention."
    )
    reference_weight: Number = 1.0
    reference_fidelity: Number = Field(0.5, description="How far the negative prompt looks at it as well; less is more likeness.")
    reference_start: Number = 0.0
    reference_end: Number = 1.0


class PaintBody(EngineBody, EditFields):
    """What to paint in a picture, and how."""

    task: Literal["fill", "replace", "expand", "remove", "instruct", "edit", "vary", "colorize", "restore", "uncrop", "inpaint"] = Field(
        "fill", description="uncrop is Palette's name of expand, inpaint that of fill."
    )
    jpeg_quality: Integer | None = Field(None, description="For restore, 1 to 100: how strongly it was compressed; null: as its file says.")
    styles: list[StrictStr] = Field([], **at_most(100))
    distilled_cfg_scale: Number = Field(
        0.0, description="Guidance distilled into the model (Flux), or the shift of its schedule (Z-Image); 0: the model's own."
    )
    batch_count: Integer = Field(1, description="How many results to choose from.")
    vae: StrictStr | None = None
    token_merging_ratio: Number | None = None
    expand: tuple[Integer, Integer, Integer, Integer] = Field((0, 0, 0, 0), description="Pixels to add: left, top, right, bottom.")
    image_cfg_scale: Number = Field(1.5, description="How closely an instruction keeps to the picture.")


class PaintPictureBody(PaintBody):
    image: StrictStr = Field(..., **picture_file())
    mask: StrictStr | None = Field(None, description="A picture of the same size; white, or opaque, is selected.", **picture_file())
    format: StrictStr = Field("source", description="png, jpeg, webp, … or source: as it came in.")


class GenerateBody(PaintBody):
    width: Integer | None = Field(None, description="A multiple of 8; left out: the checkpoint's own size.")
    height: Integer | None = Field(None, description="A multiple of 8; left out: the checkpoint's own size.")
    format: StrictStr = "png"


class EnlargeBody(Body):
    image: StrictStr = Field(..., **picture_file())
    system: StrictStr = Field("auto", description="One of GET /systems that can enlarge.")
    steps: Integer = 20
    seed: WholeNumber = Field(-1, description="-1: a random one.")
    format: StrictStr = Field("source", description="png, jpeg, webp, … or source: as it came in.")


class CheckpointBody(Body):
    name: StrictStr = Field(..., description="One of the checkpoints in GET /capabilities.")


class ResultAnswer(BaseModel):
    index: int
    seed: int
    infotext: str
    box: tuple[int, int, int, int] = Field(..., description="The part of the picture that it changed.")


class PaintAnswer(StateAnswer):
    milliseconds: float
    grow: int | None = Field(None, description="The pixels that acted; null where there was no mask.")
    feather: int | None = None
    results: list[ResultAnswer]


class PaintedAnswer(BaseModel):
    images: list[str] = Field(..., description="The results as data URLs.")
    seeds: list[int]
    grow: int | None = Field(None, description="The pixels that acted; null where there was no mask.")
    feather: int | None = None


class ControlNamesAnswer(BaseModel):
    preprocessors: list[str]
    models: list[str]
