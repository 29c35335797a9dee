"""Options by the names of the API, the command line and the page, and as the groups that they become."""

from __future__ import annotations

from dataclasses import fields

import numpy as np
import pytest

from clickpaint.api import painting_schemas
from clickpaint.errors import InvalidInput
from clickpaint.paint.flat_options import DEFAULTS, changed, grouped, values_of
from clickpaint.paint.paint_job import Masking, PaintOptions, Sampling, TextPrompt


def test_every_field_of_every_group_has_a_flat_name_of_its_own():
    groups = [
        getattr(PaintOptions(), field.name)
        for field in fields(PaintOptions)
        if field.name not in DEFAULTS or field.name in ("prompt", "guide")
    ]
    ungrouped = {field.name for field in fields(PaintOptions)} & {"task", "control", "expand", "engine", "system", "jpeg_quality"}
    assert len(DEFAULTS) == sum(len(fields(group)) for group in groups) + len(ungrouped) == 50
    assert grouped(**DEFAULTS) == PaintOptions()


def test_flat_names_reach_their_groups_and_leave_the_rest():
    options = grouped(prompt="a cat", negative_prompt="ugly", steps=7, masked_content="original", soft_inpainting=True, repaint_jump=3)
    assert options.prompt == TextPrompt("a cat", "ugly") and options.sampling == Sampling(steps=7)
    assert options.masking == Masking("original", soft=True) and options.repaint.jump == 3
    again = changed(options, steps=9, task="replace")
    assert (again.sampling.steps, again.task, again.prompt) == (9, "replace", options.prompt)
    assert options.sampling.steps == 7


def test_unknown_names_and_wrong_values_are_refused():
    with pytest.raises(TypeError, match="colour"):
        grouped(colour="red")
    with pytest.raises(InvalidInput, match="steps"):
        changed(PaintOptions(), steps=0)


def test_the_bodies_of_requests_have_every_option():
    names = set(getattr(painting_schemas.PaintBody, "model_fields", None) or painting_schemas.PaintBody.__fields__)
    assert {*DEFAULTS} <= names


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"reference_adapter": "a", "reference_fidelity": 0.2, "task": "vary"}, "fidelity"), ({"reference_adapter": "a"}, "no reference"),
        ({"reference_weight": 0.5}, "no reference"), ({"reference_start": 0.5, "reference_end": 0.5}, "no step"),
        ({"guide_words": "a cat"}, "what guides"), ({"guide_scale": 3.0}, "what guides"),
        ({"guide": "picture", "guide_words": "a cat", "guide_picture": np.zeros((2, 2, 3), np.uint8)}, "needs no words"),
        ({"guide": "clip", "guide_words": "a cat", "guide_picture": np.zeros((2, 2, 3), np.uint8)}, "not a picture"),
        ({"task": "vary", "masked_content": "latent noise"}, "begins with what is shown"), ({"task": "vary", "refine": True}, "once"),
    ],
)  # fmt: skip
def test_what_would_change_nothing_is_refused(values, said):
    with pytest.raises(InvalidInput, match=said):
        grouped(**values)


def test_what_options_say_is_had_back():
    values = {"prompt": "a cat", "steps": 7, "task": "vary", "system": "auto", "guide": "clip", "guide_words": "storm"}
    assert values_of(grouped(**values)) == {**DEFAULTS, **values}
