"""Who the web UI lets in: its login (`--gradio-auth`) and its API's passwords (`--api-auth`), asked for by every route of ours."""

from __future__ import annotations

import base64
import binascii
import functools
import hmac
import re
import secrets
from typing import Any

from clickpaint.hosts.webui.probe import argument

PAGE_HEADER = "x-clickpaint-page"
"""What the script of our tab sends with each request: the page's token, or any text where the page has none."""


@functools.lru_cache(maxsize=1)
def _page_token() -> str:
    return secrets.token_urlsafe(32)


def token_for_page() -> str:
    """What our tab holds in its HTML while the API asks for passwords and the page for no login: whoever is shown the page may use the
    tab. Empty where nothing is asked for, and where the page's own login says who may. New in every process."""
    login = argument("gradio_auth", "gradio_auth_path", "auth", "auth_file")
    return _page_token() if _passwords() and not login else ""


def from_open_page(app: Any, token: str) -> bool:
    """Whether a request comes from our tab in a page that the web UI shows to everybody.

    Args:
        token: the header `PAGE_HEADER`.
    """
    return not _login_on(app) and hmac.compare_digest(token.encode("utf-8", "replace"), _page_token().encode())


def needed(app: Any) -> bool:
    """Whether the web UI asks for a login or for a password at all."""
    return bool(_login_on(app) or _passwords())


def page_shown(app: Any, cookies: dict[str, str]) -> bool:
    """Whether the page is shown to whoever has these cookies: to everybody, where it asks for no login."""
    return not _login_on(app) or logged_in(app, cookies)


def logged_in(app: Any, cookies: dict[str, str]) -> bool:
    """Whether these cookies are those of somebody who logged in to the page."""
    if not _login_on(app):
        return False
    suffix = f"-{app.cookie_id}" if getattr(app, "cookie_id", None) else ""  # since gradio 4
    for name in (f"access-token{suffix}", f"access-token-unsecure{suffix}"):
        given = cookies.get(name, "").encode()
        # every token is compared, and in constant time: how long it takes says nothing about which was nearly right
        if given and sum([hmac.compare_digest(given, str(token).encode()) for token in list(app.tokens)]):
            return True
    return False


def password_right(authorization: str) -> bool:
    """Whether an `Authorization` header holds one of the pairs of `--api-auth`."""
    kind, _, value = authorization.partition(" ")
    if kind.lower() != "basic":
        return False
    try:
        given = base64.b64decode(value.strip(), validate=True)
    except (binascii.Error, ValueError):
        return False
    return bool(sum([hmac.compare_digest(given, pair.encode()) for pair in _passwords()]))


def takes_passwords() -> bool:
    return bool(_passwords())


def origin_allowed(origin: str | None, host: str) -> bool:
    """Whether a page of this origin may ask: the web UI's own, and those it was started to allow."""
    if origin is None:
        return True
    if origin.lower().partition("://")[2] == host.lower():
        return True
    allowed = [origin for origin in (argument("cors_allow_origins", "cors_origins") or "").split(",") if origin]
    pattern = argument("cors_allow_origins_regex", "cors_regex")
    return origin in allowed or "*" in allowed or bool(pattern and re.fullmatch(pattern, origin))


def _login_on(app: Any) -> bool:
    return getattr(app, "auth", None) is not None


def _passwords() -> list[str]:
    return [pair for pair in (argument("api_auth", "auth") or "").split(",") if ":" in pair]
