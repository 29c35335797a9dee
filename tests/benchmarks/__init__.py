"""Benchmarks: `python -m tests.benchmarks.NAME`, also where the package is not installed."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "extension"))
