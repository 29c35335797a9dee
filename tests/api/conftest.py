"""The real routes in an app of their own, on a studio with a toy segmenter and a toy eraser."""

from __future__ import annotations

import pytest
from fastapi.testclient import TestClient

from clickpaint.api.access import LocalGate
from clickpaint.api.router import PREFIX
from tests.toys.routes import lent_routes
from tests.toys.studio import toy_studio


@pytest.fixture(scope="session")
def lent():
    """The routes that the tests of the API share."""
    with lent_routes() as lent:
        yield lent


@pytest.fixture(scope="session")
def router(lent):
    """The routes themselves."""
    return lent.router


@pytest.fixture(scope="session")
def routes(lent):
    """(app, studio, gate): the app and what its routes take for its studio and its gate; `set` says what that is."""
    return lent.app, lent.studio, lent.gate


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
