"""The table of the docs: every influence acts on a family or is refused in a sentence; none changes nothing in silence."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.compat import torchvision
from clickpaint.errors import InvalidInput
from clickpaint.paint.adapters.toolbox import Toolbox
from clickpaint.paint.checkpoint.opening import open_any
from clickpaint.paint.diffusion.sampling import Tools, paint_with
from clickpaint.paint.paint_job import ControlUnit
from clickpaint.weights.cache import ModelCache
from tests.paint.diffusion.toys import job, picture
from tests.paint.flow.test_lora import FILES as LORAS
from tests.paint.flow.test_lora import pairs
from tests.paint.flow.test_lora import written as lora_in
from tests.paint.flow.test_pipelines import Toy
from tests.toys import flow as toy

torchvision.available()
SIDE = 32
NAMES = {
    "sd3": "sd3.5.safetensors", "flux": "flux1-dev.safetensors", "z_image": "z_image.safetensors", "qwen_image": "qwen_image.safetensors",
    "flux2": "flux-2-klein-base-4b.safetensors", "chroma": "chroma.safetensors",
}  # fmt: skip
ACTS: dict[str, dict[str, Any]] = {
    "strength": {"strength": 0.5}, "a soft mask": {"soft": True},
    "RePaint": {"engine": "repaint", "repaint_jump": 1, "repaint_resamples": 2},
    "the negative prompt": {"negative_prompt": "rain"}, "CFG": {"cfg_scale": 3.0}, "a LoRA": {"prompt": "a red house <lora:toy:1>"},
    "a schedule": {"scheduler": "Beta"}, "a guide": {"guide_scale": 40.0},
}  # fmt: skip
TOLD = ("sd3", "flux", "z_image", "chroma")
"""To whom "distilled CFG" means something."""


@pytest.fixture(scope="module")
def tokenizers(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizers")
    toy.t5_tokenizer(folder / "t5")
    toy.qwen_tokenizer(folder / "qwen")
    return folder


@pytest.mark.parametrize("family", NAMES)
def test_every_influence_of_the_table_acts_or_is_refused(family, tokenizers, tmp_path):
    make, divided = LORAS[family]
    tensors = make()
    checkpoint = open_any(Toy(NAMES[family], tensors, tokenizers))
    toy.save(tmp_path / "toy.safetensors", lora_in("ComfyUI", pairs(tensors, divided), divided))
    box = Toolbox(lambda kind: [tmp_path], ModelCache(lambda: 1 << 30), lambda unit, made: made.pixels)
    mask = np.zeros((SIDE, SIDE), bool)
    mask[:, 16:] = True
    soft = np.linspace(-0.6, 0.6, SIDE, dtype=np.float32)[None].repeat(SIDE, 0)

    def painted(strength: float = 0.8, **options: Any) -> np.ndarray:
        guided = "guide_scale" in options
        score = (lambda pictures: -pictures.mean((1, 2, 3))) if guided else None
        more = {"guide": "clip", "guide_words": "dark"} if guided else {}
        asked = job(
            picture(SIDE, SIDE), mask, strength=strength, **{"sampler": "", "steps": 2, "cfg_scale": 2.0, **more, **options, "soft": None}
        )
        asked = replace(asked, soft=soft * mask if options.get("soft") else None)
        return paint_with(checkpoint, asked, tools=Tools(control=box.control, adapted=box.adapted, score=score))[0].pixels

    plain = painted()
    silent = [name for name, options in ACTS.items() if np.array_equal(painted(**options), plain)]
    assert silent == []
    refused: list[tuple[str, dict[str, Any]]] = [
        ("cannot look at a reference picture", {"task": "vary"}), ("without skipping layers of CLIP", {"clip_skip": 2}),
        ("depth", {"engine": "depth"}), ("is not for flow-matching", {"sampler": "DDIM"}),
    ]  # fmt: skip
    refused.append(("image_cfg_scale", {"image_cfg_scale": 4.0}))
    if checkpoint.kind.cfg_scale == 1:  # its own, where none is asked for
        refused.append(("negative_prompt", {"cfg_scale": 0.0, "negative_prompt": "rain"}))
    if family in TOLD:
        assert not np.array_equal(painted(distilled_cfg_scale=9.0), plain)
    else:
        refused.append(("change nothing: distilled_cfg_scale", {"distilled_cfg_scale": 9.0}))
    if not checkpoint.kind.instructs:
        refused.append(("cannot look at a reference picture", {"reference_picture": picture(SIDE, SIDE)}))
    for words, options in refused:
        with pytest.raises(InvalidInput, match=words):
            painted(**options)
    if family in ("z_image", "flux2", "chroma"):
        asked = job(picture(SIDE, SIDE), mask, sampler="", steps=2)
        asked = replace(asked, options=replace(asked.options, control=(ControlUnit("canny", "any"),)))
        with pytest.raises(InvalidInput, match="have no ControlNets for"):
            paint_with(checkpoint, asked, tools=Tools(control=box.control))
