"""The table of preprocessors says what the registry says."""

from __future__ import annotations

from pathlib import Path

from clickpaint.control import registry
from clickpaint.weights.catalog import files_of

PAGE = Path(__file__).resolve().parents[2] / "extension" / "docs" / "control-maps.md"


def test_every_preprocessor_stands_there_with_its_state_and_its_files():
    rows = [line[2:-2].split(" | ") for line in PAGE.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    documented = {row[0]: row[1:] for row in rows if len(row) == 3}
    assert len(registry.ordered()) == 72
    for one in registry.ordered():
        state, weights = documented[one.label]
        files = [file for model in one.models for file in files_of(model)]
        assert (state == "no") == (one.detect is None), one.label
        assert all(file.filename in weights for file in files), one.label
        assert not files or (state == "yes") == all(file.urls for file in files), one.label
