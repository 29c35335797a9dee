"""The API's routes, which FastAPI takes half a second to make: made once, and lent to one studio after another."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fastapi import FastAPI

from clickpaint.api.router import create_router


class OfThisTest:
    """Stands for the studio or the gate of the test that runs, in routes that are made once.

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


class Routes:
    """The routes, an app that has them, and what they take for their studio and their gate; `set` says what that is."""

    def __init__(self) -> None:
        self.studio, self.gate = OfThisTest([]), OfThisTest([])
        self.router = create_router(self.studio, self.gate)  # type: ignore[arg-type]
        self.app = FastAPI()
        self.app.include_router(self.router)


_idle: list[Routes] = []


@contextmanager
def lent_routes() -> Iterator[Routes]:
    """Routes that nobody else has meanwhile."""
    routes = _idle.pop() if _idle else Routes()
    yield routes
    _idle.append(routes)


@contextmanager
def app_of(studio: Any, gate: Any) -> Iterator[FastAPI]:
    """An app with the routes of this studio behind this gate."""
    with lent_routes() as routes, routes.studio.set(studio), routes.gate.set(gate):
        yield routes.app
