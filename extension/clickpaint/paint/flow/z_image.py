"""Z-Image (Alibaba, 2025): one stream of tokens of the picture and of Qwen3's words."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from clickpaint.paint.checkpoint.flow_checkpoint import FlowKind
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.flow.base import Asked, FlowFamily, found, heads
from clickpaint.paint.flow.flux import SCALING, SHIFT, VAE_NAMES
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.qwen_texts import Qwen3, as_user, hidden_states
from clickpaint.paint.flow.schedule import Spacing

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.engines.base import Scene

_TOKENS = 512


class ZImage(FlowFamily):
    """Implements `FlowFamily`."""

    name = "z_image"
    transformer = "ZImageTransformer2DModel"
    diffusers = "0.36"
    texts = MappingProxyType({"qwen3": Qwen3("Qwen3 4B")})
    vae_names = VAE_NAMES
    scaling, shift = SCALING, SHIFT
    names = Names(
        (r"all_final_layer\.2-1\.(.+)", r"final_layer.\1"),
        (r"all_x_embedder\.2-1", "x_embedder"),
        (r"(.+)\.attention\.to_([qkv])", r"\1.attention.qkv#\2"),
        (r"(.+)\.attention\.to_out\.0", r"\1.attention.out"),
        (r"(.+)\.attention\.norm_([qk])", r"\1.attention.\2_norm"),
    )

    def prefix(self, shapes: Shapes) -> str | None:
        prefix = found(shapes, "cap_pad_token")
        # Lumina 2, of which this is made, has other modulations
        return prefix if prefix is not None and f"{prefix}layers.0.adaLN_modulation.0.weight" in shapes else None

    def identify(self, shapes: Shapes, name: str) -> FlowKind:
        own = Tensors(shapes, self.names, "x_embedder.weight" in shapes)
        width = own.side("all_x_embedder.2-1.weight", 0)
        head = own.side("layers.0.attention.norm_q.weight", 0)
        count = heads(width, head, "Z-Image")
        config = {
            "in_channels": own.side("all_x_embedder.2-1.weight", 1) // 4,
            "dim": width,
            "n_layers": own.count("layers", "attention_norm1.weight"),
            "n_refiner_layers": own.count("noise_refiner", "attention_norm1.weight"),
            "n_heads": count,
            "n_kv_heads": count,
            "cap_feat_dim": own.side("cap_embedder.1.weight", 1),
            "axes_dims": [head // 4, 3 * head // 8, 3 * head // 8],
            "axes_lens": [1536, 512, 512],
        }
        turbo = "base" not in name.lower() and ("turbo" in name.lower() or "zit" in name.lower())
        title = "Z-Image Turbo" if turbo else "Z-Image"
        return FlowKind(self.name, title, cfg_scale=1.0 if turbo else 4.0, shift=3.0, original=own.original, config=config)

    def text_width(self, kind: FlowKind) -> int:
        return kind.config["cap_feat_dim"]

    def spacing(self, kind: FlowKind) -> Spacing:
        return Spacing(shift=kind.shift, even=True)

    def text(self, checkpoint: FlowCheckpoint, prompt: str, scene: Scene, *, negative: bool) -> Text:
        return Text(hidden_states(checkpoint.texts["qwen3"], as_user(prompt), checkpoint.device, _TOKENS)[-2].float())

    def ask(self, asked: Asked) -> torch.Tensor:
        """It counts time from noise to picture, and answers picture minus noise."""
        import torch

        pictures = list(asked.sample.unsqueeze(2).unbind(0))
        answers = asked.transformer(pictures, asked.everywhere(1 - asked.level), list(asked.context.unbind(0)), return_dict=False)[0]
        return -torch.stack(list(answers)).squeeze(2)
