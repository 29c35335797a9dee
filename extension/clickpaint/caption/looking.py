"""How a vision network wants its pictures, with gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class Normalised:
    """What a processor of transformers does to a picture, as a differentiable function.

    Attributes:
        size: (height, width) in pixels that the network takes.
        mean, std: of each of red, green and blue, of values in 0..1.
    """

    size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]

    @classmethod
    def of(cls, processor: Any) -> Normalised:
        """From an image processor, or from what holds one."""
        image = getattr(processor, "image_processor", processor)
        sizes = image.crop_size if getattr(image, "do_center_crop", False) and getattr(image, "crop_size", None) else image.size
        side = sizes.get("height", sizes.get("shortest_edge")), sizes.get("width", sizes.get("shortest_edge"))
        plain = not getattr(image, "do_normalize", True)
        return cls(side, (0.0,) * 3 if plain else tuple(image.image_mean), (1.0,) * 3 if plain else tuple(image.image_std))

    def __call__(self, pictures: Tensor) -> Tensor:
        """pictures: float32 [n, 3, h, w] in 0..1, of any size; all of each is seen. Returns [n, 3, *size]."""
        import torch

        resized = torch.nn.functional.interpolate(pictures, size=self.size, mode="bicubic", antialias=True, align_corners=False)
        return (resized - resized.new_tensor(self.mean)[:, None, None]) / resized.new_tensor(self.std)[:, None, None]
