"""Edits by words together with a ControlNet, a LoRA in the prompt and a mask: each acts, and what is not selected stays."""

from __future__ import annotations

import functools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from clickpaint.paint import in_picture
from clickpaint.paint.adapters.control_influence import Control, ControlPart, control_image
from clickpaint.paint.adapters.controlnet_files import load_controlnet
from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.adapters.lora_prompt import lora_uses
from clickpaint.paint.diffusion.loop import Inputs
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit
from tests.paint.diffusion.toys import SIZE, picture, square, toy_checkpoint
from tests.toys import controlnet as families
from tests.toys import lora as loras


@functools.cache
def checkpoint():
    return replace(toy_checkpoint(), unet=families.unet().requires_grad_(False))


@functools.cache
def tools(mode: str = "balanced") -> Tools:
    own = checkpoint()
    pairs = loras.pairs({name: own.unet.get_submodule(name) for name in loras.LAYERS})
    lora = Lora.of(loras.kohya("lora_unet", pairs, 4.0), "toy")
    model = load_controlnet(families.state_dict(), own)
    image = control_image(picture(seed=3))

    def control(_: Any, wanted: Any) -> list[ControlPart]:
        return [ControlPart([Control(model, image, unit.weight, mode=unit.mode) for unit in wanted.options.control])]

    def adapted(on: Any, networks: Any) -> Any:
        return applied(on, [(lora, use) for use in lora_uses(networks)])

    return Tools(control=control, adapted=adapted)


def edited(method: str, unit: ControlUnit | None = None, lora: str = "", source: str = "") -> np.ndarray:
    """uint8 [SIZE, SIZE, 3] of an edit in the middle of a picture."""
    words = {"source_prompt": "a photo of a cat" + source, "prompt": "a photo of a dog" + lora, "negative_prompt": "", "mask_ratio": 0.5}
    options = grouped(
        task="edit",
        edit_method=method,
        steps=3,
        seed=4,
        control=() if unit is None else (unit,),
        grow=0,
        feather=0,
        resolution=SIZE,
        **words,
    )

    def run(own: Any, progress: Any) -> Any:
        return paint_with(checkpoint(), own, tools=tools())

    return in_picture.paint(picture(), square(), options, run, native=SIZE).results[0].placed_in(picture())


@pytest.mark.parametrize("method", ["p2p", "ledits", "diffedit"])
def test_a_controlnet_and_a_lora_act_within_the_mask(method):
    unit, mute = ControlUnit("none", "toy", 1.0), ControlUnit("none", "toy", 0.0)
    plain = edited(method)
    assert method != "p2p" or np.array_equal(edited(method, mute, "<lora:toy:0>"), plain)
    made = [plain, edited(method, unit), edited(method, unit, " <lora:toy:1>")]
    assert len({one.tobytes() for one in made}) == 3
    assert all(np.array_equal(one[~square()], picture()[~square()]) for one in made)
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in checkpoint().unet.modules())


def test_a_lora_in_the_source_is_no_word():
    """What was painted with a LoRA has it in its prompt: it acts on both, once."""
    both = edited("p2p", lora=" <lora:toy:1>", source=" <lora:toy:1>")
    assert np.array_equal(both, edited("p2p", lora=" <lora:toy:1>")) and np.array_equal(both, edited("p2p", source=" <lora:toy:1>"))


@pytest.mark.parametrize("branches", [("uncond", "source", "cond"), ("uncond", "edit 0", "edit 1"), ("cond", "image", "uncond")])
def test_a_unit_for_the_prompt_speaks_to_every_prompt(branches):
    model = load_controlnet(families.state_dict(), checkpoint())
    control = Control(model, control_image(picture()), mode="control")
    generator = torch.Generator().manual_seed(0)
    sample = torch.randn(3, 4, 8, 8, generator=generator)
    context = torch.randn(3, 77, checkpoint().unet.config["cross_attention_dim"], generator=generator)
    with torch.inference_mode():
        residuals = control.residuals(Inputs(branches, sample, context), torch.tensor(500))
    assert residuals is not None
    heard = [bool(row.abs().max() > 0) for row in residuals.mid]
    assert heard == [branch not in ("uncond", "image") for branch in branches]
