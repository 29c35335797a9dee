"""The layers of diffusers' networks with less work around them: the same answers, to the bit, and the networks are left as they were."""

from __future__ import annotations

import pytest
import torch

from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.diffusion.attention import wrapped
from clickpaint.paint.diffusion.conditioning import Text
from clickpaint.paint.diffusion.lean_layers import Prompts, lean
from clickpaint.paint.diffusion.loop import Rows
from tests.paint.diffusion.toys import random_checkpoint, toy_checkpoint
from tests.toys import controlnet as controlnets


def call(network, context: torch.Tensor, **more):
    with torch.inference_mode():
        sample = torch.randn(2, 4, 8, 8, generator=torch.Generator().manual_seed(3))
        if context.shape[-1] == 64:  # SDXL's
            more["added_cond_kwargs"] = {"text_embeds": context[:, 0, :32], "time_ids": torch.ones(2, 6)}
        return network(sample, torch.tensor(321), context, return_dict=False, **more)[0]


@pytest.mark.parametrize("family", ["sd1", "sdxl"])
def test_a_network_answers_the_same_and_looks_at_its_prompt_once(family):
    unet, count = random_checkpoint(family=family).unet, []
    context = torch.randn(2, 77, unet.config["cross_attention_dim"], generator=torch.Generator().manual_seed(1))
    usual, prompts = call(unet, context), Prompts()
    layer = next(module for name, module in unet.named_modules() if name.endswith("attn2.to_v"))
    hook = layer.register_forward_hook(lambda *_: count.append(1))
    with lean([unet], prompts):
        prompts.hold(context)
        assert all(torch.equal(call(unet, context), usual) for _ in range(3)) and len(count) == 1
        other = context.flip(0)
        answer = call(unet, other)
        prompts.let_go(context)
        assert torch.equal(call(unet, context), usual) and len(count) == 3
    hook.remove()
    assert torch.equal(answer, call(unet, other)) and not torch.equal(answer, usual)
    assert not any("forward" in vars(module) for module in unet.modules())


def test_a_vae_answers_the_same_and_activates_where_it_normalises():
    """In its last layers a tensor is a third of all that a picture takes beside the weights. Gradients need what was there."""
    vae, places = random_checkpoint().vae, []
    block = next(module for module in vae.decoder.modules() if type(module).__name__ == "ResnetBlock2D")
    block.norm1.register_forward_hook(lambda module, asked, answer: places.append(answer.data_ptr()))
    block.conv1.register_forward_pre_hook(lambda module, asked: places.append(asked[0].data_ptr()))
    latents = torch.randn(1, 4, 8, 8, generator=torch.Generator().manual_seed(3))
    with torch.inference_mode():
        usual = vae.decode(latents).sample
        assert places.pop() != places.pop()
        with lean([vae]):
            assert torch.equal(vae.decode(latents).sample, usual)
        assert places.pop() == places.pop()
    gradients = []
    for networks in ([], [vae]):
        asked = latents.clone().requires_grad_()
        with lean(networks):
            vae.decode(asked).sample.square().sum().backward()
        gradients.append(asked.grad)
    assert torch.equal(*gradients) and gradients[0].abs().max() > 0


def test_attention_that_is_set_and_arguments_that_are_rare_are_heeded():
    unet = random_checkpoint().unet
    context = torch.randn(2, 77, 32, generator=torch.Generator().manual_seed(1))

    def halved(layer, attend):
        return (lambda module, hidden, **more: attend(module, hidden, **more) / 2) if layer.cross else None

    mask = torch.ones(2, 77, dtype=torch.bool)
    mask[:, 5:] = False
    with wrapped(unet, [halved]):
        usual = call(unet, context), call(unet, context, encoder_attention_mask=mask)
        with lean([unet]):
            assert torch.equal(call(unet, context), usual[0])
            assert torch.equal(call(unet, context, encoder_attention_mask=mask), usual[1])
    assert not torch.equal(usual[0], usual[1]) and not torch.equal(usual[0], call(unet, context))


def test_a_controlnet_looks_at_its_map_once():
    checkpoint, count = toy_checkpoint(), []
    model = load_controlnet(controlnets.state_dict(), checkpoint)
    context = torch.randn(2, 77, checkpoint.layout.context, generator=torch.Generator().manual_seed(1))
    shown = torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2))
    usual = call(model, context, controlnet_cond=shown)
    hook = model.controlnet_cond_embedding.conv_in.register_forward_hook(lambda *_: count.append(1))
    with lean([model]):
        for _ in range(2):
            assert all(map(torch.equal, call(model, context, controlnet_cond=shown), usual))
    hook.remove()
    assert len(count) == 1 and any(residual.abs().max() > 0 for residual in usual)


def test_keys_and_values_take_no_more_memory_than_they_may():
    unet = random_checkpoint().unet
    context = torch.randn(2, 77, 32)
    few = Prompts(budget=2 * 2 * 77 * 32 * 4)  # one layer's
    few.hold(context)
    with lean([unet], few):
        call(unet, context)
    assert len(few._made) == 1 and few._left == 0
    few.let_go(context)
    assert not few._made and few._left == 2 * 2 * 77 * 32 * 4


def test_prompts_are_rows_once_and_the_oldest_make_room():
    texts = [Text(torch.full((1, 77, 4), float(number)), {"size": torch.zeros(1, 2)}) for number in range(5)]
    rows = Rows(torch.float16, keep=True)
    first, added = rows.of(texts[:2], 3)
    assert first.dtype == added["size"].dtype == torch.float16 and first.shape == (6, 77, 4) and float(first[3, 0, 0]) == 1
    assert rows.of(texts[:2], 3)[0] is first and rows.of([texts[1], texts[0]], 3)[0] is not first
    for text in texts[2:]:
        rows.of([text], 3)
    assert rows.of(texts[:2], 3)[0] is not first
