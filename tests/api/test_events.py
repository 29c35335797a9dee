from __future__ import annotations

import asyncio
import json
import threading

from clickpaint.api import events, schemas, streams
from tests.toys.studio import file_of, pixels


def opened(client):
    return client.post("workspaces", files={"file": ("toy.png", file_of(pixels()))}).json()["id"]


def listen(app, path, query, enough, seconds=10.0):
    """The body of a streamed answer until `enough(body)`; then the client leaves. Whether the stream ended by itself after that."""
    body, left = bytearray(), asyncio.Event()

    async def run():
        asked = False

        async def receive():
            nonlocal asked
            if not asked:
                asked = True
                return {"type": "http.request", "body": b"", "more_body": False}
            await left.wait()
            return {"type": "http.disconnect"}

        async def send(message):
            if message["type"] == "http.response.start":
                headers.update({key.decode(): value.decode() for key, value in message["headers"]})
            body.extend(message.get("body", b""))
            if enough(bytes(body)):
                left.set()

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "http_version": "1.1", "method": "GET", "scheme": "http",
            "path": path, "raw_path": path.encode(), "query_string": query.encode(), "root_path": "", "headers": [(b"host", b"localhost")],
            "client": ("127.0.0.1", 1), "server": ("127.0.0.1", 7870),
        }  # fmt: skip
        await asyncio.wait_for(app(scope, receive, send), seconds)

    headers: dict[str, str] = {}
    asyncio.run(run())
    return headers, bytes(body)


def test_events_tell_what_changes_and_end_when_the_client_leaves(app, client, studio):
    id = opened(client)
    begun, goes_on = threading.Event(), threading.Event()

    def work(progress):
        progress.report(0.5, "Halfway", done=1, total=2, unit="step")
        begun.set()
        while not goes_on.wait(0.01):
            progress.check()

    studio.segmenter.before_predicting = work
    click = threading.Thread(target=client.post, args=(f"workspaces/{id}/select",), kwargs={"json": {"points": [{"x": 1, "y": 1}]}})
    click.start()
    assert begun.wait(30)

    def seen(body):
        if b"Halfway" in body:
            goes_on.set()
        return b'"kind": "select"' in body.rpartition(b"data: ")[2] and b"running" not in body.rpartition(b"data: ")[2]

    headers, body = listen(app, "/clickpaint/v1/events", f"workspace={id}", seen)
    click.join(30)
    assert headers["content-type"].startswith("text/event-stream") and headers["cache-control"] == "no-store"
    assert headers["content-encoding"] == "identity"
    answers = [schemas.TasksAnswer(**json.loads(event.removeprefix("data: "))) for event in body.decode().strip().split("\n\n")]
    states = [[task.state for task in one.tasks if task.kind == "select"] for one in answers]
    assert states[0] == ["running"] and states[-1] == ["done"]
    first = next(task for task in answers[0].tasks if task.kind == "select")
    assert (first.fraction, first.text, first.done, first.total, first.unit, first.queue_position) == (0.975, "Halfway", 1, 2, "step", 0)


def test_silence_is_broken_and_streams_end(app, monkeypatch):
    monkeypatch.setattr(events, "_EVERY_SECONDS", 0.01)
    monkeypatch.setattr(streams, "SILENT_SECONDS", 0.05)
    _, body = listen(app, "/clickpaint/v1/events", "", lambda body: b": still here" in body)
    assert body.startswith(b'data: {"tasks": []}\n\n')
    monkeypatch.setattr(events, "_LONGEST_SECONDS", 0.1)
    listen(app, "/clickpaint/v1/events", "", lambda body: False)  # by itself


def test_streams_do_not_keep_the_host_from_ending(app, studio):
    studio.host.closing = True
    assert listen(app, "/clickpaint/v1/events", "", lambda body: False)[1] == b""


def test_polling_tells_the_same_and_only_to_who_knows_the_workspace(client):
    first, second = opened(client), opened(client)
    client.post(f"workspaces/{first}/select", json={"points": [{"x": 1, "y": 1}]})
    tasks = client.get("progress", params={"workspace": first}).json()["tasks"]
    assert {task["kind"] for task in tasks} == {"encode", "select"} and all(task["workspace"] == first for task in tasks)
    assert all(task["workspace"] == second for task in client.get("progress", params={"workspace": second}).json()["tasks"])
    assert client.get("progress").json() == {"tasks": []}
    for path in ("progress", "events"):
        assert client.get(path, params={"workspace": "nobody"}).status_code == 404
    assert client.post("interrupt", json={"workspace": "nobody"}).status_code == 404
