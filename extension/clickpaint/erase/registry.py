"""Every eraser by name, and whether it can run here."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.compat.packages import Installed, installed
from clickpaint.errors import InvalidInput, ModelMissing, Sentence

if TYPE_CHECKING:
    from clickpaint.erase.base import Eraser
    from clickpaint.weights.cache import ModelCache
    from clickpaint.weights.device import Device
    from clickpaint.weights.store import Store


@dataclass(frozen=True)
class EraserInfo:
    """One eraser as lists show it.

    Attributes:
        title: for people.
        model: its name in the catalog, None where it needs no file.
        needs: packages it imports.
        kind: "module:class" under `clickpaint.erase`.
        options: what only some can be told, by the names of `EraseOptions`.
    """

    name: str
    title: str
    model: str | None
    needs: tuple[str, ...]
    kind: str
    options: tuple[str, ...] = ()


_TORCH = ("torch", "cv2")
_NETWORKS = ("torch", "cv2", "lama_cleaner", "loguru", "pydantic", "rich", "diffusers")
_ALL = (
    EraserInfo("lama", "LaMa", "lama", _TORCH, "lama:Lama"),
    EraserInfo("anime_lama", "LaMa for anime", "anime_lama", _TORCH, "lama:AnimeLama"),
    EraserInfo("migan", "MI-GAN", "migan", (*_TORCH, "onnxruntime"), "migan:MiGan"),
    EraserInfo("mat", "MAT", "mat", _NETWORKS, "gan:MatEraser"),
    EraserInfo("fcf", "FcF", "fcf", _NETWORKS, "gan:FcfEraser"),
    EraserInfo("zits", "ZITS", "zits", _NETWORKS, "zits:ZitsEraser"),
    EraserInfo("ldm", "Latent diffusion", "ldm", _TORCH, "ldm:LatentDiffusionEraser"),
    EraserInfo("manga", "Manga", "manga", _TORCH, "manga:MangaEraser"),
    EraserInfo("classic", "Classic (no download)", None, ("cv2",), "classic_eraser:ClassicEraser", ("grain",)),
    EraserInfo("patchmatch", "PatchMatch", None, ("cv2",), "classic_eraser:PatchMatchEraser", ("grain",)),
    EraserInfo("opencv_telea", "OpenCV Telea", None, ("cv2",), "classic_eraser:TeleaEraser"),
    EraserInfo("opencv_ns", "OpenCV Navier-Stokes", None, ("cv2",), "classic_eraser:NavierStokesEraser"),
)

ERASERS: dict[str, EraserInfo] = {info.name: info for info in _ALL}

order = ("lama", "mat", "zits", "fcf", "migan", "ldm", "anime_lama", "classic")
"""What "auto" tries, best first; the last one always works. Not manga, which paints grey."""


def info(name: str) -> EraserInfo:
    """Raises `InvalidInput` that lists the names for one that is unknown."""
    try:
        return ERASERS[name]
    except KeyError:
        raise InvalidInput("There is no eraser {name!r}.", "Choose one of {erasers}.", name=name, erasers=", ".join(ERASERS)) from None


def unavailable(name: str, installed: Installed = installed) -> str | None:
    """Why the eraser cannot run in this environment, or None. Its model file is another question (`Store.state`)."""
    needs = info(name).needs
    if "lama_cleaner" in needs and sys.version_info >= (3, 13):
        return "needs lama-cleaner, which runs on Python up to 3.12"
    missing = [package for package in needs if not installed(package)]
    return Sentence("needs the package {packages}", packages=", ".join(missing)) if missing else None


def create(name: str, store: Store, device: Device, cache: ModelCache) -> Eraser:
    """The eraser `name`; cheap, a network is loaded on its first use.

    Raises:
        InvalidInput: unknown name.
        ModelMissing: a package it needs is not installed.
    """
    module, _, class_name = info(name).kind.partition(":")
    reason = unavailable(name)
    if reason is not None:
        raise ModelMissing(
            "The eraser {name} cannot run here: it {reason}.", "Install it, or choose another eraser.", name=name, reason=reason
        )
    kind = getattr(importlib.import_module(f"clickpaint.erase.{module}"), class_name)
    return kind() if info(name).model is None else kind(store, device, cache)
