"""What surrounds every handler: who may ask, how much they may send, and errors in our own shape whichever app the routes live in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any, get_args, get_type_hints

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from clickpaint.api import error_responses, json_body
from clickpaint.api.access import Gate
from clickpaint.api.pydantic_compat import Bounded, fields_of, schema_of, type_of
from clickpaint.api.uploads import no_temporary_space
from clickpaint.errors import ClickpaintError, OutOfMemory, TooLarge, disk_full
from clickpaint.settings import MEGABYTE
from clickpaint.weights.device import out_of_memory

log = logging.getLogger(__name__)


_BLOCK = MEGABYTE
"""Bytes of a body that are handed on together: a file on its way to the disk is written by another thread, once for each block."""

SMALL = 2 * MEGABYTE
"""Bytes of a body that brings no picture: 100,000 points of strokes have 1.6 MB."""


def guarded(gate: Gate, upload_limit: Callable[[], int], clip_limit: Callable[[], int]) -> type[APIRoute]:
    """The route class for a router.

    Args:
        gate: asked before anything of the body is read.
        upload_limit: bytes that a body with a picture in it may have; any other has at most `SMALL`. They are counted as they
            arrive, since nobody has to announce their number.
        clip_limit: the same for a body that is a clip, which goes to the disk.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()
            limit_of = clip_limit if _brings_clip(self) else upload_limit if _brings_picture(self) else lambda: SMALL

            async def handle(request: Request) -> Response:
                try:
                    gate.check(request)
                    return await inner(_Guarded(request, limit_of()))
                except RequestValidationError as error:
                    return error_responses.of_validation(error)
                except ClickpaintError as error:
                    return error_responses.of_error(error)
                except HTTPException as error:
                    if isinstance(error.detail, ClickpaintError):
                        return error_responses.of_error(error.detail)
                    return error_responses.described(error.status_code, "InvalidInput", f"{error.detail}.".replace("..", "."))
                except Exception as error:
                    if out_of_memory(error):
                        full = OutOfMemory("The memory does not suffice for this.", "Send a smaller picture, or close other programs.")
                        return error_responses.of_error(full)
                    if disk_full(error):
                        return error_responses.of_error(no_temporary_space(error))
                    log.exception("%s %s failed", request.method, request.url.path)
                    return error_responses.described(500, "InternalError", "Something went wrong.", "The log of the program says more.")

            return handle

    return Guarded


def _brings_clip(route: APIRoute) -> bool:
    return (route.openapi_extra or {}).get("x-takes") == "clip"


def _brings_picture(route: APIRoute) -> bool:
    """Whether a field of the body is a picture's file, or the route reads an upload by itself (and documents that by itself)."""
    if _brings_clip(route):
        return False
    if route.openapi_extra is not None and "requestBody" in route.openapi_extra:
        return True
    return any(_has_picture(kind) for kind in get_type_hints(route.endpoint).values())


def _has_picture(kind: Any) -> bool:
    """Whether a type is, or contains, a schema with a picture in it."""
    inner = get_args(kind)
    if inner:  # first, for Python 3.10 takes list[int] for a class
        return any(_has_picture(argument) for argument in inner)
    if not isinstance(kind, type) or not issubclass(kind, Bounded):
        return False
    return any(schema_of(field).get("format") == "byte" or _has_picture(type_of(field)) for field in fields_of(kind).values())


class _Guarded(Request):
    """A request whose body is counted while it is read, and whose JSON is parsed by `json_body`."""

    def __init__(self, request: Request, limit: int) -> None:
        received, follows = 0, list[Any]()

        async def arrived() -> Any:
            nonlocal received
            message = await request.receive()
            received += len(message.get("body", b""))
            if received > limit:
                raise _answered(413, too_large(limit))
            return message

        async def receive() -> Any:
            message = follows.pop() if follows else await arrived()
            blocks, length = [message.get("body", b"")], len(message.get("body", b""))
            while length < _BLOCK and message["type"] == "http.request" and message.get("more_body"):
                more = await arrived()
                if more["type"] != "http.request":  # the sender is gone; first comes what was sent
                    follows.append(more)
                    break
                message = more
                blocks.append(message.get("body", b""))
                length += len(blocks[-1])
            return {**message, "body": b"".join(blocks)} if len(blocks) > 1 else message

        announced = request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced[:20]) > limit:
            raise too_large(limit)
        super().__init__(request.scope, receive)

    async def json(self) -> Any:
        try:
            return json_body.parse(await self.body())
        except ClickpaintError as error:
            raise _answered(400, error) from error


def too_large(limit: int) -> TooLarge:
    """What is said of a body with more than `limit` bytes."""
    return TooLarge("The request is larger than {megabytes} MB.", "Send a smaller file.", limit=limit, megabytes=limit >> 20)


def _answered(status: int, error: ClickpaintError) -> HTTPException:
    """The error as what FastAPI lets through while it reads a body."""
    return HTTPException(status, error)  # type: ignore[arg-type]
