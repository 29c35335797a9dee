"""A local HTTP server for downloads that resumes, stalls, truncates, lies and redirects, one behaviour per path."""

from __future__ import annotations

import hashlib
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

BODY = bytes(hashlib.shake_256(b"clickpaint").digest(600_000))


class LyingServer(ThreadingHTTPServer):
    """Serves BODY. `requests` holds (path, Range header, If-Range header) of every request; `failures` counts per path."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[tuple[str, str | None, str | None]] = []
        self.failures: dict[str, int] = {}
        self.etag = '"one"'
        self.body = BODY
        self.pace = 0.0
        self.gate = threading.Event()  # closed: "/held" and what stalls wait
        threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def handle_error(self, request, client_address) -> None:
        pass  # clients hang up on purpose

    def close(self) -> None:
        self.gate.set()
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LyingServer

    def log_message(self, format: str, *args: object) -> None:
        pass

    def do_GET(self) -> None:
        self.close_connection = True
        wanted, condition = self.headers.get("Range"), self.headers.get("If-Range")
        self.server.requests.append((self.path, wanted, condition))
        behaviour = self.path.removeprefix("http://far.example").strip("/").split("/")[0]  # a proxy is asked for a whole address
        getattr(self, behaviour)(wanted if condition in (None, self.server.etag) else None)

    def first_time(self) -> bool:
        seen = self.server.failures.get(self.path, 0)
        self.server.failures[self.path] = seen + 1
        return seen == 0

    def head(self, status: int, length: int | None, **headers: str) -> None:
        self.send_response(status)
        if length is not None:
            self.send_header("Content-Length", str(length))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()

    def send(self, wanted: str | None, *, stop_after: int | None = None, length: int | None = None, body: bytes | None = None) -> None:
        body = self.server.body if body is None else body
        start = int(wanted.removeprefix("bytes=").rstrip("-")) if wanted else 0
        if start >= len(body):
            return self.head(416, 0, Content_Range=f"bytes */{len(body)}")
        rest = body[start:]
        extra = {"Content_Range": f"bytes {start}-{len(body) - 1}/{len(body)}"} if wanted else {}
        self.head(206 if wanted else 200, len(rest) if length is None else length, ETag=self.server.etag, **extra)
        rest = rest if stop_after is None else rest[:stop_after]
        for at in range(0, len(rest), 20_000):
            self.wfile.write(rest[at : at + 20_000])
            time.sleep(self.server.pace)
        return None

    # one method per behaviour: the first part of the path

    def good(self, wanted: str | None) -> None:
        self.send(wanted)

    def no_ranges(self, wanted: str | None) -> None:
        self.send(None)

    def breaks(self, wanted: str | None) -> None:
        self.send(wanted, stop_after=200_000)

    def breaks_without_ranges(self, wanted: str | None) -> None:
        self.send(None, stop_after=100_000 if self.first_time() else None)

    def stalls(self, wanted: str | None) -> None:
        if self.first_time():
            self.send(wanted, stop_after=100_000)
            self.wfile.flush()
            self.server.gate.wait(60)
        else:
            self.send(wanted)

    def never_answers(self, wanted: str | None) -> None:
        self.server.gate.wait(60)

    def held(self, wanted: str | None) -> None:
        self.server.gate.wait(60)
        self.send(wanted)

    def too_long_length(self, wanted: str | None) -> None:
        self.send(wanted, length=len(self.server.body) + 5_000)

    def too_short_length(self, wanted: str | None) -> None:
        self.send(wanted, length=None if wanted else 400_000)

    def more_than_promised(self, wanted: str | None) -> None:
        self.send(wanted, body=self.server.body + b"tail" * 1000)

    def chunked(self, wanted: str | None) -> None:
        self.head(200, None, Transfer_Encoding="chunked")
        stop = 150_000 if self.first_time() else len(self.server.body)
        for at in range(0, stop, 50_000):
            block = self.server.body[at : at + 50_000]
            self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block))
        if stop == len(self.server.body):
            self.wfile.write(b"0\r\n\r\n")

    def without_length(self, wanted: str | None) -> None:
        self.head(200, None)
        self.wfile.write(self.server.body)

    def wrong_bytes(self, wanted: str | None) -> None:
        self.send(wanted, body=bytes(len(self.server.body)))

    def wrong_part(self, wanted: str | None) -> None:
        if wanted:
            self.head(206, 10, Content_Range=f"bytes 0-9/{len(self.server.body)}")
            self.wfile.write(self.server.body[:10])
        else:
            self.send(None)

    def page(self, wanted: str | None) -> None:
        self.head(200, 30, Content_Type="text/html; charset=utf-8")
        self.wfile.write(b"<html><body>Log in</body></html>"[:30])

    def disguised_page(self, wanted: str | None) -> None:
        page = b"\n<!DOCTYPE html><html>quota exceeded</html>"
        self.head(200, len(page), Content_Type="application/octet-stream")
        self.wfile.write(page)

    def missing(self, wanted: str | None) -> None:
        self.head(404, 0)

    def busy(self, wanted: str | None) -> None:
        if self.first_time():
            self.head(503, 0, Retry_After="0")
        else:
            self.send(wanted)

    def redirects(self, wanted: str | None) -> None:
        self.head(302, 0, Location=self.server.url("/good/elsewhere"))

    def to_a_file(self, wanted: str | None) -> None:
        self.head(302, 0, Location="file:///etc/hostname")

    def to_ftp(self, wanted: str | None) -> None:
        self.head(302, 0, Location="ftp://127.0.0.1/file")

    def to_nowhere(self, wanted: str | None) -> None:
        self.head(302, 0, Location="http://[half/an/address")
