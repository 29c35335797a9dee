"""ControlNets of the flow-matching families, from their files, as diffusers' models.

Flux: InstantX's, Shakker's and XLabs' (Flux.1); Stable Diffusion 3 and 3.5: InstantX's and Stability's; Qwen-Image: InstantX's.
"""

from __future__ import annotations

import inspect
import json
import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from clickpaint.errors import HostUnsupported, InvalidInput
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.flow.base import heads
from clickpaint.paint.flow.flux import Flux
from clickpaint.paint.flow.naming import Names, Shapes, Tensors
from clickpaint.paint.flow.packing import packed, places

if TYPE_CHECKING:
    import numpy as np
    import torch
    from torch import Tensor

    from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
    from clickpaint.paint.diffusion.latents import Coder
    from clickpaint.paint.diffusion.loop import Inputs

_CHOOSE = "Choose a ControlNet of the checkpoint's family."
_MAPS = MappingProxyType({
    "canny": 0, "tile": 1, "depth": 2, "blur": 3, "openpose": 4, "dw_openpose": 4, "densepose": 4, "recolor": 5,
})  # fmt: skip
"""What a union ControlNet for Flux calls a map, by how the preprocessor's name begins."""


@dataclass(frozen=True, eq=False)
class Question:
    """What a ControlNet is asked in a step.

    Attributes:
        model: diffusers' module.
        checkpoint: beside which it works.
        seen: what it sees, as `ControlFamily.seen` made it.
        inputs: of the transformer, as yet nothing but latents.
        level: of the noise, 0..1.
        distilled: the guidance that it is told, where it is told one.
        number: of the kind of map, for one that knows several; None for others.
    """

    model: Any
    checkpoint: FlowCheckpoint
    seen: Tensor
    inputs: Inputs
    level: float
    distilled: float
    number: int | None = None

    def everywhere(self, value: float) -> Tensor:
        """A number for every row, float32."""
        import torch

        return torch.full((len(self.inputs.sample),), value, dtype=torch.float32, device=self.inputs.sample.device)

    @property
    def dtype(self) -> torch.dtype:
        return self.model.dtype

    @property
    def rows_seen(self) -> Tensor:
        return self.seen.to(self.dtype).expand(len(self.inputs.sample), *self.seen.shape[1:])


class ControlFamily(ABC):
    """What a family's ControlNets have in common. Without state.

    Attributes:
        build: the name of diffusers' class.
        diffusers: the first version that has what is asked for here.
    """

    build: str
    diffusers: str

    @abstractmethod
    def names(self, shapes: Shapes) -> Tensors:
        """Where the parameters lie in a file."""

    @abstractmethod
    def config(self, own: Tensors, name: str) -> dict[str, Any]:
        """What diffusers' class is made with. Raises `InvalidInput` for one that sees more than a map."""

    @abstractmethod
    def answers(self, question: Question) -> list[Tensor]:
        """What it adds behind every block of the transformer, [rows, tokens, C] each, or one number where it adds nothing."""

    def width(self, config: Mapping[str, Any]) -> int:
        """Of what it adds."""
        return config["attention_head_dim"] * config["num_attention_heads"]

    def complete(self, model: Any, config: Mapping[str, Any], parameters: dict[str, Tensor]) -> None:
        """Give the model what a module without memory lacks; nothing, for most."""
        return

    def seen(self, model: Any, pixels: np.ndarray, coder: Coder) -> Tensor:
        """A map, uint8 [h, w, 3], as the model sees it: latents as tokens, [1, tokens, 4 c]."""
        return packed(coder.encode(pixels))

    def number(self, model: Any, preprocessor: str, name: str) -> int | None:
        """Of the kind of map that a preprocessor makes, for a model that knows several."""
        return None


class _Flux(ControlFamily):
    build, diffusers = "FluxControlNetModel", "0.32"

    def names(self, shapes: Shapes) -> Tensors:
        rules = [("controlnet_x_embedder", "pos_embed_input"), (r"input_hint_block\.conv_in", "input_hint_block.0")]
        rules += [(rf"input_hint_block\.blocks\.{number}", f"input_hint_block.{2 * number + 2}") for number in range(6)]
        rules += [(r"input_hint_block\.conv_out", "input_hint_block.14"), (r"(controlnet_blocks\.\d+)", r"\1")]
        return Tensors(shapes, Flux.names.with_first(*rules), "double_blocks.0.img_attn.qkv.weight" in shapes)

    def config(self, own: Tensors, name: str) -> dict[str, Any]:
        width, inputs = own.side("x_embedder.weight", 0), own.side("x_embedder.weight", 1)
        head = own.side("transformer_blocks.0.attn.norm_q.weight", 0)
        hint = own.side("input_hint_block.conv_out.weight", 0)
        if own.side("controlnet_x_embedder.weight", 1) != inputs:
            raise _sees_more(name)
        modes = own.side("controlnet_mode_embedder.weight", 0)
        return {
            "in_channels": inputs,
            "num_layers": own.count("transformer_blocks", "norm1.linear.weight"),
            "num_single_layers": own.count("single_transformer_blocks", "norm.linear.weight"),
            "attention_head_dim": head,
            "num_attention_heads": heads(width, head, name),
            "joint_attention_dim": own.side("context_embedder.weight", 1),
            "pooled_projection_dim": own.side("time_text_embed.text_embedder.linear_1.weight", 1),
            "guidance_embeds": own.has("time_text_embed.guidance_embedder.linear_1.weight"),
            "axes_dims_rope": [head // 8, 7 * head // 16, 7 * head // 16],
            **({"num_mode": modes} if modes else {}),
            **({"conditioning_embedding_channels": hint, "patch_size": math.isqrt(inputs // hint)} if hint else {}),
        }

    def seen(self, model: Any, pixels: np.ndarray, coder: Coder) -> Tensor:
        """XLabs' see the map itself."""
        import torch

        if model.input_hint_block is None:
            return super().seen(model, pixels, coder)
        return (torch.from_numpy(pixels.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1).contiguous()

    def number(self, model: Any, preprocessor: str, name: str) -> int | None:
        if not model.union:
            return None
        found = next((number for sign, number in _MAPS.items() if preprocessor.lower().startswith(sign)), None)
        if found is None or found >= model.config["num_mode"]:
            raise InvalidInput(
                "{model} is a ControlNet for several kinds of maps, and {preprocessor} is none of them.",
                "Choose a preprocessor of {kinds}, or a ControlNet for one kind.",
                model=name,
                preprocessor=preprocessor,
                kinds=", ".join(_MAPS),
            )
        return found

    def answers(self, question: Question) -> list[Tensor]:
        import torch

        sample, model, inputs = question.inputs.sample, question.model, question.inputs
        own = places(sample.shape[2] // 2, sample.shape[3] // 2, 0, sample)
        mode = None if question.number is None else torch.full((len(sample), 1), question.number, dtype=torch.long, device=sample.device)
        blocks, singles = model(
            hidden_states=packed(sample).to(question.dtype), controlnet_cond=question.rows_seen, controlnet_mode=mode,
            encoder_hidden_states=inputs.context.to(question.dtype), pooled_projections=inputs.added["pooled"].to(question.dtype),
            timestep=question.everywhere(question.level), img_ids=own, txt_ids=own.new_zeros(inputs.context.shape[1], 3),
            guidance=question.everywhere(question.distilled) if model.config["guidance_embeds"] else None, return_dict=False,
        )  # fmt: skip
        transformer = question.checkpoint.transformer
        double, single = len(transformer.transformer_blocks), len(transformer.single_transformer_blocks)
        if model.input_hint_block is not None:
            spread = [blocks[number % len(blocks)] for number in range(double)]
        else:
            spread = _spread(blocks, double)
        return spread + (_spread(singles, single) if singles else [sample.new_zeros(1)] * single)


class _StableDiffusion3(ControlFamily):
    build, diffusers = "SD3ControlNetModel", "0.32"

    def names(self, shapes: Shapes) -> Tensors:
        block = r"transformer_blocks\.(\d+)\."
        rules = (
            (block + r"norm1\.linear", r"transformer_blocks.\1.adaLN_modulation.1"),
            (block + r"attn\.to_([qkv])", r"transformer_blocks.\1.attn.qkv#\2"),
            (block + r"attn\.to_out\.0", r"transformer_blocks.\1.attn.proj"),
            (block + r"ff\.net\.0\.proj", r"transformer_blocks.\1.mlp.fc1"),
            (block + r"ff\.net\.2", r"transformer_blocks.\1.mlp.fc2"),
        )
        return Tensors(shapes, Names(*rules), "transformer_blocks.0.adaLN_modulation.1.weight" in shapes)

    def config(self, own: Tensors, name: str) -> dict[str, Any]:
        width = own.side("pos_embed_input.proj.weight", 0)
        if own.side("pos_embed_input.proj.weight", 1) != 16:
            raise _sees_more(name)
        normed = own.has("transformer_blocks.0.attn.norm_q.weight")
        head = own.side("transformer_blocks.0.attn.norm_q.weight", 0) if normed else 64
        layers, reads = own.count("transformer_blocks", "norm1.linear.weight"), own.has("context_embedder.weight")
        placed = own.has("pos_embed.proj.weight")
        return {
            "in_channels": 16,
            "num_layers": layers,
            "attention_head_dim": head,
            "num_attention_heads": heads(width, head, name),
            "joint_attention_dim": own.side("context_embedder.weight", 1) if reads else None,
            "caption_projection_dim": own.side("context_embedder.weight", 0) if reads else width,
            "pooled_projection_dim": own.side("time_text_embed.text_embedder.linear_1.weight", 1),
            "pos_embed_max_size": (math.isqrt(own.side("pos_embed.pos_embed", 1)) or 192) if placed else None,
            "dual_attention_layers": tuple(n for n in range(layers) if own.has(f"transformer_blocks.{n}.attn2.to_q.weight")),
            "qk_norm": "rms_norm" if normed else None,
            "pos_embed_type": "sincos" if placed else None,
            "use_pos_embed": placed,
            "force_zeros_for_pooled_projection": reads,
        }

    def complete(self, model: Any, config: Mapping[str, Any], parameters: dict[str, Tensor]) -> None:
        """The positions, which files have or not."""
        if model.pos_embed is None:
            return
        from diffusers.models.embeddings import PatchEmbed

        positions = parameters.get("pos_embed.pos_embed")
        if positions is None:
            shared = {"height": 128, "width": 128, "patch_size": 2, "in_channels": 16, "embed_dim": self.width(config)}
            positions = PatchEmbed(**shared, pos_embed_max_size=config["pos_embed_max_size"]).pos_embed
        model.pos_embed._buffers["pos_embed"] = positions

    def seen(self, model: Any, pixels: np.ndarray, coder: Coder) -> Tensor:
        """[1, c, h, w]. Those of InstantX see latents that are not shifted, and Stability's for edges a map of other numbers."""
        import numpy as np

        from clickpaint.paint.flow.sd3 import StableDiffusion3

        edges = getattr(model, "sees_edges", False)
        latents = coder.encode(pixels.astype(np.float32) * np.float32(0.5) + np.float32(0.5) if edges else pixels)
        unshifted = model.config["force_zeros_for_pooled_projection"]
        return latents + StableDiffusion3.shift * StableDiffusion3.scaling if unshifted else latents

    def answers(self, question: Question) -> list[Tensor]:
        import torch

        model, inputs, dtype = question.model, question.inputs, question.dtype
        sample, pooled = inputs.sample.to(dtype), inputs.added["pooled"].to(dtype)
        reads, transformer = model.config["joint_attention_dim"] is not None, question.checkpoint.transformer
        blocks = model(
            hidden_states=sample if model.pos_embed is not None else transformer.pos_embed(sample),
            timestep=question.everywhere(1000 * question.level), encoder_hidden_states=inputs.context.to(dtype) if reads else None,
            pooled_projections=torch.zeros_like(pooled) if model.config["force_zeros_for_pooled_projection"] else pooled,
            controlnet_cond=question.rows_seen, return_dict=False,
        )[0]  # fmt: skip
        count = len(transformer.transformer_blocks)
        return [blocks[int(number / (count / len(blocks)))] for number in range(count)]


class _QwenImage(ControlFamily):
    build, diffusers = "QwenImageControlNetModel", "0.36"

    def names(self, shapes: Shapes) -> Tensors:
        return Tensors(shapes, Names(), False)

    def config(self, own: Tensors, name: str) -> dict[str, Any]:
        width, inputs = own.side("img_in.weight", 0), own.side("img_in.weight", 1)
        head = own.side("transformer_blocks.0.attn.norm_q.weight", 0)
        if own.side("controlnet_x_embedder.weight", 1) != inputs:
            raise _sees_more(name)
        return {
            "in_channels": inputs,
            "num_layers": own.count("transformer_blocks", "img_mod.1.weight"),
            "attention_head_dim": head,
            "num_attention_heads": heads(width, head, name),
            "joint_attention_dim": own.side("txt_in.weight", 1),
            "axes_dims_rope": (head // 8, 7 * head // 16, 7 * head // 16),
        }

    def complete(self, model: Any, config: Mapping[str, Any], parameters: dict[str, Tensor]) -> None:
        model.pos_embed = type(model.pos_embed)(theta=10000, axes_dim=list(config["axes_dims_rope"]), scale_rope=True)

    def answers(self, question: Question) -> list[Tensor]:
        import torch

        sample, context = question.inputs.sample, question.inputs.context.to(question.dtype)
        lengths = "txt_seq_lens" in inspect.signature(type(question.model).forward).parameters  # before diffusers 0.37
        blocks = question.model(
            hidden_states=packed(sample).to(question.dtype), controlnet_cond=question.rows_seen, encoder_hidden_states=context,
            encoder_hidden_states_mask=torch.ones(context.shape[:2], dtype=torch.long, device=context.device),
            timestep=question.everywhere(question.level), img_shapes=[[(1, sample.shape[2] // 2, sample.shape[3] // 2)]] * len(sample),
            return_dict=False, **({"txt_seq_lens": [context.shape[1]] * len(sample)} if lengths else {}),
        )  # fmt: skip
        return _spread(blocks, len(question.checkpoint.transformer.transformer_blocks))


CONTROL_FAMILIES: Mapping[str, ControlFamily] = {"flux": _Flux(), "sd3": _StableDiffusion3(), "qwen_image": _QwenImage()}
"""By the names of `flow.registry`."""

KNOWN = "Stable Diffusion 1, 2, XL, 3 and 3.5, Flux.1 or Qwen-Image"


def _spread(answers: Sequence[Tensor], count: int) -> list[Tensor]:
    """One for each of `count` blocks, of fewer: each speaks for as many in a row."""
    each = math.ceil(count / len(answers))
    return [answers[number // each] for number in range(count)]


def _sees_more(name: str) -> InvalidInput:
    return InvalidInput(
        "{model} is a ControlNet that takes a mask beside the map, which no engine here gives it.",
        "Choose a ControlNet that takes a map alone.",
        model=name,
    )


def load_flow_controlnet(path: Path, checkpoint: FlowCheckpoint) -> Any:
    """A ControlNet for this checkpoint, on the CPU: its parameters are the file's tensors, or views of them.

    Raises:
        InvalidInput: it was made for another family, is none, or is damaged.
        HostUnsupported: this version of diffusers has no such class.
        CorruptModel: the file cannot be read.
    """
    import diffusers

    from clickpaint.paint.adapters.controlnet_family import family_of_tensors, fits
    from clickpaint.paint.checkpoint.source import read

    family, name = CONTROL_FAMILIES[checkpoint.kind.family], path.stem
    tensors = {key.removeprefix("controlnet."): tensor for key, tensor in read(path)[0].items()}
    own = family.names({key: tuple(tensor.shape) for key, tensor in tensors.items()})
    made = family_of_tensors(tensors)
    if not any(key.startswith("controlnet_blocks.0.") for key in tensors) or not made:
        raise InvalidInput("{model} is no ControlNet that works here, but {kind}.", _CHOOSE, model=name, kind="something else")
    config = family.config(own, name) if fits(made, checkpoint.kind.title) else {}
    if not config or family.width(config) != _width(checkpoint):
        raise InvalidInput(
            "{model} was made for {family}, but the checkpoint is {checkpoint_family}.",
            _CHOOSE,
            model=name,
            family=made if not config else f"{made} ({family.width(config)})",
            checkpoint_family=checkpoint.kind.title if not config else f"{checkpoint.kind.title} ({_width(checkpoint)})",
        )
    build = getattr(diffusers, family.build, None)
    if build is None or not config.keys() <= inspect.signature(build.__init__).parameters.keys():
        raise HostUnsupported(
            "{kind} needs diffusers {wanted} or newer; here is {version}.",
            "Use the web UI's own sampler, or the stand-alone program.",
            kind=family.build,
            wanted=family.diffusers,
            version=diffusers.__version__,
        )
    with on_meta():
        model = build(**{**config, **_written(path, config)}).eval()
    parameters = own.parameters(tensors, model.named_parameters())
    if "pos_embed.pos_embed" in tensors:
        parameters["pos_embed.pos_embed"] = tensors["pos_embed.pos_embed"]
    try:
        assign(model, parameters, lambda parameter: own.place(parameter).key)
    except InvalidInput as error:
        raise InvalidInput(
            "{name}: {reason}",
            "Download it again, or choose another ControlNet.",
            **error.data,
            name=name,
            reason=error.message,
        ) from error
    family.complete(model, config, parameters)
    model.sees_edges = "control_type" in tensors and round(float(tensors["control_type"])) == 1
    return model


def _width(checkpoint: FlowCheckpoint) -> int:
    config = checkpoint.kind.config
    return config["attention_head_dim"] * config["num_attention_heads"]


def _written(path: Path, config: Mapping[str, Any]) -> dict[str, bool]:
    """What only the config.json beside diffusers' files says."""
    key = "force_zeros_for_pooled_projection"
    try:
        written = json.loads(path.with_name("config.json").read_text(encoding="utf-8")) if key in config else {}
    except (OSError, ValueError, RecursionError):
        return {}
    value = written.get(key) if isinstance(written, dict) else None
    return {key: value} if isinstance(value, bool) else {}
