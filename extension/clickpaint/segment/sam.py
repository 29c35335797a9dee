"""Segment Anything (Kirillov et al. 2023), MobileSAM (Zhang et al. 2023) and SAM-HQ (Ke et al. 2023), through their own packages."""

from __future__ import annotations

import importlib
import logging
import math
import warnings
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from clickpaint.compat import torchvision
from clickpaint.segment.base import Embedding
from clickpaint.segment.neural_segmenter import LOGITS, SIDE, Given, Network, NeuralSegmenter
from clickpaint.segment.upscale import FourTimes

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

log = logging.getLogger(__name__)


class Sam(NeuralSegmenter):
    """SAM vit_b, vit_l and vit_h: masks identical with `segment_anything.SamPredictor`'s in float32."""

    package = "segment_anything"
    builders = {"sam_vit_b": "vit_b", "sam_vit_l": "vit_l", "sam_vit_h": "vit_h"}  # noqa: RUF012

    def _build(self, state: dict[str, Tensor]) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
        import torch

        builder = self._builder()
        # On the meta device no weight is drawn at random only to be overwritten (seconds and gigabytes with vit_h).
        with torch.device("meta"):
            module = builder(checkpoint=None)
        _load(module, state, assign=True)
        # These two are not in the files (persistent=False). segment_anything/build_sam.py has the same values for every size.
        module.pixel_mean = torch.tensor([123.675, 116.28, 103.53]).view(-1, 1, 1)
        module.pixel_std = torch.tensor([58.395, 57.12, 57.375]).view(-1, 1, 1)
        return module, _dense_pe

    def _builder(self) -> Callable[..., Any]:
        torchvision.ensure()
        with warnings.catch_warnings():  # old names of timm's modules; the same tiny_vit registered by two packages
            warnings.simplefilter("ignore")
            return importlib.import_module(self.package).sam_model_registry[self.builders[self.model]]

    def _encoder_size(self, width: int, height: int) -> tuple[int, int]:
        height, width = _fitted(height, width)
        return width, height

    def _blocks(self, module: nn.Module) -> list[nn.Module]:
        return list(cast(Any, module).image_encoder.blocks)

    def _encoded(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        module = cast(Any, network.module)
        image = module.preprocess(image)
        with self._device.autocast():
            return (module.image_encoder(image),)

    def _decode(self, network: Network, features: tuple[Tensor, ...], given: Given) -> tuple[Tensor, Tensor]:
        module = cast(Any, network.module)
        sparse, dense = self._prompt(module, given)
        return module.mask_decoder.predict_masks(
            image_embeddings=features[0],
            image_pe=network.dense_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
        )

    @staticmethod
    def _prompt(module: Any, given: Given) -> tuple[Tensor, Tensor]:
        points = None if given.points is None else (given.points, given.labels)
        return module.prompt_encoder(points=points, boxes=given.boxes, masks=given.previous)

    def _scale(self, embedding: Embedding) -> tuple[float, float]:
        height, width = _fitted(embedding.height, embedding.width)
        return width / embedding.width, height / embedding.height

    def _unpadded_part(self, embedding: Embedding, logits: np.ndarray) -> np.ndarray:
        height, width = _fitted(embedding.height, embedding.width)
        return logits[: height * LOGITS // SIDE, : width * LOGITS // SIDE]

    def _unpadded(self, embedding: Embedding, logits: Tensor) -> FourTimes:
        height, width = _fitted(embedding.height, embedding.width)
        # The reference enlarges the whole square and cuts the padding off; a sample more than needed makes the same of less.
        rows, columns = (min(LOGITS, math.ceil(side * LOGITS / SIDE) + 1) for side in (height, width))
        return FourTimes(logits[:, :rows, :columns], (height, width))


class MobileSam(Sam):
    """MobileSAM: SAM's decoder on a tiny encoder, ten times faster."""

    package = "mobile_sam"
    builders = {"mobile_sam": "vit_t"}  # noqa: RUF012

    def _build(self, state: dict[str, Tensor]) -> tuple[nn.Module, Callable[[nn.Module], Tensor]]:
        # TinyViT computes index tables while it is built, which the meta device cannot; it is small enough to be filled twice.
        module = self._builder()(checkpoint=None)
        _load(module, state, assign=False)
        return module, _dense_pe

    def _blocks(self, module: nn.Module) -> list[nn.Module]:
        return [block for layer in cast(Any, module).image_encoder.layers for block in layer.blocks]


class SamHq(Sam):
    """SAM-HQ: an extra mask token with finer features, added to each of SAM's masks."""

    package = "segment_anything_hq"
    builders = {"sam_hq_vit_b": "vit_b", "sam_hq_vit_l": "vit_l", "sam_hq_vit_h": "vit_h"}  # noqa: RUF012

    def _encoded(self, network: Network, image: Tensor) -> tuple[Tensor, ...]:
        module = cast(Any, network.module)
        image = module.preprocess(image)
        with self._device.autocast():
            features, early = module.image_encoder(image)
        # The reference computes this again with every click, and keeps the four times larger early features for it.
        decoder, features = module.mask_decoder, features.float()
        fine = decoder.embedding_encoder(features) + decoder.compress_vit_feat(early[0].float().permute(0, 3, 1, 2))
        return features, fine

    def _decode(self, network: Network, features: tuple[Tensor, ...], given: Given) -> tuple[Tensor, Tensor]:
        module = cast(Any, network.module)
        sparse, dense = self._prompt(module, given)
        logits, scores = module.mask_decoder.predict_masks(
            image_embeddings=features[0],
            image_pe=network.dense_pe,
            sparse_prompt_embeddings=sparse,
            dense_prompt_embeddings=dense,
            hq_features=features[1],
        )
        return logits[:, :4] + logits[:, 4:], scores


class LightSamHq(SamHq):
    """Light SAM-HQ, on MobileSAM's encoder."""

    builders = {"sam_hq_vit_tiny": "vit_tiny"}  # noqa: RUF012
    _build = MobileSam._build
    _blocks = MobileSam._blocks


def _fitted(height: int, width: int) -> tuple[int, int]:
    """(height, width) with the long side at 1024, rounded as ResizeLongestSide does; never less than a pixel."""
    scale = SIDE / max(height, width)
    return max(1, int(height * scale + 0.5)), max(1, int(width * scale + 0.5))


def _load(module: nn.Module, state: dict[str, Tensor], assign: bool) -> None:
    """Load every weight of `module`, as float32. Weights that it has no place for are ignored: files of SAM-HQ carry some."""
    weights = {key: value.float() if value.is_floating_point() else value for key, value in state.items()}
    missing, unexpected = module.load_state_dict(weights, strict=False, assign=assign)
    if missing:
        raise KeyError(f"no weights for {', '.join(missing[:5])}")
    if unexpected:
        log.info("%d weights were not used: %s", len(unexpected), ", ".join(unexpected[:5]))


def _dense_pe(module: nn.Module) -> Tensor:
    return cast(Any, module).prompt_encoder.get_dense_pe()
