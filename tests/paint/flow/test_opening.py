"""Files of the flow-matching families: known by their tensors, shared without a copy, and the same networks as diffusers makes of them."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.opening import alias_report, open_any
from clickpaint.paint.checkpoint.source import TensorSource
from tests.toys import flow as toy

torchvision.available()


def opened(tensors, name="toy.safetensors") -> Any:
    return open_any(TensorSource(name, lambda: tensors))


def converted(checkpoint, tensors, convert: str) -> Any:
    """The transformer as diffusers makes it of the same tensors."""
    from diffusers.loaders import single_file_utils

    prefix = "model.diffusion_model."
    own = {key.removeprefix(prefix): tensor.clone() for key, tensor in tensors.items() if key.startswith(prefix)}
    made = type(checkpoint.transformer)(**checkpoint.kind.config).eval()
    made.load_state_dict(getattr(single_file_utils, convert)(own), strict=True)
    return made


FILES = {
    "sd3": (toy.sd3_file, "Stable Diffusion 3.5", "convert_sd3_transformer_checkpoint_to_diffusers"),
}


def answers(checkpoint, transformer) -> torch.Tensor:
    """What a transformer answers to latents that differ everywhere."""
    generator = torch.Generator().manual_seed(5)
    shape = {"sd3": (1, 16, 8, 12)}[checkpoint.kind.family]
    config = checkpoint.kind.config
    more = {"pooled_projections": torch.randn(1, config["pooled_projection_dim"], generator=generator)}
    with torch.no_grad():
        return transformer(
            hidden_states=torch.randn(shape, generator=generator), timestep=torch.tensor([500.0]),
            encoder_hidden_states=torch.randn(1, 7, config["joint_attention_dim"], generator=generator), return_dict=False, **more,
        )[0]  # fmt: skip


@pytest.mark.parametrize("family", FILES)
def test_every_weight_lies_in_the_files_memory_and_answers_as_diffusers_own(family):
    make, title, convert = FILES[family]
    tensors = make()
    checkpoint = opened(tensors)
    assert (checkpoint.kind.family, checkpoint.kind.title) == (family, title)
    for row in alias_report(checkpoint, tensors):
        assert row.tensors > 10, row
        assert (row.aliased_tensors, row.aliased_bytes) == (row.tensors, row.bytes), row
    ours = answers(checkpoint, checkpoint.transformer)
    theirs = answers(checkpoint, converted(checkpoint, tensors, convert))
    assert ours.std() > 1e-3 and (ours - theirs).abs().max() < 1e-5
