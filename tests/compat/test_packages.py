"""Which packages could be imported."""

from __future__ import annotations

import sys
import types

import pytest

from clickpaint.compat.packages import installed


def test_a_package_that_another_thread_is_importing_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's stands in `sys.modules` without a spec meanwhile; a page that asked what can be used here got an error 500."""
    monkeypatch.setitem(sys.modules, "half_imported", types.ModuleType("half_imported"))
    assert sys.modules["half_imported"].__spec__ is None
    assert installed("half_imported") and installed("numpy") and not installed("not_there_at_all")
