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

from clickpaint.errors import InvalidInput
from clickpaint.paint.edit_options import EditMethod, EditOptions, Inversion, WordEdit
from clickpaint.paint.paint_job import CONTROL_MODES, ControlUnit, MaskedContent, PaintJob, Task

TASK = "Clickpaint"
"""The field that holds the task, and tells that an infotext is one of ours."""

_NAMES = ("masked content", "denoising strength", "resolution", "second pass", "soft inpainting", "margins", "grow", "feather")
_MASKED_CONTENT, _STRENGTH, _RESOLUTION, _SECOND_PASS, _SOFT, _MARGINS, _GROW, _FEATHER = (f"{TASK} {name}" for name in _NAMES)

_ENGINE = f"{TASK} engine"  # of engines of ours alone
_REFERENCES = f"{TASK} reference pictures"
_JUMP, _RESAMPLES = "RePaint jump", "RePaint resamples"

_EDIT = {
    name: f"{TASK} {said}"
    for name, said in (
        ("source", "source prompt"), ("inversion", "inversion"), ("weights", "word weights"), ("edits", "edits"),
        ("cross_steps", "cross steps"), ("self_steps", "self steps"), ("local", "local"), ("mask_ratio", "mask ratio"),
    )
}  # fmt: skip
"""Name in `EditOptions` → field."""

_EDIT_OF: Mapping[str, tuple[str, ...]] = {
    "p2p": ("inversion", "weights", "cross_steps", "self_steps", "local"), "ledits": ("edits",), "diffedit": ("mask_ratio",), "sdedit": (),
}  # fmt: skip
"""What acts with a method besides the source prompt."""

_NUMBER = r"-?\d+(?:\.\d+)?(?:e-?\d+)?"
_WEIGHTED = re.compile(rf"(.+?)=({_NUMBER})(?:; |$)", re.S)
_WISHED = re.compile(rf"(.+?):({_NUMBER}):({_NUMBER})(?:; |$)", re.S)

_NUMBERS = {
    "steps": "Steps", "seed": "Seed", "cfg_scale": "CFG scale", "distilled_cfg_scale": "Distilled CFG Scale",
    "image_cfg_scale": "Image CFG scale", "repaint_jump": _JUMP, "repaint_resamples": _RESAMPLES,
    "jpeg_quality": f"{TASK} JPEG quality",
}  # fmt: skip
"""Name of `flat_options.DEFAULTS` → field."""

_PARAMETERS = re.compile(r'\s*([\w][\w \-/]*):\s*("(?:\\.|[^\\"])+"|[^,]*)(?:,|$)')
_NEGATIVE = "Negative prompt:"


def written(
    job: PaintJob, *, seed: int, sampler: str, schedule: str, checkpoint: str, engine: str, cfg_scale: float, distilled: float = 0.0,
    reference: tuple[float, float] | None = None,
) -> str:  # fmt: skip
    """What one of our engines did for a job, in the web UI's format, so that its "PNG info" can read it.

    Args:
        seed: of this result.
        sampler, schedule: those that were used, by their proper names.
        checkpoint: its file's name.
        cfg_scale: that was used.
        distilled: the distilled CFG scale that was used; 0 where the model has none.
        reference: (weight, fidelity) with which a reference picture acted; None where those have no meaning.
    """
    options, instructed, edit = job.options, engine == "instruct", job.options.edit
    clip_skip = options.model.clip_skip or 1
    fields: dict[str, object] = {
        "Steps": options.sampling.steps,
        "Sampler": sampler,
        "Schedule type": schedule,
        "CFG scale": f"{cfg_scale:g}",
        **({"Distilled CFG Scale": f"{distilled:g}"} if distilled else {}),
        **({"Image CFG scale": f"{options.sampling.image_cfg_scale:g}"} if instructed else {}),
        "Seed": seed,
        "Size": f"{job.width}x{job.height}",
        "Model": checkpoint.removesuffix(".safetensors").removesuffix(".ckpt").removesuffix(".gguf"),
        **({} if instructed else {"Denoising strength": f"{job.strength:g}"}),
        **({"Clip skip": clip_skip} if clip_skip > 1 else {}),
        **({"Token merging ratio": f"{options.model.token_merging_ratio:g}"} if options.model.token_merging_ratio else {}),
        **({} if instructed else {"Masked content": job.masked_content}),
        **own_fields(job),
        _ENGINE: engine,
        **{f"ControlNet {number}": _unit(unit) for number, unit in enumerate(options.control)},
        **(
            {"Guide": f"{options.guide.kind} {options.guide.words}".strip(), "Guide scale": f"{options.guide.scale:g}"}
            if options.guide.acts
            else {}
        ),
        **({"Reference weight": f"{reference[0]:g}", "Reference fidelity": f"{reference[1]:g}"} if reference else {}),
        **(_edit_fields(edit) if options.task == "edit" else {}),
        **({_JUMP: options.repaint.jump, _RESAMPLES: options.repaint.resamples} if engine == "repaint" else {}),
    }
    line = ", ".join(f"{name}: {_quoted(str(value))}" for name, value in fields.items())
    negative = [f"{_NEGATIVE} {options.prompt.negative}"] if options.prompt.negative else []
    return "\n".join([options.prompt.positive, *negative, line])


def _edit_fields(edit: EditOptions) -> dict[str, str]:
    values: dict[str, str] = {
        "inversion": edit.inversion, "weights": "; ".join(f"{words}={weight:g}" for words, weight in edit.weights),
        "edits": "; ".join(f"{wish.text}:{wish.scale:g}:{wish.threshold:g}" for wish in edit.edits),
        "cross_steps": f"{edit.cross_steps:g}", "self_steps": f"{edit.self_steps:g}", "local": "on" if edit.local else "",
        "mask_ratio": f"{edit.mask_ratio:g}",
    }  # fmt: skip
    return {_EDIT["source"]: edit.source, **{_EDIT[name]: values[name] for name in _EDIT_OF[edit.method] if values[name]}}


def _edit_values(fields: Mapping[str, Any], method: str) -> dict[str, Any]:
    """What an edit's fields say, by the names of `flat_options.DEFAULTS`; what they leave out had its default."""

    def said(name: str) -> str:
        return str(fields.get(_EDIT[name], "")) if name in _EDIT_OF[method] else ""

    values: dict[str, Any] = {"edit_method": method, "source_prompt": str(fields.get(_EDIT["source"], "")), "local": said("local") == "on"}
    if said("inversion") in get_args(Inversion):
        values["inversion"] = said("inversion")
    for name in ("cross_steps", "self_steps", "mask_ratio"):
        values[name] = getattr(EditOptions, name) if _number(said(name)) is None else _number(said(name))
    values["word_weights"] = tuple((words, float(weight)) for words, weight in _WEIGHTED.findall(said("weights")))
    try:
        values["edits"] = tuple(WordEdit(words, float(scale), float(share)) for words, scale, share in _WISHED.findall(said("edits")))
    except InvalidInput:  # somebody wrote it by hand
        values["edits"] = ()
    return values


def own_fields(job: PaintJob) -> dict[str, str]:
    """Our fields for one job: only what an infotext would not tell otherwise. No value needs quoting."""
    options = job.options
    fields: dict[str, str] = {TASK: options.task}
    if options.task not in ("instruct", "edit"):
        fields[_MASKED_CONTENT] = options.masking.content
        if job.strength != options.sampling.denoising_strength:
            fields[_STRENGTH] = f"{options.sampling.denoising_strength:g}"
    if options.jpeg_quality is not None:
        fields[_NUMBERS["jpeg_quality"]] = str(options.jpeg_quality)
    if options.passes.resolution:
        fields[_RESOLUTION] = str(options.passes.resolution)
    if options.passes.refine is not None:
        fields[_SECOND_PASS] = "on" if options.passes.refine else "off"
    if options.masking.soft:
        fields[_SOFT] = "on"
    if options.task == "expand":
        fields[_MARGINS] = " ".join(map(str, options.expand))
    if options.reference.pictures:
        fields[_REFERENCES] = str(len(options.reference.pictures))
    for name, pixels in ((_GROW, options.masking.grow), (_FEATHER, options.masking.feather)):
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
    """What the fields of an infotext say, by the names of `flat_options.DEFAULTS`; left out is what they do not say, or not in a usable
    way.

    What one of ours leaves out had its default, and that is among what comes back.
    """
    ours = fields.get(TASK) in get_args(Task)
    values: dict[str, Any] = {"task": fields[TASK]} if ours else {}
    for name, field in (("prompt", "Prompt"), ("negative_prompt", "Negative prompt")):
        if isinstance(fields.get(field), str):
            values[name] = fields[field]
    if isinstance(fields.get("Styles array"), list):
        values["styles"] = fields["Styles array"]
    for name, field in (("sampler", "Sampler"), ("scheduler", "Schedule type")):
        if fields.get(field):
            values[name] = str(fields[field])
    numbers = {name: _number(fields.get(field)) for name, field in _NUMBERS.items()}
    numbers["denoising_strength"] = _number(fields.get(_STRENGTH, fields.get("Denoising strength")))
    if ours:
        edited = fields[TASK] == "edit"
        values["engine"] = "auto" if edited else str(fields.get(_ENGINE, "auto"))
        if edited and fields.get(_ENGINE) in get_args(EditMethod):
            values |= _edit_values(fields, fields[_ENGINE])
        numbers["resolution"] = _number(fields.get(_RESOLUTION, 0))
        values["refine"] = {"on": True, "off": False}.get(str(fields.get(_SECOND_PASS)))
        values["soft_inpainting"] = fields.get(_SOFT) == "on"
        if fields.get(_MASKED_CONTENT) in get_args(MaskedContent):
            values["masked_content"] = fields[_MASKED_CONTENT]
        margins = [_number(margin) for margin in str(fields.get(_MARGINS, "")).split()]
        if len(margins) == 4 and None not in margins:
            values["expand"] = tuple(margins)
    return {**values, **{name: number for name, number in numbers.items() if number is not None}}


def _unit(unit: ControlUnit) -> str:
    """As sd-webui-controlnet writes it."""
    fields = {
        "Module": unit.preprocessor,
        "Model": unit.model,
        "Weight": f"{unit.weight:g}",
        "Guidance Start": f"{unit.start:g}",
        "Guidance End": f"{unit.end:g}",
        "Control Mode": CONTROL_MODES[unit.mode],
    }
    return ", ".join(f"{name}: {value}" for name, value in fields.items())


def _number(value: Any) -> float | None:
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if not math.isfinite(number) else int(number) if number.is_integer() else number


def _quoted(value: str) -> str:
    return json.dumps(value, ensure_ascii=False) if any(sign in value for sign in ",:\n") else value


def _unquoted(value: str) -> str:
    if value[:1] == '"':
        try:
            return str(json.loads(value))
        except ValueError:
            pass
    return value
