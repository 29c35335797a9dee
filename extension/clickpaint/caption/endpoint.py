"""A text model behind an address that speaks OpenAI's chat protocol: Ollama, LM Studio, llama.cpp, vLLM, or a service.

Only the configured address is ever called: no proxy of the environment, no redirection is followed. The key goes into one header
and nowhere else.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import queue
import socket
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Any
from urllib.parse import urlsplit

from clickpaint.caption.caption_refinement import Message, TextModelFailed, TextRequest
from clickpaint.errors import InvalidInput, Sentence
from clickpaint.progress import SILENT, Progress

_MOST_BYTES = 4 << 20
_LONGEST_LINE = 1 << 18
_MOST_LETTERS = 20_000
_REMEDY = "The caption above is the captioner's own. Check the text model's address, name and key in the settings."


class Endpoint:
    """Implements `refine.TextModel`.

    Args:
        address: as far as "/v1"; "/chat/completions" is added.
        key: "" for none.
        model: its name there.
        sees: takes pictures.
        silence: seconds without a sign of life after which it is given up; an answer may take four times as long in all.
    """

    ours = False

    def __init__(self, address: str, key: str = "", model: str = "", sees: bool = False, silence: float = 60.0) -> None:
        parts = urlsplit(address.strip())
        try:
            port = parts.port
        except ValueError as error:
            raise InvalidInput("The address of the text model has no usable port.", "Correct it in the settings.") from error
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.username is not None or parts.query or parts.fragment:
            raise InvalidInput("The address of the text model cannot be used.", "It looks like http://127.0.0.1:11434/v1.")
        if any(letter < " " or letter > "~" for letter in key):
            raise InvalidInput("The key of the text model holds letters that no key has.", "Copy it again into the settings.")
        self.name, self.sees = model or "The text model", sees
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        self._path = parts.path.rstrip("/").removesuffix("/chat/completions") + "/chat/completions"
        self._key, self._model, self._silence = key, model, silence

    def __repr__(self) -> str:
        return f"Endpoint({self._host!r})"  # and not the key

    def write(self, request: TextRequest, on_text: Callable[[str], None], progress: Progress = SILENT) -> str:
        body: dict[str, Any] = {
            "messages": [_message(message, self.sees) for message in request.messages], "max_tokens": request.tokens,
            "temperature": request.temperature, "seed": request.seed, "stream": True,
        }  # fmt: skip
        if self._model:
            body["model"] = self._model
        text = ""
        with contextlib.closing(self._lines(json.dumps(body).encode("utf-8"), progress)) as lines:
            for piece in _pieces(lines):
                text += piece
                on_text(piece)
                if len(text) > _MOST_LETTERS or len(text) > 40 * request.tokens:
                    raise TextModelFailed("The text model does not stop writing.", _REMEDY)
        if not text.strip():
            raise TextModelFailed("The text model answered nothing.", _REMEDY)
        return text

    def _lines(self, body: bytes, progress: Progress) -> Generator[bytes, None, None]:
        """The answer's lines. A thread of its own reads them, so that this one hears the user and the clock meanwhile."""
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        connection = kind(self._host, self._port, timeout=self._silence)
        arrived: queue.Queue[bytes | Exception | None] = queue.Queue(maxsize=64)
        over = threading.Event()

        def put(piece: bytes | Exception | None) -> None:
            while not over.is_set():
                with contextlib.suppress(queue.Full):
                    arrived.put(piece, timeout=0.1)
                    return

        def read() -> None:
            try:
                with contextlib.closing(connection), contextlib.closing(self._read(connection, body)) as received:
                    for line in received:
                        put(line)
                        if over.is_set():
                            return
                put(None)
            except Exception as error:
                put(error)

        threading.Thread(target=read, name="clickpaint-text-model", daemon=True).start()
        deadline, last = time.monotonic() + 4 * self._silence, time.monotonic()
        try:
            while True:
                progress.report(None, "Waiting for the text model")
                now = time.monotonic()
                if now > deadline or now - last > self._silence:
                    raise TextModelFailed("The text model takes too long.", _REMEDY)
                with contextlib.suppress(queue.Empty):
                    piece = arrived.get(timeout=0.05)
                    last = time.monotonic()
                    if piece is None:
                        return
                    if isinstance(piece, TextModelFailed):
                        raise piece
                    if isinstance(piece, Exception):
                        raise TextModelFailed("The text model cannot be reached: {reason}.", _REMEDY, reason=_reason(piece)) from None
                    yield piece
        finally:
            over.set()
            with contextlib.suppress(OSError, AttributeError):  # the reading thread, which this wakes, closes what it opened
                connection.sock.shutdown(socket.SHUT_RDWR)

    def _read(self, connection: http.client.HTTPConnection, body: bytes) -> Generator[bytes, None, None]:
        headers = {"Content-Type": "application/json", "Accept": "text/event-stream, application/json", "User-Agent": "clickpaint"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        connection.request("POST", self._path, body, headers)
        with connection.getresponse() as answer:
            if answer.status != 200:
                raise TextModelFailed(_refusal(answer.status), _REMEDY, status=answer.status)
            seen = 0
            while line := answer.readline(_LONGEST_LINE):
                seen += len(line)
                if seen > _MOST_BYTES:
                    raise TextModelFailed("The text model sends more than any answer has.", _REMEDY)
                yield line


def _message(message: Message, sees: bool) -> dict[str, Any]:
    if message.picture is None or not sees:
        return {"role": message.role, "content": message.text}
    url = f"data:image/jpeg;base64,{base64.b64encode(message.picture).decode('ascii')}"
    content = [{"type": "text", "text": message.text}, {"type": "image_url", "image_url": {"url": url}}]
    return {"role": message.role, "content": content}


def _pieces(lines: Iterator[bytes]) -> Iterator[str]:
    """The text in server-sent events, or in one JSON document from servers that do not stream."""
    document, events = b"", 0
    for line in lines:
        line = line.strip()
        if line.startswith(b"data:"):
            data = line[5:].strip()
            if data == b"[DONE]":
                return
            events += 1
            yield _content(data, "delta")
        elif line and not line.startswith((b":", b"event:", b"id:", b"retry:")):
            document += line
    if not events:
        yield _content(document, "message")


def _content(data: bytes, part: str) -> str:
    try:
        answer = json.loads(data)
        if isinstance(answer, dict) and answer.get("error"):
            raise TextModelFailed("The text model reports an error of its own.", _REMEDY)
        choices = answer["choices"]
        content = choices[0][part].get("content") if choices else ""
        if content is not None and not isinstance(content, str):
            raise ValueError(content)
    except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
        raise TextModelFailed("The text model answers something that is not OpenAI's chat protocol.", _REMEDY) from error
    return content or ""


def _refusal(status: int) -> str:
    if status in (401, 403):
        return Sentence("The text model refuses the key ({status}).", status=status)
    if status == 404:
        return Sentence("There is no text model of this name at the address (404).")
    if 300 <= status < 400:
        return Sentence("The text model's address sends elsewhere ({status}), which is not followed.", status=status)
    return Sentence("The text model answers with the error {status}.", status=status)


def _reason(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens at its address"
    if isinstance(error, http.client.HTTPException):
        return "it does not speak HTTP as it should"
    return str(getattr(error, "strerror", None) or type(error).__name__)
