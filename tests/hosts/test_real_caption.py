"""The captioner of a real A1111 and a real Forge: theirs is used, the words are theirs, and they go on as before.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`. The web UIs' code of BLIP is of
2022: it works with transformers up to 4.49. Where the installed one is newer, an older one is put before it, if the other web UI has one.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from clickpaint.caption.region import crop_region
from tests.hosts import blip_toy
from tests.hosts.real import FOLDERS, RealHost, file_of, picture, pixels_of, prepare, python_of

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]
_LIBRARIES = ("transformers", "tokenizers")

_HELPER = '''"""For tests: CLIP, whose real file would be downloaded, has a few channels; and how often BLIP is loaded is counted."""
import pathlib

import modules.script_callbacks
from modules import shared

loads = []


def started(page, app):
    interrogator = shared.interrogator
    load = interrogator.load_blip_model
    interrogator.content_dir = str(pathlib.Path(__file__).parents[1] / "categories")
    interrogator.load_clip_model = small_clip
    interrogator.load_blip_model = lambda: loads.append(1) or load()

    @app.get("/test-helper/blip")
    def blip():
        model = interrogator.blip_model
        weights = [] if model is None else list({one.untyped_storage().data_ptr(): one for one in model.parameters()}.values())
        return {"loads": len(loads), "bytes": sum(one.untyped_storage().nbytes() for one in weights)}


def small_clip():
    import clip
    import clip.model
    import torch

    torch.manual_seed(0)
    model = clip.model.CLIP(
        embed_dim=16, image_resolution=32, vision_layers=1, vision_width=64, vision_patch_size=16,
        context_length=77, vocab_size=49408, transformer_width=64, transformer_heads=1, transformer_layers=1,
    )
    return model.eval(), clip.clip._transform(32)


modules.script_callbacks.on_app_started(started)
'''


def running(flavor: str, data: Path, environment: dict[str, str]) -> RealHost:
    prepare(data, Path(os.environ[FOLDERS[flavor]]), extension=True)
    blip_toy.write(data / "models", data / "hub")
    helper = data / "extensions/caption-helper"
    (helper / "scripts").mkdir(parents=True)
    (helper / "scripts/caption_helper.py").write_text(_HELPER)
    (helper / "categories").mkdir()
    (helper / "categories/mediums.txt").write_text("a drawing\na photo\n")
    offline = {"HF_HOME": str(data), "HF_HUB_CACHE": str(data / "hub"), "HUGGINGFACE_HUB_CACHE": str(data / "hub"), "HF_HUB_OFFLINE": "1"}
    return RealHost(flavor, data, "--api", environment={**offline, **environment})


def version(folder: Path, name: str = "transformers") -> tuple[int, ...]:
    script = f"import importlib.metadata; print(importlib.metadata.version({name!r}))"
    said = subprocess.run([python_of(folder), "-c", script], capture_output=True, text=True, check=True).stdout
    return tuple(map(int, said.strip().split(".")[:2]))


def older_libraries(flavor: str, place: Path) -> dict[str, str]:
    """An environment in which this web UI has a transformers that its BLIP works with."""
    if version(Path(os.environ[FOLDERS[flavor]])) < (4, 50):
        return {}
    for variable in FOLDERS.values():
        other = Path(os.environ.get(variable, ""))
        if variable in os.environ and version(other) < (4, 50):
            place.mkdir()
            for site in other.glob("venv/lib/python*/site-packages"):
                for name in _LIBRARIES:
                    for part in (site / name, *site.glob(f"{name}-*.dist-info")):
                        (place / part.name).symlink_to(part)
            return {"PYTHONPATH": str(place)}
    pytest.skip("the web UI's BLIP needs a transformers before 4.50, which neither installation has")


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    data = tmp_path_factory.mktemp(request.param)
    running_host = running(request.param, data, older_libraries(request.param, data / "libraries"))
    # short, for the network is slow on a CPU
    assert running_host.request("POST", "/sdapi/v1/options", {f"interrogate_clip_{key}": value for key, value in OPTIONS.items()})[0] == 200
    yield running_host
    running_host.stop()


OPTIONS = {"num_beams": 1, "min_length": 4, "max_length": 14}


def clicked(host) -> tuple[str, np.ndarray]:
    """A workspace with the red square selected, and what of the picture a captioner is shown."""
    id = host.clickpaint("POST", "/workspaces", {"image": file_of(picture())})["id"]
    host.clickpaint("POST", f"/workspaces/{id}/select", {"points": [{"x": 48, "y": 48}]})
    mask = pixels_of(host.clickpaint("GET", f"/workspaces/{id}/mask"))[..., 0] > 127
    assert mask[48, 48] and not mask[0, 0]
    return id, crop_region(picture(), mask).pixels


def interrogated(host, pixels: np.ndarray) -> str:
    """What "Interrogate CLIP" of the web UI itself says."""
    body = {"image": "data:image/png;base64," + file_of(pixels), "model": "clip"}
    status, answer = host.request("POST", "/sdapi/v1/interrogate", body)
    assert status == 200 and "<error>" not in answer["caption"], (answer, host.log[-3000:])
    return answer["caption"].rsplit(", ", 1)[0]


def weights(host) -> int:
    return host.request("GET", "/test-helper/weights")[1]["bytes"]


def test_its_own_blip_says_what_it_says_itself_and_is_loaded_once(host):
    painted, bare = host.generate(), weights(host)
    id, crop = clicked(host)
    listed = {one["name"]: one for one in host.clickpaint("GET", "/captioners")["captioners"]}
    assert listed["host"]["available"]
    answer = host.clickpaint("POST", f"/workspaces/{id}/caption", {"captioner": "host"})
    blip = host.request("GET", "/test-helper/blip")[1]
    print(f"{host.flavor}: {answer['text']!r}, BLIP {blip['bytes']} bytes, all weights {weights(host)}, before {bare}")
    assert answer["captioner"] == "host" and answer["text"]
    assert blip["loads"] == 1 and blip["bytes"] > 800_000_000
    assert weights(host) == bare + blip["bytes"], "something is in memory twice"

    assert interrogated(host, crop) == answer["text"]
    assert interrogated(host, picture()) != answer["text"], "the toy sees no difference"
    assert host.request("GET", "/test-helper/blip")[1]["loads"] == 1
    assert host.clickpaint("POST", f"/workspaces/{id}/caption", {"captioner": "host"})["text"] == answer["text"]
    assert np.array_equal(host.generate(), painted)
    options = host.request("GET", "/sdapi/v1/options")[1]
    assert {key: options[f"interrogate_clip_{key}"] for key in OPTIONS} == OPTIONS


def test_several_wordings_come_of_wider_searches_and_a_length_reaches_it(host):
    id, crop = clicked(host)
    answer = host.clickpaint("POST", f"/workspaces/{id}/caption", {"captioner": "host", "candidates": 3})
    texts = [one["text"] for one in answer["wordings"]]
    print(host.flavor, texts)
    assert len(texts) > 1 and interrogated(host, crop) in texts
    answer = host.clickpaint("POST", f"/workspaces/{id}/caption", {"captioner": "host", "style": {"length": 5}})
    assert 4 <= len(answer["text"].split()) <= 6, answer["text"]
    assert host.request("GET", "/test-helper/blip")[1]["loads"] == 1


@pytest.mark.parametrize("flavor", FLAVORS)
def test_where_its_code_is_too_old_for_the_libraries_it_says_so_and_is_not_used(flavor, tmp_path):
    if version(Path(os.environ[FOLDERS[flavor]])) < (4, 50):
        pytest.skip(f"the transformers of this {flavor} fits its BLIP")
    host = running(flavor, tmp_path, {})
    try:
        painted = host.generate()
        listed = {one["name"]: one for one in host.clickpaint("GET", "/captioners")["captioners"]}
        assert not listed["host"]["available"] and "transformers" in listed["host"]["reason"]
        id, _ = clicked(host)
        status, answer = host.request("POST", f"/clickpaint/v1/workspaces/{id}/caption", {})
        assert status == 409 and "Download BLIP" in answer["remedy"]  # a file of another size is not the catalog's
        assert host.request("GET", "/test-helper/blip")[1]["loads"] == 0
        assert np.array_equal(host.generate(), painted)
    finally:
        host.stop()
