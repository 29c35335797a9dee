"""Infotexts read back into the widgets: what each takes, and what none does."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from clickpaint.image.geometry import Box
from clickpaint.paint import infotext
from clickpaint.paint.edit_options import WordEdit
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.in_picture import PaintResult
from clickpaint.paint.paint_job import PaintJob
from clickpaint.studio.studio import Studio
from tests.toys.studio import file_of, pixels
from tests.ui.test_task_tabs import RichHost

gr = pytest.importorskip("gradio")


def text_of(prompt: str = "a cat", *, negative: str = "", strength: float | None = None, **options: Any) -> str:
    """The infotext of a job as a web UI writes it: its own fields, then ours."""
    made = grouped(prompt=prompt, **options)
    sampling = made.sampling
    strength = sampling.denoising_strength if strength is None else strength
    job = PaintJob(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool), made, "fill", strength, 7)
    fields = {"Steps": sampling.steps, "Sampler": sampling.sampler or "Euler", "CFG scale": sampling.cfg_scale, "Seed": 7, "Size": "8x8"}
    fields |= {"Denoising strength": strength, **infotext.own_fields(job)}
    lines = [prompt, *([f"Negative prompt: {negative}"] if negative else [])]
    return "\n".join([*lines, ", ".join(f"{name}: {value}" for name, value in fields.items())])


@pytest.fixture
def page(tmp_path: Path) -> tuple[Studio, Any, Callable[..., dict[str, Any]]]:
    """A studio, its page, and reading(prompt, workspace, version, result) → what the button sets, by the elements' ids."""
    from clickpaint.ui import tab

    host = RichHost(tmp_path)
    host.can_paint = True
    studio = Studio(host)
    blocks: Any = tab.build(studio)
    ids = {block.elem_id: number for number, block in blocks.blocks.items() if block.elem_id}
    function = next(one for one in blocks.fns.values() if (ids["clickpaint_read"], "click") in one.targets)

    def reading(prompt: str = "", workspace: str = "", version: float = 0, result: float = -1) -> dict[str, Any]:
        values = function.fn(prompt, workspace, version, result)
        updates = zip(function.outputs, values, strict=True)
        return {widget.elem_id.removeprefix("clickpaint_"): value["value"] for widget, value in updates if "value" in value}

    return studio, blocks, reading


def test_what_was_painted_comes_back(page) -> None:
    _, _, reading = page
    sampling: dict[str, Any] = {"steps": 7, "cfg_scale": 3.5, "sampler": "Euler", "scheduler": "Karras", "resolution": 640}
    painting: dict[str, Any] = {"denoising_strength": 0.6, "masked_content": "latent noise", "refine": True, "soft_inpainting": True}
    text = text_of("a cat,\nred", negative="dog", strength=0.35, **sampling, **painting)
    fields = reading(text + ", Schedule type: Karras")
    mark = fields.pop("pasted_task")
    assert fields == {
        "fill_prompt": "a cat,\nred", "fill_negative": "dog", "steps": 7, "sampler": "Euler", "scheduler": "Karras", "cfg_scale": 3.5,
        "denoising": 0.6, "seed": 7, "masked_content": "Latent noise", "resolution": 640, "second_pass": "On", "soft_inpainting": True,
        "engine": "Web UI",
    }  # fmt: skip
    assert mark.split()[0] == "fill" and reading(text)["pasted_task"] != mark, "the same once more is to be seen too"


def test_what_was_left_out_had_its_default(page) -> None:
    _, _, reading = page
    fields = reading(text_of(task="replace"))
    assert (fields["second_pass"], fields["soft_inpainting"], fields["resolution"]) == ("Automatic", False, 0)
    assert fields["replace_prompt"] == "a cat" and "fill_prompt" not in fields and "expand_prompt" not in fields


def test_an_edit_by_words_comes_back_whole(page) -> None:
    _, _, reading = page

    def written(**options: Any) -> dict[str, Any]:
        made = grouped(task="edit", source_prompt="a stormy, dark sea", prompt="a calm sea", **options)
        job = PaintJob(np.zeros((8, 8, 3), np.uint8), np.ones((8, 8), bool), made, "original", 0.75, 7)
        text = infotext.written(
            job, seed=7, sampler="DDIM", schedule="Automatic", checkpoint="toy", engine=made.edit.method, cfg_scale=7.0
        )  # fmt: skip
        back = infotext.read(infotext.parse(text))
        assert {name: back[name] for name in options} == options
        return reading(text)

    weights: dict[str, Any] = {"word_weights": (("a calm; dark", -1.5), ("sea", 3.0)), "cross_steps": 0.6, "self_steps": 0.2, "local": True}
    fields = written(**weights, inversion="ddim")
    assert fields["word_weights"] == "a calm; dark=-1.5, sea=3" and fields["inversion"] == "By DDIM"
    assert (fields["cross_steps"], fields["self_steps"], fields["local"], fields["edits"]) == (0.6, 0.2, True, "")
    fields = written(edit_method="ledits", edits=(WordEdit("glasses: round", 4.0, 0.8), WordEdit("beard", -5.0)))
    assert fields["edits"] == "glasses: round:4:0.8, beard:-5:0.9" and fields["edit_method"] == "LEDITS++"
    fields = written(edit_method="diffedit", mask_ratio=2.5)
    assert fields["mask_ratio"] == 2.5 and fields["word_weights"] == "" and fields["local"] is False


def test_margins_and_the_remover(page) -> None:
    _, _, reading = page
    fields = reading(text_of(task="expand", expand=(8, 0, 64, 16)))
    assert [fields[f"expand_{side}"] for side in ("left", "top", "right", "bottom")] == [8, 0, 64, 16]
    assert "eraser" not in fields
    fields = reading(text_of("", task="remove"))
    assert fields["eraser"] == "Stable Diffusion" and not {"fill_prompt", "replace_prompt", "expand_prompt"} & set(fields)


def test_a_generation_of_somebody_else_sets_only_what_it_tells(page) -> None:
    _, _, reading = page
    fields = reading("a dog\nSteps: 12, Sampler: Nobody's, CFG scale: 99, Seed: 5, Size: 512x512, Model: tiny, Masked content: fill")
    mark = fields.pop("pasted_task")
    assert mark.split()[0] not in ("fill", "replace", "expand", "remove", "instruct", "none")
    every = {
        f"{task}_{name}": value
        for task in ("fill", "replace", "instruct", "edit", "vary")
        for name, value in (("prompt", "a dog"), ("negative", ""))
    }
    assert fields == {**every, "expand_prompt": "a dog", "steps": 12, "seed": 5}, "no unknown sampler, nothing that a slider cannot show"


@pytest.mark.parametrize("hostile", ["nan", "inf", "1e999", "-3", '"', "x" * 9999, "{}", "0x10"])
def test_values_that_cannot_be_used_are_passed_over(page, hostile: str) -> None:
    _, _, reading = page
    fields = reading(
        f"a dog\nSteps: {hostile}, CFG scale: {hostile}, Seed: 5, Clickpaint: {hostile}, Clickpaint margins: {hostile} 1 1 1, "
        f"Clickpaint resolution: {hostile}, Clickpaint masked content: {hostile}, Denoising strength: {hostile}"
    )
    assert fields["seed"] == 5 or hostile == '"'
    assert not {"steps", "cfg_scale", "denoising", "resolution", "masked_content", "expand_left"} & set(fields)


def test_without_parameters_in_the_prompt_it_reads_those_of_the_picture(page) -> None:
    from PIL import Image, PngImagePlugin

    studio, _, reading = page
    assert list(reading("just a prompt: red, and blue")) == ["pasted_task"]
    text = PngImagePlugin.PngInfo()
    text.add_text("parameters", text_of(steps=33))
    import io

    stream = io.BytesIO()
    Image.fromarray(pixels()).save(stream, "PNG", pnginfo=text)
    opened = studio.open(stream.getvalue(), "painted.png")
    assert reading("a prompt", opened.id)["steps"] == 33
    bare = studio.open(file_of(pixels()), "bare.png")
    assert reading("", bare.id)["pasted_task"].startswith("none ")
    bare.hold_results((PaintResult(Box(0, 0, 2, 2), pixels()[:2, :2], 7, text_of(steps=44)),), None)
    assert reading("", bare.id, 0, 0)["steps"] == 44
    assert reading("", "closed long ago")["pasted_task"].startswith("none ")
    studio.shut_down()


def test_our_fields_need_no_quoting_and_are_read_as_the_web_ui_reads_its_own() -> None:
    text = text_of('say "hi": now', task="expand", expand=(8, 0, 8, 0), grow=3, feather=0)
    fields = infotext.parse(text)
    assert fields["Prompt"] == 'say "hi": now'
    assert {name: value for name, value in fields.items() if name.startswith("Clickpaint")} == {
        "Clickpaint": "expand", "Clickpaint masked content": "fill", "Clickpaint margins": "8 0 8 0", "Clickpaint grow": "3",
        "Clickpaint feather": "0",
    }  # fmt: skip
    quoted = "x\nSteps: 1, Seed: 2, Size: 8x8, Lora hashes: " + json.dumps("a: 1, b: 2")
    assert infotext.parse(quoted)["Lora hashes"] == "a: 1, b: 2"
    assert infotext.parse("only, a: prompt") == {"Prompt": "only, a: prompt", "Negative prompt": ""}
