"""A picture that comes with a request: as a form, whose file waits on the disk while it arrives, or in JSON."""

from __future__ import annotations

import tempfile

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException

from clickpaint.api import json_body, translate
from clickpaint.errors import ClickpaintError, InvalidInput, TooLarge, disk_full

_JSON = "\0json"
"""In the place of a file name, for what a file name cannot be."""


async def received(request: Request) -> tuple[bytes, str]:
    """The picture's file (or the JSON around it) and its name, as they came; `picture` makes something of them.

    Raises:
        InvalidInput: it is neither a form with a file nor JSON.
        TooLarge: the form's file finds no room in the folder for temporary files.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "multipart/form-data":
        try:
            async with request.form(max_files=1, max_fields=8) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile):
                    raise InvalidInput("The form has no file.", "Send the picture in the field 'file'.")
                return await file.read(), file.filename or ""
        except (ClickpaintError, HTTPException):
            raise
        except OSError as error:
            raise no_temporary_space(error) from error
        except Exception as error:  # whatever the installed parser makes of a broken form
            raise InvalidInput("The form cannot be read.", "Send multipart/form-data with the picture in the field 'file'.") from error
    if kind == "application/json" or kind.endswith("+json"):
        return await request.body(), _JSON
    raise InvalidInput("The picture must come as multipart/form-data or as application/json.", "Set the content type.")


def picture(upload: tuple[bytes, str]) -> tuple[bytes, str]:
    """The picture's file and its name.

    Args:
        upload: what `received` gave.

    Raises:
        InvalidInput: the JSON holds no picture.
    """
    data, name = upload
    if name != _JSON:
        return data, name
    body = json_body.parse(data)
    image, name = (body.get("image"), body.get("name", "")) if isinstance(body, dict) else (None, "")
    if not isinstance(image, str) or not isinstance(name, str):
        raise InvalidInput("The body has no image.", 'Send {"image": "…", "name": "…"} with the file in base64.')
    return translate.picture_bytes(image), name


def no_temporary_space(error: BaseException) -> TooLarge:
    """What an error of the file system means to whoever sent a picture."""
    try:
        folder = tempfile.gettempdir()
    except OSError:  # not even an empty file can be written anywhere
        folder = "for temporary files"
    return TooLarge(
        "The server's folder {folder} is full." if disk_full(error) else "The server's folder {folder} cannot be used ({reason}).",
        "Make room there, or start the program with TMPDIR set to another folder.",
        folder=folder,
        reason=getattr(error, "strerror", None) or error,
    )
