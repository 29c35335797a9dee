"""Flux.2 Klein (Black Forest Labs, 2026): one transformer that paints and edits, with Qwen3's words and latents of 128 channels."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.vae import vae_config, vae_key
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.flow.base import Asked, FlowFamily, found
from clickpaint.paint.flow.flux import BLOCKS, blocks_config
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.qwen_texts import Qwen3, as_user, hidden_states
from clickpaint.paint.flow.reference import references, seen_in
from clickpaint.paint.flow.schedule import Spacing

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.checkpoint.networks import Part
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.loop import Part as LoopPart

_TOKENS, _JOINED = 512, 3
_ANSWERED = "<think>\n\n</think>\n\n"
"""What stands where Qwen3 would think, for it is not to."""


class Flux2Klein(FlowFamily):
    """Implements `FlowFamily`."""

    name = "flux2"
    transformer = "Flux2Transformer2DModel"
    diffusers = "0.37"
    texts = MappingProxyType({"qwen3": Qwen3("Qwen3 4B (of Klein 9B: Qwen3 8B)", joined=_JOINED)})
    vae_names = ("flux2",)
    channels, cell, patch = 128, 16, 1
    names = Names(
        (r"transformer_blocks\.(\d+)\.ff\.linear_in", r"double_blocks.\1.img_mlp.0"),
        (r"transformer_blocks\.(\d+)\.ff\.linear_out", r"double_blocks.\1.img_mlp.2"),
        (r"transformer_blocks\.(\d+)\.ff_context\.linear_in", r"double_blocks.\1.txt_mlp.0"),
        (r"transformer_blocks\.(\d+)\.ff_context\.linear_out", r"double_blocks.\1.txt_mlp.2"),
        (r"single_transformer_blocks\.(\d+)\.attn\.to_qkv_mlp_proj", r"single_blocks.\1.linear1"),
        (r"single_transformer_blocks\.(\d+)\.attn\.to_out", r"single_blocks.\1.linear2"),
        *BLOCKS,
        (r"time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
        (r"time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
        (r"(double_stream_modulation_img|double_stream_modulation_txt|single_stream_modulation)\.linear", r"\1.lin"),
        (r"norm_out\.linear", "final_layer.adaLN_modulation.1~"),
    )

    def prefix(self, shapes: Shapes) -> str | None:
        return found(shapes, "double_stream_modulation_img.lin.weight", "double_stream_modulation_img.linear.weight")

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        if any(key.startswith(("guidance_in.", "time_guidance_embed.guidance_embedder.")) for key in shapes):
            raise InvalidInput(
                "{name} is Flux.2 dev, whose text encoder (Mistral) no engine here knows.",
                "Choose Flux.2 Klein.",
                name=name,
            )
        own = Tensors(shapes, self.names, "img_in.weight" in shapes)
        config = blocks_config(own, "Flux.2 Klein")
        config |= {"axes_dims_rope": (config["attention_head_dim"] // 4,) * 4, "guidance_embeds": False}
        base = "base" in name.lower()
        title = "Flux.2 Klein base" if base else "Flux.2 Klein"
        return FlowKind(self.name, title, instructs=True, cfg_scale=4.0 if base else 1.0, original=own.original, config=config)

    def make_vae(self, part: Part, previous: Any | None) -> Any:
        from diffusers import AutoencoderKLFlux2

        tensors = {_OUTER.get(key, key): tensor for key, tensor in part.tensors.items()}
        config = vae_config({key: tuple(tensor.shape) for key, tensor in tensors.items()}, 1.0, False)
        config = {key: value for key, value in config.items() if key not in ("scaling_factor", "force_upcast")}
        vae: Any = previous
        if vae is None or any(vae.config[key] != value for key, value in config.items()):
            with on_meta():
                vae = AutoencoderKLFlux2(**config).eval()
        levels = len(config["block_out_channels"])
        keys = {name: vae_key(name, levels) for name, _ in vae.named_parameters()}
        found = {name: tensors[key] for name, key in keys.items() if key in tensors}
        flat = {name: tensor[:, :, 0, 0] if tensor.ndim == 4 and ".to_" in name else tensor for name, tensor in found.items()}
        assign(vae, flat, lambda name: part.prefix + keys[name])
        _place_statistics(vae, tensors, part.prefix)
        return vae

    def takes_vae(self, shapes: Mapping[str, Any], prefix: str) -> bool:
        return f"{prefix}bn.running_mean" in shapes

    def latents_of(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        mean, deviation = _statistics(vae, picture)
        latents = vae.encode(picture).latent_dist.mode()
        count, channels, height, width = latents.shape
        cut = latents.reshape(count, channels, height // 2, 2, width // 2, 2).permute(0, 1, 3, 5, 2, 4)
        return (cut.reshape(count, 4 * channels, height // 2, width // 2) - mean) / deviation

    def picture_of(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        mean, deviation = _statistics(vae, latents)
        count, channels, height, width = latents.shape
        cut = (latents * deviation + mean).reshape(count, channels // 4, 2, 2, height, width).permute(0, 1, 4, 2, 5, 3)
        return vae.decode(cut.reshape(count, channels // 4, 2 * height, 2 * width), return_dict=False)[0]

    def spacing(self, kind: FlowKind) -> Spacing:
        return Spacing(shift=None, shift_at=_shift_at, even=True)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        """Three of Qwen3's hidden states side by side, those of what fills up the prompt among them, as it was trained."""
        import torch

        text = checkpoint.texts["qwen3"]
        states = hidden_states(text, as_user(prompt) + _ANSWERED, checkpoint.device, _TOKENS, filled=True)
        layers = len(states) - 1
        return Text(torch.cat([states[layers * part // 4] for part in (1, 2, 3)], dim=-1).float())

    def beside(self, checkpoint: FlowCheckpoint, scene: Scene) -> list[LoopPart]:
        return references(scene, self.cell)

    def ask(self, asked: Asked) -> torch.Tensor:
        import torch

        rows, channels, height, width = asked.sample.shape
        tokens, own = asked.sample.flatten(2).transpose(1, 2), _places(height, width, 0, asked.sample)
        count = tokens.shape[1]
        for number, seen in enumerate(seen_in(asked.added), 1):
            tokens = torch.cat([tokens, seen.flatten(2).transpose(1, 2)], dim=1)
            own = torch.cat([own, _places(seen.shape[2], seen.shape[3], 10 * number, asked.sample)])
        words = own.new_zeros(asked.context.shape[1], 4)
        words[:, 3] = torch.arange(len(words))
        answer = asked.transformer(
            hidden_states=tokens, timestep=asked.everywhere(asked.level), encoder_hidden_states=asked.context, img_ids=own, txt_ids=words,
            guidance=None, return_dict=False,
        )[0]  # fmt: skip
        return answer[:, :count].transpose(1, 2).reshape(rows, channels, height, width)


_OUTER = {
    f"{side}.{layer}.{leaf}": f"{layer}.{leaf}"
    for side, layer in (("encoder", "quant_conv"), ("decoder", "post_quant_conv"))
    for leaf in ("weight", "bias")
}
"""What lies within encoder and decoder in its makers' file, and beside them elsewhere."""


def _shift_at(patches: int, steps: int) -> float:
    """The logarithm of the shift that its makers found to be right for (patches, steps)."""
    many = 0.00016927 * patches + 0.45666666
    if patches > 4300:
        return many
    few = 8.73809524e-05 * patches + 1.89833333
    slope = (many - few) / 190
    return slope * steps + many - 200 * slope


def _places(height: int, width: int, number: int, like: torch.Tensor) -> torch.Tensor:
    """(number of the picture, row, column, 0) of each of its tokens, [tokens, 4]."""
    import torch

    from clickpaint.paint.flow.packing import places

    own = places(height, width, number, like)
    return torch.cat([own, own.new_zeros(len(own), 1)], dim=1)


def _place_statistics(vae: Any, tensors: Mapping[str, Any], prefix: str) -> None:
    import torch

    for leaf in ("running_mean", "running_var"):
        if f"bn.{leaf}" not in tensors:
            key = f"{prefix}bn.{leaf}"
            raise InvalidInput(
                "The VAE is damaged or of an unknown kind: {key} is missing.", "Choose another VAE.", key=key
            )  # fmt: skip
        vae.bn._buffers[leaf] = tensors[f"bn.{leaf}"].detach()
    vae.bn._buffers["num_batches_tracked"] = torch.tensor(0)


def _statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, standard deviation) of each channel of the latents, [1, c, 1, 1]."""
    mean, variance = vae.bn.running_mean.float(), vae.bn.running_var.float()
    deviation = (variance + vae.config["batch_norm_eps"]).sqrt()
    return tuple(value.reshape(1, -1, 1, 1).to(like) for value in (mean, deviation))  # type: ignore[return-value]
