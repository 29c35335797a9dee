"""Preprocessors of ours in the lists of the web UI's own ControlNet: a map of one object only, black around it.

sd-webui-controlnet and Forge keep their preprocessors in registries that other extensions may add to. Ours stand at the end of the lists
of their control types and cost nothing before one of them is chosen.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.hosts.webui import probe

if TYPE_CHECKING:
    from clickpaint.control.base import ControlMap

    Make = Callable[[np.ndarray, np.ndarray | None, str, Mapping[str, float], int | None], ControlMap]
    """make(pixels uint8 [H, W, 3], mask bool [H, W] or None for what is selected in our tab, the name of a preprocessor of ours, its
    values, its resolution or None for its default) → the map of what is selected"""

PREFIX = "clickpaint_object_"
OFFERED = {
    "Canny": ("canny",),
    "Depth": ("depth_midas", "depth_anything_v2"),
    "Lineart": ("lineart_standard", "lineart_realistic", "lineart_anime"),
    "MLSD": ("mlsd",),
    "NormalMap": ("normal_bae",),
    "OpenPose": ("openpose_full", "dw_openpose_full"),
    "Scribble": ("scribble_xdog", "scribble_pidinet"),
    "Segmentation": ("seg_ofade20k",),
    "SoftEdge": ("softedge_pidinet", "softedge_teed"),
}
"""By control type; written down, because looking through our own registry at every start takes as long as everything else we do then."""

_SLIDERS = ("slider_resolution", "slider_1", "slider_2", "slider_3")


@dataclass(frozen=True)
class Registry:
    """The web UI's.

    Attributes:
        base: its class of preprocessors, which takes a name where `named`.
        parameter: that of their sliders.
        add: registers one.
        known: those that are, by name.
    """

    base: type
    parameter: type
    add: Callable[[Any], None]
    known: Mapping[str, Any]
    named: bool


def register(make: Make) -> None:
    """Add ours, once; where there is no ControlNet nothing is done. Called when all extensions are loaded, before the page is made."""
    try:
        for registry in (_extensions(), _forges()):
            if registry is not None:
                _add_to(registry, make)
    except Exception:  # a ControlNet of another make must not end the web UI's start
        probe.report("the preprocessors for one object could not be added to ControlNet")


def _extensions() -> Registry | None:
    """sd-webui-controlnet's; that it is there tells a module of it that was loaded."""
    if "scripts.supported_preprocessor" not in sys.modules:
        return None
    from scripts.supported_preprocessor import Preprocessor, PreprocessorParameter  # type: ignore[import-not-found]

    known = Preprocessor.all_processors_by_name
    return Registry(Preprocessor, PreprocessorParameter, Preprocessor.add_supported_preprocessor, known, named=True)


def _forges() -> Registry | None:
    if "modules_forge.supported_preprocessor" not in sys.modules:
        return None
    from modules_forge import shared, supported_preprocessor  # type: ignore[import-not-found]

    base, parameter = supported_preprocessor.Preprocessor, supported_preprocessor.PreprocessorParameter
    return Registry(base, parameter, shared.add_supported_preprocessor, shared.supported_preprocessors, named=False)


def _add_to(registry: Registry, make: Make) -> None:
    kind = _class(registry, make)
    for tag, names in OFFERED.items():
        for name in names:
            if PREFIX + name not in registry.known:  # they outlive "Reload UI"
                registry.add(kind(name, tag))


def _class(registry: Registry, make: Make) -> type:
    base: Any = registry.base

    class ObjectPreprocessor(base):
        def __init__(self, ours: str, tag: str) -> None:
            super().__init__(**({"name": PREFIX + ours, "accepts_mask": True} if registry.named else {}))
            self.name, self.tags = PREFIX + ours, [tag]
            for slider in _SLIDERS:  # the properties below take their places
                self.__dict__.pop(slider, None)

        slider_resolution = functools.cached_property(lambda self: _slider(self.name, 0, registry.parameter))
        slider_1 = functools.cached_property(lambda self: _slider(self.name, 1, registry.parameter))
        slider_2 = functools.cached_property(lambda self: _slider(self.name, 2, registry.parameter))
        slider_3 = functools.cached_property(lambda self: _slider(self.name, 3, registry.parameter))

        def _cached_call(self, *args: Any, **kwargs: Any) -> Any:
            """Not from sd-webui-controlnet's cache, which does not know what is selected; ours does."""
            return self(*args, **kwargs)

        def __call__(
            self, input_image: np.ndarray, resolution: int, slider_1: float | None = None, slider_2: float | None = None,
            slider_3: float | None = None, input_mask: np.ndarray | None = None, json_pose_callback: Any = None, **kwargs: Any,
        ) -> np.ndarray:  # fmt: skip
            """The map of an object, uint8 [h, w, 3], black around it.

            Which one: what the unit's mask shows, if it has one (in Forge; over sd-webui-controlnet's API; its page makes a picture of a
            mask that is painted into a unit). Otherwise what is selected in the Clickpaint tab: in the picture last worked on there that
            is this very one, or else in the last one of its size, so that a picture which was saved and loaded in between is known.

            Args:
                input_image: uint8 [H, W, 3] RGB, or [H, W, 4] with the mask as the fourth channel.
                input_mask: uint8 [H, W] or [H, W, C], bright = selected. One that selects everything or nothing counts as none.
                resolution, slider_1, slider_2, slider_3: out of range, as -1, for their defaults.

            Raises:
                InvalidInput: no mask, and nothing is selected in a picture of this size.
                ModelMissing: a package or a file is not here.
            """
            pixels, mask = _parts(np.asarray(input_image), input_mask)
            result = make(pixels, mask, *_request(self.name, resolution, (slider_1, slider_2, slider_3)))
            if json_pose_callback is not None and "poses" in result.extra:
                json_pose_callback(result.extra["poses"])
            return result.pixels

    return ObjectPreprocessor


def _parts(picture: np.ndarray, given: np.ndarray | None) -> tuple[np.ndarray, np.ndarray | None]:
    """Colours and mask."""
    mask = None
    if given is not None:
        mask = np.asarray(given)
        mask = mask if mask.ndim == 2 else mask[..., 0]
    elif picture.ndim == 3 and picture.shape[2] == 4:
        mask = picture[..., 3]
    if picture.ndim == 2:
        picture = np.repeat(picture[..., None], 3, axis=2)
    selected = None if mask is None else mask > 127
    if selected is not None and (selected.all() or not selected.any()):
        selected = None
    return np.ascontiguousarray(picture[..., :3]), selected


def _request(name: str, resolution: float, sliders: tuple[float | None, ...]) -> tuple[str, dict[str, float], int | None]:
    """Our name, values and resolution, without those out of range."""
    from clickpaint.control import registry
    from clickpaint.control.base import RESOLUTION

    ours = registry.info(name.removeprefix(PREFIX))
    pairs = zip(ours.parameters, sliders, strict=False)
    values = {parameter.key: value for parameter, value in pairs if value is not None and parameter.allows(value)}
    return ours.name, values, int(resolution) if RESOLUTION.allows(resolution) else None


def _slider(name: str, number: int, parameter: type) -> Any:
    """The slider of that number, 0 for the resolution, as the web UI describes one; hidden where ours has none."""
    from clickpaint.control import registry
    from clickpaint.control.base import RESOLUTION

    ours = registry.info(name.removeprefix(PREFIX))
    sliders = (RESOLUTION, *ours.parameters)
    if number >= len(sliders):
        return parameter(visible=False)
    slider = sliders[number]
    value = ours.resolution if number == 0 else slider.default
    return parameter(label=slider.label, minimum=slider.minimum, maximum=slider.maximum, step=slider.step, value=value, visible=True)
