from __future__ import annotations

import hashlib
import importlib.util
import sys
from pathlib import Path

import pytest

from clickpaint.weights.catalog import ModelFile
from clickpaint.weights.transfer import Network


def _load_server_module():
    spec = importlib.util.spec_from_file_location("lying_server", Path(__file__).with_name("lying_server.py"))
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["lying_server"] = module
    spec.loader.exec_module(module)
    return module


_server = _load_server_module()


@pytest.fixture
def server(monkeypatch):
    """A server that can be told to misbehave; its address must not go through a proxy of the machine."""
    for name in ("http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    running = _server.LyingServer()
    yield running
    running.close()


@pytest.fixture
def network():
    """Patient, as a busy machine is slow, but without waiting between attempts."""
    return Network(timeout=60.0, retries=2, sleep=lambda seconds: None)


@pytest.fixture
def model(server):
    """`model("/good", …)`: a catalog file that the server has under these paths."""

    def make(*paths: str, size: int | None = len(_server.BODY), **changes) -> ModelFile:
        values = {
            "name": "toy",
            "title": "Toy",
            "role": "eraser",
            "family": "lama",
            "kind": "lama",
            "filename": "toy.pt",
            "licence": "none",
            "source": "",
            "urls": tuple(server.url(path) for path in paths),
            "bytes": size,
            "sha256": hashlib.sha256(_server.BODY).hexdigest(),
            "part_of": "toy",
        }
        return ModelFile(**{**values, **changes})

    return make


@pytest.fixture
def body():
    return _server.BODY
