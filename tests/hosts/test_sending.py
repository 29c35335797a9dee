"""What goes along with a picture that is sent to another tab of the web UI, and what comes back from there."""

from __future__ import annotations

from typing import Any

import pytest

from clickpaint.hosts.webui.sending import PngInfo, add_paste_fields, of_size


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
    image, told = fields["clickpaint"]
    assert image.elem_id == "clickpaint_pasted_picture"
    assert told == given and told is not given, "the web UI changes the list that it gets"
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
