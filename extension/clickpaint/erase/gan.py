"""MAT (Li et al. 2022, "Mask-Aware Transformer for Large Hole Image Inpainting") and FcF (Jain et al. 2022, "Keys to Better
Image Inpainting"): generators that work on squares of 512."""

from __future__ import annotations

from abc import abstractmethod
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat.randomness import kept_randomness
from clickpaint.erase.lama_cleaner_models import module
from clickpaint.erase.neural_eraser import NeuralEraser, picture, size_of, tensors
from clickpaint.errors import CorruptModel
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.device import Device
from clickpaint.weights.load_weights import load_state_dict

if TYPE_CHECKING:
    import torch


class _Generator(NeuralEraser):
    """What both share: a state dict for a network that takes -1..1 and gives -1..1."""

    rules = CropRules(padding=0.5, padding_min=96, min_size=512, multiple=512, max_size=512, square=True)

    @abstractmethod
    def build(self) -> torch.nn.Module:
        """The network with random weights."""

    @abstractmethod
    def paint(self, network: Any, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """image [1, 3, 512, 512] in -1..1, mask [1, 1, 512, 512] with 1 = fill → [1, 3, 512, 512] in -1..1."""

    def load(self, device: Device) -> tuple[Any, int]:
        path = self.store.require(self.name)
        state = load_state_dict(path)
        with kept_randomness():
            network = self.build()
        try:
            network.load_state_dict(state)
        except RuntimeError as error:
            raise CorruptModel(
                "{filename} is not a file of {model}.", "Put the right file there.", model=self.name, filename=path.name
            ) from error
        network = network.to(device.torch).eval()
        return network, size_of(network)

    def infer(self, network: Any, crop: np.ndarray, hole: np.ndarray, device: Device, progress: Progress) -> np.ndarray:
        image, mask = tensors(crop, hole, device)
        return picture(self.paint(network, image * 2 - 1, mask) / 2 + 0.5)


class MatEraser(_Generator):
    """Its own transformer fills large holes; the style is drawn once from a fixed seed, so results repeat."""

    name = "mat"
    half = True

    def build(self) -> torch.nn.Module:
        return module("mat").Generator(z_dim=512, c_dim=0, w_dim=512, img_resolution=512, img_channels=3)

    def paint(self, network: Any, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        import torch

        style = torch.from_numpy(np.random.RandomState(240).randn(1, 512)).to(image)  # lama-cleaner's choice
        with kept_randomness(240):  # it drops features at random even when it only paints
            return network(image, 1 - mask, style, image.new_zeros(1, 0), truncation_psi=1, noise_mode="none")


class FcfEraser(_Generator):
    """Fast Fourier convolutions inside a StyleGAN2-like generator."""

    name = "fcf"

    def build(self) -> torch.nn.Module:
        sizes = {"channel_base": 32768, "channel_max": 512, "num_fp16_res": 4, "conv_clamp": 256}
        return module("fcf").Generator(
            z_dim=512, c_dim=0, w_dim=512, img_resolution=512, img_channels=3,
            synthesis_kwargs=sizes, encoder_kwargs=sizes, mapping_kwargs={"num_layers": 2},
        )  # fmt: skip

    def paint(self, network: Any, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        import torch

        with kept_randomness(0):
            return network(torch.cat([0.5 - mask, image * (1 - mask)], dim=1), image.new_zeros(1, 0), truncation_psi=0.1, noise_mode="none")
