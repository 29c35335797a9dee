"""Every preprocessor by name, label or alias, and whether it can run here."""

from __future__ import annotations

import functools
import importlib
from collections.abc import Mapping

import numpy as np

from clickpaint.compat.packages import installed
from clickpaint.control.base import RESOLUTION, ControlMap, Detect, Preprocessor, Request, Tools
from clickpaint.errors import InvalidInput, ModelMissing, Sentence

FAMILIES = (
    "plain", "edges", "tile", "color", "softedge", "lineart", "mlsd", "depth_midas", "depth_anything", "leres", "normals", "openpose",
    "rtmpose", "densepose", "segmentation", "oneformer", "faces", "identity", "clip_vision", "lama_fill",
)  # fmt: skip
"""The modules of this room with a `PREPROCESSORS` tuple each; importing one imports nothing heavy."""

_MODEL_PATTERNS = {
    "instructp2p": ("ip2p",), "segmentation": ("seg",), "normalmap": ("normal",), "t2i-adapter": ("t2i_adapter", "t2iadapter", "t2ia"),
    "ip-adapter": ("ip_adapter", "ipadapter"), "openpose": ("densepose",), "instant-id": ("instant_id", "instantid"),
    "scribble": ("sketch",), "tile": ("blur",),
}  # fmt: skip
_UNION = ("openpose", "depth", "softedge", "scribble", "canny", "lineart", "mlsd", "normalmap", "segmentation")
"""The types that a ControlNet Union model understands."""


@functools.cache
def preprocessors() -> dict[str, Preprocessor]:
    """All of them by `name`, family by family."""
    return _collected(
        [preprocessor for family in FAMILIES for preprocessor in importlib.import_module(f"clickpaint.control.{family}").PREPROCESSORS]
    )


def _collected(registered: list[Preprocessor]) -> dict[str, Preprocessor]:
    """Raises `ValueError` for a name, label or alias that stands there twice."""
    names = [name for preprocessor in registered for name in preprocessor.names]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"control: {', '.join(twice)} stands there twice")
    return {preprocessor.name: preprocessor for preprocessor in registered}


@functools.cache
def _by_any_name() -> dict[str, Preprocessor]:
    return {name: preprocessor for preprocessor in preprocessors().values() for name in preprocessor.names}


def info(name: str) -> Preprocessor:
    """By name, label or alias. Raises `InvalidInput` that names the closest ones for one that is unknown."""
    preprocessor = _by_any_name().get(name)
    if preprocessor is None:
        import difflib

        close = difflib.get_close_matches(name, _by_any_name(), 3, 0.5)
        raise InvalidInput(
            "There is no preprocessor {name!r}.",
            "Did you mean {similar}?" if close else "Take one of their list (page, API, or `clickpaint control --list`).",
            name=name,
            similar=" or ".join(close),
        )
    return preprocessor


def ordered() -> list[Preprocessor]:
    """In the order of sd-webui-controlnet's lists: "none", then by priority, then by label from Z to A."""
    none, *others = sorted(preprocessors().values(), key=lambda preprocessor: preprocessor.name != "none")
    return [none, *sorted(others, key=lambda preprocessor: f"{preprocessor.priority:08d}{preprocessor.label}", reverse=True)]


def types() -> list[str]:
    """The control types, from A to Z."""
    return sorted({name for preprocessor in preprocessors().values() for name in preprocessor.types} | {"InstructP2P"})


def of_type(name: str) -> list[Preprocessor]:
    """Those of a control type after "none"; the first of them is the type's default."""
    return [preprocessor for preprocessor in ordered() if name in preprocessor.types or preprocessor.name == "none"]


def model_patterns(name: str) -> tuple[str, ...]:
    """What the file names of a control type's ControlNet models have in them, in lower case."""
    tag = name.lower()
    return (tag, *_MODEL_PATTERNS.get(tag, ()), *(("union",) if tag in _UNION else ()))


def unavailable(name: str) -> str | None:
    """Why the preprocessor cannot run in this environment, or None. Its model files are another question (`Store.state`)."""
    preprocessor = info(name)
    if preprocessor.detect is None:
        if not preprocessor.instead:
            return preprocessor.reason
        return Sentence("{reason}; take {instead} instead", reason=preprocessor.reason, instead=preprocessor.instead)
    missing = [package for package in ("cv2", *preprocessor.packages) if not installed(package)]
    return Sentence("needs the package {packages}", packages=", ".join(missing)) if missing else None


def check_available(name: str) -> Detect:
    """What runs the preprocessor. Raises `ModelMissing` with the reason where it cannot run in this environment."""
    preprocessor, reason = info(name), unavailable(name)
    if preprocessor.detect is None:
        raise ModelMissing(
            "The preprocessor {name} cannot run: it {reason}.",
            "Take {instead} instead.",
            name=preprocessor.name,
            reason=preprocessor.reason,
            instead=preprocessor.instead,
        )
    if reason is not None:
        raise ModelMissing(
            "The preprocessor {name} cannot run here: it {reason}.",
            "Install it, or choose another one.",
            name=preprocessor.name,
            reason=reason,
        )
    return preprocessor.detect


def request(
    name: str, values: Mapping[str, float] | None = None, resolution: int | None = None, mask: np.ndarray | None = None, seed: int = 0
) -> Request:
    """A checked request, with the defaults for what is left out.

    Raises:
        InvalidInput: unknown name or parameter, a value out of range, a missing mask.
    """
    preprocessor = info(name)
    given = dict(values or {})
    known = {parameter.key: parameter for parameter in preprocessor.parameters}
    unknown = [key for key in given if key not in known]
    if unknown:
        raise InvalidInput(
            "The preprocessor {name} has no parameter {parameter!r}.",
            "It has {known}." if known else "It has none.",
            name=preprocessor.name,
            parameter=unknown[0],
            known=", ".join(known),
        )
    if preprocessor.needs_mask and mask is None:
        raise InvalidInput("The preprocessor {name} needs a mask.", "Select something first, or give a mask.", name=preprocessor.name)
    if not 0 <= seed < 2**32:
        raise InvalidInput("The seed cannot be {seed}.", "It goes from 0 to {maximum}.", parameter="seed", seed=seed, maximum=2**32 - 1)
    wanted = preprocessor.resolution or int(RESOLUTION.default) if resolution is None else resolution
    return Request(
        int(RESOLUTION.checked(wanted)),
        {key: parameter.checked(given.get(key, parameter.default)) for key, parameter in known.items()},
        mask if preprocessor.accepts_mask else None,
        seed if preprocessor.uses_seed else 0,
    )


def detect(name: str, pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """The control map of `pixels` (uint8 [H, W, 3] RGB, not written to).

    Raises:
        InvalidInput: unknown name, wrong array.
        ModelMissing: a package or a model's file is not here. Interrupted, OutOfMemory.
    """
    preprocessor = info(name)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3 or 0 in pixels.shape:
        raise InvalidInput("A picture is uint8 [H, W, 3], not {dtype} {shape}.", dtype=pixels.dtype, shape=list(pixels.shape))
    if request.mask is not None and (request.mask.dtype != np.bool_ or request.mask.shape != pixels.shape[:2]):
        raise InvalidInput(
            "The mask is {dtype} {shape}.",
            "It must be bool {picture_shape}.",
            dtype=request.mask.dtype,
            shape=list(request.mask.shape),
            picture_shape=list(pixels.shape[:2]),
        )
    run = check_available(preprocessor.name)
    tools.progress.check()
    return run(pixels, request, tools)
