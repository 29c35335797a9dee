"""What every test may use."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared():
    """`shared("samples/inpaint-anything")`: a folder of reference material beside the checkout, or a skip where it is missing."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not on this machine")
        return path

    return find
