"""One HTTP answer, read so that waiting for it can be interrupted and never takes longer than the timeout."""

from __future__ import annotations

import contextlib
import importlib.util
import queue
import socket
import ssl
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse, HTTPSConnection
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import unquote, urlsplit

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
        except (OSError, HTTPException, ValueError) as error:
            self._put(error if isinstance(error, OSError) else ConnectionError(f"{type(error).__name__}: {error}"))


class ProxyUnusable(URLError):
    """The environment names a proxy that cannot be spoken to here, however often it is tried."""


class _HttpOnly(urllib.request.HTTPRedirectHandler):
    """Follows to http and https addresses only. The answer that led nowhere is closed: urllib leaves that to whoever catches the error."""

    def http_error_302(self, req: Any, fp: Any, code: int, msg: str, headers: Any) -> Any:
        try:
            return super().http_error_302(req, fp, code, msg, headers)
        except BaseException:
            fp.close()
            raise

    http_error_301 = http_error_303 = http_error_307 = http_error_308 = http_error_302

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        if urlsplit(newurl).scheme not in ("http", "https"):
            raise URLError(f"it redirects to {newurl}, which is not an http(s) address")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener(url: str) -> urllib.request.OpenerDirector:
    if urlsplit(url).scheme not in ("http", "https"):
        raise URLError(f"{url} is not an http(s) address")
    opener = urllib.request.OpenerDirector()  # not build_opener, which also opens file: and ftp:
    proxies = _proxies()
    for handler in (
        urllib.request.ProxyHandler({scheme: proxy for scheme, proxy in proxies.items() if not _speaks_socks(proxy)}),
        _Direct({scheme: proxy for scheme, proxy in proxies.items() if _speaks_socks(proxy)}),
        _HttpOnly(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.ProxyBasicAuthHandler(urllib.request.HTTPPasswordMgrWithDefaultRealm()),
    ):
        opener.add_handler(handler)
    return opener


def _proxies() -> dict[str, str]:
    """The proxy of each scheme; ALL_PROXY, which urllib does not look at, is that of both where they have none."""
    proxies = {scheme: proxy for scheme, proxy in urllib.request.getproxies().items() if proxy}
    everything = proxies.pop("all", None)
    return {scheme: proxies.get(scheme, everything) or "" for scheme in ("http", "https") if proxies.get(scheme, everything)}


def _speaks_socks(proxy: str) -> bool:
    return urlsplit(proxy).scheme.lower().startswith("socks")


class _Direct(urllib.request.HTTPHandler, urllib.request.HTTPSHandler):
    """Opens connections, through a SOCKS proxy where the scheme of the address has one.

    Args:
        proxies: the SOCKS proxies by scheme.
    """

    def __init__(self, proxies: dict[str, str]) -> None:
        urllib.request.HTTPHandler.__init__(self)
        self._proxies, self._certificates = proxies, _certificates()

    def http_open(self, req: urllib.request.Request) -> Any:
        return self._open(HTTPConnection, req, "http")

    def https_open(self, req: urllib.request.Request) -> Any:
        return self._open(HTTPSConnection, req, "https", context=self._certificates)

    def _open(self, kind: type[HTTPConnection], request: urllib.request.Request, scheme: str, **options: Any) -> Any:
        proxy = self._proxies.get(scheme)
        through = proxy is not None and not request.has_proxy() and not urllib.request.proxy_bypass(urlsplit(request.full_url).netloc)
        connect = _through(proxy) if through and proxy else None

        def made(host: str, **more: Any) -> HTTPConnection:
            connection = kind(host, **more)
            if connect is not None:
                connection._create_connection = connect  # type: ignore[attr-defined]
            return connection

        return self.do_open(made, request, **options)  # type: ignore[arg-type]


def _through(proxy: str) -> Callable[..., socket.socket]:
    """What connects like `socket.create_connection`, through a SOCKS proxy. Raises `ProxyUnusable` where that cannot be done here."""
    if importlib.util.find_spec("socks") is None:
        shown = urlsplit(proxy)._replace(netloc=urlsplit(proxy).netloc.rpartition("@")[2]).geturl()  # without the password
        raise ProxyUnusable(
            f"the proxy {shown} of the environment speaks SOCKS, for which the package PySocks is missing: install it, "
            "or set HTTPS_PROXY to an HTTP proxy"
        )
    import socks  # type: ignore[import-not-found,import-untyped]

    parts = urlsplit(proxy)
    kind = socks.SOCKS4 if parts.scheme.lower().startswith("socks4") else socks.SOCKS5
    # the proxy looks the name up: where a network is filtered, its names often are as well
    user, password = (unquote(part) if part else None for part in (parts.username, parts.password))

    def connect(address: tuple[str, int], timeout: Any, source_address: Any = None) -> socket.socket:
        return socks.create_connection(
            address, timeout, source_address, proxy_type=kind, proxy_addr=parts.hostname,
            proxy_port=parts.port or 1080, proxy_rdns=True, proxy_username=user, proxy_password=password,
        )  # fmt: skip

    return connect


def _certificates() -> ssl.SSLContext:
    """The system's certificates (a company's proxy has its own) and certifi's (Python on macOS finds none of the system's)."""
    context = ssl.create_default_context()
    if importlib.util.find_spec("certifi") is not None:
        import certifi

        context.load_verify_locations(certifi.where())
    return context
