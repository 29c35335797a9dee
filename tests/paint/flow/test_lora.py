"""LoRAs on the flow-matching families: in every layout of their keys the same as if they had been merged into the file."""

from __future__ import annotations

import pytest
import torch

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.checkpoint.opening import open_any
from tests.paint.flow.test_opening import answers
from tests.toys import checkpoint as sd
from tests.toys import flow as toy
from tests.toys.tensor_source import TensorSource

SD3 = {
    "joint_blocks.0.x_block.attn.qkv": tuple(f"transformer_blocks.0.attn.to_{n}" for n in "qkv"),
    "joint_blocks.1.x_block.mlp.fc1": ("transformer_blocks.1.ff.net.0.proj",),
}  # fmt: skip
FLUX = {
    "double_blocks.0.txt_attn.qkv": tuple(f"transformer_blocks.0.attn.add_{n}_proj" for n in "qkv"),
    "single_blocks.0.linear2": ("single_transformer_blocks.0.proj_out",),
}
Z_IMAGE = {
    "layers.0.attention.qkv": tuple(f"layers.0.attention.to_{n}" for n in "qkv"),
    "noise_refiner.0.feed_forward.w2": ("noise_refiner.0.feed_forward.w2",),
}
QWEN = {name: (name,) for name in ("transformer_blocks.0.attn.add_k_proj", "transformer_blocks.0.img_mlp.net.2")}
FLUX2 = {
    "double_blocks.0.img_attn.qkv": tuple(f"transformer_blocks.0.attn.to_{n}" for n in "qkv"),
    "single_blocks.0.linear1": ("single_transformer_blocks.0.attn.to_qkv_mlp_proj",),
}
CHROMA = {
    "double_blocks.0.img_attn.proj": ("transformer_blocks.0.attn.to_out.0",),
    "single_blocks.0.linear2": FLUX["single_blocks.0.linear2"],
}
FILES = {
    "chroma": (toy.chroma_file, CHROMA),
    "flux2": (toy.flux2_file, FLUX2),
    "qwen_image": (toy.qwen_image_file, QWEN),
    "z_image": (toy.z_image_file, Z_IMAGE),
    "flux": (toy.flux_file, FLUX),
    "sd3": (toy.sd3_file, SD3),
}


def opened(tensors):
    return open_any(TensorSource("toy.safetensors", lambda: tensors))


def pairs(tensors, layers) -> dict[str, tuple[torch.Tensor, torch.Tensor]]:
    """(down, up) of rank 2 for each of the layers."""
    generator = torch.Generator().manual_seed(1)
    found = {}
    for layer in layers:
        outputs, inputs = tensors[f"model.diffusion_model.{layer}.weight"].shape
        found[layer] = torch.randn(2, inputs, generator=generator) * 0.3, torch.randn(outputs, 2, generator=generator) * 0.3
    return found


def written(layout: str, changes, divided) -> dict[str, torch.Tensor]:
    """A LoRA's tensors in one of the layouts."""
    out = {}
    for layer, (down, up) in changes.items():
        if layout == "kohya":
            key = "lora_unet_" + layer.replace(".", "_")
            out |= {f"{key}.lora_down.weight": down, f"{key}.lora_up.weight": up, f"{key}.alpha": torch.tensor(2.0)}
        elif layout == "ComfyUI":
            out |= {f"diffusion_model.{layer}.lora_A.weight": down, f"diffusion_model.{layer}.lora_B.weight": up}
        else:
            for name, share in zip(divided[layer], up.chunk(len(divided[layer])), strict=True):
                out |= {f"transformer.{name}.lora_A.weight": down, f"transformer.{name}.lora_B.weight": share}
    return out


@pytest.mark.parametrize("family", FILES)
def test_a_lora_acts_as_if_it_were_merged_in_every_layout(family):
    make, divided = FILES[family]
    tensors = make()
    swapped = ["final_layer.adaLN_modulation.1"] if family in ("flux", "flux2", "sd3") else []
    changes = pairs(tensors, [*divided, *swapped])
    merged = dict(tensors)
    for layer, (down, up) in changes.items():
        key = f"model.diffusion_model.{layer}.weight"
        merged[key] = tensors[key] + 0.5 * up @ down
    plain, expected = opened(tensors), opened(merged)
    before, wanted = answers(plain, plain.transformer), answers(expected, expected.transformer)
    for layout in ("kohya", "ComfyUI"):
        lora = Lora.of(written(layout, changes, divided), "toy")
        with applied(plain, [(lora, 0.5)]) as notes:
            assert notes == []
            assert (answers(plain, plain.transformer) - wanted).abs().max() < 1e-5, layout
    assert torch.equal(answers(plain, plain.transformer), before)
    without = {layer: change for layer, change in changes.items() if layer not in swapped}
    with applied(plain, [(Lora.of(written("ComfyUI", without, divided), "toy"), 0.5)]):
        wanted = answers(plain, plain.transformer)
    with applied(plain, [(Lora.of(written("diffusers", without, divided), "toy"), 0.5)]):
        assert (wanted - before).abs().max() > 1e-3
        assert (answers(plain, plain.transformer) - wanted).abs().max() < 1e-5


def test_a_lora_of_another_family_is_refused_by_name():
    tensors = toy.sd3_file()
    lora = Lora.of(written("kohya", pairs(tensors, SD3), SD3), "toy")
    unet = sd.state_dict(vocabulary=64)
    stable = open_any(TensorSource("sd1", lambda: unet, prediction="epsilon"))
    with (
        pytest.raises(InvalidInput, match="was made for Stable Diffusion 3, but the checkpoint is Stable Diffusion 1"),
        applied(stable, [(lora, 1.0)]),
    ):
        pass
