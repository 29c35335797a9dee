"""What the page asks of a picture beyond the whole file: a part to look at, a quality to save with."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.toys.studio import file_of, pixels

IMAGE = pixels()


@pytest.fixture
def address(client) -> str:
    answer = client.post("workspaces", files={"file": ("toy.png", file_of(IMAGE), "image/png")})
    return f"workspaces/{answer.json()['id']}/image"


def test_a_part_has_exactly_the_pixels_of_its_box(client, address):
    answer = client.get(address, params={"box": "3,5,20,17"})
    assert answer.headers["content-type"] == "image/png"
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(answer.content))), IMAGE[5:17, 3:20])


def test_a_part_keeps_its_transparency(client):
    alpha = np.arange(IMAGE.shape[0] * IMAGE.shape[1], dtype=np.uint8).reshape(IMAGE.shape[:2])
    file = io.BytesIO()
    Image.fromarray(np.dstack([IMAGE, alpha])).save(file, "PNG")
    id = client.post("workspaces", files={"file": ("a.png", file.getvalue(), "image/png")}).json()["id"]
    part = client.get(f"workspaces/{id}/image", params={"box": "0,0,9,4"}).content
    assert np.array_equal(np.asarray(Image.open(io.BytesIO(part)))[..., 3], alpha[:4, :9])


@pytest.mark.parametrize("box", ["1,2,3", "a,b,c,d", "-1,0,5,5", "5,0,5,9", "0,0,99999,9", "1.5,0,9,9", "٣,0,9,9", "0,0,999999999999,1"])
def test_a_box_that_cannot_be_is_refused(client, address, box):
    answer = client.get(address, params={"box": box})
    assert answer.status_code == 400
    assert answer.json()["error"] == "InvalidInput" and answer.json()["remedy"]


def test_a_lower_quality_makes_a_smaller_jpeg(client, address):
    sizes = [len(client.get(address, params={"format": "jpeg", "quality": quality}).content) for quality in (10, 95)]
    assert sizes[0] < sizes[1]


@pytest.mark.parametrize("quality", ["0", "101", "-3", "high", "1e2", "99999999999"])
def test_a_quality_that_cannot_be_is_refused(client, address, quality):
    assert client.get(address, params={"format": "jpeg", "quality": quality}).status_code == 400
