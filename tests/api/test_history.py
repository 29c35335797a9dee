"""What was opened before: who is told of it, and that it opens again."""

from __future__ import annotations

from contextlib import ExitStack

import pytest
from fastapi.testclient import TestClient

from clickpaint.api import schemas
from clickpaint.api.access import LocalGate
from clickpaint.api.router import PREFIX
from clickpaint.image.picture_files import decode
from tests.api.test_workspaces import IMAGE, checked_answer, opened
from tests.toys.routes import app_of
from tests.toys.studio import array_of, toy_studio


class Server:
    """One start of the program after another, on the same folder."""

    def __init__(self, folder, gate=None, **settings):
        self.studio = toy_studio(folder, offline=True, **settings)
        self.running = ExitStack()
        app = self.running.enter_context(app_of(self.studio, gate or LocalGate(names=frozenset({"testserver"}))))
        self.client = TestClient(app, base_url=f"http://testserver{PREFIX}/", raise_server_exceptions=False)

    def stop(self):
        self.studio.shut_down()
        self.running.close()


@pytest.fixture
def started(tmp_path):
    servers = []

    def start(gate=None, **settings):
        servers.append(Server(tmp_path, gate, **settings))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def erased(client):
    url = f"workspaces/{opened(client)['id']}"
    checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 30, "y": 20}]}))
    checked_answer(schemas.EraseAnswer, client.post(f"{url}/erase"))
    checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 59, "y": 39}]}))
    return url


def test_after_a_restart_everything_goes_on(started):
    first = started()
    url = erased(first.client)
    before = checked_answer(schemas.WorkspaceAnswer, first.client.get(url))
    shown, mask = first.client.get(f"{url}/image").content, first.client.get(f"{url}/mask").content
    first.stop()
    client = started().client
    after = checked_answer(schemas.WorkspaceAnswer, client.get(url))
    assert {**after, "tasks": []} == {**before, "tasks": []} and after["versions"] == [0, 1]
    assert client.get(f"{url}/image").content == shown and client.get(f"{url}/mask").content == mask
    assert checked_answer(schemas.StateAnswer, client.post(f"{url}/undo"))["selection"] is None
    assert checked_answer(schemas.StateAnswer, client.post(f"{url}/undo"))["version"] == 0
    assert checked_answer(schemas.StateAnswer, client.post(f"{url}/redo"))["version"] == 1
    assert checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": [{"x": 59, "y": 39}]}))["selection"]["area"]
    assert client.post(f"{url}/erase").json()["version"] == 2, "numbers are not given twice"


def test_a_series_of_clicks_goes_on_after_a_restart(started):
    """The page need not be loaded again, and refines the candidate that it has."""
    first = started()
    url = f"workspaces/{opened(first.client)['id']}"
    clicks = [{"x": 30, "y": 20}, {"x": 59, "y": 39}]
    assert first.client.post(f"{url}/select", json={"points": clicks[:1]}).status_code == 200
    first.stop()
    client = started().client
    assert client.post(f"{url}/choose", json={"candidate": 1}).status_code == 400, "candidates need a new click"
    answer = checked_answer(schemas.SelectAnswer, client.post(f"{url}/select", json={"points": clicks, "previous": 0, "mode": "add"}))
    assert answer["selection"]["box"] == [20, 13, 60, 40]
    assert client.post(f"{url}/undo").json()["selection"]["box"] == [20, 13, 40, 26]


def test_the_history(started):
    first = started()
    url = erased(first.client)
    id = url.removeprefix("workspaces/")
    first.stop()
    client = started().client
    (entry,) = client.get("workspaces").json()
    schemas.StoredWorkspaceAnswer(**entry)
    assert (entry["id"], entry["name"], entry["width"], entry["height"], entry["versions"]) == (id, "toy.png", 60, 40, [0, 1])
    assert entry["steps"] == ["Remove"]
    small = client.get(entry["thumbnail"])
    assert small.headers["content-type"] == "image/jpeg" and decode(small.content).size == (60, 40)
    assert client.get("workspaces", params={"ids": f"{'x' * 24},{id},../..,"}).json() == [entry]
    assert client.delete(url).status_code == 204
    assert client.get("workspaces").json() == [] and client.get(url).status_code == client.get(entry["thumbnail"]).status_code == 404
    assert client.get("workspaces", params={"ids": ",".join("x" * 501)}).status_code == 400


def test_one_that_is_only_put_away_opens_again(started):
    server = started()
    url = erased(server.client)
    assert server.client.delete(url, params={"keep": 1}).status_code == 204 and len(server.studio.workspaces) == 0
    assert server.client.delete(url, params={"keep": 1}).status_code == 204, "it is there, and not open"
    assert server.client.get(url).json()["versions"] == [0, 1]
    assert server.client.delete(url).status_code == 204
    for keep in (0, 1):
        assert server.client.delete(url, params={"keep": keep}).status_code == 404


class WebGate(LocalGate):
    """Lets everybody in, as a web UI without passwords, and knows of no one user."""

    def check(self, connection):
        pass

    def one_user(self, connection):
        return False


@pytest.mark.parametrize(
    ("gate", "headers"),
    [
        (WebGate(), {}),
        (LocalGate("secret"), {"Authorization": "Bearer secret"}),
        (LocalGate(loopback=False), {}),
        (None, {"X-Forwarded-For": "192.0.2.7"}),
        (None, {"Via": "1.1 proxy"}),
    ],
)
def test_where_there_may_be_several_users_only_what_one_names_is_listed(started, gate, headers):
    server = started(gate)
    server.client.headers.update(headers)
    id = opened(server.client)["id"]
    server.studio.workspaces.settle()
    assert server.client.get("workspaces").json() == []
    assert [entry["id"] for entry in server.client.get("workspaces", params={"ids": id}).json()] == [id]


def test_whoever_may_not_use_the_program_learns_nothing(started):
    server = started(LocalGate("secret"))
    for address in ("workspaces", f"workspaces?ids={'x' * 24}", f"workspaces/{'x' * 24}/thumbnail"):
        assert server.client.get(address).status_code == 401


def test_nothing_is_kept_where_the_settings_say_so(started, tmp_path):
    first = started(keep_workspaces_mb=0)
    url = erased(first.client)
    first.stop()
    assert not (tmp_path / "workspaces").exists()
    assert started(keep_workspaces_mb=0).client.get(url).status_code == 404


def test_a_picture_keeps_its_file_in_its_own_format_over_a_restart(started):
    first = started()
    url = f"workspaces/{opened(first.client, format='JPEG', name='toy.jpg')['id']}"
    before = first.client.get(f"{url}/image", params={"format": "source", "download": 1})
    first.stop()
    after = started().client.get(f"{url}/image", params={"format": "source", "download": 1})
    assert after.content == before.content and after.headers["content-disposition"] == before.headers["content-disposition"]
    assert array_of(after.content).shape == IMAGE.shape


@pytest.mark.parametrize("format", ["PNG", "JPEG", "TIFF"])
def test_save_puts_the_file_that_a_download_has_into_the_folder(started, tmp_path, format):
    client = started().client
    url = f"workspaces/{opened(client, format=format, name='my ball.xyz')['id']}"
    client.post(f"{url}/select", json={"points": [{"x": 30, "y": 20}]})
    client.post(f"{url}/erase")
    ending = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif"}[format]
    names = [
        checked_answer(schemas.SavedAnswer, client.post(f"{url}/save", json=body))["file"]
        for body in ({}, {"version": 0}, {"format": "webp"})
    ]
    assert names == [f"my ball{ending}", f"my ball_2{ending}", "my ball.webp"]
    assert checked_answer(schemas.SavedAnswer, client.post(f"{url}/save"))["file"] == f"my ball_3{ending}", "without a body"
    for name, query in zip(names, ({"format": "source"}, {"format": "source", "version": 0}, {"format": "webp"}), strict=True):
        assert (tmp_path / "outputs" / name).read_bytes() == client.get(f"{url}/image", params=query).content


@pytest.mark.parametrize("body", [{"version": 7}, {"format": "exe"}, {"quality": 0}, {"path": "/tmp/x"}, {"version": "../x"}])
def test_what_cannot_be_saved_is_refused(started, tmp_path, body):
    client = started().client
    url = f"workspaces/{opened(client)['id']}"
    assert client.post(f"{url}/save", json=body).status_code in (400, 404, 422)
    assert not (tmp_path / "outputs").exists()


def test_a_folder_that_cannot_be_written_is_said(started, tmp_path):
    client = started().client
    url = f"workspaces/{opened(client)['id']}"
    (tmp_path / "outputs").write_text("a file")
    refused = client.post(f"{url}/save")
    assert refused.status_code == 400 and "cannot be saved" in refused.json()["message"] and str(tmp_path) not in refused.text


@pytest.mark.parametrize("name", ["../../secret.png", "..", "a/../b.png", "C:\\\\x.png", ".png"])
def test_the_name_of_a_file_leads_nowhere(started, tmp_path, name):
    client = started().client
    url = f"workspaces/{opened(client, name=name)['id']}"
    file = client.post(f"{url}/save").json()["file"]
    assert [path.name for path in (tmp_path / "outputs").iterdir()] == [file]
