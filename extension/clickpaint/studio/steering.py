"""What can steer a sampling here, besides the prompt: guides, references, IP-Adapters, and what those that cannot lack."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from clickpaint.caption.caption_job import Availability
from clickpaint.caption.registry import Captioners
from clickpaint.errors import Sentence
from clickpaint.hosts.base import Host
from clickpaint.studio.own_sampler import OwnSampler

_LOOKING = re.compile(r"Stable Diffusion (1|2|XL)\b")
"""Families whose network can look at a reference picture."""


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
        return family is None or _LOOKING.match(family.name) is not None

    def _reference(self) -> Availability:
        family = self._host.capabilities().family
        if family is None or family.instructs or self.varies():
            return Availability(True)
        lacking = "{family} cannot look at a reference picture: choose Stable Diffusion 1, 2 or XL, or a model that edits."
        return Availability(False, Sentence(lacking, family=family.name))


def _able(able: bool, lacking: str) -> Availability:
    return Availability(able, "" if able else lacking)
