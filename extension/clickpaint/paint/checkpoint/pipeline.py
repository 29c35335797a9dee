"""A diffusers pipeline that somebody else has loaded (as SD.Next keeps its models) as a source: its tensors, never a copy of them."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported
from clickpaint.paint.checkpoint.kind import Prediction
from clickpaint.paint.checkpoint.source import places
from clickpaint.paint.checkpoint.unet import UNetLayout

if TYPE_CHECKING:
    import torch

_ADAPTER = re.compile(r"\.(lora_[A-Za-z_]+|default_\d+)\.")
"""What PEFT puts beside a layer that a LoRA is loaded for; the layer itself becomes its `base_layer`."""


class PipelineSource:
    """Implements `Source` for any pipeline with a `UNet2DConditionModel`, an `AutoencoderKL` and CLIP text encoders.

    Args:
        pipeline: called for it each time, because a host may change it.
        name: called for the checkpoint's name, for people.
    """

    def __init__(self, pipeline: Callable[[], Any], name: Callable[[], str]) -> None:
        self._pipeline = pipeline
        self._name = name

    @property
    def name(self) -> str:
        return self._name()

    @property
    def prediction(self) -> Prediction:
        return "v_prediction" if self._scheduler("prediction_type") == "v_prediction" else "epsilon"

    def tensors(self) -> Mapping[str, torch.Tensor]:
        """Without the LoRAs that are loaded beside the weights; such as are merged into them stay.

        Raises:
            HostUnsupported: the pipeline is not of Stable Diffusion 1, 2 or XL, or its weights are not in memory.
        """
        pipeline = self._pipeline()
        if not is_stable_diffusion(pipeline):
            raise HostUnsupported(
                "The loaded checkpoint ({kind}) is not one that engines of Clickpaint's own can run.",
                "Choose a checkpoint of Stable Diffusion 1, 2 or XL.",
                kind=type(pipeline).__name__,
            )
        layout = _layout(pipeline.unet.config)
        tensors = {f"model.diffusion_model.{layout.key(name)}": tensor for name, tensor in _bare(pipeline.unet)}
        tensors |= {f"first_stage_model.{name}": tensor for name, tensor in _bare(pipeline.vae)}
        for prefix, encoder in _text_encoders(pipeline):
            tensors |= {f"{prefix}.transformer.{name}": tensor for name, tensor in _bare(encoder)}
        for key, tensor in tensors.items():
            if tensor.is_meta:
                raise HostUnsupported(
                    "The web UI has moved the checkpoint's weights out of memory ({key}).",
                    "Choose another way of offloading models than the sequential one in its settings.",
                    key=key,
                )
        if self._scheduler("rescale_betas_zero_snr"):
            import torch

            tensors["ztsnr"] = torch.empty(0)
        return tensors

    def version(self) -> Hashable:
        return places(self.tensors())

    def using(self, device: torch.device | str) -> AbstractContextManager[None]:
        """Nothing is moved: what lies elsewhere is brought layer by layer (`streaming`), as the pipeline's owner would."""
        return nullcontext()

    def _scheduler(self, key: str) -> Any:
        return getattr(self._pipeline().scheduler, "config", {}).get(key)


def is_stable_diffusion(model: Any) -> bool:
    """Whether this is a pipeline with the networks of Stable Diffusion 1, 2 or XL."""
    unet, vae = getattr(model, "unet", None), getattr(model, "vae", None)
    return hasattr(unet, "down_blocks") and hasattr(vae, "quant_conv") and getattr(model, "text_encoder", None) is not None


def _text_encoders(pipeline: Any) -> list[tuple[str, Any]]:
    second = getattr(pipeline, "text_encoder_2", None)
    if second is None:
        return [("cond_stage_model", pipeline.text_encoder)]
    return [("conditioner.embedders.0", pipeline.text_encoder), ("conditioner.embedders.1", second)]


def _bare(module: torch.nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in module.named_parameters():
        if not _ADAPTER.search(name):
            yield name.replace(".base_layer.", "."), tensor


def _layout(config: Mapping[str, Any]) -> UNetLayout:
    """As much of the build as the names of the tensors depend on; `open_checkpoint` reads the rest from their shapes."""
    channels = tuple(config["block_out_channels"])
    depths = tuple(int("CrossAttn" in kind) for kind in config["down_block_types"])
    blocks = config["layers_per_block"]
    return UNetLayout(config["in_channels"], config["out_channels"], channels, blocks, depths, 1, 0, False, 0)
