"""What can steer a sampling here, besides the prompt: guides, references, IP-Adapters, and what those that cannot lack."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import get_args

from clickpaint.caption.caption_job import Availability
from clickpaint.caption.registry import Captioners
from clickpaint.errors import Sentence
from clickpaint.hosts.base import Capabilities, Host
from clickpaint.paint.acting import ModelTraits, idle_by_model, idle_by_task
from clickpaint.paint.edit_options import EditMethod
from clickpaint.paint.paint_job import Engine, Task
from clickpaint.studio.own_sampler import OwnSampler


@dataclass(frozen=True)
class Abilities:
    """What can steer.

    Attributes:
        guides: by the kinds of `influence_options.GuideKind` but "none".
        reference: whether the network that is loaded can look at a picture.
        adjustable: whether it can be said how it looks; edit models decide that by themselves.
        adapters: names of the IP-Adapters that there are.
    """

    guides: Mapping[str, Availability]
    reference: Availability
    adjustable: bool
    adapters: tuple[str, ...]


class Steering:
    """Part of the studio."""

    def __init__(self, host: Host, own_sampler: OwnSampler, captioners: Captioners) -> None:
        self._host, self._own_sampler, self._captioners = host, own_sampler, captioners

    def abilities(self) -> Abilities:
        """What can steer now; nothing is loaded."""
        captioners = self._captioners
        clip = _able(captioners.clip() is not None, "Put a CLIP model's folder into models/captioner.")
        classifier = _able(
            captioners.classifier() is not None, "Put a classifier's folder (config.json, safetensors) into models/captioner."
        )
        guides = {"clip": clip, "picture": clip, "classifier": classifier}
        adjustable = self.varies()
        adapters = tuple(self._own_sampler.image_adapters()) if adjustable else ()
        return Abilities(guides, self._reference(), adjustable, adapters)

    def varies(self) -> bool:
        """Whether the loaded network can look at what it varies, as far as is known."""
        family = self._host.capabilities().family
        return family is None or family.unet

    def idle(self, can: Capabilities) -> dict[str, dict[str, list[str]]]:
        """Task → engine (of an edit: method) → the options that change nothing with the loaded model, by their flat names."""
        schedules = bool(can.schedulers) if can.own_sampler else None
        traits = ModelTraits(schedules=schedules) if can.family is None else can.family.traits(schedules)
        by_model = idle_by_model(traits)
        table = {
            task: {engine: sorted(idle_by_task(task, engine) | by_model) for engine in get_args(Engine)}
            for task in get_args(Task)
            if task != "edit"
        }
        if can.family is not None and can.family.anew:  # it removes by an instruction
            table["remove"] |= {engine: table["instruct"][engine] for engine in ("auto", "instruct")}
        return table | {"edit": {method: sorted(idle_by_task("edit", method=method) | by_model) for method in get_args(EditMethod)}}

    def _reference(self) -> Availability:
        family = self._host.capabilities().family
        if family is None or family.instructs or self.varies():
            return Availability(True)
        lacking = "{family} cannot look at a reference picture: choose Stable Diffusion 1, 2 or XL, or a model that edits."
        return Availability(False, Sentence(lacking, family=family.name))


def _able(able: bool, lacking: str) -> Availability:
    return Availability(able, "" if able else lacking)
