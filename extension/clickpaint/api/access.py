"""Who may use the API and the page."""

from __future__ import annotations

import hmac
from typing import Protocol
from urllib.parse import quote, urlencode, urlsplit

from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from clickpaint.api import error_responses
from clickpaint.errors import AccessDenied

COOKIE = "clickpaint_token"
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")
_KEPT_SECONDS = 30 * 24 * 3600


class Gate(Protocol):
    """Decides about one request; the stand-alone app and each host have their own."""

    def check(self, connection: HTTPConnection) -> None:
        """Raises `AccessDenied`."""
        ...

    def one_user(self, connection: HTTPConnection) -> bool:
        """Whether all that is stored belongs to the one who asks, so that it may be listed."""
        ...


class LocalGate:
    """The stand-alone app's gate.

    With a token: it must come as `Authorization: Bearer TOKEN` or in the cookie that a visit to `/?token=TOKEN` sets.
    Without one: a page from elsewhere must not reach the app through its user's browser, neither across origins nor under a
    name of its own that it lets point here (DNS rebinding).

    Args:
        token: None for an app that only this machine reaches.
        loopback: whether the app listens on the loopback address only.
        names: further host names by which it may be called.
    """

    def __init__(self, token: str | None = None, *, loopback: bool = True, names: frozenset[str] = frozenset()) -> None:
        self._token = token.encode() if token else None
        self._loopback = loopback
        self._names = _LOCAL_NAMES | {name.lower() for name in names}

    def check(self, connection: HTTPConnection) -> None:
        if self._token is not None:
            # a browser sends the cookie along from no other site (SameSite), so that its origin says nothing more
            kind, _, value = connection.headers.get("authorization", "").partition(" ")
            if not self.admits(value.strip() if kind.lower() == "bearer" else connection.cookies.get(COOKIE)):
                raise AccessDenied(401, "This needs the access token.", "Open the address with ?token= shown when the program started.")
            return
        host = connection.headers.get("host", "")
        if self._loopback and _hostname(host) not in self._names:
            raise AccessDenied(403, "This program answers only under the name localhost.", "Open the address shown when it started.")
        origin = connection.headers.get("origin")
        if origin is not None and not _is_own(origin, connection):
            raise AccessDenied(403, "Requests from pages of another origin are refused.", "Use the program's own page.")

    def one_user(self, connection: HTTPConnection) -> bool:
        """A token may be known to several users, and another server in front of this one may have several."""
        forwarded = any(name in connection.headers for name in _FORWARDED)
        return self._token is None and self._loopback and not forwarded

    def admits(self, token: str | None) -> bool:
        """Whether this is the token; takes as long for one that is nearly right as for any other."""
        return self._token is not None and hmac.compare_digest((token or "").encode("utf-8", "replace"), self._token)


class PublicGate:
    """Lets everybody in, for a server that strangers use: what they may do concerns a picture or a clip that they opened, and nothing else.

    Each is known by its id, which nobody can guess and which is told to whoever opened it only.
    """

    def check(self, connection: HTTPConnection) -> None:
        reading = connection.scope["type"] != "http" or connection.scope["method"] in ("GET", "HEAD", "OPTIONS")
        parts = [part for part in connection.url.path.partition("/clickpaint/v1/")[2].split("/") if part]
        if reading or not parts:  # Gradio's own page: its buttons do nothing on the server but ask for these routes
            return
        if parts[0] in ("workspaces", "videos", "interrupt") and parts[-1] != "save":
            return
        raise AccessDenied(
            403, "This server is open to everybody, so that nobody may do this here.", "Run the program on your own machine."
        )

    def one_user(self, connection: HTTPConnection) -> bool:
        return False

    def admits(self, token: str | None) -> bool:
        """There is no token to be remembered."""
        return False


class AccessMiddleware:
    """Puts a gate before a whole app (ASGI), websockets included, and lets a visit to `/?token=TOKEN` leave the token as a cookie."""

    def __init__(self, app: ASGIApp, gate: LocalGate | PublicGate) -> None:
        self._app, self._gate = app, gate

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        connection = HTTPConnection(scope)
        token = connection.query_params.get("token")
        if scope["type"] == "http" and scope["method"] == "GET" and self._gate.admits(token):
            await _remember(connection, token or "")(scope, receive, send)
            return
        try:
            self._gate.check(connection)
        except AccessDenied as denied:
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
                return
            await _refusal(connection, denied)(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _remember(connection: HTTPConnection, token: str) -> Response:
    # relative, since a proxy may have taken a part of the path away; "./", since a colon in it would make it another scheme
    query = urlencode([(key, value) for key, value in connection.query_params.multi_items() if key != "token"])
    here = quote("./" + connection.url.path.rpartition("/")[2])
    response = RedirectResponse(f"{here}?{query}" if query else here, 303, {"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})
    secure = connection.url.scheme == "https"
    response.set_cookie(COOKIE, token, max_age=_KEPT_SECONDS, httponly=True, samesite="lax", secure=secure)
    return response


def _refusal(connection: HTTPConnection, denied: AccessDenied) -> Response:
    if "text/html" in connection.headers.get("accept", ""):
        return PlainTextResponse(f"{denied.message} {denied.remedy}", denied.status)
    return error_responses.of_error(denied)


def _is_own(origin: str, connection: HTTPConnection) -> bool:
    """Whether the page that asks came from this program, maybe through a proxy that calls it by another name.

    No page can set Sec-Fetch-Site, and none of another origin X-Forwarded-Host: the browser would ask first, and be refused.
    """
    names = [connection.headers.get("host", ""), connection.headers.get("x-forwarded-host", "").split(",")[0].strip()]
    if origin.lower().partition("://")[2] in [name.lower() for name in names if name]:
        return True
    return connection.headers.get("sec-fetch-site") == "same-origin"


def _hostname(host: str) -> str:
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
