"""Who the web UI lets in: its login (`--gradio-auth`) and its API's passwords (`--api-auth`), asked for by every route of ours."""

from __future__ import annotations

import base64
import binascii
import hmac
import re
from typing import Any


def needed(app: Any) -> bool:
    """Whether the web UI asks for a login or for a password at all."""
    return bool(_login_on(app) or _passwords())


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
    from modules import shared

    if origin.lower().partition("://")[2] == host.lower():
        return True
    allowed = [one for one in (shared.cmd_opts.cors_allow_origins or "").split(",") if one]
    pattern = shared.cmd_opts.cors_allow_origins_regex
    return origin in allowed or "*" in allowed or bool(pattern and re.fullmatch(pattern, origin))


def _login_on(app: Any) -> bool:
    return getattr(app, "auth", None) is not None


def _passwords() -> list[str]:
    from modules import shared

    return [pair for pair in (shared.cmd_opts.api_auth or "").split(",") if ":" in pair]
