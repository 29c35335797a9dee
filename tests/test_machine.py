"""How the tests share a machine, and that nothing takes more than its share."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

import install
from tests import machine

ROOT = Path(__file__).resolve().parents[1]


def test_one_thread_computes_here_and_in_child_processes():
    import cv2
    import torch

    bound = [int(os.environ["OMP_NUM_THREADS"]), int(os.environ["OPENCV_FOR_THREADS_NUM"])]
    assert [torch.get_num_threads(), cv2.getNumThreads()] == bound
    code = "import cv2, json, torch; print(json.dumps([torch.get_num_threads(), cv2.getNumThreads()]))"
    child = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(child.stdout) == bound


def test_what_the_environment_says_about_threads_is_kept(monkeypatch):
    for name in machine.ONE_THREAD:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    machine.bind_threads()
    assert [os.environ[name] for name in machine.ONE_THREAD] == ["7", *["1"] * (len(machine.ONE_THREAD) - 1)]


TWICE = """
import ctypes, resource
library = ctypes.CDLL(None)
library.malloc.restype = ctypes.c_void_p
library.free.argtypes = [ctypes.c_void_p]
for _ in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = library.malloc(ctypes.c_size_t(64 << 20))
    ctypes.memset(block, 1, 64 << 20)
    library.free(block)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="of GNU's C library")
def test_a_large_array_takes_the_memory_that_the_one_before_it_left():
    child = subprocess.run([sys.executable, "-c", TWICE], capture_output=True, text=True, check=True)
    first, second = map(int, child.stdout.split())
    assert second < first // 4, "pages that were mapped anew"


GIB = 1 << 30


@pytest.mark.parametrize(
    ("processors", "memory", "arguments", "expected"),
    [
        (2, 16 * GIB, ["tests"], 2),
        (16, 128 * GIB, ["tests"], 16),
        (16, 16 * GIB, ["tests"], 3),  # 16 times torch would not fit
        (16, None, ["tests"], 16),
        (1, 16 * GIB, ["tests"], 0),
        (8, 7 * GIB, ["tests"], 0),
        (8, 64 * GIB, ["tests/image/test_mask.py"], 0),
        (8, 64 * GIB, ["tests/image/test_mask.py::test_a", "tests/image/test_mask.py::test_b"], 0),
        (8, 64 * GIB, ["tests/image/test_mask.py", "tests/image/test_blend.py"], 2),
        (8, 64 * GIB, ["tests/image", "tests/image/test_blend.py"], 8),
    ],
)
def test_there_are_as_many_workers_as_processors_memory_and_files_allow(processors, memory, arguments, expected):
    assert machine.workers(processors, memory, arguments) == expected


def test_who_wants_to_see_the_output_gets_one_process():
    assert machine.workers(8, 64 * GIB, ["tests"], output_shown=True) == 0


def test_this_machine_is_counted():
    assert machine.processors() >= 1
    assert machine.memory() is None or machine.memory() > GIB
    assert machine.resident() == 0 or 10 << 20 < machine.resident() < 100 * GIB


def test_the_longest_files_are_there():
    assert [file for file in machine.LONGEST_FIRST if not (ROOT / file).is_file()] == []


def test_files_go_by_what_they_took_and_those_that_never_ran_by_the_table():
    second, first = machine.LONGEST_FIRST[1], machine.LONGEST_FIRST[0]
    key = machine.longest_first({"tests/test_slow.py": 30.0, "tests/test_slower.py": 60.0})
    files = ["tests/test_new.py", second, "tests/test_slow.py", first, "tests/test_slower.py"]
    assert sorted(files, key=key) == [first, second, "tests/test_slower.py", "tests/test_slow.py", "tests/test_new.py"]


TOY_TESTS = {
    "tests/test_a.py": "def test_a(): pass",
    "tests/test_b.py": "def test_b(): pass\ndef test_c(): pass",
    "tests/test_z.py": "def test_z(): pass",
}


def run_toy_tests(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command that `install.py test` starts, on three small files with this folder's conftest."""
    (folder / "tests").mkdir()
    for name, text in TOY_TESTS.items():
        (folder / name).write_text(text)
    for name in ("install.py", "pyproject.toml", "tests/conftest.py"):
        (folder / name).write_bytes((ROOT / name).read_bytes())
    text = (ROOT / "tests/machine.py").read_text(encoding="utf-8")
    text += "\nLONGEST_FIRST = ('tests/test_z.py', 'tests/test_a.py')\ndef processors():\n    return 2\n"
    (folder / "tests/machine.py").write_text(text, encoding="utf-8")
    command = [sys.executable, "-m", "pytest", "-v", *install.DISTRIBUTED, *arguments]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, env=clean)


def test_the_command_shares_files_out_longest_first(tmp_path):
    result = run_toy_tests(tmp_path)
    assert result.returncode == 0, result.stdout + result.stderr
    worker = {line.split("::")[1].strip(): line.split("]")[0] for line in result.stdout.splitlines() if line.startswith("[gw")}
    assert set(worker) == {"test_a", "test_b", "test_c", "test_z"}
    assert worker["test_z"] != worker["test_a"], "the first two of the order begin at once"
    assert worker["test_b"] == worker["test_c"] == worker["test_z"], "a file is not divided"
    (kept,) = tmp_path.glob(".pytest_cache/v/clickpaint/seconds")
    assert json.loads(kept.read_text("utf-8")).keys() == TOY_TESTS.keys(), "what the next run goes by"


def test_one_process_runs_them_if_asked_to(tmp_path):
    result = run_toy_tests(tmp_path, "-n0", "-k", "test_a or test_z")
    assert result.returncode == 0, result.stdout + result.stderr
    assert "[gw" not in result.stdout and "2 passed, 2 deselected" in result.stdout
    assert not list(tmp_path.glob(".pytest_cache/v/clickpaint/seconds")), "what was not run whole says nothing"
