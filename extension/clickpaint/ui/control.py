"""The panel of control maps. What is in it talks to the API itself, as the canvas does; see map_panel.mjs."""

from __future__ import annotations

from clickpaint.ui import gradio_compat as compat


def maps() -> None:
    """Control maps of the picture: made, looked at over it, kept, selected by, given to ControlNet."""
    import gradio as gr

    with gr.Accordion("Control map", open=False, elem_id="clickpaint_maps"):
        compat.html("<clickpaint-maps></clickpaint-maps>")
