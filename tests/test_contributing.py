"""What CONTRIBUTING.md, the hooks before a commit and the workflow promise to those who come next."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import pytest

import install

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    """The text below a heading of CONTRIBUTING.md."""
    matched = re.search(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", TEXT, flags=re.MULTILINE | re.DOTALL)
    assert matched, f"CONTRIBUTING.md has no section {title!r}"
    return matched[1]


def files_in(text: str) -> list[str]:
    """The files and folders of the repository that stand in backquotes."""
    quoted = re.findall(r"`([^`\n]+)`", text)
    return [name for name in quoted if re.fullmatch(r"[\w.-]+(/[\w.-]+)+|[\w-]+\.(py|md|toml|json)", name) and name not in BY_ANY_PATH]


BY_ANY_PATH = {"toys.py", "neural_toys.py", "__init__.py"}
"""Names that say what files are called, not where they lie."""


def test_files_are_told_from_other_words():
    text = "`uint8 [H, W, 3]`, `tests/x.py` and `install.py`, in `extension/clickpaint`; `encode`, `. .venv/bin/x`, `toys.py`, `Part`"
    assert files_in(text) == ["tests/x.py", "install.py", "extension/clickpaint"]


@pytest.mark.parametrize(
    ("title", "places"),
    [
        ("Add a segmenter", ("extension/clickpaint/segment/registry.py", "models/catalog.json", "tests/segment")),
        ("Add an eraser", ("extension/clickpaint/erase/registry.py", "models/catalog.json", "tests/erase")),
        ("Add a preprocessor", ("extension/clickpaint/control/registry.py", "models/catalog.json", "extension/docs", "tests/control")),
        ("Add an influence on sampling", ("extension/clickpaint/paint/diffusion/", "extension/clickpaint/api/", "tests/paint")),
        ("Add a host", ("extension/clickpaint/hosts/base.py", "extension/clickpaint/app", "tests/hosts")),
    ],
)
def test_each_addition_names_the_files_it_touches_and_they_are_there(title, places):
    files = files_in(section(title))
    assert [file for file in files if not (ROOT / file).exists()] == []
    assert [place for place in places if not any(file.startswith(place) for file in files)] == []


def test_every_other_file_it_names_is_there():
    assert [file for file in files_in(TEXT) if not (ROOT / file).exists()] == []


def test_what_it_says_of_code_is_still_called_so():
    """Words in backquotes that look like names of Python stand in the files that their paragraph names, or in the package."""
    package = "\n".join(file.read_text(encoding="utf-8") for file in (ROOT / "extension" / "clickpaint").rglob("*.py"))
    missing = []
    for title in ("Add a segmenter", "Add an eraser", "Add a preprocessor", "Add an influence on sampling", "Add a host"):
        names = [name for name in re.findall(r"`([^`\n]+)`", section(title)) if name.isidentifier()]
        missing += [(title, name) for name in names if not re.search(rf"\b{name}\b", package)]
    assert missing == []


def test_the_hooks_run_what_the_tests_check_with_the_pinned_tools():
    yaml = pytest.importorskip("yaml")
    (repository,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert repository["repo"] == "local", "a tool from elsewhere would be another version than the pinned one"
    pins = {install.normal(pin) for pin in install.probe(Path(sys.executable))["extras"]["test"]}
    commands = [hook["entry"].split() for hook in repository["hooks"]]
    assert {(command[0], command[1]) for command in commands} == {("python", "-m")} and {command[2] for command in commands} <= pins
    assert {" ".join(command[2:4]) for command in commands} >= {"ruff check", "ruff format"}
    assert {"pyrefly", "pytest"} <= {command[2] for command in commands}
    named = [word for command in commands for word in command if word.startswith("tests/")]
    assert "tests/test_house.py" in named and all((ROOT / file).is_file() for file in named)
    assert all(hook["language"] == "system" and hook["name"] and hook["id"] for hook in repository["hooks"])


def test_the_workflow_runs_the_command_of_people_on_every_system_and_python():
    yaml = pytest.importorskip("yaml")
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text(encoding="utf-8"))
    job = workflow["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert [system.split("-")[0] for system in matrix["system"]] == ["ubuntu", "windows", "macos"]
    oldest = re.search(r'requires-python = ">=(\d+\.\d+)"', (ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert oldest and matrix["python"][0] == oldest[1] and {"3.10", "3.11", "3.12", "3.13"} <= set(matrix["python"])
    assert all(isinstance(version, str) for version in matrix["python"]), "3.10 as a number is 3.1"
    assert job["runs-on"] == "${{ matrix.system }}" and job["strategy"]["fail-fast"] is False
    assert [step["run"] for step in job["steps"] if "run" in step] == ["python install.py test"]
    assert workflow[True].keys() >= {"push", "pull_request"}  # YAML 1.1 reads the key `on` as a yes
    assert workflow["permissions"] == {"contents": "read"}
    assert all(re.fullmatch(r"actions/[a-z-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
