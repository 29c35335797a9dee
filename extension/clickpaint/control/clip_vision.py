"""What a picture is about, as vectors for adapters: T2I-Adapter style, IP-Adapter, Revision (Radford et al. 2021, "CLIP")."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.caption.loading import transformers
from clickpaint.control.base import ControlMap, Parameter, Preprocessor, Request, Tools
from clickpaint.control.network import Network, batch
from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    import torch

    from clickpaint.control.network import State

SIDE = 224
_MEAN, _DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


def build(width: int, inner: int, layers: int, heads: int, projection: int, activation: str = "gelu", side: int = SIDE) -> Any:
    library = transformers()
    config = library.CLIPVisionConfig(
        hidden_size=width, intermediate_size=inner, num_hidden_layers=layers, num_attention_heads=heads, projection_dim=projection,
        image_size=side, patch_size=14, hidden_act=activation,
    )  # fmt: skip
    return library.CLIPVisionModelWithProjection(config)


def fit(state: State, network: torch.nn.Module) -> State:
    """The half of CLIP that looks at pictures; positions that older files keep are computed."""
    return {name: tensor for name, tensor in state.items() if name in network.state_dict()}


LARGE = Network("control_clip_vitl", partial(build, 1024, 4096, 24, 16, 768, "quick_gelu"), fit)
HUGE = Network("control_clip_vith", partial(build, 1280, 5120, 32, 16, 1024), fit)
GIANT = Network("control_clip_vitg", partial(build, 1664, 8192, 48, 16, 1280), fit)


def embed(pixels: np.ndarray, request: Request, tools: Tools, *, network: Network, patches: bool = False) -> ControlMap:
    """embedding: float32 [1, D], CLIP's projected picture, or with `patches` [1, 257, D], the last layer's states."""
    import cv2

    seen = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        import torch

        mean, deviation = (torch.tensor(each, device=device)[:, None, None] for each in (_MEAN, _DEVIATION))
        outputs = loaded(pixel_values=(batch(seen, device) / 255.0 - mean) / deviation)
        return (outputs.last_hidden_state if patches else outputs.image_embeds).float().cpu().numpy()

    return ControlMap(seen, embedding=network.run(tools, work))


def look(pixels: np.ndarray, width: int, states: bool, tools: Tools) -> np.ndarray:
    """What the CLIP of this width sees, for an IP-Adapter.

    Args:
        pixels: uint8 [h, w, 3].
        width: of the embedding, or with `states` of a layer.

    Returns:
        float32 [1, width], the embedding, or [1, 257, width], the states of the last layer but one.

    Raises:
        ModelMissing: it is not here.
        InvalidInput: no CLIP has this width.
    """
    import cv2

    network = {(1024, False): HUGE, (1280, True): HUGE, (1280, False): GIANT, (1664, True): GIANT}.get((width, states))
    if network is None:
        raise InvalidInput("This IP-Adapter looks through a CLIP that is not known.", "Choose one that looks through ViT-H or ViT-bigG.")
    seen = cv2.resize(pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)

    def work(loaded: Any, device: torch.device) -> np.ndarray:
        import torch

        mean, deviation = (torch.tensor(each, device=device)[:, None, None] for each in (_MEAN, _DEVIATION))
        values = batch(seen, device) / 255.0
        outputs = loaded(pixel_values=(values - mean) / deviation if seen.any() else values, output_hidden_states=states)
        return (outputs.hidden_states[-2] if states else outputs.image_embeds).float().cpu().numpy()

    return network.run(tools, work)


_NOISE = (Parameter("noise", "Noise Augmentation", 0.0, 1.0, 0.01, 0.0),)
_ADAPTER, _REVISION = ("ip-adapter", "ip_adapter"), ("Revision",)


def _described(name: str, label: str, types: tuple[str, ...], network: Network, **more: Any) -> Preprocessor:
    run = partial(embed, network=network, patches=name == "clip_vision")
    return Preprocessor(
        name, label, types, run, resolution=None, models=(network.model,), packages=("torch", "transformers"), returns="embedding", **more
    )


PREPROCESSORS = (
    _described("clip_vision", "t2ia_style_clipvision", ("T2I-Adapter",), LARGE, control_models=("t2iadapter_style",)),
    _described("ip-adapter_clip_sd15", "ip-adapter_clip_h", ("IP-Adapter",), HUGE, control_models=_ADAPTER, priority=100),
    _described("ip-adapter_clip_sdxl", "ip-adapter_clip_g", ("IP-Adapter",), GIANT, control_models=_ADAPTER),
    _described(
        "ip-adapter_clip_sdxl_plus_vith", "ip-adapter_clip_sdxl_plus_vith", ("IP-Adapter",), HUGE, control_models=_ADAPTER
    ),
    _described("revision_clipvision", "revision_clipvision", _REVISION, GIANT, parameters=_NOISE, priority=100),
    _described("revision_ignore_prompt", "revision_ignore_prompt", _REVISION, GIANT, parameters=_NOISE),
)  # fmt: skip
