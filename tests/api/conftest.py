"""The real routes in an app of their own, on a studio with a toy segmenter and a toy eraser."""

from __future__ import annotations

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

from clickpaint.api.access import LocalGate
from clickpaint.api.router import PREFIX, create_router
from tests.toys.studio import toy_studio


@pytest.fixture
def studio(tmp_path):
    studio = toy_studio(tmp_path, offline=True, max_upload_mb=2, max_megapixels=4)
    yield studio
    studio.shut_down()


@pytest.fixture
def app(studio):
    app = FastAPI()
    app.include_router(create_router(studio, LocalGate(names=frozenset({"testserver"}))))
    return app


@pytest.fixture
def client(app):
    return TestClient(app, base_url=f"http://testserver{PREFIX}/", raise_server_exceptions=False)
