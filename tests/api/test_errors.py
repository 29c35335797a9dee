from __future__ import annotations

import base64
import itertools
import json
import threading
from concurrent.futures import ThreadPoolExecutor, as_completed

import numpy as np
import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from clickpaint import errors as all_errors
from clickpaint.api import error_responses, schemas
from clickpaint.errors import Sentence
from tests.toys.studio import file_of, pixels


def opened(client):
    return "workspaces/" + client.post("workspaces", files={"file": ("toy.png", file_of(pixels()))}).json()["id"]


def problem(response, status):
    assert response.status_code == status, response.text
    body = response.json()
    schemas.ErrorAnswer(**body)
    assert set(body) == {"error", "message", "remedy", "code", "remedy_code", "data"} and body["message"].endswith(".")
    assert Sentence(body["code"], **body["data"]) == body["message"] and Sentence(body["remedy_code"], **body["data"]) == body["remedy"]
    return body


def test_every_error_but_the_hosts_own_has_a_status_below_500():
    kinds = [one for one in vars(all_errors).values() if isinstance(one, type) and issubclass(one, all_errors.ClickpaintError)]
    kinds.remove(all_errors.AccessDenied)  # it says itself which status it is
    kinds.remove(all_errors.HostFailed)
    assert error_responses.of_error(all_errors.HostFailed("No.")).status_code == 500
    for kind in kinds[1:]:
        assert 400 <= error_responses.of_error(kind("No.")).status_code < 500, kind
    assert error_responses.of_error(all_errors.AccessDenied(403, "No.")).status_code == 403


def test_what_is_wrong_is_said(client):
    url = opened(client)
    assert problem(client.get("workspaces/nobody"), 404)["error"] == "NotFound"
    outside = problem(client.post(f"{url}/select", json={"points": [{"x": 60, "y": 2}]}), 400)
    assert "(60, 2)" in outside["message"] and "59" in outside["remedy"] and outside["data"]["width"] == 60
    assert "image" in problem(client.post("segment", json={"points": []}), 422)["message"]
    wrong = problem(client.post(f"{url}/select", json={"points": [{"x": "left", "y": 2}]}), 422)
    assert wrong["data"]["fields"] == ["points.0.x"] and wrong["message"].startswith("points.0.x: ")
    assert "poinst" in problem(client.post(f"{url}/select", json={"poinst": []}), 422)["message"]
    assert problem(client.post(f"{url}/erase"), 400)["remedy"]
    assert problem(client.post(f"{url}/redo"), 400)["message"] == "There is nothing to redo."
    assert problem(client.post("models/eagle/download"), 404)["error"] == "NotFound"
    assert problem(client.post("models/mobile_sam/download"), 409)["error"] == "DownloadFailed"
    assert "PATCH" in problem(client.patch("workspaces"), 404)["message"]
    assert problem(client.get("nowhere/at/all"), 404)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "application/json"), (b"{", "application/json"), (b"[" * 100_000, "application/json"), (b"\xff\xfe\x00", "application/json"),
        (b'{"image": 5}', "application/json"), (b'{"image": "*"}', "application/json"), (b'{"image": "data:,x"}', "application/json"),
        (b'{"image": ""}', "application/json"), (b'"x"', "application/json"), (b"1" * 5000, "application/json"), (b"x", "text/plain"),
        (b"x", "multipart/form-data"), (b"x", "multipart/form-data; boundary=b"), (b"--b\r\n\r\nx", "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="other"; filename="x"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\nx\r\n--b--\r\n', "multipart/form-data; boundary=b"),
        (b'--b\r\nContent-Disposition: form-data; name="file"; filename="x"\r\n\r\n\r\n--b--\r\n', "multipart/form-data; boundary=b"),
    ],
)  # fmt: skip
def test_uploads_that_are_none(client, content, kind):
    problem(client.post("workspaces", content=content, headers={"content-type": kind}), 400)


@pytest.mark.parametrize("number", ["NaN", "1e999", "-Infinity", "1" + "0" * 400, "1e12", "true", '"1"'])
def test_numbers_that_are_none(client, number):
    url = f"{opened(client)}/select"
    for body in (f'{{"points": [{{"x": {number}, "y": 1}}]}}', f'{{"box": [0, 0, 5, {number}]}}'):
        problem(client.post(url, content=body, headers={"content-type": "application/json"}), 422)


def test_half_a_surrogate_pair_survives(client):
    for name in ("\\ud800", "x\\udfff.png"):
        body = f'{{"points": [{{"x": 1, "y": 1}}], "segmenter": "{name}"}}'
        assert problem(client.post(f"{opened(client)}/select", content=body, headers={"content-type": "application/json"}), 400)
        image = base64.b64encode(file_of(pixels())).decode()
        body = f'{{"image": "{image}", "name": "{name}"}}'
        response = client.post("workspaces", content=body, headers={"content-type": "application/json"})
        assert response.status_code == 201
        url = f"workspaces/{response.json()['id']}/image"
        assert client.get(url, params={"download": "1"}).status_code == 200


def test_too_many_of_anything(client):
    url = opened(client)
    assert "1001" in problem(client.post(f"{url}/select", json={"points": [{"x": 1, "y": 1}] * 1001}), 400)["message"]
    problem(client.post(f"{url}/mask", json={"operations": [{"op": "invert"}] * 101}), 400)
    stroke = {"points": [[1, 1]] * 100_001, "radius": 1}
    problem(client.post(f"{url}/mask", json={"operations": [{"op": "strokes", "strokes": [stroke, stroke]}]}), 400)
    problem(client.post(f"{url}/mask", json={"operations": [{"op": "grow", "amount": 513}]}), 400)
    problem(client.post(f"{url}/mask", json={"operations": [{"op": "grow", "amount": -1}]}), 400)


def test_the_size_is_limited_whether_announced_or_not(client, studio):
    limit = 2 * (1 << 20)
    noise = np.random.default_rng(0).integers(0, 256, (1000, 1000, 3), np.uint8)
    assert problem(client.post("workspaces", files={"file": ("big.png", file_of(noise))}), 413)["error"] == "TooLarge"
    assert problem(client.post("segment", content=b"x", headers={"content-type": "application/json", "content-length": "9" * 30}), 413)

    sent = 0

    def chunks():
        nonlocal sent
        for _ in range(64):
            sent += 1 << 20
            yield b" " * (1 << 20)

    for kind in ("application/json", "multipart/form-data; boundary=b"):
        for path in ("workspaces", "segment", f"{opened(client)}/mask"):
            assert problem(client.post(path, content=chunks(), headers={"content-type": kind}), 413)["data"]["limit"] > limit
    many = np.zeros((2001, 2000, 3), np.uint8)
    assert problem(client.post("workspaces", files={"file": ("many.png", file_of(many))}), 413)["data"]["width"] == 2000


def test_busy_and_interrupted(client, studio):
    url = opened(client)
    client.post(f"{url}/select", json={"points": [{"x": 30, "y": 20}]})
    begun, goes_on = threading.Event(), threading.Event()

    def wait(progress):
        begun.set()
        while not goes_on.wait(0.01):
            progress.check()

    studio.eraser.before = wait
    with ThreadPoolExecutor(30) as pool:
        first = pool.submit(client.post, f"{url}/erase", json={})
        assert begun.wait(30)
        others = [pool.submit(client.post, f"{url}/select", json={"points": [{"x": 1, "y": 1}]}) for _ in range(12)]
        refused = _finished(others, 4)
        for one in refused:
            assert problem(one.result(), 429)["error"] == "Busy" and one.result().headers["retry-after"]
        id = url.partition("/")[2]
        tasks = client.get("progress", params={"workspace": id}).json()["tasks"]
        assert {task["kind"] for task in tasks if task["state"] == "running"} == {"erase"}
        assert client.post("interrupt").json() == {"interrupted": 0}
        assert client.post("interrupt", json={"workspace": id}).json() == {"interrupted": 9}
        assert problem(first.result(30), 409)["error"] == "Interrupted"
        for one in others:
            one.result(30)
    goes_on.set()
    assert client.post(f"{url}/erase", json={}).status_code == 200


def _finished(calls, count):
    """The first `count` of the calls that have an answer; the others wait for what is being computed."""
    return list(itertools.islice(as_completed(calls, timeout=120), count))


def test_what_nobody_foresaw_shows_nothing_of_the_inside(client, studio, caplog):
    url = opened(client)

    def fail(progress):
        raise RuntimeError("/secret/path")

    studio.segmenter.before_predicting = fail
    response = client.post(f"{url}/select", json={"points": [{"x": 1, "y": 1}]})
    assert response.status_code == 500 and "secret" not in response.text and response.json()["remedy"]
    assert "/secret/path" in caplog.text


def test_running_out_of_memory_is_not_our_servers_fault(client, studio):
    url = opened(client)

    def fail(progress):
        raise RuntimeError("CUDA out of memory. Tried to allocate 20 GiB")

    studio.segmenter.before_predicting = fail
    assert problem(client.post(f"{url}/select", json={"points": [{"x": 1, "y": 1}]}), 413)["error"] == "OutOfMemory"
    studio.decode = fail  # type: ignore[method-assign]
    assert problem(client.post("workspaces", files={"file": ("toy.png", b"x")}), 413)["error"] == "OutOfMemory"


def test_a_host_keeps_its_own_errors(app, router):
    app = FastAPI()

    @app.get("/own/{number}")
    def own(number: int):
        return number

    app.include_router(router)
    client = TestClient(app)
    assert "detail" in client.get("/own/x").json() and client.get("/nowhere").json() == {"detail": "Not Found"}
    problem(client.get("/clickpaint/v1/nowhere"), 404)


def test_all_is_documented(app):
    document = TestClient(app).get("/openapi.json").json()
    json.dumps(document)
    paths = {path: set(methods) for path, methods in document["paths"].items()}
    v1 = "/clickpaint/v1"
    assert {path.removeprefix(v1): methods for path, methods in paths.items()} == {
        "/workspaces": {"get", "post"}, "/workspaces/{id}": {"get", "delete"}, "/workspaces/{id}/save": {"post"},
        "/workspaces/{id}/thumbnail": {"get"}, "/workspaces/{id}/select": {"post"},
        "/workspaces/{id}/choose": {"post"}, "/workspaces/{id}/mask": {"get", "post"}, "/workspaces/{id}/everything": {"post"},
        "/workspaces/{id}/erase": {"post"}, "/workspaces/{id}/undo": {"post"}, "/workspaces/{id}/redo": {"post"},
        "/workspaces/{id}/image": {"get"}, "/segment": {"post"}, "/erase": {"post"}, "/capabilities": {"get"}, "/models": {"get"},
        "/models/{name}/download": {"post"}, "/models/{name}/cancel": {"post"}, "/models/{name}/verify": {"post"},
        "/workspaces/{id}/paint": {"post"}, "/workspaces/{id}/preview": {"get"}, "/workspaces/{id}/results/{index}": {"get"},
        "/workspaces/{id}/results/{index}/use": {"post"}, "/workspaces/{id}/results/{index}/refine": {"post"},
        "/control-names": {"get"},
        "/control/preprocessors": {"get"}, "/control/detect": {"post"}, "/control/version": {"get"}, "/control/settings": {"get"},
        "/control/model_list": {"get"}, "/control/module_list": {"get"}, "/control/control_types": {"get"},
        "/workspaces/{id}/control": {"post"}, "/workspaces/{id}/control/{map}": {"get"},
        "/workspaces/{id}/control/{map}/keep": {"post"}, "/workspaces/{id}/control/{map}/select": {"post"},
        "/checkpoint": {"post"},
        "/checkpoint/prepare": {"post"},
        "/paint": {"post"},
        "/enlarge": {"post"},
        "/generate": {"post"},
        "/workspaces/{id}/control/pose": {"post"},
        "/captioners": {"get"},
        "/workspaces/{id}/caption": {"post"},
        "/workspaces/{id}/chat": {"delete", "get", "post"},
        "/workspaces/{id}/caption-everything": {"post"},
        "/workspaces/{id}/find": {"post"},
        "/workspaces/{id}/trace": {"post"},
        "/workspaces/{id}/results/rank": {"post"},
        "/caption": {"post"},
        "/caption-everything": {"post"},
        "/find": {"post"},
        "/progress": {"get"}, "/events": {"get"}, "/interrupt": {"post"}, "/samples": {"get"}, "/samples/{name}": {"get"},
        "/samples/{name}/thumbnail": {"get"},
        "/systems": {"get"},
        "/steering": {"get"},
        "/workspaces/{id}/animate": {"post"},
        "/workspaces/{id}/word-maps": {"post"},
        "/workspaces/{id}/word-maps/select": {"post"},
        "/word-maps": {"post"},
        "/datasets": {"get", "post"},
        "/datasets/{name}": {"delete", "get", "patch"},
        "/datasets/{name}/examples/{id}": {"delete"},
        "/workspaces/{id}/keep-for-training": {"post"},
        "/datasets/{name}/examples": {"post"},
        "/datasets/{name}/caption": {"post"},
        "/datasets/{name}/mask": {"post"},
        "/datasets/{name}/examples/{id}/thumbnail": {"get"},
        "/datasets/{name}/export": {"get"},
        "/datasets/{name}/import": {"post"},
        "/trainings": {"get", "post"},
        "/trainings/settings": {"get"},
        "/trainings/forecast": {"post"},
        "/trainings/{id}": {"get"},
        "/trainings/{id}/events": {"get"},
        "/trainings/{id}/stop": {"post"},
        "/trainings/{id}/pause": {"post"},
        "/trainings/{id}/resume": {"post"},
        "/trainings/{id}/curve": {"get"},
        "/trainings/{id}/samples/{file}": {"get"},
        "/videos": {"get", "post"},
        "/videos/{id}": {"delete", "get", "patch"},
        "/videos/{id}/frames/{number}": {"get"},
        "/videos/{id}/strip": {"get"},
        "/videos/{id}/file": {"get"},
        "/videos/{id}/parts": {"get"},
        "/videos/{id}/parts/{number}": {"get"},
        "/videos/{id}/undo": {"post"},
        "/videos/{id}/redo": {"post"},
        "/videos/{id}/objects/{object}": {"delete", "get", "put"},
        "/videos/{id}/objects/{object}/masks/{number}": {"get"},
        "/videos/{id}/objects/{object}/masks": {"get", "post"},
        "/videos/{id}/track": {"post"},
        "/videos/{id}/remove": {"post"},
        "/videos/{id}/fill": {"post"},
        "/videos/{id}/replace": {"post"},
        "/workspaces/{id}/shadow": {"get"},
        "/workspaces/{id}/crop": {"post"},
        "/workspaces/{id}/cutout": {"post"},
        "/crop": {"post"},
        "/cutout": {"post"},
        "/workspaces/{id}/text": {"post"},
        "/text": {"post"},
        "/workspaces/{id}/select-as-in": {"post"},
        "/archive": {"post"},
        "/models/usage": {"get"},
        "/models/free": {"post"},
        "/models/files": {"post"},
        "/models/{name}": {"delete"},
        "/settings": {"get", "patch"},
    }  # fmt: skip
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"] and operation["tags"], (path, method)
            for status in ("400", "401", "404", "413", "429"):
                schema = operation["responses"][status]["content"]["application/json"]["schema"]
                assert schema["$ref"].endswith("ErrorAnswer")
    assert set(document["paths"][f"{v1}/workspaces"]["post"]["requestBody"]["content"]) == {"multipart/form-data", "application/json"}
