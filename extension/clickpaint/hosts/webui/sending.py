"""Pictures and infotexts between the web UI's own tabs and ours, by the way that its own buttons go."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.hosts.webui.probe import infotext_module

Shown = Callable[[str, int, int], tuple[np.ndarray, str]]
"""shown(workspace, version, index of a result or -1) → its pixels, uint8 [H, W, 3], and its infotext or ''."""

Form = Mapping[str, str]
"""What the widgets of the open tab say, as text: prompt, negative_prompt, steps, sampler, scheduler, cfg_scale, denoising_strength. '' for
what is not there."""

On = Callable[..., Any]
"""on(trigger, js, inputs, fn, outputs) → event; see `ui.gradio_compat.on`."""

Kept = Callable[[Any], Any]
"""kept(component) → the same; see `ui.gradio_compat.described_once`."""

Field = tuple[Any, Callable[[Mapping[str, Any]], Any]]
"""A widget, and its value for an infotext's fields; None where they say nothing about it."""

_TAB, _TITLE = "clickpaint", "Clickpaint"
_PNG_INFO = ("pnginfo_image", "pnginfo_generation_info")
_LABELS = {"img2img": "img2img", "inpaint": "Inpaint", "extras": "Extras"}


def add_row(shown: Shown, on: On, heading: Callable[[str], Any], kept: Kept) -> None:
    """The buttons that send what the canvas shows to another tab, within the blocks that are being made.

    Args:
        heading: puts a text before the buttons.
    """
    import gradio as gr

    with gr.Row(elem_id="clickpaint_send", elem_classes=["cp-send"]):
        heading("Send to")
        buttons = {target: gr.Button(label, size="sm", elem_id=f"clickpaint_send_{target}") for target, label in _LABELS.items()}
        # the page shows it where there is a ControlNet
        control = gr.Button("ControlNet", size="sm", elem_id="clickpaint_send_controlnet", elem_classes=["cp-hidden"])
    with gr.Row(elem_classes=["cp-hidden"]):
        workspace = gr.Textbox(label="Workspace", elem_id="clickpaint_sent_workspace")
        version = gr.Number(label="Version", elem_id="clickpaint_sent_version")
        result = gr.Number(label="Result", elem_id="clickpaint_sent_result")
        exact: dict[str, Any] = (
            {"format": "png"} if "format" in inspect.signature(gr.Image.__init__).parameters else {}
        )  # others would lose detail
        picture = kept(gr.Image(label="Picture", type="pil", elem_id="clickpaint_sent_picture", **exact))
        form = gr.Textbox(label="Form", elem_id="clickpaint_sent_form")
        infotext = gr.Textbox(label="Infotext", elem_id="clickpaint_sent_infotext")
        # without a mask to send along, as the web UI's own buttons do
        unmasked = gr.Button("Send without mask", elem_id="clickpaint_send_unmasked")
        # beside a mask, which the page itself uploads with the picture
        parameters = gr.Button("Send parameters", elem_id="clickpaint_send_parameters")
        for target in _LABELS:
            _paste_buttons(target, picture, infotext)
        _paste_button("clickpaint_paste_parameters_text", "img2img", None, infotext)

    def fill(id: str, version: float, result: float, form: str) -> tuple[Image.Image, str]:
        pixels, text = shown(id or "", int(version or 0), int(result if result is not None else -1))
        return Image.fromarray(pixels), parameters_of(text, result, form, pixels.shape[1], pixels.shape[0])

    def fill_text(*values: Any) -> str:
        return fill(*values)[1]

    on(control.click, "() => { window.clickpaint?.toControlNet(); return []; }")
    on(buttons["inpaint"].click, "() => { window.clickpaint?.toInpaint(); return []; }")
    ask, inputs = "() => window.clickpaint.sending()", [workspace, version, result, form]
    event = on(parameters.click, ask, inputs, fill_text, [infotext])
    on(event.success, "(text) => { window.clickpaint.toMasked(text); return []; }", [infotext])
    for target, button in {**buttons, "inpaint": unmasked}.items():
        event = on(button.click, ask, inputs, fill, [picture, infotext])
        on(event.success, f"(text) => {{ window.clickpaint.paste('{target}', text); return []; }}", [infotext])


def of_size(infotext: str, width: int, height: int) -> str:
    """`infotext`, which tells the size of what was painted, with that of the whole picture."""
    return re.sub(r"(?m)(^|, )Size: \d+x\d+", rf"\g<1>Size: {width}x{height}", infotext)


def parameters_of(infotext: str, result: float | None, form: str, width: int, height: int) -> str:
    """The infotext that goes along with a picture: of a painted result its own, or else what the open tab is to paint, as the web UI's own
    buttons send the prompt that stands above them; without a prompt there, that of the picture's file. "" for none of them.

    Args:
        infotext: of what is shown.
        result: index of the painted result that is shown; -1 or None for none.
        form: a `Form` as JSON.
    """
    if result is None or result < 0:
        try:
            wanted = json.loads(form or "{}")
        except ValueError:
            wanted = {}
        if wanted.get("prompt", "").strip():
            return of_form(wanted, width, height)
    return of_size(infotext, width, height)


def of_form(form: Form, width: int, height: int) -> str:
    """An infotext, as the web UI writes it, of what the open tab is to paint."""
    fields = {"Steps": "steps", "Sampler": "sampler", "Schedule type": "scheduler", "CFG scale": "cfg_scale"}
    values = {label: form.get(name, "") for label, name in fields.items()}
    values |= {"Size": f"{width}x{height}", "Denoising strength": form.get("denoising_strength", "")}
    chosen = [
        f"{label}: {infotext_module().quote(value)}"
        for label, value in values.items()
        if value not in ("", "Automatic") and (label, value) != ("CFG scale", "0")
    ]
    negative = form.get("negative_prompt", "").strip()
    lines = [form["prompt"].strip(), *([f"Negative prompt: {negative}"] if negative else []), ", ".join(chosen)]
    return "\n".join(lines)


def _paste_buttons(target: str, picture: Any, infotext: Any) -> None:
    """A hidden button that the web UI makes paste the picture into a tab; where there are parameters also one that pastes the infotext with
    it. Two, because pasting an empty infotext would bring back the prompt of the last generation."""
    _paste_button(f"clickpaint_paste_{target}", target, picture, None)
    if target in ("img2img", "inpaint"):
        _paste_button(f"clickpaint_paste_{target}_text", target, picture, infotext)


def _paste_button(id: str, target: str, picture: Any, infotext: Any) -> None:
    import gradio as gr

    host = infotext_module()
    button = gr.Button("Paste", elem_id=id)
    binding = host.ParamBinding(paste_button=button, tabname=target, source_text_component=infotext, source_image_component=picture)
    host.register_paste_params_button(binding)


def add_paste_fields(fields: list[Field], on: On, kept: Kept) -> Callable[[str], dict[str, Any]]:
    """Let the web UI paste into our tab, within the blocks that are being made; gives what reads its infotexts."""
    import gradio as gr

    host = infotext_module()
    with gr.Row(elem_classes=["cp-hidden"]):
        picture = kept(gr.Image(label="Picture", type="pil", elem_id="clickpaint_pasted_picture"))
    # emptied at once: the same picture once more would be no change
    on(picture.change, "(picture) => { window.clickpaint?.take(picture); return [null]; }", [picture], outputs=[picture])
    host.add_paste_fields(_TAB, picture, [*fields])
    return host.parse_generation_parameters


class PngInfo:
    """The web UI's tab for looking at infotexts, which gets a button of ours beside its own. Its page is made before ours."""

    def __init__(self) -> None:
        self._parts: dict[str, Any] = {}

    def seen(self, component: Any, elem_id: str) -> None:
        """Told of every component that is made, right after it."""
        if elem_id in _PNG_INFO:
            self._parts[elem_id] = component
        elif elem_id == "extras_tab" and len(self._parts) == len(_PNG_INFO) and _shown():
            self._parts["button"] = type(component)(f"Send to {_TITLE}", elem_id=f"{_TAB}_tab")

    def bind(self) -> None:
        """Let its button paste; only now, because without `add_paste_fields` it would end the web UI's start."""
        parts, self._parts = self._parts, {}
        if "button" not in parts:
            return
        host = infotext_module()
        image, text = (parts[name] for name in _PNG_INFO)
        binding = host.ParamBinding(
            paste_button=parts["button"], tabname=_TAB, source_text_component=text, source_image_component=image
        )  # fmt: skip
        host.register_paste_params_button(binding)


def _shown() -> bool:
    """Whether the user lets the web UI show our tab."""
    from modules import shared

    return _TITLE not in shared.opts.hidden_tabs
