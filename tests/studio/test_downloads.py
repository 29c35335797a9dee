"""Downloads and checks of model files, as tasks."""

from __future__ import annotations

import threading
import time

import pytest

from clickpaint.errors import DownloadFailed, NotFound
from tests.toys.studio import toy_studio


def test_downloads_are_tasks(tmp_path, monkeypatch):
    studio = toy_studio(tmp_path)
    begun, goes_on = threading.Event(), threading.Event()

    def download(name, network, progress):
        begun.set()
        while not goes_on.is_set():
            progress.report(0.5, f"Downloading {name}", done=5, total=10, unit="B")
            time.sleep(0.005)

    monkeypatch.setattr(studio.pool.store, "download", download)
    task = studio.downloads.download("mobile_sam")
    assert begun.wait(30) and studio.downloads.download("mobile_sam") is task
    description = task.describe()
    assert (description["kind"], description["subject"], description["unit"], description["total"]) == ("download", "mobile_sam", "B", 10)
    assert studio.interrupt() == 0  # that is for requests
    assert studio.downloads.cancel("mobile_sam") and task.wake.wait(30)
    until = time.monotonic() + 30
    while task.active and time.monotonic() < until:
        time.sleep(0.005)
    assert task.state == "interrupted" and not studio.downloads.cancel("mobile_sam")
    goes_on.set()
    again = studio.downloads.download("mobile_sam")
    while again.active:
        time.sleep(0.005)
    assert again.state == "done"
    with pytest.raises(NotFound):
        studio.downloads.download("eagle")
    with pytest.raises(NotFound):
        studio.downloads.cancel("eagle")


def test_offline_means_no_downloads(tmp_path):
    with pytest.raises(DownloadFailed, match="switched off"):
        toy_studio(tmp_path, offline=True).downloads.download("mobile_sam")


def test_a_file_that_is_wrong_is_told(tmp_path):
    studio = toy_studio(tmp_path)
    assert studio.pool.store.state("mobile_sam").state == "missing"
    task = studio.downloads.verify("mobile_sam")
    while task.active:
        time.sleep(0.005)
    assert task.state == "done"
