"""The server dies in the middle of its work, as by `kill -9`: the next one goes on with the last complete state."""

from __future__ import annotations

import io
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest
from PIL import Image

from tests.toys.studio import array_of, file_of

ROOT = Path(__file__).resolve().parents[2]
BOUND = 240
"""Seconds after which a test gives up; nothing waits for their end."""

pytestmark = pytest.mark.skipif(os.name == "nt", reason="sends POSIX signals")


FORKING = """
import os, sys
from clickpaint.app.main import main
from tests import machine
machine.spare_stubs()
machine.spare_zeros()
if sys.platform == "linux":  # elsewhere the system's own libraries may not like to be forked once they are loaded
    import clickpaint.ui.standalone, clickpaint.api.router, gradio, torch, uvicorn
    from clickpaint.compat import torchvision
    torchvision.available()  # before diffusers is imported
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextModel
for _ in sys.stdin:
    child = os.fork()
    if not child:
        os._exit(main(sys.argv[1:]))
    print("process", child, flush=True)
    print("ended", os.waitpid(child, 0)[1], flush=True)
"""
"""A process that starts the program once for each line that it is given, after the one before has ended. Only the first start waits
for libraries to be imported."""


class Starter:
    """The process that starts the stand-alone program, each time in a process of its own."""

    def __init__(self, folder: Path) -> None:
        serve = ["serve", "--port", "0", "--no-browser", "--device", "cpu", "--data-dir", str(folder)]
        path = os.pathsep.join([str(ROOT / "extension"), str(ROOT)])
        environment = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [sys.executable, "-c", FORKING, *serve], env=environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=folder
        )
        self.running: int | None = None

    def start(self) -> str:
        """The address of the program that was started."""
        assert self.process.stdin is not None and self.process.stdout is not None
        self.process.stdin.write("start\n")
        self.process.stdin.flush()
        address = ""
        for line in self.process.stdout:
            words = line.split()
            if words[:1] == ["process"]:
                self.running = int(words[1])
            elif " is at " in line:
                address = words[3]
            if address and self.running:
                return address
        raise AssertionError("the program did not start")

    def kill(self) -> None:
        if self.running is None:
            return
        assert self.process.stdout is not None
        os.kill(self.running, signal.SIGKILL)
        self.running = None
        assert int(next(line.split()[1] for line in self.process.stdout if line.startswith("ended"))) == signal.SIGKILL

    def close(self) -> None:
        self.kill()
        self.process.communicate(timeout=BOUND)


class Killable:
    """The stand-alone program in a process of its own."""

    def __init__(self, starter: Starter) -> None:
        self.starter = starter
        self.url = starter.start() + "clickpaint/v1/"
        self.opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def ask(self, method, path, body=None, data=None, kind="application/json"):
        data = json.dumps(body).encode() if body is not None else data
        request = urllib.request.Request(self.url + path, data, {"Content-Type": kind} if data else {}, method=method)
        with self.opener.open(request, timeout=BOUND) as answer:
            content = answer.read()
            return json.loads(content) if "json" in answer.headers.get("Content-Type", "") else content

    def open(self, picture):
        boundary = "b" * 20
        head = f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="yard.png"\r\n\r\n'.encode()
        body = head + picture + f"\r\n--{boundary}--\r\n".encode()
        return self.ask("POST", "workspaces", data=body, kind=f"multipart/form-data; boundary={boundary}")["id"]

    def kill_during(self, kind, id, path, body):
        """Ask for something, and die once it is under way."""

        def ask():
            with suppress(OSError, ValueError):
                self.ask("POST", path, body)

        asking = threading.Thread(target=ask)
        asking.start()
        until_true(lambda: any(task["kind"] == kind and task["state"] != "waiting" for task in self.tasks(id)))
        self.kill()
        asking.join(BOUND)

    def tasks(self, id):
        return self.ask("GET", f"progress?workspace={id}")["tasks"]

    def kill(self):
        self.starter.kill()


def until_true(condition):
    until = time.monotonic() + BOUND
    while not condition():
        assert time.monotonic() < until, "it never came to that"
        time.sleep(0.002)


def yard():
    """A picture large enough for the work on it to take a moment."""
    random = np.random.default_rng(5)
    pixels = random.normal(120, 12, (900, 1200, 3)).clip(0, 255).astype(np.uint8)
    pixels[300:600, 400:800] = (200, 40, 40)
    return pixels


def stored(folder, id):
    """(number of steps, of selections, of versions) on the disk."""
    try:
        manifest = json.loads((folder / "workspaces" / id / "manifest.json").read_text())
    except FileNotFoundError:
        return None
    return len(manifest["states"]), manifest["index"], len(manifest["tiles"])


@pytest.fixture
def start(tmp_path):
    starter = Starter(tmp_path)
    yield lambda: Killable(starter)
    starter.close()


def test_a_server_that_is_killed_loses_nothing_that_was_complete(start, tmp_path):
    pytest.importorskip("diffusers")
    from safetensors.torch import save_file

    from tests.toys import checkpoint as toy

    models = tmp_path / "models" / "Stable-diffusion"
    models.mkdir(parents=True)
    save_file(toy.state_dict(4), str(models / "toy.safetensors"))
    picture = file_of(yard())

    server = start()
    id = server.open(picture)
    until_true(lambda: stored(tmp_path, id) == (1, 0, 0))
    server.ask("POST", f"workspaces/{id}/mask", {"operations": [{"op": "box", "box": [380, 280, 820, 620]}]})
    until_true(lambda: stored(tmp_path, id) == (2, 1, 0))
    mask = server.ask("GET", f"workspaces/{id}/mask")
    address = urlsplit(server.url)
    with socket.create_connection((address.hostname, address.port), BOUND) as half:
        lines = f"POST {address.path}workspaces HTTP/1.1", f"Host: {address.netloc}", "Content-Type: application/json"
        half.sendall("\r\n".join([*lines, "Content-Length: 999999", "", '{"image": "AAAA']).encode())
        server.kill_during("select", id, f"workspaces/{id}/select", {"points": [{"x": 5, "y": 5}]})

    server = start()
    assert [entry["id"] for entry in server.ask("GET", "workspaces")] == [id], "half an upload is none"
    assert np.array_equal(array_of(server.ask("GET", f"workspaces/{id}/image")), yard())
    if server.ask("GET", f"workspaces/{id}/mask") != mask:  # the click was faster than the signal
        assert server.ask("POST", f"workspaces/{id}/undo")["label"] == "Click"
    assert server.ask("GET", f"workspaces/{id}/mask") == mask
    server.kill_during("erase", id, f"workspaces/{id}/erase", {"eraser": "patchmatch"})

    server = start()
    answer = server.ask("GET", f"workspaces/{id}")
    assert (answer["version"], answer["versions"], answer["can_undo"]) == (0, [0], True)
    assert server.ask("GET", f"workspaces/{id}/mask") == mask
    server.ask("POST", f"workspaces/{id}/erase", {"eraser": "opencv_telea"})
    until_true(lambda: stored(tmp_path, id) == (3, 2, 1))
    server.ask("POST", f"workspaces/{id}/mask", {"operations": [{"op": "box", "box": [10, 10, 90, 90]}]})
    until_true(lambda: stored(tmp_path, id) == (4, 3, 1))
    job = {"task": "fill", "prompt": "grass", "steps": 2, "resolution": 64, "sampler": "Euler"}
    assert server.ask("POST", f"workspaces/{id}/paint", job)["version"] == 2
    until_true(lambda: stored(tmp_path, id) == (5, 4, 2))
    painted = server.ask("GET", f"workspaces/{id}/image")
    server.kill_during("paint", id, f"workspaces/{id}/paint", {**job, "steps": 150, "resolution": 256})

    server = start()
    answer = server.ask("GET", f"workspaces/{id}")
    assert (answer["version"], answer["versions"], answer["can_undo"], answer["can_redo"]) == (2, [0, 1, 2], True, False)
    assert server.ask("GET", f"workspaces/{id}/image") == painted
    (saved,) = (tmp_path / "outputs").iterdir()
    with Image.open(io.BytesIO(saved.read_bytes())) as opened:
        assert saved.name == "yard_fill.png" and "grass" in opened.info["parameters"]
    assert server.ask("POST", f"workspaces/{id}/paint", job)["version"] == 3
    steps = [server.ask("POST", f"workspaces/{id}/undo")["label"] for _ in range(5)]
    assert steps == ["Fill", "Fill", "Box", "Remove", "Box"]
    assert np.array_equal(array_of(server.ask("GET", f"workspaces/{id}/image")), yard())
