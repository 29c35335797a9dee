"""Downloads from a server that resumes, stalls, truncates and lies, and two who want the same file."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import types
from dataclasses import replace
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import pytest

from clickpaint.errors import DownloadFailed, Interrupted, InvalidInput, ModelMissing
from clickpaint.progress import Progress
from clickpaint.weights import http, transfer
from clickpaint.weights.download import download
from clickpaint.weights.transfer import Network

EXTENSION = Path(__file__).parents[2] / "extension"


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def test_brings_the_file_and_nothing_else(server, model, network, body, tmp_path):
    steps = []
    path = download(model("/good"), tmp_path / "new" / "folder", network, Progress(steps.append))
    assert path.read_bytes() == body
    assert leftovers(path.parent) == ["toy.pt"]
    assert len(server.requests) == 1


def test_a_file_that_is_there_is_not_asked_for_again(server, model, network, body, tmp_path):
    (tmp_path / "toy.pt").write_bytes(body)
    assert download(model("/good"), tmp_path, network).read_bytes() == body
    assert server.requests == []


def test_a_wrong_file_that_is_there_is_kept_beside(model, network, body, tmp_path):
    (tmp_path / "toy.pt").write_bytes(b"mine")
    download(model("/good"), tmp_path, network)
    assert (tmp_path / "toy.pt").read_bytes() == body
    assert (tmp_path / "toy.pt.corrupt").read_bytes() == b"mine"


@pytest.mark.parametrize(
    "behaviour",
    ["breaks", "stalls", "no_ranges", "breaks_without_ranges", "too_long_length", "too_short_length", "more_than_promised",
     "chunked", "without_length", "busy", "redirects"],
)  # fmt: skip
@pytest.mark.parametrize("size_known", [True, False])
def test_comes_through(behaviour, size_known, server, model, network, body, tmp_path):
    if not size_known and behaviour in ("more_than_promised", "too_short_length", "too_long_length"):
        pytest.skip("without a known size a server that lies about it cannot be told from one that does not")
    file = model(f"/{behaviour}") if size_known else model(f"/{behaviour}", size=None)
    network = replace(network, timeout=0.5) if behaviour == "stalls" else network
    assert download(file, tmp_path, network).read_bytes() == body
    assert leftovers(tmp_path) == ["toy.pt"]


def test_goes_on_where_it_broke_off(server, model, network, body, tmp_path):
    download(model("/breaks"), tmp_path, network)
    assert [wanted for _, wanted, _ in server.requests] == [None, "bytes=200000-", "bytes=400000-"]
    assert {condition for _, _, condition in server.requests[1:]} == {server.etag}


def test_takes_up_a_part_left_by_an_earlier_run(server, model, network, body, tmp_path):
    (tmp_path / "toy.pt.part").write_bytes(body[:123_456])
    steps = []
    assert download(model("/good"), tmp_path, network, Progress(steps.append)).read_bytes() == body
    assert server.requests == [("/good", "bytes=123456-", None)]


def test_a_part_of_another_version_is_not_mixed_in(server, model, network, body, tmp_path):
    """The server says so (If-Range) …"""
    (tmp_path / "toy.pt.part").write_bytes(b"x" * 1000)
    (tmp_path / "toy.pt.part.json").write_text(json.dumps({"url": server.url("/good"), "validator": '"old"'}))
    assert download(model("/good"), tmp_path, network).read_bytes() == body
    assert len(server.requests) == 1


def test_a_part_that_does_not_fit_is_started_over(server, model, network, body, tmp_path):
    """… or the checksum does."""
    (tmp_path / "toy.pt.part").write_bytes(b"x" * 1000)
    assert download(model("/good"), tmp_path, network).read_bytes() == body
    assert [wanted for _, wanted, _ in server.requests] == ["bytes=1000-", None]


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_part_that_has_everything_or_too_much(server, model, network, body, tmp_path, extra):
    (tmp_path / "toy.pt.part").write_bytes(body + extra)
    assert download(model("/good"), tmp_path, network).read_bytes() == body


def test_a_complete_part_of_unknown_size(server, model, network, body, tmp_path):
    (tmp_path / "toy.pt.part").write_bytes(body)
    assert download(model("/good", size=None), tmp_path, network).read_bytes() == body


def test_broken_metadata_of_a_part_does_no_harm(model, network, body, tmp_path):
    (tmp_path / "toy.pt.part").write_bytes(body[:10])
    (tmp_path / "toy.pt.part.json").write_text("[1, 2")
    assert download(model("/good"), tmp_path, network).read_bytes() == body


def test_another_part_than_asked_for_is_refused(server, model, network, body, tmp_path):
    (tmp_path / "toy.pt.part").write_bytes(body[:5000])
    assert download(model("/wrong_part"), tmp_path, network).read_bytes() == body


def test_wrong_bytes_are_described_and_not_kept(server, model, network, body, tmp_path):
    """However often it is tried: each attempt left two copies of them once."""
    for _ in range(3):
        with pytest.raises(DownloadFailed) as caught:
            download(model("/wrong_bytes", "/wrong_bytes/again"), tmp_path, network)
        assert leftovers(tmp_path) == []
    text = str(caught.value)
    for said in ("toy.pt", hashlib.sha256(body).hexdigest(), hashlib.sha256(bytes(len(body))).hexdigest(), f"{len(body)} bytes", "x00"):
        assert said in text


def test_waiting_between_attempts_is_done_by_who_was_asked(server, model, tmp_path):
    waited = []
    patient = Network(timeout=60.0, retries=1, backoff=7.0, sleep=waited.append)
    download(model("/busy"), tmp_path, patient)
    assert 10.0 < sum(waited) < 18.0 and max(waited) <= 0.1


def test_md5_where_no_sha256_is_known(model, network, body, tmp_path):
    md5 = hashlib.md5(body).hexdigest()
    assert download(model("/good", sha256=None, md5=md5), tmp_path, network).read_bytes() == body
    with pytest.raises(DownloadFailed, match=md5[::-1]):
        download(model("/good", sha256=None, md5=md5[::-1], filename="other.pt"), tmp_path, network)


@pytest.mark.parametrize(
    ("behaviour", "said"),
    [
        ("missing", "404"),
        ("page", "web page"),
        ("disguised_page", "web page"),
        ("to_a_file", "not allowed"),
        ("to_ftp", "not an http"),
        ("never_answers", "no byte came"),
    ],
)
def test_says_why_it_failed_and_leaves_nothing_that_counts(behaviour, said, model, network, tmp_path):
    network = replace(network, timeout=0.1) if behaviour == "never_answers" else network
    with pytest.raises(DownloadFailed, match=said) as caught:
        download(model(f"/{behaviour}"), tmp_path, network)
    assert caught.value.remedy
    assert not (tmp_path / "toy.pt").exists()


@pytest.mark.parametrize("behaviour", ["to_a_file", "to_ftp", "to_nowhere", "missing"])
def test_an_answer_that_is_not_read_is_closed(behaviour, model, network, tmp_path, monkeypatch):
    answers = []

    class Kept(HTTPResponse):
        def begin(self) -> None:
            answers.append(self)
            super().begin()

    monkeypatch.setattr(HTTPConnection, "response_class", Kept)
    with pytest.raises(DownloadFailed):
        download(model(f"/{behaviour}"), tmp_path, network)
    assert answers and all(answer.isclosed() for answer in answers)


def test_the_next_address_is_asked_and_goes_on_with_the_bytes(server, model, network, body, tmp_path):
    (tmp_path / "toy.pt.part").write_bytes(body[:300_000])
    download(model("/missing", "/page", "/good"), tmp_path, network)
    assert (tmp_path / "toy.pt").read_bytes() == body
    assert server.requests[-1][:2] == ("/good", "bytes=300000-")


def test_a_mirror_is_put_before_the_address(server, model, network, body, tmp_path):
    file = model("/x", urls=("https://far.example/toy.pt",))
    mirrored = Network(mirror=server.url("/good/"), timeout=60.0)
    assert download(file, tmp_path, mirrored).read_bytes() == body
    assert server.requests[0][0] == "/good/https://far.example/toy.pt"


def test_a_mirror_must_be_http(model, tmp_path):
    with pytest.raises(InvalidInput, match="mirror"):
        download(model("/good"), tmp_path, Network(mirror="file:///tmp/"))


def test_a_proxy_of_the_environment_is_used(server, model, network, body, tmp_path, monkeypatch):
    monkeypatch.setenv("http_proxy", server.url(""))
    monkeypatch.setenv("no_proxy", "")
    assert download(model("/x", urls=("http://far.example/good",)), tmp_path, network).read_bytes() == body
    assert server.requests[0][0] == "http://far.example/good"


@pytest.mark.parametrize("name", ["http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("scheme", ["socks5", "socks5h", "socks4"])
def test_a_socks_proxy_is_used(server, model, network, body, tmp_path, monkeypatch, name, scheme):
    connected = []

    def create_connection(address, timeout, source_address, **options):
        connected.append((address, options["proxy_addr"], options["proxy_port"], options["proxy_rdns"], options["proxy_username"]))
        return socket.create_connection(("127.0.0.1", server.server_port), timeout)

    socks = types.SimpleNamespace(SOCKS4=1, SOCKS5=2, create_connection=create_connection, __spec__=object())
    monkeypatch.setitem(sys.modules, "socks", socks)
    monkeypatch.setenv(name, f"{scheme}://me:pass@proxy.example:9050")
    assert download(model("/x", urls=("http://far.example/good",)), tmp_path, network).read_bytes() == body
    assert connected == [(("far.example", 80), "proxy.example", 9050, True, "me")]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    download(model("/good", filename="near.pt"), tmp_path, network)
    assert len(connected) == 1


def test_a_socks_proxy_that_cannot_be_spoken_to_is_named_at_once(server, model, tmp_path, monkeypatch):
    monkeypatch.setattr(http.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("ALL_PROXY", "socks5://me:secret@proxy.example:9050")
    waited = []
    with pytest.raises(DownloadFailed, match=r"socks5://proxy\.example:9050 .*PySocks.*HTTPS_PROXY") as caught:
        download(model("/good"), tmp_path, Network(sleep=waited.append))
    assert waited == [] and "secret" not in str(caught.value) and server.requests == []


def test_all_proxy_counts_where_a_scheme_has_none(server, model, network, body, tmp_path, monkeypatch):
    monkeypatch.setenv("all_proxy", server.url(""))
    monkeypatch.setenv("no_proxy", "")
    assert download(model("/x", urls=("http://far.example/good",)), tmp_path, network).read_bytes() == body
    assert server.requests[0][0] == "http://far.example/good"


def test_offline_says_what_to_do(server, model, tmp_path):
    with pytest.raises(ModelMissing, match=r"put it into") as caught:
        download(model("/good"), tmp_path, Network(offline=True))
    assert "offline" in caught.value.remedy
    assert server.requests == []


def test_without_a_checksum_nothing_is_downloaded(server, model, network, tmp_path):
    with pytest.raises(ModelMissing, match="Ask the authors"):
        download(model("/good", sha256=None, note="Ask the authors."), tmp_path, network)
    assert server.requests == []


def test_progress_counts_bytes_and_seconds(server, model, body, tmp_path):
    server.pace = 0.04  # 600 kB in 1.2 s
    (tmp_path / "toy.pt.part").write_bytes(body[:100_000])
    steps = []
    download(model("/good"), tmp_path, Network(), Progress(steps.append))
    loading = [step for step in steps if step.text == "Downloading Toy"]
    assert len(loading) > 3
    assert all(step.unit == "B" and step.total == len(body) for step in loading)
    assert [step.done for step in loading] == sorted(step.done for step in loading)
    assert loading[0].done > 100_000
    timed = [step for step in loading if step.seconds_left is not None]
    assert timed
    assert 0.0 < timed[0].seconds_left < 30  # about half a second where nothing else runs


@pytest.mark.parametrize("behaviour", ["never_answers", "stalls"])
def test_an_interrupt_does_not_wait_for_the_server(behaviour, server, model, tmp_path):
    """Which says nothing before the test ends, nor does the network give up before."""
    with pytest.raises(Interrupted):
        download(model(f"/{behaviour}"), tmp_path, Network(timeout=600), Progress(interrupted=lambda: bool(server.requests)))
    assert not (tmp_path / "toy.pt").exists()


def test_an_interrupted_download_goes_on_later(server, model, network, body, tmp_path):
    server.pace = 0.02
    arrived: list[int] = []
    listener = Progress(lambda step: arrived.append(step.done or 0), lambda: bool(arrived) and arrived[-1] > 0)
    with pytest.raises(Interrupted):
        download(model("/good"), tmp_path, network, listener)
    done = (tmp_path / "toy.pt.part").stat().st_size
    assert 0 < done < len(body)
    server.pace = 0.0
    assert download(model("/good"), tmp_path, network).read_bytes() == body
    assert server.requests[-1][1] == f"bytes={done}-"


def test_no_room_is_said_before_the_first_byte(model, network, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10**9, 10**9 - 1000, 1000))
    with pytest.raises(DownloadFailed, match=r"full .*needs 1 MB more"):
        download(model("/good"), tmp_path, network)


def test_a_disk_that_fills_up_meanwhile(model, network, tmp_path, monkeypatch):
    def full(self, *_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(transfer.Transfer, "_receive", full)
    with pytest.raises(DownloadFailed, match="full"):
        download(model("/good"), tmp_path, network)


def test_a_folder_that_cannot_be_made(model, network, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadFailed, match="cannot be written"):
        download(model("/good"), tmp_path / "file" / "models", network)


def test_two_threads_one_download(server, model, network, body, tmp_path):
    server.pace = 0.01
    results, texts = [], []
    file = model("/good")
    listeners = [Progress(lambda step: texts.append(step.text)) for _ in range(3)]
    threads = [threading.Thread(target=lambda p=p: results.append(download(file, tmp_path, network, p))) for p in listeners]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert results == [tmp_path / "toy.pt"] * 3
    assert (tmp_path / "toy.pt").read_bytes() == body
    assert len(server.requests) == 1
    assert any("another process" in text for text in texts)


SCRIPT = """
import sys
from pathlib import Path
from clickpaint.weights.catalog import ModelFile
from clickpaint.weights.download import download
from clickpaint.weights.transfer import Network
url, folder, sha256, size = sys.argv[1:]
file = ModelFile("toy", "Toy", "eraser", "lama", "lama", "toy.pt", "none", "", urls=(url,), bytes=int(size), sha256=sha256)
print("began", flush=True)
print(download(file, Path(folder), Network(timeout=60)), flush=True)
"""


def start(server, body: bytes, folder: Path) -> subprocess.Popen:
    arguments = [server.url("/good"), str(folder), hashlib.sha256(body).hexdigest(), str(len(body))]
    environment = {key: value for key, value in os.environ.items() if "proxy" not in key.lower()}
    command = [sys.executable, "-c", SCRIPT, *arguments]
    return subprocess.Popen(command, env={**environment, "PYTHONPATH": str(EXTENSION)}, stdout=subprocess.PIPE, text=True)


def test_resumes_after_a_kill(server, model, network, body, tmp_path):
    server.pace = 0.2
    process = start(server, body, tmp_path)
    part = tmp_path / "toy.pt.part"
    deadline = time.monotonic() + 60
    while not (part.is_file() and part.stat().st_size > 100_000):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(getattr(signal, "SIGKILL", signal.SIGTERM))
    process.communicate(timeout=60)
    done = part.stat().st_size
    assert 0 < done < len(body)
    assert not (tmp_path / "toy.pt").exists()
    server.pace = 0.0
    assert download(model("/good"), tmp_path, network).read_bytes() == body  # the dead process's lock is not in the way
    assert server.requests[-1][1] == f"bytes={done}-"


def test_two_processes_one_download(server, body, tmp_path):
    server.pace = 0.05
    processes = [start(server, body, tmp_path) for _ in range(2)]
    for process in processes:
        output, _ = process.communicate(timeout=100)
        assert process.returncode == 0
        assert output.splitlines()[-1] == str(tmp_path / "toy.pt")
    assert (tmp_path / "toy.pt").read_bytes() == body
    assert len(server.requests) == 1
