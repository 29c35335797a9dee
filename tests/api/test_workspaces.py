from __future__ import annotations

import base64
import io
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from clickpaint.api import cutting_schemas, schemas
from clickpaint.api.router import PREFIX
from tests.toys import shadow_scenes
from tests.toys.studio import FILLED, array_of, file_of, pixels

IMAGE = pixels()
RED = (IMAGE[20, 30] == IMAGE).all(axis=2)
GREY = (IMAGE[0, 0] == IMAGE).all(axis=2)


def opened(client, image=IMAGE, format="PNG", name="toy.png"):
    response = client.post("workspaces", files={"file": (name, file_of(image, format))})
    assert response.status_code == 201, response.text
    return response.json()


def data_url(image):
    return "data:image/png;base64," + base64.b64encode(file_of(image)).decode()


def mask_of(url):
    head, _, data = url.partition(",")
    assert head == "data:image/png;base64"
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    assert len(image.getbands()) == 1
    return np.asarray(image.convert("L"))


def checked_answer(model, response, status=200):
    """The answer, known to be what the documentation says: all its fields, and no others."""
    assert response.status_code == status, response.text
    answer = response.json()
    checked = model(**answer)
    documented = checked.model_dump() if hasattr(checked, "model_dump") else checked.dict()
    assert set(answer) <= set(documented), set(answer) - set(documented)
    return answer


def test_the_whole_job(client):
    first = checked_answer(schemas.WorkspaceAnswer, client.post("workspaces", files={"file": ("a/b\\dog.png", file_of(IMAGE))}), 201)
    assert (first["width"], first["height"], first["format"], first["name"]) == (60, 40, "PNG", "dog.png")
    assert (first["segmenter"], first["version"], first["can_undo"], first["can_redo"]) == ("classic", 0, False, False)
    url = f"workspaces/{first['id']}"

    answer = checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 30, "y": 20.5}]}))
    assert answer["chosen"] == 0 and [c["score"] for c in answer["candidates"]] == [0.9, 0.7, 0.5]
    assert (mask_of(answer["candidates"][0]["mask"]) == np.where(RED, 255, 0)).all()
    assert (mask_of(answer["selection"]["mask"]) == np.where(RED, 255, 0)).all()
    assert (answer["selection"]["area"], answer["selection"]["box"]) == (RED.sum(), [20, 13, 40, 26])
    assert answer["candidates"][2]["box"] is None and answer["candidates"][2]["area"] == 0
    assert (array_of(client.get(f"{url}/mask").content) == RED).all()

    more = {"points": [{"x": 30, "y": 20}, {"x": 0, "y": 0, "label": 1}], "mode": "add", "previous": 0, "candidate": 1}
    assert checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json=more))["selection"]["area"] == RED.sum() + 2 - 1
    assert (
        checked_answer(schemas.StateAnswer, client.post(f"{url}/choose", json={"candidate": 0}))["selection"]["area"] == (RED | GREY).sum()
    )
    for _ in range(2):
        back = checked_answer(schemas.StateAnswer, client.post(f"{url}/undo"))
    assert back["can_redo"] and back["selection"]["area"] == RED.sum()

    erased = checked_answer(schemas.EraseAnswer, client.post(f"{url}/erase", json={"grow": 0, "feather": "auto"}))
    assert (erased["grow"], erased["feather"], erased["edge"]) == (0, 0, {"grow": 1, "feather": 0})
    assert (erased["version"], erased["eraser"], erased["selection"], erased["can_undo"]) == (1, "classic", None, True)
    result = array_of(client.get(f"{url}/image").content)
    assert (result[RED] == FILLED).all() and (result[~RED] == IMAGE[~RED]).all()
    for version in ("original", "0"):
        assert (array_of(client.get(f"{url}/image", params={"version": version}).content) == IMAGE).all()
    back = checked_answer(schemas.StateAnswer, client.post(f"{url}/undo"))
    assert (back["version"], back["label"], back["selection"]["area"], back["can_redo"]) == (0, "Remove", RED.sum(), True)
    assert (array_of(client.get(f"{url}/image", params={"version": 1}).content) == result).all()
    assert checked_answer(schemas.StateAnswer, client.post(f"{url}/redo"))["version"] == 1
    assert checked_answer(schemas.WorkspaceAnswer, client.get(url))["versions"] == [0, 1]

    assert client.delete(url).status_code == 204
    for response in (client.get(url), client.delete(url), client.post(f"{url}/undo")):
        assert response.status_code == 404 and response.json()["error"] == "NotFound"


def test_a_preview_answers_and_changes_nothing(client):
    url = f"workspaces/{opened(client)['id']}"
    answer = checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 30, "y": 20}], "preview": True}))
    assert answer["selection"]["area"] == RED.sum() and not answer["can_undo"]
    assert client.get(url).json()["selection"] is None
    assert not array_of(client.get(f"{url}/mask").content).any()


def test_operations_on_the_mask(client):
    url = f"workspaces/{opened(client)['id']}/mask"

    def do(*operations) -> Any:
        answer = checked_answer(schemas.StateAnswer, client.post(url, json={"operations": list(operations)}))
        return None if answer["selection"] is None else mask_of(answer["selection"]["mask"])

    assert (do({"op": "all"}) == 255).all()
    assert do({"op": "clear"}) is None
    assert do({"op": "box", "box": [0, 0, 10.2, 10]}).sum() == 100 * 255
    stroke = {"points": [[30, 20], [40, 20]], "radius": 3}
    brushed = do({"op": "clear"}, {"op": "strokes", "strokes": [stroke]})
    assert brushed[20, 30:41].all() and brushed[17, 35] and not brushed[15].any()
    assert do({"op": "strokes", "strokes": [{**stroke, "erase": True}]}) is None
    assert do({"op": "lasso", "points": [[0, 0], [20, 0], [20, 20], [0, 20]], "mode": "replace"})[5:15, 5:15].all()
    assert (
        do({"op": "upload", "image": data_url(np.where(RED, 255, 0).astype(np.uint8)), "mode": "replace"}) == np.where(RED, 255, 0)
    ).all()
    assert (do({"op": "invert"}) == np.where(RED, 0, 255)).all()
    assert (do({"op": "invert"}, {"op": "grow", "amount": 2}) > 0).sum() > RED.sum()
    soft = do({"op": "feather", "amount": 4})
    assert len(np.unique(soft)) > 3 and (soft[RED] == 255).all()


def test_everything_and_its_regions(client):
    url = f"workspaces/{opened(client)['id']}"
    answer = checked_answer(schemas.EverythingAnswer, client.post(f"{url}/everything"))
    labels = array_of(base64.b64decode(answer["labels"].partition(",")[2]))
    assert labels.dtype.itemsize >= 2 and len(answer["regions"]) == 3 and set(np.unique(labels)) == {1, 2, 3}
    assert array_of(base64.b64decode(answer["overview"].partition(",")[2])).shape == IMAGE.shape
    index = int(labels[20, 30]) - 1
    assert answer["regions"][index]["box"] == [20, 13, 40, 26]
    picked = client.post(f"{url}/mask", json={"operations": [{"op": "region", "index": index, "mode": "replace"}]}).json()
    assert picked["selection"]["area"] == RED.sum()
    assert client.post(f"{url}/everything", json={"points_per_side": 8, "pred_iou_thresh": 0.5}).status_code == 200
    assert client.post(f"{url}/everything", json={"points_per_side": 0}).status_code == 400


@pytest.mark.parametrize("format", ["PNG", "JPEG", "WEBP"])
def test_formats_in_and_out(client, format):
    first = opened(client, format=format, name="Hund & Katz.x")
    url = f"workspaces/{first['id']}/image"
    assert first["format"] == format
    for wanted, kind in (("png", "PNG"), ("jpeg", "JPEG"), ("webp", "WEBP"), ("source", format)):
        response = client.get(url, params={"format": wanted, "download": "1"})
        assert Image.open(io.BytesIO(response.content)).format == kind
        assert response.headers["content-type"] == f"image/{kind.lower()}"
        suffix = {"PNG": "png", "JPEG": "jpg", "WEBP": "webp"}[kind]
        assert response.headers["content-disposition"] == f"attachment; filename*=UTF-8''Hund%20%26%20Katz.{suffix}"
    assert "content-disposition" not in client.get(url).headers
    assert client.get(url, params={"format": "exe"}).status_code == 400
    assert client.get(url, params={"version": "7"}).status_code == 404


@pytest.mark.parametrize("prefix", ["", "data:image/png;base64,", "data:;base64,"])
def test_opening_from_json(client, prefix):
    text = prefix + base64.b64encode(file_of(IMAGE)).decode()
    answer = checked_answer(schemas.WorkspaceAnswer, client.post("workspaces", json={"image": text, "name": "é.png"}), 201)
    assert (answer["width"], answer["name"]) == (60, "é.png")


def test_without_a_session(client):
    answer = checked_answer(
        schemas.CandidatesAnswer, client.post("segment", json={"image": data_url(IMAGE), "points": [{"x": 30, "y": 20}]})
    )
    assert (mask_of(answer["candidates"][0]["mask"]) == np.where(RED, 255, 0)).all()
    for everything in (True, {"points_per_side": 4}):
        answer = checked_answer(schemas.EverythingAnswer, client.post("segment", json={"image": data_url(IMAGE), "everything": everything}))
        assert len(answer["regions"]) == 3
    body = {"image": data_url(IMAGE), "mask": data_url(np.where(RED, 255, 0).astype(np.uint8)), "grow": 0, "feather": 0}
    answer = checked_answer(schemas.ErasePictureAnswer, client.post("erase", json=body))
    assert answer["image"].startswith("data:image/png;base64,") and answer["eraser"] == "classic"
    result = array_of(base64.b64decode(answer["image"].partition(",")[2]))
    assert (result[RED] == FILLED).all() and (result[~RED] == IMAGE[~RED]).all()
    assert client.post("erase", json={**body, "format": "webp"}).json()["image"].startswith("data:image/webp;base64,")
    refused = client.post("erase", json={**body, "grain": 0.5})  # the toy eraser puts in none
    assert refused.status_code == 400 and "grain" in refused.json()["message"]


def test_cropping_and_cutting_out(client):
    url = f"workspaces/{opened(client)['id']}"
    cropped = checked_answer(schemas.StateAnswer, client.post(f"{url}/crop", json={"box": [20, 10, 50, 30]}))
    assert (cropped["width"], cropped["height"], cropped["label"], cropped["version"]) == (30, 20, "Crop", 1)
    assert client.get(url).json()["offsets"] == {"0": [0, 0], "1": [-20, -10]}
    assert (array_of(client.get(f"{url}/image").content) == IMAGE[10:30, 20:50]).all()
    assert client.post(f"{url}/crop", json={"box": [0, 0, 31, 20]}).status_code == 400
    client.post(f"{url}/select", json={"points": [{"x": 10, "y": 10}]})
    cut = checked_answer(cutting_schemas.CutOutAnswer, client.post(f"{url}/cutout", json={"feather": 0}))
    assert (cut["box"], cut["method"], cut["feather"], cut["name"]) == ([0, 3, 20, 16], "feathered", 0, "toy_cutout.png")
    shown = array_of(base64.b64decode(cut["image"].partition(",")[2]))
    assert shown.shape == (13, 20, 4) and (shown[..., 3] == 255).all()
    body = {"image": data_url(IMAGE), "mask": data_url(np.where(RED, 255, 0).astype(np.uint8)), "feather": 0, "whole": True}
    alone = checked_answer(cutting_schemas.CutOutAnswer, client.post("cutout", json=body))
    assert (array_of(base64.b64decode(alone["image"].partition(",")[2]))[..., 3] == np.where(RED, 255, 0)).all()
    part = checked_answer(cutting_schemas.CroppedAnswer, client.post("crop", json={"image": data_url(IMAGE), "box": [0, 0, 9, 8]}))
    assert (part["width"], part["height"]) == (9, 8)


def test_users_at_once_never_mix(app):
    def session(number):
        client = TestClient(app, base_url=f"http://testserver{PREFIX}/")
        own = pixels(50, 30, background=(number, 2 * number, 90), colour=(250 - number, 20, number))
        url = f"workspaces/{opened(client, own)['id']}"
        for y, x in ((15, 25), (0, 0)):
            mask = (own == own[y, x]).all(axis=2)
            answer = client.post(f"{url}/select", json={"points": [{"x": x, "y": y}]}).json()
            assert (mask_of(answer["selection"]["mask"]) == np.where(mask, 255, 0)).all()
            client.post(f"{url}/erase", json={})
            own[mask] = FILLED
            assert (array_of(client.get(f"{url}/image").content) == own).all()

    with ThreadPoolExecutor(5) as pool:
        assert list(pool.map(session, range(10, 110, 20))) == [None] * 5


def test_the_shadow_of_the_selection_is_told_before_it_is_removed(client):
    scene = shadow_scenes.scene(shadow_scenes.ground("sand"), shadow_scenes.thrown(110, 34, 2.0))
    url = f"workspaces/{opened(client, scene)['id']}"
    nothing = checked_answer(schemas.ShadowAnswer, client.get(f"{url}/shadow"))
    assert nothing == {"mask": None, "box": None, "confidence": 0.0, "sure": False, "reflected": False}
    client.post(f"{url}/mask", json={"operations": [{"op": "box", "box": [160, 66, 240, 194]}]})
    seen = checked_answer(schemas.ShadowAnswer, client.get(f"{url}/shadow"))
    assert seen["sure"] and not seen["reflected"]
    mask = mask_of(seen["mask"]) > 0
    left, top, right, bottom = seen["box"]
    assert mask[top:bottom, left:right].sum() == mask.sum() > 1000
    done = checked_answer(schemas.EraseAnswer, client.post(f"{url}/erase", json={"shadow": True, "grow": 0, "feather": 0}))
    assert done["changed"][2] >= right
