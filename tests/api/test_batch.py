"""Several pictures at once over HTTP: a selection in another picture, and many files in one."""

from __future__ import annotations

import io
import zipfile

import numpy as np
from PIL import Image

from clickpaint.api import schemas
from tests.api.test_workspaces import IMAGE, RED, checked_answer, mask_of, opened
from tests.toys.studio import array_of

LARGE = np.kron(IMAGE, np.ones((3, 3, 1), np.uint8))


def test_a_selection_is_made_in_another_picture_whatever_its_size(client):
    first, second = (f"workspaces/{opened(client, image)['id']}" for image in (IMAGE, LARGE))
    id = first.split("/")[1]
    answer = client.post(f"{second}/select-as-in", json={"workspace": id})
    assert answer.status_code == 400 and answer.json()["message"] == "Nothing is selected in toy.png."
    checked_answer(schemas.SelectAnswer, client.post(f"{first}/select", json={"points": [{"x": 30, "y": 20}]}))
    checked_answer(schemas.EraseAnswer, client.post(f"{first}/erase", json={"grow": 0}))
    checked_answer(schemas.SelectAnswer, client.post(f"{first}/select", json={"points": [{"x": 1, "y": 1}]}))

    state = checked_answer(schemas.StateAnswer, client.post(f"{second}/select-as-in", json={"workspace": id, "version": 1}))
    mask = np.asarray(Image.open(io.BytesIO(client.get(f"{second}/mask").content)).convert("L")) > 0
    assert (mask != np.kron(RED, np.ones((3, 3), bool))).mean() < 0.01, "what was selected when that version was made"
    assert state["selection"]["box"] == [3 * edge for edge in _box(RED)]
    checked_answer(schemas.StateAnswer, client.post(f"{second}/select-as-in", json={"workspace": id, "version": 1, "how": "box"}))
    assert mask_of(checked_answer(schemas.StateAnswer, client.post(f"{second}/undo"))["selection"]["mask"]).any()
    assert client.post(f"{second}/select-as-in", json={"workspace": id, "how": "far"}).status_code == 422
    assert client.post(f"{second}/select-as-in", json={"workspace": "none"}).status_code == 404


def _box(mask):
    rows, columns = np.nonzero(mask.any(axis=1))[0], np.nonzero(mask.any(axis=0))[0]
    return columns[0], rows[0], columns[-1] + 1, rows[-1] + 1


def test_many_pictures_come_in_one_file(client):
    ids = [opened(client, image, name=name)["id"] for image, name in ((IMAGE, "a.png"), (LARGE, "A.png"), (IMAGE, "b.png"))]
    client.post(f"workspaces/{ids[0]}/select", json={"points": [{"x": 30, "y": 20}]})
    checked_answer(schemas.EraseAnswer, client.post(f"workspaces/{ids[0]}/erase"))
    answer = client.post("archive", json={"pictures": [{"workspace": id} for id in ids]})
    assert answer.headers["content-type"] == "application/zip"
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["a.png", "A (2).png", "b.png"] and archive.testzip() is None
        for id, name in zip(ids, archive.namelist(), strict=True):
            assert np.array_equal(array_of(archive.read(name)), array_of(client.get(f"workspaces/{id}/image").content))
    answer = client.post("archive", json={"pictures": [{"workspace": ids[0], "version": 0}], "format": "webp", "quality": 100})
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.namelist() == ["a.webp"]
    assert client.post("archive", json={"pictures": []}).status_code == 400
    assert client.post("archive", json={"pictures": [{"workspace": "none"}]}).status_code == 404
