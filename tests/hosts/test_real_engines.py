"""Engines of our own in a real A1111, Forge and Forge Neo, on the checkpoint that is loaded: without the ControlNet extension, without a
byte of the checkpoint twice, and with nothing left behind.

Set CLICKPAINT_A1111_DIR, CLICKPAINT_FORGE_DIR and CLICKPAINT_NEO_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from tests.hosts import control_toy
from tests.hosts.real import CONTROLNET, FOLDERS, RealHost, file_of, picture, pixels_of, prepare
from tests.toys import checkpoint

STARTS = {
    "a1111": (), "forge": (), "neo": (), "a1111 medvram": ("--medvram",), "a1111 lowvram": ("--lowvram",),
    "forge fp8": ("--unet-in-fp8-e4m3fn",),
}  # fmt: skip
"""The web UI, and how it is started: it can keep parts of the checkpoint away until they compute, or in eight bits."""
HOSTS = [
    pytest.param(
        (flavor, arguments),
        marks=pytest.mark.skipif(FOLDERS[flavor] not in os.environ, reason=f"{FOLDERS[flavor]} names no web UI to try"),
        id=name,
    )
    for name, arguments in STARTS.items()
    for flavor in [name.split()[0]]
]
WISH = {"steps": 4, "seed": 11, "resolution": 128, "refine": False, "grow": 0, "feather": 0, "prompt": "a tree"}
BOX = [32, 32, 64, 64]
INSIDE = np.zeros((128, 128), bool)
INSIDE[32:64, 32:64] = True
INPAINT = {"preprocessor": "inpaint_only", "model": "brighter"}


@pytest.fixture(scope="module", params=HOSTS)
def host(request, tmp_path_factory):
    flavor, arguments = request.param
    data = tmp_path_factory.mktemp(flavor)
    prepare(data, Path(os.environ[FOLDERS[flavor]]), extension=True)
    (data / "extensions" / CONTROLNET).unlink(missing_ok=True)
    checkpoint.write(data / "models/Stable-diffusion/tiny-edit.safetensors", data / "clip", in_channels=8)
    running = RealHost(flavor, data, "--api", *arguments)
    generations(running)  # the first img2img of a web UI may differ by a rounding from the next ones
    yield running
    running.stop()


@pytest.fixture
def control_bytes(tmp_path):
    """What the toy ControlNet takes in the checkpoint's precision here, float32."""
    return 4 * sum(one.numel() for one in load_file(control_toy.write(tmp_path / "brighter.safetensors")).values())


@pytest.fixture(autouse=True)
def unchanged(host):
    """The host generates what it generated before, whatever an engine does."""
    before = generations(host)
    yield
    assert np.array_equal(generations(host), before), "something of the test leaked into the host"


def generations(host):
    """An ordinary txt2img and an ordinary img2img of the web UI's own."""
    return np.stack([host.generate(), host.generate(init_images=[file_of(picture())], denoising_strength=0.5)])


def weights(host):
    """Bytes of all parameters of all modules in the process, each storage once."""
    status, answer = host.request("GET", "/test-helper/weights")
    assert status == 200
    return answer["bytes"]


def opened(host, pixels=None):
    id = host.clickpaint("POST", "/workspaces", {"image": file_of(picture() if pixels is None else pixels)})["id"]
    host.clickpaint("POST", f"/workspaces/{id}/mask", {"operations": [{"op": "box", "box": BOX}]})
    return id


def painted(host, id, **wishes):
    """int [128, 128, 3]; only the mask is different from what was opened."""
    before = pixels_of(host.clickpaint("GET", f"/workspaces/{id}/image"))
    answer = host.clickpaint("POST", f"/workspaces/{id}/paint", {**WISH, **wishes})
    after = pixels_of(host.clickpaint("GET", f"/workspaces/{id}/image"))
    assert np.array_equal(after[~INSIDE], before[~INSIDE])
    host.clickpaint("POST", f"/workspaces/{id}/undo")
    return after.astype(int), answer["results"][0]["infotext"]


def test_engines_take_no_memory_for_the_checkpoint(host):
    id = opened(host)
    before = weights(host)
    assert before > 100_000_000
    for engine in ("inpaint", "repaint"):
        after, said = painted(host, id, engine=engine)
        assert f"Clickpaint engine: {engine}" in said
        assert (after[INSIDE] != picture()[INSIDE]).any(axis=-1).mean() > 0.9
        assert weights(host) == before, engine


def test_controlnet_acts_without_the_extension(host, control_bytes):
    """The hole in the map of an inpainting ControlNet is -1, where this one darkens."""
    if host.flavor == "a1111":
        assert not host.clickpaint("GET", "/capabilities")["paint"]["controlnet"]
    names = host.clickpaint("GET", "/control-names?ours=true")
    assert "brighter" in names["models"] and "inpaint_only" in names["preprocessors"]
    id = opened(host)
    before = weights(host)
    plain, _ = painted(host, id, engine="inpaint")
    silent, _ = painted(host, id, engine="controlnet", control=[{**INPAINT, "weight": 0}])
    assert np.array_equal(silent, plain), "a unit without weight acts"
    darker, said = painted(host, id, engine="controlnet", control=[INPAINT])
    assert "Clickpaint engine: controlnet" in said
    assert darker[INSIDE].mean() < plain[INSIDE].mean() - 30
    assert weights(host) - before == control_bytes, "more than the ControlNet was loaded"
    painted(host, id, engine="controlnet", control=[INPAINT, INPAINT])
    assert weights(host) - before == control_bytes, "it was loaded twice"


def test_a_finished_map_acts_where_it_is_bright(host):
    pixels = picture() // 8
    pixels[40:56, 40:48] = 250
    id = opened(host, pixels)
    map = host.clickpaint("POST", f"/workspaces/{id}/control", {"layers": [{"preprocessor": "none"}]})["map"]
    unit = {"preprocessor": "none", "model": "brighter", "map": map}
    plain, _ = painted(host, id, engine="inpaint")
    after, _ = painted(host, id, engine="controlnet", control=[unit])
    lighter = (after - plain).mean(-1)
    bright = pixels[..., 0] == 250
    assert lighter[bright].mean() > lighter[INSIDE & ~bright].mean() + 30


def test_instructions_on_a_checkpoint_for_them(host):
    switch = {"sd_model_checkpoint": "tiny-edit.safetensors"}
    assert host.request("POST", "/sdapi/v1/options", switch)[0] == 200
    try:
        id = opened(host)
        painted(host, id, task="instruct")  # the web UI has loaded it
        before = weights(host)
        results = [painted(host, id, task="instruct", prompt=prompt) for prompt in ("make it snow", "make it night")]
        assert all("Clickpaint engine: instruct" in said for _, said in results)
        assert all((after[INSIDE] != picture()[INSIDE]).any() for after, _ in results)
        assert not np.array_equal(results[0][0], results[1][0])
        status, answer = host.request("POST", f"/clickpaint/v1/workspaces/{id}/paint", {**WISH, "engine": "repaint"})
        assert status == 400 and "instructions" in answer["message"]
        assert weights(host) == before
    finally:
        assert host.request("POST", "/sdapi/v1/options", {"sd_model_checkpoint": "tiny.safetensors"})[0] == 200
    status, answer = host.request("POST", f"/clickpaint/v1/workspaces/{opened(host)}/paint", {**WISH, "task": "instruct"})
    assert status == 400 and "instruct-pix2pix" in answer["remedy"]
