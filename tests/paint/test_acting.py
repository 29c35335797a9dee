"""The tables of what acts: an option that is said to change nothing changes no bit of what is painted, and is refused in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.hosts.model_family import ModelFamily
from clickpaint.paint.acting import changed_by, check_task, idle_by_model, idle_by_task
from clickpaint.paint.diffusion.sampling import paint_with
from clickpaint.paint.edit_options import WordEdit
from clickpaint.paint.flat_options import changed, grouped
from clickpaint.paint.in_picture import paint
from tests.paint.diffusion.toys import picture, random_checkpoint, square

OTHER: dict[str, Any] = {
    "denoising_strength": 0.4, "masked_content": "latent noise", "refine": True, "refine_strength": 0.9, "soft_inpainting": True,
    "cfg_scale": 3.0, "mask_ratio": 1.0, "inversion": "ddim", "cross_steps": 0.1, "self_steps": 0.9, "local": True, "repaint_jump": 1,
    "repaint_resamples": 3, "source_prompt": "a dog",
}  # fmt: skip
SITUATIONS = [
    ("fill", "auto", ""), ("fill", "repaint", ""), ("instruct", "auto", ""), ("edit", "auto", "p2p"), ("edit", "auto", "ledits"),
    ("edit", "auto", "diffedit"), ("edit", "auto", "sdedit"),
]  # fmt: skip


@pytest.mark.parametrize(("task", "engine", "method"), SITUATIONS)
def test_what_is_said_to_change_nothing_changes_no_bit(task, engine, method):
    checkpoint, pixels, mask = random_checkpoint(8 if task == "instruct" else 4), picture(96, 64), np.pad(square(), ((0, 0), (0, 32)))
    edits = {"edit_method": method, "source_prompt": "a cat", "mask_ratio": 0.5} if task == "edit" else {}
    plain = grouped(
        task=task, engine=engine, prompt="a red house", negative_prompt="blurry", steps=2, cfg_scale=5.0, seed=4, resolution=48, grow=4,
        feather=12, refine=None if task in ("instruct", "edit") else False, **edits,
    )  # fmt: skip

    def painted(options) -> np.ndarray:
        made = paint(pixels, mask, options, lambda job, progress: paint_with(checkpoint, job, progress=progress), native=64)
        return next(made.pictures())

    told = idle_by_task(task, engine, method or "p2p")
    idle = {name: value for name, value in OTHER.items() if name in told}
    assert np.array_equal(painted(changed(plain, **idle)), painted(plain)), idle


@pytest.mark.parametrize(
    ("values", "more", "said"),
    [
        ({"task": "instruct", "refine": True, "denoising_strength": 0.3}, {}, "instruct these change nothing: denoising_strength, refine"),
        ({"task": "edit", "source_prompt": "a", "refine": True}, {}, r"edit \(p2p\) these change nothing: refine"),
        ({"task": "edit", "source_prompt": "a", "prompt": "b", "edit_method": "sdedit", "local": True}, {}, "source_prompt, local"),
        ({"task": "edit", "source_prompt": "a", "edit_method": "ledits", "edits": (WordEdit("hat"),), "cfg_scale": 3.0}, {}, "cfg_scale"),
        ({"engine": "repaint", "soft_inpainting": True}, {}, r"fill \(repaint\) these change nothing: soft_inpainting"),
        ({"repaint_jump": 3, "expand": (8, 0, 0, 0)}, {}, "repaint_jump, expand|expand, repaint_jump"),
        ({"refine": False, "refine_strength": 0.5}, {}, "refine_strength"), ({}, {"eraser": "lama"}, "eraser"),
        ({"task": "vary", "soft_inpainting": True}, {"whole": True}, "soft_inpainting"),
        ({"denoising_strength": 0.3}, {"task": "generate"}, "generate these change nothing: denoising_strength"),
        ({"scheduler": "Karras"}, {"task": "generate a clip"}, "scheduler"),
    ],
)  # fmt: skip
def test_what_changes_nothing_with_a_task_is_refused(values, more, said):
    with pytest.raises(InvalidInput, match=said):
        check_task(grouped(**values), **more)


def test_what_is_done_anyway_is_not_refused():
    for values in ({}, {"task": "instruct", "refine": False}, {"task": "vary", "masked_content": "original"},
                   {"masked_content": "erased", "refine": False}, {"task": "expand", "expand": (8, 0, 0, 0)}):  # fmt: skip
        check_task(grouped(**values))
    usual = grouped(clip_skip=1, token_merging_ratio=0, refine=False)
    assert changed_by(usual) == set()


def test_nothing_asked_for_is_nothing_to_refuse():
    """No growth around no mask, and the negative prompt that a program sends with every request, where the scale is set to 1."""
    check_task(grouped(task="vary", grow=0, feather=0), whole=True)
    checkpoint, switched_off = (
        random_checkpoint(4),
        grouped(prompt="a red house", steps=1, cfg_scale=1.0, seed=4, resolution=48, refine=False),
    )

    def painted(options) -> np.ndarray:
        made = paint(picture(64, 64), square(), options, lambda job, progress: paint_with(checkpoint, job, progress=progress), native=48)
        return next(made.pictures())

    assert np.array_equal(painted(changed(switched_off, negative_prompt="blurry")), painted(switched_off))


def test_what_acts_on_a_model_follows_from_its_family():
    klein, dev = ModelFamily("Flux.2 Klein", shift=3.0, cfg_scale=1.0), ModelFamily("Flux", guidance="distilled CFG", shift=3.0)
    assert idle_by_model(klein.traits()) == {"distilled_cfg_scale", "token_merging_ratio", "image_cfg_scale", "clip_skip"}
    assert "distilled_cfg_scale" not in idle_by_model(dev.traits())
    assert idle_by_model(ModelFamily("Stable Diffusion 1").traits(schedules=False)) == {"distilled_cfg_scale", "scheduler"}
    assert idle_by_model(ModelFamily("Somebody's").traits()) == {"distilled_cfg_scale"}, "of a model that nobody knows little is refused"
