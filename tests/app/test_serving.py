"""The socket that the stand-alone program listens on."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from clickpaint.app import serving

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_small_answers_are_sent_at_once(address):
    """asyncio sets TCP_NODELAY only on sockets that say which protocol they speak."""
    try:
        listener = serving.listen(address, 0)
    except Exception:
        pytest.skip(f"this machine has no {address}")
    options = []

    async def connected(reader, writer):
        accepted = writer.get_extra_info("socket")
        options.append((accepted.proto, accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)))
        writer.close()

    async def run():
        server = await asyncio.start_server(connected, sock=listener)
        reader, writer = await asyncio.open_connection(*listener.getsockname()[:2])
        await asyncio.wait_for(reader.read(), 60)
        writer.close()
        server.close()

    asyncio.run(run())
    assert [(proto, option != 0) for proto, option in options] == [(socket.IPPROTO_TCP, True)]


def test_a_data_folder_that_may_not_be_written_is_said(tmp_path, monkeypatch):
    from clickpaint.hosts.embedded import EmbeddedHost

    host = EmbeddedHost(tmp_path, environment={})
    assert serving.closed_folders(host) == []
    access = os.access
    monkeypatch.setattr(os, "access", lambda path, mode: not (Path(path) == tmp_path and mode & os.W_OK) and access(path, mode))
    sentences = serving.closed_folders(host)
    assert len(sentences) == 3 and all(str(tmp_path) in sentence and "--data-dir" in sentence for sentence in sentences)


@pytest.mark.parametrize(
    "proxies",
    [
        {"ALL_PROXY": "socks5://127.0.0.1:9", "HTTPS_PROXY": "http://127.0.0.1:nine", "http_proxy": "nonsense://x"},
        {"ALL_PROXY": "http://127.0.0.1:9", "HTTPS_PROXY": "socks://127.0.0.1:9", "http_proxy": "socks5://127.0.0.1:9"},
    ],
)
def test_the_app_is_made_whatever_proxies_the_environment_names(tmp_path, proxies):
    """In a process of its own, since Gradio makes its clients when it is imported: one for every variable."""
    script = """
import sys
from pathlib import Path
from clickpaint.api.access import LocalGate
from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from clickpaint.ui.standalone import create_app
import os
create_app(Studio(EmbeddedHost(Path(sys.argv[1]), overrides={"device": "cpu"})), LocalGate())
print(*[os.environ[name] for name in sys.argv[2:]])
"""
    pytest.importorskip("gradio")
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "extension"), **proxies}
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path), *proxies], env=environment, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == [*proxies.values()], "what comes later still goes through the proxy"


def test_what_the_page_loads_first_is_prepared_before_the_first_visitor_comes(capsys):
    """Asked for with the cookie that the token is exchanged for, as a browser asks; the samples only after the address is printed."""
    asked: list[tuple[str, str | None, bool]] = []

    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Cookie"], "Clickpaint is at" in capsys.readouterr().out))
            body = b'<link href="clickpaint/static/1/style.css"><script src="clickpaint/static/2/page.mjs"></script><a href="elsewhere">'
            if self.path.endswith("/samples"):
                body = b'[{"name": "beach"}]'
            self.send_response(404 if self.path.endswith("style.css") else 200)
            self.send_header("Set-Cookie", "clickpaint=secret; Path=/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Page) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        serving._announce(f"http://127.0.0.1:{server.server_port}/?token=secret", browser=False)
        server.shutdown()
    api = "/clickpaint/v1"
    first = ["/clickpaint/static/1/style.css", "/clickpaint/static/2/page.mjs", f"{api}/capabilities", f"{api}/models"]
    assert [path for path, _, _ in asked] == ["/?token=secret", *first, f"{api}/samples", f"{api}/samples/beach/thumbnail"]
    assert {cookie for _, cookie, _ in asked[1:]} == {"clickpaint=secret"}
    assert [announced for _, _, announced in asked].index(True) == 5
