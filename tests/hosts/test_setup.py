"""Which packages a web UI gets."""

from __future__ import annotations

import importlib.metadata
import importlib.util

import pytest

from clickpaint.hosts.webui import setup


def test_a_runtime_that_another_distribution_brought_is_not_overwritten(monkeypatch: pytest.MonkeyPatch) -> None:
    """As onnxruntime-gpu does, whose module has the same name."""
    monkeypatch.setattr(importlib.metadata, "distribution", lambda name: (_ for _ in ()).throw(importlib.metadata.PackageNotFoundError))
    monkeypatch.setattr(setup, "PACKAGES", {"onnxruntime": "x", "rapidocr": "x"})
    spec: object = object()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: spec)
    assert setup.missing() == ["rapidocr"]
    spec = None
    assert setup.missing() == ["onnxruntime", "rapidocr"]
