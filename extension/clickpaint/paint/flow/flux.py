"""Flux.1 (Black Forest Labs, 2024): dev, schnell, Fill and Kontext; T5 for the words, CLIP for the whole prompt."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.diffusion.influences import Channels
from clickpaint.paint.flow.base import Asked, FlowFamily, found, heads
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.packing import packed, places, unpacked
from clickpaint.paint.flow.reference import references, seen_in
from clickpaint.paint.flow.schedule import Spacing, by_size
from clickpaint.paint.flow.texts import T5, Clip, clip_states, t5_states

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.loop import Part

BLOCKS = (
    (r"transformer_blocks\.(\d+)\.attn\.to_([qkv])", r"double_blocks.\1.img_attn.qkv#\2"),
    (r"transformer_blocks\.(\d+)\.attn\.add_([qkv])_proj", r"double_blocks.\1.txt_attn.qkv#\2"),
    (r"transformer_blocks\.(\d+)\.attn\.norm_q", r"double_blocks.\1.img_attn.norm.query_norm:scale"),
    (r"transformer_blocks\.(\d+)\.attn\.norm_k", r"double_blocks.\1.img_attn.norm.key_norm:scale"),
    (r"transformer_blocks\.(\d+)\.attn\.norm_added_q", r"double_blocks.\1.txt_attn.norm.query_norm:scale"),
    (r"transformer_blocks\.(\d+)\.attn\.norm_added_k", r"double_blocks.\1.txt_attn.norm.key_norm:scale"),
    (r"transformer_blocks\.(\d+)\.attn\.to_out\.0", r"double_blocks.\1.img_attn.proj"),
    (r"transformer_blocks\.(\d+)\.attn\.to_add_out", r"double_blocks.\1.txt_attn.proj"),
    (r"transformer_blocks\.(\d+)\.norm1\.linear", r"double_blocks.\1.img_mod.lin"),
    (r"transformer_blocks\.(\d+)\.norm1_context\.linear", r"double_blocks.\1.txt_mod.lin"),
    (r"transformer_blocks\.(\d+)\.ff\.net\.0\.proj", r"double_blocks.\1.img_mlp.0"),
    (r"transformer_blocks\.(\d+)\.ff\.net\.2", r"double_blocks.\1.img_mlp.2"),
    (r"transformer_blocks\.(\d+)\.ff_context\.net\.0\.proj", r"double_blocks.\1.txt_mlp.0"),
    (r"transformer_blocks\.(\d+)\.ff_context\.net\.2", r"double_blocks.\1.txt_mlp.2"),
    (r"single_transformer_blocks\.(\d+)\.attn\.to_([qkv])", r"single_blocks.\1.linear1#\2"),
    (r"single_transformer_blocks\.(\d+)\.proj_mlp", r"single_blocks.\1.linear1#last"),
    (r"single_transformer_blocks\.(\d+)\.proj_out", r"single_blocks.\1.linear2"),
    (r"single_transformer_blocks\.(\d+)\.attn\.norm_q", r"single_blocks.\1.norm.query_norm:scale"),
    (r"single_transformer_blocks\.(\d+)\.attn\.norm_k", r"single_blocks.\1.norm.key_norm:scale"),
    (r"single_transformer_blocks\.(\d+)\.norm\.linear", r"single_blocks.\1.modulation.lin"),
    (r"context_embedder", "txt_in"),
    (r"x_embedder", "img_in"),
    (r"proj_out", "final_layer.linear"),
)
"""The blocks of Flux, which its relatives have as well."""

VAE_NAMES = ("ae", "flux")
SCALING, SHIFT = 0.3611, 0.1159
"""Of Flux's VAE, which others paint with too: how its files are called, and what its latents are multiplied and shifted by."""

_ORIGINAL = "double_blocks.0.img_attn.qkv.weight"
_CONVERTED = "single_transformer_blocks.0.proj_mlp.weight"


def blocks_config(own: Tensors, title: str) -> dict[str, Any]:
    """What diffusers wants to know of a transformer made of `BLOCKS`, read off its tensors.

    Args:
        own: its tensors.
        title: of the model, for an error's sentence.

    Raises:
        CorruptModel: the tensors do not fit each other.
    """
    head = own.side("transformer_blocks.0.attn.norm_q.weight", 0)
    return {
        "in_channels": own.side("x_embedder.weight", 1),
        "num_layers": own.count("transformer_blocks", "attn.norm_q.weight"),
        "num_single_layers": own.count("single_transformer_blocks", "attn.norm_q.weight"),
        "attention_head_dim": head,
        "num_attention_heads": heads(own.side("x_embedder.weight", 0), head, title),
        "joint_attention_dim": own.side("context_embedder.weight", 1),
    }


class Flux(FlowFamily):
    """Implements `FlowFamily`."""

    name = "flux"
    transformer = "FluxTransformer2DModel"
    diffusers = "0.32"
    texts = MappingProxyType({"clip_l": Clip("CLIP ViT-L/14"), "t5": T5("T5 v1.1 XXL")})
    vae_names = VAE_NAMES
    scaling, shift = SCALING, SHIFT
    names = Names(
        *BLOCKS,
        (r"time_text_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
        (r"time_text_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
        (r"time_text_embed\.text_embedder\.linear_1", "vector_in.in_layer"),
        (r"time_text_embed\.text_embedder\.linear_2", "vector_in.out_layer"),
        (r"time_text_embed\.guidance_embedder\.linear_1", "guidance_in.in_layer"),
        (r"time_text_embed\.guidance_embedder\.linear_2", "guidance_in.out_layer"),
        (r"norm_out\.linear", "final_layer.adaLN_modulation.1~"),
    )

    def prefix(self, shapes: Shapes) -> str | None:
        prefix = found(shapes, _ORIGINAL, _CONVERTED)
        signs = "vector_in.in_layer.weight", "time_text_embed.text_embedder.linear_1.weight"
        return prefix if prefix is not None and any(prefix + sign in shapes for sign in signs) else None

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        own = Tensors(shapes, self.names, _ORIGINAL in shapes)
        config = blocks_config(own, "Flux")
        inputs, outputs, head = config["in_channels"], own.side("proj_out.weight", 0), config["attention_head_dim"]
        guided = own.has("time_text_embed.guidance_embedder.linear_1.weight")
        config |= {
            **({"out_channels": outputs} if inputs != outputs else {}),
            "pooled_projection_dim": own.side("time_text_embed.text_embedder.linear_1.weight", 1),
            "guidance_embeds": guided,
            "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        }
        common = {"original": own.original, "config": config}
        if inputs == 6 * outputs:
            return FlowKind(self.name, "Flux Fill", sees_hole=True, distilled=30.0, **common)
        if inputs != outputs:
            raise InvalidInput(
                "{name} is a Flux that takes a control map beside the latents, which no engine here gives it.",
                "Choose Flux dev, schnell, Fill or Kontext.",
                name=name,
            )
        if "kontext" in name.lower():
            return FlowKind(self.name, "Flux Kontext", instructs=True, distilled=2.5, **common)
        if guided:
            return FlowKind(self.name, "Flux dev", distilled=3.5, **common)
        return FlowKind(self.name, "Flux schnell", shift=1.0, **common)

    def spacing(self, kind: FlowKind) -> Spacing:
        if kind.shift is not None:
            return Spacing(shift=kind.shift, even=True)
        return Spacing(shift=None, shift_at=by_size(0.5, 1.15, 4096), even=True)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        device, texts = checkpoint.device, checkpoint.texts
        length = 256 if checkpoint.kind.shift is not None else 512
        context, _ = t5_states(texts["t5"], prompt, device, length)
        return Text(context, {"pooled": clip_states(texts["clip_l"], prompt, device)[1]})

    def beside(self, checkpoint: FlowCheckpoint, scene: Scene) -> list[Part]:
        """Fill sees the picture with the hole, and the hole's very pixels; Kontext the picture, and where it paints in a hole what a
        reference shows, that instead."""
        if checkpoint.kind.instructs:
            options = scene.job.options
            return references(scene, self.cell * self.patch, itself=options.task == "instruct" or not options.reference.pictures)
        return [_hole(scene)] if checkpoint.kind.sees_hole else []

    def ask(self, asked: Asked) -> torch.Tensor:
        import torch

        height, width = asked.sample.shape[2:]
        tokens, own = packed(asked.sample), places(height // 2, width // 2, 0, asked.sample)
        count = tokens.shape[1]
        bottom = right = 0  # it knows one further picture: several lie beside and below each other in it
        for seen in seen_in(asked.added):
            rows, columns = seen.shape[2] // 2, seen.shape[3] // 2
            down, across = (0, right) if rows + bottom > columns + right else (bottom, 0)
            beside = places(rows, columns, 1, asked.sample)
            tokens = torch.cat([tokens, packed(seen)], dim=1)
            own = torch.cat([own, beside + beside.new_tensor([0, down, across])])
            bottom, right = max(bottom, down + rows), max(right, across + columns)
        control, double = asked.added_behind(tokens.shape[1]), len(asked.transformer.transformer_blocks)
        answer = asked.transformer(
            hidden_states=tokens, timestep=asked.everywhere(asked.level), encoder_hidden_states=asked.context,
            pooled_projections=asked.added["pooled"], img_ids=own, txt_ids=own.new_zeros(asked.context.shape[1], 3),
            guidance=None if asked.distilled is None else asked.everywhere(asked.distilled), return_dict=False,
            **({"controlnet_block_samples": control[:double], "controlnet_single_block_samples": control[double:]} if control else {}),
        )[0]  # fmt: skip
        return unpacked(answer[:, :count], height, width)


def _hole(scene: Scene) -> Channels:
    """[1, 16 + 64, h, w]: the latents of the picture with a grey hole, and for each latent the mask of its 8 x 8 pixels."""
    import torch

    job = scene.job
    kept = np.where(job.mask[..., None], np.float32(0), job.pixels.astype(np.float32) / 127.5 - 1)
    latents = scene.coder.encode(kept)
    height, width = latents.shape[2:]
    pixels = torch.from_numpy(job.mask.astype(np.float32)).reshape(height, 8, width, 8).permute(1, 3, 0, 2)
    values = torch.cat([latents, pixels.reshape(1, 64, height, width).to(latents)], dim=1)
    return Channels(dict.fromkeys(("cond", "uncond"), values))
