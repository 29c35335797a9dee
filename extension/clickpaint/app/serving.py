"""Serve the page and the API of the stand-alone program."""

from __future__ import annotations

import http.client
import ipaddress
import json
import os
import re
import secrets
import socket
import sys
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
import webbrowser
from typing import TYPE_CHECKING

from clickpaint.errors import InvalidInput

if TYPE_CHECKING:
    from clickpaint.hosts.base import Host
    from clickpaint.hosts.embedded import EmbeddedHost

PORT = 7870
_PORTS_TRIED = 20


def serve(host: EmbeddedHost, address: str, port: int | None, token: str | None, *, browser: bool, public: bool = False) -> int:
    """Serve until stopped by Ctrl-C.

    Args:
        host: what is served.
        address: where to listen.
        port: None for the first free one from 7870 on, 0 for any.
        token: what clients must know; None lets everybody on this machine in, and is replaced by a random one where the
            address can be reached from others.
        browser: whether to open one on the page.
        public: strangers use it: no token, and nothing but their own pictures (`PublicGate`).

    Raises:
        InvalidInput: the address or the port cannot be used, or a token is asked of everybody.
    """
    if public and token is not None:
        raise InvalidInput("A server for everybody has no token.", "Leave out either --public or --token.")
    with listen(address, port) as listener:
        bound, taken = listener.getsockname()[:2]
        if token is None and not public and not is_loopback(bound):
            token = secrets.token_urlsafe(16)
        print("Starting …", flush=True)
        import uvicorn

        from clickpaint.api.access import LocalGate, PublicGate
        from clickpaint.studio.studio import Studio
        from clickpaint.ui.standalone import create_app

        studio = Studio(host)
        host.device()  # a device that is not there is named now and not at the first click
        for warning in closed_folders(host):
            print(warning, file=sys.stderr, flush=True)
        gate = PublicGate() if public else LocalGate(token, loopback=is_loopback(bound), names=frozenset({address}))
        app = create_app(studio, gate)
        config = uvicorn.Config(app, log_level="warning", access_log=False, timeout_graceful_shutdown=2)
        url = page_address(bound, taken, token)
        threading.Thread(target=_announce, args=(url, browser), daemon=True).start()
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            print("Stopped.")
        finally:
            studio.shut_down()
    return 0


def closed_folders(host: Host) -> list[str]:
    """A sentence for each folder that the program would write into and may not."""
    from clickpaint.app.doctor import unwritable

    uses = {
        host.folders("sam")[0]: "models cannot be downloaded",
        host.output_folder(): "results cannot be saved",
        host.data_folder() / "workspaces": "open pictures are lost when the program ends",
    }
    closed = {folder: unwritable(folder) for folder in uses}
    remedy = "Make it writable, or choose another folder with --data-dir."
    return [f"{place} may not be written: {uses[folder]}. {remedy}" for folder, place in closed.items() if place is not None]


def listen(address: str, port: int | None) -> socket.socket:
    """A socket that listens there. Raises `InvalidInput` where that is not possible."""
    if port is not None and not 0 <= port < 65536:
        raise InvalidInput("There is no port {port}.", "It goes from 0 (any) to 65535.", port=port)
    try:
        family = socket.getaddrinfo(address, port or 0, type=socket.SOCK_STREAM)[0][0]
    except OSError as error:
        raise InvalidInput(
            "The address {address} is unknown.", "Use 127.0.0.1 for this machine only, 0.0.0.0 for all its addresses.", address=address
        ) from error
    reason = ""
    for candidate in range(PORT, PORT + _PORTS_TRIED) if port is None else (port,):
        try:
            return _named_tcp(socket.create_server((address, candidate), family=family))
        except OSError as error:
            reason = error.strerror or str(error)
    raise InvalidInput(
        "The ports {first} to {last} cannot be used on {address}: {reason}."
        if port is None
        else "The port {first} cannot be used on {address}: {reason}.",
        "Choose another one with --port, or 0 for any.",
        first=PORT if port is None else port,
        last=PORT + _PORTS_TRIED - 1,
        address=address,
        reason=reason,
    )


def _named_tcp(listener: socket.socket) -> socket.socket:
    """The same socket, known to be one of TCP: only then does asyncio send small answers at once (TCP_NODELAY).

    `socket.create_server` leaves the protocol open, and what is accepted inherits that. Uvicorn writes head and body apart, and
    Nagle's algorithm then holds the body back until the client's delayed acknowledgement of the head, 40 ms later.
    """
    listener = socket.socket(listener.family, listener.type, socket.IPPROTO_TCP, fileno=listener.detach())
    listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # inherited as well, whichever loop accepts
    return listener


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches the (numeric) address."""
    return ipaddress.ip_address(address.partition("%")[0]).is_loopback


def page_address(bound: str, port: int, token: str | None) -> str:
    """Where a browser on this machine finds the page."""
    ip = ipaddress.ip_address(bound.partition("%")[0])
    if ip.is_unspecified:
        bound = "::1" if ip.version == 6 else "127.0.0.1"
    name = f"[{bound}]" if ":" in bound else bound
    return f"http://{name}:{port}/" + (f"?token={token}" if token else "")


def _announce(url: str, browser: bool) -> None:
    """Once the page answers: say where it is, and open it."""
    no_proxy = urllib.request.ProxyHandler({})  # never through a proxy to this machine
    opener = urllib.request.build_opener(no_proxy, urllib.request.HTTPCookieProcessor())  # the cookie that the token is exchanged for
    page, until = b"", time.monotonic() + 120
    while time.monotonic() < until:
        try:
            with opener.open(url, timeout=30) as answer:
                page = answer.read()
            break
        except urllib.error.HTTPError:
            break
        except OSError:
            time.sleep(0.1)
    _prepare(opener, url, page)
    print(f"Clickpaint is at {url} (Ctrl-C stops it)", flush=True)
    if browser and _has_browser():
        webbrowser.open(url)
    _prepare_samples(opener, url)


def _prepare(opener: urllib.request.OpenerDirector, url: str, page: bytes) -> None:
    """Ask once for what the page loads first, as a browser would: the script is joined and compressed before the first visitor waits for
    it."""
    ours = re.findall(rb'(?:href|src)="(clickpaint/static/[^"]+)"', page)
    for address in [*(match.decode() for match in ours), "clickpaint/v1/capabilities", "clickpaint/v1/models"]:
        _asked(opener, url, address)


def _prepare_samples(opener: urllib.request.OpenerDirector, url: str) -> None:
    """Have the samples painted (a second of processor time), for which nobody has to wait."""
    try:
        samples = json.loads(_asked(opener, url, "clickpaint/v1/samples"))
    except ValueError:
        return
    for sample in samples:
        _asked(opener, url, f"clickpaint/v1/samples/{sample['name']}/thumbnail")


def _asked(opener: urllib.request.OpenerDirector, url: str, address: str) -> bytes:
    """What the server answers; nothing where it does not: the visitor will be told then."""
    request = urllib.request.Request(urllib.parse.urljoin(url, address), headers={"Accept-Encoding": "br, gzip"})
    try:
        with opener.open(request, timeout=30) as answer:
            return answer.read()
    except (OSError, http.client.HTTPException):
        return b""


def _has_browser() -> bool:
    """Whether a browser would open in a window; in a bare terminal a text browser would take the terminal over."""
    return not sys.platform.startswith("linux") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
