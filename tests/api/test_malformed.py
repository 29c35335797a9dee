"""A thousand requests that no well-meaning client would send: each gets a sentence, none gets a 5xx."""

from __future__ import annotations

import base64
import copy
import json
import random
from typing import Any

import numpy as np

from tests.toys.studio import file_of, pixels

REQUESTS = 1200
NASTY: list[Any] = [
    None, True, False, 0, -1, 1.5, 10**9, -(10**18), 10**400, 1e308, float("nan"), float("inf"), float("-inf"),
    "", "x", "\ud800", "\0", "../../etc/passwd", "data:image/png;base64,AAAA", "data:image/png;base64,",
    "é" * 1000, [], [None], [[]], [[[[]]]], {}, {"x": {}}, [1, 2], [1, 2, 3, 4, 5],
    ["a", "b", "c", "d"], "auto", "replace", "null", b"raw",
]  # fmt: skip


class Sender:
    def __init__(self, client, seed):
        self.client, self.random = client, random.Random(seed)
        picture = "data:image/png;base64," + base64.b64encode(file_of(pixels())).decode()
        mask = "data:image/png;base64," + base64.b64encode(file_of(np.zeros((40, 60), np.uint8))).decode()
        point = {"x": 30, "y": 20, "label": 1}
        stroke = {"points": [[1, 1], [5, 5]], "radius": 2, "erase": False}
        self.bodies: dict[str, Any] = {
            "workspaces": {"image": picture, "name": "a.png"},
            "{w}/select": {
                "points": [point, {**point, "label": 0}], "box": [1, 2, 30, 40], "segmenter": None, "previous": 0, "mode": "add",
                "candidate": 1, "preview": False,
            },
            "{w}/choose": {"candidate": 0},
            "{w}/mask": {"operations": [
                {"op": "grow", "amount": 3}, {"op": "strokes", "strokes": [stroke]}, {"op": "region", "index": 0},
                {"op": "lasso", "points": [[0, 0], [9, 0], [9, 9]], "mode": "add"}, {"op": "upload", "image": mask, "mode": "add"},
                {"op": "box", "box": [0, 0, 9, 9], "mode": "intersect"},
                {"op": "feather", "amount": 2}, {"op": "drop_specks", "amount": 4},
            ]},
            "{w}/everything": {"points_per_side": 4, "pred_iou_thresh": 0.5, "crop_n_layers": 0, "segmenter": "classic"},
            "{w}/erase": {"eraser": "classic", "grow": 2, "feather": 2},
            "{w}/crop": {"box": [5, 5, 40, 30]},
            "{w}/cutout": {"feather": 0, "whole": False},
            "crop": {"image": picture, "box": [5, 5, 40, 30], "format": "png"},
            "cutout": {"image": picture, "mask": mask, "feather": "auto", "whole": True},
            "segment": {"image": picture, "points": [point], "box": None, "segmenter": "classic", "everything": False},
            "erase": {"image": picture, "mask": mask, "eraser": "classic", "grow": 2, "feather": 2, "format": "png"},
            "interrupt": {"workspace": "{id}"},
        }  # fmt: skip
        self.bare = [
            ("POST", "{w}/undo"), ("POST", "{w}/redo"), ("GET", "{w}"), ("GET", "{w}/image"), ("GET", "{w}/mask"),
            ("GET", "capabilities"), ("GET", "models"), ("POST", "models/mobile_sam/download"), ("POST", "models/lama/cancel"),
            ("POST", "models/lama/verify"), ("GET", "progress"), ("GET", "samples"), ("GET", "samples/beach"),
        ]  # fmt: skip
        self.reopen()

    def reopen(self):
        self.id = self.client.post("workspaces", files={"file": ("a.png", file_of(pixels()))}).json()["id"]

    def address(self, path):
        return path.replace("{w}", f"workspaces/{self.id}").replace("{id}", self.id)

    def nasty(self):
        return copy.deepcopy(self.random.choice(NASTY))

    def mutated(self, body):
        """The body with one to three places spoilt."""
        body = copy.deepcopy(body)
        for _ in range(self.random.randint(1, 3)):
            at, key = self.place(body)
            if at is None:
                return self.nasty()
            kind = self.random.random()
            if kind < 0.65:
                at[key] = self.nasty()
            elif kind < 0.8:
                del at[key]
            elif isinstance(at, dict):
                at[self.random.choice(["", "x", "points", "__class__", "\0", "image"])] = self.nasty()
            else:
                at.extend(self.nasty() for _ in range(self.random.randint(1, 300)))
        return body

    def place(self, body) -> tuple[Any, Any]:
        at = body
        while isinstance(at, (dict, list)) and at:
            key = self.random.choice(list(at) if isinstance(at, dict) else range(len(at)))
            if not isinstance(at[key], (dict, list)) or not at[key] or self.random.random() < 0.3:
                return at, key
            at = at[key]
        return None, None

    def encoded(self, body):
        """As JSON, and that perhaps spoilt in turn."""
        text = json.dumps(body, default=lambda value: "raw").encode()
        kind = self.random.random()
        if kind < 0.7:
            return text
        if kind < 0.8:
            return text[: self.random.randint(0, len(text))]
        if kind < 0.85:
            return b"[" * 20_000 + text
        if kind < 0.9:
            return text.decode().encode("utf-16")
        if kind < 0.95:
            return self.random.randbytes(self.random.randint(0, 400))
        return text.replace(b'"', b"'")

    def form(self):
        """A multipart upload with a damaged picture, or damaged itself."""
        data = bytearray(file_of(pixels(), self.random.choice(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"])))
        for _ in range(self.random.randint(0, 20)):
            data[self.random.randrange(len(data))] = self.random.randrange(256)
        data = data[: self.random.randint(0, len(data))] if self.random.random() < 0.4 else data
        name = self.random.choice(["file", "file", "file", "image", ""])
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"; filename="a.png"\r\n\r\n'.encode()
        whole = head + bytes(data) + b"\r\n--b--\r\n"
        return whole if self.random.random() < 0.7 else whole[: self.random.randint(0, len(whole))]

    def send(self):
        choice = self.random.random()
        types = ["application/json"] * 12 + [
            "text/plain",
            "multipart/form-data",
            "application/x-www-form-urlencoded",
            "image/png",
            "\x7f",
            "json",
            ";;",
        ]
        method, path, content = "POST", "workspaces", b""
        headers: dict[str, Any] = {"content-type": self.random.choice(types)}
        query = {}
        if choice < 0.62:
            path, body = self.random.choice([*self.bodies.items()])
            content = self.encoded(self.mutated(body))
        elif choice < 0.75:
            headers["content-type"] = self.random.choice(
                ["multipart/form-data; boundary=b"] * 5 + ["multipart/form-data", 'multipart/form-data; boundary=""']
            )
            content = self.form()
        else:
            method, path = self.random.choice(self.bare)
            content = self.random.choice([b"", b"", b"{}", b"nonsense"])
            odd = ["-1", "1e9", "9" * 40, "original", "../..", "\0", "²", "png", "exe", "", "%", "NaN"]
            query = {name: self.random.choice(odd) for name in self.random.sample(["version", "format", "download", "workspace", "x"], 2)}
        if self.random.random() < 0.1:
            method = self.random.choice(["GET", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD", "POST"])
        if self.random.random() < 0.1:
            path = path.replace(
                "{w}",
                self.random.choice(
                    ["workspaces/nobody", "workspaces/..%2f..", "workspaces/%00", "workspaces/" + "x" * 3000, "workspaces//"]
                ),
            )
        if self.random.random() < 0.03:
            headers["authorization"] = self.random.choice([b"Bearer", b"Basic \xff", b"x" * 5000])
        return self.client.request(method, self.address(path), content=content, headers=headers, params=query)


def test_a_thousand_malformed_requests(client):
    sender = Sender(client, 20_241_121)
    statuses: dict[int, int] = {}
    for number in range(REQUESTS):
        response = sender.send()
        what = f"request {number}: {response.request.method} {response.request.url} {response.request.content[:300]!r}"
        assert response.status_code < 500, what
        if response.status_code >= 400 and response.request.method != "HEAD":
            body = response.json()
            assert body["error"] and body["message"].strip(" ."), what
        statuses[response.status_code] = statuses.get(response.status_code, 0) + 1
        if response.request.method == "DELETE" and client.get(f"workspaces/{sender.id}").status_code == 404:
            sender.reopen()
    refused = sum(count for status, count in statuses.items() if status >= 400)
    assert refused > 1000 * 0.6 and {400, 404, 422} <= set(statuses), statuses
    print(statuses)
    # and it still works
    answer = client.post(f"workspaces/{sender.id}/select", json={"points": [{"x": 1, "y": 1}]})
    assert answer.status_code == 200 and answer.json()["selection"]
