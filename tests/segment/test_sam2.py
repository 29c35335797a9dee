"""SAM 2.1: weights in Meta's names end up in transformers' model, and our masks are that model's."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.compat import torchvision
from clickpaint.errors import CorruptModel
from clickpaint.segment import registry, sam2
from clickpaint.segment.base import Point, Prompts
from clickpaint.weights.device import Device
from tests.segment import toys

torch = pytest.importorskip("torch")
if registry.unavailable("sam2.1_hiera_tiny") is not None:
    pytest.skip(str(registry.unavailable("sam2.1_hiera_tiny")), allow_module_level=True)

torchvision.available()  # makes it importable for transformers, if it is there

TINY = "sam2.1_hiera_tiny"
TOY = {
    "hidden_size": 8,
    "embed_dim_per_stage": [8, 16, 24, 32],
    "num_attention_heads_per_stage": [1, 1, 2, 2],
    "blocks_per_stage": [1, 1, 2, 1],
    "global_attention_blocks": [3],
}


@pytest.fixture
def toy_size(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sam2.BACKBONES, TINY, TOY)


@pytest.fixture(scope="module")
def reference() -> Any:
    from transformers import Sam2Model

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sam2.BACKBONES, TINY, TOY)
        torch.manual_seed(0)
        model = Sam2Model(sam2.config(TINY)).eval()
    for parameter in model.parameters():  # biases and position embeddings begin as zeros, which would hide a mix-up
        torch.nn.init.normal_(parameter, std=0.05 if parameter.ndim > 1 else 0.3)
    # Two copies of one thing: transformers draws them separately.
    model.shared_image_embedding.positional_embedding.copy_(model.prompt_encoder.shared_embedding.positional_embedding)
    return model


def meta_names(stages: list[int]) -> list[str]:
    """The keys of facebookresearch/sam2's checkpoints, written down from its modules: Hiera, FpnNeck, PromptEncoder, MaskDecoder,
    SAM2Base. Of the video part only examples."""

    def both(*names: str) -> list[str]:
        return [f"{name}.{part}" for name in names for part in ("weight", "bias")]

    names = ["no_mem_embed", "maskmem_tpos_enc", "no_mem_pos_enc", "no_obj_ptr", "no_obj_embed_spatial"]
    names += both(
        "mask_downsample", "obj_ptr_proj.layers.0", "obj_ptr_tpos_proj", "memory_encoder.out_proj", "memory_encoder.pix_feat_proj"
    )
    names += both("memory_attention.layers.0.self_attn.out_proj", "memory_attention.layers.0.norm1", "memory_attention.norm")

    trunk = "image_encoder.trunk"
    names += [f"{trunk}.pos_embed", f"{trunk}.pos_embed_window", *both(f"{trunk}.patch_embed.proj")]
    for block in range(sum(stages)):
        parts = ("norm1", "attn.qkv", "attn.proj", "norm2", "mlp.layers.0", "mlp.layers.1")
        names += both(*(f"{trunk}.blocks.{block}.{part}" for part in parts))
    names += both(*(f"{trunk}.blocks.{sum(stages[:stage])}.proj" for stage in (1, 2, 3)))
    names += both(*(f"image_encoder.neck.convs.{level}.conv" for level in range(4)))

    prompts = "sam_prompt_encoder"
    names += [f"{prompts}.pe_layer.positional_encoding_gaussian_matrix", f"{prompts}.not_a_point_embed.weight"]
    names += [f"{prompts}.no_mask_embed.weight", *(f"{prompts}.point_embeddings.{index}.weight" for index in range(4))]
    names += both(*(f"{prompts}.mask_downscaling.{layer}" for layer in (0, 1, 3, 4, 6)))

    decoder = "sam_mask_decoder"
    names += [f"{decoder}.{token}.weight" for token in ("iou_token", "mask_tokens", "obj_score_token")]
    projections = ("q_proj", "k_proj", "v_proj", "out_proj")
    for layer in (f"{decoder}.transformer.layers.{index}" for index in (0, 1)):
        attentions = ("self_attn", "cross_attn_token_to_image", "cross_attn_image_to_token")
        names += both(*(f"{layer}.{attention}.{projection}" for attention in attentions for projection in projections))
        names += both(*(f"{layer}.{part}" for part in ("norm1", "norm2", "norm3", "norm4", "mlp.layers.0", "mlp.layers.1")))
    names += both(*(f"{decoder}.transformer.final_attn_token_to_image.{projection}" for projection in projections))
    names += both(f"{decoder}.transformer.norm_final_attn", f"{decoder}.conv_s0", f"{decoder}.conv_s1")
    names += both(*(f"{decoder}.output_upscaling.{layer}" for layer in (0, 1, 3)))
    heads = [*(f"output_hypernetworks_mlps.{index}" for index in range(4)), "iou_prediction_head", "pred_obj_score_head"]
    return names + both(*(f"{decoder}.{head}.layers.{layer}" for head in heads for layer in range(3)))


def to_meta(weights: dict[str, Any]) -> dict[str, Any]:
    """transformers' names back into Meta's, by cutting them into words; independent of what is tested."""
    renamed: dict[str, Any] = {}
    for key, value in weights.items():
        if key == "prompt_encoder.point_embed.weight":
            renamed.update({f"sam_prompt_encoder.point_embeddings.{i}.weight": value[i : i + 1].clone() for i in range(4)})
            continue
        if key in ("shared_image_embedding.positional_embedding", "no_memory_embedding"):
            if key == "no_memory_embedding":
                renamed["no_mem_embed"] = value
            continue
        words = key.split(".")
        three_layers = any(word in ("iou_prediction_head", "pred_obj_score_head", "output_hypernetworks_mlps") for word in words)
        words = [{"o_proj": "out_proj", "projection": "proj"}.get(word, re.sub(r"^layer_norm", "norm", word)) for word in words]
        if "proj_in" in words:
            words[words.index("proj_in") :] = ["layers", "0", words[-1]]
        elif "proj_out" in words:
            words[words.index("proj_out") :] = ["layers", "2" if three_layers else "1", words[-1]]
        elif three_layers:
            words[-2] = "1"
        if words[:2] == ["vision_encoder", "backbone"]:
            words[:2] = ["image_encoder", "trunk"]
        elif words[0] == "vision_encoder":
            words = ["image_encoder", *words[1:-1], "conv", words[-1]]
        elif words[0] == "prompt_encoder":
            words[0] = "sam_prompt_encoder"
            if words[1] == "shared_embedding":
                words[1:] = ["pe_layer", "positional_encoding_gaussian_matrix"]
            elif words[1] == "mask_embed":
                words[1:3] = ["mask_downscaling", {"conv1": "0", "norm1": "1", "conv2": "3", "norm2": "4", "conv3": "6"}[words[2]]]
        else:
            words[0] = "sam_mask_decoder"
            if words[1].startswith("upscale_"):
                words[1:2] = ["output_upscaling", {"conv1": "0", "layer_norm": "1", "conv2": "3"}[words[1].removeprefix("upscale_")]]
        renamed[".".join(words)] = value
    return renamed


def segmenter(weights: dict[str, Any], path: Path) -> sam2.Sam2:
    torch.save(weights, path)
    return sam2.Sam2(TINY, TINY, toys.OneFile(path), Device(), toys.cache())


@pytest.mark.parametrize("model", list(sam2.BACKBONES))
def test_every_weight_of_metas_files_has_its_place(model: str) -> None:
    from transformers import Sam2Model

    with torch.device("meta"):
        expected = set(Sam2Model(sam2.config(model)).state_dict())
    stages = sam2.BACKBONES[model]["blocks_per_stage"]
    converted = sam2.from_meta({name: torch.zeros(1, 2) for name in meta_names(stages)})
    assert set(converted) == expected


def test_the_configurations_are_metas() -> None:
    from transformers import Sam2Model

    shapes = {}
    for model in sam2.BACKBONES:
        with torch.device("meta"):
            weights = Sam2Model(sam2.config(model)).state_dict()
        shapes[model.removeprefix("sam2.1_hiera_")] = weights
    # sam2.1_hiera_*.yaml: embed_dim, stages, window_pos_embed_bkg_spatial_size, window_spec[0]; backbone_channel_list of the neck.
    for size, width, blocks, background in (("tiny", 96, 12, 7), ("small", 96, 16, 7), ("base_plus", 112, 24, 14), ("large", 144, 48, 7)):
        backbone = {key.removeprefix("vision_encoder."): tuple(value.shape) for key, value in shapes[size].items()}
        assert backbone["backbone.pos_embed"] == (1, width, background, background)
        assert backbone["backbone.pos_embed_window"] == (1, width, 8, 8)
        assert backbone["backbone.patch_embed.projection.weight"] == (width, 3, 7, 7)
        assert len({key.split(".")[2] for key in backbone if key.startswith("backbone.blocks.")}) == blocks
        assert [backbone[f"neck.convs.{level}.weight"][1] for level in range(4)] == [8 * width, 4 * width, 2 * width, width]


@pytest.mark.usefixtures("toy_size")
def test_there_and_back_again(reference: Any) -> None:
    weights = reference.state_dict()
    meta = to_meta(weights)
    assert set(meta) <= set(meta_names(TOY["blocks_per_stage"]))  # type: ignore[arg-type]
    converted = sam2.from_meta({**meta, "memory_attention.norm.weight": torch.zeros(3)})
    assert set(converted) == set(weights)
    assert all(torch.equal(converted[key], weights[key]) for key in weights)


@pytest.mark.usefixtures("toy_size")
@pytest.mark.parametrize("layout", ["meta", "transformers", "shared once"])
def test_masks_are_those_of_transformers(reference: Any, tmp_path: Path, layout: str) -> None:
    weights = to_meta(reference.state_dict()) if layout == "meta" else dict(reference.state_dict())
    if layout == "shared once":
        del weights["prompt_encoder.shared_embedding.positional_embedding"]
    found_by = segmenter(weights, tmp_path / "sam2.pt")
    pixels = toys.photo(240, 360)
    embedding = found_by.encode(pixels)
    assert embedding.nbytes == sum(tensor.nbytes for tensor in embedding.data)
    cases = [
        Prompts((Point(200, 120),)),
        Prompts((Point(200, 120), Point(50, 60, 0))),
        Prompts(box=(40, 30, 333, 200)),
        Prompts((Point(200, 120),), (40, 30, 333, 200)),
    ]
    cases.append(Prompts(cases[1].points, previous=found_by.predict(embedding, cases[0])[0].logits))
    for prompts in cases if layout == "meta" else cases[:1]:
        definite = len(prompts.points) > 1 or prompts.box is not None
        masks, scores, logits = transformers_says(reference, pixels, prompts, multimask=not definite)
        candidates = found_by.predict(embedding, prompts)
        assert len(candidates) == 3
        order = [0] if definite else np.argsort(-scores, kind="stable")
        for candidate, index in zip(candidates, order, strict=False):
            assert candidate.logits is not None
            assert np.allclose(candidate.logits[0], logits[index], atol=1e-4)
            assert candidate.score == pytest.approx(scores[index], abs=1e-5)
            assert np.mean(candidate.mask != masks[index]) < 1e-4  # where a logit is zero but for rounding


def transformers_says(model: Any, pixels: np.ndarray, prompts: Prompts, multimask: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The whole of transformers' own way but for its image processor: normalised square in, low-resolution logits out."""
    from PIL import Image

    height, width = pixels.shape[:2]
    square = np.array(Image.fromarray(pixels).resize((1024, 1024), Image.Resampling.BILINEAR), np.float32) / 255
    square = (square - np.float32([0.485, 0.456, 0.406])) / np.float32([0.229, 0.224, 0.225])
    scale = np.array([1024 / width, 1024 / height])
    given: dict[str, Any] = {}
    if prompts.points:
        coords = np.array([(p.x, p.y) for p in prompts.points]) * scale
        given["input_points"] = torch.tensor(coords, dtype=torch.float32)[None, None]
        given["input_labels"] = torch.tensor([p.label for p in prompts.points], dtype=torch.int32)[None, None]
    if prompts.box is not None:
        given["input_boxes"] = torch.tensor(np.array(prompts.box) * np.tile(scale, 2), dtype=torch.float32)[None, None]
    if prompts.previous is not None:
        given["input_masks"] = torch.tensor(prompts.previous)[None]
    with torch.no_grad():
        out = model(torch.tensor(square).permute(2, 0, 1)[None], multimask_output=multimask, **given)
        full = torch.nn.functional.interpolate(out.pred_masks[0], (height, width), mode="bilinear", align_corners=False)
    return (full[0] > 0).numpy(), out.iou_scores[0, 0].numpy(), out.pred_masks[0, 0].numpy()


@pytest.mark.usefixtures("toy_size")
def test_safetensors_in_transformers_layout_are_read(reference: Any, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    weights = {key: value.clone() for key, value in reference.state_dict().items()}
    save_file({**weights, "memory_temporal_positional_encoding": torch.zeros(2)}, tmp_path / "model.safetensors")
    found_by = sam2.Sam2(TINY, TINY, toys.OneFile(tmp_path / "model.safetensors"), Device(), toys.cache())
    assert found_by._network().module.state_dict().keys() == weights.keys()


@pytest.mark.usefixtures("toy_size")
def test_a_file_without_all_weights_is_corrupt(reference: Any, tmp_path: Path) -> None:
    weights = to_meta(reference.state_dict())
    del weights["sam_mask_decoder.conv_s0.bias"]
    with pytest.raises(CorruptModel, match="sam2"):
        segmenter(weights, tmp_path / "sam2.pt").encode(toys.photo(20, 20))
    with pytest.raises(CorruptModel):
        segmenter({"something": torch.zeros(1)}, tmp_path / "sam2.pt").encode(toys.photo(20, 20))


@pytest.mark.usefixtures("toy_size")
def test_everything_mode_gets_the_three_masks_of_each_point(reference: Any, tmp_path: Path) -> None:
    found_by = segmenter(dict(reference.state_dict()), tmp_path / "sam2.pt")
    embedding = found_by.encode(toys.photo(120, 200))
    logits, scores = found_by.decode_points(embedding, np.array([[20.0, 30.0], [150.0, 100.0]]))
    for index, point in enumerate((Point(20, 30), Point(150, 100))):
        candidates = found_by.predict(embedding, Prompts((point,)))
        assert sorted(scores[index].tolist(), reverse=True) == pytest.approx([candidate.score for candidate in candidates], abs=1e-5)
        best = logits[index, int(scores[index].argmax())].numpy()
        assert candidates[0].logits is not None
        assert np.allclose(best, candidates[0].logits[0], atol=1e-4)
