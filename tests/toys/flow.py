"""Checkpoints of the flow-matching families, small enough for a CPU: the keys of real files, seeded random weights."""

from __future__ import annotations

import functools
import json
from pathlib import Path

import torch

Weights = dict[str, torch.Tensor]
WORDS = 49408  # of CLIP's vocabulary
T5_WIDTH, CLIP_L, CLIP_G = 64, 32, 48
QWEN = 48  # width of the toy language models
PIECES = "etaoinshrdlucmfwypvbgkjqxz"


def drawn(shapes: dict[str, tuple[int, ...]], seed: int = 0, scale: float = 0.08) -> Weights:
    """Random tensors of these shapes: norms near one, biases near nothing."""
    generator = torch.Generator().manual_seed(seed)
    out = {}
    for key, shape in shapes.items():
        values = torch.randn(shape, generator=generator) * (scale if len(shape) > 1 else 0.05)
        normed = len(shape) == 1 and key.endswith(("weight", "scale"))
        out[key] = values + 1 if normed else values
    return out


def linear(key: str, inputs: int, outputs: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
    return {f"{key}.weight": (outputs, inputs), **({f"{key}.bias": (outputs,)} if bias else {})}


def clip(width: int, layers: int = 2, *, projected: bool = False) -> dict[str, tuple[int, ...]]:
    """CLIP's text model in transformers' layout."""
    text = "text_model."
    out: dict[str, tuple[int, ...]] = {
        f"{text}embeddings.token_embedding.weight": (WORDS, width),
        f"{text}embeddings.position_embedding.weight": (77, width),
    }
    for layer in range(layers):
        key = f"{text}encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            out |= linear(f"{key}.self_attn.{name}", width, width)
        out |= linear(f"{key}.mlp.fc1", width, 2 * width) | linear(f"{key}.mlp.fc2", 2 * width, width)
        out |= {f"{key}.layer_norm{n}.{leaf}": (width,) for n in (1, 2) for leaf in ("weight", "bias")}
    out |= {f"{text}final_layer_norm.{leaf}": (width,) for leaf in ("weight", "bias")}
    return out | ({"text_projection.weight": (width, width)} if projected else {})


def t5(width: int = T5_WIDTH, layers: int = 2) -> dict[str, tuple[int, ...]]:
    """T5 v1.1's encoder, as it is shipped."""
    out: dict[str, tuple[int, ...]] = {
        "shared.weight": (len(PIECES) + 104, width),
        "encoder.final_layer_norm.weight": (width,),
        "encoder.block.0.layer.0.SelfAttention.relative_attention_bias.weight": (32, 2),
    }
    for layer in range(layers):
        key = f"encoder.block.{layer}.layer"
        for name in "qkvo":
            out |= linear(f"{key}.0.SelfAttention.{name}", width, width, bias=False)
        for name in ("wi_0", "wi_1"):
            out |= linear(f"{key}.1.DenseReluDense.{name}", width, 2 * width, bias=False)
        out |= linear(f"{key}.1.DenseReluDense.wo", 2 * width, width, bias=False)
        out |= {f"{key}.{n}.layer_norm.weight": (width,) for n in (0, 1)}
    return out


@functools.cache
def vae(channels: int = 16, *, around: bool = False) -> Weights:
    """A VAE with or without the convolutions around its latents, under its makers' keys."""
    from diffusers import AutoencoderKL

    from clickpaint.paint.checkpoint.vae import vae_key

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoencoderKL(
            block_out_channels=(32,) * 4, layers_per_block=1, down_block_types=("DownEncoderBlock2D",) * 4,
            up_block_types=("UpDecoderBlock2D",) * 4, latent_channels=channels, use_quant_conv=around, use_post_quant_conv=around,
        )  # fmt: skip
    return {vae_key(name, 4): tensor.detach() for name, tensor in model.state_dict().items()}


def sd3(
    width: int = 32, head: int = 16, layers: int = 2, pooled: int = CLIP_L + CLIP_G, *, tokens: int = T5_WIDTH, positions: int = 16
) -> dict[str, tuple[int, ...]]:
    """The transformer of Stable Diffusion 3.5 medium, whose first block attends twice."""
    out: dict[str, tuple[int, ...]] = {"pos_embed": (1, positions**2, width), "x_embedder.proj.weight": (width, 16, 2, 2)}
    out |= {"x_embedder.proj.bias": (width,)}
    for key, inputs in (("t_embedder", 256), ("y_embedder", pooled)):
        out |= linear(f"{key}.mlp.0", inputs, width) | linear(f"{key}.mlp.2", width, width)
    out |= linear("context_embedder", tokens, width)
    for layer in range(layers):
        for side in ("x_block", "context_block"):
            key = f"joint_blocks.{layer}.{side}"
            last = side == "context_block" and layer == layers - 1
            twice = side == "x_block" and layer == 0
            for name in ("attn", "attn2") if twice else ("attn",):
                out |= linear(f"{key}.{name}.qkv", width, 3 * width)
                out |= {f"{key}.{name}.ln_{n}.weight": (head,) for n in "qk"}
                out |= {} if last else linear(f"{key}.{name}.proj", width, width)
            out |= linear(f"{key}.adaLN_modulation.1", width, (2 if last else 9 if twice else 6) * width)
            if not last:
                out |= linear(f"{key}.mlp.fc1", width, 4 * width) | linear(f"{key}.mlp.fc2", 4 * width, width)
    return out | linear("final_layer.adaLN_modulation.1", width, 2 * width) | linear("final_layer.linear", width, 64)


def flux(
    width: int = 64, head: int = 32, inputs: int = 64, *, guided: bool = True, tokens: int = T5_WIDTH, pooled: int = CLIP_L
) -> dict[str, tuple[int, ...]]:
    """The transformer of Flux, a block of each of its two kinds."""
    out = linear("img_in", inputs, width) | linear("txt_in", tokens, width)
    for key, size in (("time_in", 256), ("vector_in", pooled), *((("guidance_in", 256),) if guided else ())):
        out |= linear(f"{key}.in_layer", size, width) | linear(f"{key}.out_layer", width, width)
    for side in ("img", "txt"):
        key = f"double_blocks.0.{side}"
        out |= linear(f"{key}_mod.lin", width, 6 * width) | linear(f"{key}_attn.qkv", width, 3 * width)
        out |= {f"{key}_attn.norm.{name}_norm.scale": (head,) for name in ("query", "key")} | linear(f"{key}_attn.proj", width, width)
        out |= linear(f"{key}_mlp.0", width, 4 * width) | linear(f"{key}_mlp.2", 4 * width, width)
    key = "single_blocks.0"
    out |= linear(f"{key}.modulation.lin", width, 3 * width) | linear(f"{key}.linear1", width, 7 * width)
    out |= linear(f"{key}.linear2", 5 * width, width) | {f"{key}.norm.{name}_norm.scale": (head,) for name in ("query", "key")}
    return out | linear("final_layer.adaLN_modulation.1", width, 2 * width) | linear("final_layer.linear", width, 64)


def flux_file(inputs: int = 64, *, guided: bool = True) -> Weights:
    """As Forge's users have it, with everything in it."""
    out = under("model.diffusion_model.", drawn(flux(inputs=inputs, guided=guided), 1)) | under("vae.", vae())
    out |= under("text_encoders.clip_l.transformer.", drawn(clip(CLIP_L), 2))
    return out | under("text_encoders.t5xxl.transformer.", drawn(t5(), 4))


def chroma(width: int = 64, *, head: int = 32, tokens: int = T5_WIDTH) -> dict[str, tuple[int, ...]]:
    """The transformer of Chroma: Flux's blocks without modulations, and the network in their place."""
    gone = ("_mod.lin.", ".modulation.", "time_in.", "vector_in.", "guidance_in.", "adaLN")
    out = {key: size for key, size in flux(width, head, tokens=tokens).items() if not any(part in key for part in gone)}
    key = "distilled_guidance_layer"
    out |= linear(f"{key}.in_proj", 64, 48) | linear(f"{key}.out_proj", 48, width)
    out |= linear(f"{key}.layers.0.in_layer", 48, 48) | linear(f"{key}.layers.0.out_layer", 48, 48)
    return out | {f"{key}.norms.0.scale": (48,)}


def chroma_file() -> Weights:
    """With everything in it."""
    out = under("model.diffusion_model.", drawn(chroma(), 1)) | under("vae.", vae())
    return out | under("text_encoders.t5xxl.transformer.", drawn(t5(), 4))


def qwen3(width: int = QWEN, head: int = 16, layers: int = 3) -> dict[str, tuple[int, ...]]:
    """Qwen3's language model, with four heads for two of keys."""
    out: dict[str, tuple[int, ...]] = {"embed_tokens.weight": (512, width), "norm.weight": (width,)}
    for layer in range(layers):
        key = f"layers.{layer}"
        for name, outputs in (("q_proj", 4 * head), ("k_proj", 2 * head), ("v_proj", 2 * head)):
            out |= linear(f"{key}.self_attn.{name}", width, outputs, bias=False)
        out |= linear(f"{key}.self_attn.o_proj", 4 * head, width, bias=False)
        out |= {f"{key}.self_attn.{name}_norm.weight": (head,) for name in "qk"}
        for name in ("gate_proj", "up_proj"):
            out |= linear(f"{key}.mlp.{name}", width, 2 * width, bias=False)
        out |= linear(f"{key}.mlp.down_proj", 2 * width, width, bias=False)
        out |= {f"{key}.{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
    return out


def z_image(width: int = 64, head: int = 32, *, tokens: int = QWEN) -> dict[str, tuple[int, ...]]:
    """The transformer of Z-Image, a block of each of its three kinds."""
    out: dict[str, tuple[int, ...]] = {"x_pad_token": (1, width), "cap_pad_token": (1, width), "cap_embedder.0.weight": (tokens,)}
    out |= linear("x_embedder", 64, width) | linear("cap_embedder.1", tokens, width)
    out |= linear("t_embedder.mlp.0", 256, 1024) | linear("t_embedder.mlp.2", 1024, min(width, 256))
    for key in ("layers.0", "noise_refiner.0", "context_refiner.0"):
        out |= linear(f"{key}.attention.qkv", width, 3 * width, bias=False) | linear(f"{key}.attention.out", width, width, bias=False)
        out |= {f"{key}.attention.{name}_norm.weight": (head,) for name in "qk"}
        out |= {f"{key}.{name}_norm{number}.weight": (width,) for name in ("attention", "ffn") for number in (1, 2)}
        hidden = int(width / 3 * 8)
        for name in ("w1", "w3"):
            out |= linear(f"{key}.feed_forward.{name}", width, hidden, bias=False)
        out |= linear(f"{key}.feed_forward.w2", hidden, width, bias=False)
        out |= {} if key.startswith("context") else linear(f"{key}.adaLN_modulation.0", min(width, 256), 4 * width)
    return out | linear("final_layer.adaLN_modulation.1", min(width, 256), width) | linear("final_layer.linear", width, 64)


def z_image_file() -> Weights:
    """As ComfyUI's users have it, put together."""
    out = under("model.diffusion_model.", drawn(z_image(), 1)) | under("vae.", vae())
    return out | under("text_encoders.qwen3_4b.transformer.model.", drawn(qwen3(), 2))


def qwen_vl(width: int = QWEN, head: int = 16, layers: int = 2, eye: int = 32) -> dict[str, tuple[int, ...]]:
    """Qwen2.5-VL as ComfyUI has it: the language model under "model.", and what sees under "visual."."""
    out: dict[str, tuple[int, ...]] = {"model.embed_tokens.weight": (512, width), "model.norm.weight": (width,)}
    for layer in range(layers):
        key = f"model.layers.{layer}"
        for name, outputs in (("q_proj", 3 * head), ("k_proj", head), ("v_proj", head)):
            out |= linear(f"{key}.self_attn.{name}", width, outputs)
        out |= linear(f"{key}.self_attn.o_proj", 3 * head, width, bias=False)
        for name in ("gate_proj", "up_proj"):
            out |= linear(f"{key}.mlp.{name}", width, 2 * width, bias=False)
        out |= linear(f"{key}.mlp.down_proj", 2 * width, width, bias=False)
        out |= {f"{key}.{name}_layernorm.weight": (width,) for name in ("input", "post_attention")}
    out |= {"visual.patch_embed.proj.weight": (eye, 3, 2, 14, 14), "visual.merger.ln_q.weight": (eye,)}
    out |= linear("visual.merger.mlp.0", 4 * eye, 4 * eye) | linear("visual.merger.mlp.2", 4 * eye, width)
    key = "visual.blocks.0"
    out |= linear(f"{key}.attn.qkv", eye, 3 * eye) | linear(f"{key}.attn.proj", eye, eye)
    out |= (
        linear(f"{key}.mlp.gate_proj", eye, 2 * eye)
        | linear(f"{key}.mlp.up_proj", eye, 2 * eye)
        | linear(f"{key}.mlp.down_proj", 2 * eye, eye)
    )
    return out | {f"{key}.norm{number}.weight": (eye,) for number in (1, 2)}


def qwen_image(width: int = 64, head: int = 32, *, tokens: int = QWEN) -> dict[str, tuple[int, ...]]:
    """The transformer of Qwen-Image, one block."""
    out: dict[str, tuple[int, ...]] = {"txt_norm.weight": (tokens,)}
    out |= linear("img_in", 64, width) | linear("txt_in", tokens, width)
    out |= linear("time_text_embed.timestep_embedder.linear_1", 256, width) | linear(
        "time_text_embed.timestep_embedder.linear_2", width, width
    )
    key = "transformer_blocks.0"
    for name in ("to_q", "to_k", "to_v", "add_q_proj", "add_k_proj", "add_v_proj", "to_out.0", "to_add_out"):
        out |= linear(f"{key}.attn.{name}", width, width)
    out |= {f"{key}.attn.{name}.weight": (head,) for name in ("norm_q", "norm_k", "norm_added_q", "norm_added_k")}
    for side in ("img", "txt"):
        out |= linear(f"{key}.{side}_mod.1", width, 6 * width)
        out |= linear(f"{key}.{side}_mlp.net.0.proj", width, 4 * width) | linear(f"{key}.{side}_mlp.net.2", 4 * width, width)
    return out | linear("norm_out.linear", width, 2 * width) | linear("proj_out", width, 64)


@functools.cache
def qwen_vae() -> Weights:
    """Qwen-Image's VAE under its makers' keys."""
    from diffusers import AutoencoderKLQwenImage

    from clickpaint.paint.flow.qwen_vae import wan_key

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoencoderKLQwenImage(base_dim=8)
    return {wan_key(name): tensor.detach() for name, tensor in model.state_dict().items()}


def qwen_image_file() -> Weights:
    """As ComfyUI's users have it, put together."""
    out = under("model.diffusion_model.", drawn(qwen_image(), 1)) | under("vae.", qwen_vae())
    return out | under("text_encoders.qwen25_7b.transformer.", drawn(qwen_vl(), 2))


def flux2(width: int = 64, head: int = 16, *, tokens: int = 3 * QWEN) -> dict[str, tuple[int, ...]]:
    """The transformer of Flux.2 Klein, a block of each of its two kinds."""
    sizes = {
        "img_in": (width, 128), "txt_in": (width, tokens), "time_in.in_layer": (width, 256), "time_in.out_layer": (width, width),
        "double_stream_modulation_img.lin": (6 * width, width), "double_stream_modulation_txt.lin": (6 * width, width),
        "single_stream_modulation.lin": (3 * width, width), "single_blocks.0.linear1": (9 * width, width),
        "single_blocks.0.linear2": (width, 4 * width), "final_layer.adaLN_modulation.1": (2 * width, width),
        "final_layer.linear": (128, width),
    }  # fmt: skip
    norms = ["single_blocks.0.norm"]
    for side in ("img", "txt"):
        key = f"double_blocks.0.{side}"
        sizes |= {f"{key}_attn.qkv": (3 * width, width), f"{key}_attn.proj": (width, width)}
        sizes |= {f"{key}_mlp.0": (6 * width, width), f"{key}_mlp.2": (width, 3 * width)}
        norms.append(f"{key}_attn.norm")
    scales = {f"{key}.{name}_norm.scale": (head,) for key in norms for name in ("query", "key")}
    return {f"{key}.weight": size for key, size in sizes.items()} | scales


def flux2_vae() -> Weights:
    """Its VAE, with the statistics of its latents and what lies within encoder and decoder in its makers' file."""
    out = {key.replace("post_quant_conv", "decoder.post_quant_conv"): value for key, value in vae(32, around=True).items()}
    out = {f"encoder.{key}" if key.startswith("quant_conv") else key: value for key, value in out.items()}
    return out | {"bn.running_mean": torch.linspace(-0.2, 0.2, 128), "bn.running_var": torch.linspace(0.5, 1.5, 128)}


def flux2_file() -> Weights:
    """As ComfyUI's users have it, put together."""
    out = under("model.diffusion_model.", drawn(flux2(), 1)) | under("vae.", flux2_vae())
    return out | under("text_encoders.qwen3_4b.transformer.model.", drawn(qwen3(layers=4), 2))


def under(prefix: str, weights: Weights) -> Weights:
    return {f"{prefix}{key}": value for key, value in weights.items()}


def sd3_file(t5_too: bool = True) -> Weights:
    """As Stability ships it with its text encoders."""
    out = under("model.diffusion_model.", drawn(sd3(), 1)) | under("first_stage_model.", vae())
    out |= under("text_encoders.clip_l.transformer.", drawn(clip(CLIP_L), 2))
    out |= under("text_encoders.clip_g.transformer.", drawn(clip(CLIP_G, projected=True), 3))
    return out | (under("text_encoders.t5xxl.transformer.", drawn(t5(), 4)) if t5_too else {})


def t5_tokenizer(folder: Path) -> Path:
    """A tokenizer.json of T5's kind with a piece for each letter, in a folder of its own."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors

    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in PIECES)]
    made = Tokenizer(models.Unigram(pieces, unk_id=2))
    made.add_special_tokens([f"<extra_id_{number}>" for number in range(100)])
    made.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="always")
    made.decoder = decoders.Metaspace()
    made.post_processor = processors.TemplateProcessing(single="$A </s>", special_tokens=[("</s>", 1)])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    assert json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]["type"] == "Unigram"
    return folder


def qwen_tokenizer(folder: Path) -> Path:
    """A tokenizer.json of Qwen's kind, of single bytes."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    made = Tokenizer(models.BPE({letter: number for number, letter in enumerate(letters)}, []))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    specials = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<think>", "</think>")
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in specials])
    folder.mkdir(parents=True, exist_ok=True)
    made.save(str(folder / "tokenizer.json"))
    return folder


def save(path: Path, weights: Weights, dtype: torch.dtype | None = None) -> Path:
    from safetensors.torch import save_file

    save_file({key: value.to(dtype or value.dtype).contiguous() for key, value in weights.items()}, path)
    return path
