"""Of large pictures only what is looked at travels: masks in a smaller size, and of the picture what changed."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from clickpaint.api import schemas
from tests.api.test_workspaces import checked_answer, mask_of, opened


@pytest.mark.parametrize("mode", ["replace", "add"])
def test_masks_come_as_they_are_looked_at_and_are_whole_where_they_are_used(client, mode):
    image = np.full((300, 700, 3), (90, 90, 90), np.uint8)
    image[30:201, 100:301] = (200, 40, 40)
    image[210:280, 400:650] = (40, 40, 200)
    url = f"workspaces/{opened(client, image)['id']}"
    whole = checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 110, "y": 40}]}))
    body = {"points": [{"x": 500, "y": 250}], "mode": mode}
    answer = checked_answer(schemas.SelectAnswer, client.post(f"{url}/select?mask_side=350", json=body))
    assert mask_of(whole["selection"]["mask"]).shape == (300, 700) and mask_of(answer["selection"]["mask"]).shape == (150, 350)
    chosen, spot, nothing = answer["candidates"]
    assert mask_of(chosen["mask"]).shape == (150, 350) and mask_of(nothing["mask"]).shape == (110, 256)
    assert (nothing["box"], nothing["area"]) == (None, 0)
    assert mask_of(spot["mask"]).shape == (300, 700) and spot["area"] == 1, "too small to be seen there"
    assert chosen["box"] == [400, 210, 650, 280] and chosen["area"] == pytest.approx(70 * 250, rel=0.02)
    red = mode == "add"
    assert answer["selection"]["box"] == ([100, 30, 650, 280] if red else chosen["box"])
    expected = np.zeros((300, 700), np.uint8)
    expected[210:280, 400:650] = 255
    if red:
        expected[30:201, 100:301] = 255
    assert (mask_of(answer["selection"]["mask"])[::10, ::10] == expected[1::20, 1::20]).all()
    png = client.get(f"{url}/mask").content
    assert (np.asarray(Image.open(io.BytesIO(png)).convert("L")) == expected).all(), "to the pixel"
    assert np.asarray(Image.open(io.BytesIO(client.get(f"{url}/mask?mask_side=70").content))).shape == (30, 70)

    back = checked_answer(schemas.StateAnswer, client.post(f"{url}/undo?mask_side=70"))
    assert mask_of(back["selection"]["mask"]).shape == (30, 70) and back["changed"] == [0, 0, 0, 0]
    for side in ("63", "70000", "1.5", "x"):
        assert client.post(f"{url}/redo?mask_side={side}").status_code == 400


def test_undo_says_where_the_picture_changed(client):
    image = np.random.default_rng(1).integers(0, 256, (300, 700, 3), np.uint8)
    image[30:60, 600:640] = (200, 40, 40)
    url = f"workspaces/{opened(client, image)['id']}"
    client.post(f"{url}/mask", json={"operations": [{"op": "box", "box": [600, 30, 640, 60]}]})
    erased = checked_answer(schemas.EraseAnswer, client.post(f"{url}/erase"))
    for way in ("undo", "redo"):
        left, top, right, bottom = checked_answer(schemas.StateAnswer, client.post(f"{url}/{way}"))["changed"]
        box = erased["changed"]
        assert left <= box[0] and top <= box[1] and right >= box[2] and bottom >= box[3]
        assert (right - left) * (bottom - top) < 300 * 700 / 2
        part = client.get(f"{url}/image", params={"box": f"{left},{top},{right},{bottom}"}).content
        whole = np.asarray(Image.open(io.BytesIO(client.get(f"{url}/image").content)).convert("RGB"))
        assert (np.asarray(Image.open(io.BytesIO(part))) == whole[top:bottom, left:right]).all()
    small = Image.open(io.BytesIO(client.get(f"{url}/image?longest=70").content))
    assert (small.format, small.size) == ("JPEG", (70, 30))
    assert client.get(f"{url}/image?longest=0").status_code == 400
