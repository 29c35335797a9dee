"""What is told while it happens, in a real A1111 and a real Forge: their own compression must not keep it until the end.

Set CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR to installations to run these; see `tests/hosts/real.py`. No event is made before the
one before it was read, so a web UI that keeps events until the last ends in a failure, whatever the machine's speed.
"""

from __future__ import annotations

import http.client
import json
import os
import threading
from pathlib import Path

import pytest

from tests.caption.text_server import text_server
from tests.hosts.real import FOLDERS, RealHost, file_of, picture, prepare

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]


@pytest.fixture(scope="module")
def words():
    """A text model that takes pictures."""
    with text_server() as server:
        yield server


@pytest.fixture(scope="module", params=FLAVORS)
def host(request, words, tmp_path_factory):
    data = tmp_path_factory.mktemp(request.param)
    prepare(data, Path(os.environ[FOLDERS[request.param]]), extension=True)
    config = data / "config.json"
    settings = {"clickpaint_text_model_url": words.address, "clickpaint_text_model_sees": True}
    config.write_text(json.dumps({**json.loads(config.read_text()), **settings}))
    running = RealHost(request.param, data, "--api")
    yield running
    running.stop()


def opened(host):
    """A workspace with the red square selected."""
    id = host.clickpaint("POST", "/workspaces", {"image": file_of(picture())})["id"]
    host.clickpaint("POST", f"/workspaces/{id}/mask", {"operations": [{"op": "box", "box": [32, 32, 64, 64]}]})
    return id


class Listener:
    """A client that takes compressed answers, and reads server-sent events one at a time."""

    def __init__(self, host, method, path, body=None):
        self._connection = http.client.HTTPConnection("127.0.0.1", host.port, timeout=60)
        headers = {"Accept-Encoding": "gzip", "Content-Type": "application/json"}
        self._connection.request(method, f"/clickpaint/v1{path}", None if body is None else json.dumps(body), headers)
        self._answer = self._connection.getresponse()
        assert self._answer.status == 200 and self._answer.getheader("Content-Encoding") == "identity"

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._connection.close()

    def next(self):
        """(name, data) of the next event."""
        name = ""
        for line in iter(self._answer.readline, b""):
            field, _, value = line.decode().rstrip().partition(": ")
            if field == "event":
                name = value
            elif field == "data":
                return name, json.loads(value)
        raise AssertionError("the stream is over")

    def until_idle(self):
        while self.next()[1]["tasks"]:
            pass


def test_events_arrive_one_by_one(host):
    id = opened(host)
    with Listener(host, "GET", f"/events?workspace={id}") as listener:
        listener.until_idle()  # the picture may be prepared for clicks
        body = {"prompt": "a tree", "steps": 150, "batch_count": 4, "resolution": 128}
        painter = threading.Thread(target=lambda: host.request("POST", f"/clickpaint/v1/workspaces/{id}/paint", body))
        painter.start()
        fractions = []
        while len(fractions) < 3:
            tasks = listener.next()[1]["tasks"]
            fractions += [task["fraction"] for task in tasks if task["kind"] == "paint" and task["fraction"]]
        assert fractions == sorted(fractions) and painter.is_alive()
        host.clickpaint("POST", "/interrupt", {"workspace": id})
        listener.until_idle()
        painter.join(30)


def test_words_arrive_while_the_text_model_still_writes(host, words):
    id = opened(host)
    words.stop.clear()
    words.fault = "slow"  # it writes one word, and waits
    with Listener(host, "POST", f"/workspaces/{id}/chat", {"question": "What is it?", "stream": True}) as listener:
        assert listener.next() == ("piece", {"text": "a "})
        words.stop.set()
        name, data = listener.next()
        assert name == "answer" and data["history"][0]["question"] == "What is it?"
