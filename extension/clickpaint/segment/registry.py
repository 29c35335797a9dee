"""Which segmenters there are, which of them can run here, and how one is made."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.compat.packages import Installed, installed
from clickpaint.errors import ModelMissing, NotFound, Sentence

if TYPE_CHECKING:
    from clickpaint.segment.base import Segmenter
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store


@dataclass(frozen=True)
class SegmenterInfo:
    """One segmenter.

    Attributes:
        name: key.
        title: for people.
        family: whose code runs it.
        model: the catalog's name of its weights, None if it needs none.
        needs: what must be installed, as (importable name, name to install).
    """

    name: str
    title: str
    family: str
    model: str | None
    needs: tuple[tuple[str, str], ...]


_TORCH = (("torch", "torch"), ("torchvision", "torchvision"))
_NEEDS = {
    "sam": (*_TORCH, ("segment_anything", "segment-anything")),
    "mobile_sam": (*_TORCH, ("timm", "timm"), ("mobile_sam", "mobilesam-mirror")),
    "sam_hq": (*_TORCH, ("timm", "timm"), ("segment_anything_hq", "segment-anything-hq")),
    "sam2": (("torch", "torch"), ("transformers", "transformers")),
    "classic": (("cv2", "opencv-contrib-python-headless"), ("scipy", "scipy")),
}


def _registered(*infos: tuple[str, str, str]) -> dict[str, SegmenterInfo]:
    registry: dict[str, SegmenterInfo] = {}
    for name, title, family in infos:
        if name in registry:
            raise ValueError(f"the segmenter {name} is registered twice")
        registry[name] = SegmenterInfo(name, title, family, None if family == "classic" else name, _NEEDS[family])
    return registry


SEGMENTERS: dict[str, SegmenterInfo] = _registered(
    ("sam2.1_hiera_large", "SAM 2.1 large", "sam2"),
    ("sam2.1_hiera_base_plus", "SAM 2.1 base plus", "sam2"),
    ("sam_hq_vit_h", "SAM-HQ vit_h", "sam_hq"),
    ("sam_vit_h", "SAM vit_h", "sam"),
    ("sam_hq_vit_l", "SAM-HQ vit_l", "sam_hq"),
    ("sam_vit_l", "SAM vit_l", "sam"),
    ("sam2.1_hiera_small", "SAM 2.1 small", "sam2"),
    ("sam2.1_hiera_tiny", "SAM 2.1 tiny", "sam2"),
    ("sam_hq_vit_b", "SAM-HQ vit_b", "sam_hq"),
    ("sam_vit_b", "SAM vit_b", "sam"),
    ("sam_hq_vit_tiny", "Light SAM-HQ", "sam_hq"),
    ("mobile_sam", "MobileSAM", "mobile_sam"),
    ("classic", "Classic (no model)", "classic"),
)
"""All segmenters by name, the best masks first."""

order: tuple[str, ...] = tuple(SEGMENTERS)
"""What "auto" goes through: it takes the first that can run and whose file is here."""


def info(name: str) -> SegmenterInfo:
    """Raises `NotFound` for a name that is not registered."""
    try:
        return SEGMENTERS[name]
    except KeyError:
        raise NotFound(
            "There is no segmenter {segmenter!r}.", "Choose one of {segmenters}.", segmenter=name, segmenters=", ".join(SEGMENTERS)
        ) from None


def unavailable(name: str, installed: Installed = installed) -> str | None:
    """Why the segmenter cannot run here, as one sentence; None if it can once its file is here. Imports nothing."""
    missing = [package for module, package in info(name).needs if not installed(module)]
    if missing:
        template = "{packages} is not installed." if len(missing) == 1 else "{packages} are not installed."
        return Sentence(template, packages=" and ".join(missing))
    if info(name).family == "sam2" and not _transformers_has_sam2():
        return "The installed transformers is too old for SAM 2 (it came with version 4.56)."
    return None


def create(name: str, store: Store, device: Device, cache: ModelCache) -> Segmenter:
    """The segmenter; its weights are loaded by its first `encode`.

    Raises:
        NotFound: no such segmenter.
        ModelMissing: what it needs is not installed.
    """
    family, model = info(name).family, info(name).model
    reason = unavailable(name)
    if reason is not None:
        raise ModelMissing(
            "{title} cannot be used: {reason}",
            "Install it, or choose another segmenter.",
            segmenter=name,
            title=info(name).title,
            reason=reason,
        )
    if model is None:
        from clickpaint.segment.classic_segmenter import ClassicSegmenter

        return ClassicSegmenter()
    if family == "sam2":
        from clickpaint.segment.sam2 import Sam2

        return Sam2(name, model, store, device, cache)
    from clickpaint.segment import sam

    kinds = {"sam": sam.Sam, "mobile_sam": sam.MobileSam, "sam_hq": sam.SamHq}
    kind = sam.LightSamHq if name == "sam_hq_vit_tiny" else kinds[family]
    return kind(name, model, store, device, cache)


def _transformers_has_sam2() -> bool:
    spec = importlib.util.find_spec("transformers")
    return spec is not None and any((Path(folder) / "models" / "sam2").is_dir() for folder in spec.submodule_search_locations or ())
