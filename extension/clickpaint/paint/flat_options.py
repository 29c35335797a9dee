"""`PaintOptions` under the flat names that its users give them: in an API's body, as command-line flags, on the page."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, replace
from types import MappingProxyType
from typing import Any

from clickpaint.paint.edit_options import EditOptions
from clickpaint.paint.influence_options import GuideOptions, ReferenceOptions
from clickpaint.paint.paint_job import Masking, ModelOptions, PaintOptions, Passes, RePaintOptions, Sampling, TextPrompt

_GROUPS: Mapping[str, type] = {
    "prompt": TextPrompt, "sampling": Sampling, "masking": Masking, "passes": Passes, "model": ModelOptions, "repaint": RePaintOptions,
    "guide": GuideOptions, "reference": ReferenceOptions, "edit": EditOptions,
}  # fmt: skip
_OTHER_NAMES = {
    ("prompt", "positive"): "prompt", ("prompt", "negative"): "negative_prompt",
    ("masking", "content"): "masked_content", ("masking", "soft"): "soft_inpainting",
    ("repaint", "jump"): "repaint_jump", ("repaint", "resamples"): "repaint_resamples",
    **{("guide", name): f"guide_{name}" for name in ("words", "scale", "picture")}, ("guide", "kind"): "guide",
    **{("reference", name): f"reference_{name}" for name in ("picture", "adapter", "weight", "fidelity", "start", "end")},
    ("reference", "further"): "further_references",
    ("edit", "method"): "edit_method", ("edit", "source"): "source_prompt", ("edit", "weights"): "word_weights",
}  # fmt: skip

_PLACES = {_OTHER_NAMES.get((group, field.name), field.name): (group, field) for group, kind in _GROUPS.items() for field in fields(kind)}
_UNGROUPED = {field.name: field for field in fields(PaintOptions) if field.name not in _GROUPS}

DEFAULTS: Mapping[str, Any] = MappingProxyType(
    {name: field.default for name, field in _UNGROUPED.items()} | {name: field.default for name, (_, field) in _PLACES.items()}
)
"""Every name with what it is where nobody says otherwise."""


def group_of(name: str) -> str:
    """The field of `PaintOptions` that an option belongs to, by its flat name."""
    return _PLACES[name][0] if name in _PLACES else name


def grouped(**values: Any) -> PaintOptions:
    """The options that these values, by the names of `DEFAULTS`, say.

    Raises:
        InvalidInput: a value cannot be used.
        TypeError: there is no such name.
    """
    return changed(PaintOptions(), **values)


def changed(options: PaintOptions, **values: Any) -> PaintOptions:
    """`options`, of which these values are other ones. Raises as `grouped`."""
    groups: dict[str, dict[str, Any]] = {}
    ungrouped: dict[str, Any] = {}
    for name, value in values.items():
        if name in _PLACES:
            group, field = _PLACES[name]
            groups.setdefault(group, {})[field.name] = value
        elif name in _UNGROUPED:
            ungrouped[name] = value
        else:
            raise TypeError(f"there is no paint option {name!r}")
    return replace(options, **ungrouped, **{group: replace(getattr(options, group), **new) for group, new in groups.items()})


def values_of(options: PaintOptions) -> dict[str, Any]:
    """The options by the names of `DEFAULTS`."""
    placed = {name: getattr(getattr(options, group), field.name) for name, (group, field) in _PLACES.items()}
    return {name: getattr(options, name) for name in _UNGROUPED} | placed
