"""The web UI's always-on scripts of img2img, which are only read."""

from __future__ import annotations

from typing import Any

from clickpaint.errors import HostUnsupported


def image_to_image(*, filled: bool = False) -> Any:
    """The web UI's runner of scripts in img2img. filled: raise `HostUnsupported` while it has none yet."""
    from modules import scripts

    runner = scripts.scripts_img2img
    if filled and not runner.scripts:  # the page, whose making fills it, is not there yet
        raise HostUnsupported("The web UI is still starting.", "Try again in a few seconds.")
    return runner


def script_titled(runner: Any, title: str) -> Any | None:
    """The always-on script with this title, in lower case."""
    return next((script for script in runner.alwayson_scripts if script.title().lower() == title), None)


def defaults_of(runner: Any, script: Any) -> list[Any]:
    """The values that the script's inputs in img2img start with."""
    return [getattr(component, "value", None) for component in runner.inputs[script.args_from : script.args_to]]
