"""The program's settings over HTTP: what is told to whom, and that they can be changed."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from clickpaint.api import settings_schemas
from clickpaint.api.access import LocalGate
from clickpaint.api.router import PREFIX
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.settings import SETTINGS
from clickpaint.studio.studio import Studio
from tests.api.test_workspaces import checked_answer


@pytest.fixture
def studio(tmp_path):
    studio = Studio(EmbeddedHost(tmp_path, environment={}, overrides={"device": "cpu"}))
    yield studio
    studio.shut_down()


def by_key(answer):
    return {one["key"]: one for one in checked_answer(settings_schemas.SettingsAnswer, answer)["settings"]}


def test_they_are_listed_and_changed(client, studio):
    before = by_key(client.get("settings"))
    assert set(before) == set(SETTINGS) and before["device"]["fixed"] == "option" and before["precision"]["restart"]
    assert {choice["value"] for choice in before["eraser"]["choices"]} > {"auto", "opencv_telea"}
    after = by_key(client.patch("settings", json={"values": {"erase_grow": 3, "text_model_key": "hidden", "checkpoint": "gone"}}))
    assert after["erase_grow"]["value"] == 3 == studio.host.setting("erase_grow")
    assert (after["text_model_key"]["value"], after["text_model_key"]["given"]) == ("", True)
    assert studio.host.setting("text_model_key") == "hidden"
    assert "gone" in [choice["value"] for choice in after["checkpoint"]["choices"]]
    answer = client.patch("settings", json={"values": {"erase_grow": -2}})
    assert answer.status_code == 400 and answer.json()["code"] == "The setting {key} cannot be {value!r}."


def test_who_is_not_the_only_user_changes_nothing_and_sees_no_paths(app, client, routes):
    with routes[2].set(LocalGate("token")):
        visitor = TestClient(app, base_url=f"http://testserver{PREFIX}/", headers={"Authorization": "Bearer token"})
        listed = checked_answer(settings_schemas.SettingsAnswer, visitor.get("settings"))
        assert not listed["changeable"] and not any(SETTINGS[one["key"]].private for one in listed["settings"])
        assert visitor.patch("settings", json={"values": {"erase_grow": 3}}).status_code == 403
    forwarded = client.patch("settings", json={"values": {"erase_grow": 3}}, headers={"X-Forwarded-For": "10.0.0.1"})
    assert forwarded.status_code == 403 and client.get("settings").json()["changeable"]
    foreign = client.patch("settings", json={"values": {"erase_grow": 3}}, headers={"Origin": "http://elsewhere.example"})
    assert foreign.status_code == 403


def test_a_web_ui_keeps_its_own(tmp_path, app, client, routes):
    from tests.toys.studio import toy_studio

    other = toy_studio(tmp_path)
    with routes[1].set(other):
        assert not client.get("settings").json()["changeable"]
        assert client.patch("settings", json={"values": {"erase_grow": 3}}).status_code == 409
    other.shut_down()
