"""What a user does by hand on the page of a real web UI, in a real Chromium."""

from __future__ import annotations

import base64
import re
import time
from typing import Any

import numpy as np

from tests.browser.conftest import Visit
from tests.hosts.real import RealHost, file_of, pixels_of

ARRIVED = "(place) => { const image = document.querySelector(place); return image?.complete && image.naturalWidth > 0 }"
DRAW = """(place) => {
    const image = document.querySelector(place), canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
    canvas.getContext("2d").drawImage(image, 0, 0);
    return canvas.toDataURL("image/png").split(",")[1];
}"""


class HostVisit(Visit):
    """A window of its own on a web UI's page. What is asked of other servers and what goes wrong is written down, by its text.

    early: what our part of the page asked of our API before its tab was opened.
    """

    def __init__(self, host: RealHost, browser: Any, *, ours: bool = True) -> None:
        self.foreign: list[str] = []
        self.faults: list[str] = []
        self.early: list[str] = []
        context = browser.new_context(viewport={"width": 1280, "height": 1000})
        super().__init__(context.new_page())
        self.page.set_default_timeout(90_000)  # on a busy machine a page may take long
        self.page.on("console", self._said)
        self.page.on("pageerror", self._failed)
        context.route(re.compile(rf"^https?://(?!{re.escape(host.address[7:])}/)"), self._refused)
        if not ours:
            nothing = {"status": 200, "content_type": "text/javascript", "body": ""}
            context.route(re.compile(r"clickpaint\.mjs"), lambda route: route.fulfill(**nothing))
        self.page.on("request", self._asked)
        self._opened = False
        self.page.goto(host.address, wait_until="domcontentloaded")
        self.page.wait_for_selector("#tabs > .tab-nav > button")
        self.page.wait_for_load_state("load")
        if ours:
            self.page.wait_for_selector("clickpaint-canvas .cp-stage", state="attached")  # its script has come
            self.turn_to("Clickpaint")
            self.page.wait_for_selector(".cp-sample", state="attached")
            self.turn_to("txt2img")

    def saved(self) -> None:
        """The last test's result may go: without this, opening the next picture asks about it."""
        here = "const editor = document.querySelector('clickpaint-canvas')?.editor"
        self.page.evaluate(f"() => {{ {here}; if (editor?.ready) editor.keepSaved() }}")

    def turn_to(self, name: str) -> None:
        """Open one of the web UI's own tabs, which Forge writes with a capital."""
        self._opened |= name == "Clickpaint"
        self.page.locator("#tabs > .tab-nav > button").filter(has_text=re.compile(rf"^\s*{name}\s*$", re.IGNORECASE)).click()

    def task(self, name: str) -> None:
        """Open one of the tabs of ours: Remove, Fill …"""
        self.page.locator("#clickpaint_tasks button").filter(has_text=re.compile(rf"^\s*{name}\s*$")).first.click()
        self.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === '{name.lower()}'")

    def sampling(self, **values: float) -> None:
        head = self.page.locator("#clickpaint_sampling").get_by_text("Sampling", exact=True)
        head.click()
        for name, value in values.items():
            self.number(f"#clickpaint_{name}", value)
        head.click()
        self.page.wait_for_timeout(500)  # until Gradio hands the values on

    def number(self, place: str, value: float) -> None:
        field = self.page.locator(f"{place} input[type=number]")
        field.fill(str(value))
        field.press("Tab")

    def choose(self, place: str, value: str) -> None:
        """From one of Gradio's drop-down lists that is in sight."""
        self.page.locator(f"{place} input").click()
        self.page.locator(f"{place} ul.options [aria-label='{value}']").click()

    def unfold(self, place: str) -> None:
        """Open an accordion, if it is not open."""
        head = self.page.locator(f"{place} .label-wrap").first
        if "open" not in (head.get_attribute("class") or "").split():
            head.click()

    def version(self, number: int) -> np.ndarray:
        """Wait for this version of the picture to be shown; gives its pixels."""
        self.page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').editor.state.version === {number}", timeout=60_000)
        self.idle()
        return pixels_of(self.fetch(f"image?version={number}"))

    def mask(self) -> np.ndarray:
        return pixels_of(self.fetch("mask"))[..., 0] > 127

    def arrived(self, place: str, awaited: np.ndarray | None = None) -> np.ndarray:
        """The pixels of an image of the web UI's page, once it is there, or is the one that is awaited."""
        until = time.monotonic() + 20
        while True:
            self.page.wait_for_function(ARRIVED, arg=place)
            pixels = pixels_of(base64.b64decode(self.page.evaluate(DRAW, place)))
            if awaited is None or np.array_equal(pixels, awaited) or time.monotonic() > until:
                return pixels
            self.page.wait_for_timeout(200)

    def close(self) -> None:
        self.page.context.close()

    def _said(self, message: Any) -> None:
        place = message.location.get("url") or ""
        hosts_own = "javascript/" in place and "clickpaint" not in place  # Neo's complains of Chromium without a screen
        if message.type == "error" and place not in self.foreign and not hosts_own:
            self.faults.append(message.text)

    def _failed(self, error: Any) -> None:
        if "clickpaint" in (error.stack or ""):  # Gradio 3 has faults of its own, at times that vary, also without extensions
            self.faults.append(str(error))

    def _asked(self, request: Any) -> None:
        if "/clickpaint/v1/" in request.url and not self._opened:
            self.early.append(request.url)

    def _refused(self, route: Any) -> None:
        self.foreign.append(route.request.url)
        route.abort()


def png(pixels: np.ndarray) -> bytes:
    return base64.b64decode(file_of(pixels))
