"""The Describe panel: an element of the page, which talks to the API itself."""

from __future__ import annotations

from clickpaint.ui import gradio_compat as compat


def panel() -> None:
    """Words for what is selected, beside the canvas."""
    import gradio as gr

    with gr.Accordion("Describe", open=False, elem_id="clickpaint_describe"):
        compat.html("<clickpaint-describe></clickpaint-describe>")
