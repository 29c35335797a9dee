"""Which web UI this is, and what of it differs; found out once, here, and by looking rather than by version numbers."""

from __future__ import annotations

import functools
import importlib
import importlib.util
import inspect
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickpaint.errors import HostUnsupported


@dataclass(frozen=True)
class Flavor:
    """Which web UI this is, and how it differs from the others.

    Attributes:
        name: for people.
        schedulers: whether sampler and scheduler are chosen apart (1.9 and later).
        distilled: whether a generation takes a distilled CFG scale (Forge and its forks).
        forge: models lie in `forge_objects` and memory is managed by Forge.
    """

    name: str
    forge: bool
    schedulers: bool
    distilled: bool = False


@functools.lru_cache(maxsize=1)
def flavor() -> Flavor:
    from modules import processing

    forge = importlib.util.find_spec("modules_forge") is not None
    reforge = forge and importlib.util.find_spec("ldm_patched") is not None and importlib.util.find_spec("backend") is None
    taken = inspect.signature(processing.StableDiffusionProcessingImg2Img).parameters
    return Flavor("reForge" if reforge else "Forge" if forge else "A1111", forge, "scheduler" in taken, "distilled_cfg_scale" in taken)


def argument(*names: str) -> Any:
    """What an argument of the command line says, by the first of the names that different web UIs have for it; None for nothing."""
    options = _module("modules.shared").cmd_opts
    return next((value for name in names if (value := getattr(options, name, None))), None)


def report(what: str) -> None:
    """Put the exception that is being handled into the web UI's log the way it shows its own."""
    errors = _module("modules.errors")
    if hasattr(errors, "report"):
        errors.report(f"Clickpaint: {what}", exc_info=True)
    else:  # SD.Next shows what its own log takes
        logging.getLogger("clickpaint").exception("%s", what)


def sampler_names() -> list[str]:
    """The samplers that the user lets the web UI show, in its order."""
    samplers = _module("modules.sd_samplers")
    if hasattr(samplers, "visible_samplers"):
        return [sampler.name for sampler in samplers.visible_samplers()]
    if hasattr(samplers, "visible_sampler_names"):  # ersatzForge has only this
        return list(samplers.visible_sampler_names())
    return [*samplers.all_samplers_map]


def extensions_folder() -> Path:
    """Where the web UI keeps the extensions that users install."""
    for name in ("modules.paths", "modules.paths_internal"):  # ersatzForge has it only in the second
        folder = getattr(_module(name), "extensions_dir", None)
        if folder:
            return Path(folder)
    return Path(_module("modules.paths").data_path) / "extensions"


def explained(error: Exception) -> Exception:
    """`error`, or where it says that the web UI has dropped a name of its own: a sentence that users can do something with."""
    if isinstance(error, AttributeError):
        owner = getattr(error.obj, "__name__", type(error.obj).__name__) if error.obj is not None else ""
        of_host = owner.partition(".")[0] in _HOST_PACKAGES or type(error.obj).__module__.partition(".")[0] in _HOST_PACKAGES
        missing = f"{owner}.{error.name}" if of_host else ""
    elif isinstance(error, ImportError):
        package = (error.name or "").partition(".")[0]
        dropped = getattr(error, "name_from", None) or _name_in(str(error))
        missing = ".".join(part for part in (error.name, dropped) if part) if package in _HOST_PACKAGES else ""
    else:
        missing = ""
    if not missing:
        return error
    return HostUnsupported(
        "This web UI has no {missing}, which Clickpaint asks for.",
        "Update Clickpaint; if that does not help, use a release of the web UI that its README names.", missing=missing,
    )  # fmt: skip


_HOST_PACKAGES = ("modules", "modules_forge", "backend", "launch")


def _name_in(message: str) -> str:
    """The name that `from … import …` did not find, which Python 3.10 and 3.11 tell only in the text."""
    _, _, rest = message.partition("cannot import name '")
    return rest.partition("'")[0]


def _module(name: str) -> Any:
    return importlib.import_module(name)


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


def checkpoint_name(model: Any) -> str:
    """What a loaded model's file is called, without ending."""
    info = model.sd_checkpoint_info
    return getattr(info, "name_for_extra", None) or str(info.name)  # SD.Next has only the second


def accepted(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Those of the values that the class of a web UI's takes when it is made; what a fork dropped is left out."""
    known: set[str] = set()
    for base in kind.__mro__:
        parameters = inspect.signature(base).parameters.values()
        known |= {parameter.name for parameter in parameters}
        if all(parameter.kind is not parameter.VAR_KEYWORD for parameter in parameters):
            break  # otherwise it hands the rest on
    return {name: value for name, value in values.items() if name in known}


def begin_job(title: str) -> None:
    """Tell the web UI that a job is under way."""
    state = _module("modules.shared").state
    state.begin(**{"title" if "title" in inspect.signature(state.begin).parameters else "job": title})  # SD.Next's is the first


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
