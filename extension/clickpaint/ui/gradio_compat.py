"""What differs between gradio 3.41, 4.40 and 6: the rest of the page does not ask which one it runs in."""

from __future__ import annotations

import functools
import inspect
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    import gradio as gr
    from fastapi import FastAPI

T = TypeVar("T")


def version() -> int:
    """The major version that is installed."""
    import gradio

    return int(gradio.__version__.partition(".")[0])


def accepted(function: Callable[..., Any], **arguments: Any) -> dict[str, Any]:
    """Those of `arguments` that `function` takes by name."""
    # a page asks this of over a hundred triggers, which are bound to their components but of few kinds
    kind = function.func if isinstance(function, functools.partial) else function
    kind = getattr(kind, "__code__", kind if isinstance(kind, type) else type(kind))
    known = _KNOWN.get(kind)
    if known is None:
        known = _KNOWN[kind] = frozenset(inspect.signature(function).parameters)
    return {name: value for name, value in arguments.items() if name in known}


_KNOWN: dict[Any, frozenset[str]] = {}
"""The names of parameters, by a function's code, or by the class: of which an object is called (gradio 3), or that is called itself."""


def on(
    trigger: Callable[..., Any],
    js: str,
    inputs: Sequence[Any] = (),
    fn: Callable[..., Any] | None = None,
    outputs: Sequence[Any] = (),
) -> Any:
    """Run `js` in the page when `trigger` (say `button.click`) fires, and then `fn`, if there is one, with what it returned.

    Args:
        js: a function of the inputs' values that returns a list. Without `fn` that list holds the outputs' new values.

    Returns:
        The event, whose `then` is a trigger for what shall follow.
    """
    # not among the host's API endpoints: newer versions have one argument for that, older ones another
    quiet = accepted(trigger, show_progress="hidden", api_visibility="private")
    if "api_visibility" not in quiet:
        quiet |= accepted(trigger, api_name=False)
    if fn is None:
        quiet |= accepted(trigger, queue=False)
    key = "js" if version() >= 4 else "_js"
    return trigger(fn=fn, inputs=list(inputs) or None, outputs=list(outputs) or None, **quiet, **{key: js})


def send(
    trigger: Callable[..., Any],
    message: Mapping[str, Any],
    inputs: Sequence[Any] = (),
    fn: Callable[..., Any] | None = None,
    outputs: Sequence[Any] = (),
    otherwise: Sequence[Any] = (),
) -> Any:
    """Send a message to the page's script when `trigger` fires, and then run `fn`, if there is one, with what it gave back; see `on`.

    Args:
        message: JSON-compatible data whose "do" says what it is; see `javascript/clickpaint/host/messages.mjs`.
        otherwise: what the page gives back where its script has not come (yet).

    Returns:
        The event, whose `then` is a trigger for what shall follow.
    """
    js = f"(...values) => window.clickpaint ? window.clickpaint.send({json.dumps(message)}, values) : {json.dumps([*otherwise])}"
    return on(trigger, js, inputs, fn, outputs)


def ids(widgets: Mapping[str, Any]) -> dict[str, str]:
    """The elements' ids by the widgets' names.

    By them the page's script reads what widgets show now: the values that gradio hands on may be those of a moment ago.
    """
    return {name: widget.elem_id for name, widget in widgets.items()}


def described_once(component: T) -> T:
    """The same component, whose description for API clients is kept: Gradio 4 derives those of pictures anew, milliseconds for each,
    with every look at the page while it starts."""
    component.api_info = functools.cache(component.api_info)  # type: ignore[attr-defined]
    return component


def html(value: str, **arguments: Any) -> gr.HTML:
    """Raw HTML, without the padding that newer versions put around it."""
    import gradio as gr

    return gr.HTML(value, **arguments, **accepted(gr.HTML.__init__, padding=False, js_on_load=None))


def blocks(title: str) -> gr.Blocks:
    import gradio as gr

    return gr.Blocks(title=title, analytics_enabled=False, **accepted(gr.Blocks.__init__, fill_width=True))


def theme(**variables: str) -> Any:
    """A theme that loads no font from anywhere. `variables`: theme variables; those this version does not know are left out."""
    import gradio as gr
    from gradio.themes.utils.fonts import Font

    sans = [Font(name) for name in ("system-ui", "Segoe UI", "Roboto", "Helvetica Neue", "Noto Sans SC", "Microsoft YaHei", "sans-serif")]
    mono = [Font(name) for name in ("ui-monospace", "Consolas", "monospace")]
    base = gr.themes.Base(primary_hue=gr.themes.colors.indigo, neutral_hue=gr.themes.colors.slate, font=sans, font_mono=mono)
    return base.set(**accepted(base.set, **variables))


def mount(app: FastAPI, page: gr.Blocks, *, theme: Any) -> FastAPI:
    """Put the page at the root of `app`. For gradio 6, the stand-alone program's.

    Its queue looks a thousand times a second whether an event has come, which takes a twentieth of a processor while nobody does anything:
    here as often as Gradio itself looks on Windows.
    """
    import gradio as gr

    queue = getattr(page, "_queue", None)
    for pause in ("sleep_when_free", "progress_update_sleep_when_free"):
        if hasattr(queue, pause):
            setattr(queue, pause, max(getattr(queue, pause), 0.05))
    return gr.mount_gradio_app(app, page, path="/", theme=theme, footer_links=[], run_history=False, ssr_mode=False, mcp_server=False)
