"""Systems with files of their own at toy size: folders as they are published, of diffusers' classes with seeded weights."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import diffusers
import torch
import transformers

from tests.toys.tokenizer import _byte_letters

WIDTH = 16
"""Of what every text and picture encoder gives."""

SIDE = 16
"""Of what DeepFloyd IF and Karlo paint first; four times as much what comes after."""

_SIMPLE: dict[str, Any] = {
    "layers_per_block": 1, "block_out_channels": (8, 16), "norm_num_groups": 4, "cross_attention_dim": WIDTH, "attention_head_dim": 4,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D"), "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"), "resnet_time_scale_shift": "scale_shift",
}  # fmt: skip


def vae(**more: Any) -> Any:
    return diffusers.AutoencoderKL(
        block_out_channels=(8, 8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        norm_num_groups=4, latent_channels=4, sample_size=32, **more,
    )  # fmt: skip


def dit(folder: Path) -> None:
    torch.manual_seed(0)
    transformer = diffusers.DiTTransformer2DModel(
        sample_size=4, num_layers=1, patch_size=2, attention_head_dim=4, num_attention_heads=2, in_channels=4, out_channels=8,
        attention_bias=True, activation_fn="gelu-approximate", num_embeds_ada_norm=1000, norm_type="ada_norm_zero",
        norm_elementwise_affine=False,
    )  # fmt: skip
    _save(diffusers.DiTPipeline(transformer=transformer, vae=vae(), scheduler=diffusers.DDIMScheduler()), folder)
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, "id2label": {"7": "cock, rooster"}}))  # as the published one has it


def stable_video(folder: Path) -> None:
    torch.manual_seed(0)
    unet = diffusers.UNetSpatioTemporalConditionModel(
        block_out_channels=(32, 64), layers_per_block=1, sample_size=4, in_channels=8, out_channels=4,
        down_block_types=("CrossAttnDownBlockSpatioTemporal", "DownBlockSpatioTemporal"),
        up_block_types=("UpBlockSpatioTemporal", "CrossAttnUpBlockSpatioTemporal"), cross_attention_dim=WIDTH, num_attention_heads=2,
        projection_class_embeddings_input_dim=96, addition_time_embed_dim=32,
    )  # fmt: skip
    decoder = diffusers.AutoencoderKLTemporalDecoder(
        block_out_channels=(32,) * 4, down_block_types=("DownEncoderBlock2D",) * 4, latent_channels=4, sample_size=32,
        layers_per_block=1,
    )  # fmt: skip
    scheduler = diffusers.EulerDiscreteScheduler(
        beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", timestep_type="continuous",
        prediction_type="v_prediction", use_karras_sigmas=True, sigma_min=0.002, sigma_max=700.0, interpolation_type="linear",
    )  # fmt: skip
    encoder, extractor = _eye(224)
    _save(
        diffusers.StableVideoDiffusionPipeline(
            unet=unet, vae=decoder, image_encoder=encoder, scheduler=scheduler, feature_extractor=extractor
        ),
        folder,
    )


def stable_unclip(folder: Path) -> None:
    from diffusers.pipelines.stable_diffusion.stable_unclip_image_normalizer import StableUnCLIPImageNormalizer

    torch.manual_seed(1)
    unet = diffusers.UNet2DConditionModel(
        sample_size=8, layers_per_block=1, block_out_channels=(8, 16), norm_num_groups=4, cross_attention_dim=WIDTH, attention_head_dim=4,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        class_embed_type="projection", projection_class_embeddings_input_dim=2 * WIDTH,
    )  # fmt: skip
    encoder, extractor = _eye(32)
    pipe = diffusers.StableUnCLIPImg2ImgPipeline(
        feature_extractor=extractor, image_encoder=encoder, image_normalizer=StableUnCLIPImageNormalizer(embedding_dim=WIDTH),
        image_noising_scheduler=diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2"), tokenizer=_clip_tokenizer(folder),
        text_encoder=transformers.CLIPTextModel(_clip_text()).eval(), unet=unet, vae=vae(),
        scheduler=diffusers.DDIMScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, clip_sample=False),
    )  # fmt: skip
    _save(pipe, folder)


def karlo(variations: Path, words: Path) -> None:
    """Its two folders."""
    from diffusers import UnCLIPScheduler

    torch.manual_seed(2)
    decoder = diffusers.UNet2DConditionModel(sample_size=SIDE, in_channels=3, out_channels=6, class_embed_type="identity", **_SIMPLE)

    def larger() -> Any:
        return diffusers.UNet2DModel(
            sample_size=4 * SIDE, layers_per_block=1, in_channels=6, out_channels=3, block_out_channels=(8, 8), norm_num_groups=4,
            down_block_types=("ResnetDownsampleBlock2D",) * 2, up_block_types=("ResnetUpsampleBlock2D",) * 2,
        )  # fmt: skip

    parts = {
        "decoder": decoder, "tokenizer": _clip_tokenizer(variations),
        "text_encoder": transformers.CLIPTextModelWithProjection(_clip_text()).eval(),
        "text_proj": text_projection()(clip_embeddings_dim=WIDTH, time_embed_dim=32, cross_attention_dim=WIDTH),
        "super_res_first": larger(), "super_res_last": larger(),
        "decoder_scheduler": UnCLIPScheduler(variance_type="learned_range"),
        "super_res_scheduler": UnCLIPScheduler(variance_type="fixed_small_log"),
    }  # fmt: skip
    encoder, extractor = _eye(32)
    _save(diffusers.UnCLIPImageVariationPipeline(image_encoder=encoder, feature_extractor=extractor, **parts), variations)
    prior = diffusers.PriorTransformer(num_attention_heads=2, attention_head_dim=4, embedding_dim=WIDTH, num_layers=1)
    scheduler = UnCLIPScheduler(variance_type="fixed_small_log", prediction_type="sample", clip_sample_range=5.0)
    _save(diffusers.UnCLIPPipeline(prior=prior, prior_scheduler=scheduler, **parts), words)
    for folder in (variations, words):
        _said(folder, text_proj=["unclip", "UnCLIPTextProjModel"])


def text_projection() -> Any:
    """The class of one of Karlo's parts, wherever the installed diffusers has it."""
    return importlib.import_module(diffusers.UnCLIPPipeline.__module__).UnCLIPTextProjModel


def first_stage() -> Any:
    """The class of Stable Cascade's."""
    return importlib.import_module(diffusers.StableCascadeDecoderPipeline.__module__).PaellaVQModel


def stable_cascade(decoder: Path, prior: Path) -> None:
    """Its two folders."""
    from diffusers import DDPMWuerstchenScheduler, StableCascadeUNet

    torch.manual_seed(3)
    text = transformers.CLIPTextModelWithProjection(_clip_text()).eval()
    first = StableCascadeUNet(
        conditioning_dim=16, block_out_channels=(16, 16), num_attention_heads=(2, 2), down_num_layers_per_block=(1, 1),
        up_num_layers_per_block=(1, 1), clip_image_in_channels=WIDTH, clip_text_in_channels=WIDTH, clip_text_pooled_in_channels=WIDTH,
        switch_level=(False,), dropout=(0.0, 0.0),
    )  # fmt: skip
    blocks = ("SDCascadeResBlock", "SDCascadeTimestepBlock")
    second = StableCascadeUNet(
        in_channels=4, out_channels=4, conditioning_dim=16, block_out_channels=(8, 16), num_attention_heads=(-1, 2), patch_size=2,
        down_num_layers_per_block=(1, 1), up_num_layers_per_block=(1, 1), down_blocks_repeat_mappers=(1, 1),
        up_blocks_repeat_mappers=(1, 1), block_types_per_layer=(blocks, (*blocks, "SDCascadeAttnBlock")), effnet_in_channels=16,
        pixel_mapper_in_channels=3, clip_text_pooled_in_channels=WIDTH, dropout=(0.0, 0.0), timestep_conditioning_type=("sca",),
    )  # fmt: skip
    vqgan = first_stage()(bottleneck_blocks=1, embed_dim=8, num_vq_embeddings=8)
    _save(
        diffusers.StableCascadeDecoderPipeline(
            decoder=second, tokenizer=_clip_tokenizer(decoder), text_encoder=text, scheduler=DDPMWuerstchenScheduler(), vqgan=vqgan
        ),
        decoder,
    )
    _said(decoder, vqgan=["wuerstchen", "PaellaVQModel"])
    encoder, extractor = _eye(32)
    _save(
        diffusers.StableCascadePriorPipeline(
            prior=first, tokenizer=_clip_tokenizer(prior), text_encoder=text, scheduler=DDPMWuerstchenScheduler(), image_encoder=encoder,
            feature_extractor=extractor,
        ),
        prior,
    )  # fmt: skip


def deepfloyd(first: Path, second: Path) -> None:
    """Its two folders: what paints small, and what makes that larger."""
    torch.manual_seed(4)
    text = transformers.T5EncoderModel(
        transformers.T5Config(vocab_size=160, d_model=WIDTH, d_kv=8, d_ff=16, num_layers=1, num_heads=2)
    ).eval()
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("▁", -2.0), *((letter, -3.0) for letter in "abcdefghijklmnopqrstuvwxyz")]
    tokenizer = transformers.T5Tokenizer(vocab=pieces)
    common = {
        **_SIMPLE, "out_channels": 6, "cross_attention_dim": 32, "encoder_hid_dim": WIDTH, "addition_embed_type": "text",
        "addition_embed_type_num_heads": 2, "cross_attention_norm": "group_norm", "act_fn": "gelu",
    }  # fmt: skip
    steps: dict[str, Any] = {
        "beta_schedule": "squaredcos_cap_v2", "thresholding": True, "dynamic_thresholding_ratio": 0.95, "sample_max_value": 1.5,
        "prediction_type": "epsilon", "variance_type": "learned_range",
    }  # fmt: skip
    none: dict[str, Any] = {"safety_checker": None, "feature_extractor": None, "watermarker": None, "requires_safety_checker": False}
    small = diffusers.UNet2DConditionModel(sample_size=SIDE, in_channels=3, **common)
    words = {"tokenizer": tokenizer, "text_encoder": text}
    _save(diffusers.IFPipeline(**words, unet=small, scheduler=diffusers.DDPMScheduler(**steps), **none), first)
    large = diffusers.UNet2DConditionModel(sample_size=4 * SIDE, in_channels=6, class_embed_type="timestep", **common)
    noising = diffusers.DDPMScheduler(beta_schedule="squaredcos_cap_v2")
    _save(
        diffusers.IFSuperResolutionPipeline(
            **words, unet=large, scheduler=diffusers.DDPMScheduler(**steps), image_noising_scheduler=noising, **none
        ),
        second,
    )


def latent_super_resolution(folder: Path) -> None:
    torch.manual_seed(5)
    vqvae = diffusers.VQModel(
        block_out_channels=(8, 8, 8), down_block_types=("DownEncoderBlock2D",) * 3, up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1, norm_num_groups=4, latent_channels=3, num_vq_embeddings=16, vq_embed_dim=3, mid_block_add_attention=False,
    )  # fmt: skip
    unet = diffusers.UNet2DModel(
        sample_size=16, in_channels=6, out_channels=3, layers_per_block=1, block_out_channels=(8, 8), norm_num_groups=4,
        down_block_types=("DownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "UpBlock2D"), attention_head_dim=4,
    )  # fmt: skip
    scheduler = diffusers.DDIMScheduler(beta_start=0.0015, beta_end=0.0155, beta_schedule="scaled_linear", clip_sample=False)
    _save(diffusers.LDMSuperResolutionPipeline(vqvae=vqvae, unet=unet, scheduler=scheduler), folder)


def _eye(side: int) -> tuple[Any, Any]:
    """(CLIP's picture encoder, what prepares pictures for it), looking at `side` pixels a side."""
    config = transformers.CLIPVisionConfig(
        hidden_size=WIDTH, projection_dim=WIDTH, num_hidden_layers=1, num_attention_heads=2, image_size=side, intermediate_size=16,
        patch_size=side // 4,
    )  # fmt: skip
    return transformers.CLIPVisionModelWithProjection(config).eval(), transformers.CLIPImageProcessor(crop_size=side, size=side)


def _clip_text() -> Any:
    return transformers.CLIPTextConfig(
        hidden_size=WIDTH, projection_dim=WIDTH, num_hidden_layers=2, num_attention_heads=2, intermediate_size=16, vocab_size=514,
        bos_token_id=512, eos_token_id=513, pad_token_id=513,
    )  # fmt: skip


def _clip_tokenizer(folder: Path) -> Any:
    """CLIP's, of single bytes; its files go beside `folder`."""
    letters = list(_byte_letters().values())
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    place = folder.parent.parent / "tokenizer"
    place.mkdir(exist_ok=True)
    (place / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}), encoding="utf-8")
    (place / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    return transformers.CLIPTokenizer.from_pretrained(str(place), model_max_length=77, pad_token="<|endoftext|>")


def _save(pipe: Any, folder: Path) -> None:
    pipe.save_pretrained(folder, safe_serialization=True)


def _said(folder: Path, **parts: list[str]) -> None:
    """Let the folder's index name parts as the published ones do."""
    index = json.loads((folder / "model_index.json").read_text())
    (folder / "model_index.json").write_text(json.dumps({**index, **parts}))
