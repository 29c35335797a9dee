"""`install.py` in the environments of a real A1111 and a real Forge, run the way they run it at their start.

One small package of ours is set aside for the tests and put back, exactly as it was, whatever happens.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from clickpaint.hosts.webui.setup import PACKAGES
from tests.hosts.real import FOLDERS, ROOT, free_port, python_of

FLAVORS = [
    pytest.param(flavor, marks=pytest.mark.skipif(variable not in os.environ, reason=f"{variable} names no web UI to try"))
    for flavor, variable in FOLDERS.items()
]
NAME = "loguru"  # small, and nothing of a web UI's own uses it

_FILES = """
import importlib.metadata, json, sys
try:
    package = importlib.metadata.distribution(sys.argv[1])
    print(json.dumps(sorted({str(package.locate_file(file.parts[0])) for file in package.files or () if file.parts[0] != ".."})))
except importlib.metadata.PackageNotFoundError:
    print("[]")
"""


class Environment:
    """The Python of a web UI."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.python = python_of(folder)

    def folders(self, name: str) -> list[Path]:
        """What a package has put among the others; nothing if it is not installed."""
        return [Path(one) for one in json.loads(self._output("-c", _FILES, name))]

    def packages(self) -> dict[str, str]:
        """Name → version, or the whole line for what has no plain version."""
        lines = self._output("-m", "pip", "freeze", "--all").splitlines()
        return {name.lower(): version or name for name, _, version in (line.partition("==") for line in lines)}

    def install(self, **environment: str) -> subprocess.CompletedProcess[str]:
        """`install.py` as `run_extension_installer` of the web UI starts it."""
        path = os.pathsep.join([str(self.folder), os.environ.get("PYTHONPATH", "")])
        return subprocess.run(
            [self.python, str(ROOT / "install.py")], cwd=self.folder, capture_output=True, text=True, timeout=240,
            env={**os.environ, "PYTHONPATH": path, **environment},
        )  # fmt: skip

    def _output(self, *arguments: str) -> str:
        return subprocess.run([self.python, *arguments], capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.fixture(params=FLAVORS)
def environment(request):
    return Environment(Path(os.environ[FOLDERS[request.param]]))


@pytest.fixture
def without_package(environment, tmp_path):
    """Takes the package away, and afterwards brings the very files back."""
    before = environment.folders(NAME)
    if not before:
        pytest.skip(f"{NAME} is not installed there, so the extension was never set up")
    for folder in before:
        shutil.move(folder, tmp_path / folder.name)
    try:
        yield
    finally:
        for folder in environment.folders(NAME):
            shutil.rmtree(folder)
        for folder in before:
            shutil.rmtree(folder, ignore_errors=True)
            shutil.move(tmp_path / folder.name, folder)
        assert environment.folders(NAME) == before


def test_only_what_is_missing_comes_and_nothing_else_moves(environment, without_package):
    before = environment.packages()
    assert NAME not in before
    first = environment.install()
    assert first.returncode == 0, first.stderr
    after = environment.packages()
    added = {name: version for name, version in after.items() if name not in before}
    assert {name: after.get(name) for name in before} == before, "a package of the web UI was changed"
    assert added == {NAME: PACKAGES[NAME].partition("==")[2]}, first.stdout

    second = environment.install()
    assert (second.returncode, second.stdout, second.stderr) == (0, "", ""), "nothing is missing, so nothing is to be done or said"


def test_a_registry_that_does_not_answer_stops_nothing(environment, without_package):
    before = environment.packages()
    closed = f"http://127.0.0.1:{free_port()}/simple"
    only = {"INDEX_URL": closed, "PIP_CONFIG_FILE": os.devnull, "PIP_FIND_LINKS": "", "PIP_EXTRA_INDEX_URL": "", "PIP_RETRIES": "0"}
    messages = environment.install(**only)
    assert messages.returncode == 0, messages.stderr
    assert "Traceback" not in messages.stdout + messages.stderr
    said = [line for line in messages.stdout.splitlines() if line.startswith("Clickpaint")]
    assert len(said) == 1 and NAME in said[0] and "next start" in said[0], messages.stdout
    assert environment.packages() == before
