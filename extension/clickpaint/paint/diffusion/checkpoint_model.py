"""What the sampling asks of an opened checkpoint, whatever its family."""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from clickpaint.paint.diffusion.conditioning import Conditioning, Words
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.loop import Guidance, Part
    from clickpaint.paint.paint_job import PaintOptions, Sampling


class Model(ABC):
    """A checkpoint for one job.

    Attributes:
        channels: of its latents.
        cell: side in pixels of what one latent stands for.
        sampler: used where the user chose none.
    """

    channels: int
    cell: int
    sampler: str

    @abstractmethod
    def resolve(self, sampler: str, schedule: str) -> tuple[str, str]:
        """(sampler, schedule) by their proper names; "" for the defaults. Raises `InvalidInput` for what it cannot be sampled with."""

    @abstractmethod
    def scheduler(self, sampler: str, schedule: str, sampling: Sampling, size: tuple[int, int]) -> Any:
        """What takes the steps, set to their number; see `loop.denoise`. The names are proper ones; size: (width, height) in pixels."""

    @abstractmethod
    def visited(self, scheduler: Any, steps: int, strength: float) -> tuple[list[torch.Tensor], int]:
        """(timesteps of image to image, how many of `steps` they are): the last `strength`, 0..1, of all, at least one unless that is 0.
        The scheduler begins there from now on."""

    @abstractmethod
    def conditioning(self, options: PaintOptions, scene: Scene, steps: int, words: Words) -> Conditioning:
        """Prompt and negative prompt as the network takes them. steps: that are really taken."""

    @abstractmethod
    def network(self, options: PaintOptions) -> Any:
        """Called by the loop like a `UNet2DConditionModel`, and with a `dtype` as that has."""

    @abstractmethod
    def to_latents(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        """The mean of the latents [1, channels, h, w], as the network takes them, of a picture in -1..1, [1, 3, H, W]."""

    @abstractmethod
    def to_picture(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        """What `to_latents` was made of: [1, 3, H, W] in about -1..1."""

    @abstractmethod
    def beside(self, scene: Scene) -> list[Part]:
        """What the network wants beside the latents, whatever the engine."""

    @abstractmethod
    def guidance(self, options: PaintOptions) -> Guidance: ...

    @abstractmethod
    def scales(self, options: PaintOptions) -> dict[str, Any]:
        """The scales that act, as `infotext.written` takes them."""

    @abstractmethod
    def thrifty(self, thrift: int) -> AbstractContextManager[None]:
        """Within this block the networks need less memory, the less the larger `thrift` is (0..2); afterwards they are as they were."""

    @abstractmethod
    def approximate(self, latents: torch.Tensor) -> np.ndarray:
        """Latents [1, channels, h, w] roughly as a picture, uint8 [h, w, 3], without the decoder."""
