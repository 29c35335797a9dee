"""What goes along with a picture that is sent to another tab of the web UI, and what comes back from there."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from clickpaint.hosts.webui.sending import PngInfo, add_paste_fields, add_row, of_size, parameters_of


def test_the_infotext_tells_the_size_of_the_whole_picture() -> None:
    text = "a cat\nSteps: 20, Sampler: Euler a, Seed: 7, Size: 512x768, Hires Size: 9x9, Model: tiny"
    assert of_size(text, 1024, 640) == text.replace("512x768", "1024x640")
    assert of_size("", 10, 20) == ""
    assert of_size("Oversize: 1x1", 10, 20) == "Oversize: 1x1"


@pytest.fixture
def pasting(web):
    """The web UI's module for infotexts, with what is registered: {tab: (image, fields)} and bindings."""
    fields: dict[str, Any] = {}
    bindings: list[Any] = []
    web._set("modules.infotext_utils.add_paste_fields", lambda tabname, init_img, given: fields.update({tabname: (init_img, given)}))
    web._set("modules.infotext_utils.register_paste_params_button", bindings.append)
    web._set("modules.infotext_utils.parse_generation_parameters", lambda x, skip_fields=None: {"Steps": x})
    web.shared.opts.hidden_tabs = []
    return web, fields, bindings


def page_of_png_info(info: PngInfo) -> Any:
    """What the web UI makes for that tab, told as its callback tells it."""
    gr = pytest.importorskip("gradio")
    with gr.Blocks() as blocks:
        for name, kind in (("pnginfo_image", gr.Image), ("pnginfo_generation_info", gr.Textbox), ("txt2img_tab", gr.Button)):
            info.seen(kind(elem_id=name), name)
        info.seen(gr.Button(elem_id="extras_tab"), "extras_tab")
    return {block.elem_id: block for block in blocks.blocks.values() if block.elem_id}


def test_the_web_ui_may_paste_into_our_tab(pasting) -> None:
    gr = pytest.importorskip("gradio")
    from clickpaint.ui import gradio_compat

    _, fields, _ = pasting
    with gr.Blocks():
        widget = gr.Number(3)
        given = [(widget, lambda parsed: parsed["Steps"])]
        parse = add_paste_fields(given, gradio_compat.on, gradio_compat.described_once)
    image, infotext = fields["clickpaint"]
    assert image.elem_id == "clickpaint_pasted_picture"
    assert infotext == given and infotext is not given, "the web UI changes the list that it gets"
    assert parse("x") == {"Steps": "x"}


def test_png_info_has_a_button_of_ours_as_soon_as_there_is_a_tab_for_it(pasting) -> None:
    _, _, bindings = pasting
    info = PngInfo()
    page = page_of_png_info(info)
    assert page["clickpaint_tab"].value == "Send to Clickpaint"
    assert not bindings, "the web UI would not start if our tab cannot be made"
    info.bind()
    (binding,) = bindings
    assert (binding.paste_button, binding.tabname) == (page["clickpaint_tab"], "clickpaint")
    assert binding.source_image_component is page["pnginfo_image"]
    assert binding.source_text_component is page["pnginfo_generation_info"]
    info.bind()
    assert len(bindings) == 1, "after a reload the components of the page before are gone"


def test_no_button_where_it_would_lead_nowhere(pasting) -> None:
    web, _, bindings = pasting
    gr = pytest.importorskip("gradio")
    info = PngInfo()
    with gr.Blocks() as blocks:
        info.seen(gr.Button(elem_id="extras_tab"), "extras_tab")
    assert len(blocks.blocks) == 1, "a button of that name elsewhere is none of PNG Info's"
    web.shared.opts.hidden_tabs = ["Clickpaint"]
    assert "clickpaint_tab" not in page_of_png_info(info)
    info.bind()
    assert not bindings


FORM = {
    "prompt": "a cat, sitting", "negative_prompt": "ugly", "steps": "7", "sampler": "Euler a", "scheduler": "Automatic", "cfg_scale": "5.5",
    "denoising_strength": "0.6",
}  # fmt: skip


def test_what_goes_along_with_a_picture(pasting) -> None:
    pasting[0]._set("modules.infotext_utils.quote", lambda text: text)
    theirs = "a house\nSteps: 20, Size: 8x8"
    form = json.dumps(FORM)
    typed = "a cat, sitting\nNegative prompt: ugly\nSteps: 7, Sampler: Euler a, CFG scale: 5.5, Size: 64x32, Denoising strength: 0.6"
    assert parameters_of(theirs, -1, form, 64, 32) == typed, "nothing was painted: what is about to be"
    assert parameters_of(theirs, None, form, 64, 32) == typed
    assert parameters_of(theirs, 0, form, 64, 32) == "a house\nSteps: 20, Size: 64x32", "what this very picture was painted with"
    for nothing in ("", "{}", "no JSON", json.dumps({**FORM, "prompt": " "})):
        assert parameters_of(theirs, -1, nothing, 64, 32) == "a house\nSteps: 20, Size: 64x32"
        assert parameters_of("", -1, nothing, 64, 32) == "", "pasting this would bring back the prompt of the last generation"
    assert parameters_of("", -1, json.dumps({"prompt": "a cat"}), 64, 32) == "a cat\nSize: 64x32"


def test_inpainting_gets_parameters_with_the_picture_and_beside_a_mask(pasting) -> None:
    gr = pytest.importorskip("gradio")
    from clickpaint.ui import gradio_compat

    _, _, bindings = pasting
    with gr.Blocks():
        add_row(lambda *_: (np.zeros((4, 6, 3), np.uint8), ""), gradio_compat.on, gr.HTML, gradio_compat.described_once)
    ways = {binding.paste_button.elem_id: binding for binding in bindings}
    assert set(ways) == {
        "clickpaint_paste_img2img", "clickpaint_paste_img2img_text", "clickpaint_paste_inpaint", "clickpaint_paste_inpaint_text",
        "clickpaint_paste_extras", "clickpaint_paste_parameters_text",
    }  # fmt: skip
    for name in ("img2img", "inpaint"):
        binding = ways[f"clickpaint_paste_{name}_text"]
        assert binding.tabname == name and binding.source_text_component is not None and binding.source_image_component is not None
    beside = ways["clickpaint_paste_parameters_text"]  # the page uploads picture and mask itself
    assert (beside.tabname, beside.source_image_component) == ("img2img", None) and beside.source_text_component is not None
