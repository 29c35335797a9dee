"""`python -m tests.browser.make_gif [FILE]`: the moving picture of the README, of a click on a sample and of its removal.

Everything in it is the page's own doing; only the pointer, which a browser without a window does not show, is drawn.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw

from tests.browser.conftest import Visit, serving

FILE = Path(__file__).parent / "screenshots" / "removing.gif"
THING, SHADOW = (461, 394), (530, 452)
"""Where in the first sample is clicked: on the ball, and on what it throws on the sand."""
WINDOW = {"width": 1200, "height": 720}
WIDTH = 800
COLOURS = 250
MOST_BYTES = 1_500_000
_ARROW = ((0, 0), (0, 17), (4, 13), (7, 19), (10, 18), (7, 12), (13, 12))


class Film:
    """Pictures of a tab with a pointer, each with how long it is shown."""

    def __init__(self, tab: Visit) -> None:
        self.tab, self.frames, self.milliseconds = tab, [], []
        self.at = (700.0, 560.0)

    def shoot(self, milliseconds: int, *, pressed: bool = False) -> None:
        picture = Image.open(io.BytesIO(self.tab.page.screenshot())).convert("RGB")
        draw, (x, y) = ImageDraw.Draw(picture), self.at
        if pressed:
            draw.ellipse((x - 15, y - 15, x + 15, y + 15), outline="#4f46e5", width=3)
        draw.polygon([(x + dx * 1.3, y + dy * 1.3) for dx, dy in _ARROW], fill="black", outline="white")
        self.frames.append(picture.resize((WIDTH, WIDTH * picture.height // picture.width), Image.Resampling.LANCZOS))
        self.milliseconds.append(milliseconds)

    def move(self, x: float, y: float, steps: int = 5) -> None:
        (left, top), mouse = self.at, self.tab.page.mouse
        for step in range(1, steps + 1):
            share = step / steps
            self.at = (left + (x - left) * share, top + (y - top) * share)
            mouse.move(*self.at)
            self.shoot(70)

    def save(self, file: Path) -> None:
        """With one palette for all, in which what does not change takes no bytes."""
        strip = Image.new("RGB", (WIDTH, sum(frame.height for frame in self.frames[::3])))
        for i, frame in enumerate(self.frames[::3]):
            strip.paste(frame, (0, i * frame.height))
        palette = strip.quantize(COLOURS, Image.Quantize.MEDIANCUT)
        first, *others = (frame.quantize(palette=palette, dither=Image.Dither.NONE) for frame in self.frames)
        first.save(file, save_all=True, append_images=others, duration=self.milliseconds, loop=0, optimize=False)


def middle(place: Any) -> tuple[float, float]:
    box = place.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def film(tab: Visit) -> Film:
    """A sample is opened, something in it selected by a click and removed."""
    page, film = tab.page, Film(tab)
    page.locator(".cp-offer").get_by_role("button", name="Close").click()
    page.wait_for_function("() => [...document.querySelectorAll('.cp-sample img')].every((one) => one.complete && one.naturalWidth)")
    film.shoot(900)
    sample = page.locator(".cp-sample").first
    film.move(*middle(sample))
    film.shoot(250, pressed=True)
    sample.click()
    page.wait_for_selector("clickpaint-canvas.cp-ready")
    tab.idle()
    film.shoot(700)
    x, y = tab.at(*THING)
    film.move(x, y)
    film.shoot(250, pressed=True)
    tab.click(*THING)
    page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.selection")
    tab.idle()
    for _ in range(3):
        film.shoot(200)
    x, y = tab.at(*SHADOW)
    film.move(x, y, steps=3)
    film.shoot(250, pressed=True)
    page.keyboard.down("Shift")
    tab.click(*SHADOW)
    page.keyboard.up("Shift")
    for _ in range(3):
        film.shoot(200)
    remove = page.locator(".cp-remove")
    film.move(*middle(remove))
    film.shoot(250, pressed=True)
    remove.click()
    page.wait_for_function("() => document.querySelector('clickpaint-canvas').editor.state.version === 1")
    tab.idle()
    film.shoot(700)
    film.move(film.at[0] + 120, film.at[1] - 60, steps=3)
    film.shoot(2400)
    return film


def main(file: Path) -> None:
    from playwright.sync_api import sync_playwright

    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio
    from tests.conftest import find_browser

    executable = find_browser()
    if executable is None:
        raise SystemExit("There is no Chromium, Chrome or Edge on this machine.")
    with tempfile.TemporaryDirectory() as folder:
        host = EmbeddedHost(Path(folder), environment={}, overrides={"device": "cpu"})
        with serving(Studio(host)) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=str(executable), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport=WINDOW)  # type: ignore[arg-type]
            page.set_default_timeout(120_000)
            page.goto(address)
            page.wait_for_selector(".cp-sample")
            film(Visit(page)).save(file)
            browser.close()
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB")
    if file.stat().st_size > MOST_BYTES:
        raise SystemExit("It is larger than a README's picture should be.")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FILE)
