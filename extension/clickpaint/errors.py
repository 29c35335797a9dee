"""Every error that Clickpaint raises on purpose: one sentence that says what is wrong, one that says what to do, and the data behind it."""

from __future__ import annotations

from typing import Any


class ClickpaintError(Exception):
    """Base of all errors that are meant to be read by the user.

    Args:
        message: what is wrong, one sentence with its full stop.
        remedy: what to do about it, one sentence with its full stop; may be empty where the message says it all.
        **data: JSON-compatible facts behind the sentence (names, sizes, limits), handed on by the API as they are.
    """

    def __init__(self, message: str, remedy: str = "", **data: Any) -> None:
        super().__init__(f"{message} {remedy}".strip())
        self.message = message
        self.remedy = remedy
        self.data = data


class InvalidInput(ClickpaintError):
    """What came in cannot be worked on: a broken file, a point outside the picture, a value out of range."""


class NotFound(InvalidInput):
    """The workspace, model or version that was named does not exist (any more)."""


class TooLarge(InvalidInput):
    """The input is over a limit of the settings (bytes or pixels)."""


class ModelMissing(ClickpaintError):
    """A model's file is not on this machine, or the package that runs it is not installed."""


class CorruptModel(ModelMissing):
    """A model's file is there but is not what the catalog says; it was set aside and can be downloaded again."""


class DownloadFailed(ClickpaintError):
    """A download broke off, was refused, or brought something other than what the catalog promises."""


class OutOfMemory(ClickpaintError):
    """The device ran out of memory even after freeing what is ours and retrying smaller."""


class Busy(ClickpaintError):
    """Too much is under way already; the same request will work later."""


class Interrupted(ClickpaintError):
    """The user asked to stop. Nothing was changed."""

    def __init__(self, message: str = "Interrupted.", remedy: str = "", **data: Any) -> None:
        super().__init__(message, remedy, **data)


class HostUnsupported(ClickpaintError):
    """The host cannot do this (no checkpoint loaded, a sampler it does not have, …)."""


class AccessDenied(ClickpaintError):
    """Whoever asked may not.

    Args:
        status: HTTP's 401 (say who you are) or 403 (not from there).
        challenge: how to say it, as in the header WWW-Authenticate; empty for no challenge.
    """

    def __init__(self, status: int, message: str, remedy: str = "", challenge: str = "Bearer") -> None:
        super().__init__(message, remedy)
        self.status = status
        self.challenge = challenge
