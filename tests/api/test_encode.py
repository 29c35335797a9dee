from __future__ import annotations

import base64
import io
import json
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from PIL import Image

from clickpaint.api.encode import answer, data_url, grey_png, mask_png, packed_png, rgb_png
from clickpaint.api.translate import picture_bytes
from clickpaint.errors import InvalidInput
from clickpaint.image.packed import PackedMask

shapes = arrays.array_shapes(min_dims=2, max_dims=2, max_side=50)


def opened(data):
    image = Image.open(io.BytesIO(data))
    image.verify()
    return Image.open(io.BytesIO(data))


@settings(deadline=None, max_examples=100)
@given(arrays.arrays(bool, shapes))
def test_masks(mask):
    image = opened(mask_png(mask))
    assert image.mode == "1" and (np.asarray(image) == mask).all()
    packed = PackedMask.of(mask)
    assert packed is None or packed_png(packed) == mask_png(mask)


@settings(deadline=None, max_examples=50)
@given(arrays.arrays(st.sampled_from([np.uint8, np.uint16]), shapes))
def test_greys(values):
    image = opened(grey_png(values))
    assert image.mode == ("L" if values.dtype == np.uint8 else "I;16")
    assert (np.asarray(image) == values).all()


def test_masks_that_are_no_contiguous_arrays_and_pictures():
    mask = np.random.default_rng(0).random((20, 30)) > 0.5
    assert (np.asarray(opened(mask_png(mask[::2, ::3].T))) == mask[::2, ::3].T).all()
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    assert (np.asarray(opened(rgb_png(pixels))) == pixels).all()


def test_other_programs_read_them():
    cv2 = pytest.importorskip("cv2")
    mask = np.random.default_rng(0).random((21, 33)) > 0.5
    read = cv2.imdecode(np.frombuffer(mask_png(mask), np.uint8), cv2.IMREAD_UNCHANGED)
    assert (read == np.where(mask, 255, 0)).all()
    labels = np.random.default_rng(0).integers(0, 65536, (21, 33)).astype(np.uint16)
    assert (cv2.imdecode(np.frombuffer(grey_png(labels), np.uint8), cv2.IMREAD_UNCHANGED) == labels).all()


def test_json_is_ascii_and_never_holds_what_json_cannot():
    body = answer({"half": "\ud800", "é": 1}).body
    assert json.loads(bytes(body)) == {"half": "\ud800", "é": 1} and bytes(body).isascii()
    with pytest.raises(ValueError, match="JSON"):
        answer({"x": float("nan")})


def test_data_urls_go_both_ways():
    data = bytes(range(256))
    assert picture_bytes(data_url(data)) == data == picture_bytes(base64.b64encode(data).decode())
    for text in ("", "data:image/png;base64,", "data:image/png,x", "data:", "é", "A", "\ud800"):
        with pytest.raises(InvalidInput):
            picture_bytes(text)


@pytest.mark.parametrize(
    "written",
    [
        lambda data: base64.b64encode(data).decode(),
        lambda data: base64.encodebytes(data).decode(),
        lambda data: base64.encodebytes(data).decode().replace("\n", "\r\n"),
        lambda data: base64.b64encode(data).decode() + "\n",
        lambda data: "\ufeff  " + base64.b64encode(data).decode(),
        lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
        lambda data: "data:image/png;base64," + base64.encodebytes(data).decode(),
        lambda data: "\n data:image/png;name=a.png;base64,\t" + base64.b64encode(data).decode(),
        lambda data: "DATA:IMAGE/PNG;BASE64," + base64.b64encode(data).decode(),
        lambda data: "data:;base64," + quote(base64.b64encode(data).decode(), safe=""),
    ],
)
def test_base64_as_programs_write_it(written):
    data = bytes(range(256)) * 3 + b"\xfb\xff"
    assert picture_bytes(written(data)) == data


@pytest.mark.parametrize(
    "text", ["", " \n", "*", "x", "data:,abc", "data:image/png;base64", "data:image/png;base64,", "QUJD=QUJD", "é" * 4]
)
def test_what_is_no_base64_is_refused(text):
    with pytest.raises(InvalidInput):
        picture_bytes(text)
