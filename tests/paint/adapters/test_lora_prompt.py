"""What a prompt asks of LoRAs, and what it cannot ask."""

from __future__ import annotations

import pytest

from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.lora_prompt import LoraUse, lora_uses
from clickpaint.paint.diffusion.prompt import without_networks


@pytest.mark.parametrize(
    ("written", "uses"),
    [
        ("<lora:a>", [LoraUse("a", 1.0, 1.0)]),
        ("x <lora:a:0.5>, <lyco:b c:-1>", [LoraUse("a", 0.5, 0.5), LoraUse("b c", -1.0, -1.0)]),
        ("<lora:a:0.2:0.8>", [LoraUse("a", unet=0.8, text=0.2)]),
        ("<lora:a:te=0.3:unet=0.9>", [LoraUse("a", unet=0.9, text=0.3)]),
        ("<lora:a:0.3:unet=0.9>", [LoraUse("a", unet=0.9, text=0.3)]),
        ("<lora:a:unet=0.9>", [LoraUse("a", unet=0.9, text=1.0)]),
        ("no network", []),
    ],
)
def test_prompts_ask_for_loras_as_in_the_web_ui(written, uses):
    assert lora_uses(without_networks(written)[1]) == tuple(uses)


def test_what_a_prompt_cannot_ask_for_is_said():
    for written, message in (("<lora:a:loud>", "The weight of <lora:a> is no number"), ("<hypernet:a:1>", "<hypernet:a> is not known")):
        with pytest.raises(InvalidInput, match=message):
            lora_uses(without_networks(written)[1])


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("<lora:a:1:lbw=MIDD>", "lbw=MIDD, which is not a list of 12, 17, 20 or 26 numbers"),
        ("<lora:a:1:lbw=1,2,3>", "lbw=1,2,3, which is not"),
        ("<lora:a:1:dyn=few>", "dyn=few, which is no number of ranks"),
        ("<lora:a:1:dyn=0>", "dyn=0, which is no"),
        ("<lora:a:nan>", "The weight of <lora:a> is no number: 'nan'"),
        ("<lora:a:1:inf>", "The weight of <lora:a> is no number: 'inf'"),
        ("<lora:a:0,5>", "The weight of <lora:a> is no number: '0,5'"),
        ("<lora:a:>", "The weight of <lora:a> is no number: ''"),
        ("<lora:a:1:lbw=nan,0,0,0,1,1,1,1,1,1,1,1>", "which is not a list of 12"),
        ("<lora:a:1:start=10>", "asked for with start=, which is not known here"),
    ],
)
def test_what_a_prompt_asks_of_a_lora_in_vain_is_said(written, message):
    with pytest.raises(InvalidInput, match=message):
        lora_uses(without_networks(written)[1])
