"""Below a path of somebody else's server: a small reverse proxy, and the page in a real browser behind it."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.browser.conftest import BALL, Visit, expect, photograph, serving

PATH = "/some/path"


class Proxy(ThreadingHTTPServer):
    """Hands on what is below PATH, without PATH; remembers what was asked for elsewhere.

    Args:
        target: the address behind it.
        says: whether it says what it took away, and leaves the name by which it was asked.
    """

    daemon_threads = True

    def __init__(self, target: str, says: bool) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target, self.says = urlsplit(target), says
        self.astray: list[str] = []
        self.behind: set[http.client.HTTPConnection] = set()
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    @property
    def address(self) -> str:
        return f"http://localhost:{self.server_port}{PATH}/"

    def hang_up(self) -> None:
        """Ends the answers that would go on as long as anybody listens, for whose end the server behind waits."""
        for connection in tuple(self.behind):
            if connection.sock is not None:
                with contextlib.suppress(OSError):  # it ended by itself meanwhile
                    connection.sock.shutdown(socket.SHUT_RDWR)

    def handle_error(self, request: Any, client_address: Any) -> None:
        pass  # browsers hang up


class _Handler(BaseHTTPRequestHandler):
    server: Proxy

    def log_message(self, format: str, *args: object) -> None:
        pass

    def forward(self) -> None:
        if not self.path.startswith(PATH + "/"):
            self.server.astray.append(self.path)
            self.send_error(404)
            return
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name: value for name, value in self.headers.items() if name.lower() not in ("connection", "host")}
        if self.server.says:
            headers |= {"Host": self.headers["Host"], "X-Forwarded-Prefix": PATH, "X-Forwarded-Host": self.headers["Host"]}
        else:
            headers["Host"] = self.server.target.netloc
        target = self.server.target
        with contextlib.closing(http.client.HTTPConnection(target.hostname or "", target.port, timeout=300)) as connection:
            self.server.behind.add(connection)
            connection.request(self.command, self.path.removeprefix(PATH), body, headers)
            answer = connection.getresponse()
            self.send_response(answer.status)
            for name, value in answer.getheaders():
                if name.lower() not in ("connection", "transfer-encoding", "date", "server"):
                    self.send_header(name, value)
            self.send_header("Connection", "close")
            self.end_headers()
            while block := answer.read1(65536):
                self.wfile.write(block)
                self.wfile.flush()

    do_GET = do_POST = do_DELETE = do_HEAD = forward


@pytest.fixture(params=[True, False], ids=["that says so", "that says nothing"])
def proxy(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Proxy]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    host = EmbeddedHost(tmp_path, overrides={"device": "cpu", "segmenter": "classic", "eraser": "classic"})
    with serving(Studio(host), new=True) as address:
        running = Proxy(address, request.param)
        yield running
        running.shutdown()
        running.hang_up()
        running.server_close()


def test_the_page_works_below_a_path(browser: Any, proxy: Proxy) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.set_default_timeout(120_000)
    failed: list[str] = []
    page.on("response", lambda answer: failed.append(f"{answer.status} {answer.url}") if answer.status >= 400 else None)
    page.on("request", lambda asked: failed.append(asked.url) if not asked.url.startswith((proxy.address, "data:", "blob:")) else None)
    page.on("pageerror", lambda error: failed.append(str(error)))
    page.goto(proxy.address)
    page.wait_for_selector(".cp-sample")
    visit = Visit(page)
    visit.open(photograph())
    visit.click(*BALL)
    assert visit.area > 1000
    page.wait_for_function("() => window.gradio_config.root.endsWith('/some/path')")
    status = page.evaluate("() => fetch(window.gradio_config.root + '/gradio_api/info').then((answer) => answer.status)")
    assert status == 200
    expect(page.locator("clickpaint-canvas")).to_be_visible()
    assert failed == [] and set(proxy.astray) <= {"/favicon.ico"}  # which browsers look for at every host
    context.close()
