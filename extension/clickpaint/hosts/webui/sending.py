"""Our pictures into the web UI's own tabs, by the way that its own buttons go: the picture, its size and its infotext."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image

from clickpaint.hosts.webui.probe import infotext_module

Shown = Callable[[str, int, int], tuple[np.ndarray, str]]
"""shown(workspace, version, index of a result or -1) → its pixels, uint8 [H, W, 3], and its infotext or ''."""

On = Callable[..., Any]
"""on(trigger, js, inputs, fn, outputs) → event; see `ui.gradio_compat.on`."""

_LABELS = {"img2img": "img2img", "inpaint": "Inpaint", "extras": "Extras"}


def add_row(shown: Shown, on: On, heading: Callable[[str], Any]) -> None:
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
        picture = gr.Image(label="Picture", type="pil", elem_id="clickpaint_sent_picture", **exact)
        infotext = gr.Textbox(label="Infotext", elem_id="clickpaint_sent_infotext")
        # without a mask to send along, as the web UI's own buttons do
        unmasked = gr.Button("Send without mask", elem_id="clickpaint_send_unmasked")
        for target in _LABELS:
            _paste_buttons(target, picture, infotext)

    def fill(id: str, version: float, result: float) -> tuple[Image.Image, str]:
        pixels, text = shown(id or "", int(version or 0), int(result if result is not None else -1))
        return Image.fromarray(pixels), of_size(text, pixels.shape[1], pixels.shape[0])

    on(control.click, "() => { window.clickpaint?.toControlNet(); return []; }")
    on(buttons["inpaint"].click, "() => { window.clickpaint?.toInpaint(); return []; }")
    for target, button in {**buttons, "inpaint": unmasked}.items():
        ask = "() => window.clickpaint.sending()"
        event = on(button.click, ask, [workspace, version, result], fill, [picture, infotext])
        on(event.success, f"(text) => {{ window.clickpaint.paste('{target}', text); return []; }}", [infotext])


def of_size(infotext: str, width: int, height: int) -> str:
    """`infotext`, which tells the size of what was painted, with that of the whole picture."""
    return re.sub(r"(?m)(^|, )Size: \d+x\d+", rf"\g<1>Size: {width}x{height}", infotext)


def _paste_buttons(target: str, picture: Any, infotext: Any) -> None:
    """A hidden button that the web UI makes paste the picture into a tab; for img2img also one that pastes the infotext with it.

    Two, because pasting an empty infotext would bring back the prompt of the last generation; and only there, because the scripts
    of the web UIs stumble over one for inpainting, and extras have no use for it.
    """
    import gradio as gr

    host = infotext_module()

    def one(suffix: str, text: Any) -> None:
        button = gr.Button("Paste", elem_id=f"clickpaint_paste_{target}{suffix}")
        binding = host.ParamBinding(paste_button=button, tabname=target, source_text_component=text, source_image_component=picture)
        host.register_paste_params_button(binding)

    one("", None)
    if target == "img2img":
        one("_text", infotext)
