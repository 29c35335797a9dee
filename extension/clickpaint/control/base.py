"""What every preprocessor is: a name with its parameters, and a function from a picture to a control map."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.progress import SILENT, Progress

if TYPE_CHECKING:
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store


@dataclass(frozen=True)
class Parameter:
    """One number that a preprocessor can be given.

    Attributes:
        key: for programs.
        label: for people, as sd-webui-controlnet's slider says it.
        minimum, maximum: both allowed.
        step: of a slider; values between steps are allowed.
    """

    key: str
    label: str
    minimum: float
    maximum: float
    step: float
    default: float

    def allows(self, value: float) -> bool:
        return math.isfinite(value) and self.minimum <= value <= self.maximum

    def nearest(self, value: float) -> float:
        """The allowed value that is nearest to this one."""
        return min(max(value, self.minimum), self.maximum)

    def checked(self, value: float) -> float:
        """Raises `InvalidInput` for a value out of range."""
        if not self.allows(value):
            raise InvalidInput(
                "{label} cannot be {value:g}.",
                "It goes from {minimum:g} to {maximum:g}.",
                parameter=self.key,
                minimum=self.minimum,
                maximum=self.maximum,
                default=self.default,
                label=self.label,
                value=value,
            )
        return float(value)


RESOLUTION = Parameter("resolution", "Resolution", 64, 2048, 8, 512)
"""The length of the short side at which a picture is looked at."""


@dataclass(frozen=True, eq=False)
class Request:
    """What is asked of a preprocessor beside the picture; checked already (`registry.request`).

    Attributes:
        resolution: length of the short side at which the picture is looked at; without effect where the preprocessor keeps the
            picture's size.
        values: by `Parameter.key`, every parameter is there.
        mask: bool [H, W], True = selected, or None.
        seed: for those that draw random numbers.
    """

    resolution: int = 512
    values: Mapping[str, float] = field(default_factory=dict)
    mask: np.ndarray | None = None
    seed: int = 0


@dataclass(frozen=True, eq=False)
class ControlMap:
    """What a preprocessor found.

    Attributes:
        pixels: uint8 [h, w, 3] RGB, or [h, w, 4] with alpha (inpaint); not the picture's size, but always its shape to within a pixel.
        extra: JSON-compatible data beside the picture, by what it is: "poses" (OpenPose's JSON) and "parts" (what of them is drawn, of
            `pose_drawing.PARTS`), "lines" ([[x0, y0, x1, y1], …]), "classes" ([{"name": …, "color": [r, g, b]}, …] of those that are in
            the map), "note" (one sentence for people).
        embedding: float32 array, where the result is no picture; `pixels` then is what was looked at.
    """

    pixels: np.ndarray
    extra: Mapping[str, Any] = field(default_factory=dict)
    embedding: np.ndarray | None = None

    @property
    def nbytes(self) -> int:
        return self.pixels.nbytes + (0 if self.embedding is None else self.embedding.nbytes)


@dataclass(frozen=True, eq=False)
class Tools:
    """What preprocessors with weights work with.

    Attributes:
        store: where the files of weights lie.
        device: on which the networks compute.
        models: a loaded network is kept there, under ("control", name).
        progress: told of loading and of steps.
    """

    store: Store
    device: Device
    models: ModelCache
    progress: Progress = SILENT


Detect = Callable[[np.ndarray, Request, Tools], ControlMap]
"""`detect(pixels, request, tools)`: uint8 [H, W, 3] RGB, not written to. Raises `ModelMissing`, `Interrupted`, `OutOfMemory`."""


@dataclass(frozen=True)
class Preprocessor:
    """One preprocessor as sd-webui-controlnet's users and API clients know it.

    Attributes:
        name: the registry's and API's ("depth").
        label: the one in its list and in infotexts ("depth_midas"); both work everywhere.
        aliases: further names that are understood.
        types: the control types it is listed under, by sd-webui-controlnet's names for them.
        detect: None where it cannot run in any environment, `reason` then says why and `instead` what to take.
        parameters: in the order of the API's threshold a, b, c.
        resolution: the default one; None where the picture's size is kept.
        needs_mask: an error without one.
        accepts_mask: a mask changes the map.
        uses_seed: a seed does.
        models: the catalog's names of its files.
        packages: what it imports beside numpy and OpenCV, as import names.
        control_models: parts of the names of ControlNet models that understand the map, best first; none where none is needed.
        returns: "map", "embedding" or "unchanged" (the picture itself: what makes the difference happens while sampling).
        priority: the higher, the earlier in lists; of the highest for its type is the type's default.
    """

    name: str
    label: str
    types: tuple[str, ...]
    detect: Detect | None
    aliases: tuple[str, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    resolution: int | None = 512
    needs_mask: bool = False
    accepts_mask: bool = False
    uses_seed: bool = False
    models: tuple[str, ...] = ()
    packages: tuple[str, ...] = ()
    control_models: tuple[str, ...] = ()
    returns: str = "map"
    priority: int = 0
    reason: str = ""
    instead: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        """Everything it answers to, its own name first."""
        return tuple(dict.fromkeys((self.name, self.label, *self.aliases)))
