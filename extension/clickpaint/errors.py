"""Every error that Clickpaint raises on purpose: one sentence that says what is wrong, one that says what to do, and the data behind it."""

from __future__ import annotations

import errno
import string
from typing import Any


class Sentence(str):
    """An English sentence that knows what it was made of, so that a page can say it in another language.

    Everywhere else it is the text that it reads.

    Args:
        template: as for `str.format`, with plain names only: "There is no candidate {index}." It is what translations are found by.
            Where it has no names, or `data` lacks one of them, it is taken as it stands, with its braces. Another `Sentence` stays what
            it is.
        **data: values by the template's names, maybe sentences themselves. There may be more than the template needs.
    """

    template: str
    data: dict[str, Any]

    def __new__(cls, template: str, /, **data: Any) -> Sentence:
        if isinstance(template, Sentence):
            return template
        names = _names(template)
        text = template.format(**data) if names and names <= data.keys() else template
        sentence = super().__new__(cls, text)
        sentence.template = template
        sentence.data = {name: _compatible(value) for name, value in data.items()}
        return sentence


class ClickpaintError(Exception):
    """Base of all errors that are meant to be read by the user.

    Args:
        message: what is wrong, one sentence with its full stop; see `Sentence` for names in it.
        remedy: what to do about it, one sentence with its full stop; may be empty where the message says it all.
        **data: JSON-compatible facts behind both (names, sizes, limits), handed on by the API.
    """

    def __init__(self, message: str, remedy: str = "", **data: Any) -> None:
        self.message = Sentence(message, **data)
        self.remedy = Sentence(remedy, **data)
        self.data = {name: _compatible(value) for name, value in data.items()}
        super().__init__(f"{self.message} {self.remedy}".strip())

    @property
    def sentence(self) -> Sentence:
        """The message, and the remedy after it."""
        return Sentence("{message} {remedy}", message=self.message, remedy=self.remedy) if self.remedy else self.message

    def describe(self) -> dict[str, Any]:
        """This error as JSON-compatible data: its kind, both sentences with their codes, which are their templates, and the data."""
        return {
            "error": type(self).__name__, "message": str(self.message), "remedy": str(self.remedy), "code": self.message.template,
            "remedy_code": self.remedy.template, "data": self.message.data | self.remedy.data | self.data,
        }  # fmt: skip


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


class HostFailed(ClickpaintError):
    """The host, or an extension in it, failed at its own work; the message names its reason."""


class AccessDenied(ClickpaintError):
    """Whoever asked may not.

    Args:
        status: HTTP's 401 (say who you are) or 403 (not from there).
        challenge: how to say it, as in the header WWW-Authenticate; empty for no challenge.
    """

    def __init__(self, status: int, message: str, remedy: str = "", challenge: str = "Bearer", **data: Any) -> None:
        super().__init__(message, remedy, **data)
        self.status = status
        self.challenge = challenge


def with_codes(content: Any) -> Any:
    """JSON-compatible data, in which beside every sentence that has values stand its template and its data.

    Of {"reason": Sentence("{name} is not here.", name="x")} it makes {"reason": "x is not here.", "reason_code": "{name} is not here.",
    "reason_data": {"name": "x"}}. A sentence without values is its own code.
    """
    if isinstance(content, dict):
        made = {}
        for key, value in content.items():
            made[key] = with_codes(value)
            if isinstance(value, Sentence) and value.template != value:
                made[f"{key}_code"], made[f"{key}_data"] = value.template, with_codes(value.data)
        return made
    if isinstance(content, (list, tuple)) and any(isinstance(value, (dict, list, tuple, Sentence)) for value in content[:1]):
        return [with_codes(value) for value in content]
    return str(content) if isinstance(content, Sentence) else content


def _names(template: str) -> set[str]:
    """The names that a template asks for; none where it is no template of plain names."""
    try:
        names = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError:  # a single brace
        return set()
    return names if all(name.isidentifier() for name in names) else set()


def _compatible(value: Any) -> Any:
    """Paths, errors and the like as their text."""
    return value if value is None or isinstance(value, (str, bool, int, float, list, tuple, dict)) else str(value)


def disk_full(error: BaseException) -> bool:
    """Whether an error means that a disk has no room left."""
    return isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT)


def cannot_write(target: object, error: OSError) -> InvalidInput:
    """What is said of a file or a folder that the user named for results, and that the system does not let us write."""
    return InvalidInput(
        "{target} cannot be written: {reason}.",
        "Make room there, or name another place with -o.",
        target=target,
        reason=error.strerror or error,
    )
