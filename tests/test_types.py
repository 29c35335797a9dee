"""The type checker on all files."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.skipif(sys.version_info < (3, 11), reason="the last NumPy and OpenCV for Python 3.10 say less of their types")
def test_types_are_right():
    command = [sys.executable, "-m", "pyrefly", "check", "--python-interpreter-path", sys.executable, "--min-severity", "error"]
    result = subprocess.run([*command, "--output-format", "min-text", "--threads", "1"], capture_output=True, text=True, cwd=ROOT)
    assert result.returncode == 0, result.stdout + result.stderr
