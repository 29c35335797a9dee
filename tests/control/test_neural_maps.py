"""The small real weights, against maps that the real sd-webui-controlnet made with them."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
from PIL import Image

from clickpaint.control import mlsd, registry, softedge
from clickpaint.control.controlnet_aux_modules import module
from clickpaint.control.network import Network
from clickpaint.weights.load_weights import load_state_dict

pytest.importorskip("einops", reason="needs what controlnet_aux imports")

PICTURES = ("remove_dog", "fill_sample4", "remove_boat")


@pytest.fixture
def golden(shared):
    """`golden(picture, map)`: the input and the reference map, uint8 RGB."""
    folder = shared("golden/controlnet")
    inputs = json.loads((folder / "index.json").read_text())["inputs"]

    def read(picture, name):
        source = next(shared("samples").rglob(inputs[picture]["file"]))
        pixels = np.asarray(Image.open(source).convert("RGB"))
        if hashlib.sha256(pixels.tobytes()).hexdigest() != inputs[picture]["sha256_rgb"]:
            pytest.skip("this machine's libjpeg decodes the picture otherwise")
        return pixels, np.asarray(Image.open(folder / picture / f"{name}.png").convert("RGB"))

    return read


def distance(pixels, expected):
    assert pixels.shape == expected.shape
    return np.abs(pixels.astype(int) - expected.astype(int))


def remembering(network):
    """All four maps are made of one answer, which takes seconds."""
    answers = []

    def answer(image):
        if not answers:
            answers.append(network(image))
        return answers[0]

    return answer


def test_pidinet_with_its_real_weights(golden, shared, toys):
    """On one photograph: the network takes seconds for each, and `test_neural` compares it with its package on drawn ones."""
    picture = "remove_dog"
    network = softedge.PIDINET.build()
    network.load_state_dict(softedge.PIDINET.fit(load_state_dict(shared("models") / "table5_pidinet.pth"), network))
    network.eval()
    toys.put(softedge.PIDINET, remembering(network))
    for name in ("softedge_pidinet", "softedge_pidisafe", "scribble_pidinet", "t2ia_sketch_pidi"):
        pixels, expected = golden(picture, name)
        control_map = registry.detect(name, pixels, registry.request(name), toys.tools).pixels
        off = distance(control_map, expected)
        if name == "softedge_pidinet":
            assert off.max() <= 1  # processors round sums of floats differently: up to one in 400 values is off by 1
        assert (off > 0).mean() < (0.003 if name == "softedge_pidinet" else 0.0001), name  # beyond a threshold, 1 becomes 255


@pytest.mark.parametrize("picture", PICTURES)
def test_mlsd_with_the_real_weights_of_its_tiny_network(golden, shared, toys, monkeypatch, picture):
    network = module("mlsd.models.mbv2_mlsd_tiny").MobileV2_MLSD_Tiny().eval()
    network.load_state_dict(load_state_dict(shared("models") / "mlsd_tiny_512_fp32.pth"))
    tiny = Network("control_mlsd")
    toys.put(tiny, network)
    monkeypatch.setattr(mlsd, "MLSD", tiny)
    pixels, expected = golden(picture, "mlsd_tiny_0.1_0.1")
    assert distance(registry.detect("mlsd", pixels, registry.request("mlsd"), toys.tools).pixels, expected).max() == 0
