"""`python -m tests.browser.make_film_pictures [FOLDER]`: the pictures of the film strip in the README, of a clip that is drawn here.

film.jpg is the page while something is followed; film_before_after.jpg has frames of the clip and, below them, of the result.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image

from tests.browser.conftest import Visit, serving
from tests.browser.film import Landscape, filmed

FOLDER = Path(__file__).parent / "screenshots"
WINDOW = {"width": 1280, "height": 860}
CLICKED, SHOWN = 30, 34
"""The frame in which the ball is clicked, and the one of the page's picture."""
ACROSS, GAP = 5, 6
"""Frames beside each other, and the pixels between them."""
WIDTH = 1000


def removed(tab: Visit, clip: Path, scene: Landscape, folder: Path) -> None:
    """The ball is clicked in one frame, followed and removed; pictures of that are taken."""
    page = tab.page
    page.locator(".cp-offer").get_by_role("button", name="Close").click()
    page.locator(".cp-file").set_input_files(clip)
    film = "document.querySelector('clickpaint-canvas').film.clip"
    page.wait_for_function(f"() => {film}.stills.now")
    page.evaluate(f"(number) => {film}.show(number)", CLICKED)
    x, y, _ = scene.ball(CLICKED)
    tab.click(x, y)
    page.wait_for_function(f"() => {film}.corrected.length")
    strip = page.locator(".cp-film")
    strip.get_by_role("button", name="Track").click()
    page.wait_for_function(f"() => {film}.work.busy")
    page.wait_for_function(f"() => !{film}.work.busy && {film}.info.objects[0].known[0][1] === {scene.count - 1}")
    page.evaluate(f"(number) => {film}.show(number)", SHOWN)
    page.wait_for_function("() => !document.querySelector('.cp-notice')")
    tab.idle()
    saved(Image.open(io.BytesIO(page.screenshot())), folder / "film.jpg")
    strip.get_by_role("button", name="Remove from the clip").click()
    page.wait_for_function(f"() => {film}.version === 1 && !{film}.work.busy")
    numbers = [round(scene.count * (place + 0.5) / ACROSS) for place in range(ACROSS)]
    saved(compared([[frame(tab, number, version) for number in numbers] for version in (0, 1)]), folder / "film_before_after.jpg")


def frame(tab: Visit, number: int, version: int) -> Image.Image:
    address = tab.js("`${w.api.base}videos/${c.film.clip.id}/frames/`")
    answer = tab.page.request.get(f"{address}{number}?version={version}&format=png", headers={"X-Clickpaint-Page": "page"})
    assert answer.ok
    return Image.open(io.BytesIO(answer.body())).convert("RGB")


def compared(rows: list[list[Image.Image]]) -> Image.Image:
    """Rows of frames as one picture."""
    width = (WIDTH - GAP * (ACROSS - 1)) // ACROSS
    height = width * rows[0][0].height // rows[0][0].width
    whole = Image.new("RGB", (WIDTH, len(rows) * (height + GAP) - GAP), "white")
    for down, row in enumerate(rows):
        for across, picture in enumerate(row):
            whole.paste(picture.resize((width, height), Image.Resampling.LANCZOS), (across * (width + GAP), down * (height + GAP)))
    return whole


def saved(picture: Image.Image, file: Path) -> None:
    picture.convert("RGB").save(file, quality=88, optimize=True)
    print(f"{file}: {file.stat().st_size / 1e3:.0f} kB")


def main(folder: Path) -> None:
    from playwright.sync_api import sync_playwright

    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio
    from tests.conftest import find_browser

    executable = find_browser()
    if executable is None:
        raise SystemExit("There is no Chromium, Chrome or Edge on this machine.")
    with tempfile.TemporaryDirectory() as data:
        clip = Path(data) / "ball.mp4"
        scene = filmed(clip)
        host = EmbeddedHost(Path(data) / "data", environment={}, overrides={"device": "cpu"})
        with serving(Studio(host)) as address, sync_playwright() as driver:
            browser = driver.chromium.launch(executable_path=str(executable), args=["--no-sandbox", "--disable-gpu"])
            page = browser.new_page(viewport=WINDOW)  # type: ignore[arg-type]
            page.set_default_timeout(600_000)
            page.goto(address)
            page.wait_for_selector(".cp-sample")
            page.wait_for_selector("#clickpaint_remove.cp-idle")
            removed(Visit(page), clip, scene, folder)
            browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER)
