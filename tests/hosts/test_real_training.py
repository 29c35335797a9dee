"""A LoRA trained in a real A1111, Forge and Forge Neo on the loaded checkpoint: no weight of it twice, the same pictures afterwards,
and with the LoRA in the prompt the picture that our own sampler paints.

Set CLICKPAINT_A1111_DIR, CLICKPAINT_FORGE_DIR and CLICKPAINT_NEO_DIR to installations to run these; see `tests/hosts/real.py`.
"""

from __future__ import annotations

import base64
import os
import time
from pathlib import Path

import numpy as np
import pytest
from safetensors.torch import load_file

from clickpaint.paint.adapters.lora import Lora, applied
from clickpaint.paint.checkpoint.opening import open_checkpoint
from clickpaint.paint.diffusion.sampling import text_to_image
from clickpaint.paint.flat_options import grouped
from clickpaint.train.dataset.collection import Collection, NewExample
from tests.hosts.real import FOLDERS, RealHost, file_of, picture, prepare
from tests.toys.tensor_source import TensorSource

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(FOLDERS[flavor] not in os.environ, reason=f"{FOLDERS[flavor]} names no web UI to try"))
    for flavor in ("a1111", "forge", "neo")
]
LOUD = {
    "steps": 6, "rank": 4, "resolution": 64, "learning_rate": 0.05, "text_learning_rate": 0.01, "gradient_limit": 0, "algorithm": "locon",
    "result_type": "float32", "masked_loss": False,
}  # fmt: skip
"""So much is learned in a few steps that nobody could miss it."""
WISH = {"sampler_name": "Euler", "prompt": "a house", "seed": 7, "steps": 4, "width": 128, "height": 128, "cfg_scale": 7}


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, tmp_path_factory):
    data = tmp_path_factory.mktemp(request.param)
    prepare(data, Path(os.environ[FOLDERS[request.param]]), extension=True)
    (data / "models/Lora").mkdir()
    running = RealHost(request.param, data, "--api", "--lora-dir", str(data / "models/Lora"))
    running.data = data
    yield running
    running.stop()


def weights(host):
    """Bytes of all parameters of all modules in the process, each storage once."""
    return host.request("GET", "/test-helper/weights")[1]["bytes"]


def begun(host, name, **settings):
    sets = Collection(host.data / "clickpaint/datasets")
    if "squares" not in sets.names():
        sets.create("squares", "ohwx")
        sets.add("squares", [NewExample("a", base64.b64decode(file_of(picture())), "a red square")])
    body = {"name": name, "dataset": "squares", "settings": {**LOUD, **settings}}
    return host.clickpaint("POST", "/trainings", body)


def until(host, training, there):
    """What is told of a training as soon as `there` says so."""
    for _ in range(6000):
        told = host.clickpaint("GET", f"/trainings/{training['id']}")
        assert told["state"] != "failed", told
        if there(told):
            return told
        time.sleep(0.02)  # a training in another process has no condition to wait for
    raise AssertionError("the training does not come on")


def ours(host, lora=None):
    """What our own sampler paints of the same wish, int [128, 128, 3]."""
    file = host.data / "models/Stable-diffusion/tiny.safetensors"
    tensors = {
        key: tensor.float() if tensor.is_floating_point() else tensor for key, tensor in load_file(file).items()
    }  # as the host has it
    checkpoint = open_checkpoint(TensorSource("tiny", lambda: tensors, prediction="epsilon"))
    same = {name: WISH[name] for name in ("prompt", "steps", "cfg_scale")}
    options = grouped(**same, sampler="Euler", clip_skip=CLIP_SKIP[host.flavor])
    with applied(checkpoint, [(Lora.read(lora), 1.0)] if lora else []):
        return text_to_image(checkpoint, options, (128, 128), seed=WISH["seed"])[0].pixels.astype(int)


CLIP_SKIP = {"a1111": 1, "forge": 1, "neo": 2}
"""What the web UI has unless somebody changes it."""


def test_a_training_takes_no_memory_for_the_checkpoint_and_leaves_it_alone(host):
    picture_before, before = host.generate(), weights(host)
    training = begun(host, "long", steps=100_000)
    told = until(host, training, lambda told: told["step"] > 0)
    during = weights(host)
    host.clickpaint("POST", f"/trainings/{training['id']}/stop")
    until(host, training, lambda told: told["state"] == "interrupted")
    assert during - before == 4 * told["parameters"] > 0, "more than the LoRA itself was there"
    assert weights(host) == before
    assert np.array_equal(host.generate(), picture_before)


def test_the_loras_picture_is_the_same_in_the_web_ui_and_in_our_sampler(host):
    plain = host.generate(**WISH).astype(int)
    done = until(host, begun(host, "loud"), lambda told: told["state"] == "done")
    file = host.data / "models/Lora" / done["output"]
    host.request("POST", "/sdapi/v1/refresh-loras")
    theirs = host.generate(**{**WISH, "prompt": f"{WISH['prompt']} <lora:loud:1>"}).astype(int)
    assert np.abs(theirs - plain).mean() > 10, "the LoRA does next to nothing there"
    assert np.abs(theirs - ours(host, file)).max() <= 1
    assert np.array_equal(host.generate(**WISH), plain)
    if host.flavor != "a1111":  # which begins with noise times sigma, and not times sqrt(sigma^2 + 1) as Forge and diffusers
        assert np.abs(plain - ours(host)).max() <= 1
