"""One HTTP answer, read so that waiting for it can be interrupted and never takes longer than the timeout."""

from __future__ import annotations

import contextlib
import importlib.util
import queue
import ssl
import threading
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException, HTTPResponse
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit

from clickpaint import __version__
from clickpaint.progress import Progress

_BLOCK = 1 << 18
_POLL = 0.1


class Answer:
    """A GET request, sent and read by a thread of its own: a blocked socket cannot be interrupted, waiting for a thread can.

    Only http and https are spoken, also after redirects. Proxies come from the environment or the system's settings.

    Attributes:
        failure: what broke the transfer off, after `blocks` has ended; None if the server ended it.
    """

    def __init__(self, url: str, headers: dict[str, str], timeout: float) -> None:
        self._request = urllib.request.Request(url, headers={"User-Agent": f"clickpaint/{__version__}", **headers})
        self._timeout = timeout
        self._arrived: queue.Queue[Any] = queue.Queue(maxsize=8)
        self._closed = threading.Event()
        self.failure: BaseException | None = None

    def __enter__(self) -> Answer:
        threading.Thread(target=self._read, name="download", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()  # the thread ends at its next block, or when its own timeout does

    def response(self, progress: Progress) -> HTTPResponse:
        """The status and headers. Raises `HTTPError` (4xx, 5xx), `OSError` (no connection, stalled) or `Interrupted`."""
        first = self._next(progress)
        if isinstance(first, BaseException):
            raise first
        return first

    def blocks(self, progress: Progress) -> Iterator[bytes]:
        """The body's bytes as they come. Ends at the end of the body or at `failure`. Raises `Interrupted`."""
        while True:
            item = self._next(progress)
            if isinstance(item, BaseException):
                self.failure = item
                return
            if item == b"":
                return
            yield item

    def _next(self, progress: Progress) -> Any:
        deadline = time.monotonic() + self._timeout + 1.0  # a little after the socket's own timeout, whose error says more
        while True:
            progress.check()
            try:
                return self._arrived.get(timeout=_POLL)
            except queue.Empty:
                if time.monotonic() > deadline:
                    return TimeoutError(f"no byte came for {self._timeout:g} seconds")

    def _put(self, item: Any) -> bool:
        while not self._closed.is_set():
            with contextlib.suppress(queue.Full):
                self._arrived.put(item, timeout=_POLL)
                return True
        return False

    def _read(self) -> None:
        try:
            with _opener(self._request.full_url).open(self._request, timeout=self._timeout) as response:
                alive = self._put(response)
                while alive:
                    block = response.read1(_BLOCK)
                    alive = self._put(block) and block != b""
        except HTTPError as error:
            error.close()
            self._put(error)
        except TimeoutError:
            self._put(TimeoutError(f"no byte came for {self._timeout:g} seconds"))
        except (OSError, URLError, HTTPException, ValueError) as error:
            self._put(error if isinstance(error, OSError) else ConnectionError(f"{type(error).__name__}: {error}"))


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise URLError(f"it redirects to {newurl}, which is not an http(s) address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    if urlsplit(url).scheme not in ("http", "https"):
        raise URLError(f"{url} is not an http(s) address")
    opener = urllib.request.OpenerDirector()  # not build_opener, which also opens file: and ftp:
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(context=_certificates()),
        _HttpOnly(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.ProxyBasicAuthHandler(urllib.request.HTTPPasswordMgrWithDefaultRealm()),
    ):
        opener.add_handler(handler)
    return opener


def _certificates() -> ssl.SSLContext:
    """The system's certificates (a company's proxy has its own) and certifi's (Python on macOS finds none of the system's)."""
    context = ssl.create_default_context()
    if importlib.util.find_spec("certifi") is not None:
        import certifi

        context.load_verify_locations(certifi.where())
    return context
