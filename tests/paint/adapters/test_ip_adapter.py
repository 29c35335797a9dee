"""IP-Adapter against diffusers' own, on networks at toy size."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.ip_adapter import ImagePrompt, load_ip_adapter
from clickpaint.paint.diffusion.attention import wrapped
from clickpaint.paint.diffusion.loop import Inputs, Moment
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.influence_options import ReferenceOptions
from tests.paint.diffusion.toys import job, picture, random_checkpoint, square

SEEN, PIXELS = 24, np.zeros((8, 8, 3), np.uint8)


def adapter_file(unet, kind="base"):
    """The tensors of an adapter for this network, as they are published: base, plus, plus face (which has more tokens), full face."""
    generator = torch.Generator().manual_seed(4)
    width = unet.config.cross_attention_dim

    def drawn(*shape):
        return torch.randn(shape, generator=generator) * shape[-1] ** -0.5

    tensors = {}
    if kind == "full face":
        tensors |= {
            "image_proj.proj.0.weight": drawn(SEEN, SEEN), "image_proj.proj.0.bias": drawn(SEEN),
            "image_proj.proj.2.weight": drawn(width, SEEN), "image_proj.proj.2.bias": drawn(width),
            "image_proj.proj.3.weight": torch.ones(width), "image_proj.proj.3.bias": drawn(width),
        }  # fmt: skip
    elif kind != "base":
        inner = 64
        tensors |= {
            "image_proj.latents": drawn(1, 16 if kind == "plus face" else 4, inner),
            "image_proj.proj_in.weight": drawn(inner, SEEN), "image_proj.proj_in.bias": drawn(inner),
            "image_proj.proj_out.weight": drawn(width, inner), "image_proj.proj_out.bias": drawn(width),
            "image_proj.norm_out.weight": torch.ones(width), "image_proj.norm_out.bias": drawn(width),
        }  # fmt: skip
        for key, shape in {
            "0.norm1.weight": (inner,), "0.norm1.bias": (inner,), "0.norm2.weight": (inner,), "0.norm2.bias": (inner,),
            "0.to_q.weight": (64, inner), "0.to_kv.weight": (128, inner), "0.to_out.weight": (inner, 64),
            "1.0.weight": (inner,), "1.0.bias": (inner,), "1.1.weight": (4 * inner, inner), "1.3.weight": (inner, 4 * inner),
        }.items():  # fmt: skip
            tensors |= {f"image_proj.layers.{layer}.{key}": drawn(*shape) for layer in range(4)}
    else:
        tensors |= {"image_proj.proj.weight": drawn(4 * width, SEEN), "image_proj.proj.bias": drawn(4 * width),
                    "image_proj.norm.weight": torch.ones(width), "image_proj.norm.bias": drawn(width)}  # fmt: skip
    cross = [name.removesuffix(".processor") for name in unet.attn_processors if name.endswith("attn2.processor")]
    for number, module in enumerate(map(unet.get_submodule, cross)):
        for which in ("k", "v"):
            tensors[f"ip_adapter.{2 * number + 1}.to_{which}_ip.weight"] = 3 * drawn(module.inner_dim, width)
    return tensors


@pytest.mark.parametrize("kind", ["base", "plus", "plus face", "full face"])
def test_the_network_answers_as_with_diffusers_own(kind):
    checkpoint = random_checkpoint()
    tensors = adapter_file(checkpoint.unet, kind)
    adapter = load_ip_adapter(tensors, checkpoint)
    assert (adapter.states, adapter.width) == (kind != "base", SEEN)
    seen = torch.randn((1, 7, SEEN) if kind != "base" else (1, SEEN), generator=torch.Generator().manual_seed(1))
    sample = torch.randn((2, 4, 8, 8), generator=torch.Generator().manual_seed(2))
    context = torch.randn((2, 77, checkpoint.unet.config.cross_attention_dim), generator=torch.Generator().manual_seed(3))
    part = ImagePrompt(adapter, seen, torch.zeros_like(seen), ReferenceOptions(picture=PIXELS, weight=0.7))
    moment = Moment(0.0, 0.1, torch.tensor(500), None, None, (), 500)
    with torch.inference_mode():
        plain = checkpoint.unet(sample, 500, encoder_hidden_states=context).sample
        with wrapped(checkpoint.unet, [part.attention]):
            part.model_input(Inputs(("uncond", "cond"), sample, context), moment)
            ours = checkpoint.unet(sample, 500, encoder_hidden_states=context).sample

    theirs = copy.deepcopy(checkpoint.unet)
    halves = {
        half: {key.removeprefix(f"{half}."): value for key, value in tensors.items() if key.startswith(half)}
        for half in ("image_proj", "ip_adapter")
    }
    theirs._load_ip_adapter_weights([halves], low_cpu_mem_usage=False)
    for processor in theirs.attn_processors.values():
        if hasattr(processor, "scale"):
            processor.scale = [0.7]
    embeds = torch.stack([torch.zeros_like(seen), seen])
    with torch.inference_mode():
        expected = theirs(sample, 500, encoder_hidden_states=context, added_cond_kwargs={"image_embeds": [embeds]}).sample
    torch.testing.assert_close(ours, expected, atol=2e-5, rtol=1e-4)
    assert float((ours - plain).abs().max()) > 1e-2


def test_it_is_painted_with_and_other_files_say_what_they_are():
    checkpoint = random_checkpoint()
    adapter = load_ip_adapter(adapter_file(checkpoint.unet), checkpoint)
    seen = torch.ones(1, SEEN)

    def painted(**values):
        prompts = Tools(image_prompt=lambda _, options: ImagePrompt(adapter, seen, torch.zeros_like(seen), options))
        wish = job(picture(), square(), steps=3, reference_picture=PIXELS, reference_adapter="toy", **values)
        return paint_with(checkpoint, wish, tools=prompts)[0].pixels

    plain = paint_with(checkpoint, job(picture(), square(), steps=3))[0].pixels
    results = [plain, painted(), painted(reference_weight=0.4), painted(reference_end=0.4)]
    assert len({result.tobytes() for result in results}) == 4
    assert np.array_equal(painted(reference_weight=0.0), plain)

    tensors = adapter_file(checkpoint.unet)
    with pytest.raises(InvalidInput, match="is not an IP-Adapter"):
        load_ip_adapter({"x": torch.zeros(1)}, checkpoint, "x")
    with pytest.raises(InvalidInput, match="another family"):
        load_ip_adapter({key: value for key, value in tensors.items() if ".1." not in key}, checkpoint, "x")
    with pytest.raises(InvalidInput, match="face's identity"):
        load_ip_adapter({**tensors, "ip_adapter.0.to_q_lora.down.weight": torch.zeros(1)}, checkpoint, "x")
