"""What the tests of learned preprocessors share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from clickpaint.weights import catalog
from tests.control.neural_toys import Toys, catalog_without_checksums


@pytest.fixture
def toys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Toys]:
    """Tools with an empty folder, and a catalog that believes in every file that is put there."""
    monkeypatch.setattr(catalog, "CATALOG", catalog_without_checksums(tmp_path))
    catalog.catalog.cache_clear()
    yield Toys(tmp_path)
    catalog.catalog.cache_clear()
