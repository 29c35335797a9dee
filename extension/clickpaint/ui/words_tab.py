"""The tab *Words*: what the picture shows, what it is to show, and how it gets there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from clickpaint.ui import gradio_compat as compat
from clickpaint.ui import pasting

METHODS = {"Prompt-to-Prompt": "p2p", "LEDITS++": "ledits", "DiffEdit": "diffedit", "SDEdit": "sdedit"}
"""As the page lists them → as the API calls them."""

INVERSIONS = {"By noise of its own (DDPM)": "ddpm", "By DDIM": "ddim", "From its seed": "seed"}

_ONLY = {"clickpaint_words_p2p": "Prompt-to-Prompt", "clickpaint_words_ledits": "LEDITS++", "clickpaint_words_diffedit": "DiffEdit"}
"""What is shown for which of the methods alone."""


def editing() -> tuple[str, Any, dict[str, Any], list[Any]]:
    """The task's name, its button, its own widgets by their names in the API, and what else starts it."""
    import gradio as gr

    source = gr.Textbox(
        label="What it is", lines=2, placeholder="What the picture shows: a photo of a cat on a bed", elem_id="clickpaint_source_prompt"
    )
    prompt = gr.Textbox(
        label="What it shall be", lines=2, placeholder="What it is to show: a photo of a dog on a bed", elem_id="clickpaint_edit_prompt"
    )
    negative = gr.Textbox(label="Negative prompt", lines=1, elem_id="clickpaint_edit_negative")
    method = gr.Dropdown(label="Method", choices=[*METHODS], value="Prompt-to-Prompt", elem_id="clickpaint_edit_method")
    with gr.Column(elem_id="clickpaint_words_p2p"):
        weights = gr.Textbox(
            label="Weights of words", lines=1, placeholder="stormy=3, people=0.5", elem_id="clickpaint_word_weights"
        )  # fmt: skip
        inversion = gr.Dropdown(
            label="The picture's noise", choices=[*INVERSIONS], value=next(iter(INVERSIONS)), elem_id="clickpaint_inversion"
        )
        cross = gr.Slider(0, 1, 0.8, step=0.05, label="Steps that keep the words' places", elem_id="clickpaint_cross_steps")
        within = gr.Slider(0, 1, 0.4, step=0.05, label="Steps that keep the composition", elem_id="clickpaint_self_steps")
        local = gr.Checkbox(False, label="Change only what the changed words look at", elem_id="clickpaint_local")
    with gr.Column(elem_id="clickpaint_words_ledits", elem_classes=["cp-hidden"]):
        edits = gr.Textbox(
            label="Edits", lines=2, placeholder="glasses, beard:-5, red hair:7:0.8", elem_id="clickpaint_edits"
        )  # fmt: skip
    with gr.Column(elem_id="clickpaint_words_diffedit", elem_classes=["cp-hidden"]):
        ratio = gr.Slider(0.5, 10, 3, step=0.1, label="Smaller mask", elem_id="clickpaint_mask_ratio")
    button = gr.Button("Edit", variant="primary", elem_id="clickpaint_edit", elem_classes=["cp-primary"])
    compat.html("<clickpaint-words></clickpaint-words>")
    compat.send(method.change, {"do": "method", "only": _ONLY}, [method])
    own = {
        "source_prompt": source, "prompt": prompt, "negative_prompt": negative, "edit_method": method, "word_weights": weights,
        "inversion": inversion, "cross_steps": cross, "self_steps": within, "local": local, "edits": edits, "mask_ratio": ratio,
    }  # fmt: skip
    return "edit", button, own, [prompt.submit]


def pasted(own: dict[str, Any]) -> list[pasting.Field]:
    """What the tab's widgets take from an infotext."""
    field = pasting.field

    def label(labels: dict[str, str], name: str) -> Callable[[dict[str, Any]], Any]:
        return lambda read: next((shown for shown, value in labels.items() if value == read[name]), None)

    plain = ("source_prompt", "cross_steps", "self_steps", "local", "mask_ratio")
    return [
        *(field(own[name], lambda read, name=name: read[name]) for name in plain),
        field(own["edit_method"], label(METHODS, "edit_method")),
        field(own["inversion"], label(INVERSIONS, "inversion")),
        field(own["word_weights"], lambda read: ", ".join(f"{words}={weight:g}" for words, weight in read["word_weights"])),
        field(own["edits"], lambda read: ", ".join(f"{edit.text}:{edit.scale:g}:{edit.threshold:g}" for edit in read["edits"])),
    ]
