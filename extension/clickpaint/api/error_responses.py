"""Errors as HTTP answers: one table, one shape."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from fastapi.exceptions import RequestValidationError

from clickpaint import errors
from clickpaint.api.encode import answer
from clickpaint.caption.caption_refinement import TextModelFailed


class Unprocessable(errors.InvalidInput):
    """A name or a value that does not exist, to clients that expect 422 for it (sd-webui-controlnet's)."""


STATUS: dict[type[errors.ClickpaintError], int] = {
    TextModelFailed: 409,
    errors.InvalidInput: 400,
    Unprocessable: 422,
    errors.NotFound: 404,
    errors.TooLarge: 413,
    errors.ModelMissing: 409,
    errors.DownloadFailed: 409,
    errors.OutOfMemory: 413,
    errors.Busy: 429,
    errors.Interrupted: 409,
    errors.HostUnsupported: 409,
    errors.HostFailed: 500,
}
"""By the nearest class in an error's ancestry."""

_TYPE_TAGS = ("constrained-int", "constrained-float", "ConstrainedIntValue", "ConstrainedFloatValue")


def of_error(error: errors.ClickpaintError) -> Response:
    headers = None
    if isinstance(error, errors.AccessDenied):
        status = error.status
        if status == 401 and error.challenge:
            headers = {"WWW-Authenticate": error.challenge}
    else:
        status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
        if status == 429:
            headers = {"Retry-After": "2"}
    return answer(error.describe(), status, headers)


def of_validation(error: RequestValidationError) -> Response:
    """A body or parameter of the wrong shape, in one sentence with the names of the fields."""
    faults: dict[str, str] = {}
    for fault in error.errors():
        where = ".".join(str(part) for part in fault["loc"] if part != "body" and part not in _TYPE_TAGS)
        faults[where] = str(fault["msg"]).rstrip(".")  # of several for a field (a union's) the last
    message = "; ".join(f"{where}: {what}" if where else what for where, what in [*faults.items()][:3]) or "The request cannot be read"
    remedy = "See the API's documentation for what this address takes; its body is JSON with the content type application/json."
    return described(422, "InvalidInput", message + ".", remedy, {"fields": [*faults][:20]})


def described(
    status: int, error: str, message: str, remedy: str = "", data: dict[str, Any] | None = None, headers: dict[str, str] | None = None
) -> Response:
    body = {"error": error, "message": message, "remedy": remedy, "code": message, "remedy_code": remedy, "data": data or {}}
    return answer(body, status, headers)
