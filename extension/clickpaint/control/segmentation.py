"""What is where, in flat colours: everything that MobileSAM finds, and the parts of a drawn face."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.compat import torchvision
from clickpaint.control.base import ControlMap, Preprocessor, Request, Tools
from clickpaint.control.network import Network, batch
from clickpaint.control.resize import to_resolution, working
from clickpaint.segment import registry
from clickpaint.segment.everything import everything

if TYPE_CHECKING:
    import torch

FACE_PARTS = (
    ("background", (255, 255, 0)), ("hair", (0, 0, 255)), ("eye", (255, 0, 0)), ("mouth", (255, 255, 255)), ("face", (0, 255, 0)),
    ("skin", (0, 255, 255)), ("clothes", (255, 0, 255)),
)  # fmt: skip


def mobile_sam(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """Every object in a colour of its own, drawn from `request.seed`; smaller ones over larger ones."""
    seen = to_resolution(pixels, request.resolution)
    segmenter = registry.create("mobile_sam", tools.store, tools.device, tools.models)
    regions = sorted(everything(segmenter, seen, progress=tools.progress), key=lambda region: -region.area)
    random = np.random.RandomState(request.seed & 0xFFFFFFFF)
    canvas = np.zeros_like(seen)
    for region in regions:
        canvas[region.mask] = [random.randint(255) for _ in range(3)]
    note = {} if regions else {"note": "No object was found in the picture."}
    return ControlMap(canvas, note)


def face_network() -> torch.nn.Module:
    """A U-Net on MobileNetV2's features (siyeong0's Anime-Face-Segmentation), [1, 3, H, W] in 0..1 → [1, 7, H, W] probabilities."""
    torchvision.ensure()
    import torch
    from torch import nn
    from torchvision.models import mobilenet_v2

    def decoder(channels: int, out: int) -> nn.Sequential:
        convolution = nn.Conv2d(channels, out, kernel_size=3, padding=1)
        return nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), convolution, nn.InstanceNorm2d(out), nn.LeakyReLU(0.1))

    class FaceNetwork(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            features: Any = mobilenet_v2(weights=None).features
            for number, (start, end) in enumerate(((0, 2), (2, 4), (4, 7), (7, 14), (14, 17))):
                self.add_module(f"en_block{number}", nn.Sequential(*features[start:end]))
            last = nn.Conv2d(32, len(FACE_PARTS), kernel_size=3, padding=1)
            self.de_block0 = nn.Sequential(nn.UpsamplingNearest2d(scale_factor=2), last, nn.Softmax2d())
            for number, (channels, out) in enumerate(((48, 16), (64, 24), (192, 32), (160, 96)), 1):
                self.add_module(f"de_block{number}", decoder(channels, out))

        def forward(self, image: torch.Tensor) -> torch.Tensor:
            encoded = [image]
            for number in range(5):
                encoded.append(getattr(self, f"en_block{number}")(encoded[-1]))
            features = encoded.pop()
            for number in (4, 3, 2, 1):
                beside = encoded.pop()
                features = getattr(self, f"de_block{number}")(features)
                features = nn.functional.interpolate(features, size=beside.shape[2:], mode="bilinear", align_corners=True)
                features = torch.cat((features, beside), 1)
            return self.de_block0(features)

    return FaceNetwork()


FACE_SEGMENTS = Network("control_anime_face", face_network)
_FACE_SIDE = 512


def anime_face(pixels: np.ndarray, request: Request, tools: Tools) -> ControlMap:
    """extra "classes": the parts that are in the map."""
    import cv2
    from PIL import Image

    at = working(pixels, request.resolution)
    height, width = at.pixels.shape[:2]
    scale = _FACE_SIDE / min(height, width)
    seen = Image.fromarray(at.pixels).resize((int(width * scale), int(height * scale)), Image.Resampling.BICUBIC)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        return loaded(batch(np.asarray(seen), device) / 255.0)[0].argmax(dim=0).byte().cpu().numpy()

    labels = cv2.resize(FACE_SEGMENTS.run(tools, work), (width, height), interpolation=cv2.INTER_NEAREST)
    return colored(at.crop(np.asarray(labels)), FACE_PARTS)


def colored(labels: np.ndarray, classes: tuple[tuple[str, tuple[int, int, int]], ...]) -> ControlMap:
    """Class numbers (integers [h, w]) in the classes' colours, and which classes there are, the largest first."""
    palette = np.array([color for _, color in classes], np.uint8)
    counts = np.bincount(labels.ravel(), minlength=len(classes))
    there = [number for number in np.argsort(-counts, kind="stable") if counts[number]]
    return ControlMap(palette[labels], {"classes": [{"name": classes[number][0], "color": list(classes[number][1])} for number in there]})


_TYPES, _MODELS = ("Segmentation",), ("seg",)

PREPROCESSORS = (
    Preprocessor(
        "mobile_sam", "mobile_sam", _TYPES, mobile_sam, uses_seed=True, models=("mobile_sam",), control_models=_MODELS,
        packages=("torch", "torchvision", "timm", "mobile_sam"),
    ),
    Preprocessor(
        "anime_face_segment", "seg_anime_face", _TYPES, anime_face, models=(FACE_SEGMENTS.model,), control_models=_MODELS,
        packages=("torch", "torchvision"),
    ),
    Preprocessor(
        "segmentation", "seg_ufade20k", _TYPES, None, control_models=_MODELS,
        reason="needs the network UniFormer in a framework (mmcv 1) that no longer installs",
        instead="seg_ofade20k, which has the same classes and colours,",
    ),
)  # fmt: skip
