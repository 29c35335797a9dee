"""A server of OpenAI's chat protocol that records what it is asked, answers what it is told to, and can be at fault in every way."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class TextServer:
    """asked: the bodies of all requests; headers: theirs. answers: given in turn, the last for ever. fault: "", "401", "redirect",
    "garbage", "binary", "endless", "silent", "slow", "cut", "error", "plain" (one JSON document, no stream)."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answers = ["a red ball on grass"]
        self.fault = ""
        self.stop = threading.Event()
        self.address = ""

    @property
    def prompt(self) -> str:
        """The user's words of the last request."""
        return next(one["content"] for one in reversed(self.asked[-1]["messages"]) if one["role"] == "user")


def piece(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


@contextmanager
def text_server() -> Iterator[TextServer]:
    state = TextServer()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            state.asked.append({**json.loads(body), "path": self.path})
            state.headers.append(dict(self.headers.items()))
            answer = state.answers[min(len(state.asked), len(state.answers)) - 1]
            getattr(self, f"do_{state.fault or 'stream'}".replace("401", "refuse"))(answer)

        do_GET = do_POST

        def begin(self, status: int = 200, kind: str = "text/event-stream", headers: tuple[tuple[str, str], ...] = ()) -> None:
            self.send_response(status)
            self.send_header("content-type", kind)
            for name, value in headers:
                self.send_header(name, value)
            self.end_headers()

        def do_stream(self, answer: str) -> None:
            self.begin()
            for index, word in enumerate(answer.split(" ")):
                self.wfile.write(piece(word if index == 0 else f" {word}"))
            self.wfile.write(b"data: [DONE]\n\n")

        def do_plain(self, answer: str) -> None:
            self.begin(kind="application/json")
            self.wfile.write(json.dumps({"choices": [{"message": {"content": answer}}]}).encode())

        def do_refuse(self, answer: str) -> None:
            self.begin(401)

        def do_redirect(self, answer: str) -> None:
            self.begin(302, headers=(("location", f"{state.address}/elsewhere"),))

        def do_garbage(self, answer: str) -> None:
            self.begin()
            self.wfile.write(b"<html>this is no model</html>\n")

        def do_binary(self, answer: str) -> None:
            self.begin()
            self.wfile.write(b"data: " + bytes(range(128, 256)) * 10 + b"\n\n")

        def do_error(self, answer: str) -> None:
            self.begin()
            self.wfile.write(b'data: {"error": {"message": "out of memory"}}\n\n')

        def do_endless(self, answer: str) -> None:
            self.begin()
            while not state.stop.is_set():
                self.wfile.write(piece("and on "))

        def do_silent(self, answer: str) -> None:
            state.stop.wait(30)

        def do_slow(self, answer: str) -> None:
            self.begin()
            self.wfile.write(piece("a "))
            self.wfile.flush()
            state.stop.wait(30)

        def do_cut(self, answer: str) -> None:
            self.begin(headers=(("content-length", "100000"),))
            self.wfile.write(piece("a "))

        def log_message(self, format: str, *args: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request: Any, client_address: Any) -> None:
            """A client that leaves an endless answer is what is tested."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
        thread.start()
        state.address = f"http://127.0.0.1:{server.server_address[1]}/v1"
        yield state
        state.stop.set()
        server.shutdown()
        thread.join()
        time.sleep(0)
