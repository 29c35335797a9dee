"""Every map against the one that sd-webui-controlnet 1.1.455 made: the same pixels.

OpenCV enlarges by cubic interpolation in Intel's IPP, whose last bit depends on the processor's instruction set (AVX-512, AVX2, …): where
the exact value lies half-way between two bytes, another processor rounds it the other way. So a map of an enlarged picture may differ in a
few values of a million on a processor other than the reference's; every other map is identical or the test fails.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.control import fit, registry
from clickpaint.control.base import Tools

MAPS = Path(__file__).resolve().parents[3] / "shared" / "golden" / "controlnet"
SAMPLES = "samples/inpaint-anything"
INDEX = json.loads((MAPS / "index.json").read_text(encoding="utf-8")) if (MAPS / "index.json").exists() else {"maps": [], "inputs": {}}

TOLERANCE = {"color": 1, "lineart_standard": 1}
"""By how much values may differ that depend on IPP or on the width of vector instructions, picture enlarged or not."""

_ROUNDED_OTHERWISE = 2e-4
"""The share of values that may differ where the picture was enlarged; the most seen is 1.94e-4, of thinned lines."""

TOOLS = Tools(None, None, None)  # type: ignore[arg-type]  # these need none


FITTED = [entry for entry in INDEX["maps"] if entry["name"].startswith("detectmap_")]
DETECTED = [
    entry for entry in INDEX["maps"] if entry not in FITTED and not any(network in entry["name"] for network in ("pidi", "mlsd"))
]  # fmt: skip


def _id(entry):
    return f"{entry['picture']}-{entry['name']}"


@pytest.fixture(scope="module")
def inputs(shared):
    """The pictures, which decode to the reference's pixels, and their masks, uint8 [H, W]."""
    folder, found = shared(SAMPLES), {}
    for name, told in INDEX["inputs"].items():
        pixels = np.asarray(Image.open(folder / told["file"]).convert("RGB"))
        if hashlib.sha256(pixels.tobytes()).hexdigest() != told["sha256_rgb"]:
            pytest.skip(f"this machine's libjpeg decodes {told['file']} to other pixels")
        found[name] = pixels, np.asarray(Image.open(folder / told["mask"]).convert("L"))
    return found


def compare(found: np.ndarray, entry: dict, enlarged: bool, tolerance: int = 0) -> None:
    assert found.shape[1::-1] == tuple(entry["size"])
    if hashlib.sha256(np.ascontiguousarray(found).tobytes()).hexdigest() == entry["sha256"]:
        return
    file = MAPS / entry["file"] if entry.get("file") else None
    if file is None or entry["mode"] not in ("RGB", "RGBA"):
        assert enlarged, "the map differs from the reference"
        pytest.skip("only the sha256 of this map is known, and this processor rounds enlarged pictures otherwise")
    expected = np.asarray(Image.open(file).convert(entry["mode"]))
    difference = np.abs(found.astype(int) - expected)
    if enlarged:
        assert (difference > tolerance).mean() <= _ROUNDED_OTHERWISE
    else:
        assert difference.max() <= tolerance


def test_the_references_are_those_that_were_counted(shared):
    shared("golden/controlnet")
    assert (len(DETECTED), len(FITTED), len(INDEX["maps"])) == (84, 63, 162)


@pytest.mark.parametrize("entry", DETECTED, ids=_id)
def test_a_map_is_the_reference_map(entry, inputs):
    one = registry.info(entry.get("preprocessor", "shuffle"))
    pixels, mask = inputs[entry["picture"]]
    given = (entry.get("threshold_a", -1), entry.get("threshold_b", -1))
    values = {parameter.key: value for parameter, value in zip(one.parameters, given, strict=False) if value >= 0}
    before = pixels.copy()
    request = registry.request(one.name, values, entry["resolution"], mask > 127, entry.get("seed", 0))
    found = registry.detect(one.name, pixels, request, TOOLS).pixels
    assert np.array_equal(pixels, before)
    enlarged = one.resolution is not None and entry["resolution"] > min(pixels.shape[:2])
    compare(found, entry, enlarged, TOLERANCE.get(one.name, 0))


@pytest.mark.parametrize("entry", FITTED, ids=_id)
def test_a_fitted_map_is_the_reference_map(entry, inputs):
    pixels, mask = inputs[entry["picture"]]
    if entry["source"] == "input":
        source = pixels
    elif entry["source"].startswith("input RGB + mask"):
        source = np.dstack([pixels, mask])
    else:
        source = np.asarray(Image.open(MAPS / entry["picture"] / f"{entry['source']}.png").convert("RGB"))
    width, height = entry["target"]
    scales = (width / source.shape[1], height / source.shape[0])
    scale = min(scales) if entry["resize_mode"] == "Resize and Fill" else max(scales)
    area = scales[0] * scales[1] if entry["resize_mode"] == "Just Resize" else scale**2
    compare(fit.fitted(source, width, height, entry["resize_mode"]), entry, area > 1)


def test_pixel_perfect_is_what_the_reference_computes(shared):
    cases = json.loads((shared("golden/controlnet") / "pixel_perfect_resolution.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 20
    for case in cases:
        size, target = (case["image_w"], case["image_h"]), (case["target_w"], case["target_h"])
        assert fit.pixel_perfect(size, target, case["resize_mode"]) == case["result"], case
