"""Prompts that AND joins, and tokens that are merged: the web UI's arithmetic, and what neither goes with."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.control_influence import Control
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.diffusion.conditioning import composition, encode
from clickpaint.paint.diffusion.loop import Composed, Inputs
from clickpaint.paint.diffusion.prompt import composed
from clickpaint.paint.diffusion.sampling import paint_with, text_to_image
from clickpaint.paint.diffusion.token_merging import tokens_merged
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.in_picture import paint
from tests.paint.diffusion.toys import job, picture, random_checkpoint, square, toy_checkpoint
from tests.toys import controlnet as controlnets


def painted(prompt, **more):
    options = grouped(**{"prompt": prompt, "negative_prompt": "blurry", "steps": 3, "sampler": "DDIM", **more})
    return text_to_image(random_checkpoint(), options, (64, 64), seed=1)[0].pixels.astype(int)


@pytest.mark.parametrize(
    ("written", "parts"),
    [
        ("a cat", [("a cat", 1.0)]), ("a cat AND a dog:0.7", [("a cat", 1.0), (" a dog", 0.7)]),
        ("x :-.5 AND y : 2. ", [("x", -0.5), (" y", 2.0)]),
        ("a SAND (b:1.2)", [("a SAND (b:1.2)", 1.0)]), ("", [("", 1.0)]), ("[a:b:0.5] AND c", [("[a:b:0.5]", 1.0), (" c", 1.0)]),
    ],
)  # fmt: skip
def test_prompts_are_cut_as_the_web_ui_cuts_them(written, parts):
    assert composed(written) == parts


def test_the_differences_add_up_by_their_weights():
    generator = torch.Generator().manual_seed(0)
    uncond, first, second = (torch.randn(2, 4, 8, 8, generator=generator) for _ in range(3))
    guidance = Composed(7.0, (1.0, -0.5))
    combined = guidance.combine(dict(zip(guidance.branches, (uncond, first, second), strict=True)))
    assert torch.allclose(combined, uncond + 7 * ((first - uncond) - 0.5 * (second - uncond)), atol=1e-5)


def test_a_prompt_joined_to_itself_is_as_strong_as_both():
    """a AND a:0.5 with a scale of 4 is a with a scale of 6, and a weight of 0 is no prompt at all."""
    house = painted("a house", cfg_scale=6)
    assert np.abs(painted("a house AND a house:0.5", cfg_scale=4) - house).max() <= 1
    assert np.abs(painted("a house :0.5", cfg_scale=12) - house).max() <= 1
    assert np.abs(painted("a house AND a dog:0", cfg_scale=6) - house).max() <= 1
    assert np.abs(painted("a house AND a dog", cfg_scale=6) - house).max() > 1


def test_shorter_prompts_are_filled_up_with_their_last_vector():
    checkpoint, size = random_checkpoint(family="sdxl"), (64, 64)
    made = composition(checkpoint, ["a BREAK b", "c"], "", size=size, steps=4, clip_skip=1, words={})
    alone = encode(checkpoint, "c", size=size, steps=4).text("cond", 0)
    filled = made.text("and 1", 0)
    assert made.text("cond", 0).context.shape == filled.context.shape == (1, 154, 64)
    assert torch.equal(filled.context[:, :77], alone.context) and torch.equal(
        filled.context[:, 77:], alone.context[:, -1:].expand(1, 77, 64)
    )
    assert torch.equal(filled.added["text_embeds"], alone.added["text_embeds"]) and made.text("uncond", 0).context.shape[1] == 77


@pytest.mark.parametrize("more", [{"prompt": "a house AND a dog"}, {"prompt": "[a dog:0.5] AND a house"}, {"token_merging_ratio": 0.7}])
def test_only_what_is_selected_changes(more):
    checkpoint, pixels, mask = random_checkpoint(), picture(), square()

    def run(job, progress):
        return paint_with(checkpoint, job, progress=progress)

    def filled(**options):
        wanted = grouped(**{"prompt": "a house", "steps": 6, "seed": 1, "grow": 0, "feather": 0, "resolution": 64, **options})
        return paint(pixels, mask, wanted, run, native=64).results[0].placed_in(pixels)

    changed = filled(**more)
    assert np.array_equal(changed[~mask], pixels[~mask]) and (changed != filled())[mask].any()


def test_a_controlnet_for_the_prompt_speaks_to_all_that_are_joined():
    checkpoint = toy_checkpoint()
    model = load_controlnet(controlnets.state_dict(), checkpoint)
    control = Control(model, torch.rand(1, 3, 64, 64, generator=torch.Generator().manual_seed(2)), mode="control")
    sample, context = torch.randn(3, 4, 8, 8), torch.randn(3, 77, checkpoint.layout.context)
    with torch.inference_mode():
        residuals = control.residuals(Inputs(("uncond", "cond", "and 1"), sample, context), torch.tensor(500))
        alone = control.residuals(Inputs(("and 1",), sample[2:], context[2:]), torch.tensor(500))
    assert residuals is not None and alone is not None
    assert residuals.mid[0].abs().max() == 0 < residuals.mid[1].abs().max()
    assert torch.allclose(residuals.mid[2:], alone.mid, atol=1e-5)


@pytest.mark.parametrize(
    ("channels", "options", "said"),
    [
        (8, {"task": "instruct", "prompt": "snow AND night"}, "joined"),
        (4, {"task": "edit", "edit_method": "p2p", "source_prompt": "a", "prompt": "b AND c"}, "AND"),
        (4, {"task": "edit", "edit_method": "diffedit", "source_prompt": "a AND b", "prompt": "c"}, "AND"),
    ],
)
def test_what_cannot_be_joined_says_so(channels, options, said):
    checkpoint = random_checkpoint(channels)
    with pytest.raises(InvalidInput, match=said):
        paint_with(checkpoint, job(picture(), square(), **options))


def test_merged_tokens_are_tomesd_s_and_leave_nothing(monkeypatch):
    """One block, by the paper's own library, on its input, with the settings of the web UI."""
    import tomesd.merge

    unet = random_checkpoint().unet
    block = unet.get_submodule("down_blocks.0.attentions.0.transformer_blocks.0")
    kind = type(block)
    x, context = torch.randn(2, 64, 32), torch.randn(2, 77, 32)
    with torch.inference_mode():
        merge, unmerge = tomesd.merge.bipartite_soft_matching_random2d(x, 8, 8, 2, 2, 32, no_rand=True)
        expected = unmerge(block.attn1(merge(block.norm1(x)))) + x
        expected = block.attn2(block.norm2(expected), encoder_hidden_states=context) + expected
        expected = block.ff(block.norm3(expected)) + expected
        usual = block(x, encoder_hidden_states=context)
        with tokens_merged(random_checkpoint(), 0.5):
            unet(torch.randn(2, 4, 8, 8), torch.tensor(500), context)  # says how large the picture is
            assert torch.allclose(block(x, encoder_hidden_states=context), expected, atol=1e-5)
        assert torch.equal(block(x, encoder_hidden_states=context), usual) and not torch.allclose(usual, expected, atol=1e-3)
    assert type(block) is kind and not any("_tome_info" in vars(module) for module in unet.modules())
    assert not any(module._forward_pre_hooks for module in unet.modules())


def test_merging_changes_a_picture_and_0_does_not():
    plain = painted("a house")
    assert np.array_equal(painted("a house", token_merging_ratio=0.0), plain)
    half, most = painted("a house", token_merging_ratio=0.3), painted("a house", token_merging_ratio=0.75)
    assert np.abs(half - plain).sum() > 0 and not np.array_equal(half, most) and np.array_equal(painted("a house"), plain)


def test_a_checkpoint_without_a_u_net_merges_no_tokens():
    flow = object.__new__(FlowCheckpoint)
    object.__setattr__(flow, "kind", type("Kind", (), {"title": "Flux.1"}))
    with pytest.raises(InvalidInput, match=r"Flux\.1"), tokens_merged(flow, 0.5):
        pass
