"""The kinds of systems, by the pipeline that their folder names."""

from __future__ import annotations

from collections.abc import Mapping

from clickpaint.paint.systems.base import SystemKind
from clickpaint.paint.systems.deepfloyd import DeepFloyd, DeepFloydInpainting
from clickpaint.paint.systems.other_kinds import DiT, LatentSuperResolution, StableVideo
from clickpaint.paint.systems.stable_cascade import StableCascade, StableCascadeInOne
from clickpaint.paint.systems.unclip import Karlo, KarloVariations, StableUnclip

KINDS: Mapping[str, SystemKind] = {
    kind.pipeline: kind
    for kind in (
        StableUnclip(), KarloVariations(), Karlo(), StableVideo(), DiT(), StableCascade(), StableCascadeInOne(), DeepFloyd(),
        DeepFloydInpainting(), LatentSuperResolution(),
    )
}  # fmt: skip
"""By the name of the pipeline's class."""

__all__ = ["KINDS", "SystemKind"]
