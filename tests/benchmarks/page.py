"""When the stand-alone page can be used, and what it costs: requests, bytes, time, in Chromium.

    python -m tests.benchmarks.page [--rounds 3]

Usable: the canvas answers, that is, its samples can be clicked and a file can be dropped. Whole: Gradio's widgets are there, too. Cold: a
browser that was never there, by a program that has just said where it is ("first") or not; warm: a reload. Modules: the page as
developers see it, CLICKPAINT_MODULES=1.
"""

from __future__ import annotations

import argparse
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from clickpaint.hosts.embedded import EmbeddedHost
from clickpaint.studio.studio import Studio
from tests.browser.conftest import serving
from tests.conftest import find_browser

GOALS = {"seconds": 1.0, "requests": 40, "bytes": 1_200_000}
_USABLE = "() => document.querySelector('clickpaint-canvas')?.querySelector('.cp-sample')"
_WHOLE = "() => document.querySelector('#clickpaint_remove.cp-idle')"


class Traffic:
    """What a page asks for, by the browser's own account."""

    def __init__(self, page: Any) -> None:
        self.requests: set[str] = set()
        self.bytes = 0
        session = page.context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.requestWillBeSent", self._asked)
        session.on("Network.loadingFinished", self._came)

    def _asked(self, event: dict[str, Any]) -> None:
        if event["request"]["url"].startswith("http"):
            self.requests.add(event["requestId"])

    def _came(self, event: dict[str, Any]) -> None:
        self.bytes += int(event["encodedDataLength"])

    def forget(self) -> None:
        self.requests.clear()
        self.bytes = 0


@contextmanager
def just_started(folder: Path) -> Iterator[str]:
    """The program in a process of its own, as `install.py run` starts it, as soon as it has printed its address."""
    command = [sys.executable, "-m", "clickpaint", "serve", "--no-browser", "--port", "0", "--data-dir", str(folder), "--device", "cpu"]
    package = str(Path(__file__).resolve().parents[2] / "extension")
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": package}) as program:
        assert program.stdout is not None
        found = next(filter(None, (re.search(r"http://\S+", line) for line in program.stdout)))
        try:
            yield found[0]
        finally:
            program.terminate()


def visited(page: Any, traffic: Traffic, go: Any) -> dict[str, float]:
    """Seconds, requests and bytes until the page can be used, and until all of it is there."""
    traffic.forget()
    began = time.perf_counter()
    go()
    page.wait_for_function(_USABLE, polling=10)
    usable = {"seconds": time.perf_counter() - began, "requests": len(traffic.requests), "bytes": traffic.bytes}
    page.wait_for_function(_WHOLE, polling=10)
    whole = time.perf_counter() - began
    page.wait_for_timeout(1000)  # what comes late is counted, too
    return {**usable, "whole s": whole, "all requests": len(traffic.requests), "all bytes": traffic.bytes}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    rounds = parser.parse_args().rounds
    measured: dict[str, list[dict[str, float]]] = {"cold, first": [], "cold": [], "warm": [], "modules, cold": []}
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=["--no-sandbox", "--disable-gpu"])
        studio = Studio(EmbeddedHost(Path(folder), overrides={"device": "cpu", "segmenter": "classic", "eraser": "classic"}))
        with serving(studio) as address:
            blank = browser.new_context().new_page()  # the browser's own start is none of the page's
            blank.goto("about:blank")
            for turn in range(rounds + 1):
                context = browser.new_context(viewport={"width": 1280, "height": 860})
                page = context.new_page()
                traffic, kind = Traffic(page), "cold" if turn else "cold, first"
                with just_started(Path(folder) / "first") if not turn else nullcontext(address) as at:
                    measured[kind].append(visited(page, traffic, lambda page=page, at=at: page.goto(at, wait_until="commit")))
                if not turn:
                    context.close()
                    continue
                measured["warm"].append(visited(page, traffic, lambda page=page: page.reload(wait_until="commit")))
                context.close()
            os.environ["CLICKPAINT_MODULES"] = "1"
            page = browser.new_context().new_page()
            traffic = Traffic(page)
            measured["modules, cold"].append(visited(page, traffic, lambda: page.goto(address, wait_until="commit")))
        browser.close()
    load = os.getloadavg()[0]
    print(f"\nLoad of the machine: {load:.1f} on {os.cpu_count()} processors. Goals: {GOALS}\n")
    columns = {"seconds": ",.2f", "requests": ",.0f", "bytes": ",.0f", "whole s": ",.2f", "all requests": ",.0f", "all bytes": ",.0f"}
    print(f"{'':16}" + "".join(f"{name:>14}" for name in columns))
    for kind, visits in measured.items():
        middle = [format(statistics.median(visit[name] for visit in visits), how) for name, how in columns.items()]
        print(f"{kind:16}" + "".join(f"{value:>14}" for value in middle))


if __name__ == "__main__":
    main()
