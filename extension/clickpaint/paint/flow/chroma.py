"""Chroma (Lodestone Rock, 2025): Flux schnell with one small network in place of all its modulations, and T5 alone for the words."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.flow.base import Asked, FlowFamily, found
from clickpaint.paint.flow.flux import BLOCKS, SCALING, SHIFT, VAE_NAMES, blocks_config
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.packing import packed, places, unpacked
from clickpaint.paint.flow.schedule import Spacing
from clickpaint.paint.flow.texts import T5, t5_states

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.engines.base import Scene

_TOKENS = 512


class Chroma(FlowFamily):
    """Implements `FlowFamily`."""

    name = "chroma"
    transformer = "ChromaTransformer2DModel"
    diffusers = "0.34"
    texts = MappingProxyType({"t5": T5("T5 v1.1 XXL")})
    vae_names = VAE_NAMES
    scaling, shift = SCALING, SHIFT
    names = Names(
        *BLOCKS,
        (r"distilled_guidance_layer\.layers\.(\d+)\.linear_1", r"distilled_guidance_layer.layers.\1.in_layer"),
        (r"distilled_guidance_layer\.layers\.(\d+)\.linear_2", r"distilled_guidance_layer.layers.\1.out_layer"),
        (r"distilled_guidance_layer\.norms\.(\d+)", r"distilled_guidance_layer.norms.\1:scale"),
    )

    def prefix(self, shapes: Shapes) -> str | None:
        return found(shapes, "distilled_guidance_layer.in_proj.weight")

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        if any(key.startswith("nerf_") for key in shapes):
            raise InvalidInput(
                "{name} is Chroma Radiance, which paints pixels without a VAE, and no engine here does that.",
                "Choose Chroma.",
                name=name,
            )
        own = Tensors(shapes, self.names, "img_in.weight" in shapes)
        config = blocks_config(own, "Chroma")
        head = config["attention_head_dim"]
        config |= {
            "out_channels": own.side("proj_out.weight", 0),
            "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
            "approximator_num_channels": own.side("distilled_guidance_layer.in_proj.weight", 1),
            "approximator_hidden_dim": own.side("distilled_guidance_layer.in_proj.weight", 0),
            "approximator_layers": own.count("distilled_guidance_layer.norms", "weight"),
        }
        flash = "flash" in name.lower()
        return FlowKind(self.name, "Chroma", cfg_scale=1.0 if flash else 4.0, shift=1.0, original=own.original, config=config)

    def make(self, kind: FlowKind) -> Any:
        """The numbers of its modulations are worked out when it is made, and a module without memory could not keep them."""
        transformer = super().make(kind)
        numbers = transformer.time_text_embed
        transformer.time_text_embed = type(numbers)(
            num_channels=kind.config["approximator_num_channels"] // 4, out_dim=numbers.mod_proj.shape[0]
        )
        return transformer

    def spacing(self, kind: FlowKind) -> Spacing:
        return Spacing(shift=kind.shift, options=(("use_beta_sigmas", True),), even=True)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        """The prompt's tokens and one of those that fill it up, as the model was trained; the others are masked, which is the same as
        leaving them out."""
        context, own = t5_states(checkpoint.texts["t5"], prompt, checkpoint.device, _TOKENS, masked=True)
        return Text(context[:, : int(own.sum()) + 1])

    def ask(self, asked: Asked) -> torch.Tensor:
        height, width = asked.sample.shape[2:]
        own = places(height // 2, width // 2, 0, asked.sample)
        answer = asked.transformer(
            hidden_states=packed(asked.sample), timestep=asked.everywhere(asked.level), encoder_hidden_states=asked.context,
            img_ids=own, txt_ids=own.new_zeros(asked.context.shape[1], 3), return_dict=False,
        )[0]  # fmt: skip
        return unpacked(answer, height, width)
