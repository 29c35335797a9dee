"""Stable Diffusion checkpoints small enough for a CPU: real key layout, hand-set weights, so that results can be checked in numbers.

The VAE is exactly an 8x average pool and a nearest-neighbour upsampling. The UNet returns its (normalised) input plus a little that
depends on the prompt, so that every sampler converges and two prompts give two pictures. The text encoders have the real vocabulary,
the real widths and random weights.
"""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path

import torch

CONTEXT, MODEL_CHANNELS, HEADS = 768, 32, 8
UNET_MULT, RES_BLOCKS, ATTENTION_AT = (1, 2, 4, 4), 2, (1, 2, 4)
VAE_CHANNELS, VAE_MULT = 128, (1, 1, 1, 1)
CLIP_LAYERS, VOCABULARY = 2, 49408
ANCHOR = 1024.0  # constant channels that dominate a group's variance, so that GroupNorm is linear in the signal channel beside them
OFFSET = 20.0  # SiLU is the identity (to 1e-8) this far right of zero

Weights = dict[str, torch.Tensor]


@dataclass(frozen=True)
class Family:
    """The build of a UNet: depths are transformer blocks of each level. texts: (prefix, layout, width) of each text encoder."""

    context: int
    channels: int
    mult: tuple[int, ...]
    depths: tuple[int, ...]
    middle: int
    linear: bool
    label: int
    texts: tuple[tuple[str, str, int], ...]


_L, _BIG = ("conditioner.embedders.0.transformer", "clip", 768), "open_clip"
FAMILIES = {
    "sd1": Family(CONTEXT, MODEL_CHANNELS, UNET_MULT, (1, 1, 1, 0), 1, False, 0, (("cond_stage_model.transformer", "clip", 768),)),
    "sd2": Family(1024, 64, (1, 2, 4, 4), (1, 1, 1, 0), 1, True, 0, (("cond_stage_model.model", _BIG, 1024),)),
    "sdxl": Family(2048, 64, (1, 2, 4), (0, 1, 2), 2, True, 2816, (_L, ("conditioner.embedders.1.model", _BIG, 1280))),
    "sdxl_refiner": Family(1280, 64, (1, 2, 4, 4), (0, 2, 2, 0), 2, True, 2560, (("conditioner.embedders.0.model", _BIG, 1280),)),
}


def _linear(out: Weights, key: str, inputs: int, outputs: int, bias: bool = True, scale: float = 0.0) -> None:
    out[f"{key}.weight"] = torch.randn(outputs, inputs) * scale
    if bias:
        out[f"{key}.bias"] = torch.zeros(outputs)


def _conv(out: Weights, key: str, inputs: int, outputs: int, size: int = 3) -> None:
    out[f"{key}.weight"] = torch.zeros(outputs, inputs, size, size)
    out[f"{key}.bias"] = torch.zeros(outputs)


def _norm(out: Weights, key: str, channels: int) -> None:
    out[f"{key}.weight"] = torch.ones(channels)
    out[f"{key}.bias"] = torch.zeros(channels)


def _identity(weight: torch.Tensor, start: int = 0) -> None:
    """Make a convolution pass its inputs start, start + 1, … on, unchanged."""
    middle = weight.shape[-1] // 2
    for channel in range(min(weight.shape[0], weight.shape[1] - start)):
        weight[channel, start + channel, middle, middle] = 1.0


def _res_block(out: Weights, key: str, inputs: int, outputs: int, time: int = 4 * MODEL_CHANNELS) -> None:
    _norm(out, f"{key}.in_layers.0", inputs)
    _conv(out, f"{key}.in_layers.2", inputs, outputs)
    _linear(out, f"{key}.emb_layers.1", time, outputs)
    _norm(out, f"{key}.out_layers.0", outputs)
    _conv(out, f"{key}.out_layers.3", outputs, outputs)
    if inputs != outputs:
        _conv(out, f"{key}.skip_connection", inputs, outputs, 1)
        _identity(out[f"{key}.skip_connection.weight"])


def _transformer(out: Weights, key: str, channels: int, family: Family, depth: int) -> None:
    _norm(out, f"{key}.norm", channels)
    for name in ("proj_in", "proj_out"):
        _conv(out, f"{key}.{name}", channels, channels, 1)
    _identity(out[f"{key}.proj_in.weight"])
    for number in range(depth):
        _transformer_block(out, f"{key}.transformer_blocks.{number}", channels, family.context)


def _transformer_block(out: Weights, block: str, channels: int, context: int) -> None:
    for name, width in (("attn1", channels), ("attn2", context)):
        _linear(out, f"{block}.{name}.to_q", channels, channels, bias=False, scale=0.05)
        _linear(out, f"{block}.{name}.to_k", width, channels, bias=False, scale=0.05)
        _linear(out, f"{block}.{name}.to_v", width, channels, bias=False, scale=0.05)
        _linear(out, f"{block}.{name}.to_out.0", channels, channels, scale=0.3 if name == "attn2" else 0.0)
    _linear(out, f"{block}.ff.net.0.proj", channels, 8 * channels)
    _linear(out, f"{block}.ff.net.2", 4 * channels, channels)
    for number in (1, 2, 3):
        _norm(out, f"{block}.norm{number}", channels)


def unet(in_channels: int = 4, family: str = "sd1") -> Weights:
    """`model.diffusion_model.*`: ordinary (in_channels 4), inpainting (9), depth (5) or instruct-pix2pix (8)."""
    out: Weights = {}
    build = FAMILIES[family]
    base, time = build.channels, 4 * build.channels
    _linear(out, "time_embed.0", base, time, scale=0.02)
    _linear(out, "time_embed.2", time, time, scale=0.02)
    if build.label:
        _linear(out, "label_emb.0.0", build.label, time, scale=0.02)
        _linear(out, "label_emb.0.2", time, time, scale=0.02)
    _conv(out, "input_blocks.0.0", in_channels, base)
    _identity(out["input_blocks.0.0.weight"][:, :4])
    channels, index, skips = base, 1, [base]
    for level, (mult, depth) in enumerate(zip(build.mult, build.depths, strict=True)):
        for _ in range(RES_BLOCKS):
            _res_block(out, f"input_blocks.{index}.0", channels, mult * base, time)
            channels = mult * base
            if depth:
                _transformer(out, f"input_blocks.{index}.1", channels, build, depth)
            skips.append(channels)
            index += 1
        if level < len(build.mult) - 1:
            _conv(out, f"input_blocks.{index}.0.op", channels, channels)
            skips.append(channels)
            index += 1
    _res_block(out, "middle_block.0", channels, channels, time)
    _transformer(out, "middle_block.1", channels, build, build.middle)
    _res_block(out, "middle_block.2", channels, channels, time)
    index, attended = 0, ""
    for level, (mult, depth) in reversed(list(enumerate(zip(build.mult, build.depths, strict=True)))):
        for block in range(RES_BLOCKS + 1):
            inputs, outputs = channels + skips.pop(), mult * base
            _res_block(out, f"output_blocks.{index}.0", inputs, outputs, time)
            if depth:
                attended = f"output_blocks.{index}.1"
                _transformer(out, attended, outputs, build, depth)
            if level and block == RES_BLOCKS:
                upsample = f"output_blocks.{index}.{2 if depth else 1}.conv"
                _conv(out, upsample, outputs, outputs)
            channels, index = outputs, index + 1
    last = f"output_blocks.{index - 1}"
    skip = out[f"{last}.0.skip_connection.weight"]
    skip.zero_()
    _identity(skip, start=skip.shape[1] - base)  # the network's own input comes last in the concatenation
    prompt = torch.eye(4) * 0.2
    out[f"{attended}.proj_out.weight"][:4, :4, 0, 0] = prompt  # where the prompt comes in
    if not build.depths[0]:  # one level below: it has to be brought up
        _identity(out[f"{upsample}.weight"][:4])
        skip[:4, :4, 0, 0] = torch.eye(4)
    if build.linear:
        for key in [key for key in out if key.endswith(("proj_in.weight", "proj_out.weight"))]:
            out[key] = out[key][:, :, 0, 0]
    _norm(out, "out.0", base)
    out["out.0.bias"] += OFFSET
    _conv(out, "out.2", base, 4)
    _identity(out["out.2.weight"])
    out["out.2.bias"] -= OFFSET
    return out


def _vae_block(out: Weights, key: str, channels: int) -> None:
    for number in (1, 2):
        _norm(out, f"{key}.norm{number}", channels)
        _conv(out, f"{key}.conv{number}", channels, channels)


def _vae_middle(out: Weights, key: str) -> None:
    _vae_block(out, f"{key}.block_1", VAE_CHANNELS)
    _norm(out, f"{key}.attn_1.norm", VAE_CHANNELS)
    for name in ("q", "k", "v", "proj_out"):
        _conv(out, f"{key}.attn_1.{name}", VAE_CHANNELS, VAE_CHANNELS, 1)
    _vae_block(out, f"{key}.block_2", VAE_CHANNELS)


def _anchored_in(out: Weights, key: str, inputs: int) -> None:
    """A first convolution that puts input i into channel 4 i and its opposite beside it, then one channel of +ANCHOR and one of -ANCHOR."""
    _conv(out, key, inputs, VAE_CHANNELS)
    for channel in range(inputs):
        out[f"{key}.weight"][4 * channel, channel, 1, 1] = 1.0
        out[f"{key}.weight"][4 * channel + 1, channel, 1, 1] = -1.0
    out[f"{key}.bias"][2::4] = ANCHOR
    out[f"{key}.bias"][3::4] = -ANCHOR


def _anchored_out(out: Weights, norm: str, conv: str, outputs: int, signals: int) -> None:
    """The last normalisation, SiLU and convolution, which together hand the signal channels on unchanged."""
    _norm(out, norm, VAE_CHANNELS)
    # a group of (s, -s, A, -A) has mean 0 and deviation A / sqrt(2), whatever the picture: the signal comes out as s sqrt(2) / A
    out[f"{norm}.weight"] *= ANCHOR / 2**0.5
    out[f"{norm}.bias"] += OFFSET
    _conv(out, conv, VAE_CHANNELS, outputs)
    for channel in range(signals):
        out[f"{conv}.weight"][channel, 4 * channel, 1, 1] = 1.0
        out[f"{conv}.bias"][channel] = -OFFSET


def vae(channels: int = 4) -> Weights:
    """`first_stage_model.*`: latents are (R, G, B, 0 …) in -1..1, averaged over 8x8 pixels; decoding repeats them. With 16 channels nothing
    lies around the latents, as in the families that have so many."""
    out: Weights = {}
    _anchored_in(out, "encoder.conv_in", 3)
    for level in range(len(VAE_MULT)):
        for block in range(RES_BLOCKS):
            _vae_block(out, f"encoder.down.{level}.block.{block}", VAE_CHANNELS)
        if level < len(VAE_MULT) - 1:
            key = f"encoder.down.{level}.downsample.conv"
            _conv(out, key, VAE_CHANNELS, VAE_CHANNELS)
            for channel in range(VAE_CHANNELS):
                out[f"{key}.weight"][channel, channel, :2, :2] = 0.25
    _vae_middle(out, "encoder.mid")
    _anchored_out(out, "encoder.norm_out", "encoder.conv_out", 2 * channels, 3)
    out["encoder.conv_out.bias"][channels:] = -30.0  # log variance: nothing is left to chance
    if channels == 4:
        _conv(out, "quant_conv", 8, 8, 1)
        _identity(out["quant_conv.weight"])
        _conv(out, "post_quant_conv", 4, 4, 1)
        _identity(out["post_quant_conv.weight"])
    _anchored_in(out, "decoder.conv_in", channels)
    _vae_middle(out, "decoder.mid")
    for level in range(len(VAE_MULT)):
        for block in range(RES_BLOCKS + 1):
            _vae_block(out, f"decoder.up.{level}.block.{block}", VAE_CHANNELS)
        if level:
            key = f"decoder.up.{level}.upsample.conv"
            _conv(out, key, VAE_CHANNELS, VAE_CHANNELS)
            _identity(out[f"{key}.weight"])
    _anchored_out(out, "decoder.norm_out", "decoder.conv_out", 3, 3)
    return out


def text_encoder(vocabulary: int = VOCABULARY) -> Weights:
    """`cond_stage_model.transformer.*`: CLIP's text model, two layers deep."""
    out: Weights = {
        "text_model.embeddings.token_embedding.weight": torch.randn(vocabulary, CONTEXT) * 0.02,
        "text_model.embeddings.position_embedding.weight": torch.randn(77, CONTEXT) * 0.01,
        "text_model.embeddings.position_ids": torch.arange(77)[None],
    }
    for layer in range(CLIP_LAYERS):
        key = f"text_model.encoder.layers.{layer}"
        for name in ("q_proj", "k_proj", "v_proj", "out_proj"):
            _linear(out, f"{key}.self_attn.{name}", CONTEXT, CONTEXT, scale=0.02)
        _linear(out, f"{key}.mlp.fc1", CONTEXT, 4 * CONTEXT, scale=0.02)
        _linear(out, f"{key}.mlp.fc2", 4 * CONTEXT, CONTEXT, scale=0.02)
        _norm(out, f"{key}.layer_norm1", CONTEXT)
        _norm(out, f"{key}.layer_norm2", CONTEXT)
    _norm(out, "text_model.final_layer_norm", CONTEXT)
    out["text_model.final_layer_norm.bias"] += 0.2  # a web UI divides by the mean of what comes out, which must not be nothing
    return out


def open_clip(width: int, vocabulary: int = VOCABULARY) -> Weights:
    """`cond_stage_model.model.*` or `conditioner.embedders.1.model.*`: OpenCLIP's text model, two layers deep."""
    out: Weights = {
        "positional_embedding": torch.randn(77, width) * 0.01,
        "text_projection": torch.randn(width, width) * 0.03,
        "logit_scale": torch.tensor(4.6),
        "token_embedding.weight": torch.randn(vocabulary, width) * 0.02,
    }
    for layer in range(CLIP_LAYERS):
        key = f"transformer.resblocks.{layer}"
        out[f"{key}.attn.in_proj_weight"] = torch.randn(3 * width, width) * 0.02
        out[f"{key}.attn.in_proj_bias"] = torch.randn(3 * width) * 0.02
        _linear(out, f"{key}.attn.out_proj", width, width, scale=0.02)
        _linear(out, f"{key}.mlp.c_fc", width, 4 * width, scale=0.02)
        _linear(out, f"{key}.mlp.c_proj", 4 * width, width, scale=0.02)
        _norm(out, f"{key}.ln_1", width)
        _norm(out, f"{key}.ln_2", width)
    _norm(out, "ln_final", width)
    out["ln_final.bias"] += 0.2
    return out


def state_dict(
    in_channels: int = 4,
    dtype: torch.dtype = torch.float16,
    seed: int = 0,
    family: str = "sd1",
    *,
    vocabulary: int = VOCABULARY,
    averaged: str = "",
) -> Weights:
    """The whole checkpoint under the keys of the original Stable Diffusion files.

    vocabulary: rows of the token embeddings; fewer make a smaller file that no prompt can be read with. averaged: "beside" puts a
    moving average of the UNet's weights, twice as large, beside them as trainers do; "only" leaves the plain ones out. Each kind is
    drawn once in a process; everybody gets tensors of their own.
    """
    return {key: value.clone() for key, value in _drawn(in_channels, dtype, seed, family, vocabulary, averaged).items()}


@functools.lru_cache(maxsize=2)  # what stays in memory is a hundred megabytes and more each
def _drawn(in_channels: int, dtype: torch.dtype, seed: int, family: str, vocabulary: int, averaged: str) -> Weights:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        parts = {"model.diffusion_model": unet(in_channels, family), "first_stage_model": vae()}
        for prefix, layout, width in FAMILIES[family].texts:
            parts[prefix] = text_encoder(vocabulary) if layout == "clip" else open_clip(width, vocabulary)
    if averaged:
        own = parts["model.diffusion_model"]
        parts["model_ema"] = {f"diffusion_model.{key}".replace(".", ""): 2 * value for key, value in own.items()}
        if averaged == "only":
            del parts["model.diffusion_model"]
    out = {f"{prefix}.{key}": value for prefix, weights in parts.items() for key, value in weights.items()}
    betas = torch.linspace(0.00085**0.5, 0.012**0.5, 1000, dtype=torch.float64) ** 2
    out["betas"] = betas.float()
    out["alphas_cumprod"] = torch.cumprod(1 - betas, 0).float()
    return {key: value.to(dtype).contiguous() if value.is_floating_point() else value for key, value in out.items()}


def ldm_config(clip_folder: Path, in_channels: int = 4) -> dict:
    """The configuration that A1111 reads from a .yaml beside the checkpoint (JSON is YAML)."""
    inpaint, edit = in_channels == 9, in_channels == 8
    plain = "modules.models.diffusion.ddpm_edit" if edit else "ldm.models.diffusion.ddpm"
    return {
        "model": {
            "base_learning_rate": 1e-4,
            "target": "ldm.models.diffusion.ddpm.LatentInpaintDiffusion" if inpaint else f"{plain}.LatentDiffusion",
            "params": {
                "linear_start": 0.00085, "linear_end": 0.012, "num_timesteps_cond": 1, "log_every_t": 200, "timesteps": 1000,
                "first_stage_key": "jpg", "cond_stage_key": "edit" if edit else "txt", "cond_stage_trainable": False,
                "image_size": 64, "channels": 4,
                "conditioning_key": "hybrid" if inpaint or edit else "crossattn", "monitor": "val/loss_simple_ema",
                "scale_factor": 0.18215, "use_ema": False,
                **({"finetune_keys": None} if inpaint else {}),
                "unet_config": {
                    "target": "ldm.modules.diffusionmodules.openaimodel.UNetModel",
                    "params": {
                        "image_size": 32, "in_channels": in_channels, "out_channels": 4, "model_channels": MODEL_CHANNELS,
                        "attention_resolutions": list(ATTENTION_AT), "num_res_blocks": RES_BLOCKS, "channel_mult": list(UNET_MULT),
                        "num_heads": HEADS, "use_spatial_transformer": True, "transformer_depth": 1, "context_dim": CONTEXT,
                        "use_checkpoint": False, "legacy": False,
                    },
                },
                "first_stage_config": {
                    "target": "ldm.models.autoencoder.AutoencoderKL",
                    "params": {
                        "embed_dim": 4, "monitor": "val/rec_loss", "lossconfig": {"target": "torch.nn.Identity"},
                        "ddconfig": {
                            "double_z": True, "z_channels": 4, "resolution": 256, "in_channels": 3, "out_ch": 3, "ch": VAE_CHANNELS,
                            "ch_mult": list(VAE_MULT), "num_res_blocks": RES_BLOCKS, "attn_resolutions": [], "dropout": 0.0,
                        },
                    },
                },
                "cond_stage_config": {"target": "ldm.modules.encoders.modules.FrozenCLIPEmbedder", "params": {"version": str(clip_folder)}},
            },
        }
    }  # fmt: skip


def clip_config() -> dict:
    """`config.json` of the text encoder, as transformers reads it."""
    return {
        "architectures": ["CLIPTextModel"], "model_type": "clip_text_model", "hidden_act": "quick_gelu", "hidden_size": CONTEXT,
        "intermediate_size": 4 * CONTEXT, "max_position_embeddings": 77, "num_attention_heads": 12, "num_hidden_layers": CLIP_LAYERS,
        "projection_dim": CONTEXT, "vocab_size": VOCABULARY, "layer_norm_eps": 1e-5, "bos_token_id": 0, "eos_token_id": 2,
        "pad_token_id": 1, "torch_dtype": "float32",
    }  # fmt: skip


def write(path: Path, clip_folder: Path, in_channels: int = 4, seed: int = 0) -> Path:
    """Write PATH (.safetensors) and its .yaml; `clip_folder` holds the tokenizer's files and gets the text encoder's config.json."""
    from safetensors.torch import save_file

    save_file(state_dict(in_channels, seed=seed), path)
    path.with_suffix(".yaml").write_text(json.dumps(ldm_config(clip_folder, in_channels), indent=1))
    clip_folder.joinpath("config.json").write_text(json.dumps(clip_config()))
    # transformers builds the module from a folder; the web UI then loads the checkpoint's own tensors over these
    weights = {key: value.contiguous() for key, value in text_encoder().items() if not key.endswith("position_ids")}
    save_file(weights, clip_folder / "model.safetensors", metadata={"format": "pt"})
    return path
