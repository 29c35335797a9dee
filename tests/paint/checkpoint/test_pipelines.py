"""A diffusers pipeline that a host has loaded is used as it is: every weight aliased, LoRAs beside them left out."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.errors import HostUnsupported
from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report, open_checkpoint
from clickpaint.paint.checkpoint.pipeline import PipelineSource
from clickpaint.paint.diffusion.sampling import text_to_image
from clickpaint.paint.flat_options import grouped
from tests.toys import checkpoint as toy
from tests.toys.tensor_source import TensorSource

torchvision.available()

SMALL = 64


def pipeline(family: str = "sd1", channels: int = 4, vocabulary: int = SMALL, **scheduler):
    """diffusers' own, on modules with their own weights."""
    import diffusers

    tensors = toy.state_dict(channels, family=family, vocabulary=vocabulary, dtype=torch.float32)
    opened = open_checkpoint(TensorSource("toy", lambda: tensors, "epsilon"))
    steps = diffusers.DDIMScheduler(**{**opened.scheduler_config, **scheduler})
    models = [encoder.model for encoder in opened.text_encoders]
    parts: dict[str, Any] = {"vae": opened.vae, "unet": opened.unet, "scheduler": steps, "text_encoder": models[0], "tokenizer": None}
    if family == "sdxl":
        return diffusers.StableDiffusionXLPipeline(**parts | {"text_encoder_2": models[1], "tokenizer_2": None})
    parts |= {"safety_checker": None, "feature_extractor": None, "requires_safety_checker": False}
    return diffusers.StableDiffusionPipeline(**parts)


def source(pipe) -> PipelineSource:
    return PipelineSource(lambda: pipe, lambda: "loaded")


@pytest.mark.parametrize(("family", "channels"), [("sd1", 4), ("sd1", 9), ("sd2", 4), ("sdxl", 4)])
def test_every_weight_of_the_pipeline_is_shared_and_in_its_place(family, channels):
    pipe = pipeline(family, channels)
    tensors = source(pipe).tensors()
    opened = open_checkpoint(source(pipe))
    assert (opened.kind.family, opened.kind.in_channels, opened.kind.prediction) == (family, channels, "epsilon")
    for row in alias_report(opened, tensors):
        assert row.tensors > 30 and row.aliased_tensors == row.tensors, row
    modules = [opened.unet, opened.vae, *(encoder.model for encoder in opened.text_encoders)]
    theirs = [pipe.unet, pipe.vae, pipe.text_encoder, *([pipe.text_encoder_2] if family == "sdxl" else [])]
    for own, their in zip(modules, theirs, strict=True):
        assert {name: one.data_ptr() for name, one in own.named_parameters()} == {
            name: one.data_ptr() for name, one in their.named_parameters()
        }


def test_a_picture_is_painted_as_on_the_same_tensors_from_a_file():
    pipe = pipeline(vocabulary=toy.VOCABULARY)
    tensors = toy.state_dict(dtype=torch.float32)
    options = grouped(prompt="a red house", steps=3, sampler="Euler")
    with Checkpoints().using(source(pipe), "cpu") as opened:
        ours = text_to_image(opened, options, (64, 64), seed=1)[0].pixels
    expected = text_to_image(open_checkpoint(TensorSource("toy", lambda: tensors, "epsilon")), options, (64, 64), seed=1)[0].pixels
    assert (ours == expected).all()
    assert not any(parameter.is_meta for parameter in pipe.unet.parameters())  # the pipeline keeps what is its own


def test_the_schedule_says_what_is_predicted():
    pipe = pipeline(prediction_type="v_prediction", rescale_betas_zero_snr=True)
    opened = open_checkpoint(source(pipe))
    assert opened.kind.prediction == "v_prediction" and opened.kind.zero_terminal_snr


class _WithAdapter(torch.nn.Module):
    """A layer as PEFT leaves it when a LoRA is loaded."""

    def __init__(self, layer: torch.nn.Linear) -> None:
        super().__init__()
        self.base_layer = layer
        self.lora_A = torch.nn.ModuleDict({"default_0": torch.nn.Linear(layer.in_features, 2, bias=False)})
        self.lora_B = torch.nn.ModuleDict({"default_0": torch.nn.Linear(2, layer.out_features, bias=False)})


def test_loras_beside_the_weights_are_left_out():
    pipe = pipeline()
    bare = source(pipe).tensors()
    attention = pipe.unet.mid_block.attentions[0].transformer_blocks[0].attn1
    attention.to_q = _WithAdapter(attention.to_q)
    now = source(pipe).tensors()
    assert {key: tensor.data_ptr() for key, tensor in now.items()} == {key: tensor.data_ptr() for key, tensor in bare.items()}


def test_what_is_no_stable_diffusion_or_not_in_memory_is_refused():
    with pytest.raises(HostUnsupported, match="FluxLike"):
        source(type("FluxLike", (), {"scheduler": SimpleNamespace(), "transformer": None})()).tensors()
    pipe = pipeline()
    pipe.unet.conv_in.to("meta")
    with pytest.raises(HostUnsupported, match=r"input_blocks\.0\.0\.weight"):
        source(pipe).tensors()
