"""One file from one address, over as many connections as it takes: what is there already is gone on from, and what came is checked."""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import random
import shutil
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlsplit

from clickpaint.errors import DownloadFailed, InvalidInput
from clickpaint.progress import Progress
from clickpaint.weights.catalog import Checksum, ModelFile, unfinished
from clickpaint.weights.folders import is_file
from clickpaint.weights.http import Answer, ProxyUnusable

log = logging.getLogger(__name__)
_BLOCK = 1 << 20
_TRY_LATER = {408, 425, 429, 500, 502, 503, 504}


@dataclass(frozen=True)
class Network:
    """How downloads reach the network; proxies come from the environment (or the system's settings) by themselves.

    Attributes:
        mirror: put before every address of the catalog, which is then asked instead.
        offline: never download.
        timeout: seconds without a byte after which a connection counts as stalled.
        retries: further attempts per address that bring nothing; an attempt that brought bytes starts the count anew.
        backoff: seconds before the first further attempt, doubled (up to 30 s) for each that follows.
        sleep: how they are waited for, in pieces of at most 0.1 seconds.
    """

    mirror: str = ""
    offline: bool = False
    timeout: float = 30.0
    retries: int = 4
    backoff: float = 1.0
    sleep: Callable[[float], None] = time.sleep

    def addresses(self, file: ModelFile) -> tuple[str, ...]:
        """Where the file is asked for, in turn. Raises `InvalidInput` for a mirror that is not an http(s) address."""
        if self.mirror and urlsplit(self.mirror).scheme not in ("http", "https"):
            raise InvalidInput(
                "The download mirror {mirror!r} is not an http(s) address.", "Correct it in the settings, or clear it.", mirror=self.mirror
            )
        return tuple(self.mirror + url for url in file.urls)


class Unusable(Exception):
    """This address will not bring the file; another may."""


class _Again(Exception):
    """This attempt broke off; the same address may go on. after: seconds that the server asked to wait."""

    def __init__(self, reason: str, after: float = 0.0) -> None:
        super().__init__(reason)
        self.after = after


class Transfer:
    """One file from one address, over as many connections as it takes."""

    def __init__(self, file: ModelFile, target: Path, url: str, network: Network, progress: Progress) -> None:
        assert file.checksum is not None
        self.file, self.target, self.url, self.network, self.progress = file, target, url, network, progress
        self.expected: Checksum = file.checksum
        self.part = unfinished(target)
        self.validator_file = target.with_name(target.name + ".part.json")
        self.total = file.bytes
        self.recent: deque[tuple[float, int]] = deque(maxlen=50)
        self.reported = 0.0
        self.hasher = hashlib.new(self.expected.algorithm, usedforsecurity=False)
        self.done = 0
        self.resumed = False
        self.complete = False

    def run(self) -> Path:
        if is_file(self.part):
            self._take_up()
        fruitless, furthest = 0, self.done
        while not self.complete or self._mixed_up():
            try:
                self._connect()
            except _Again as error:
                fruitless = 0 if self.done > furthest else fruitless + 1
                furthest = max(furthest, self.done)
                if fruitless > self.network.retries:
                    raise Unusable(f"{error}") from error
                log.info("%s: %s (at byte %d); trying again", self.url, error, self.done)
                self._pause(max(error.after, min(30.0, self.network.backoff * 2**fruitless) * random.uniform(0.75, 1.25)))
        return self._finish()

    def _mixed_up(self) -> bool:
        """Whether the part's beginning, from an earlier run, does not fit the rest; it is emptied then, once."""
        if not self.resumed or self.hasher.hexdigest() == self.expected.value:
            return False
        log.warning("%s: what was resumed does not fit together; starting over", self.url)
        self._restart()
        return True

    def _take_up(self) -> None:
        """Go on from the bytes that are there already."""
        self.hasher = sum_of(self.part, self.file, self.progress)
        self.done = self.part.stat().st_size
        self.resumed = self.done > 0
        self._settle()

    def _restart(self) -> None:
        self.hasher = hashlib.new(self.expected.algorithm, usedforsecurity=False)
        self.done, self.resumed, self.complete = 0, False, False
        self.recent.clear()
        self.part.write_bytes(b"")
        self.validator_file.unlink(missing_ok=True)

    def _settle(self) -> None:
        """Nothing is left to fetch once the size that the catalog promises is there."""
        if self.file.bytes is not None and self.done >= self.file.bytes:
            self.complete = True

    def _connect(self) -> None:
        """One connection: everything it brings goes into the part."""
        headers = {"Accept-Encoding": "identity"}
        if self.done:
            headers["Range"] = f"bytes={self.done}-"
            validator = self._validator()
            if validator:
                headers["If-Range"] = validator
        with Answer(self.url, headers, self.network.timeout) as answer:
            try:
                response = answer.response(self.progress)
            except HTTPError as error:
                self._refused(error)
            except ProxyUnusable as error:
                raise Unusable(f"{error.reason}.") from error
            except OSError as error:
                raise _Again(_reason(error)) from error
            else:
                self._receive(answer, self._begin(response))

    def _begin(self, response: HTTPResponse) -> int | None:
        """Bring the part in line with what the server sends. Returns the whole file's size by its account, or None."""
        if response.headers.get_content_type() in ("text/html", "application/xhtml+xml"):
            raise Unusable("it answered with a web page instead of the file (a login, a captive portal, an error page?).")
        start, total = _content_range(response.headers.get("Content-Range", ""))
        if response.status == 206 and start != self.done:
            self._restart()
            raise _Again("it sent another part of the file than it was asked for")
        if response.status != 206:
            if self.done:
                self._restart()  # it ignores ranges, or the file there has changed
            length = response.headers.get("Content-Length", "")
            total = int(length) if length.isdigit() else None
        self.total = self.file.bytes or total
        self._check_space()
        self._remember_validator(response)
        return total

    def _receive(self, answer: Answer, promised: int | None) -> None:
        with self.part.open("ab") as stream:
            for block in answer.blocks(self.progress):
                if self.done == 0 and block.lstrip()[:15].lower().startswith((b"<!doctype html", b"<html")):
                    raise Unusable("it sent a web page instead of the file.")
                if self.file.bytes is not None:
                    block = block[: self.file.bytes - self.done]
                stream.write(block)
                stream.flush()
                self.hasher.update(block)
                self.done += len(block)
                self._settle()
                if self.complete:
                    break
                self._report()
        if answer.failure is not None and not self.complete:
            raise _Again(_reason(answer.failure))
        if not self.complete:
            if self.done < (self.file.bytes or promised or 0):
                raise _Again(f"the connection ended after {self.done} of {self.file.bytes or promised} bytes")
            self.complete = True

    def _refused(self, error: HTTPError) -> None:
        status = error.code
        if status == 416 and self.done:
            _, total = _content_range(error.headers.get("Content-Range", ""))
            if self.file.bytes is None and total == self.done:
                self.complete = True
                return
            self._restart()
            raise _Again("it does not know the part of the file that is missing")
        if status in _TRY_LATER:
            after = error.headers.get("Retry-After", "")
            raise _Again(f"it answered {status} {error.reason}", min(float(after), 60.0) if after.isdigit() else 0.0)
        raise Unusable(f"it answered {status} {error.reason}.")

    def _finish(self) -> Path:
        actual = self.hasher.hexdigest()
        if actual != self.expected.value:
            # not kept: it is of no use to anybody, and every further attempt would leave as much again
            start = self._start()
            self.validator_file.unlink(missing_ok=True)
            self.part.unlink(missing_ok=True)
            raise Unusable(
                f"{self.file.filename} is not what the catalog promises: it sent {self.done} bytes that begin with {start} "
                f"and whose {self.expected.algorithm} is {actual} instead of {self.expected.value}."
            )
        with self.part.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.part.replace(self.target)
        self.validator_file.unlink(missing_ok=True)
        return self.target

    def _start(self) -> str:
        """The first bytes of what came, which often say what it is (a web page, a pointer of Git LFS, an archive)."""
        with self.part.open("rb") as stream:
            return ascii(stream.read(24).decode("latin-1"))

    def _validator(self) -> str:
        """What the same address called its version of the file when the part was begun; empty if that is unknown."""
        with contextlib.suppress(OSError, ValueError, AttributeError):
            known = json.loads(self.validator_file.read_text(encoding="utf-8"))
            return str(known["validator"]) if known.get("url") == self.url else ""
        return ""

    def _remember_validator(self, response: HTTPResponse) -> None:
        etag = response.headers.get("ETag", "")
        validator = etag if etag and not etag.startswith("W/") else response.headers.get("Last-Modified", "")
        self.validator_file.write_text(json.dumps({"url": self.url, "validator": validator}), encoding="utf-8")

    def _check_space(self) -> None:
        if self.total is not None:
            free, needed = shutil.disk_usage(self.target.parent).free, self.total - self.done
            if free < needed:
                raise no_space(self.target.parent, needed, free)

    def _pause(self, seconds: float) -> None:
        while seconds > 0:
            self.progress.check()
            self.network.sleep(min(0.1, seconds))
            seconds -= 0.1

    def _report(self) -> None:
        now = time.monotonic()
        self.progress.check()
        if now - self.reported < 0.1:
            return
        self.reported = now
        self.recent.append((now, self.done))
        (since, first), left = self.recent[0], None
        if self.total and now - since > 0.5 and self.done > first:
            left = (self.total - self.done) * (now - since) / (self.done - first)
        fraction = self.done / self.total if self.total else None
        text = f"Downloading {self.file.title}"
        self.progress.report(fraction, text, done=self.done, total=self.total, unit="B", seconds_left=left)


def sum_of(path: Path, file: ModelFile, progress: Progress) -> Any:
    """The hash object of what is in the file so far, to go on with."""
    assert file.checksum is not None
    hasher = hashlib.new(file.checksum.algorithm, usedforsecurity=False)
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(8 * _BLOCK):
            hasher.update(block)
            done += len(block)
            progress.report(None, f"Checking what is there of {file.title}", done=done, total=total, unit="B")
    return hasher


def _content_range(header: str) -> tuple[int | None, int | None]:
    """First byte and whole size of "bytes 10-99/100" or "bytes */100"; None for what it does not say."""
    span, _, total = header.removeprefix("bytes ").partition("/")
    start = span.partition("-")[0]
    return int(start) if start.isdigit() else None, int(total) if total.isdigit() else None


def _reason(error: BaseException) -> str:
    reason = getattr(error, "reason", None) or error
    return f"{type(reason).__name__}: {reason}" if str(reason) else type(reason).__name__


def no_space(folder: Path, needed: int | None, free: int) -> DownloadFailed:
    return DownloadFailed(
        "The disk of {folder} is full ({free_megabytes:.0f} MB free)."
        if needed is None
        else "The disk of {folder} is full ({free_megabytes:.0f} MB free; the download needs {needed_megabytes:.0f} MB more).",
        "Make room, or choose another folder for models in the settings; the download goes on where it stopped.",
        free=free,
        needed=needed,
        folder=folder,
        free_megabytes=free / 1e6,
        needed_megabytes=(needed or 0) / 1e6,
    )
