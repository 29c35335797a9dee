"""Systems with files of their own: diffusers' folders at toy size, through the studio and on the command line."""

from __future__ import annotations

import json
import shutil
import sys
from unittest import mock

import numpy as np
import pytest
import torch
from PIL import Image

from clickpaint.app.main import main
from clickpaint.compat import torchvision
from clickpaint.errors import HostUnsupported, InvalidInput, NotFound
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.picture import from_pixels
from clickpaint.paint.context import scaled
from clickpaint.paint.diffusion.frame_sampling import Motion
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit
from clickpaint.paint.systems.kinds import KINDS
from clickpaint.paint.systems.running import RunningSystem, _tiles
from clickpaint.paint.systems.system_folders import require, systems
from clickpaint.studio.studio import Studio
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.catalog import catalog
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store

torchvision.available()
diffusers = pytest.importorskip("diffusers")
toys = pytest.importorskip("tests.toys.systems")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("systems")
    made = folder / "models" / "diffusers"
    toys.dit(made / "dit")
    toys.stable_video(made / "moving")
    toys.stable_unclip(made / "unclip")
    toys.karlo(made / "karlo-variations", made / "karlo")
    toys.stable_cascade(made / "cascade", made / "cascade-prior")
    toys.latent_super_resolution(made / "larger")
    toys.deepfloyd(made / "if-1", made / "if-2")
    foreign = made / "foreign"
    foreign.mkdir()
    foreign.joinpath("model_index.json").write_text(json.dumps({"_class_name": "DiTPipeline", "vae": ["my_own_code", "Vae"]}))
    return folder


@pytest.fixture(scope="module")
def studio(folder):
    studio = Studio(EmbeddedHost(folder, environment={}, overrides={"device": "cpu", "precision": "full"}))
    yield studio
    studio.shut_down()


def drawing():
    y, x = np.mgrid[:64, :64]
    return np.dstack([x * 3, y * 3, x + y]).astype(np.uint8)


def test_folders_are_known_by_what_they_say(studio, folder):
    known = {system.name: system for system in systems([folder / "models" / "diffusers"])}
    assert {name: (system.kind.title, bool(system.reason)) for name, system in known.items()} == {
        "dit": ("DiT", False), "moving": ("Stable Video Diffusion", False), "foreign": ("DiT", True), "unclip": ("Stable unCLIP", False),
        "karlo": ("Karlo", False), "karlo-variations": ("Karlo, variations", False), "cascade": ("Stable Cascade", False),
        "if-1": ("DeepFloyd IF", False), "larger": ("Latent diffusion, super-resolution", False),
    }  # fmt: skip
    assert known["cascade"].partner == folder / "models" / "diffusers" / "cascade-prior" and known["cascade"].nbytes > 100_000
    places = [folder / "models" / "diffusers"]
    with pytest.raises(HostUnsupported, match="my_own_code"):
        require("foreign", "generate", places)
    with pytest.raises(InvalidInput, match="cannot fill"):
        require("dit", "fill", places)
    with pytest.raises(NotFound, match="no system 'x'"):
        require("x", "fill", places)
    with pytest.raises(NotFound, match="can enlarge"):
        require("auto", "enlarge", [])


def test_the_catalog_says_of_each_system_what_it_is(studio, folder, tmp_path, monkeypatch):
    listed = {file.family: file for file in catalog().values() if file.role == "system"}
    assert {(file.title, file.licence) for file in listed.values()} <= {(kind.title, kind.licence) for kind in KINDS.values()}
    assert set(listed) == set(KINDS) - {"StableCascadeCombinedPipeline", "IFInpaintingPipeline"}, "one entry for all of a kind"
    here = studio.pool.store.state("system_svd")
    assert here.state == "present" and here.path == folder / "models" / "diffusers" / "moving" and here.bytes_done > 10_000
    absent = Store(lambda kind: [tmp_path / kind]).state("system_karlo")
    assert absent.state == "unavailable" and "karlo-v1-alpha into the folder of diffusers" in absent.reason
    monkeypatch.setattr("clickpaint.studio.systems.offered", lambda pipeline: pipeline != "UnCLIPPipeline")
    assert studio.systems.lacking()["UnCLIPPipeline"] == "the installed diffusers has no UnCLIPPipeline any more."


def test_what_would_change_nothing_with_a_system_is_refused(studio, folder, capsys):
    for values in ({"sampler": "Euler"}, {"scheduler": "Karras"}, {"denoising_strength": 0.3}, {"negative_prompt": "x"},
                   {"control": (ControlUnit("none", "any"),)}, {"guide": "clip", "guide_words": "x"}):  # fmt: skip
        with pytest.raises(InvalidInput, match=rf"dit these change nothing: {next(iter(values))}"):
            studio.generation.generate(grouped(prompt="7", system="dit", **values))
    with pytest.raises(HostUnsupported, match="Systems make"):
        studio.generation.generate_clip(grouped(prompt="7", system="dit"), 2, Motion())
    assert main(["generate", "-p", "7", "--system", "dit", "--sampler", "Euler", "--data-dir", str(folder), "--device", "cpu"]) == 2
    assert "change nothing: sampler" in capsys.readouterr().err


def test_a_class_becomes_the_picture_that_diffusers_makes(studio, folder):
    options = grouped(prompt="7", steps=2, seed=3, system="dit", cfg_scale=4.0)
    ours = studio.generation.generate(options, None, None).pictures[0].pixels
    named = studio.generation.generate(grouped(prompt="rooster", steps=2, seed=3, system="dit", cfg_scale=4.0), None, None)
    pipe = theirs(folder, "DiTPipeline", "dit")
    (expected,) = pipe([7], guidance_scale=4.0, num_inference_steps=2, generator=source(), output_type="np").images
    assert same(ours, expected)
    assert np.array_equal(named.pictures[0].pixels, ours)
    with pytest.raises(InvalidInput, match="no class of ImageNet"):
        studio.generation.generate(grouped(prompt="nonsense", system="dit"), None, None)


def test_a_picture_begins_to_move(studio, folder, tmp_path, capsys):
    picture = tmp_path / "still.png"
    Image.fromarray(drawing()).save(picture)
    clip = studio.generation.animate(from_pixels(drawing()), grouped(steps=2, seed=5), frames=3)
    assert len(clip.frames) == 3 and clip.frames[0].shape == (64, 64, 3) and not np.array_equal(clip.frames[0], clip.frames[2])
    command = ["animate", str(picture), "--frames", "3", "--steps", "2", "--seed", "5", "--data-dir", str(folder), "--device", "cpu"]
    command += ["--precision", "full"]
    assert main([*command, "-o", str(tmp_path / "out")]) == 0
    files = sorted((tmp_path / "out").iterdir())
    assert len(files) == 3 and np.array_equal(np.asarray(Image.open(files[2]).convert("RGB")), clip.frames[2])
    assert main(["systems", "--data-dir", str(folder)]) == 0
    assert "moving: Stable Video Diffusion" in capsys.readouterr().out
    with pytest.raises(InvalidInput, match="frames"):
        studio.generation.animate(from_pixels(drawing()), grouped(), frames=1)


def theirs(folder, kind, name, **parts):
    """Diffusers' own pipeline on one of the folders."""
    place = folder / "models" / "diffusers" / name
    moved = {"unclip": diffusers.UnCLIPPipeline, "wuerstchen": diffusers.StableCascadeDecoderPipeline}
    places = {part: sys.modules[pipeline.__module__] for part, pipeline in moved.items()}
    with mock.patch.multiple(diffusers.pipelines, create=True, **places):
        pipe = getattr(diffusers, kind).from_pretrained(str(place), **parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def same(ours, expected):
    """Whether two pictures differ by a level at most, and show something."""
    expected = (np.float32(expected) * 255).round().astype(int)
    return ours.shape == expected.shape and np.abs(ours.astype(int) - expected).max() <= 1 and ours.std() > 2


def source():
    return torch.Generator().manual_seed(3)


def on_the_command_line(folder, *words):
    return main([*map(str, words), "--data-dir", str(folder), "--device", "cpu", "--precision", "full"])


@pytest.mark.parametrize("name", ["unclip", "karlo-variations"])
def test_what_is_clicked_becomes_the_variation_that_diffusers_makes(folder, tmp_path, name):
    """In its place, undistorted, and nothing else changes."""
    picture, mask, out = tmp_path / "in.png", tmp_path / "mask.png", tmp_path / "out.png"
    Image.fromarray(drawing()).save(picture)
    selected = np.zeros((64, 64), bool)
    selected[8:56, 16:48] = True
    Image.fromarray(selected).save(mask)
    wish = ["--mask", mask, "--system", name, "--steps", 2, "--seed", 3, "--grow", 0, "--feather", 0, "-o", out]
    words = ["-p", "a red fish", "-n", "blue"] if name == "unclip" else []
    assert on_the_command_line(folder, "vary", picture, *wish, *words) == 0
    ours = np.asarray(Image.open(out).convert("RGB"))
    assert np.array_equal(ours[~selected], drawing()[~selected])
    if name == "unclip":
        shown = Image.fromarray(drawing()[8:56, 16:48])
        (expected,) = theirs(folder, "StableUnCLIPImg2ImgPipeline", name)(
            shown, "a red fish", negative_prompt="blue", width=64, height=64, num_inference_steps=2, guidance_scale=10.0,
            generator=source(), output_type="np",
        ).images  # fmt: skip
    else:
        shown = Image.fromarray(drawing()[8:56, 8:56])
        (expected,) = theirs(folder, "UnCLIPImageVariationPipeline", name)(
            shown, decoder_num_inference_steps=2, super_res_num_inference_steps=2, decoder_guidance_scale=8.0, generator=source(),
            output_type="np",
        ).images  # fmt: skip
    placed = scaled((np.float32(expected) * 255).round().astype(np.uint8), shown.size)
    placed = placed if name == "unclip" else placed[:, 8:40]
    assert same(ours[8:56, 16:48], placed / np.float32(255))


def test_a_picture_from_words_is_the_one_that_diffusers_makes(folder, tmp_path, studio):
    out = tmp_path / "out.png"

    def painted(*more):
        assert on_the_command_line(folder, "generate", "-p", "a red fish", "--steps", 2, "--seed", 3, "-o", out, *more) == 0
        return np.asarray(Image.open(out).convert("RGB"))

    (expected,) = theirs(folder, "UnCLIPPipeline", "karlo")(
        "a red fish", prior_num_inference_steps=2, decoder_num_inference_steps=2, super_res_num_inference_steps=2,
        decoder_guidance_scale=8.0, generator=source(), output_type="np",
    ).images  # fmt: skip
    assert same(painted("--system", "karlo"), expected)

    generator = source()
    prior = theirs(folder, "StableCascadePriorPipeline", "cascade-prior")(
        "a red fish", negative_prompt="blue", width=256, height=128, num_inference_steps=2, guidance_scale=4.0, generator=generator
    )
    (expected,) = theirs(folder, "StableCascadeDecoderPipeline", "cascade")(
        prior.image_embeddings, "a red fish", negative_prompt="blue", num_inference_steps=1, guidance_scale=0.0, generator=generator,
        output_type="np",
    ).images  # fmt: skip
    assert same(painted("--system", "cascade", "--width", 256, "--height", 128, "-n", "blue"), expected)

    first, generator = theirs(folder, "IFPipeline", "if-1"), source()
    prompt, negative = first.encode_prompt("a red fish")
    words = {"prompt_embeds": prompt, "negative_prompt_embeds": negative, "num_inference_steps": 2, "generator": generator}
    small = first(**words, guidance_scale=7.0, output_type="pt").images
    second = theirs(folder, "IFSuperResolutionPipeline", "if-2", text_encoder=None)
    (expected,) = second(image=small, **words, guidance_scale=7.0, output_type="np").images
    assert same(painted("--system", "if-1"), expected)
    with pytest.raises(InvalidInput, match="a size of its own"):
        studio.generation.generate(grouped(prompt="x", system="karlo"), 128, 128)
    with pytest.raises(InvalidInput, match="Give a multiple of 128"):
        studio.generation.generate(grouped(prompt="x", system="cascade"), 128, 64)
    with pytest.raises(InvalidInput, match="one step"):
        studio.generation.generate(grouped(prompt="x", system="karlo", steps=1))


def test_what_is_selected_is_filled_as_diffusers_does(folder, tmp_path, studio):
    """In pixels, by both of DeepFloyd's stages; nothing else changes."""
    selected = np.zeros((64, 64), bool)
    selected[8:56, 16:48] = True
    options = grouped(prompt="a red fish", system="if-1", steps=2, seed=3, masked_content="original", grow=0, feather=0)
    ours = studio.painting.paint_picture(from_pixels(drawing()), selected, options).pictures[0].pixels
    first, generator = theirs(folder, "IFPipeline", "if-1"), source()
    prompt, negative = first.encode_prompt("a red fish")
    words = {
        "prompt_embeds": prompt, "negative_prompt_embeds": negative, "num_inference_steps": 2, "generator": generator, "strength": 0.75,
        "guidance_scale": 7.0,
    }  # fmt: skip
    image, mask = Image.fromarray(drawing()), Image.fromarray(selected)
    inside = diffusers.IFInpaintingPipeline(**first.components, requires_safety_checker=False)
    inside.set_progress_bar_config(disable=True)
    little = Image.fromarray(scaled(drawing(), (toys.SIDE, toys.SIDE)))
    small = inside(image=little, mask_image=mask.resize(little.size), **words, output_type="pt").images
    second = theirs(folder, "IFInpaintingSuperResolutionPipeline", "if-2", text_encoder=None, tokenizer=None)
    (expected,) = second(image=small, original_image=image, mask_image=mask, **words, output_type="np").images
    assert same(ours[selected], expected[selected])
    assert np.array_equal(ours[~selected], drawing()[~selected])
    with pytest.raises(InvalidInput, match="change nothing: refine"):
        studio.painting.paint_picture(from_pixels(drawing()), selected, grouped(prompt="x", system="if-1", refine=True))


def test_a_picture_is_enlarged_as_diffusers_does_in_tiles_without_seams(folder, tmp_path, studio):
    """By a latent diffusion whose first stage is a VQ model."""
    Image.fromarray(drawing()).save(tmp_path / "a.png")
    assert on_the_command_line(folder, "enlarge", tmp_path / "a.png", "--steps", 2, "--seed", 3) == 0
    with Image.open(tmp_path / "a_enlarged.png") as made:
        ours = np.asarray(made)
    pipe = theirs(folder, "LDMSuperResolutionPipeline", "larger")
    (expected,) = pipe(Image.fromarray(drawing()), num_inference_steps=2, generator=source(), output_type="np").images
    assert ours.shape == (256, 256, 3) and same(ours, expected)
    wide = np.hstack([drawing(), drawing()[:, ::-1], drawing()[:40].repeat(2, 0)[:64]])[:50, :170]
    alpha = np.full(wide.shape[:2], 255, np.uint8)
    alpha[:25] = 0
    (larger,) = studio.generation.enlarge(from_pixels(wide, alpha), grouped(steps=2, seed=3)).pictures
    assert larger.size == (680, 200) and larger.alpha[0, 0] == 0 and larger.alpha[-1, -1] == 255
    (little,) = studio.generation.enlarge(from_pixels(drawing()[:20, :30]), grouped(steps=2, seed=3)).pictures
    assert little.size == (120, 80)
    assert _tiles(50, 128) == [0] and _tiles(170, 128) == [0, 42] and _tiles(225, 128) == [0, 48, 97]
    with pytest.raises(InvalidInput, match="megapixels, more than 32"):
        studio.generation.enlarge(from_pixels(np.zeros((1500, 1500, 3), np.uint8)), grouped())


def test_half_precision_serves_where_torch_has_what_it_takes(folder):
    """Which is what a processor that has bfloat16 uses by itself."""
    options, places = grouped(prompt="7", steps=2, seed=3), [folder / "models" / "diffusers"]
    for name in ("karlo", "cascade", "if-1"):
        running = RunningSystem(require(name, "generate", places), Device("cpu", "bfloat16"), ModelCache(lambda: 1 << 30))
        assert running.generate(options, (128, 128), 3)[0].pixels.std() > 2


def test_what_is_missing_says_so(folder, tmp_path, monkeypatch, capsys):
    alone = tmp_path / "alone"
    shutil.copytree(folder / "models" / "diffusers" / "cascade", alone / "cascade")
    with pytest.raises(HostUnsupported, match="its prior is missing; put the folder of a StableCascadePriorPipeline beside it"):
        require("cascade", "generate", [alone])
    module = tmp_path / "__init__.py"
    module.write_text('"DiTPipeline", "StableCascadeDecoderPipeline"')
    monkeypatch.setattr(diffusers.__spec__, "origin", str(module))
    places = [folder / "models" / "diffusers"]
    assert require("auto", "generate", places).name == "dit"
    with pytest.raises(HostUnsupported, match="the installed diffusers has no UnCLIPImageVariationPipeline any more"):
        require("karlo-variations", "vary", places)
    assert on_the_command_line(folder, "systems") == 0
    listed = capsys.readouterr().out
    assert "karlo: Karlo" in listed and "CC BY-NC 4.0" in listed
    assert "no UnCLIPPipeline any more" in listed and "no StableCascadePriorPipeline any more" in listed
