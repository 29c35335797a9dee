"""The always-on script of txt2img and img2img: what a generation gave is touched up before it is shown and saved.

API clients switch it on with `"alwayson_scripts": {"Clickpaint": {"args": [...]}}`, the arguments being either the values in the order
of `paint.touchup_job.NAMES` or one object with any of these names: `[{"task": "remove", "points": "0.5,0.5"}]`.
"""

from __future__ import annotations

import contextlib
import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from clickpaint.errors import ClickpaintError, Interrupted, InvalidInput
from clickpaint.hosts.webui import probe

if TYPE_CHECKING:
    from clickpaint.paint.in_picture import Run
    from clickpaint.paint.paint_job import PaintOptions
    from clickpaint.paint.touchup_job import TouchUp
    from clickpaint.progress import Progress

    Apply = Callable[[np.ndarray, TouchUp, PaintOptions, int, Run, Progress], np.ndarray]
    """apply(pixels uint8 [H, W, 3], touch-up, options of the generation, side of the square it was made at, painting within it, progress)
    → uint8 [H, W, 3]"""

_TITLE, _FAILED = "Clickpaint", "Clickpaint error"


def script_class(apply: Apply) -> type:
    """The class that the web UI finds in the module of `scripts/clickpaint.py` and makes one instance of for each tab."""
    from modules import scripts

    class ClickpaintScript(scripts.Script):
        def title(self) -> str:
            return _TITLE

        def show(self, is_img2img: bool) -> Any:
            return scripts.AlwaysVisible

        def ui(self, is_img2img: bool) -> list[Any]:
            components = _components(self.elem_id, "img2img" if is_img2img else "txt2img")
            self.infotext_fields = [(component, functools.partial(_pasted, name)) for name, component in components.items()]
            return [*components.values()]

        def process(self, p: Any, *values: Any) -> None:
            from clickpaint.paint.touchup_job import touch_up_from

            with contextlib.suppress(InvalidInput):  # the pictures come with the reason
                touch_up = touch_up_from(values)
                p.extra_generation_params.update(touch_up.infotext() if touch_up else {})

        def postprocess_image_after_composite(self, p: Any, pp: Any, *values: Any) -> None:
            _touch_up(p, pp, values, apply)

    return ClickpaintScript


def _touch_up(p: Any, pp: Any, values: tuple[Any, ...], apply: Apply) -> None:
    import torch
    from modules import shared

    from clickpaint.hosts.webui import img2img
    from clickpaint.paint.touchup_job import touch_up_from
    from clickpaint.progress import Progress

    state = shared.state
    p.extra_generation_params.pop(_FAILED, None)  # that of the picture before
    try:
        touch_up = touch_up_from(values)
        if touch_up is None or state.interrupted or state.skipped:
            return
        progress = Progress(interrupted=lambda: state.interrupted or state.skipped)
        # Forge generates in inference mode; models loaded in it could not be used outside of it later
        with torch.inference_mode(False), torch.no_grad():
            side = round(math.sqrt(p.width * p.height))
            run = functools.partial(img2img.paint_within, p)
            pixels = apply(np.asarray(pp.image.convert("RGB")), touch_up, _options(p), side, run, progress)
        pp.image = _with_pixels(pp.image, pixels)
    except Interrupted:
        state.skipped = False  # what was skipped is this, the generation is complete
    except Exception as error:
        _tell(p, error)


def _tell(p: Any, error: Exception) -> None:
    """The generation goes on; its page, its infotext and the log say why it was not touched up."""
    from clickpaint.hosts.webui import failures

    probe.report("the picture stays as it was generated")
    reason = str(error) if isinstance(error, ClickpaintError) else failures.reason(error)
    p.extra_generation_params[_FAILED] = " ".join(reason.split())
    p.comment(f"Clickpaint: {reason}")


def _options(p: Any) -> PaintOptions:
    """What the picture of generation `p` that is at hand was made with, within what `PaintOptions` takes."""
    from modules import sd_samplers

    from clickpaint.paint.paint_job import PaintOptions, Sampling, TextPrompt

    return PaintOptions(
        prompt=TextPrompt(p.prompts[p.batch_index], p.negative_prompts[p.batch_index]),
        sampling=Sampling(
            sampler=p.sampler_name if p.sampler_name in sd_samplers.all_samplers_map else "",
            scheduler=p.scheduler or "",
            steps=min(max(p.steps, 1), 150),
            cfg_scale=min(max(p.cfg_scale, 0), 30),
            seed=p.seeds[p.batch_index] % 2**32,
        ),
    )


def _with_pixels(picture: Image.Image, pixels: np.ndarray) -> Image.Image:
    result = Image.fromarray(pixels)
    if picture.mode in ("RGBA", "LA"):
        result.putalpha(picture.getchannel("A"))
    result.info.update(picture.info)
    return result


def _pasted(name: str, parameters: dict[str, Any]) -> Any:
    """The value of a component for a pasted infotext: that of a missing field is the default, without any the script is switched off."""
    from clickpaint.paint.touchup_job import INFOTEXT

    known = INFOTEXT["task"] in parameters
    if name == "enabled":
        return known
    if not known:
        return None  # stays as it is
    value = parameters.get(INFOTEXT[name], _DEFAULTS[name])
    return value if isinstance(_DEFAULTS[name], str) else type(_DEFAULTS[name])(float(value))


_DEFAULTS: dict[str, Any] = {
    "task": "remove", "points": "", "box": "", "prompt": "", "negative_prompt": "", "denoising_strength": 0.75, "eraser": "auto",
    "grow": -1, "feather": -1,
}  # fmt: skip
"""What the components start with; -1 for "what fits"."""


def _components(elem_id: Callable[[str], str], tab: str) -> dict[str, Any]:
    """The accordion's components by the names of `paint.touchup_job.NAMES`, in that order.

    Args:
        tab: "txt2img" or "img2img", whose pictures can be pointed on.
    """
    import gradio as gr
    from modules.ui_components import InputAccordion

    from clickpaint.erase.registry import ERASERS

    def text(name: str, label: str, placeholder: str) -> Any:
        return gr.Textbox("", label=label, placeholder=placeholder, lines=1, elem_id=elem_id(name))

    with InputAccordion(False, label=_TITLE, elem_id=elem_id("enabled")) as enabled:
        gr.HTML(f'<clickpaint-touchup data-tab="{tab}" data-points="{elem_id("points")}"></clickpaint-touchup>')
        task = gr.Radio(["remove", "fill", "replace"], value="remove", label="What to do with the object", elem_id=elem_id("task"))
        with gr.Row():
            points = text("points", "Points", "x,y; x,y,0 in pixels or as 0.5,0.5; empty: the best object found")
            box = text("box", "Box", "left,top,right,bottom")
        prompt = text("prompt", "Prompt for fill and replace", "empty: as above")
        negative_prompt = text("negative_prompt", "Negative prompt for fill and replace", "empty: as above")
        with gr.Row():
            strength = gr.Slider(0, 1, 0.75, step=0.01, label="Denoising strength", elem_id=elem_id("denoising_strength"))
            eraser = gr.Dropdown(["auto", *ERASERS], value="auto", label="Remove with", elem_id=elem_id("eraser"))
        with gr.Row():
            grow = gr.Slider(-1, 128, -1, step=1, label="Grow (px, -1: what fits)", elem_id=elem_id("grow"))
            feather = gr.Slider(-1, 128, -1, step=1, label="Feather (px, -1: what fits)", elem_id=elem_id("feather"))
    return {
        "enabled": enabled, "task": task, "points": points, "box": box, "prompt": prompt, "negative_prompt": negative_prompt,
        "denoising_strength": strength, "eraser": eraser, "grow": grow, "feather": feather,
    }  # fmt: skip
