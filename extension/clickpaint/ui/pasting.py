"""Reading an infotext back into the widgets: by a button of ours, and by the web UI's own ways to paste."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError
from clickpaint.ui import gradio_compat as compat

if TYPE_CHECKING:
    from clickpaint.session.workspace import Workspace
    from clickpaint.ui.front import Front

Parsed = Mapping[str, Any]
"""An infotext's fields by their names."""

Field = tuple[Any, Callable[[Parsed], Any]]
"""A widget, and its value for an infotext; None where that says nothing about it. As the web UI's scripts have them."""

Paste = Callable[[list[Field]], Callable[[str], Parsed]]
"""Tells a host which widgets take what from an infotext; it gives what reads one."""

_SYMBOL = "\u2199"  # as the web UI has it, but without what makes an emoji of it

_marks = itertools.count(1)


def field(widget: Any, value: Callable[[dict[str, Any]], Any]) -> Field:
    """A widget that takes what `value` makes of `infotext.read`; nothing where one of the names that it asks for is not there."""

    def taken(parsed: Parsed) -> Any:
        from clickpaint.paint import infotext

        try:
            return _usable(widget, value(infotext.read(parsed)))
        except KeyError:
            return None

    return widget, taken


def button(studio: Front, fields: list[Field], paste: Paste | None) -> None:
    """The button that reads the parameters in the open tab's prompt, or else those of the picture shown.

    Args:
        paste: the web UI's; None for what stands alone.
    """
    import gradio as gr

    press = gr.Button(f"{_SYMBOL} Read parameters", size="sm", elem_id="clickpaint_read")
    with gr.Row(elem_classes=["cp-hidden"]):
        text = gr.Textbox(label="Parameters", elem_id="clickpaint_parameters")
        workspace = gr.Textbox(label="Workspace", elem_id="clickpaint_read_workspace")
        version = gr.Number(label="Version", elem_id="clickpaint_read_version")
        result = gr.Number(label="Result", elem_id="clickpaint_read_result")
        task = gr.Textbox("", label="Task", elem_id="clickpaint_pasted_task")

    def marked(parsed: Parsed) -> str:
        from clickpaint.paint import infotext

        return f"{infotext.read(parsed).get('task', '')} {next(_marks)}"  # the same task twice would be no change

    fields = [*fields, (task, marked)]
    web_ui_parse = paste(fields) if paste is not None else None

    def read(prompt: str, id: str, number: float, index: float) -> list[Any]:
        from clickpaint.paint import infotext

        parameters = prompt if infotext.holds_parameters(prompt or "") else _shown(studio, id or "", int(number or 0), int(index))
        if not parameters:
            values = [*(None for _ in fields[1:]), f"none {next(_marks)}"]
        else:
            parsed = (web_ui_parse or infotext.parse)(parameters)
            values = [take(parsed) for _, take in fields]
        return [gr.update() if value is None else gr.update(value=value) for value in values]

    reading_script = "() => window.clickpaint?.reading() ?? ['', '', 0, -1]"
    compat.on(press.click, reading_script, [text, workspace, version, result], read, [widget for widget, _ in fields])
    compat.on(task.change, "(task) => { window.clickpaint?.pasted(task); return []; }", [task])


def of_version(opened: Workspace, version: int, result: int) -> str:
    """The infotext that belongs to a version of a picture: of the result it shows (-1: of none), or else of the file."""
    if 0 <= result < len(opened.results):
        return opened.results[result].infotext
    return opened.picture(version).source.text.get("parameters", "")


def _shown(studio: Front, id: str, version: int, result: int) -> str:
    try:
        return of_version(studio.workspace(id), version, result)
    except ClickpaintError:  # there is no picture
        return ""


def _usable(widget: Any, value: Any) -> Any:
    """`value` where the widget can show it, else None."""
    if value is None:
        return None
    choices = getattr(widget, "choices", None)
    if choices is not None:
        known = {choice[-1] if isinstance(choice, tuple) else choice for choice in choices}
        return value if set(value if isinstance(value, list) else [value]) <= known else None
    low, high = getattr(widget, "minimum", None), getattr(widget, "maximum", None)
    return None if (low is not None and value < low) or (high is not None and value > high) else value
