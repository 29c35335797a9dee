"""What the film strip costs in the page: requests, bytes, processor time and memory, in Chromium, for a short and a long clip.

    python -m tests.benchmarks.film_strip [--frames 100 1000] [--size 320 180]

Opened: the file is dropped, until a frame and the thumbnails are seen. Scrubbed: the pointer goes along the whole strip in 50 places, and
every frame is waited for. Stepped: 50 times one frame further. Played: from the middle, until a second frame is seen. Processor time is
that of the server, which the benchmark is itself, and that of all the browser's processes; the heap is JavaScript's, without garbage.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from tests.benchmarks.page import Traffic
from tests.browser.conftest import Visit, serving
from tests.browser.film import filmed
from tests.conftest import find_browser

STEPS = 50
_SHOWN = "(number) => document.querySelector('clickpaint-canvas').film.clip.show(number)"
_PLACE = "() => { const f = document.querySelector('clickpaint-canvas').film.clip; return f.show(f.frame).then(() => f.frame) }"
_PLAYED = """(number) => new Promise((done, failed) => {
    const clip = document.querySelector('clickpaint-canvas').film.clip;
    clip.show(number).then(() => clip.player.start()).catch(failed);
    clip.addEventListener('change', () => {
        if (clip.player.playing && clip.player.pictures && clip.frame > number + 1) done(clip.player.stop());
    });
})"""


class Costs:
    """Counts what blocks cost."""

    def __init__(self, browser: Any, page: Any) -> None:
        self._browser, self._page = browser.new_browser_cdp_session(), page.context.new_cdp_session(page)
        self._page.send("Performance.enable")
        self.traffic = Traffic(page)
        self.rows: list[tuple[str, int, int, float, float]] = []

    @contextmanager
    def of(self, name: str) -> Iterator[None]:
        """Of one block."""
        self.traffic.forget()
        server, browser = time.process_time(), self._browser_seconds()
        yield
        spent = time.process_time() - server, self._browser_seconds() - browser
        self.rows.append((name, len(self.traffic.requests), self.traffic.bytes, *spent))

    def heap(self) -> float:
        """Megabytes."""
        self._page.send("HeapProfiler.collectGarbage")
        metrics = {each["name"]: each["value"] for each in self._page.send("Performance.getMetrics")["metrics"]}
        return metrics["JSHeapUsedSize"] / 1e6

    def _browser_seconds(self) -> float:
        return sum(process["cpuTime"] for process in self._browser.send("SystemInfo.getProcessInfo")["processInfo"])


def measured(browser: Any, address: str, path: Path, frames: int) -> None:
    """Print the costs of one clip."""
    page = browser.new_context(viewport={"width": 1280, "height": 860}).new_page()
    page.set_default_timeout(600_000)
    page.goto(address)
    page.wait_for_selector("#clickpaint_remove.cp-idle")
    costs, visit = Costs(browser, page), Visit(page)
    empty = costs.heap()
    with costs.of("opened"), page.expect_response("**/strip?*") as strip:
        page.locator(".cp-file").set_input_files(path)
        page.wait_for_function("() => document.querySelector('clickpaint-canvas').film.clip.stills.now", polling=20)
        strip.value.finished()
    opened = costs.heap()
    with costs.of("scrubbed"):
        box = page.locator(".cp-film-track").bounding_box()
        along: Callable[[int], float] = lambda step: box["x"] + (step + 0.5) * box["width"] / STEPS  # noqa: E731
        page.mouse.move(along(0), box["y"] + 30)
        page.mouse.down()
        for step in range(STEPS):
            page.mouse.move(along(step), box["y"] + 30)
            page.evaluate(_PLACE)
        page.mouse.up()
    with costs.of("stepped"):
        for step in range(STEPS):
            page.evaluate(_SHOWN, step)
    scrubbed = costs.heap()
    with costs.of("played"):
        page.evaluate(_PLAYED, frames // 2)
    visit.idle()
    heaps = {"before": empty, "opened": opened, "scrubbed": scrubbed, "played": costs.heap()}
    print(f"\n{frames} frames, {path.stat().st_size / 1e6:.1f} MB. Heap in MB: " + ", ".join(f"{mb:.1f} {at}" for at, mb in heaps.items()))
    print(f"{'':12}{'requests':>10}{'bytes':>12}{'server s':>10}{'browser s':>11}")
    for name, requests, nbytes, server, spent in costs.rows:
        print(f"{name:12}{requests:>10,}{nbytes:>12,}{server:>10.2f}{spent:>11.2f}")
    page.context.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, nargs="+", default=[100, 1000])
    parser.add_argument("--size", type=int, nargs=2, default=(320, 180), metavar=("W", "H"))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        arguments = ["--no-sandbox", "--disable-gpu", "--autoplay-policy=no-user-gesture-required"]
        browser = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        studio = Studio(EmbeddedHost(Path(folder), overrides={"device": "cpu", "segmenter": "classic", "eraser": "classic"}))
        with serving(studio) as address:
            for frames in given.frames:
                path = Path(folder) / f"{frames}.mp4"
                filmed(path, tuple(given.size), frames)
                measured(browser, address, path, frames)
        browser.close()


if __name__ == "__main__":
    main()
