"""What surrounds every handler: who may ask, how much they may send, and errors in our own shape whichever app the routes live in."""

from __future__ import annotations

import logging
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from clickpaint.api import error_responses
from clickpaint.api.access import Gate
from clickpaint.errors import ClickpaintError, OutOfMemory, TooLarge
from clickpaint.weights.device import out_of_memory

log = logging.getLogger(__name__)


def guarded(gate: Gate, limit: Callable[[], int]) -> type[APIRoute]:
    """The route class for a router.

    Args:
        gate: asked before anything of the body is read.
        limit: bytes that a body may have; counted as they arrive, since nobody has to announce their number.
    """

    class Guarded(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            inner = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    gate.check(request)
                    return await inner(_limited(request, limit()))
                except RequestValidationError as error:
                    return error_responses.of_validation(error)
                except ClickpaintError as error:
                    return error_responses.of_error(error)
                except HTTPException as error:
                    if isinstance(error.detail, TooLarge):
                        return error_responses.of_error(error.detail)
                    return error_responses.described(error.status_code, "InvalidInput", f"{error.detail}.".replace("..", "."))
                except Exception as error:
                    if out_of_memory(error):
                        advice = "Send a smaller picture, or close other programs."
                        return error_responses.of_error(OutOfMemory("The memory does not suffice for this.", advice))
                    log.exception("%s %s failed", request.method, request.url.path)
                    return error_responses.described(500, "InternalError", "Something went wrong.", "The log of the program says more.")

            return handle

    return Guarded


def _limited(request: Request, limit: int) -> Request:
    received = 0

    async def receive() -> Any:
        nonlocal received
        message = await request.receive()
        received += len(message.get("body", b""))
        if received > limit:
            raise _too_large(limit)
        return message

    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced[:20]) > limit:
        raise _too_large(limit)
    return Request(request.scope, receive)


def _too_large(limit: int) -> HTTPException:
    # an HTTPException, because that is what FastAPI lets through while it reads a body
    return HTTPException(413, TooLarge(f"The request is larger than {limit >> 20} MB.", "Send a smaller file.", limit=limit))  # type: ignore[arg-type]
