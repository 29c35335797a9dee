"""What is to be done to a picture right after it was generated, as data: from a form's or an API's values, and to an infotext."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args

from clickpaint.errors import InvalidInput
from clickpaint.paint.paint_job import PaintOptions
from clickpaint.segment import pointing

TouchUpTask = Literal["remove", "fill", "replace"]

INFOTEXT = {name: f"Clickpaint {name.replace('_', ' ')}" for name in (
    "task", "points", "box", "prompt", "negative_prompt", "denoising_strength", "eraser", "grow", "feather")}  # fmt: skip
"""Field of `TouchUp` → its name in an infotext."""


@dataclass(frozen=True)
class TouchUp:
    """Select something in a picture, then do something with it.

    Attributes:
        task: "remove" it, "fill" its place with what the prompt says, or "replace" all around it.
        points, box: text as `segment.pointing` has it; where both are empty, the best of everything in the picture.
        prompt, negative_prompt: empty for those of the generation.
        denoising_strength: 0..1.
        eraser: for "remove".
        grow, feather: pixels, 0..512; None for what fits.

    Raises:
        InvalidInput: a value cannot be used, whatever the picture.
    """

    task: TouchUpTask = "remove"
    points: str = ""
    box: str = ""
    prompt: str = ""
    negative_prompt: str = ""
    denoising_strength: float = 0.75
    eraser: str = "auto"
    grow: int | None = None
    feather: int | None = None

    def __post_init__(self) -> None:
        if self.task not in get_args(TouchUpTask):
            raise InvalidInput(
                "The task {task!r} is unknown.", "Choose one of {tasks}.", task=self.task, tasks=", ".join(get_args(TouchUpTask))
            )
        for text in (self.points, self.box):
            pointing.tidy(text)
        self.painting(PaintOptions())

    def painting(self, generation: PaintOptions) -> PaintOptions:
        """How this is painted in a picture that was generated with these options."""
        return replace(
            generation,
            task="fill" if self.task == "remove" else self.task,
            prompt=replace(
                generation.prompt,
                positive=self.prompt or generation.prompt.positive,
                negative=self.negative_prompt or generation.prompt.negative,
            ),
            sampling=replace(generation.sampling, denoising_strength=self.denoising_strength, batch_count=1),
            masking=replace(
                generation.masking, content="original" if self.task == "replace" else "fill", grow=self.grow, feather=self.feather
            ),
        )

    def infotext(self) -> dict[str, str]:
        """Label → value, only of what matters; the host quotes them as it does its own."""
        fields: dict[str, Any] = {"task": self.task, "points": pointing.tidy(self.points), "box": pointing.tidy(self.box)}
        if self.task == "remove":
            fields["eraser"] = self.eraser
        else:
            fields |= {"prompt": self.prompt, "negative_prompt": self.negative_prompt, "denoising_strength": f"{self.denoising_strength:g}"}
        fields |= {"grow": self.grow, "feather": self.feather}
        return {INFOTEXT[name]: str(value) for name, value in fields.items() if value not in ("", None)}


NAMES = ("enabled", *(field.name for field in dataclasses.fields(TouchUp)))
"""The order of the values of a form or of an API's list of arguments."""


def touch_up_from(values: Sequence[Any]) -> TouchUp | None:
    """What these values, in the order of `NAMES`, ask for; None for nothing.

    Args:
        values: the first may instead be an object with any of `NAMES` (from an API client); it is enabled unless it says otherwise.
            grow and feather below 0 mean None.

    Raises:
        InvalidInput: there is an unknown name, or a value that cannot be used.
    """
    first = values[0] if values else False
    given = {"enabled": True, **first} if isinstance(first, Mapping) else dict(zip(NAMES, values, strict=False))
    unknown = [str(name) for name in given if name not in NAMES]
    if unknown:
        raise InvalidInput(
            "{unknown_names} is unknown.", "Known are {known}.", unknown_names=", ".join(unknown)[:80], known=", ".join(NAMES)
        )
    enabled = given.pop("enabled", False)
    if not isinstance(enabled, bool) and enabled is not None:
        raise InvalidInput(
            "enabled cannot be {enabled!r}.", "It is true or false, or the first argument an object.", enabled=str(enabled)[:40]
        )
    if not enabled:
        return None
    return TouchUp(**{name: _parsed(name, value) for name, value in given.items() if value is not None})


def _parsed(name: str, value: Any) -> Any:
    if name in ("denoising_strength", "grow", "feather"):
        try:
            number = float(value)
        except (TypeError, ValueError):
            number = math.nan
        if not math.isfinite(number):
            raise InvalidInput("{name} cannot be {value!r}.", "It is a number.", name=name, value=str(value)[:40])
        return number if name == "denoising_strength" else None if number < 0 else round(number)
    if not isinstance(value, str):
        raise InvalidInput("{name} cannot be {value!r}.", "It is a text.", name=name, value=str(value)[:40])
    return value.strip().lower() if name in ("task", "eraser") else value.strip()
