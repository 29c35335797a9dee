"""Checkpoints of today's families that Forge's and Forge Neo's own loaders take, and what these have to be taught for their sizes.

Each file has everything in it, under the keys of its makers. Flux and Z-Image give back about what they are given, so that a picture stays
one; Chroma is random.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from tests.toys import checkpoint
from tests.toys import flow as toy
from tests.toys.packed import in_eight_bits, in_four_bits, written_gguf

WIDTHS = {"z_image": 384, "flux": 256, "chroma": 256}
"""Of the transformers; an attention head is 128 wide, and Z-Image's has to be a multiple of 384 for its feed-forward part to be whole."""
HEAD, TOKENS, WORDS = 128, 64, {"qwen3": 151936, "t5": 32128}
NAMES = {
    "z_image": "toy-z-image.safetensors", "flux": "toy-flux1-dev.safetensors", "kontext": "toy-flux1-kontext-dev.safetensors",
    "chroma": "toy-chroma.safetensors",
}  # fmt: skip
"""Of the files: Neo knows Kontext by its name."""


def teach_families() -> None:
    """Make the own loader of Forge or Neo accept these sizes; it must be called after `initialize_forge`."""
    from backend import utils
    from huggingface_guess import detection, model_list

    detect = detection.detect_unet_config

    def detected(tensors: Any, prefix: str) -> Any:
        found = detect(tensors, prefix)
        kind = found.get("image_model") if found else None
        if kind == "lumina2" and found["dim"] == WIDTHS["z_image"]:
            heads = WIDTHS["z_image"] // HEAD
            found |= {
                "n_heads": heads, "n_kv_heads": heads, "axes_dims": [32, 48, 48], "axes_lens": [1536, 512, 512], "rope_theta": 256.0,
                "n_refiner_layers": 1, "ffn_dim_multiplier": 8 / 3, "z_image_modulation": True, "time_scale": 1000.0,
                "pad_tokens_multiple": 32,
            }  # fmt: skip
        if kind in ("flux", "chroma") and tensors[f"{prefix}img_in.weight"].shape[0] == WIDTHS["flux"]:
            found |= {"hidden_size": WIDTHS["flux"], "num_heads": WIDTHS["flux"] // HEAD, "context_in_dim": TOKENS}
            found |= {
                "depth": _blocks(tensors, f"{prefix}double_blocks."),
                "depth_single_blocks": _blocks(tensors, f"{prefix}single_blocks."),
            }
            if kind == "chroma":
                found |= {"out_dim": WIDTHS["chroma"], "hidden_dim": 48, "n_layers": 1}
        return found

    detection.detect_unet_config = detected
    if hasattr(model_list, "ZImage"):
        _teach_z_image()
    if not hasattr(model_list, "Chroma"):
        _teach_forge_chroma()
    read = utils.read_arbitrary_config  # not in backend.loader, which may not be imported before the options exist

    def configured(folder: Any) -> Any:
        found = read(folder)
        if found.get("model_type") == "qwen3":
            return {}
        if found.get("model_type") == "t5":
            found |= {"d_model": TOKENS, "d_ff": 2 * TOKENS, "num_layers": 2, "num_heads": 2, "d_kv": TOKENS // 2}
        return found

    utils.read_arbitrary_config = configured


def _teach_z_image() -> None:
    from backend.nn.llm import llama
    from huggingface_guess import model_list

    model_list.ZImage.unet_config = {**model_list.ZImage.unet_config, "dim": WIDTHS["z_image"]}

    @dataclass
    class Small(llama.Qwen3_4BConfig):
        hidden_size: int = TOKENS
        intermediate_size: int = 2 * TOKENS
        num_hidden_layers: int = 3
        num_attention_heads: int = 4
        num_key_value_heads: int = 2

    Small.head_dim = 16
    llama.Qwen3_4BConfig = Small


def _teach_forge_chroma() -> None:
    """Forge takes Chroma for a Flux and writes the sizes of its guidance over what was detected."""
    from backend.nn import chroma

    network = chroma.IntegratedChromaTransformer2DModel

    def made(**config: Any) -> Any:
        return network(**{**config, "guidance_out_dim": WIDTHS["chroma"], "guidance_hidden_dim": 48, "guidance_n_layers": 1})

    chroma.IntegratedChromaTransformer2DModel = made


def _blocks(tensors: Any, prefix: str) -> int:
    return len({key.removeprefix(prefix).split(".")[0] for key in tensors if key.startswith(prefix)})


def write(kind: str, folder: Path) -> Path:
    """The toy of a kind of `NAMES`, in half precision."""
    width = WIDTHS["flux" if kind == "kontext" else kind]
    if kind == "z_image":
        transformer = toy.drawn(toy.z_image(width, HEAD, tokens=TOKENS), 1, 0.02)
        _mirror(transformer, "x_embedder", "final_layer.linear", width, -1)
    elif kind == "chroma":
        transformer = toy.drawn(toy.chroma(width, head=HEAD, tokens=TOKENS), 1, 0.02)
    else:
        transformer = toy.drawn(toy.flux(width, HEAD, tokens=TOKENS, pooled=checkpoint.CONTEXT), 1, 0.02)
        _mirror(transformer, "img_in", "final_layer.linear", width, 1)
    weights = toy.under("model.diffusion_model.", transformer) | toy.under("vae.", checkpoint.vae(16))
    if kind == "z_image":
        words = toy.qwen3(TOKENS) | {"embed_tokens.weight": (WORDS["qwen3"], TOKENS)}
        weights |= toy.under("text_encoders.qwen3_4b.transformer.model.", toy.drawn(words, 2))
    else:
        words = toy.t5(TOKENS) | {"shared.weight": (WORDS["t5"], TOKENS)}
        weights |= toy.under("text_encoders.t5xxl.transformer.", toy.drawn(words, 4))
    if kind in ("flux", "kontext"):
        weights |= toy.under("text_encoders.clip_l.transformer.", checkpoint.text_encoder())
    return toy.save(folder / NAMES[kind], weights, torch.float16)


PACKED = {"gguf": "toy-flux1-dev-Q8_0.gguf", "nf4": "toy-flux1-dev-nf4.safetensors", "fp8": "toy-flux1-dev-fp8.safetensors"}
"""Names of Flux toys with packed weights: a transformer alone, and two files with everything."""


def write_packed(how: str, models: Path) -> list[Path]:
    """A Flux toy with its weights packed, below the web UI's folder of models; gives what goes with it in files of its own."""
    checkpoints = models / "Stable-diffusion"
    plain = load_file(write("flux", checkpoints))
    prefix = "model.diffusion_model."
    transformer = {key.removeprefix(prefix): value.float() for key, value in plain.items() if key.startswith(prefix)}
    rest = {key: value for key, value in plain.items() if not key.startswith(prefix)}
    if how != "gguf":
        packed = in_eight_bits(transformer) if how == "fp8" else in_four_bits(transformer, nested=False)
        toy.save(checkpoints / PACKED[how], toy.under(prefix, packed) | rest)
        return []
    written_gguf(checkpoints / PACKED[how], transformer, "Q8_0")
    parts = {
        "VAE/toy-ae": "vae.",
        "text_encoder/toy-t5": "text_encoders.t5xxl.transformer.",
        "text_encoder/toy-clip": "text_encoders.clip_l.transformer.",
    }
    files = []
    for name, before in parts.items():
        file = models / f"{name}.safetensors"
        file.parent.mkdir(exist_ok=True)
        files.append(toy.save(file, {key.removeprefix(before): value for key, value in rest.items() if key.startswith(before)}))
    return files


def _mirror(weights: toy.Weights, first: str, last: str, width: int, sign: int) -> None:
    """Let a transformer answer with what it is given, twice as strong: its tokens go through it beside channels that are large and
    constant, so that what normalises them does not see them."""
    for key, value in weights.items():
        if "mod.lin" in key or "modulation" in key:
            value.zero_()
    anchor, inputs = 64.0, 64
    weights[f"{first}.weight"].zero_()
    weights[f"{first}.weight"][:inputs] = torch.eye(inputs)
    weights[f"{first}.weight"][inputs : 2 * inputs] = -torch.eye(inputs)
    bias = weights[f"{first}.bias"].zero_()
    bias[2 * inputs :: 2], bias[2 * inputs + 1 :: 2] = anchor, -anchor
    weights[f"{last}.weight"].zero_()
    weights[f"{last}.weight"][:, :inputs] = sign * 2 * torch.eye(inputs) * anchor * ((width - 2 * inputs) / width) ** 0.5
    weights[f"{last}.bias"].zero_()
    for key in ("double_blocks.0.img_mod.lin.bias", "layers.0.adaLN_modulation.0.bias"):  # a block that answers to the prompt
        if key in weights:
            place = 2 if key.startswith("double") else 1
            weights[key][place * width : (place + 1) * width] = 0.5
