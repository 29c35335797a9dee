"""What requests and answers about control maps look like; see `schemas`."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from clickpaint.api.pydantic_compat import Body, Bounded, Integer, Number, WholeNumber, at_most, picture_file
from clickpaint.api.schemas import Mode
from clickpaint.control.pose_drawing import PARTS


class LayerBody(Body):
    preprocessor: StrictStr = Field(..., description="Its name, label or alias.")
    values: dict[str, Number] = Field({}, description="Its parameters by key; left out, their defaults.")
    resolution: Integer | None = Field(None, description="Length of the short side; left out, the preprocessor's default.")
    seed: WholeNumber = Field(0, description="For those that draw random numbers; 0 to 4294967295.")
    weight: Number = Field(1.0, description="Where several are blended: 0 to 1.")


class FitBody(Body):
    width: Integer
    height: Integer
    mode: Literal["Just Resize", "Crop and Resize", "Resize and Fill"] = "Crop and Resize"


class MapBody(Body):
    layers: list[LayerBody] = Field(..., description="At least one preprocessor; the maps of several are blended.", **at_most(32))
    blend: Literal["lighten", "average", "add"] = "lighten"
    object_only: StrictBool = Field(False, description="Only where something is selected.")
    background: Literal["black", "kept"] = Field("black", description="What is around a map of the object only; kept: the picture.")
    fit: FitBody | None = Field(None, description="Bring the map to this size; left out, it has the size it is made at.")
    pixel_perfect: StrictBool = Field(False, description="One pixel of map for each pixel of `fit`, or of the picture.")


class PoseBody(Body):
    poses: dict[str, Any] = Field(..., description="OpenPose's JSON: people or animals, canvas_width, canvas_height.")
    parts: list[str] = Field(
        [*PARTS], description="What is drawn of people: body, hands, face; a map's `extra` has its own.", **at_most(16)
    )


class KeepBody(Body):
    opacity: Number = Field(1.0, description="0 is the picture, 1 the map.")


class SelectByMapBody(Body):
    """Either `brightness` or `color`."""

    brightness: tuple[Integer, Integer] | None = Field(None, description="From and to, 0 to 255; of depth: how near.")
    color: tuple[Integer, Integer, Integer] | None = Field(None, description="Red, green, blue; of a segmentation: one class.")
    tolerance: Integer = Field(0, description="By how much each channel may differ from the colour.")
    mode: Mode = "replace"


class DetectBody(Bounded):
    """The body of POST /controlnet/detect; as there, fields that are not known are ignored."""

    controlnet_module: str = "none"
    controlnet_input_images: list[str] = Field([], description="Files in base64.", **picture_file())
    controlnet_processor_res: int = -1
    controlnet_threshold_a: float = -1
    controlnet_threshold_b: float = -1
    controlnet_threshold_c: float = -1
    controlnet_masks: list[str] = Field([], description="White, or opaque, is selected.", **picture_file())
    seed: int = Field(0, description="For shuffle.")


class ParameterAnswer(BaseModel):
    key: str
    label: str
    minimum: float
    maximum: float
    step: float
    default: float


class NeededModelAnswer(BaseModel):
    name: str
    state: str


class PreprocessorAnswer(BaseModel):
    name: str
    label: str
    aliases: list[str]
    types: list[str]
    parameters: list[ParameterAnswer]
    resolution: ParameterAnswer | None = Field(..., description="None where the picture's size is kept.")
    needs_mask: bool
    returns: Literal["map", "embedding", "unchanged"]
    control_models: list[str] = Field(..., description="Parts of the names of ControlNet models that understand the map, best first.")
    available: bool
    runs: bool = Field(..., description="Whether it could run here if it had its models.")
    reason: str
    models: list[NeededModelAnswer]


class PreprocessorsAnswer(BaseModel):
    preprocessors: list[PreprocessorAnswer]
    types: list[str]


class MapAnswer(BaseModel):
    map: str = Field(..., description="Its id: GET /workspaces/{id}/control/{map} is the picture, while it is one of the last few.")
    width: int
    height: int
    milliseconds: float
    extra: dict[str, Any] = Field(..., description="Beside the picture: poses, lines, classes, note.")
    embedding: str | None = Field(None, description="A NumPy file in base64, where the result is no picture.")


class DetectAnswer(BaseModel):
    info: str
    images: list[str] | None = Field(None, description="PNG files in base64.")
    poses: list[Any] | None = None
    embeddings: list[str] | None = Field(None, description="NumPy files in base64.")


class ModuleAnswer(BaseModel):
    model_free: bool
    sliders: list[dict[str, Any]]


class ModulesAnswer(BaseModel):
    module_list: list[str]
    module_detail: dict[str, ModuleAnswer]


class TypeAnswer(BaseModel):
    module_list: list[str]
    model_list: list[str]
    default_option: str
    default_model: str


class TypesAnswer(BaseModel):
    control_types: dict[str, TypeAnswer]
