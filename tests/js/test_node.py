"""The pure modules of the page, tested by node's own test runner."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
NODE = shutil.which("node")


def _version() -> int:
    assert NODE is not None
    return int(subprocess.run([NODE, "--version"], capture_output=True, text=True, check=True).stdout.strip("v\n").split(".")[0])


@pytest.mark.skipif(NODE is None, reason="node is not installed")
@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(file: Path) -> None:
    if _version() < 20:
        pytest.skip("node is older than version 20")
    assert NODE is not None
    done = subprocess.run([NODE, "--test", "--test-reporter=tap", str(file)], capture_output=True, text=True, timeout=300, cwd=HERE)
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)", done.stdout, re.MULTILINE)
    assert passed is not None and int(passed[1]) > 0, done.stdout


def test_modules_are_small_and_only_one_is_at_the_top() -> None:
    folder = HERE.parents[1] / "javascript"
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["clickpaint.mjs"]
    for path in folder.rglob("*.mjs"):
        assert len(path.read_text("utf-8").splitlines()) < 400, path.name
