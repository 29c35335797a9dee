"""Data sets over HTTP: kept from selections, edits and maps, changed, described, masked, exported and imported."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from PIL import Image

from clickpaint.api import datasets_schemas as schemas
from clickpaint.api import schemas as common
from clickpaint.train.dataset.examples import LAYOUTS
from clickpaint.train.dataset.layout_reading import open_data_set
from clickpaint.train.dataset.picture_reading import mask_of, read_picture
from tests.api.test_workspaces import IMAGE, RED, checked_answer, data_url, opened


def kept(client, id, **body):
    return checked_answer(schemas.KeptAnswer, client.post(f"workspaces/{id}/keep-for-training", json={"dataset": "reds", **body}))


def everything_of(data_set):
    return sorted(
        (
            example.picture.stem, example.caption, example.repeats, read_picture(example.picture).digest,
            None if (mask := mask_of(example)) is None else mask.tobytes(),
        )
        for example in data_set.examples
    )  # fmt: skip


def test_what_is_clicked_is_kept_and_goes_out_and_in_again(client, studio, tmp_path):
    id = opened(client, IMAGE)["id"]
    nothing = client.post(f"workspaces/{id}/keep-for-training", json={"dataset": "reds"})
    assert nothing.status_code == 400 and client.get("datasets").json() == []
    checked_answer(common.SelectAnswer, client.post(f"workspaces/{id}/select", json={"points": [{"x": 30, "y": 20}]}))
    answer = kept(client, id, trigger="ohwx", caption="a red square", repeats=2)
    assert answer["ids"] == ["toy"] and answer["examples"] == 1
    example = studio.training_data.collection.get("reds").examples[0]
    assert np.array_equal(read_picture(example.picture).pixels, IMAGE) and np.array_equal(mask_of(example) == 255, RED)

    studio.host.can_caption = True
    client.post(f"workspaces/{id}/everything", json={})
    second = kept(client, id, what="regions", regions=[0, 1], trigger="other")
    wrong = {"dataset": "reds", "what": "regions", "regions": [0, 1], "captions": ["one"]}
    assert client.post(f"workspaces/{id}/keep-for-training", json=wrong).status_code == 400
    assert len(second["ids"]) == 2 and all(second["captions"]) and client.get("datasets").json()[0]["trigger"] == "ohwx"
    wrong = {"dataset": "reds", "what": "regions", "regions": [99]}
    assert client.post(f"workspaces/{id}/keep-for-training", json=wrong).status_code == 400

    shown = client.get("datasets/reds").json()
    checked_answer(schemas.DataSetAnswer, client.get("datasets/reds"))
    assert shown["examples"][0]["prompt"] == "ohwx, a red square"
    assert shown["balance"]["turns"] == 4 and shown["balance"]["largest_source"] == 1.0
    thumbnail = client.get(shown["examples"][0]["thumbnail"])
    pixels = np.asarray(Image.open(io.BytesIO(thumbnail.content))).astype(int)
    assert np.abs(pixels[RED] - IMAGE[RED]).mean() < 12 and pixels[~RED].mean() < 0.5 * IMAGE[~RED].mean()

    changes = [{"id": "toy", "caption": "a square", "repeats": 5}, {"id": "toy_2", "caption": "a field"}]
    checked_answer(schemas.DataSetSummary, client.patch("datasets/reds", json={"trigger": "sks", "examples": changes}))
    assert client.patch("datasets/reds", json={"examples": [{"id": "none", "caption": ""}]}).status_code == 404
    for layout in ("onetrainer", "kohya", "kohya-alpha", "imagefolder"):
        packed = client.get("datasets/reds/export", params={"layout": layout})
        with zipfile.ZipFile(io.BytesIO(packed.content)) as archive:
            archive.extractall(tmp_path / layout)
        assert everything_of(open_data_set(tmp_path / layout)) == everything_of(studio.training_data.collection.get("reds"))
        file = {"file": ("set.zip", packed.content, "application/zip")}
        imported = checked_answer(schemas.ImportedAnswer, client.post(f"datasets/{layout}/import", files=file))
        assert imported["imported"] == 3 and client.get(f"datasets/{layout}").json()["trigger"] == "sks"
    assert set(client.get("datasets/reds").json()["layouts"]) == set(LAYOUTS) == set(schemas.Layout.__args__)
    assert client.delete("datasets/reds/examples/toy_2").status_code == 204
    assert client.delete("datasets/kohya").status_code == 204
    assert {row["name"]: row["examples"] for row in client.get("datasets").json()} == {
        "reds": 2, "onetrainer": 3, "kohya-alpha": 3, "imagefolder": 3
    }  # fmt: skip


def test_edits_and_maps_are_kept_as_pairs(client, studio, tmp_path):
    id = opened(client, IMAGE)["id"]
    assert client.post(f"workspaces/{id}/keep-for-training", json={"dataset": "reds", "what": "edit"}).status_code == 400
    client.post(f"workspaces/{id}/select", json={"points": [{"x": 30, "y": 20}]})
    client.post(f"workspaces/{id}/erase", json={"grow": 0, "feather": 0})
    kept(client, id, what="edit", caption="remove the square")
    made = client.post(f"workspaces/{id}/control", json={"layers": [{"preprocessor": "canny"}]}).json()
    kept(client, id, what="map", map=made["map"], caption="a field")
    pair, mapped = studio.training_data.collection.get("reds").examples
    after = studio.workspace(id).picture().pixels
    assert np.array_equal(read_picture(pair.before).pixels, IMAGE) and np.array_equal(read_picture(pair.picture).pixels, after)
    assert not np.array_equal(IMAGE, after) and np.array_equal(mask_of(pair) == 255, RED)
    assert read_picture(mapped.control_map).size == read_picture(mapped.picture).size
    for layout, caption in (("instruct", "remove the square"), ("controlnet", "a field")):
        packed = client.get("datasets/reds/export", params={"layout": layout})
        zipfile.ZipFile(io.BytesIO(packed.content)).extractall(tmp_path / layout)
        (example,) = open_data_set(tmp_path / layout).examples
        assert example.caption == caption and (example.before if layout == "instruct" else example.control_map) is not None
    for what in ("map", "before"):
        answers = [client.get(f"datasets/reds/examples/{name}/thumbnail", params={"what": what}).status_code for name in ("toy", "toy_2")]
        assert answers == ([404, 200] if what == "map" else [200, 404])


def test_a_set_is_described_and_masked_in_a_row(client, studio):
    checked_answer(schemas.DataSetSummary, client.post("datasets", json={"name": "row"}), 201)
    assert client.post("datasets", json={"name": "Row"}).status_code == 400
    for _ in range(2):
        body = {"image": data_url(IMAGE), "name": "photo.jpg", "caption": ""}
        checked_answer(schemas.KeptAnswer, client.post("datasets/row/examples", json=body))
    assert client.post("datasets/row/caption", json={}).status_code == 409, "there is no captioner"
    studio.host.can_caption = True
    client.patch("datasets/row", json={"examples": [{"id": "photo", "caption": "mine"}]})
    described = checked_answer(schemas.WorkedThroughAnswer, client.post("datasets/row/caption", json={}))
    assert described["done"] == ["photo_2"], "words that are there stay"
    words = client.get("datasets/row").json()["examples"][1]["caption"]
    masked = checked_answer(schemas.WorkedThroughAnswer, client.post("datasets/row/mask", json={"phrase": words}))
    assert masked["done"] == ["photo", "photo_2"]
    assert all(example["mask"] for example in client.get("datasets/row").json()["examples"])
    missing = client.post("datasets/row/mask", json={"phrase": "zeppelin", "overwrite": True}).json()
    assert missing["done"] == [] and set(missing["failed"]) == {"photo", "photo_2"}


@pytest.mark.parametrize("data", [b"no zip", None])
def test_what_is_no_data_set_is_refused(client, data):
    if data is None:
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("../evil.png", b"x")
            archive.writestr("a.txt", b"0" * 8_000_000)
        data = file.getvalue()
    answer = client.post("datasets/new/import", files={"file": ("a.zip", data, "application/zip")})
    assert answer.status_code in (400, 413) and client.get("datasets").json() == []
