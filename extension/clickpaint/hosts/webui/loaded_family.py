"""What the model is that the web UI has loaded, by its engine's class, and what the web UI's own preset for it says."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from clickpaint.hosts.model_family import ModelFamily, Preset
from clickpaint.hosts.webui.probe import native_size

_SD1 = ModelFamily("Stable Diffusion 1", 512, presets=("sd",))
_SDXL = ModelFamily("Stable Diffusion XL", 1024, cfg_scale=5.0, presets=("xl",))
_LUMINA = ("lumina", "zimage", "zit")

_ENGINES = {
    "StableDiffusion": _SD1,
    "AnimateDiff": replace(_SD1, name="AnimateDiff", presets=("animatediff", "sd")),
    "StableDiffusion2": ModelFamily("Stable Diffusion 2", 768, presets=("sd",)),
    "StableDiffusionXL": _SDXL,
    "StableDiffusionXLRefiner": replace(_SDXL, name="Stable Diffusion XL refiner"),
    "StableDiffusion3": ModelFamily("Stable Diffusion 3.5", cfg_scale=4.5, presets=("sd3", "sd35")),
    "Flux": ModelFamily("Flux", cfg_scale=1.0, presets=("flux",)),
    "Flux2": ModelFamily("Flux.2 Klein", cfg_scale=1.0, presets=("klein", "flux2", "flux")),
    "Chroma": ModelFamily("Chroma", cfg_scale=4.0, presets=("chroma", "flux")),
    "ChromaDCT": ModelFamily("Chroma Radiance", cfg_scale=4.0, presets=("chroma", "flux")),
    "Lumina2": ModelFamily("Lumina 2", cfg_scale=4.5, presets=_LUMINA),
    "ZImage": ModelFamily("Z-Image", cfg_scale=1.0, presets=("zimage", "zit", "lumina")),
    "Zimage": ModelFamily("Z-Image", cfg_scale=1.0, presets=("zimage", "zit", "lumina")),
    "QwenImage": ModelFamily("Qwen-Image", cfg_scale=4.0, presets=("qwen",)),
    "Wan": ModelFamily("Wan", cfg_scale=1.0, presets=("wan",)),
    "Anima": ModelFamily("Anima", cfg_scale=4.5, presets=("anima",)),
    "Cosmos": ModelFamily("Cosmos Predict 2", cfg_scale=4.0, presets=("cosmos",)),
    "ERNIE": ModelFamily("ERNIE-Image", cfg_scale=4.0, presets=("ernie",)),
    "Krea2": ModelFamily("Krea 2", cfg_scale=4.0, presets=("krea", "krea2")),
}
"""By the names of the engines of Forge, Forge Neo and ersatzForge."""


KNOWN = frozenset(family.name for family in _ENGINES.values()) | {"Flux Kontext", "Qwen-Image-Edit"}
"""The names of the families that are known; others are called by their engines."""


_EDITING = {
    "Flux": ("kontext", "Flux Kontext"), "QwenImage": ("edit", "Qwen-Image-Edit"), "Flux2": ("klein", "Flux.2 Klein"),
}  # fmt: skip
"""Engines of Forge Neo → the switch that says that the loaded model edits, and what it is called then."""


def family_of(model: Any) -> ModelFamily:
    """What a loaded model is; one that nobody here knows by its class's name, with the size that A1111's flags tell."""
    engine = type(model).__name__
    if getattr(model, "forge_objects", None) is None:  # A1111: the flags say it
        named = {"is_sdxl": _SDXL, "is_sd2": _ENGINES["StableDiffusion2"], "is_sd3": _ENGINES["StableDiffusion3"], "is_sd1": _SD1}
        family = next((family for flag, family in named.items() if getattr(model, flag, False)), ModelFamily(engine))
        return replace(family, native_size=native_size(model))
    family = _ENGINES.get(engine, ModelFamily(engine))
    if family.presets[:1] == ("sd",):
        family = replace(family, native_size=native_size(model))
    family = replace(family, shift=_shift(model))
    if getattr(model, "use_distilled_cfg_scale", False):
        family = replace(family, guidance="distilled CFG")
    elif getattr(model, "use_shift", False):
        family = replace(family, guidance="shift")
    return _instructed(family, engine)


def _shift(model: Any) -> float:
    """Of the schedule that the web UI samples a flow with; 0 for others."""
    predictor = getattr(getattr(getattr(model.forge_objects, "unet", None), "model", None), "predictor", None)
    logarithm = getattr(predictor, "mu", None)
    return math.exp(logarithm) if logarithm is not None else float(getattr(predictor, "shift", None) or 0.0)


def _instructed(family: ModelFamily, engine: str) -> ModelFamily:
    """Forge Neo tells Kontext and Qwen-Image-Edit from their brothers by the file's name, and keeps that where it keeps everything; Klein
    edits where its users let it. In ersatzForge a script of its own gives them their pictures, which is not asked here."""
    try:
        from backend.args import dynamic_args
    except ImportError:
        return family
    switch, name = _EDITING.get(engine, ("", ""))
    if not switch or not dynamic_args.get(switch):
        return family
    if switch == "klein":
        from modules import shared

        if not getattr(shared.opts, "klein_do_reference", True):
            return family
    return replace(family, name=name, instructs=True, anew=True)


def preset_for(family: ModelFamily) -> Preset:
    """What the web UI's img2img starts with for this family, from its options (`sd_i2i_cfg` and the like); A1111 has none."""
    from modules import shared

    options = shared.opts
    name = next((name for name in family.presets if getattr(options, f"{name}_i2i_cfg", None) is not None), None)
    if name is None:
        return Preset(cfg_scale=family.cfg_scale)
    return Preset(
        sampler=getattr(options, f"{name}_i2i_sampler", None) or "",
        scheduler=getattr(options, f"{name}_i2i_scheduler", None) or "",
        cfg_scale=float(getattr(options, f"{name}_i2i_cfg")),
        distilled_cfg_scale=float(getattr(options, f"{name}_i2i_d_cfg", None) or 0.0) if family.guidance else 0.0,
    )
