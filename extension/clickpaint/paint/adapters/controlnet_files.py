"""ControlNet files as diffusers' models.

After "Adding Conditional Control to Text-to-Image Diffusion Models" (Zhang, Rao, Agrawala 2023).
"""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import InvalidInput
from clickpaint.paint.checkpoint.meta import assign, on_meta
from clickpaint.paint.checkpoint.source import read
from clickpaint.weights.model_files import says_nothing

if TYPE_CHECKING:
    from diffusers import ControlNetModel
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

FAMILIES = {768: "Stable Diffusion 1", 1024: "Stable Diffusion 2", 1280: "Stable Diffusion XL's refiner", 2048: "Stable Diffusion XL"}
"""What is painted for, by how many numbers describe one token of the prompt."""

_OTHERS = (
    (r"lora_controlnet|.*\blora_(up|down)\.weight|.*\.lora_[AB]\..*|.*\.(up|down)", "a Control-LoRA or LoRA"),
    (r"lllite_.*", "a ControlNet-LLLite"),
    (r"image_proj\b.*|ip_adapter\..*|.*to_k_ip\.weight", "an IP-Adapter"),
    (r"task_embedding|control_add_embedding\..*|transformer_layes\..*", "a union ControlNet (several kinds in one)"),
    (r"(adapter\.)?body\.\d+\..*|style_embedding", "a T2I-Adapter"),
    (r".*controlnet_x_embedder\..*|controlnet_blocks\..*|.*double_blocks\..*|pos_embed\..*", "one for Flux or Stable Diffusion 3"),
    (r".*motion_modules\..*", "a SparseCtrl model for video"),
    (r"(first_stage_model|cond_stage_model|conditioner)\..*", "a checkpoint"),
)
"""How the files that lie beside ControlNets and are none give themselves away."""

_ORIGINAL = {
    "controlnet_mid_block": "middle_block_out.0",
    "controlnet_cond_embedding.conv_in": "input_hint_block.0",
    "controlnet_cond_embedding.conv_out": "input_hint_block.14",
    **{f"controlnet_cond_embedding.blocks.{index}": f"input_hint_block.{2 * index + 2}" for index in range(6)},
}
"""What a ControlNet has beside its half of a U-Net: diffusers' names, and those of the original files."""

_HINT = "controlnet_cond_embedding"
_CHOOSE = "Choose a ControlNet of the checkpoint's family."


def load_controlnet(source: Path | Mapping[str, Tensor], checkpoint: Checkpoint, name: str = "") -> ControlNetModel:
    """A ControlNet for this checkpoint, on the CPU and in the file's precision: its parameters are the file's tensors, not copies.

    Args:
        source: a `.safetensors`, `.pth`, `.pt`, `.ckpt` or `.bin` file, or its tensors; in the original layout (with "control_model."
            before each key, as in the files that hold a whole checkpoint, or without) or in diffusers'. A file of differences to its
            U-Net (it has a key "difference") is completed by the checkpoint's, which does make copies.
        name: for messages, and for what only the name of a ControlNet says; the file's, if it is empty.

    Raises:
        InvalidInput: it was made for another family than the checkpoint, is no ControlNet, or is damaged; says which.
        CorruptModel: the file cannot be read.
    """
    from diffusers import ControlNetModel

    if isinstance(source, Path):
        name = name or (f"{source.parent.name}/{source.stem}" if says_nothing(source.stem) else source.stem)
    name = name or "The ControlNet"
    tensors = _own(read(source)[0] if isinstance(source, Path) else source, name)
    key = _key_of(checkpoint, "input_hint_block.0.weight" in tensors)
    config = _config(tensors, checkpoint, key, name, _pooled(source) if isinstance(source, Path) else None)
    with on_meta():
        model = ControlNetModel(**config)
    parameters = {own: tensors[key(own)] for own, _ in model.named_parameters() if key(own) in tensors}
    if "difference" in tensors:
        base = checkpoint.unet.state_dict()
        base["conv_in.weight"] = base["conv_in.weight"][:, :4]  # an inpainting checkpoint's has more
        parameters = {own: value + base[own].to(value) if own in base else value for own, value in parameters.items()}
    try:
        assign(model, parameters, key)
    except InvalidInput as error:
        raise InvalidInput(
            "{name}: {reason}",
            "Download it again, or choose another ControlNet.",
            **error.data,
            name=name,
            reason=error.message,
        ) from error
    return model.eval()


def _own(tensors: Mapping[str, Tensor], name: str) -> dict[str, Tensor]:
    """The ControlNet's tensors, without what stands before their keys."""
    prefix = "control_model."
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix) or key == "difference"}
    own = own if len(own) > 1 else dict(tensors)
    what = next((title for pattern, title in _OTHERS if any(re.fullmatch(pattern, key) for key in own)), None)
    if what is None and not {"input_hint_block.0.weight", f"{_HINT}.conv_in.weight"} & own.keys():
        what = "something else"
    if what is not None:
        raise InvalidInput("{model} is no ControlNet that works here, but {kind}.", _CHOOSE, model=name, kind=what)
    return own


def _key_of(checkpoint: Checkpoint, original: bool) -> Callable[[str], str]:
    """Under which key a file has the parameter that diffusers knows by a name."""

    def key(name: str) -> str:
        layer, _, leaf = name.rpartition(".")
        if layer.startswith("controlnet_down_blocks."):
            return f"zero_convs.{layer.rpartition('.')[2]}.0.{leaf}"
        return f"{_ORIGINAL[layer]}.{leaf}" if layer in _ORIGINAL else checkpoint.layout.key(name)

    return key if original else str


def _pooled(path: Path) -> bool | None:
    """Whether a ControlNet speaks of the whole picture, as the config.json beside diffusers' files says; None where none does."""
    try:
        config = json.loads(path.with_name("config.json").read_text(encoding="utf-8")) if says_nothing(path.stem) else None
    except (OSError, ValueError, RecursionError):
        return None
    pooled = config.get("global_pool_conditions") if isinstance(config, dict) else None
    return pooled if isinstance(pooled, bool) else None


def _config(
    tensors: Mapping[str, Tensor], checkpoint: Checkpoint, key: Callable[[str], str], name: str, pooled: bool | None
) -> dict[str, Any]:
    """What diffusers' ControlNetModel is made with: the checkpoint's U-Net, of which it is a copy, but for what the tensors say."""
    from diffusers import ControlNetModel

    unet = checkpoint.unet.config
    contexts = {value.shape[1] for own, value in tensors.items() if own.endswith(".attn2.to_k.weight")}
    # a ControlNet for SDXL may do without transformers; what it adds to the time tells
    added = tensors.get(key("add_embedding.linear_1.weight"))
    if not contexts and added is not None and added.shape[1] == unet.get("projection_class_embeddings_input_dim"):
        contexts = {unet["cross_attention_dim"]}
    if contexts != {unet["cross_attention_dim"]}:
        ours = FAMILIES.get(unet["cross_attention_dim"], "of another kind")
        theirs = FAMILIES.get(next(iter(contexts), 0), "another kind of checkpoint")
        raise InvalidInput(
            "{model} was made for {family}, but the checkpoint is {checkpoint_family}.",
            _CHOOSE,
            model=name,
            family=theirs,
            checkpoint_family=ours,
        )

    def depth(place: str) -> int:
        """Of the transformers there, in layers."""
        count = 0
        while key(f"{place}.attentions.0.transformer_blocks.{count}.norm1.weight") in tensors:
            count += 1
        return count

    depths = [depth(f"down_blocks.{level}") for level in range(len(unet["block_out_channels"]))]
    middle = depth("mid_block")
    hint = tensors[key(f"{_HINT}.conv_in.weight")].shape
    widths = [tensors[own].shape[0] for index in (1, 3, 5) if (own := key(f"{_HINT}.blocks.{index}.weight")) in tensors]
    shared = inspect.signature(ControlNetModel.__init__).parameters
    return {
        **{option: value for option, value in unet.items() if option in shared},
        "in_channels": 4,
        "conditioning_channels": hint[1],
        "conditioning_embedding_out_channels": (hint[0], *widths),
        "down_block_types": tuple("CrossAttnDownBlock2D" if count else "DownBlock2D" for count in depths),
        "mid_block_type": "UNetMidBlock2DCrossAttn" if middle else "UNetMidBlock2D",
        "transformer_layers_per_block": (*(count or 1 for count in depths[:-1]), depths[-1] or middle or 1),
        # The shuffle model alone speaks of the whole picture; nothing but its name (or what lies beside it) says so.
        "global_pool_conditions": "shuffle" in name.lower() if pooled is None else pooled,
    }
