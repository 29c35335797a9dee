"""Editing by words, IP-Adapters and the prompts' own syntax in a real A1111 and a real Forge, on the checkpoint that is loaded: not a byte
of it twice, what our engines make of a prompt is what the host makes of it, and the host goes on as before.

Set CLICKPAINT_A1111_DIR, CLICKPAINT_FORGE_DIR and CLICKPAINT_NEO_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import base64
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from clickpaint.paint.checkpoint.opening import open_checkpoint
from tests.hosts.real import FOLDERS, RealHost, choose, file_of, picture, pixels_of, prepare
from tests.hosts.test_real_engines import generations, opened, painted, weights
from tests.toys import hypernetwork, ip_adapter
from tests.toys.tensor_source import TensorSource

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(FOLDERS[flavor] not in os.environ, reason=f"{FOLDERS[flavor]} names no web UI to try"))
    for flavor in ("a1111", "forge", "neo")
]
SEEN = 1024
"""Width of what CLIP ViT-H gives."""

_CLIP = f'''"""For tests: in the place of CLIP, which takes gigabytes, the mean colours of a picture's cells."""
import numpy as np

from clickpaint.control import clip_vision


def look(pixels, width, states, tools):
    assert (width, states) == ({SEEN}, False)
    rows = np.array_split(pixels.astype(np.float32) / 255 - 0.5, 16)
    cells = [cell.mean((0, 1)) for row in rows for cell in np.array_split(row, 16, axis=1)]
    return np.resize(np.concatenate(cells), (1, width)).astype(np.float32)


clip_vision.look = look
'''


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    flavor = request.param
    data = tmp_path_factory.mktemp(flavor)
    prepare(data, Path(os.environ[FOLDERS[flavor]]), extension=True)
    file = data / "models/Stable-diffusion/tiny.safetensors"
    tensors = load_file(file)
    generator = torch.Generator().manual_seed(0)
    for key, value in tensors.items():
        if key.endswith("attn1.to_out.0.weight"):  # the toy's places do not look at each other otherwise
            tensors[key] = (torch.randn(value.shape, generator=generator) * 0.3).to(value.dtype)
    save_file(tensors, file)
    unet = open_checkpoint(TensorSource("toy", lambda: tensors, prediction="epsilon")).unet
    save_file(ip_adapter.tensors(unet, SEEN), data / "models/ControlNet/ip-toy.safetensors")
    (data / "models/hypernetworks").mkdir()
    wide = hypernetwork.content([768, 32, 64, 128], (1, 2, 1), 1.0, activation_func="relu", is_layer_norm=True)
    # the web UI's own check refuses what newer torch writes into a ZIP
    torch.save(wide, data / "models/hypernetworks/wide.pt", _use_new_zipfile_serialization=False)
    choose(data, token_merging_ratio=0.0)  # A1111 restores no setting that was never saved
    (data / "styles.csv").write_text("name,prompt,negative_prompt\noil,oil painting of {prompt} at night,photo\n")
    helper = data / "extensions/clip-helper/scripts/clip_helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text(_CLIP)
    hypernetworks = () if flavor == "neo" else ("--hypernetwork-dir", str(data / "models/hypernetworks"))
    running = RealHost(flavor, data, "--api", *hypernetworks)
    generations(running)  # the first img2img of a web UI may differ by a rounding from the next ones
    yield running
    running.stop()


@pytest.fixture(autouse=True)
def unchanged(host):
    """The host generates what it generated before, whatever we do, to the bit."""
    before = generations(host)
    yield
    assert np.array_equal(generations(host), before), "something of the test leaked into the host"


def test_edits_by_words_take_no_memory(host):
    id, before, made = opened(host), weights(host), []
    for method in ("p2p", "diffedit", "ledits"):
        words = {"source_prompt": "a house", "prompt": "a dog", **({"mask_ratio": 0.5} if method == "diffedit" else {})}
        after, said = painted(host, id, task="edit", edit_method=method, **words)
        assert f"Clickpaint engine: {method}" in said and weights(host) == before, method
        made.append(after.tobytes())
    same, _ = painted(host, id, task="edit", edit_method="p2p", source_prompt="a house", prompt="a house")
    assert np.abs(same - picture()).max() <= 4 and len({*made, same.tobytes()}) == 4


def test_an_ip_adapter_takes_its_own_bytes(host):
    id, before = opened(host), weights(host)
    plain, _ = painted(host, id, engine="inpaint")
    images = [file_of(np.full((32, 32, 3), colour, np.uint8)) for colour in ((250, 20, 20), (20, 20, 250))]
    read = {"engine": "inpaint", "reference_adapter": "ip-toy"}
    red, blue = (painted(host, id, **read, reference_picture=image)[0] for image in images)
    silent, _ = painted(host, id, **read, reference_picture=images[0], reference_weight=0)
    assert np.array_equal(silent, plain) and len({one.tobytes() for one in (plain, red, blue)}) == 3
    assert 0 < weights(host) - before <= 4 * (SEEN + 3) * 4 * 768, "more than the adapter's projection was loaded"


def ours(host, **wishes):
    """int [128, 128, 3] of our own engine, from a prompt alone."""
    body = {"prompt": "a house", "steps": 12, "width": 128, "height": 128, "seed": 7, "sampler": "Euler", "cfg_scale": 7, **wishes}
    (image,) = host.clickpaint("POST", "/generate", body)["images"]
    return pixels_of(base64.b64decode(image.partition(",")[2])).astype(int)


WISHES = {
    "and": ({"prompt": "a house AND a dog:0.7"}, {}),
    "change": ({"prompt": "[a house:a dog:0.5] BREAK (tree:1.4)"}, {}),
    "turns": ({"prompt": "[a house|a dog]"}, {}),
    "style": ({"styles": ["oil"]}, {}),
    "hypernetwork": ({"prompt": "a house <hypernet:wide:0.8>"}, {}),
    "merged": ({"token_merging_ratio": 0.6}, {"override_settings": {"token_merging_ratio": 0.6}}),
}
"""What we are asked for, and what the web UI's API calls otherwise."""


@pytest.mark.parametrize("name", ["plain", *WISHES])
def test_a_prompt_makes_what_the_host_makes_of_it(host, name):
    if host.flavor != "a1111":
        pytest.skip("hypernetworks and tomesd are A1111's")
    wish, other = WISHES.get(name, ({}, {}))
    how = {"sampler_name": "Euler", "steps": 12}
    own = {key: value for key, value in wish.items() if key != "token_merging_ratio"}
    theirs = host.generate(**how, **own, **other).astype(int)
    assert np.abs(ours(host, **wish) - theirs).max() <= 2
    least = {"plain": -1, "merged": 3}.get(name, 20)  # merged tokens change little of this toy
    assert np.abs(theirs - host.generate(**how)).max() > least
