"""Every map against the one that sd-webui-controlnet 1.1.455 made: the same pixels.

OpenCV enlarges by cubic interpolation in Intel's IPP, which has another code for every instruction set and takes the best that the
processor has: the references were made with AVX-512. Where the exact value lies half-way between two bytes, the others round it the other
way: 25 of 147 maps differ with AVX2 and 24 with SSE4.2 (OPENCV_IPP=sse42), in OpenCV 4.11 as in 4.14, and 49 without IPP; AVX-512 cannot be
asked for on a processor that lacks it. Nor is there an arithmetic that always rounds as it does: of those 25, exact numbers rounded to the
even byte give 2. On one and the same machine sd-webui-controlnet's maps and ours are identical, enlarged or not
(`tests/hosts/test_real_preprocessors.py`). So here the map of an enlarged picture may differ in a few values of a million; where of the
reference only the sha256 is known, it is compared with the one that exact numbers give. Every other map is identical or the test fails.
"""

from __future__ import annotations

import hashlib
import json
from functools import partial
from pathlib import Path

import cv2
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
    folder, pictures = shared(SAMPLES), {}
    for name, entry in INDEX["inputs"].items():
        pixels = np.asarray(Image.open(folder / entry["file"]).convert("RGB"))
        if hashlib.sha256(pixels.tobytes()).hexdigest() != entry["sha256_rgb"]:
            pytest.skip(f"this machine's libjpeg decodes {entry['file']} to other pixels")
        pictures[name] = pixels, np.asarray(Image.open(folder / entry["mask"]).convert("L"))
    return pictures


def exact_cubic(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """`cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)` in float64: Keys' kernel with a = -0.75; bytes rounded half to even."""

    def along(values: np.ndarray, length: int) -> np.ndarray:
        """`values` with its first axis enlarged."""
        place = (np.arange(length) + 0.5) * len(values) / length - 0.5
        total = np.zeros((length, *values.shape[1:]))
        for tap in range(-1, 3):
            far = np.abs(place - np.floor(place) - tap)
            near = (1.25 * far - 2.25) * far**2 + 1
            weight = np.where(far <= 1, near, ((-0.75 * far + 3.75) * far - 6) * far + 3)
            at = np.clip(np.floor(place).astype(int) + tap, 0, len(values) - 1)
            total += values[at] * weight[:, None, None]
        return total

    wide = along(pixels.astype(np.float64).transpose(1, 0, 2), size[0]).transpose(1, 0, 2)
    line = along(wide, size[1])
    return np.rint(line).clip(0, 255).astype(np.uint8) if pixels.dtype == np.uint8 else line.astype(pixels.dtype)


@pytest.fixture
def exactly(monkeypatch):
    """exactly(work) → what it gives where pictures are enlarged in exact numbers."""

    def resize(pixels, size, *rest, interpolation=cv2.INTER_LINEAR, **more):
        larger = interpolation == cv2.INTER_CUBIC and size[0] * size[1] > pixels.shape[0] * pixels.shape[1]
        if larger and pixels.ndim == 3 and pixels.dtype in (np.uint8, np.float32):
            return exact_cubic(pixels, size)
        return plain(pixels, size, *rest, interpolation=interpolation, **more)

    plain = cv2.resize

    def run(work):
        with monkeypatch.context() as patch:
            patch.setattr(cv2, "resize", resize)
            return work()

    return run


def test_exact_numbers_are_opencvs_but_for_their_rounding():
    pixels = np.random.default_rng(3).integers(0, 256, (40, 31, 3)).astype(np.uint8)
    for size in ((62, 80), (47, 41), (31, 77)):
        expected = cv2.resize(pixels, size, interpolation=cv2.INTER_CUBIC)
        assert np.abs(exact_cubic(pixels, size).astype(int) - expected).max() <= 1
        floats = cv2.resize(pixels.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)
        assert np.abs(exact_cubic(pixels.astype(np.float32), size) - floats).max() < 1e-3


def compare(make, entry: dict, enlarged: bool, exactly, tolerance: int = 0) -> None:
    control_map = make()
    assert control_map.shape[1::-1] == tuple(entry["size"])
    if hashlib.sha256(np.ascontiguousarray(control_map).tobytes()).hexdigest() == entry["sha256"]:
        return
    file = MAPS / entry["file"] if entry.get("file") else None
    if file is None or entry["mode"] not in ("RGB", "RGBA"):
        assert enlarged, "the map differs from the reference"
        difference = np.abs(control_map.astype(np.float64) - exactly(make))
        assert difference.max() <= 1 and (difference > 1e-3).mean() <= _ROUNDED_OTHERWISE
        return
    expected = np.asarray(Image.open(file).convert(entry["mode"]))
    difference = np.abs(control_map.astype(int) - expected)
    if enlarged:
        assert (difference > tolerance).mean() <= _ROUNDED_OTHERWISE
    else:
        assert difference.max() <= tolerance


def test_the_references_are_those_that_were_counted(shared):
    shared("golden/controlnet")
    assert (len(DETECTED), len(FITTED), len(INDEX["maps"])) == (84, 63, 162)


@pytest.mark.parametrize("entry", DETECTED, ids=_id)
def test_a_map_is_the_reference_map(entry, inputs, exactly):
    one = registry.info(entry.get("preprocessor", "shuffle"))
    pixels, mask = inputs[entry["picture"]]
    given = (entry.get("threshold_a", -1), entry.get("threshold_b", -1))
    values = {parameter.key: value for parameter, value in zip(one.parameters, given, strict=False) if value >= 0}
    before = pixels.copy()
    request = registry.request(one.name, values, entry["resolution"], mask > 127, entry.get("seed", 0))
    enlarged = one.resolution is not None and entry["resolution"] > min(pixels.shape[:2])
    make = partial(registry.detect, one.name, pixels, request, TOOLS)
    compare(lambda: make().pixels, entry, enlarged, exactly, TOLERANCE.get(one.name, 0))
    assert np.array_equal(pixels, before)


@pytest.mark.parametrize("entry", FITTED, ids=_id)
def test_a_fitted_map_is_the_reference_map(entry, inputs, exactly):
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
    compare(partial(fit.fitted, source, width, height, entry["resize_mode"]), entry, area > 1, exactly)


def test_pixel_perfect_is_what_the_reference_computes(shared):
    cases = json.loads((shared("golden/controlnet") / "pixel_perfect_resolution.json").read_text(encoding="utf-8"))["cases"]
    assert len(cases) == 20
    for case in cases:
        size, target = (case["image_w"], case["image_h"]), (case["target_w"], case["target_h"])
        assert fit.pixel_perfect(size, target, case["resize_mode"]) == case["result"], case
