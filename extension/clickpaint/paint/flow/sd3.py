"""Stable Diffusion 3 and 3.5 (Esser et al., 2024): a transformer of two streams, two CLIPs and, where it is there, T5."""

from __future__ import annotations

import math
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.flow.base import Asked, FlowFamily, found, heads
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.schedule import Spacing
from clickpaint.paint.flow.texts import T5, Clip, clip_states, t5_states

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.engines.base import Scene

_SIGNS = "joint_blocks.0.x_block.attn.qkv.weight", "transformer_blocks.0.norm1_context.linear.weight"
_TOKENS = 256
"""Of T5, as the model was trained and diffusers has it."""


class StableDiffusion3(FlowFamily):
    """Implements `FlowFamily`; its T5 may be missing, as it was left out in training now and then."""

    name = "sd3"
    transformer = "SD3Transformer2DModel"
    texts = MappingProxyType({
        "clip_l": Clip("CLIP ViT-L/14"),
        "clip_g": Clip("OpenCLIP ViT-bigG/14", projected=True),
        "t5": T5("T5 v1.1 XXL", optional=True),
    })  # fmt: skip
    vae_names = ("sd3",)
    scaling, shift = 1.5305, 0.0609
    names = Names(
        (r"=pos_embed\.pos_embed", "pos_embed"),
        (r"transformer_blocks\.(\d+)\.attn(2?)\.to_([qkv])", r"joint_blocks.\1.x_block.attn\2.qkv#\3"),
        (r"transformer_blocks\.(\d+)\.attn\.add_([qkv])_proj", r"joint_blocks.\1.context_block.attn.qkv#\2"),
        (r"transformer_blocks\.(\d+)\.attn(2?)\.norm_([qk])", r"joint_blocks.\1.x_block.attn\2.ln_\3"),
        (r"transformer_blocks\.(\d+)\.attn\.norm_added_([qk])", r"joint_blocks.\1.context_block.attn.ln_\2"),
        (r"transformer_blocks\.(\d+)\.attn(2?)\.to_out\.0", r"joint_blocks.\1.x_block.attn\2.proj"),
        (r"transformer_blocks\.(\d+)\.attn\.to_add_out", r"joint_blocks.\1.context_block.attn.proj"),
        (r"transformer_blocks\.(\d+)\.norm1\.linear", r"joint_blocks.\1.x_block.adaLN_modulation.1"),
        (r"transformer_blocks\.(\d+)\.norm1_context\.linear", r"joint_blocks.\1.context_block.adaLN_modulation.1"),
        (r"transformer_blocks\.(\d+)\.ff\.net\.0\.proj", r"joint_blocks.\1.x_block.mlp.fc1"),
        (r"transformer_blocks\.(\d+)\.ff\.net\.2", r"joint_blocks.\1.x_block.mlp.fc2"),
        (r"transformer_blocks\.(\d+)\.ff_context\.net\.0\.proj", r"joint_blocks.\1.context_block.mlp.fc1"),
        (r"transformer_blocks\.(\d+)\.ff_context\.net\.2", r"joint_blocks.\1.context_block.mlp.fc2"),
        (r"pos_embed\.proj", "x_embedder.proj"),
        (r"time_text_embed\.timestep_embedder\.linear_1", "t_embedder.mlp.0"),
        (r"time_text_embed\.timestep_embedder\.linear_2", "t_embedder.mlp.2"),
        (r"time_text_embed\.text_embedder\.linear_1", "y_embedder.mlp.0"),
        (r"time_text_embed\.text_embedder\.linear_2", "y_embedder.mlp.2"),
        (r"norm_out\.linear", "final_layer.adaLN_modulation.1~"),
        (r"proj_out", "final_layer.linear"),
    )

    def prefix(self, shapes: Shapes) -> str | None:
        prefix = found(shapes, *_SIGNS)
        # Qwen-Image and Flux have blocks of the same name in diffusers' layout
        return prefix if prefix is not None and (f"{prefix}pos_embed" in shapes or f"{prefix}pos_embed.pos_embed" in shapes) else None

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        original = _SIGNS[0] in shapes
        own = Tensors(shapes, self.names, original)
        width = own.side("pos_embed.proj.weight", 0)
        normed = own.has("transformer_blocks.0.attn.norm_q.weight")
        title = "Stable Diffusion 3.5" if normed else "Stable Diffusion 3"
        head = own.side("transformer_blocks.0.attn.norm_q.weight", 0) if normed else 64
        layers = own.count("transformer_blocks", "norm1.linear.weight")
        config = {
            "sample_size": 128,
            "patch_size": 2,
            "in_channels": own.side("pos_embed.proj.weight", 1),
            "out_channels": own.side("proj_out.weight", 0) // 4,
            "num_layers": layers,
            "attention_head_dim": head,
            "num_attention_heads": heads(width, head, title),
            "joint_attention_dim": own.side("context_embedder.weight", 1),
            "caption_projection_dim": own.side("context_embedder.weight", 0),
            "pooled_projection_dim": own.side("time_text_embed.text_embedder.linear_1.weight", 1),
            "pos_embed_max_size": math.isqrt(own.side("pos_embed.pos_embed", 1)),
            "dual_attention_layers": tuple(n for n in range(layers) if own.has(f"transformer_blocks.{n}.attn2.to_q.weight")),
            "qk_norm": "rms_norm" if normed else None,
        }
        turbo = "turbo" in name.lower()
        return FlowKind(
            self.name, title + (" Turbo" if turbo else ""), cfg_scale=1.0 if turbo else 4.5, shift=3.0, original=original, config=config
        )

    def tensors(self, kind: FlowKind, shapes: Shapes) -> Tensors:
        last = kind.config["num_layers"] - 1  # the modulation of whose text is swapped as the last normalisation's is
        rule = rf"transformer_blocks\.({last})\.norm1_context\.linear", r"joint_blocks.\1.context_block.adaLN_modulation.1~"
        return Tensors(shapes, self.names.with_first(rule), kind.original)

    def make(self, kind: FlowKind) -> Any:
        """The positions, which diffusers works out, are taken from the file, as its makers have them."""
        import torch

        transformer = super().make(kind)
        embedding = transformer.pos_embed
        positions = embedding._buffers.pop("pos_embed")
        embedding.register_parameter("pos_embed", torch.nn.Parameter(positions, requires_grad=False))
        return transformer

    def spacing(self, kind: FlowKind) -> Spacing:
        return Spacing(shift=kind.shift)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        import torch

        device, texts = checkpoint.device, checkpoint.texts
        first, first_pooled = clip_states(texts["clip_l"], prompt, device)
        second, second_pooled = clip_states(texts["clip_g"], prompt, device, filler="!")
        clip = torch.cat([first, second], dim=-1)
        width = checkpoint.kind.config["joint_attention_dim"]
        t5 = t5_states(texts["t5"], prompt, device, _TOKENS)[0] if "t5" in texts else clip.new_zeros(1, _TOKENS, width)
        clip = torch.nn.functional.pad(clip, (0, width - clip.shape[-1]))
        return Text(torch.cat([clip, t5], dim=1), {"pooled": torch.cat([first_pooled, second_pooled], dim=-1)})

    def ask(self, asked: Asked) -> torch.Tensor:
        return asked.transformer(
            hidden_states=asked.sample, timestep=asked.everywhere(1000 * asked.level), encoder_hidden_states=asked.context,
            pooled_projections=asked.added["pooled"], return_dict=False,
            **({"block_controlnet_hidden_states": list(asked.control)} if asked.control else {}),
        )[0]  # fmt: skip
