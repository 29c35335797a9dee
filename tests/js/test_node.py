"""The pure modules of the page, tested by node's own test runner."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
OLDEST = 20


@pytest.fixture(scope="module")
def run(node: str):
    """run(arguments) → what Node.js did with them in this folder, or a skip where it is too old."""
    version = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout
    if int(version.strip("v\n").split(".")[0]) < OLDEST:
        pytest.skip(f"needs Node.js {OLDEST} or newer, and this is {version.strip()}")

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([node, *arguments], capture_output=True, text=True, encoding="utf-8", timeout=600, cwd=ROOT)

    return run


@pytest.mark.parametrize("file", sorted(HERE.glob("*.test.mjs")), ids=lambda file: file.name)
def test_in_node(run, file: Path) -> None:
    done = run("--test", "--test-reporter=tap", str(file))
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^# pass (\d+)", done.stdout, re.MULTILINE)
    assert passed is not None and int(passed[1]) > 0, done.stdout


def tool(*path: str) -> str:
    """A file of a package of package.json, which `python install.py test` installs; a skip where it could not."""
    file = HERE.joinpath("node_modules", *path)
    if not file.exists():
        pytest.skip(f"needs {path[0]}: `npm ci` in tests/js installs it where npm reaches its registry")
    return str(file)


def test_types_are_right(run) -> None:
    """The types that the modules' comments tell, by TypeScript."""
    done = run(tool("typescript", "bin", "tsc"), "--project", str(HERE))
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_type_is_noticed(run, tmp_path: Path) -> None:
    (tmp_path / "wrong.mjs").write_text("/** @param {number} n */\nexport const half = (n) => n / 2;\nhalf('a');\n", encoding="utf-8")
    done = run(tool("typescript", "bin", "tsc"), "--noEmit", "--allowJs", "--checkJs", "--strict", str(tmp_path / "wrong.mjs"))
    assert done.returncode != 0 and "TS2345" in done.stdout


def test_code_is_clean(run) -> None:
    """By ESLint's rules in eslint.config.mjs."""
    done = run(
        tool("eslint", "bin", "eslint.js"), "--config", str(HERE / "eslint.config.mjs"), "--max-warnings=0", "javascript", "tests/js"
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_modules_are_small_and_only_one_is_at_the_top() -> None:
    folder = ROOT / "javascript"
    assert [path.name for path in folder.iterdir() if path.is_file()] == ["clickpaint.mjs"]
    for path in folder.rglob("*.mjs"):
        assert len(path.read_text("utf-8").splitlines()) < 400, path.name
