"""Painting on a checkpoint of the stand-alone program: through the studio, over HTTP and on the command line."""

from __future__ import annotations

import base64
import dataclasses
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from clickpaint.app.main import build_parser, main
from clickpaint.control.map_options import Layer, MapOptions
from clickpaint.errors import HostUnsupported, InvalidInput, NotFound
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.image.picture import from_pixels
from clickpaint.paint import flat_options
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.paint_job import ControlUnit, PaintOptions
from clickpaint.paint.prompt_styles import PromptStyle
from clickpaint.session.selection import Adjustment
from clickpaint.studio.studio import Studio
from clickpaint.studio.word_masks import WordLook

torch = pytest.importorskip("torch")
from tests.hosts import control_toy  # noqa: E402

SIZE = 64
PLAIN = grouped(prompt="a ball", steps=2, seed=7, resolution=SIZE)
FAST = grouped(prompt="a ball", steps=2, seed=7, resolution=SIZE, grow=0, feather=0, denoising_strength=1.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory, toy_checkpoint_file) -> Path:
    folder = tmp_path_factory.mktemp("data")
    for channels, name in ((4, "a"), (8, "instructed"), (9, "inpainting")):
        toy_checkpoint_file(folder / "models" / "Stable-diffusion" / f"{name}.safetensors", channels)
    return folder


@pytest.fixture
def studio(folder) -> Iterator[Studio]:
    studio = Studio(EmbeddedHost(folder, environment={}, overrides={"device": "cpu"}))
    yield studio
    studio.shut_down()
    source = studio.host.checkpoint()
    if isinstance(source, FileSource):
        source.release()  # what was widened for the processor, of which an idle thread of the studio still knows


def drawing() -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return np.dstack([x * 2, y * 2, (x + y)]).astype(np.uint8)


def square() -> np.ndarray:
    mask = np.zeros((SIZE, SIZE), bool)
    mask[16:48, 24:56] = True
    return mask


def test_fill_changes_the_mask_alone_and_a_seed_decides_what(studio):
    picture = from_pixels(drawing())
    first = studio.painting.paint_picture(picture, square(), FAST)
    again = studio.painting.paint_picture(picture, square(), FAST)
    other = studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, seed=8))
    changed = (first.pictures[0].pixels != drawing()).any(axis=2)
    assert not changed[~square()].any() and changed[square()].mean() > 0.9
    assert np.array_equal(first.pictures[0].pixels, again.pictures[0].pixels) and first.seeds == (7,)
    assert not np.array_equal(first.pictures[0].pixels, other.pictures[0].pixels)


def test_a_variation_of_an_object_and_of_the_whole_picture(studio):
    picture, options = from_pixels(drawing()), flat_options.changed(FAST, task="vary", denoising_strength=0.6)
    inside = studio.painting.paint_picture(picture, square(), options).pictures[0].pixels
    assert np.array_equal(inside[~square()], drawing()[~square()]) and not np.array_equal(inside, drawing())
    options = flat_options.changed(PLAIN, task="vary", denoising_strength=0.6)
    whole = studio.painting.paint_picture(picture, None, options).pictures[0].pixels
    assert (whole != drawing()).any(axis=2)[~square()].any()


def test_replace_keeps_the_object(studio):
    options = flat_options.changed(FAST, task="replace")
    painted = studio.painting.paint_picture(from_pixels(drawing()), square(), options).pictures[0].pixels
    changed = (painted != drawing()).any(axis=2)
    assert not changed[square()].any() and changed[~square()].mean() > 0.9


def test_expand_adds_what_is_asked_for_and_keeps_the_rest(studio):
    options = flat_options.changed(FAST, task="expand", expand=(0, 8, 16, 0))
    painted = studio.painting.paint_picture(from_pixels(drawing()), None, options).pictures[0]
    assert painted.size == (80, 72)
    assert np.array_equal(painted.pixels[8:, :64], drawing())


def test_an_inpainting_checkpoint_and_an_instructed_one_are_recognised(studio):
    picture = from_pixels(drawing())
    studio.host.choose_checkpoint("inpainting")
    painted = studio.painting.paint_picture(picture, square(), FAST).pictures[0]
    assert not (painted.pixels != drawing()).any(axis=2)[~square()].any()
    options = flat_options.changed(PLAIN, task="instruct")
    with pytest.raises(InvalidInput, match="instruct"):
        studio.painting.paint_picture(picture, None, options)
    studio.host.choose_checkpoint("instructed")
    whole = studio.painting.paint_picture(picture, None, options).pictures[0]
    part = studio.painting.paint_picture(picture, square(), flat_options.changed(options, grow=0, feather=0)).pictures[0]
    assert (whole.pixels != drawing()).any(axis=2)[~square()].any()
    assert not (part.pixels != drawing()).any(axis=2)[~square()].any()


def test_a_picture_is_generated_from_a_prompt(studio):
    painted = studio.generation.generate(grouped(prompt="x", steps=2, seed=3, batch_count=2), 64, 72)
    assert [one.size for one in painted.pictures] == [(64, 72)] * 2 and painted.seeds == (3, 4)
    assert not np.array_equal(painted.pictures[0].pixels, painted.pictures[1].pixels)
    with pytest.raises(InvalidInput, match="multiple of 8"):
        studio.generation.generate(PaintOptions(), 60, 64)


def test_the_tasks_of_palette_on_the_command_line(folder, tmp_path, capsys):
    grey = Image.fromarray(drawing()).convert("L")
    grey.save(tmp_path / "grey.png")
    Image.fromarray(drawing()).save(tmp_path / "old.jpg", quality=15)
    Image.fromarray(square()).save(tmp_path / "mask.png")
    common = ["--data-dir", str(folder), "--device", "cpu", "--steps", "1", "--resolution", "64", "-p", "x", "--seed", "5"]
    some = ["--mask", str(tmp_path / "mask.png"), "--grow", "0", "--feather", "0"]
    assert main(["palette", "colorize", str(tmp_path / "grey.png"), *some, *common]) == 0
    with Image.open(tmp_path / "grey_colorized.png") as made:
        assert made.mode == "RGB" and "Clickpaint: colorize" in made.info["parameters"]
        assert np.array_equal(made.convert("L"), grey)
        colours = np.ptp(np.asarray(made).astype(int), axis=2)
        assert colours[square()].mean() > 2 and not colours[~square()].any()
    assert main(["palette", "restore", str(tmp_path / "old.jpg"), "--denoising-strength", "1", *common]) == 0
    with Image.open(tmp_path / "old.jpg") as old, Image.open(tmp_path / "old_restored.png") as made:
        assert not np.array_equal(made, old)
        files = [io.BytesIO(), io.BytesIO()]
        for picture, file in zip((old.convert("RGB"), made.convert("RGB")), files, strict=True):
            picture.save(file, "JPEG", qtables=old.quantization, subsampling=2)
        assert files[0].getvalue() == files[1].getvalue()
    assert main(["palette", "restore", str(tmp_path / "grey.png"), *common]) == 2
    assert "Give the quality" in capsys.readouterr().err
    for palette, plain, more in (("inpaint", "fill", []), ("uncrop", "expand", ["--to", "16:9"])):
        named, known = (build_parser().parse_args([*words, "x.png", "-p", "x", *more]) for words in (["palette", palette], [plain]))
        assert vars(named) == vars(known)


def test_what_our_engines_lack_is_said(studio, tmp_path):
    picture = from_pixels(drawing())
    with pytest.raises(HostUnsupported, match="VAE"):
        studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, vae="x"))
    with pytest.raises(NotFound, match="no style"):
        studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, styles=("x",)))
    with pytest.raises(NotFound, match="nowhere"):
        studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, prompt="<lora:nowhere:1>"))
    with pytest.raises(NotFound, match="missing"):
        unit = ControlUnit("canny", "missing")
        studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, control=(unit,)))
    with pytest.raises(HostUnsupported, match="no checkpoint"):
        empty = Studio(EmbeddedHost(tmp_path, environment={}))
        empty.painting.paint_picture(picture, square(), FAST)


def test_styles_and_merging_are_the_host_s_where_nothing_else_is_said(studio, monkeypatch):
    monkeypatch.setattr(EmbeddedHost, "styles", lambda host: {"oil": PromptStyle("oil painting of {prompt}")})
    can = EmbeddedHost.capabilities
    monkeypatch.setattr(EmbeddedHost, "capabilities", lambda host: dataclasses.replace(can(host), token_merging=(0.3, 0.5)))

    def said(**more):
        options = flat_options.changed(FAST, prompt="a ball", styles=("oil",), **more)
        made = studio.painting.paint_picture(from_pixels(drawing()), square(), options)
        return made.pictures[0].source.text["parameters"]

    assert said().startswith("oil painting of a ball\n") and "Token merging ratio: 0.5," in said()
    assert "Token merging" not in said(token_merging_ratio=0.0)


def test_a_unit_sees_the_crop_or_a_finished_map(studio, folder):
    file = folder / "models" / "ControlNet" / "shine.safetensors"
    if not file.exists():
        file.parent.mkdir()
        control_toy.write(file)
    picture, bright = from_pixels(drawing()), np.zeros((SIZE, SIZE, 3), np.uint8)
    bright[:, 32:] = 255

    def painted(**unit) -> np.ndarray:
        units = (ControlUnit(**{"preprocessor": "none", "model": "shine", **unit}),)
        options = flat_options.changed(FAST, control=units)
        return studio.painting.paint_picture(picture, square(), options).pictures[0].pixels.astype(int)

    dark = painted(map=np.zeros_like(bright))
    difference = np.abs(painted(map=bright) - dark).sum(axis=2)
    assert difference[16:48, 40:56].mean() > 3 * difference[16:48, 24:32].mean()
    assert not difference[~square()].any()
    assert np.array_equal(painted(map=bright, weight=0.0), painted(weight=0.0))
    unit = ControlUnit("none", "shine", weight=0.5)
    painted_pixels = studio.painting.paint_picture(picture, square(), flat_options.changed(FAST, control=(unit,))).pictures[0].source.text
    assert 'ControlNet 0: "Module: none, Model: shine, Weight: 0.5,' in painted_pixels["parameters"]
    assert "shine" in studio.painting.control_names(ours=True)[1]


@pytest.fixture
def client(studio) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    from clickpaint.api.access import LocalGate
    from tests.toys.routes import app_of

    with app_of(studio, LocalGate(None, loopback=True, names=frozenset({"testserver"}))) as app:
        yield TestClient(app)


def test_over_http(client):
    def url(pixels: np.ndarray) -> str:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()

    answer = client.get("/clickpaint/v1/capabilities").json()["paint"]
    assert {"DDIM", "DDPM", "Predictor-corrector"} <= {*answer["samplers"]}  # which the page lists
    assert answer["available"] and not answer["own_sampler"] and "Euler a" in answer["samplers"]
    assert client.post("/clickpaint/v1/checkpoint", json={"name": "nothing"}).status_code == 404
    assert client.post("/clickpaint/v1/checkpoint", json={"name": "a.safetensors"}).json() == {"name": "a.safetensors"}
    body = {"image": url(drawing()), "mask": url(square().astype(np.uint8) * 255), "prompt": "x", "steps": 2, "resolution": 64, "seed": 1}
    answer = client.post("/clickpaint/v1/paint", json=body)
    assert answer.status_code == 200 and answer.json()["seeds"] == [1]
    with Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0].partition(",")[2]))) as picture:
        assert picture.size == (64, 64) and "Seed: 1" in picture.info["parameters"]
    made = client.post("/clickpaint/v1/generate", json={"prompt": "x", "steps": 1, "width": 64, "height": 64})
    assert made.status_code == 200
    grey = np.repeat(drawing()[..., :1], 3, axis=2)
    answer = client.post("/clickpaint/v1/paint", json={**body, "image": url(grey), "mask": None, "task": "colorize"})
    with Image.open(io.BytesIO(base64.b64decode(answer.json()["images"][0].partition(",")[2]))) as picture:
        assert np.array_equal(picture.convert("L"), grey[..., 0])
    assert client.post("/clickpaint/v1/paint", json={**body, "task": "inpaint"}).status_code == 200
    assert client.post("/clickpaint/v1/paint", json={**body, "task": "restore"}).status_code == 400
    assert client.post("/clickpaint/v1/paint", json={**body, "engine": "magic"}).status_code == 422
    assert client.post("/clickpaint/v1/paint", json={**body, "format": "exe"}).status_code == 400


def test_on_the_command_line(folder, tmp_path, capsys):
    Image.fromarray(drawing()).save(tmp_path / "a.png")
    alone = ["--data-dir", str(folder), "--device", "cpu", "--steps", "2", "-p", "x", "--seed", "5"]
    common = [*alone, "--resolution", "64"]
    assert main(["fill", str(tmp_path / "a.png"), "--box", "16,16,48,48", "--count", "2", *common]) == 0
    assert "seed 5, 6" in capsys.readouterr().out
    with Image.open(tmp_path / "a_filled.png") as first, Image.open(tmp_path / "a_filled_2.png") as second:
        assert first.size == second.size == (64, 64) and "Seed: 6" in second.info["parameters"]
    assert main(["expand", str(tmp_path / "a.png"), "--to", "16:9", "--checkpoint", "inpainting", *common]) == 0
    with Image.open(tmp_path / "a_expanded.png") as wide:
        assert wide.size == (114, 64)
    out = tmp_path / "new.png"
    assert main(["generate", "--width", "64", "--height", "64", "-o", str(out), *alone]) == 0
    assert out.exists()
    clip = ["generate", "--width", "64", "--height", "64", *alone, "--frames", "3", "--motion", "8,0"]
    assert main([*clip, "--steps", "4", "-o", str(tmp_path / "clip.gif")]) == 0
    with Image.open(tmp_path / "clip.gif") as moving:
        assert (moving.n_frames, moving.size, moving.info["duration"]) == (3, (64, 64), 120)
    assert main([*clip, "--steps", "4", "--smooth-background", "0.6", "-o", str(tmp_path / "smooth.gif")]) == 0
    for more in (
        ["--smooth-background", "2"],
        ["--sampler", "Euler a"],
        ["--steps", "2"],
        ["-o", str(tmp_path / "clip.exe")],
        ["--fps", "0"],
        ["--frames", "1"],
    ):
        assert main([*clip, "--steps", "4", "-o", str(tmp_path / "none"), *more]) == 2
    assert not (tmp_path / "none").exists()
    assert main(["generate", "--motion", "8,0", "-o", str(tmp_path / "none.png"), *common]) == 2
    capsys.readouterr()
    assert main(["fill", str(tmp_path / "a.png"), *common]) == 2
    assert main(["expand", str(tmp_path / "a.png"), *common]) == 2
    assert "--margins" in capsys.readouterr().err


def test_the_engines_get_ready_in_the_background(studio):
    import threading

    def preparing() -> list[threading.Thread]:
        return [one for one in threading.enumerate() if one.name == "clickpaint-prepare"]

    studio.own_sampler.prepare()
    for thread in preparing():
        thread.join(60)
    source = studio.host.checkpoint()
    held = studio.own_sampler._checkpoints._held[id(source)]
    assert held.version is None and all(parameter.is_meta for parameter in held.checkpoint.unet.parameters())
    prepared = held.checkpoint.unet
    studio.painting.paint_picture(from_pixels(drawing()), square(), FAST)
    assert studio.own_sampler._checkpoints._held[id(source)].checkpoint.unet is prepared


def test_the_checkpoint_is_opened_once_for_a_painting_of_two_passes(studio, monkeypatch):
    from clickpaint.paint.checkpoint.opening import Checkpoints
    from clickpaint.studio import painting

    monkeypatch.setattr(painting, "_REFINED", 0.125)  # of the checkpoint's 512 pixels
    opened, using = [], Checkpoints.using
    monkeypatch.setattr(Checkpoints, "using", lambda self, source, device: opened.append(source) or using(self, source, device))
    workspace = studio.open(studio.encode(from_pixels(drawing().repeat(2, 0).repeat(2, 1)), "PNG"), "a.png")
    studio.selecting.adjust(workspace, [Adjustment("box", box=(40, 40, 90, 90), mode="replace")])
    twice = flat_options.changed(FAST, refine=True, batch_count=2, resolution=64)
    studio.painting.paint(workspace, twice)
    assert len(opened) == 1
    studio.painting.refine(workspace, 1, FAST)
    assert len(opened) == 2
    studio.generation.generate(flat_options.changed(PLAIN, resolution=0), SIZE, SIZE)
    assert len(opened) == 3


def test_a_result_is_refined_at_the_size_of_the_checkpoint_that_paints(studio, monkeypatch):
    """Not at what the host says of itself, where it paints nothing by itself."""
    from clickpaint.studio import painting

    natives = []
    paint = painting.paint
    monkeypatch.setattr(painting, "paint", lambda *args, native, **named: natives.append(native) or paint(*args, native=native, **named))
    capabilities = studio.host.capabilities()
    monkeypatch.setattr(studio.host, "capabilities", lambda: dataclasses.replace(capabilities, native_size=1024))
    workspace = studio.open(studio.encode(from_pixels(drawing()), "PNG"), "a.png")
    studio.selecting.adjust(workspace, [Adjustment("box", box=(16, 16, 40, 40), mode="replace")])
    studio.painting.paint(workspace, FAST)
    monkeypatch.setattr(painting, "_REFINED", 0.125)
    studio.painting.refine(workspace, 0, FAST)
    assert natives == [512, 512]


def test_a_map_is_made_once_for_all_paintings_of_the_same_crop_and_for_the_panel(studio, folder, monkeypatch):
    from clickpaint.control import registry

    file = folder / "models" / "ControlNet" / "shine.safetensors"
    if not file.exists():
        file.parent.mkdir()
        control_toy.write(file)
    made, detect = [], registry.detect
    monkeypatch.setattr(registry, "detect", lambda name, *args: made.append(name) or detect(name, *args))
    units = (ControlUnit("canny", "shine", resolution=SIZE),)
    options = flat_options.changed(FAST, control=units, masked_content="original")
    for seed in (7, 8):
        studio.painting.paint_picture(from_pixels(drawing()), square(), flat_options.changed(options, seed=seed))
    assert made == ["canny"]
    studio.control_maps.detect_picture(from_pixels(drawing()), MapOptions((Layer("canny", resolution=SIZE),)))
    assert made == ["canny"]
    shuffled = (ControlUnit("shuffle", "shine", resolution=SIZE),)
    for seed in (7, 8):  # what is drawn at random is another one for another seed
        studio.painting.paint_picture(from_pixels(drawing()), square(), flat_options.changed(options, control=shuffled, seed=seed))
    assert made == ["canny", "shuffle", "shuffle"]


def test_getting_ready_without_a_checkpoint_is_no_error(tmp_path):
    studio = Studio(EmbeddedHost(tmp_path, environment={}))
    studio.own_sampler.prepare()


def test_a_picture_is_edited_by_words_on_the_command_line(folder, tmp_path, capsys):
    common = ["--data-dir", str(folder), "--checkpoint", "a", "--device", "cpu", "--steps", "2", "--resolution", str(SIZE), "--seed", "3"]
    source, mask = tmp_path / "in.png", tmp_path / "mask.png"
    Image.fromarray(drawing()).save(source)
    Image.fromarray(square()).save(mask)
    words = ["--from", "a cat on a bed", "--to", "a dog on a bed"]
    made = {}
    for method, more in (("p2p", ["--grow", "0", "--feather", "0", "--mask", str(mask)]), ("ledits", ["--edit", "dog:4:0.5"])):
        target = tmp_path / f"{method}.png"
        assert main(["edit", str(source), *words, "--method", method, *more, *common, "-o", str(target)]) == 0
        made[method] = np.asarray(Image.open(target).convert("RGB"))
        changed = (made[method] != drawing()).any(axis=2)
        assert changed[square()].any() and changed[~square()].any() == (method == "ledits")
    assert main(["edit", str(source), "--to", "a dog", *common]) == 2 and "--from" in capsys.readouterr().err


def test_what_was_generated_is_edited_from_its_seed(folder, tmp_path):
    common = ["--data-dir", str(folder), "--checkpoint", "a", "--device", "cpu"]
    first, same, other = (tmp_path / f"{name}.png" for name in ("first", "same", "other"))
    size = ["--width", str(SIZE), "--height", str(SIZE)]
    assert main(["generate", "-p", "a cat", *size, "--steps", "2", "--seed", "5", *common, "-o", str(first)]) == 0
    for prompt, target in (("a cat", same), ("a dog", other)):
        assert main(["edit", str(first), "--inversion", "seed", "--to", prompt, *common, "-o", str(target)]) == 0
    assert np.array_equal(Image.open(first), Image.open(same)) and not np.array_equal(Image.open(first), Image.open(other))


def test_words_are_selected_by_the_checkpoint_where_nothing_else_finds_them(studio, monkeypatch):
    picture = from_pixels(drawing())
    place = studio.word_masks.find_in(picture, "a red ball", look=WordLook("a blue ball", 1.5, SIZE))
    assert 0 < place.mask.mean() < 1 and place.mask.shape == (SIZE, SIZE) and 0.5 < place.score <= 1
    monkeypatch.setattr(studio.captioners, "clip", lambda: None)
    assert studio.words.controls()["find"].available
    asked = []
    monkeypatch.setattr(studio.word_masks, "_by_checkpoint", lambda request, picture, phrase, look: asked.append((phrase, look)) or place)
    assert studio.word_masks.find_in(picture, "a ball") is place and asked == [("a ball", WordLook())]


def test_the_map_of_a_word_is_shown_and_selected(studio):
    workspace = studio.open(studio.encode(from_pixels(drawing()), "PNG"))
    words = studio.word_masks.maps(workspace, "a (red:1.2) ball", 128)
    assert [word.text for word in words] == ["a", "red", "ball"]
    assert all(word.seen.max() == 1 and word.seen.min() >= 0 for word in words)
    state, text = studio.word_masks.select(workspace, "a (red:1.2) ball", 2, threshold=0.9, resolution=128)
    assert text == "ball" and state.selection.area == SIZE * SIZE  # this network's attention is the same everywhere
    with pytest.raises(InvalidInput, match="no word"):
        studio.word_masks.select(workspace, "a (red:1.2) ball", 3, resolution=128)


def test_edits_and_word_maps_over_http(studio, client):
    picture = {"image": base64.b64encode(studio.encode(from_pixels(drawing()), "PNG")).decode()}
    size = {"resolution": SIZE, "steps": 2, "seed": 3}
    words = {"task": "edit", "source_prompt": "a cat on a bed", "prompt": "a dog on a bed"}
    plain = client.post("/clickpaint/v1/paint", json={**picture, **words, **size}).json()["images"][0]
    for more in ({"word_weights": [{"words": "bed", "weight": 3}]}, {"edit_method": "ledits", "edits": [{"text": "a dog"}]}):
        answer = client.post("/clickpaint/v1/paint", json={**picture, **words, **size, **more})
        assert answer.status_code == 200 and answer.json()["images"][0] != plain
    maps = client.post("/clickpaint/v1/word-maps", json={**picture, "prompt": "a cat", "resolution": 128}).json()["words"]
    assert [word["text"] for word in maps] == ["a", "cat"] and maps[0]["map"].startswith("data:image/png")
    found = client.post(
        "/clickpaint/v1/find", json={**picture, "phrase": "a cat", "instead": "a dog", "mask_ratio": 1.5, "resolution": SIZE}
    )
    assert found.status_code == 200 and found.json()["found_by"] == "a.safetensors"
    refused = client.post("/clickpaint/v1/paint", json={**picture, **words, "edits": [{"text": "a dog"}]})
    assert refused.status_code == 400 and "LEDITS++" in refused.json()["message"]
