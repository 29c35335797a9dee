"""What goes wrong while a picture arrives is said for what it is."""

from __future__ import annotations

import errno
import tempfile

import numpy as np
import pytest

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
