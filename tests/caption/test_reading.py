"""Tags by the real ONNX Runtime, and text by the real packages that read it, where they are installed; no weights but the tests' own."""

from __future__ import annotations

import importlib.util
import os
import socket
import stat
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from clickpaint.caption import ocr
from clickpaint.caption.base import Crop
from clickpaint.caption.local import local_models
from clickpaint.caption.tags import Tagger
from clickpaint.compat import torchvision
from tests.caption import onnx_toy
from tests.toys.text import LEVEL, sign

TAGS = [("rating:general", 9), ("red_theme", 0), ("green_theme", 0), ("^_^", 0), ("alice_(wonder)", 4), ("bob", 4)]


def needs(package):
    return pytest.mark.skipif(importlib.util.find_spec(package) is None, reason=f"{package} is not installed")


def without_rapidocr(monkeypatch):
    monkeypatch.setattr(ocr, "installed", lambda package: package != "rapidocr" and importlib.util.find_spec(package) is not None)


@needs("onnxruntime")
def test_the_tagger_runs_a_published_layout_in_the_real_runtime(tmp_path, cache):
    folder = tmp_path / "wd-vit-tagger-v3"
    folder.mkdir()
    weights = np.zeros((3, len(TAGS)))
    weights[2, [1, 4]] = 0.05  # red, for it is the last of BGR
    weights[1, 2] = 0.05
    weights[0, 5] = 0.05
    biases = np.array([5, -4, -4, -4, -4, -5])
    onnx_toy.write(folder, weights, biases, TAGS)
    (model,) = local_models([tmp_path])
    assert (model.role, model.family, model.reason) == ("tagger", "wd14", "")

    pixels = np.zeros((30, 60, 3), np.uint8)
    pixels[..., 0] = 200
    tags = Tagger(model.name, model.path, cache).tags(Crop(pixels, np.ones((30, 60), bool)), general=0.0, character=0.0)
    # the half that makes it square is white
    means = np.array([127.5, 127.5, (200 + 255) / 2])
    expected = 1 / (1 + np.exp(-(means @ weights + biases)))
    scores = {tag.name: tag.score for tag in tags}
    assert scores.keys() == {"red theme", "green theme", "^_^", "alice (wonder)", "bob"}, "a rating is no tag"
    for name, index in (("red theme", 1), ("green theme", 2), ("^_^", 3), ("alice (wonder)", 4), ("bob", 5)):
        assert scores[name] == pytest.approx(expected[index], abs=2e-3), name
    assert [tag.name for tag in tags][:2] == ["red theme", "alice (wonder)"] and tags == sorted(tags, key=lambda tag: -tag.score)
    sure = Tagger(model.name, model.path, cache).tags(Crop(pixels, np.ones((30, 60), bool)))
    assert expected[1] > 0.999 and [tag.name for tag in sure] == ["red theme", "alice (wonder)", "green theme"], "a character must be surer"


@needs("rapidocr")
def test_rapidocr_says_where_text_stands_and_asks_nobody(monkeypatch, cache):
    """The real package with the networks that it carries, on a picture with a level and a slanted line."""
    monkeypatch.setattr(socket.socket, "connect", lambda *_: pytest.fail("it went to the network"))
    lines = ocr.find_lines(pixels := sign(), cache)
    assert [line.text for line in lines] == ["KEEP OUT 7", "slanted"] == ocr.read_text(pixels, cache)
    assert [held.key for held in cache.contents()] == [("text", "rapidocr")]
    level, slanted = (np.array(line.outline) for line in lines)
    left, top, right, bottom = LEVEL
    assert (level[0] <= (left, top)).all() and (level[2] >= (right, bottom)).all(), "all of it is inside"
    assert np.prod(level[2] - level[0]) < 2.5 * (right - left) * (bottom - top)
    across, down = slanted[1] - slanted[0]
    assert 12 < np.degrees(np.arctan2(-down, across)) < 28, "it rises to the right"
    assert ocr.find_lines(np.full((60, 90, 3), 128, np.uint8), cache) == []


@needs("easyocr")
def test_easyocr_is_asked_as_it_wants_to_be(monkeypatch, tmp_path):
    """The real `Reader`; its two networks, whose files would be downloaded, are stood in for."""
    monkeypatch.setenv("EASYOCR_MODULE_PATH", str(tmp_path))
    without_rapidocr(monkeypatch)
    assert "english_g2.pth" in ocr.unavailable()
    assert ocr.read_text(np.zeros((40, 90, 3), np.uint8)) == []
    assert not (tmp_path / "model").exists(), "nothing was downloaded"
    (tmp_path / "model").mkdir()
    for name in ("craft_mlt_25k.pth", "english_g2.pth"):
        (tmp_path / "model" / name).touch()
    assert ocr.unavailable() == ""

    torchvision.available()
    import easyocr.easyocr as package  # type: ignore[import-not-found,import-untyped]

    known = {"craft_mlt_25k.pth": package.detection_models["craft"]["md5sum"]}
    known["english_g2.pth"] = package.recognition_models["gen2"]["english_g2"]["md5sum"]
    monkeypatch.setattr(package, "calculate_md5", lambda path: known[Path(path).name])
    monkeypatch.setattr(package.Reader, "initDetector", lambda self, path: path)
    monkeypatch.setattr(package, "get_recognizer", lambda *args, **kwargs: (None, None))
    seen = []

    def detect(self, image, **options):
        seen.append((self.detector, image.copy()))
        return [[[5, 60, 5, 20]]], [[]]

    def recognize(self, grey, horizontal, free, *options):
        assert grey.shape == (40, 90) and horizontal == [[5, 60, 5, 20]] and free == []
        corners = [[5, 5], [60, 5], [60, 20], [5, 20]]
        return [(corners, " EXIT ", 0.9), (corners, "1|", 0.1), (corners, " ", 0.8)]

    monkeypatch.setattr(package.Reader, "detect", detect)
    monkeypatch.setattr(package.Reader, "recognize", recognize)
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    assert ocr.read_text(pixels) == ["EXIT"]
    assert seen[0][0] == str(tmp_path / "model" / "craft_mlt_25k.pth")
    np.testing.assert_array_equal(seen[0][1], pixels)


@needs("pytesseract")
@pytest.mark.skipif(os.name == "nt", reason="the stand-in for the program is a shell script")
def test_pytesseract_hands_the_picture_to_the_program(monkeypatch, tmp_path):
    """The real package; the program tesseract is stood in for by a script that keeps the picture and writes what it has read."""
    program = tmp_path / "tesseract"
    program.write_text(f'#!/bin/sh\ncp "$1" "{tmp_path}/seen"\nprintf "EXIT 7\\n\\n  -- \\n to the right\\n" > "$2.txt"\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("EASYOCR_MODULE_PATH", str(tmp_path))
    without_rapidocr(monkeypatch)
    assert ocr.unavailable() == ""
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3), np.uint8)
    assert ocr.read_text(pixels) == ["EXIT 7", "to the right"]
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "seen").convert("RGB")), pixels)
