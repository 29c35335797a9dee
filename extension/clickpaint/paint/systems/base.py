"""What systems have in common: what they are asked for, and the class that each of them is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

if TYPE_CHECKING:
    import torch
    from PIL import Image

    from clickpaint.paint.systems.system_folders import System

Pipes = Mapping[str, Any]
"""Loaded pipelines of diffusers, by what they do in a system."""

Opened = Callable[..., Any]
"""opened(class, folder, **parts) → that pipeline of diffusers from a folder, on the device."""


@dataclass(frozen=True)
class Wish:
    """What a system is to make.

    Attributes:
        prompt, negative: words.
        size: (width, height) in pixels, for a system that can choose it.
        steps, cfg_scale, strength, seed: as in `paint_job.Sampling`; a CFG scale of 0 is the system's own.
        image: what it begins with; None for words alone.
        mask: bool [h, w], what of it is painted; None for all.
        frames, fps, motion: of a clip; motion 1 (still) to 255.
    """

    prompt: str
    negative: str
    size: tuple[int, int]
    steps: int
    cfg_scale: float
    strength: float
    seed: int
    image: Image.Image | None = None
    mask: np.ndarray | None = None
    frames: int = 14
    fps: float = 7.0
    motion: int = 127


class SystemKind(ABC):
    """One kind of system. Without state.

    Attributes:
        pipeline: the class that its folder names.
        title: for people.
        paper: where it comes from.
        licence: of the weights that its makers published.
        tasks: of "vary", "fill", "generate", "animate", "enlarge".
        gives: what it adds for somebody who edits by clicking.
        sized: whether the size of what it makes can be chosen.
        multiple: what its sides are multiples of, in pixels.
        cfg_scale: what its makers recommend.
        wide: whether its weights need the range of bfloat16 where half precision is used.
        full: whether it needs float32 on the processor, where torch lacks something in bfloat16.
        partners: classes of another folder that takes part.
        lacking: what is said where that folder is not there and nothing can be made without it; "" where it only adds.
    """

    pipeline: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    licence: ClassVar[str]
    tasks: ClassVar[tuple[str, ...]]
    gives: ClassVar[str]
    sized: ClassVar[bool] = True
    multiple: ClassVar[int] = 8
    cfg_scale: ClassVar[float] = 7.0
    wide: ClassVar[bool] = False
    full: ClassVar[bool] = False
    partners: ClassVar[tuple[str, ...]] = ()
    lacking: ClassVar[str] = ""

    def load(self, system: System, opened: Opened) -> Pipes:
        """Its pipelines; `opened` raises what is wrong."""
        return {"main": opened(self.pipeline, system.path)}

    @abstractmethod
    def native(self, pipes: Pipes) -> int:
        """Side in pixels of the square that it was trained on."""

    @abstractmethod
    def make(self, pipes: Pipes, wish: Wish, source: torch.Generator) -> Any:
        """What diffusers gives for a wish: float [n, h, w, 3] in 0..1, the frames of a clip or one picture."""


def latent_side(pipe: Any, network: str = "unet") -> int:
    """Side in pixels of what a latent network was trained on."""
    return _side(getattr(pipe, network).config.sample_size) * int(getattr(pipe, "vae_scale_factor", 8))


def pixel_side(network: Any) -> int:
    """The same of a network that paints pixels."""
    return _side(network.config.sample_size)


def negative(wish: Wish) -> str | None:
    return wish.negative or None


def _side(size: int | tuple[int, int]) -> int:
    return int(size) if isinstance(size, int) else int(max(size))


def folder_of(system: System) -> Path:
    """That of its partner. There is one, or the system could not be used."""
    assert system.partner is not None
    return system.partner
