"""Who may use our routes in a web UI: whoever may use the web UI itself."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from clickpaint.errors import AccessDenied
from clickpaint.hosts.webui import credentials

if TYPE_CHECKING:
    from starlette.requests import HTTPConnection


class WebUIGate:
    """Asks for what the web UI asks for (`api.access.Gate`).

    Args:
        app: the web UI's FastAPI app.
    """

    def __init__(self, app: Any) -> None:
        self._app = app

    def one_user(self, connection: HTTPConnection) -> bool:
        """Nobody knows how many use a web UI."""
        return False

    def shows_page(self, connection: HTTPConnection) -> bool:
        """Whether the web UI shows its page to whoever asks."""
        return credentials.page_shown(self._app, dict(connection.cookies))

    def check(self, connection: HTTPConnection) -> None:
        """Raises `AccessDenied`."""
        if not credentials.origin_allowed(connection.headers.get("origin"), connection.headers.get("host", "")):
            raise AccessDenied(403, "Requests from pages of another origin are refused.", "Start the web UI with --cors-allow-origins.")
        if not credentials.needed(self._app):
            return
        if credentials.logged_in(self._app, dict(connection.cookies)):
            return
        page = connection.headers.get(credentials.PAGE_HEADER)
        if page is not None and credentials.from_open_page(self._app, page):
            return
        if credentials.password_right(connection.headers.get("authorization", "")):
            return
        if page is not None:  # to a challenge the browser would answer with a dialog of its own, in the middle of the web UI's page
            raise AccessDenied(401, "This page may not use Clickpaint any more.", "Reload it, and log in if the web UI asks.", challenge="")
        basic = credentials.takes_passwords()
        raise AccessDenied(
            401,
            "This needs a login.",
            "Send a user and a password of --api-auth (basic authentication)." if basic else "Log in to the web UI.",
            challenge='Basic realm="Clickpaint"' if basic else "",
        )
