"""What was painted as fields of a web UI's infotext, and such an infotext back as options.

The web UI's own fields say the most; those of ours say what it has no field for, or another meaning: of a second pass the web UI tells
the strength, not what the user asked for.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any, get_args

from clickpaint.paint.paint_job import MaskedContent, PaintJob, Task

TASK = "Clickpaint"
"""The field that holds the task, and tells that an infotext is one of ours."""

_NAMES = ("masked content", "denoising strength", "resolution", "second pass", "soft inpainting", "margins", "grow", "feather")
_MASKED_CONTENT, _STRENGTH, _RESOLUTION, _SECOND_PASS, _SOFT, _MARGINS, _GROW, _FEATHER = (f"{TASK} {name}" for name in _NAMES)

_ENGINE = f"{TASK} engine"  # told by engines of ours alone

_PARAMETERS = re.compile(r'\s*([\w][\w \-/]*):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_NEGATIVE = "Negative prompt:"


def told(job: PaintJob) -> dict[str, str]:
    """Our fields for one job: only what an infotext would not tell otherwise. No value needs quoting."""
    options = job.options
    fields: dict[str, str] = {TASK: options.task}
    if options.task != "instruct":
        fields[_MASKED_CONTENT] = options.masked_content
        if job.strength != options.denoising_strength:
            fields[_STRENGTH] = f"{options.denoising_strength:g}"
    if options.resolution:
        fields[_RESOLUTION] = str(options.resolution)
    if options.refine is not None:
        fields[_SECOND_PASS] = "on" if options.refine else "off"
    if options.soft_inpainting:
        fields[_SOFT] = "on"
    if options.task == "expand":
        fields[_MARGINS] = " ".join(map(str, options.expand))
    for name, pixels in ((_GROW, options.grow), (_FEATHER, options.feather)):
        if pixels is not None:
            fields[name] = str(pixels)
    return fields


def holds_parameters(text: str) -> bool:
    """Whether a text is an infotext and not just a prompt."""
    return len(_PARAMETERS.findall(text.strip().rpartition("\n")[2])) >= 3


def parse(text: str) -> dict[str, str]:
    """The fields of an infotext by their names, among them "Prompt" and "Negative prompt", as the web UI has them."""
    *lines, last = text.strip().split("\n")
    if not holds_parameters(last):
        lines, last = [*lines, last], ""
    at = next((i for i, line in enumerate(lines) if line.strip().startswith(_NEGATIVE)), len(lines))
    negative = "\n".join(lines[at:]).strip().removeprefix(_NEGATIVE).strip()
    fields = {"Prompt": "\n".join(lines[:at]).strip(), "Negative prompt": negative}
    return fields | {name.strip(): _unquoted(value.strip()) for name, value in _PARAMETERS.findall(last)}


def read(fields: Mapping[str, Any]) -> dict[str, Any]:
    """What the fields of an infotext say, by the names of `PaintOptions`; left out is what they do not say, or not in a usable way.

    What one of ours leaves out had its default, and is told so.
    """
    ours = fields.get(TASK) in get_args(Task)
    found: dict[str, Any] = {"task": fields[TASK]} if ours else {}
    for name, field in (("prompt", "Prompt"), ("negative_prompt", "Negative prompt")):
        if isinstance(fields.get(field), str):
            found[name] = fields[field]
    if isinstance(fields.get("Styles array"), list):
        found["styles"] = fields["Styles array"]
    for name, field in (("sampler", "Sampler"), ("scheduler", "Schedule type")):
        if fields.get(field):
            found[name] = str(fields[field])
    numbers = {"steps": _number(fields.get("Steps")), "seed": _number(fields.get("Seed")), "cfg_scale": _number(fields.get("CFG scale"))}
    for name, field in (
        ("image_cfg_scale", "Image CFG scale"),
        ("repaint_jump", "RePaint jump"),
        ("repaint_resamples", "RePaint resamples"),
    ):
        numbers[name] = _number(fields.get(field))
    numbers["denoising_strength"] = _number(fields.get(_STRENGTH, fields.get("Denoising strength")))
    if ours:
        found["engine"] = str(fields.get(_ENGINE, "auto"))
        numbers["resolution"] = _number(fields.get(_RESOLUTION, 0))
        found["refine"] = {"on": True, "off": False}.get(str(fields.get(_SECOND_PASS)))
        found["soft_inpainting"] = fields.get(_SOFT) == "on"
        if fields.get(_MASKED_CONTENT) in get_args(MaskedContent):
            found["masked_content"] = fields[_MASKED_CONTENT]
        margins = [_number(one) for one in str(fields.get(_MARGINS, "")).split()]
        if len(margins) == 4 and None not in margins:
            found["expand"] = tuple(margins)
    return {**found, **{name: number for name, number in numbers.items() if number is not None}}


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if not math.isfinite(number) else int(number) if number.is_integer() else number


def _unquoted(value: str) -> str:
    if value[:1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            pass
    return value
