"""The real routes in an app of their own, on a studio with a toy segmenter and a toy eraser."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from clickpaint.api.access import LocalGate
from clickpaint.api.router import PREFIX, create_router
from tests.toys.studio import toy_studio


class OfThisTest:
    """Stands for the studio or the gate of the test that runs, in routes that are made once: FastAPI takes half a second for that.

    While routes are made, its attributes are such stand-ins too; while a test runs, they are the real ones.
    """

    def __init__(self, current: list[Any], *names: str) -> None:
        self._current, self._names = current, names

    def _real(self) -> Any:
        value = self._current[-1]
        for name in self._names:
            value = getattr(value, name)
        return value

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real(), name) if self._current else OfThisTest(self._current, *self._names, name)

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        return self._real()(*arguments, **named)

    @contextmanager
    def set(self, real: Any) -> Iterator[None]:
        self._current.append(real)
        try:
            yield
        finally:
            self._current.pop()


@pytest.fixture(scope="session")
def routes():
    """(app, studio, gate): the app and what its routes take for its studio and its gate; `set` says what that is."""
    studio, gate = OfThisTest([]), OfThisTest([])
    app = FastAPI()
    app.include_router(create_router(studio, gate))  # type: ignore[arg-type]
    return app, studio, gate


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path, offline=True, max_upload_mb=2, max_megapixels=4)
    yield studio
    studio.shut_down()


@pytest.fixture
def app(studio, routes):
    app, current_studio, current_gate = routes
    with current_studio.set(studio), current_gate.set(LocalGate(names=frozenset({"testserver"}))):
        yield app


@pytest.fixture
def client(app):
    return TestClient(app, base_url=f"http://testserver{PREFIX}/", raise_server_exceptions=False)
