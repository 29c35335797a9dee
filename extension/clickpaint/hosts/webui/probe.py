"""Which web UI this is, and what of it differs; found out once, here, and by looking rather than by version numbers."""

from __future__ import annotations

import functools
import importlib.util
import inspect
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Flavor:
    """name: for people. schedulers: whether sampler and scheduler are chosen apart (1.9 and later). forge: models lie in
    `forge_objects` and memory is managed by Forge."""

    name: str
    forge: bool
    schedulers: bool


@functools.lru_cache(maxsize=1)
def flavor() -> Flavor:
    from modules import processing

    forge = importlib.util.find_spec("modules_forge") is not None
    reforge = forge and importlib.util.find_spec("ldm_patched") is not None and importlib.util.find_spec("backend") is None
    schedulers = "scheduler" in inspect.signature(processing.StableDiffusionProcessingImg2Img).parameters
    return Flavor("reForge" if reforge else "Forge" if forge else "A1111", forge, schedulers)


def infotext_module() -> Any:
    """`modules.infotext_utils`, which was called `generation_parameters_copypaste` before 1.9."""
    try:
        from modules import infotext_utils
    except ImportError:
        from modules import generation_parameters_copypaste as infotext_utils
    return infotext_utils


def loaded_model() -> Any | None:
    """The checkpoint that is in memory now, without making the host load one."""
    from modules import sd_models

    model = sd_models.model_data.sd_model
    # Forge puts a placeholder there until the first generation
    return None if model is None or type(model).__name__ == "FakeInitialModel" else model


def native_size(model: Any) -> int:
    """Side in pixels of the square that a loaded checkpoint was trained on."""
    if getattr(model, "is_sd1", False):
        return 512
    if getattr(model, "is_sd2", False):
        return 768 if _predicts_velocity(model) else 512
    return 1024  # SDXL, SD3, Flux and what else the host can load


def _predicts_velocity(model: Any) -> bool:
    """Whether this is Stable Diffusion 2 in its larger variant, which is trained to predict v."""
    if flavor().forge:
        return model.forge_objects.unet.model.predictor.prediction_type == "v_prediction"
    return getattr(model, "parameterization", "eps") == "v"
