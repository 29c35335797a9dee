"""What goes wrong while a picture arrives is said for what it is."""

from __future__ import annotations

import asyncio
import errno
import tempfile

import numpy as np
import pytest
from starlette.requests import Request

from clickpaint.api.route import _Guarded
from tests.toys.studio import file_of, pixels

NOISE = file_of(np.random.default_rng(0).integers(0, 256, (700, 800, 3), np.uint8))
"""More than the parsers of forms keep in memory."""


def upload(client):
    assert len(NOISE) > 1 << 20
    return client.post("workspaces", files={"file": ("noise.png", NOISE)})


def test_a_full_folder_for_temporary_files_is_named(client, monkeypatch):
    def full(self):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", full)
    answer = upload(client)
    assert answer.status_code == 413 and "is full" in answer.json()["message"] and tempfile.gettempdir() in answer.json()["message"]
    assert "TMPDIR" in answer.json()["remedy"] and "form" not in answer.json()["message"]


def test_no_folder_for_temporary_files_at_all(client, monkeypatch):
    def none():
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found in ['/tmp']")

    monkeypatch.setattr(tempfile, "_get_default_tempdir", none)
    monkeypatch.setattr(tempfile, "tempdir", None)
    answer = upload(client)
    assert answer.status_code == 413 and "temporary" in answer.json()["message"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_disk_that_is_full_is_nobodys_fault_in_any_route(client, studio, number):
    id = client.post("workspaces", files={"file": ("toy.png", file_of(pixels()))}).json()["id"]

    def full(progress):
        raise OSError(number, "No space left on device", "/secret/place")

    studio.segmenter.before_predicting = full
    answer = client.post(f"workspaces/{id}/select", json={"points": [{"x": 1, "y": 1}]})
    assert answer.status_code == 413 and "full" in answer.json()["message"] and "secret" not in answer.text


def test_a_body_is_handed_on_in_blocks_and_what_was_sent_before_a_sender_went_away_comes_first():
    """Each block of a file on its way to the disk costs a change of threads: 320 of them for 20 MB as the network brings them."""
    parts = [bytes([number]) * 300_000 for number in range(9)]
    sent = [{"type": "http.request", "body": part, "more_body": True} for part in parts] + [{"type": "http.disconnect"}]

    async def receive():
        return sent.pop(0)

    async def handed_on():
        request = _Guarded(Request({"type": "http", "headers": []}, receive), 10**7)
        blocks = [await request.receive() for _ in range(4)]
        assert not sent
        return blocks

    blocks = asyncio.run(handed_on())
    assert [block["type"] for block in blocks] == ["http.request"] * 3 + ["http.disconnect"]
    assert all(block["more_body"] for block in blocks[:3]) and b"".join(block["body"] for block in blocks[:3]) == b"".join(parts)
