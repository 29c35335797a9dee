"""The benchmarks run, at toy size; what they measure is nobody's business here."""

from __future__ import annotations

import json

import pytest


@pytest.mark.parametrize("part", ["encoders", "maps", "captions", "sd1", "sdxl", "opening", "outside", "moves", "exhausted", "policy"])
def test_the_benchmark_of_graphics_cards_runs_on_a_processor(part, tmp_path):
    pytest.importorskip("torch")
    from tests.benchmarks.gpu.__main__ import main

    report = tmp_path / "report.json"
    assert main(["--small", "--device", "cpu", "--only", part, "--json", str(report)]) == 0
    rows = json.loads(report.read_text(encoding="utf-8"))["rows"]
    assert rows and not any(row.get("wrong") for row in rows)
