"""The web UI's always-on scripts during our generations: a runner of our own with copies of just those that are wanted.

The global runner, its scripts and its arguments are only read: other extensions keep what the user set in their tabs.
"""

from __future__ import annotations

import base64
import copy
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.hosts.webui import image_stitch
from clickpaint.hosts.webui.img2img_scripts import defaults_of, image_to_image, script_titled

if TYPE_CHECKING:
    import numpy as np

    from clickpaint.paint.paint_job import ControlUnit, PaintJob


def runner_for(job: PaintJob) -> tuple[Any, tuple[Any, ...]]:
    """A script runner and its arguments for one generation of this job.

    Raises:
        HostUnsupported: ControlNet units, soft inpainting or reference pictures are asked for and the web UI has no such script.
        InvalidInput: a ControlNet was made for another family than the checkpoint.
    """
    options = job.options
    source = image_to_image(filled=bool(options.control or options.masking.soft or options.reference.pictures))
    wanted: list[tuple[Any, list[Any]]] = []
    if options.control:
        script = script_titled(source, "controlnet")
        if script is None:
            raise HostUnsupported(
                "This web UI has no ControlNet.", "Install the extension sd-webui-controlnet, or leave the ControlNet units out."
            )
        wanted.append((script, _units(script, job)))
    if options.masking.soft:
        script = script_titled(source, "soft inpainting")
        if script is None:
            raise HostUnsupported("This web UI has no soft inpainting.", "Switch soft inpainting off, or update the web UI.")
        wanted.append((script, [True, *defaults_of(source, script)[1:]]))
    if options.reference.pictures:
        wanted.append(image_stitch.showing(source, options.reference.pictures))

    runner = copy.copy(source)
    runner.callback_map = {}  # its cache of which script answers which callback
    runner.title_map = {}
    runner.selectable_scripts = []
    runner.alwayson_scripts = []
    arguments: list[Any] = [0]  # the index of the selectable script: none
    for script, values in wanted:
        mine = copy.copy(script)
        mine.args_from, mine.args_to = len(arguments), len(arguments) + len(values)
        arguments += values
        runner.alwayson_scripts.append(mine)
        runner.title_map[mine.title().lower()] = mine
    runner.scripts = list(runner.alwayson_scripts)
    return runner, tuple(arguments)


def has_control() -> bool:
    """Whether the web UI has a ControlNet (False until its page is made, too)."""
    return script_titled(image_to_image(), "controlnet") is not None


def control_names() -> tuple[list[str], list[str]]:
    """Names of the preprocessors and of the models that the web UI's ControlNet offers now; empty without one."""
    script = script_titled(image_to_image(), "controlnet")
    return ([], []) if script is None else _offered(script)


def _offered(script: Any) -> tuple[list[str], list[str]]:
    # The web UI does not put modules of scripts into sys.modules; what they imported is in the globals of their functions.
    names = type(script).title.__globals__
    state = names["global_state"]
    if hasattr(state, "get_all_preprocessor_names"):  # Forge's own
        return list(state.get_all_preprocessor_names()), list(state.get_all_controlnet_names())
    preprocessors = names["Preprocessor"].get_sorted_preprocessors()  # sd-webui-controlnet
    return [preprocessor.label for preprocessor in preprocessors], list(state.cn_models_names.values())


def _units(script: Any, job: PaintJob) -> list[dict[str, Any]]:
    modules, models = _offered(script)
    maps = job.maps or (None,) * len(job.options.control)
    names = type(script).title.__globals__
    drawable = hasattr(names.get("ControlNetUnit"), "image_fg")
    units = [_unit(unit, drawn, modules, models, drawable) for unit, drawn in zip(job.options.control, maps, strict=True)]
    find = names.get("Preprocessor", names["global_state"]).get_preprocessor
    for unit in units:
        if unit["model"] == "None" and not find(unit["module"]).do_not_need_model:
            raise HostUnsupported(
                "The preprocessor {preprocessor} needs a ControlNet model.",
                "Choose one of {models}.",
                preprocessor=unit["module"],
                models=", ".join(models),
            )
        _check_family(names["global_state"], unit["model"])
    return units


def _check_family(state: Any, model: str) -> None:
    """Raises `InvalidInput` for a ControlNet that was made for another family than the loaded checkpoint's, which the web UI would
    stumble over in the middle of the sampling."""
    from clickpaint.hosts.webui.loaded_family import KNOWN, family_of
    from clickpaint.hosts.webui.probe import loaded_model
    from clickpaint.paint.adapters.controlnet_family import fits, made_for

    loaded = loaded_model()
    # Forge, and sd-webui-controlnet
    file = (getattr(state, "controlnet_filename_dict", None) or getattr(state, "cn_models", None) or {}).get(model)
    if loaded is None or not file:
        return
    made, family = made_for(Path(file)), family_of(loaded).name
    if family in KNOWN and not fits(made, family):
        raise InvalidInput(
            "{model} was made for {family}, but the checkpoint is {checkpoint_family}.",
            "Choose a ControlNet of the checkpoint's family.",
            model=model,
            family=made,
            checkpoint_family=family,
        )


def _unit(unit: ControlUnit, drawn: np.ndarray | None, modules: list[str], models: list[str], drawable: bool) -> dict[str, Any]:
    """The unit as both ControlNets take it from API clients. Without a picture of its own it looks at the picture and mask of the
    generation itself, which are our crop: so the map is in register with what is painted.

    drawable: it is Forge's, where users draw over the picture.
    """
    from clickpaint.control import registry
    from clickpaint.paint.paint_job import CONTROL_MODES

    values: dict[str, Any] = {
        "enabled": True, "module": _known("none" if drawn is not None else unit.preprocessor, modules, "preprocessor"),
        "model": _known(unit.model, models, "model"), "weight": unit.weight, "guidance_start": unit.start, "guidance_end": unit.end,
        "pixel_perfect": not unit.resolution, "control_mode": CONTROL_MODES[unit.mode], "resize_mode": "Just Resize",
        "save_detected_map": False,
    }  # fmt: skip
    if drawn is not None:
        values["image"] = _base64(drawn)
        if drawable:  # of a dark picture Forge asks what was drawn over it, and fails where that is None
            values["image_fg"] = _nothing_over(drawn)
    else:
        if unit.resolution:
            values["processor_res"] = unit.resolution
        sliders = [parameter.key for parameter in registry.info(unit.preprocessor).parameters] if unit.values else []
        values |= {
            f"threshold_{letter}": dict(unit.values)[key] for letter, key in zip("ab", sliders, strict=False) if key in dict(unit.values)
        }
    return values


def _nothing_over(pixels: np.ndarray) -> np.ndarray:
    import numpy as np

    return np.zeros((*pixels.shape[:2], 4), np.uint8)


def _base64(pixels: np.ndarray) -> str:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode("ascii")


def _known(name: str, offered: list[str], kind: str) -> str:
    """`name` as the web UI writes it: with its own capitals, and models with their hash.

    An unknown name must be refused here: the web UI would only log it and paint without.
    """
    wanted = (name or "none").lower()
    for known in offered:
        if wanted in (known.lower(), known.lower().rpartition(" [")[0]):
            return known
    if wanted == "none":
        return "None"
    raise HostUnsupported(
        "The web UI's ControlNet has no {kind} {name!r}.",
        "Choose one of {known}.",
        kind=kind,
        name=name,
        known=", ".join(offered) or "none",
    )
