"""The always-on script, in generations of the stand-ins."""

from __future__ import annotations

import types

import numpy as np
import pytest
from PIL import Image

from clickpaint.hosts.webui import img2img
from clickpaint.hosts.webui.host import WebUIHost
from clickpaint.hosts.webui.script import script_class
from clickpaint.paint.touchup_job import INFOTEXT, NAMES, TouchUp
from clickpaint.studio.studio import Studio
from clickpaint.studio.touchup import touch_up

SIZE = (64, 48)
OFF = [False, "remove", "", "", "", "", 0.75, "auto", -1, -1]
BOX = "16,16,40,32"


@pytest.fixture
def calls() -> list:
    return []


@pytest.fixture
def script(web, calls):
    """The script in the page, on a studio of its own; `calls` has what it was applied to."""
    web.shared.opts.data.update({"clickpaint_segmenter": "classic", "clickpaint_eraser": "opencv_telea", "clickpaint_device": "cpu"})
    studio = Studio(WebUIHost())

    def apply(*arguments):
        calls.append(arguments)
        return touch_up(studio, *arguments)

    return web.add(script_class(apply), OFF)


def picture() -> Image.Image:
    pixels = np.full((SIZE[1], SIZE[0], 3), (30, 90, 160), np.uint8)
    pixels[16:32, 16:40] = (220, 200, 40)
    return Image.fromarray(pixels)


def generation(web, values, **parameters):
    """An img2img generation that paints nothing by itself: its picture comes out as it went in."""
    wanted = {"prompt": "a table", "negative_prompt": "ugly", "seed": 9, "steps": 2, "init_images": [picture()], "sampler_name": "Euler a"}
    wanted |= {"width": SIZE[0], "height": SIZE[1], "denoising_strength": 0.0, "inpainting_fill": 1, "cfg_scale": 6.0, **parameters}
    return web.generate(values, **wanted)


def pixels_of(processed, index=0) -> np.ndarray:
    return np.asarray(processed.images[processed.index_of_first_image + index])


def outside(margin: int) -> np.ndarray:
    """Where nothing may change: further than `margin` from the yellow box."""
    kept = np.ones((SIZE[1], SIZE[0]), bool)
    kept[16 - margin : 32 + margin, 16 - margin : 40 + margin] = False
    return kept


def test_off_it_does_nothing(web, script, calls):
    for values in (OFF, [None] * 10, [{"enabled": False, "task": "fill"}, *OFF[1:]]):
        processed = generation(web, values)
        assert np.array_equal(pixels_of(processed), np.asarray(picture()))
        assert processed.infotexts == ["a table\nSteps: 2, Seed: 9"]
    assert calls == [] and web.reported == []


BY_LIST = [True, "Remove", "", BOX, "", "", 0.75, "opencv_telea", 2, 2]
BY_OBJECT = [{"task": "remove", "box": BOX, "eraser": "opencv_telea", "grow": 2, "feather": 2}, *OFF[1:]]


@pytest.mark.parametrize("values", [BY_LIST, BY_OBJECT])
def test_remove(web, script, values):
    processed = generation(web, values)
    after, before = pixels_of(processed), np.asarray(picture())
    assert np.array_equal(after[outside(5)], before[outside(5)])
    assert np.abs(after[20:28, 20:36].astype(int) - (30, 90, 160)).max() < 12  # the yellow box is gone
    assert "Clickpaint task: remove, Clickpaint box: 16 16 40 32, Clickpaint eraser: opencv_telea" in processed.infotexts[0]
    assert len(web.runs) == 1 and web.reported == []


def test_fill_paints_within_the_generation(web, script, calls):
    values = [{"task": "fill", "box": BOX, "prompt": "a cat", "denoising_strength": 1.0, "grow": 1, "feather": 2}, *OFF[1:]]
    processed = generation(web, values, scheduler="Karras")
    outer, inner = web.runs
    assert (inner.prompt, inner.negative_prompt, inner.seed, inner.steps, inner.cfg_scale) == ("a cat", "ugly", 9, 2, 6.0)
    assert (inner.sampler_name, inner.scheduler, inner.n_iter, inner.inpainting_fill) == ("Euler a", "Karras", 1, 0)
    assert inner.scripts.alwayson_scripts == []  # not itself again, and nobody else
    assert not web.wrote_history
    after, before = pixels_of(processed), np.asarray(picture())
    assert np.array_equal(after[outside(4)], before[outside(4)])
    assert np.array_equal(after[24, 28], [63, 117, 5])  # the stand-in's colour for seed 9
    assert calls[0][3] == round((SIZE[0] * SIZE[1]) ** 0.5)  # painted at the size that the generation was made at
    assert "Clickpaint prompt: a cat, Clickpaint denoising strength: 1" in processed.infotexts[0]
    assert outer.prompt == "a table"


def test_replace_keeps_the_object(web, script):
    processed = generation(web, [{"task": "replace", "box": BOX, "denoising_strength": 1.0, "feather": 0}, *OFF[1:]])
    after, before = pixels_of(processed), np.asarray(picture())
    object_ = ~outside(-2)
    assert np.array_equal(after[object_], before[object_])
    assert not np.array_equal(after[2, 2], before[2, 2])


def test_without_points_it_takes_what_stands_out(web, script):
    processed = generation(web, [{"task": "remove"}, *OFF[1:]])
    assert np.abs(pixels_of(processed)[20:28, 20:36].astype(int) - (30, 90, 160)).max() < 30
    assert web.reported == []


def test_every_picture_of_the_batch_with_its_own_seed(web, script):
    values = [{"task": "fill", "box": BOX, "denoising_strength": 1.0}, *OFF[1:]]
    processed = generation(web, values, n_iter=3, do_not_save_grid=True)
    assert [p.seed for p in web.runs] == [9, 9, 10, 11]
    assert len({tuple(pixels_of(processed, i)[24, 28]) for i in range(3)}) == 3
    assert [p.prompt for p in web.runs] == ["a table"] * 4


def test_the_generation_does_not_notice(web, script):
    """Progress, conditioning, options, bars, tiling and token merging are after the painting what they were before."""
    state, seen = web.shared.state, []
    web.shared.sd_model.applied_token_merged_ratio = 0.4
    names = ("job", "job_no", "job_count", "sampling_step", "sampling_steps")
    cached = ["of the generation", object()]
    bars = web.shared.total_tqdm

    def step(p):
        if p is not web.runs[0]:
            assert web.shared.total_tqdm is not bars
            assert p.cached_c is not web.runs[0].cached_c

    def note(when):
        seen.append((when, {name: getattr(state, name) for name in names}, web.runs[0].cached_c[0], id(web.shared.total_tqdm)))

    class Before(web.scripts.Script):
        def postprocess_image_after_composite(self, p, pp, *args):
            note("before")

    class After(web.scripts.Script):
        def postprocess_image_after_composite(self, p, pp, *args):
            note("after")

    runner = web.scripts.scripts_img2img
    for kind, place in ((Before, 0), (After, 2)):
        one = kind()
        one.args_from = one.args_to = 0
        runner.alwayson_scripts.insert(place, one)
    web.on_step = step
    web.processing.StableDiffusionProcessingImg2Img.cached_c = cached
    options = dict(web.shared.opts.data)
    generation(web, [{"task": "fill", "box": BOX}, *OFF[1:]], tiling=True)
    assert len(web.runs) == 2 and web.reported == []
    assert seen[0][1:] == seen[1][1:]
    assert web.shared.opts.data == options and web.shared.cmd_opts.no_prompt_history is False
    if web.flavor == "a1111":
        assert web.circular == [True] and web.merged == [0.4]
    assert state.interrupted is False and state.skipped is False and state.stopping_generation is False


def test_another_script_may_be_on_beside_it(web, script, calls):
    class Other(web.scripts.Script):
        def process(self, p, *args):
            assert args == ("mine",)
            p.extra_generation_params["Other"] = args[0]

    web.add(Other, ["mine"])
    processed = generation(web, [{"task": "fill", "box": BOX}, *OFF[1:], "mine"])
    assert "Other: mine" in processed.infotexts[0] and len(calls) == 1
    assert "Other" not in web.runs[1].extra_generation_params


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([{"task": "fly"}, *OFF[1:]], "task 'fly' is unknown"),
        ([{"tusk": "fill"}, *OFF[1:]], "tusk is unknown"),
        ([True, "fill", "500,500", "", "", "", 0.5, "auto", -1, -1], "outside the picture"),
        ([True, "fill", "a,b", "", "", "", 0.5, "auto", -1, -1], "'a' is not a number"),
        ([True, "remove", "", BOX, "", "", 0.5, "nothing", -1, -1], "no eraser 'nothing'"),
        ([True, "fill", "", BOX, "", "", 7, "auto", -1, -1], "denoising strength"),
        ([["fill"], *OFF[1:]], "enabled cannot be"),
    ],
)
def test_mistakes_never_break_a_generation(web, script, values, text):
    processed = generation(web, values, n_iter=2, do_not_save_grid=True)
    assert len(processed.images) == 2
    for infotext in processed.infotexts:
        assert "Clickpaint error: " in infotext and text in infotext
    assert np.array_equal(pixels_of(processed), np.asarray(picture()))
    assert any(text in comment for comment in web.runs[0].comments)
    assert web.reported and all("stays as it was" in one for one in web.reported)


def test_failures_of_painting_never_break_a_generation(web, script):
    def fail():
        web.failure = RuntimeError("CUDA out of memory")

    inner_step(web, fail)
    processed = generation(web, [{"task": "fill", "box": BOX}, *OFF[1:]], n_iter=2, do_not_save_grid=True)
    assert len(processed.images) == 2
    assert "Clickpaint error" in processed.infotexts[0] and "memory" in processed.infotexts[0]
    assert "Clickpaint error" not in processed.infotexts[1]  # the second picture was painted
    assert np.array_equal(pixels_of(processed), np.asarray(picture())) and not np.array_equal(
        pixels_of(processed, 1), np.asarray(picture())
    )


def inner_step(web, work):
    """Do something in the middle of painting within the first picture."""

    def step(p):
        if len(web.runs) == 2 and p is web.runs[1]:
            work()

    web.on_step = step


def test_skip_skips_the_touch_up_alone(web, script):
    inner_step(web, web.shared.state.skip)
    processed = generation(web, [{"task": "fill", "box": BOX}, *OFF[1:]], n_iter=2, do_not_save_grid=True)
    assert np.array_equal(pixels_of(processed), np.asarray(picture()))
    assert not np.array_equal(pixels_of(processed, 1), np.asarray(picture()))
    assert not web.shared.state.skipped and web.reported == []


def test_interrupt_stops_both(web, script):
    inner_step(web, web.shared.state.interrupt)
    processed = generation(web, [{"task": "fill", "box": BOX}, *OFF[1:]], n_iter=2)
    assert len(processed.images) == 1 and np.array_equal(pixels_of(processed), np.asarray(picture()))
    assert web.shared.state.interrupted and web.reported == []


def test_stopping_after_this_picture_still_touches_it_up(web, script):
    web.on_step = lambda p: web.shared.state.stop_generating()
    processed = generation(web, [{"task": "fill", "box": BOX}, *OFF[1:]], n_iter=2)
    assert len(processed.images) == 1 and not np.array_equal(pixels_of(processed), np.asarray(picture()))
    assert web.shared.state.stopping_generation


def test_an_interrupted_generation_is_left_alone(web, script, calls):
    web.on_step = lambda p: web.shared.state.interrupt()
    generation(web, [{"task": "remove", "box": BOX}, *OFF[1:]])
    assert calls == []


def test_the_queue_lock_is_not_taken_again(web, script):
    with web.call_queue.queue_lock:
        for task in ("remove", "fill"):
            generation(web, [{"task": task, "box": BOX}, *OFF[1:]])
    assert web.reported == []


def test_transparency_is_kept(web, script):
    made = picture().convert("RGBA")
    made.putalpha(77)
    p = types.SimpleNamespace(extra_generation_params={}, width=64, height=48, iteration=0, batch_index=0, prompts=["x"], seeds=[1])
    p.negative_prompts, p.sampler_name, p.scheduler, p.steps, p.cfg_scale = [""], "Euler a", None, 2, 7.0
    pp = types.SimpleNamespace(image=made)
    values = [{"task": "remove", "box": BOX}, *OFF[1:]]
    script.postprocess_image_after_composite(p, pp, *values)
    assert pp.image is not made and pp.image.mode == "RGBA" and pp.image.getpixel((0, 0))[3] == 77


def test_the_form_and_what_pasting_restores(web):
    import gradio as gr

    script = script_class(lambda *arguments: arguments[0])()
    with gr.Blocks():
        components = script.ui(False)
    assert [one.value for one in components] == OFF and len(components) == len(NAMES)
    assert script.title() == "Clickpaint" and script.show(False) is web.scripts.AlwaysVisible
    wish = TouchUp("fill", "0.5,0.25; 3,4,0", "", "a cat: big, red", "", 0.6, "auto", 3, None)
    infotext = {"Prompt": "x", **wish.infotext()}
    fields = dict(zip(NAMES, (function for _, function in script.infotext_fields), strict=True))
    restored = [fields[name](infotext) for name in NAMES]
    assert restored == [True, "fill", "0.5 0.25; 3 4 0", "", "a cat: big, red", "", 0.6, "auto", 3, -1]
    from clickpaint.paint.touchup_job import touch_up_from

    assert touch_up_from(restored).infotext() == wish.infotext()
    without = {name: fields[name]({"Prompt": "x"}) for name in NAMES}
    assert without.pop("enabled") is False and set(without.values()) == {None}


def test_only_names_that_an_infotext_takes():
    assert all(not set(name) & set(",:\n\"'") for name in INFOTEXT.values())


def test_painting_within_is_refused_once_stopped(web):
    web.shared.state.interrupt()
    from clickpaint.progress import Progress

    with pytest.raises(Exception, match="Interrupted"):
        img2img.paint_within(None, None, Progress(interrupted=lambda: web.shared.state.interrupted))
    assert web.runs == []


@pytest.mark.parametrize("tab", ["txt2img", "img2img"])
def test_the_accordion_has_a_picture_to_point_on_for_its_own_field(web, tab):
    gr = pytest.importorskip("gradio")
    with gr.Blocks() as blocks:
        script_class(lambda *_: None)().ui(tab == "img2img")
    (picker,) = [block.value for block in blocks.blocks.values() if isinstance(block, gr.HTML)]
    points = next(block for block in blocks.blocks.values() if str(block.elem_id).endswith("points"))
    assert f'data-tab="{tab}"' in picker and f'data-points="{points.elem_id}"' in picker


def test_a_fault_while_touching_up_is_told_without_what_only_programmers_read(web):
    def broken(*_):
        raise RuntimeError("Sizes of tensors must match\nFor debugging consider passing X=1")

    script = web.add(script_class(broken), OFF)
    assert script is not None
    processed = generation(web, [{"task": "remove", "box": BOX}, *OFF[1:]])
    assert "Clickpaint error: Sizes of tensors must match." in processed.infotexts[0] and "debugging" not in processed.infotexts[0]
    assert np.array_equal(pixels_of(processed), np.asarray(picture()))
