"""The parts of the page beside the canvas, one function each. Widgets tell the canvas what was chosen; it talks to the API itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from clickpaint.ui import gradio_compat as compat

if TYPE_CHECKING:
    from clickpaint.ui.front import Front

AUTOMATIC = "Automatic"
DIFFUSION = "Stable Diffusion"
FORMATS = {"As it came in": "source", "PNG": "png", "JPEG": "jpeg", "WebP": "webp"}
_PIXELS = {"Grow": 8, "Feather": 4}
"""Where the sliders stand when the edge follows the picture: what fits one of a megapixel."""


class Removing(NamedTuple):
    """The button that does it, and how.

    Attributes:
        names: of the erasers, by what the list shows.
    """

    button: Any
    eraser: Any
    auto_edge: Any
    grow: Any
    feather: Any
    grain: Any
    names: dict[str, str]


def removing(studio: Front, *, diffusion: bool = False) -> Removing:
    """What the button needs to be started with, shown.

    Args:
        diffusion: whether the host's checkpoint is one of the erasers.
    """
    import gradio as gr

    setting = studio.host.setting
    remove = gr.Button("Remove", variant="primary", elem_id="clickpaint_remove", elem_classes=["cp-primary"])
    with gr.Group(elem_classes=["cp-options-group"]):
        names = _eraser_names(studio, diffusion)
        eraser = gr.Dropdown(label="Remove with", choices=[*names], value=_label(names, setting("eraser")), elem_id="clickpaint_eraser")
        fits, hidden = follows_picture(setting), ["cp-hidden"] if follows_picture(setting) else []
        auto_edge = gr.Checkbox(fits, label="Edge follows the picture", elem_id="clickpaint_auto_edge")
        compat.html("<p></p>", elem_id="clickpaint_edge")
        grow, feather = (
            gr.Slider(0, 128, _PIXELS[name] if value < 0 else value, step=1, label=f"{name} (px)", elem_id=f"clickpaint_{name.lower()}",
                      elem_classes=hidden)
            for name, value in (("Grow", setting("erase_grow")), ("Feather", setting("erase_feather")))
        )  # fmt: skip
        # shown by the page while the eraser is one that can leave it out
        grain = gr.Slider(0, 1, setting("erase_grain"), step=0.05, label="Grain", elem_id="clickpaint_grain", elem_classes=["cp-hidden"])
    _send_option("eraser", eraser, names)
    _send_option("auto_edge", auto_edge)
    _send_option("grow", grow)
    _send_option("feather", feather)
    _send_option("grain", grain)
    return Removing(remove, eraser, auto_edge, grow, feather, grain, names)


def follows_picture(setting: Callable[[str], Any]) -> bool:
    """Whether the settings leave grow and feather to what fits a picture."""
    return setting("erase_grow") < 0 and setting("erase_feather") < 0


def starts_removing(widgets: Removing, paint: Mapping[str, Any] | None = None) -> None:
    """Let the button do it. `paint`: widgets that say how to paint, by their names in the API, where the host can."""
    options = {name: getattr(widgets, name) for name in ("eraser", "auto_edge", "grow", "feather", "grain")}
    paint = paint or {}
    names = {"eraser": widgets.names}
    message = {"do": "begin", "task": "remove", "options": compat.ids(options), "names": names, "widgets": compat.ids(paint)}
    compat.send(widgets.button.click, message, [*options.values(), *paint.values()])


def selecting(studio: Front) -> Any:
    """What answers the clicks: the list of segmenters."""
    import gradio as gr

    with gr.Group(elem_classes=["cp-options-group"]):
        names = _engines(studio.pool.segmenters())
        chosen = _label(names, studio.host.setting("segmenter"))
        segmenter = gr.Dropdown(label="Select with", choices=[*names], value=chosen, elem_id="clickpaint_segmenter")
        preview = gr.Checkbox(True, label="Preview under the pointer", elem_id="clickpaint_preview")
    _send_option("segmenter", segmenter, names)
    _send_option("preview", preview)
    return segmenter


def follow_files(studio: Front, segmenter: Any, eraser: Any, *, diffusion: bool = False) -> None:
    """Lists offer what can be chosen now, whenever the canvas presses the hidden button: a model's file has come."""
    import gradio as gr

    with gr.Row(elem_classes=["cp-hidden"]):
        refresh = gr.Button("Refresh lists", elem_id="clickpaint_refresh")

    def listed() -> list[Any]:
        names = _engines(studio.pool.segmenters()), _eraser_names(studio, diffusion)
        return [gr.update(choices=[*choices]) for choices in names]

    compat.on(refresh.click, "() => []", [], listed, [segmenter, eraser])


def follow_settings(studio: Front, removing: Removing, segmenter: Any, *, diffusion: bool = False) -> None:
    """Widgets say what the settings say now, whenever the page presses the hidden button: one was changed since the page was made."""
    import gradio as gr

    with gr.Row(elem_classes=["cp-hidden"]):
        follow = gr.Button("Follow settings", elem_id="clickpaint_follow_settings")

    def values() -> list[Any]:
        setting = studio.host.setting
        engines = _engines(studio.pool.segmenters()), _eraser_names(studio, diffusion)
        chosen = [_label(names, setting(key)) for names, key in zip(engines, ("segmenter", "eraser"), strict=True)]
        pixels = {"Grow": setting("erase_grow"), "Feather": setting("erase_feather")}
        edge = [_PIXELS[name] if value < 0 else value for name, value in pixels.items()]
        return [gr.update(value=value) for value in (*chosen, follows_picture(setting), *edge, setting("erase_grain"))]

    widgets = [segmenter, removing.eraser, removing.auto_edge, removing.grow, removing.feather, removing.grain]
    compat.on(follow.click, "() => []", [], values, widgets)


def saving() -> None:
    """The format that is saved; the quality is seen only where there is one to choose."""
    import gradio as gr

    with gr.Group(elem_classes=["cp-options-group"]):
        format = gr.Dropdown(label="Save as", choices=[*FORMATS], value=next(iter(FORMATS)), elem_id="clickpaint_format")
        quality = gr.Slider(1, 100, 95, step=1, label="Quality", elem_id="clickpaint_quality", elem_classes=["cp-hidden"])
    save = gr.Button("Save", elem_id="clickpaint_save")
    _send_option("format", format, FORMATS)
    _send_option("quality", quality)
    compat.send(save.click, {"do": "save"})


def results() -> None:
    """What was made so far, as small copies that give the full files."""
    import gradio as gr

    with gr.Accordion("Results", open=False, elem_id="clickpaint_results"):
        compat.html('<clickpaint-results id="clickpaint_gallery"></clickpaint-results>')


def send_here(source: str, button_class: Callable[..., Any]) -> None:
    """A button for the web UI's own row under the results of `source`, "txt2img" or "img2img": its picture goes to the canvas.

    The page's script gives it its tooltip; the others of that row have symbols too, and `button_class` is theirs.
    """
    button = button_class("\U0001f3af", elem_id=f"{source}_send_to_clickpaint")
    compat.send(button.click, {"do": "receive", "source": source})


def models() -> None:
    """All models in one place: what is there, what is used, what can be had."""
    import gradio as gr

    with gr.Accordion("Models", open=False, elem_id="clickpaint_models"):
        compat.html("<clickpaint-model-manager></clickpaint-model-manager>")


def _eraser_names(studio: Front, diffusion: bool) -> dict[str, str]:
    return {**_engines(studio.pool.erasers()), **({DIFFUSION: "diffusion"} if diffusion else {})}


def _engines(engines: list[Any]) -> dict[str, str]:
    """From what a list shows to the engine's name, "auto" first. Only what could work here, its file once downloaded."""
    can_come = ("missing", "partial", "corrupt")
    usable = [engine for engine in engines if engine.available or (engine.state in can_come and not engine.blocked)]
    return {AUTOMATIC: "auto", **{engine.title: engine.name for engine in usable}}


def _label(names: Mapping[str, str], value: str) -> str:
    return next((label for label, name in names.items() if name == value), AUTOMATIC)


def _send_option(option: str, widget: Any, names: Mapping[str, str] | None = None) -> None:
    """Whatever is chosen in `widget` becomes the canvas's option."""
    compat.send(widget.change, {"do": "option", "option": option, "names": dict(names or {})}, [widget])
