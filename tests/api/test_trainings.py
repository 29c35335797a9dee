"""Trainings over HTTP, on a small checkpoint: begun, watched, stopped, gone on with, and painting comes in between."""

from __future__ import annotations

import json
import threading

import numpy as np
import pytest
from PIL import Image

from clickpaint.api import trainings_schemas as schemas
from clickpaint.paint.adapters.lora import Lora
from clickpaint.studio.tasks import Task
from clickpaint.train.run_folder import read_state
from clickpaint.train.training_session import Session
from tests.api.test_workspaces import checked_answer
from tests.toys.tensor_source import TensorSource
from tests.train.toys import checkpoint_tensors, scene

SETTINGS = {"steps": 3, "rank": 2, "resolution": 64, "text_learning_rate": 0, "sample_every": 3, "sample_steps": 1}


@pytest.fixture
def reds(studio, tmp_path):
    tensors = checkpoint_tensors(4, "sd1")
    studio.host.source = TensorSource("toy", lambda: tensors, prediction="epsilon")
    folder = tmp_path / "reds"
    folder.mkdir()
    Image.fromarray(scene((40, 160, 60)).pixels).save(folder / "a.png")
    Image.fromarray(scene((40, 160, 60)).mask.astype(np.uint8) * 255).save(folder / "a-masklabel.png")
    (folder / "a.txt").write_text("a red square")
    return str(folder)


def told(client, id):
    """What the events of a training say, until it ends."""
    with client.stream("GET", f"trainings/{id}/events") as events:
        lines = [line.removeprefix("data: ") for line in events.iter_lines() if line.startswith("data: ")]
    return [json.loads(line) for line in lines]


def test_a_training_is_begun_watched_and_its_result_is_there(client, studio, reds):
    body = {"name": "sks", "dataset": reds, "settings": SETTINGS}
    expected = checked_answer(schemas.ForecastAnswer, client.post("trainings/forecast", json={**body, "quality": "best"}))
    assert (expected["steps"], expected["resolution"]) == (3, 64)  # what is said goes before what the quality chooses
    assert expected["seconds"] == pytest.approx(3 * expected["step_seconds"]) and 0 < expected["memory_bytes"] < expected["free_bytes"]
    assert client.get("trainings").json() == [] and not (studio.host.folder / "Lora").exists()  # and nothing is left of it
    answer = client.post("trainings", json=body)
    assert answer.status_code == 201
    begun = answer.json()
    last = told(client, begun["id"])[-1]
    assert last["state"] == "done" and last["step"] == 3 and last["output"] == "sks.safetensors"
    assert last["parameters"] > 0 and last["memory_bytes"] > 0 and last["gradient_checkpointing"] is False
    checked_answer(schemas.TrainingAnswer, client.get(f"trainings/{begun['id']}"))
    assert [one["id"] for one in client.get("trainings").json()] == [begun["id"]]
    curve = checked_answer(schemas.CurveAnswer, client.get(f"trainings/{begun['id']}/curve"))
    assert len(curve["losses"]) == 3 and curve["learning_rates"] == [1e-4] * 3
    assert len(last["samples"]) == 2 and client.get(last["samples"][0]).headers["content-type"] == "image/png"
    assert client.get(f"trainings/{begun['id']}/samples/..%2Fstate.pt").status_code == 404
    lora = Lora.read(studio.host.folder / "Lora" / "sks.safetensors")
    assert len(lora.layers) > 10 and not lora.strays


def test_a_training_stops_makes_way_and_goes_on(client, studio, reds):
    waited = []

    def awaited():  # as if somebody painted after every step, and the user stopped it after the third
        waited.append(True)
        if len(waited) == 3:
            studio.trainings.all()[0].task.interrupt()
        return True

    studio.host.awaited = awaited
    body = {"name": "sks", "dataset": reds, "settings": {**SETTINGS, "steps": 6, "sample_every": 0}}
    first = client.post("trainings", json=body).json()
    assert client.post("trainings", json=body).status_code == 429  # one at a time
    events = told(client, first["id"])
    assert events[-1]["state"] == "interrupted" and studio.host.entered >= 3  # the lock was given away between the steps
    state = read_state(studio.host.folder / "Lora" / "sks_training")
    assert state is not None and state["step"] == 3
    studio.host.awaited = lambda: False
    second = client.post(f"trainings/{first['id']}/resume").json()
    last = told(client, second["id"])[-1]
    assert last["state"] == "done" and last["step"] == 6 and second["id"] != first["id"]
    other = client.post("trainings", json={**body, "settings": {**SETTINGS, "rank": 4}}).json()
    assert "other settings" in told(client, other["id"])[-1]["text"]


def test_a_training_waits_until_it_is_told_to_go_on(client, studio, reds, monkeypatch):
    step = Session.step

    def paused_in_the_second(self):
        if self.at.step == 1:
            assert client.post(f"trainings/{begun['id']}/pause").json()["held"]
        step(self)

    monkeypatch.setattr(Session, "step", paused_in_the_second)
    starting = threading.Event()
    plan, begun = studio.trainings._data_set, {}
    studio.trainings._data_set = lambda name: (starting.wait() if begun else None, plan(name))[1]
    begun.update(client.post("trainings", json={"name": "sks", "dataset": reds, "settings": {**SETTINGS, "sample_every": 0}}).json())
    starting.set()
    training = studio.trainings.get(begun["id"])
    with training.changed:
        assert training.changed.wait_for(lambda: training.paused, 120)
    curve = client.get(f"trainings/{begun['id']}/curve").json()
    assert len(curve["losses"]) == 2 and studio.compute.run(Task("mask"), lambda progress: "painted") == "painted"  # the lane is free
    assert client.get(f"trainings/{begun['id']}").json()["state"] in ("waiting", "running")
    assert client.post(f"trainings/{begun['id']}/resume").json()["id"] == begun["id"]
    last = told(client, begun["id"])[-1]
    assert (last["state"], last["step"], last["held"]) == ("done", 3, False)


def test_what_cannot_be_trained_is_refused(client, studio, reds):
    for body in (
        {"name": "x", "dataset": reds, "settings": {"rank": 0}},
        {"name": "x", "dataset": reds, "settings": {"ema_decay": 0.5}},
        {"name": "x", "dataset": reds, "settings": {"nothing": 1}},
        {"name": "../x", "dataset": reds},
    ):
        assert client.post("trainings", json=body).status_code == 400, body
    assert client.post("trainings", json={"name": "x", "dataset": "none"}).status_code == 404
    assert client.post("trainings", json={"name": "x", "dataset": reds, "kind": "flux"}).status_code == 422
    settings = client.get("trainings/settings", params={"kind": "embedding"}).json()
    assert {"vectors", "initial_word"} <= {one["name"] for one in settings} and all(one["help"] for one in settings)
    assert client.get("trainings/none").status_code == 404
