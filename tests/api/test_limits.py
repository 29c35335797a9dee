"""No request, however it is built, costs much more memory than its own length: everything is counted before it is looked at."""

from __future__ import annotations

import base64
import itertools
import json
import subprocess
import sys
from typing import get_args, get_type_hints

import pytest
from fastapi.routing import APIRoute

from clickpaint.api import caption_schemas, control_schemas, json_body, pydantic_compat, route, schemas, video_schemas
from clickpaint.api.router import PREFIX
from clickpaint.errors import InvalidInput, TooLarge
from tests.toys.studio import file_of, pixels

MEGABYTE = 1 << 20
JSON = {"content-type": "application/json"}


def bodies_with_schema():
    limits = {}
    for module in (schemas, caption_schemas, control_schemas, video_schemas):
        for kind in vars(module).values():
            if not getattr(kind, "__args__", ()) and isinstance(kind, type) and issubclass(kind, pydantic_compat.Bounded):
                limits[kind.__name__] = kind
    return [*limits.values()]


@pytest.fixture(scope="module")
def paths_that_take_json(router):
    return [
        (one.path.removeprefix(PREFIX + "/"), one)
        for one in router.routes
        if isinstance(one, APIRoute) and "POST" in one.methods and (one.body_field is not None or one.openapi_extra)
    ]


def names_of_fields(one):
    for hint in get_type_hints(one.endpoint).values():
        for kind in (hint, *get_args(hint)):
            if not get_args(kind) and isinstance(kind, type) and issubclass(kind, pydantic_compat.Bounded):
                yield from pydantic_compat.fields_of(kind)


LONG = {
    "points that are none": lambda size: b'{"points":[' + b"{}," * (size // 3 - 6) + b"{}]}",
    "strokes that are none": lambda size: b'{"strokes":[[' + b"0," * (size // 2 - 10) + b"0]]}",
    "operations that are none": lambda size: b'{"operations":[' + b'{"op":1},' * (size // 9 - 6) + b"{}]}",
    "values of a preprocessor": lambda size: (
        b'{"layers":[{"preprocessor":"canny","values":{' + b",".join(b'"%x":""' % n for n in range(size // 10)) + b"}}]}"
    ),
    "unknown fields": lambda size: b"{" + b",".join(b'"%x":0' % n for n in range(size // 10)) + b"}",
    "a list": lambda size: b"[" + b"[]," * (size // 3 - 6) + b"[]]",
    "depth": lambda size: b"[" * (size // 2) + b"]" * (size // 2),
}


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("workspaces/none/select", "points that are none"), ("workspaces/none/trace", "strokes that are none"),
        ("workspaces/none/mask", "operations that are none"), ("workspaces/none/control", "values of a preprocessor"),
        ("workspaces/none/paint", "unknown fields"), ("interrupt", "a list"), ("control/detect", "unknown fields"), ("segment", "depth"),
        ("workspaces", "a list"),
    ],
)  # fmt: skip
def test_a_megabyte_costs_a_few(client, peak_memory, path, what):
    body, statuses = LONG[what](MEGABYTE // 4), []
    peak = peak_memory(lambda: statuses.append(client.post(path, content=body, headers=JSON).status_code))
    assert 400 <= statuses[-1] < 500
    assert peak < 20 * MEGABYTE, f"{peak >> 20} MB"


def test_the_process_itself_stays_small():
    """What pydantic allocates outside of Python's own memory counts here as well."""
    script = """
import resource, sys, tempfile
from pathlib import Path
from fastapi import FastAPI
from fastapi.testclient import TestClient
from clickpaint.api.access import LocalGate
from clickpaint.api.router import create_router
from tests.toys.studio import toy_studio

app = FastAPI()
app.include_router(create_router(toy_studio(Path(tempfile.mkdtemp())), LocalGate()))
client = TestClient(app, base_url="http://localhost/clickpaint/v1/")

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> (20 if sys.platform == "darwin" else 10)

headers = {"content-type": "application/json"}
client.post("workspaces/none/select", content=b"{}", headers=headers)
before = peak()
for path in ("workspaces/none/select", "workspaces/none/mask", "segment"):
    for count in (200_000, 333_333, 666_666):
        client.post(path, content=b'{"image":"","operations":[],"points":[' + b"{}," * count + b"{}]}", headers=headers)
        assert client.post(path, content=b'{"points":[' + b"{}," * count + b"{}]}", headers=headers).status_code in (400, 413, 422)
print(peak() - before)
"""
    pytest.importorskip("resource")
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 200, f"{done.stdout} MB"


@pytest.mark.parametrize("kind", bodies_with_schema(), ids=lambda kind: kind.__name__)
def test_every_list_object_and_text_of_every_schema_is_counted(kind):
    for name, field in pydantic_compat.fields_of(kind).items():
        schema = pydantic_compat.schema_of(field)
        most = schema.get("maxItems", pydantic_compat.MOST_ITEMS)
        assert most <= 200_000
        for long in ([{}] * (most + 1), {str(number): 0 for number in range(most + 1)}):
            with pytest.raises(InvalidInput, match=f"{name}"):
                kind(**{name: long})
        if schema.get("format") != "byte":
            with pytest.raises(InvalidInput, match=f"letters in {name}"):
                kind(**{name: "x" * (schema.get("maxLength", pydantic_compat.MOST_LETTERS) + 1)})


def test_only_bodies_with_a_picture_may_be_large(client, studio, paths_that_take_json):
    large = {path for path, one in paths_that_take_json if route._brings_picture(one)}
    assert large == {
        "workspaces", "workspaces/{id}/mask", "workspaces/{id}/erase", "segment", "erase", "paint", "caption", "caption-everything", "find",
        "control/detect", "text", "cutout", "crop", "models/files", "word-maps", "generate", "enlarge",
        "workspaces/{id}/paint", "workspaces/{id}/results/{index}/refine", "videos/{id}/fill", "videos/{id}/replace",
        "datasets/{name}/import", "datasets/{name}/examples",
    }  # fmt: skip
    clips = {path for path, one in paths_that_take_json if route._brings_clip(one)}
    assert clips == {"videos", "videos/{id}/objects/{object}/masks"}
    studio.host.settings["max_upload_mb"] = 8
    text = json.dumps({"prompt": "x" * (3 * MEGABYTE)})
    for path, _ in paths_that_take_json:
        answer = client.post(path.replace("{id}", "none"), content=text, headers=JSON)
        assert (answer.status_code == 413) == (path not in large and path != "videos/{id}/objects/{object}/masks"), path
        if answer.status_code == 413:
            assert "2 MB" in answer.json()["message"]


@pytest.mark.parametrize("levels", [json_body.MOST_LEVELS + 1, 100_000])
def test_depth(client, levels):
    answer = client.post("segment", content=b'{"image":' + b"[" * levels + b"]" * levels + b"}", headers=JSON)
    assert answer.status_code == 400 and "nested" in answer.json()["message"]
    with pytest.raises(InvalidInput, match="nested"):
        json_body.parse(b"[" * levels + b"]" * levels)
    assert json_body.parse(b"[" * json_body.MOST_LEVELS + b"]" * json_body.MOST_LEVELS)


def test_values_are_counted_before_any_is_made(monkeypatch):
    monkeypatch.setattr(json_body.json, "loads", lambda data: pytest.fail("parsed"))
    with pytest.raises(TooLarge):
        json_body.parse(b"[" + b"{}," * json_body.MOST_VALUES + b"{}]")


HALVES = ["\\ud800", "x\\udfff.png", "\\udc80 \\ud83d"]


@pytest.mark.parametrize("half", HALVES)
def test_half_a_surrogate_pair_comes_no_further_than_the_parser(half):
    document = json_body.parse(f'{{"a": ["{half}", {{"{half}": 1}}], "whole": "\\ud83d\\ude00é"}}'.encode())
    json.dumps(document, ensure_ascii=False).encode("utf-8")
    assert document["whole"] == "😀é"


def opened_as(client, name, image):
    return client.post("workspaces", content=f'{{"image": "{image}", "name": "{name}"}}', headers=JSON).json()["id"]


def test_half_a_surrogate_pair_in_every_text_of_every_body(client, studio, paths_that_take_json):
    """What the parser makes of each is shown above: here they take turns."""
    image, halves = base64.b64encode(file_of(pixels())).decode(), itertools.cycle(HALVES)
    id = opened_as(client, HALVES[0], image)
    for path, one in paths_that_take_json:
        for name in names_of_fields(one):
            text = f'{{"image": "{image}", "{name}": "{next(halves)}"}}'
            answer = client.post(path.replace("{id}", id).replace("{index}", "0"), content=text, headers=JSON)
            assert answer.status_code < 500, (path, name)


@pytest.mark.parametrize("half", HALVES)
def test_half_a_surrogate_pair_in_a_name_and_in_what_is_written_down(client, studio, half):
    id = opened_as(client, half, base64.b64encode(file_of(pixels())).decode())
    assert client.get(f"workspaces/{id}/image", params={"download": "1"}).status_code == 200
    for path, field in (
        ("find", "phrase"),
        ("chat", "question"),
        ("results/rank", "prompt"),
        ("paint", "prompt"),
        ("caption", "captioner"),
    ):
        answer = client.post(f"workspaces/{id}/{path}", content=f'{{"{field}": "{half}"}}', headers=JSON)
        assert 400 <= answer.status_code < 500, path


def test_half_a_surrogate_pair_in_headers_and_forms(client):
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xed\xa0\x80.png"\r\n\r\n'
    body = head + file_of(pixels()) + b"\r\n--b--\r\n"
    for kind in ("multipart/form-data; boundary=b", "multipart/form-data; boundary=b; charset=utf-16"):
        answer = client.post("workspaces", content=body, headers={"content-type": kind, "x-name": b"\xed\xa0\x80"})
        assert answer.status_code in (201, 400)
        if answer.status_code == 201:
            assert client.get(f"workspaces/{answer.json()['id']}/image", params={"download": "1"}).status_code == 200
