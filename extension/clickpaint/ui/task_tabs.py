"""The parts of the page that paint on the host's checkpoint. As everywhere beside the canvas, the widgets' values go to it by js."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from clickpaint.ui import gradio_compat as compat
from clickpaint.ui import panels, pasting, words_tab

if TYPE_CHECKING:
    from clickpaint.hosts.base import Capabilities
    from clickpaint.ui.front import Front

MASKED_CONTENT = ("Fill", "Original", "Latent noise", "Latent nothing", "Erased")
SECOND_PASS = (panels.AUTOMATIC, "On", "Off")
PRESETS = {"To 16:9": "16:9", "To 4:3": "4:3", "To 1:1": "1:1", "To 9:16": "9:16", "25 % around": "25%", "None": "0%"}
REPAINT = "RePaint"
ENGINES = ("Inpaint", "ControlNet", REPAINT, "Depth")
"""Engines of ours that a task can choose; instructions have one of their own."""
WEB_UI = "Web UI"
SIDES = ("left", "top", "right", "bottom")
_LARGEST_MARGIN = 1024


def tasks(
    studio: Front, can: Capabilities, paste: pasting.Paste | None = None, below: Callable[[], None] = lambda: None
) -> panels.Removing:
    """Remove, fill, replace, expand, instruct, edit by words and vary, one tab each, and below them what all share that paint; gives the
    first's widgets.

    Args:
        paste: the web UI's way to read infotexts back.
        below: makes what stands right below the tabs.
    """
    import gradio as gr

    prepared = compat.accepted(gr.Tab.__init__, render_children=True)  # newer versions make a tab's content when it is opened
    starters: list[tuple[str, Any, dict[str, Any], list[Any]]] = []
    with gr.Tabs(elem_id="clickpaint_tasks"):
        with gr.Tab("Remove", elem_id="clickpaint_tab_remove", **prepared) as remove:
            removing = panels.removing(studio, diffusion=True)
        with gr.Tab("Fill", elem_id="clickpaint_tab_fill", **prepared) as fill:
            starters.append(_prompted("fill", "What to paint inside the selection"))
        with gr.Tab("Replace", elem_id="clickpaint_tab_replace", **prepared) as replace:
            starters.append(_prompted("replace", "What to paint around the selection"))
        with gr.Tab("Expand", elem_id="clickpaint_tab_expand", **prepared) as expand:
            starters.append(_expanding())
        with gr.Tab("Instruct", elem_id="clickpaint_tab_instruct", **prepared) as instruct:
            starters.append(_instructing())
        with gr.Tab("Words", elem_id="clickpaint_tab_edit", **prepared) as words:
            starters.append(words_tab.editing())
        with gr.Tab("Vary", elem_id="clickpaint_tab_vary", **prepared) as vary:
            starters.append(_varying())
    below()
    # the page's script shows it for tasks that paint: removing needs none of it
    with gr.Column(elem_id="clickpaint_painting"):
        if not can.own_sampler:
            compat.html("<clickpaint-checkpoint></clickpaint-checkpoint>")
        sampling = _sampling(can)
        with gr.Accordion("ControlNet", open=False, elem_id="clickpaint_controlnet"):
            compat.html("<clickpaint-control></clickpaint-control>")
        pasting.button(studio, _pasted(removing.eraser, starters, sampling), paste)

    for task, tab in (
        ("remove", remove),
        ("fill", fill),
        ("replace", replace),
        ("expand", expand),
        ("instruct", instruct),
        ("edit", words),
        ("vary", vary),
    ):
        compat.send(tab.select, {"do": "tab", "task": task})
    panels.starts_removing(removing, sampling)
    for task, button, own, triggers in starters:
        widgets = {**sampling, **own}
        margins = [side for side in SIDES if side in own]  # what was added is not to be added once more
        message = {"do": "begin", "task": task, "widgets": compat.ids(widgets), "used": margins}
        for trigger in (button.click, *triggers):
            compat.send(trigger, message, [*widgets.values()], outputs=[own[side] for side in margins], otherwise=[0] * len(margins))
    return removing


def _prompted(task: str, placeholder: str) -> tuple[str, Any, dict[str, Any], list[Any]]:
    """A task's name, its button, its own widgets by their names in the API, and what else starts it."""
    import gradio as gr

    prompt = gr.Textbox(label="Prompt", lines=3, placeholder=placeholder, elem_id=f"clickpaint_{task}_prompt")
    negative = gr.Textbox(label="Negative prompt", lines=1, elem_id=f"clickpaint_{task}_negative")
    button = gr.Button(task.capitalize(), variant="primary", elem_id=f"clickpaint_{task}", elem_classes=["cp-primary"])
    return task, button, {"prompt": prompt, "negative_prompt": negative}, [prompt.submit]


def _instructing() -> tuple[str, Any, dict[str, Any], list[Any]]:
    import gradio as gr

    task, button, own, triggers = _prompted("instruct", "What to do to the selection, or to the whole picture: make it snow")
    removal = gr.Button("Remove it, with its shadow", size="sm", elem_id="clickpaint_removal")
    compat.send(removal.click, {"do": "removal"})
    own["image_cfg_scale"] = gr.Slider(0, 10, 1.5, step=0.05, label="Image CFG scale", elem_id="clickpaint_image_cfg_scale")
    return task, button, own, triggers


def _varying() -> tuple[str, Any, dict[str, Any], list[Any]]:
    import gradio as gr

    task, button, own, triggers = _prompted("vary", "Where it may go, in words; nothing: another one like it")
    with gr.Group(elem_classes=["cp-options-group"]):
        own["batch_count"] = gr.Slider(1, 16, 4, step=1, label="Number of variations", elem_id="clickpaint_vary_count")
        own["denoising_strength"] = gr.Slider(0, 1, 0.75, step=0.01, label="How far it may go", elem_id="clickpaint_vary_strength")
    compat.html("<clickpaint-animate></clickpaint-animate>")
    return task, button, own, triggers


def _expanding() -> tuple[str, Any, dict[str, Any], list[Any]]:
    import gradio as gr

    prompt = gr.Textbox(label="Prompt", lines=2, placeholder="What to paint around the picture", elem_id="clickpaint_expand_prompt")
    with gr.Row(elem_classes=["cp-presets"]):
        presets = [gr.Button(label, size="sm", min_width=60) for label in PRESETS]
    with gr.Group(elem_classes=["cp-options-group"]):
        margins = {
            side: gr.Slider(0, _LARGEST_MARGIN, 0, step=8, label=side.capitalize(), elem_id=f"clickpaint_expand_{side}") for side in SIDES
        }
    button = gr.Button("Expand", variant="primary", elem_id="clickpaint_expand", elem_classes=["cp-primary"])
    sliders = [*margins.values()]
    for slider in sliders:
        compat.send(slider.change, {"do": "margins"}, sliders)
    for preset_button, preset in zip(presets, PRESETS.values(), strict=True):
        compat.send(preset_button.click, {"do": "preset", "preset": preset}, outputs=sliders, otherwise=[0, 0, 0, 0])
    return "expand", button, {"prompt": prompt, **margins}, [prompt.submit]


def _sampling(can: Capabilities) -> dict[str, Any]:
    """How to paint: widgets by their names in the API."""
    import gradio as gr

    widgets: dict[str, Any] = {}
    with gr.Accordion("Sampling", open=False, elem_id="clickpaint_sampling"):
        widgets["engine"] = _choice("Engine", [WEB_UI if can.own_sampler else panels.AUTOMATIC, *ENGINES], "engine")
        widgets["steps"] = gr.Slider(1, 150, 20, step=1, label="Sampling steps", elem_id="clickpaint_steps")
        widgets["sampler"] = _choice("Sampling method", [panels.AUTOMATIC, *can.samplers], "sampler")
        if can.schedulers:
            others = [name for name in can.schedulers if name != panels.AUTOMATIC]  # the web UI has one of that name, too
            widgets["scheduler"] = _choice("Schedule type", [panels.AUTOMATIC, *others], "scheduler")
        widgets["cfg_scale"] = gr.Slider(0, 30, 0, step=0.5, label="CFG scale (0: the model's own)", elem_id="clickpaint_cfg_scale")
        if can.distilled:
            with gr.Row(elem_id="clickpaint_distilled"):
                widgets["distilled_cfg_scale"] = gr.Slider(
                    0, 30, 0, step=0.1, label="Distilled CFG, or shift (0: the model's own)", elem_id="clickpaint_distilled_cfg_scale"
                )
        strength = gr.Slider(0, 1, 0.75, step=0.01, label="Denoising strength", elem_id="clickpaint_denoising")
        widgets["denoising_strength"] = strength
        compat.html("<p></p>", elem_id="clickpaint_start")
        for widget in (strength, *(widgets[name] for name in ("cfg_scale", "distilled_cfg_scale") if name in widgets)):
            compat.send(widget.change, {"do": "start"})
        widgets["batch_count"] = gr.Slider(1, 16, 1, step=1, label="Number of results", elem_id="clickpaint_batch_count")
        with gr.Row(elem_classes=["cp-seed"]):
            seed = widgets["seed"] = gr.Number(-1, label="Seed", precision=0, min_width=80, elem_id="clickpaint_seed")
            random = gr.Button("Random", elem_id="clickpaint_random_seed", size="sm", scale=0, min_width=72)
            reuse = gr.Button("Last one", elem_id="clickpaint_reuse_seed", size="sm", scale=0, min_width=72)
        widgets["masked_content"] = _choice("Masked content", [*MASKED_CONTENT], "masked_content")
        widgets["resolution"] = gr.Slider(
            0, 2048, 0, step=64, label="Resolution (0: the checkpoint's own)", elem_id="clickpaint_resolution"
        )
        widgets["second_pass"] = _choice("Second pass", [*SECOND_PASS], "second_pass")
        widgets["soft_inpainting"] = gr.Checkbox(False, label="Soft inpainting", elem_id="clickpaint_soft_inpainting")
        with gr.Row(elem_id="clickpaint_repaint", elem_classes=["cp-hidden"]):
            widgets["repaint_jump"] = gr.Slider(1, 50, 10, step=1, label="RePaint: jump", elem_id="clickpaint_repaint_jump")
            widgets["repaint_resamples"] = gr.Slider(1, 20, 10, step=1, label="RePaint: resamples", elem_id="clickpaint_repaint_resamples")
        if can.styles:
            widgets["styles"] = gr.Dropdown(label="Styles", choices=[*can.styles], value=[], multiselect=True, elem_id="clickpaint_styles")
        compat.html("<clickpaint-steering></clickpaint-steering>", elem_id="clickpaint_steering")
    engine = widgets["engine"]
    compat.send(engine.change, {"do": "engine", "host": WEB_UI, "only": {"clickpaint_repaint": REPAINT}}, [engine])
    compat.on(random.click, "() => [-1]", outputs=[seed])
    compat.send(reuse.click, {"do": "seed"}, outputs=[seed], otherwise=[-1])
    return widgets


def _pasted(eraser: Any, starters: list[tuple[str, Any, dict[str, Any], list[Any]]], sampling: dict[str, Any]) -> list[pasting.Field]:
    """What each widget takes from an infotext. A prompt goes to the tab of its task, one of nobody's to all of them."""
    field = pasting.field

    def of(task: str, widget: Any, name: str) -> pasting.Field:
        return field(widget, lambda read: read[name] if read.get("task", task) == task else None)

    fields = [field(eraser, lambda read: panels.DIFFUSION if read["task"] == "remove" else None)]
    for task, _, own, _ in starters:
        fields += [of(task, own[name], name) for name in ("prompt", "negative_prompt") if name in own]
        if "image_cfg_scale" in own:
            fields.append(field(own["image_cfg_scale"], lambda read: read["image_cfg_scale"]))
        if task == "vary":
            fields.append(of(task, own["denoising_strength"], "denoising_strength"))
        if "source_prompt" in own:
            fields += words_tab.pasted(own)
        fields += [field(own[side], lambda read, i=i: read["expand"][i]) for i, side in enumerate(SIDES) if side in own]
    second_pass = dict(zip((None, True, False), SECOND_PASS, strict=True))
    fields.append(field(sampling["masked_content"], lambda read: read["masked_content"].capitalize()))
    fields.append(field(sampling["second_pass"], lambda read: second_pass[read["refine"]]))
    engines = {name.lower(): name for name in ENGINES}
    fields.append(field(sampling["engine"], lambda read: engines.get(read["engine"], sampling["engine"].value)))
    plain = (
        "steps", "sampler", "scheduler", "cfg_scale", "distilled_cfg_scale", "denoising_strength", "seed", "resolution", "soft_inpainting",
        "styles", "repaint_jump", "repaint_resamples",
    )  # fmt: skip
    return fields + [field(sampling[name], lambda read, name=name: read[name]) for name in plain if name in sampling]


def _choice(label: str, choices: list[str], name: str) -> Any:
    import gradio as gr

    return gr.Dropdown(label=label, choices=choices, value=choices[0], elem_id=f"clickpaint_{name}")
