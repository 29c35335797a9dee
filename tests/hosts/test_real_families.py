"""Today's families in a real Forge and Forge Neo, on toy checkpoints of them: through the web UI's own sampler and through ours.

Set CLICKPAINT_FORGE_DIR or CLICKPAINT_NEO_DIR to an installation to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.hosts import family_toy
from tests.hosts.real import FOLDERS, RealHost, file_of, picture, pixels_of, prepare, python_of

WISH = {"steps": 4, "seed": 11, "resolution": 128, "refine": False, "grow": 0, "feather": 0, "prompt": "a tree"}
FAMILIES = {"z_image": "Z-Image", "flux": "Flux", "chroma": "Chroma", "kontext": "Flux Kontext"}
KNOWN = {"neo": tuple(FAMILIES), "forge": ("flux", "chroma")}
"""The families of a web UI: Forge has no Z-Image, and gives Kontext no reference picture."""
INSIDE = np.zeros((128, 128), bool)
INSIDE[32:64, 32:64] = True


def _skipped(flavor):
    return pytest.mark.skipif(FOLDERS[flavor] not in os.environ, reason=f"{FOLDERS[flavor]} names no web UI to try")


@pytest.fixture(scope="module", params=[pytest.param(flavor, marks=_skipped(flavor)) for flavor in KNOWN])
def host(request, tmp_path_factory):
    data = tmp_path_factory.mktemp(request.param)
    prepare(data, Path(os.environ[FOLDERS[request.param]]), extension=True)
    for kind in KNOWN[request.param]:
        family_toy.write(kind, data / "models/Stable-diffusion")
    parts = {how: family_toy.write_packed(how, data / "models") for how in family_toy.PACKED}
    running = RealHost(request.param, data, "--api")
    running.parts = parts
    yield running
    running.stop()


@pytest.fixture(scope="module", params=FAMILIES)
def family(host, request):
    """One of them is loaded, and generates with a fixed seed afterwards what it generated before."""
    if request.param not in KNOWN[host.flavor]:
        pytest.skip(f"{host.flavor} knows no {FAMILIES[request.param]}")
    assert host.request("POST", "/sdapi/v1/options", {"sd_model_checkpoint": family_toy.NAMES[request.param]})[0] == 200
    plain = {"sampler_name": "Euler", "scheduler": "Beta", "cfg_scale": 1.0}
    host.generate(**plain)
    before = host.generate(**plain)
    yield request.param
    assert np.array_equal(host.generate(**plain), before), "something of the test leaked into the host"


def opened(host, pixels=None):
    id = host.clickpaint("POST", "/workspaces", {"image": file_of(picture() if pixels is None else pixels)})["id"]
    host.clickpaint("POST", f"/workspaces/{id}/mask", {"operations": [{"op": "box", "box": [32, 32, 64, 64]}]})
    return id


def painted(host, **wishes):
    """uint8 [128, 128, 3] and what its infotext says; nothing but the mask is different."""
    id = opened(host)
    answer = host.clickpaint("POST", f"/workspaces/{id}/paint", {**WISH, **wishes})
    after = pixels_of(host.clickpaint("GET", f"/workspaces/{id}/image"))
    assert np.array_equal(after[~INSIDE], picture()[~INSIDE])
    return after, answer["results"][0]["infotext"]


def too_old(host):
    """The refusal of our own sampler where the web UI's diffusers do not know the family yet; None otherwise."""
    status, answer = host.request("POST", f"/clickpaint/v1/workspaces/{opened(host)}/paint", {**WISH, "engine": "inpaint"})
    return answer if status == 409 and "needs diffusers" in answer["message"] else None


def weights(host):
    return host.request("GET", "/test-helper/weights")[1]["bytes"]


def test_fills_through_the_web_ui_and_through_our_sampler_take_no_weights(host, family):
    assert host.clickpaint("GET", "/capabilities")["paint"]["family"]["name"] == FAMILIES[family]
    painted(host, sampler="Euler")  # the web UI has loaded all of it
    before = weights(host)
    assert before > 20_000_000
    for engine in ("auto", "inpaint"):
        if engine == "inpaint" and (refusal := too_old(host)):
            assert "Use the web UI's own sampler" in refusal["remedy"]
            continue
        after, said = painted(host, engine=engine, sampler="Euler")
        assert (after[INSIDE] != picture()[INSIDE]).any(axis=-1).mean() > 0.9, engine
        assert ("Clickpaint engine: inpaint" in said) == (engine == "inpaint")
        assert weights(host) == before, f"{engine} added weights"


def test_instructions_and_reference_pictures(host, family):
    reference = {"reference_picture": file_of(picture(64)[::-1]), "further_references": [file_of(255 - picture(96))]}
    if family != "kontext":
        body = {**WISH, "task": "instruct", **reference}
        status, answer = host.request("POST", f"/clickpaint/v1/workspaces/{opened(host)}/paint", body)
        assert (status, "Kontext" in answer["remedy"]) in ((400, True), (409, False)), answer
        return
    before = weights(host)
    plain, _ = painted(host, task="instruct", sampler="Euler")
    shown, said = painted(host, task="instruct", sampler="Euler", **reference)
    assert "Clickpaint engine" not in said and "Clickpaint reference pictures: 2" in said
    again, _ = painted(host, task="instruct", sampler="Euler", **reference)
    assert np.array_equal(shown, again) and not np.array_equal(plain, shown)
    ours, said = painted(host, task="instruct", engine="instruct", **reference)
    assert "Clickpaint engine: instruct" in said and (ours[INSIDE] != picture()[INSIDE]).any()
    assert weights(host) == before


@pytest.mark.parametrize("how", family_toy.PACKED)
def test_packed_weights_serve_the_web_ui_and_our_sampler_where_they_lie(host, how):
    """Packed by the web UI's own loader; afterwards it generates what it generated before."""
    python = [python_of(Path(os.environ[FOLDERS[host.flavor]])), "-c", "import bitsandbytes"]
    if how == "nf4" and subprocess.run(python, capture_output=True, check=False).returncode:
        pytest.skip("this web UI has no bitsandbytes")
    chosen = {"sd_model_checkpoint": family_toy.PACKED[how], "forge_additional_modules": [str(part) for part in host.parts[how]]}
    assert host.request("POST", "/sdapi/v1/options", chosen)[0] == 200
    plain = {"sampler_name": "Euler", "scheduler": "Beta", "cfg_scale": 1.0}
    # without a card NF4 is nothing for the web UI itself, which has loaded it all the same
    both = how != "nf4" or host.request("POST", "/sdapi/v1/txt2img", {"steps": 1, "width": 64, "height": 64})[0] == 200
    if both:
        host.generate(**plain)
        before = host.generate(**plain)
        painted(host, sampler="Euler")  # all of it is loaded
    taken = weights(host)
    for engine in ("auto", "inpaint") if both else ("inpaint",):
        after, said = painted(host, engine=engine, sampler="Euler", denoising_strength=0.6)
        assert ("Clickpaint engine: inpaint" in said) == (engine == "inpaint")
        assert (after[INSIDE] != picture()[INSIDE]).any(axis=-1).mean() > 0.9
        assert after[INSIDE].std() > 5, "what has no numbers is decoded to a plain colour"
        assert weights(host) == taken, f"{engine} added weights"
    assert not both or np.array_equal(host.generate(**plain), before), "something of the fill leaked into the host"
    assert host.request("POST", "/sdapi/v1/options", {"forge_additional_modules": []})[0] == 200
