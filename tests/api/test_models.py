from __future__ import annotations

import time

import numpy as np

from clickpaint.api import model_schemas, schemas
from clickpaint.weights.catalog import catalog, models
from clickpaint.weights.recommended import RECOMMENDED
from tests.toys.studio import array_of


def test_what_can_be_used(client, tmp_path):
    answer = client.get("capabilities").json()
    model_schemas.CapabilitiesAnswer(**answer)
    assert (answer["host"], answer["device"], answer["offline"]) == ("toy", "cpu (float32)", True)
    assert answer["defaults"] == {"segmenter": "classic", "eraser": "classic", "grow": 0, "feather": 0}
    assert answer["automatic"] == {"segmenter": "classic", "eraser": "classic"}
    assert {engine["name"] for engine in answer["erasers"] if "grain" in engine["options"]} == {"classic", "patchmatch"}
    assert answer["paint"]["available"] is False and answer["paint"]["reason"]
    engines = {engine["name"]: engine for engine in answer["segmenters"] + answer["erasers"]}
    assert engines["classic"]["available"] and not engines["lama"]["available"]
    assert engines["lama"]["model"] == "lama" and engines["lama"]["state"] == "missing" and engines["lama"]["reason"]
    assert str(tmp_path) not in client.get("capabilities").text


def test_models_and_their_checks(client, tmp_path):
    listed = client.get("models").json()
    assert [one["name"] for one in listed] == list(models())
    for one in listed:
        model_schemas.ModelAnswer(**one)
        assert "path" not in one and one["state"] in ("missing", "unavailable")
    assert str(tmp_path) not in client.get("models").text
    started = client.post("models/mobile_sam/verify")
    assert started.status_code == 202
    task = model_schemas.TaskStarted(**started.json()).task
    assert (task.kind, task.subject, task.workspace) == ("verify", "mobile_sam", None)
    until = time.monotonic() + 30
    while [one["state"] for one in client.get("progress").json()["tasks"] if one["id"] == task.id] != ["done"]:
        assert time.monotonic() < until
    assert client.post("models/mobile_sam/cancel").json() == {"cancelled": False}


def test_the_manager_of_models(client, studio, tmp_path):
    """What there is, what it takes, what is at work; what is deleted is gone from memory as well."""
    listed = {one["name"]: one for one in client.get("models").json()}
    assert {name for name, one in listed.items() if one["recommended"]} <= set(RECOMMENDED.values())
    assert not any(one["used"] or one["removable"] for one in listed.values())
    own = tmp_path / "Stable-diffusion" / "mine" / "a.safetensors"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"12345")
    file = tmp_path / "lama" / "migan_pipeline_v2.onnx"
    file.parent.mkdir()
    size = catalog()["migan"].bytes or 0
    with file.open("wb") as sparse:
        sparse.truncate(size)
    file.with_name(file.name + ".part").write_bytes(b"123")
    studio.pool.changed()
    studio.host.settings["eraser"] = "migan"
    studio.pool.models.get(("migan", "cpu", "float32"), lambda: (object(), 70))
    now = {one["name"]: one for one in client.get("models").json()}["migan"]
    assert (now["state"], now["used"], now["removable"], now["recommended"]) == ("present", True, True, False)
    usage = client.get("models/usage").json()
    model_schemas.UsageAnswer(**usage)
    assert usage["files"] == [{"kind": "Stable-diffusion", "name": "mine/a.safetensors", "bytes": 5, "used": False}]
    assert usage["loaded"] == [{"name": "MI-GAN", "bytes": 70}] and usage["disk_used"] == size
    assert usage["memory_used"] == 70 <= usage["memory_budget"] and usage["disk_free"] > 0

    assert client.delete("models/migan").json() == {"freed": size + 3}
    assert not any(path.name.startswith("migan") for path in file.parent.iterdir())
    assert client.get("models/usage").json()["loaded"] == []
    again = client.delete("models/migan")
    assert again.status_code == 400 and "not on this machine" in again.json()["message"]
    assert client.delete("models/eagle").status_code == 404
    studio.pool.models.get("kept", lambda: (object(), 5))
    assert client.post("models/free").json()["memory_used"] == 0


def test_downloads_show_their_progress(client, studio, monkeypatch):
    studio.toy.settings["offline"] = False

    def download(name, network, progress):
        while True:
            progress.report(0.25, "Downloading", done=25, total=100, unit="B")
            time.sleep(0.005)

    monkeypatch.setattr(studio.pool.store, "download", download)
    task = client.post("models/mobile_sam/download").json()["task"]
    until = time.monotonic() + 30
    while not (answer := next(one for one in client.get("models").json() if one["name"] == "mobile_sam")["progress"])["done"]:
        assert time.monotonic() < until
    assert (answer["id"], answer["done"], answer["total"], answer["unit"], answer["fraction"]) == (task["id"], 25, 100, "B", 0.25)
    assert client.post("models/mobile_sam/cancel").json() == {"cancelled": True}
    while any(one["state"] == "running" for one in client.get("progress").json()["tasks"]):
        assert time.monotonic() < until


def test_samples(client):
    listed = client.get("samples").json()
    assert len(listed) >= 3
    for one in listed:
        schemas.SampleAnswer(**one)
    picture = array_of(client.get(f"samples/{listed[0]['name']}").content)
    assert picture.shape == (512, 768, 3) and picture.dtype == np.uint8
    assert client.get("samples/eagle").status_code == 404


def test_models_that_may_not_be_read_stop_no_answer(client, studio, monkeypatch):
    """Whatever the file system refuses: neither a list nor a click that needs no file answers with a fault of the program."""
    from pathlib import Path

    def refused(*_arguments, **_options):
        raise PermissionError(13, "Permission denied")

    for name in ("is_file", "is_dir", "stat", "open"):
        original = getattr(Path, name)

        def guarded(path, *arguments, original=original, **options):
            return refused() if studio.host.folder in path.parents else original(path, *arguments, **options)

        monkeypatch.setattr(Path, name, guarded)
    for path in ("models", "capabilities", "captioners", "control/preprocessors", "control/model_list", "control-names"):
        assert client.get(path).status_code == 200, path
