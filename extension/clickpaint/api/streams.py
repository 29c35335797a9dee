"""Server-sent events (HTML standard, section 9.2): one loop for everything that is told while it happens."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import Request
from fastapi.responses import StreamingResponse

from clickpaint.errors import with_codes

SILENT_SECONDS = 10.0
"""Then a comment, so that proxies keep the connection and a client that is gone is noticed."""


@dataclass(frozen=True)
class Event:
    """One message.

    Attributes:
        data: JSON-compatible.
        name: of the event; "" for the unnamed ones that a browser hands to `onmessage`.
    """

    data: Any
    name: str = ""

    def encoded(self) -> bytes:
        head = f"event: {self.name}\n" if self.name else ""
        return f"{head}data: {json.dumps(with_codes(self.data), default=str)}\n\n".encode("ascii")


def stream(
    request: Request, news: Callable[[], Sequence[Event] | None], every: float, ended: Callable[[], None] = lambda: None
) -> StreamingResponse:
    """An answer that goes on as long as there is something to tell, or until the client leaves.

    Args:
        request: of the client.
        news: asked again and again on the server's event loop, so that it must not block: what happened since; None is the end.
        every: seconds between two questions.
        ended: called at the end, whichever it was.
    """

    async def events() -> AsyncIterator[bytes]:
        spoke = time.monotonic()
        try:
            while (happened := news()) is not None and not await request.is_disconnected():
                for event in happened:
                    spoke = time.monotonic()
                    yield event.encoded()
                if not happened and time.monotonic() - spoke > SILENT_SECONDS:
                    spoke = time.monotonic()
                    yield b": still here\n\n"
                await asyncio.sleep(every)
        finally:
            ended()

    # with an encoding of its own the web UIs' GZipMiddleware hands each event on, which otherwise it keeps until the last
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no", "Content-Encoding": "identity"}
    return StreamingResponse(events(), media_type="text/event-stream", headers=headers)
