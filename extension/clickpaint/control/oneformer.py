"""Every pixel's class (Jain et al. 2023, "OneFormer: One Transformer to Rule Universal Image Segmentation"), by transformers' network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.caption.loading import transformers
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.classes import ADE20K, COCO, Classes
from clickpaint.control.network import Network, batch
from clickpaint.control.normals import IMAGENET_DEVIATION, IMAGENET_MEAN
from clickpaint.control.resize import working
from clickpaint.control.segmentation import colored

if TYPE_CHECKING:
    import torch

    from clickpaint.control.network import State

_TASK = (49406, 518, 10549, 533, 29119, 1550, 49407)  # "the task is semantic" in CLIP's tokens
_TASK_LENGTH = 77
_MULTIPLE = 32


def build(classes: int, queries: int, **sizes: Any) -> Any:
    """The network with a large Swin backbone (Liu et al. 2021); `sizes` of transformers' configs where they should be others."""
    library = transformers()
    swin = {"embed_dim": 192, "depths": [2, 2, 18, 2], "num_heads": [6, 12, 24, 48], "window_size": 12, "image_size": 384}
    backbone = library.SwinConfig(
        **{key: sizes.pop(key, value) for key, value in swin.items()}, out_features=[f"stage{number}" for number in (1, 2, 3, 4)]
    )
    config = library.OneFormerConfig(backbone_config=backbone, num_queries=queries, num_labels=classes, is_training=False, **sizes)
    return library.OneFormerForUniversalSegmentation(config)


def fit(state: State, network: Any) -> State:
    """The tensors under the names of the installed transformers, which knows those of the older ones that wrote the files.

    Raises:
        KeyError: some are missing.
    """
    loaded, loading_info = type(network).from_pretrained(None, config=network.config, state_dict=dict(state), output_loading_info=True)
    missing = [
        name for name in loading_info["missing_keys"] if not name.endswith((".layernorm.weight", ".layernorm.bias"))
    ]  # the last is not used
    if missing:
        raise KeyError(", ".join(sorted(missing)[:3]))
    return loaded.state_dict()


@dataclass(frozen=True)
class Kind:
    """A network, its classes, and how long the sides of what it is shown are: short, and long at most."""

    network: Network
    classes: Classes
    short: int
    long: int


ADE = Kind(Network("control_oneformer_ade20k", partial(build, len(ADE20K), 250), fit), ADE20K, 640, 2560)
COMMON = Kind(Network("control_oneformer_coco", partial(build, len(COCO), 150), fit), COCO, 800, 1333)


def shown_size(height: int, width: int, kind: Kind) -> tuple[int, int]:
    """(height, width) at which the network looks."""
    scale = min(kind.short / min(height, width), kind.long / max(height, width))
    return int(height * scale + 0.5), int(width * scale + 0.5)


def oneformer(pixels: np.ndarray, request: Request, tools: Tools, *, kind: Kind) -> ControlMap:
    """Flat colours without outlines. extra "classes": those that are in the map, the largest first."""
    from PIL import Image

    at = working(pixels, request.resolution)
    full = at.pixels.shape[0], at.pixels.shape[1]
    height, width = shown_size(*full, kind)
    seen = np.asarray(Image.fromarray(at.pixels).resize((width, height), Image.Resampling.BILINEAR))

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        import torch
        from torch.nn.functional import interpolate, pad

        mean, deviation = (torch.tensor(each, device=device)[:, None, None] * 255 for each in (IMAGENET_MEAN, IMAGENET_DEVIATION))
        image = pad((batch(seen, device) - mean) / deviation, (0, -width % _MULTIPLE, 0, -height % _MULTIPLE))
        task = torch.zeros((1, _TASK_LENGTH), device=device)
        task[0, : len(_TASK)] = torch.tensor(_TASK, device=device)
        answer = loaded(pixel_values=image, task_inputs=task)
        masks = interpolate(answer.masks_queries_logits, image.shape[2:], mode="bilinear", align_corners=False)[:, :, :height, :width]
        masks = interpolate(masks, full, mode="bilinear", align_corners=False)[0].sigmoid()
        likely = answer.class_queries_logits[0].softmax(-1)[:, :-1]
        return torch.einsum("qc,qhw->chw", likely, masks).argmax(0).byte().cpu().numpy()

    return colored(at.crop(kind.network.run(tools, work)), kind.classes)


PREPROCESSORS = tuple(
    Preprocessor(
        name, label, ("Segmentation",), partial(oneformer, kind=kind),
        models=(kind.network.model,), packages=("torch", "transformers"), control_models=("seg",), priority=priority,
    )
    for name, label, kind, priority in (("oneformer_ade20k", "seg_ofade20k", ADE, 100), ("oneformer_coco", "seg_ofcoco", COMMON, 0))
)  # fmt: skip
