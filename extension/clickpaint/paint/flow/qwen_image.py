"""Qwen-Image and Qwen-Image-Edit (Alibaba, 2025): two streams like Flux, Qwen2.5-VL for the words, and a VAE made for videos."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.context import scaled
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.diffusion.loop import ClassifierFree, Guidance
from clickpaint.paint.flow.base import Asked, FlowFamily, found, heads
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.packing import packed, unpacked
from clickpaint.paint.flow.qwen_vae import qwen_vae
from clickpaint.paint.flow.qwen_vision import QwenVision, read_with_pictures
from clickpaint.paint.flow.reference import fitted_pictures, references, seen_in
from clickpaint.paint.flow.schedule import Spacing, by_size

if TYPE_CHECKING:
    import numpy as np
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.checkpoint.networks import Part
    from clickpaint.paint.diffusion.engines.base import Scene
    from clickpaint.paint.diffusion.loop import Part as LoopPart

_DESCRIBE = (
    "<|im_start|>system\nDescribe the image by detailing the color, shape, size, texture, quantity, text, spatial relationships of the "
    "objects and background:<|im_end|>\n<|im_start|>user\n"
)
_EDIT = (
    "<|im_start|>system\nDescribe the key features of the input image (color, shape, size, texture, objects, background), then explain "
    "how the user's text instruction should alter or modify the image. Generate a new image that meets the user's requirements while "
    "maintaining consistency with the original input where appropriate.<|im_end|>\n<|im_start|>user\n"
)
_SHOWN = "<|vision_start|><|image_pad|><|vision_end|>"
_END = "<|im_end|>\n<|im_start|>assistant\n"
"""The words that the models were trained with around a prompt."""


class QwenImage(FlowFamily):
    """Implements `FlowFamily`."""

    name = "qwen_image"
    transformer = "QwenImageTransformer2DModel"
    diffusers = "0.35"
    texts = MappingProxyType({"qwen_vl": QwenVision("Qwen2.5-VL 7B")})
    vae_names = ("qwen",)
    names = Names()

    def prefix(self, shapes: Shapes) -> str | None:
        prefix = found(shapes, "txt_norm.weight")
        return prefix if prefix is not None and f"{prefix}transformer_blocks.0.img_mod.1.weight" in shapes else None

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        own = Tensors(shapes, self.names, False)
        width = own.side("img_in.weight", 0)
        head = own.side("transformer_blocks.0.attn.norm_q.weight", 0)
        config: dict[str, Any] = {
            "in_channels": own.side("img_in.weight", 1),
            "out_channels": own.side("proj_out.weight", 0) // 4,
            "num_layers": own.count("transformer_blocks", "img_mod.1.weight"),
            "attention_head_dim": head,
            "num_attention_heads": heads(width, head, "Qwen-Image"),
            "joint_attention_dim": own.side("txt_in.weight", 1),
            "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        }
        if "__index_timestep_zero__" in shapes:  # since Edit 2511 the picture that is seen has a time of its own
            config["zero_cond_t"] = True
        edits = "edit" in name.lower()
        quick = any(word in name.lower() for word in ("lightning", "turbo", "distill"))
        title = "Qwen-Image-Edit" if edits else "Qwen-Image"
        return FlowKind(self.name, title, instructs=edits, cfg_scale=1.0 if quick else 4.0, original=False, config=config)

    def make(self, kind: FlowKind) -> Any:
        """Its positions are worked out when it is made, and a module without memory could not keep them."""
        transformer = super().make(kind)
        transformer.pos_embed = type(transformer.pos_embed)(theta=10000, axes_dim=list(kind.config["axes_dims_rope"]), scale_rope=True)
        return transformer

    def make_vae(self, part: Part, previous: Any | None) -> Any:
        return qwen_vae(part, previous)

    def takes_vae(self, shapes: Mapping[str, Any], prefix: str) -> bool:
        first = shapes.get(f"{prefix}decoder.conv1.weight", shapes.get(f"{prefix}decoder.conv_in.weight"))
        return first is not None and len(first.shape) == 5 and first.shape[1] == self.channels

    def latents_of(self, vae: Any, picture: torch.Tensor) -> torch.Tensor:
        mean, deviation = _statistics(vae, picture)
        return (vae.encode(picture.unsqueeze(2)).latent_dist.mode()[:, :, 0] - mean) / deviation

    def picture_of(self, vae: Any, latents: torch.Tensor) -> torch.Tensor:
        mean, deviation = _statistics(vae, latents)
        return vae.decode((latents * deviation + mean).unsqueeze(2), return_dict=False)[0][:, :, 0]

    def spacing(self, kind: FlowKind) -> Spacing:
        return Spacing(shift=None, options=(("shift_terminal", 0.02),), shift_at=by_size(0.5, 0.9, 8192), even=True)

    def guidance(self, scale: float) -> Guidance:
        return LengthKept(scale)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        text, device = checkpoint.texts["qwen_vl"], checkpoint.device
        further = fitted_pictures(scene, self.cell * self.patch) if checkpoint.kind.instructs else []
        if further:  # as Qwen-Image-Edit-2509 was taught to count them
            pictures = [scaled(picture, _looked_at(picture)) for picture in ([] if scene.from_nothing else [scene.job.pixels]) + further]
            counted = "".join(f"Picture {number}: {_SHOWN}" for number in range(1, len(pictures) + 1))
            return Text(read_with_pictures(text, _EDIT, f"{counted}{prompt}{_END}", pictures, device))
        if checkpoint.kind.instructs and not scene.from_nothing:
            return Text(read_with_pictures(text, _EDIT, f"{_SHOWN}{prompt}{_END}", [scene.job.pixels], device))
        return Text(read_with_pictures(text, _DESCRIBE, f"{prompt}{_END}", [], device))

    def beside(self, checkpoint: FlowCheckpoint, scene: Scene) -> list[LoopPart]:
        return references(scene, self.cell * self.patch) if checkpoint.kind.instructs else []

    def ask(self, asked: Asked) -> torch.Tensor:
        import torch

        rows, _, height, width = asked.sample.shape
        tokens, shapes = packed(asked.sample), [(1, height // 2, width // 2)]
        count = tokens.shape[1]
        for seen in seen_in(asked.added):
            tokens = torch.cat([tokens, packed(seen)], dim=1)
            shapes.append((1, seen.shape[2] // 2, seen.shape[3] // 2))
        lengths = "txt_seq_lens" in inspect.signature(type(asked.transformer).forward).parameters  # before diffusers 0.37
        control = asked.added_behind(tokens.shape[1])
        answer = asked.transformer(
            hidden_states=tokens, timestep=asked.everywhere(asked.level), encoder_hidden_states=asked.context,
            encoder_hidden_states_mask=torch.ones(asked.context.shape[:2], dtype=torch.long, device=tokens.device),
            img_shapes=[shapes] * rows, return_dict=False, **({"txt_seq_lens": [asked.context.shape[1]] * rows} if lengths else {}),
            **({"controlnet_block_samples": control} if control else {}),
        )[0]  # fmt: skip
        return unpacked(answer[:, :count], height, width)


@dataclass(frozen=True)
class LengthKept:
    """Classifier-free guidance that leaves every token of the answer as long as it was for the prompt alone."""

    scale: float

    @property
    def branches(self) -> tuple[str, ...]:
        return ClassifierFree(self.scale).branches

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        guided = ClassifierFree(self.scale).combine(answers)
        if self.scale == 1:
            return guided
        tokens, lengths = packed(guided), packed(answers["cond"]).norm(dim=-1, keepdim=True)
        return unpacked(tokens * (lengths / tokens.norm(dim=-1, keepdim=True)), *guided.shape[2:])


_LOOKED_AT = 384 * 384
"""Pixels at which each of several pictures is read along with the prompt."""


def _looked_at(picture: np.ndarray) -> tuple[int, int]:
    """(width, height) at which a picture, uint8 [h, w, 3], is read along with the prompt, as diffusers' pipeline does."""
    ratio = picture.shape[1] / picture.shape[0]
    width = (_LOOKED_AT * ratio) ** 0.5
    return max(round(width / 32), 1) * 32, max(round(width / ratio / 32), 1) * 32


def _statistics(vae: Any, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(mean, standard deviation) of each channel of the latents, [1, c, 1, 1]."""
    import torch

    mean, deviation = (torch.tensor(vae.config[name], device=like.device, dtype=like.dtype) for name in ("latents_mean", "latents_std"))
    return mean[None, :, None, None], deviation[None, :, None, None]
