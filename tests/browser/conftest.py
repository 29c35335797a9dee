"""A real server, a real Chromium, and a photograph that the tests draw themselves."""

from __future__ import annotations

import asyncio
import atexit
import functools
import io
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

BALL = (300, 190)  # its middle
BALL_RADIUS = 52
SIZE = (480, 320)

BOUND = 240_000
"""Milliseconds after which a test gives up; nothing waits for their end. The first visit takes five seconds of a processor, which is more
than a minute where many share it.
"""

POLLING = 20
"""Milliseconds between two looks at a condition that a test waits for. Playwright's own way is to look before every frame, which makes the
browser draw sixty of them a second, for as long as it takes."""


IDLE = """async ([polling, bound]) => {
    for (let looks = 0; document.querySelector('clickpaint-canvas').editor.changes.pending; looks++) {
        if (looks * polling > bound) throw new Error('what was asked for is not done');
        await new Promise((done) => setTimeout(done, polling));
    }
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
}"""

TYPE_AND_PRESS = """([fields, button]) => {
    for (const [place, value] of fields) {
        const field = document.querySelector(place);
        field.focus();
        field.value = value;
    }
    document.querySelector(button).click();
}"""
"""As fast as nobody is: no event told Gradio of the values before the button was pressed."""


def photograph(ball: tuple[int, int] = BALL, colour: str = "#d22b2b", seed: int = 0) -> bytes:
    """A PNG of a ball on a meadow, with the grain of a camera."""
    width, height = SIZE
    rows = np.linspace(0, 1, height)[:, None, None]
    pixels = np.broadcast_to((1 - rows) * np.array([150, 190, 235]) + rows * np.array([90, 130, 60]), (height, width, 3))
    picture = Image.fromarray(pixels.astype(np.uint8))
    x, y = ball
    ImageDraw.Draw(picture).ellipse((x - BALL_RADIUS, y - BALL_RADIUS, x + BALL_RADIUS, y + BALL_RADIUS), fill=colour)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    grain = np.random.default_rng(seed).normal(0, 3, (height, width, 1))
    file = io.BytesIO()
    Image.fromarray(np.clip(np.asarray(picture) + grain, 0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


_ports: list[socket.socket] = []
"""Bound ones that no server uses now. At an address where a server was before, a browser has the scripts, and has them compiled: a first
visit takes four times the processor time of a reload."""
_packed: dict[Any, Any] = {}
"""Gradio's files as all servers of a run send them."""


@contextmanager
def serving(studio: Any, *, new: bool = False) -> Iterator[str]:
    """The stand-alone program on this studio; gives the address where it answers, which may be that of a program before. new: never."""
    uvicorn = pytest.importorskip("uvicorn")
    pytest.importorskip("gradio")
    from clickpaint.api.access import LocalGate
    from clickpaint.ui import shell, standalone

    if new or not _ports:
        _ports.append(socket.create_server(("127.0.0.1", 0)))
        atexit.register(_ports[-1].close)
    port = _ports.pop()
    answers = threading.Event()

    class Server(uvicorn.Server):
        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets)
            answers.set()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(standalone, "ShellMiddleware", functools.partial(shell.ShellMiddleware, packed=_packed))
        app = standalone.create_app(studio, LocalGate())
    server = Server(uvicorn.Config(app, log_level="error", timeout_graceful_shutdown=2))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [port.dup()]}, daemon=True)
    thread.start()
    assert answers.wait(120), "the server did not start"
    yield f"http://127.0.0.1:{port.getsockname()[1]}/"
    server.should_exit = True
    studio.shut_down()  # first, as the server waits for those who still ask it for something
    thread.join(60)
    if not (new or thread.is_alive()):
        _ports.append(port)


@pytest.fixture(scope="session")
def data_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the program behind `address`."""
    return tmp_path_factory.mktemp("data")


@pytest.fixture(scope="session")
def open_windows(chromium: Any) -> Iterator[dict[str, dict[str, list[Window]]]]:
    """Windows that the modules of a run use one after another, by the address and by their options."""
    windows: dict[str, dict[str, list[Window]]] = {}
    yield windows
    asyncio.events._set_running_loop(chromium[1])
    for window in itertools.chain.from_iterable(itertools.chain(*(known.values() for known in windows.values()))):
        window.context.close()
    asyncio.events._set_running_loop(None)


@pytest.fixture(scope="session")
def address(chromium: Any, data_folder: Path) -> Iterator[str]:
    """Where the stand-alone program answers, on a machine without weights and without network."""
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    host = EmbeddedHost(data_folder, overrides={"device": "cpu", "segmenter": "classic", "eraser": "classic"})
    with serving(Studio(host)) as address:
        yield address


def expect(locator: Any, message: str | None = None) -> Any:
    """Playwright's assertions: they wait until they hold, as a page on a busy machine takes its time."""
    from playwright.sync_api import expect as assertions

    assertions.set_options(timeout=BOUND)
    return assertions(locator, message)


class Visit:
    """One browser tab on the page, with what a user would do there."""

    def __init__(self, page: Any) -> None:
        self.page = page
        self.stage = page.locator(".cp-stage")

    def open(self, data: bytes, name: str = "meadow.png") -> None:
        kind = "image/jpeg" if name.endswith(("jpg", "jpeg")) else "image/png"
        self.page.locator(".cp-file").set_input_files({"name": name, "mimeType": kind, "buffer": data})
        self.page.wait_for_selector("clickpaint-canvas.cp-ready")
        self.idle()

    def idle(self) -> None:
        """Until all that was asked for is done and drawn."""
        self.page.evaluate(IDLE, [POLLING, BOUND])

    def js(self, expression: str) -> Any:
        """`expression` over the canvas element `c`, its workbench `w` and its editor `e`."""
        here = "const c = document.querySelector('clickpaint-canvas'), w = c.workbench, e = w.editor"
        return self.page.evaluate(f"() => {{ {here}; return {expression} }}")

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Where a pixel of the picture is in the window."""
        here = f"c.view.toScreen({x}, {y})"
        place = self.js(f"(({{x, y}}, r) => [x + r.left + 1, y + r.top + 1])({here}, c.stage.getBoundingClientRect())")
        return place[0], place[1]

    def click(self, x: float, y: float, **options: Any) -> None:
        self.page.mouse.click(*self.at(x, y), **options)
        self.idle()

    def drag(self, *points: tuple[float, float]) -> None:
        mouse = self.page.mouse
        mouse.move(*self.at(*points[0]))
        mouse.down()
        for point in points[1:]:
            mouse.move(*self.at(*point), steps=4)
        mouse.up()
        self.idle()

    def key(self, name: str) -> None:
        self.page.keyboard.press(name)
        self.idle()

    @property
    def area(self) -> int:
        return self.js("e.state.selection?.area ?? 0")

    def fetch(self, path: str) -> bytes:
        """What the API answers for this tab's workspace."""
        headers = {"X-Clickpaint-Page": self.js("c.dataset.token ?? 'page'")}
        answer = self.page.request.get(self.js(f"`${{w.api.base}}workspaces/${{e.id}}/{path}`"), headers=headers)
        assert answer.ok
        return answer.body()

    def pixel(self, layer: str, x: float, y: float) -> list[int]:
        """What is drawn on the picture's or the overlay's canvas at a pixel of the picture."""
        script = """([layer, x, y]) => {
            const c = document.querySelector('clickpaint-canvas'), at = c.view.toScreen(x, y), copy = new OffscreenCanvas(1, 1);
            const context = copy.getContext('2d', {willReadFrequently: true});
            context.drawImage(c.querySelector(`.cp-${layer}`), -Math.floor(at.x * c.renderer.ratio), -Math.floor(at.y * c.renderer.ratio));
            return [...context.getImageData(0, 0, 1, 1).data];
        }"""
        return self.page.evaluate(script, [layer, x, y])


FORGET = """() => {
    const canvas = document.querySelector('clickpaint-canvas'), {editor} = canvas.workbench;
    canvas.pictures.set.entries = [];
    if (editor.clip) canvas.film.clip.end();
    editor.state.close(); // so that the reload does not bring the picture back
    editor.setLayer(null);
    localStorage.clear();
    sessionStorage.clear();
}"""


REMAKE = """async () => {
    const answer = await (await fetch(location.href)).text();
    if (answer !== window.served) return false; // the page would begin with something else
    const joined = new Promise((done) => document.addEventListener('clickpaint:joined', () => done(true), {once: true}));
    const served = new DOMParser().parseFromString(answer, 'text/html');
    const gradio = document.querySelector('gradio-app'), page = gradio.parentElement;
    gradio.remove();
    for (const part of ['.cp-header', '.cp-main']) {
        document.querySelector(part).replaceWith(document.importNode(served.querySelector(part), true));
    }
    gradio.replaceChildren();
    page.append(gradio); // which takes down what it had made, and makes all of it once more
    scrollTo(0, 0);
    return Promise.race([joined, new Promise((done) => setTimeout(() => done(false), 60_000))]);
}"""
"""Makes all that the page's HTML holds anew, as a reload does, without loading and compiling a hundred scripts. What it leaves are the
scripts, in which nothing is kept (but the language), and what `BEGUN` looks at. False: only a reload will do."""

BEGUN = """() => {
    const {editor} = document.querySelector('clickpaint-canvas');
    const fields = [...document.querySelectorAll('gradio-app :is(input, textarea, select)')];
    const {clickpaintPreferences: preferences} = globalThis;
    return JSON.stringify([
        [document.title, document.documentElement.lang, document.body.className, document.activeElement.tagName, scrollX, scrollY],
        [...document.body.children].map((one) => `${one.tagName}#${one.id}.${one.className}`).filter((one) => !one.startsWith('SCRIPT')),
        fields.map((one) => [one.closest('[id^=clickpaint]').id, one.type, one.value, one.checked, one.disabled]),
        [...document.querySelectorAll('.label-wrap, [role=tab]')].map((one) => [one.textContent, one.className, one.ariaSelected]),
        [{...localStorage}, {...sessionStorage}, preferences],
        [editor.options, editor.radius, editor.tool.name, editor.ready, editor.state.version, editor.regions, editor.clip],
        [...document.querySelectorAll('dialog[open], .cp-toast, .cp-notice:not([hidden])')].map((one) => one.className),
    ]);
}"""
"""Where the page stands, in words: at the beginning of every test as after the first visit."""


class Window:
    """A browser's window with one tab on the page, which tests use one after another: a reload costs a fourth of a new window, and making
    the page anew half of a reload."""

    def __init__(self, browser: Any, address: str, options: dict[str, Any]) -> None:
        self.address, self.faults, self.expected = address, [], ()
        self.free, self._heard = True, True
        self._permissions: list[str] = []
        self._scheme = self._begun = ""
        self.context = browser.new_context(**options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(BOUND)
        self.page.wait_for_function = functools.partial(self.page.wait_for_function, polling=POLLING)
        self.page.on("console", self._said)
        self.page.on("request", self._asked)
        self.page.on("pageerror", lambda error: self._fault(f"fault: {error}"))

    def begin(self, expected: tuple[str, ...], look: dict[str, Any]) -> Visit:
        """The page as it is at the first visit. `expected`: what the browser may log meanwhile; `look`: as `LOOK`."""
        self.page.set_viewport_size(look["viewport"])
        self.page.emulate_media(color_scheme=look["color_scheme"], reduced_motion=look["reduced_motion"])
        if self._permissions != look["permissions"]:
            self._permissions = look["permissions"]
            self.context.clear_permissions()
            self.context.grant_permissions(self._permissions)
        visited = self.page.url != "about:blank"
        if visited:
            self._heard = False  # Gradio complains of its own requests that a reload ends
            self.page.unroute_all(behavior="ignoreErrors")
            self.page.mouse.move(0, 0)
        if not (visited and look["color_scheme"] == self._scheme and self.remade()):
            self.load(look)
        self.free, self._heard, self.faults, self.expected = False, True, [], expected
        return Visit(self.page)

    def load(self, look: dict[str, Any]) -> None:
        """The page as at a first visit."""
        answer = self.page.goto(self.address) if self.page.url != self.address else self.page.reload()
        self._wait()
        self.page.evaluate("(served) => { window.served = served }", answer.text())
        self._scheme, self._begun = look["color_scheme"], self.page.evaluate(BEGUN)

    def remade(self) -> bool:
        """Whether the page stands where it stood after it was loaded, without being loaded again."""
        if not self.page.evaluate(REMAKE):
            return False
        self._wait()
        return self.page.evaluate(BEGUN) == self._begun

    def _wait(self) -> None:
        self.page.wait_for_selector(".cp-sample")
        self.page.wait_for_function("() => document.querySelector('#clickpaint_remove.cp-idle')")  # Gradio's part has come, too

    def rest(self) -> None:
        """Until the next module: a page that nobody looks at asks and draws all the same."""
        self._heard = False
        self.page.unroute_all(behavior="ignoreErrors")
        self.page.goto("about:blank")
        devtools = self.context.new_cdp_session(self.page)
        devtools.send("Storage.clearDataForOrigin", {"origin": self.address.rstrip("/"), "storageTypes": "all"})
        devtools.detach()

    def end(self) -> list[str]:
        """What went wrong since `begin`; the picture is given up."""
        self.free = True
        self.page.evaluate(FORGET)
        return self.faults

    def _said(self, message: Any) -> None:
        if message.type in ("error", "warning") and not any(one in message.text for one in self.expected):
            self._fault(f"console: {message.text} {message.location.get('url', '')}")

    def _asked(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:")):
            self._fault(f"external: {request.url}")

    def _fault(self, text: str) -> None:
        if self._heard:
            self.faults.append(text)


LOOK: dict[str, Any] = {
    "viewport": {"width": 1280, "height": 860},
    "color_scheme": "light",
    # what moves by itself is drawn sixty times a second, for as long as a test waits
    "reduced_motion": "reduce",
    "permissions": [],
}
"""Those options of a window that can be changed while it is open, as most tests have them."""


@pytest.fixture(scope="module")
def windows(browser: Any, address: str, open_windows: dict[str, dict[str, list[Window]]]) -> Iterator[dict[str, list[Window]]]:
    """The open windows at a module's address, by their options: a new one has nothing in its cache, and costs three times a reload."""
    windows = open_windows.setdefault(address, {})
    yield windows
    for window in itertools.chain(*windows.values()):
        window.rest()


@pytest.fixture
def visit(browser: Any, address: str, windows: dict[str, list[Window]]) -> Iterator[Callable[..., Visit]]:
    """`visit(**context options)`: the page as at a first visit. Afterwards: nothing was asked of another server, and no fault was logged.

    The page may be that of a test before, loaded again; `alone=True` for a window that no other test gets.
    """
    used: list[Window] = []
    own: list[Window] = []

    def make(*, expected: str | tuple[str, ...] = (), alone: bool = False, **options: Any) -> Visit:
        look = {name: options.pop(name, value) for name, value in LOOK.items()}
        known = windows.setdefault(repr(sorted(options.items())), [])
        window = None if alone else next((window for window in known if window.free), None)
        if window is None:
            window = Window(browser, address, options)
            (own if alone else known).append(window)
        used.append(window)
        return window.begin((expected,) if isinstance(expected, str) else expected, look)

    yield make
    faults = []
    for window in used:
        try:
            faults += window.end()
        except Exception:  # its page is beyond use
            for known in windows.values():
                if window in known:
                    known.remove(window)
            own.append(window)
            faults += window.faults
    for window in own:
        window.context.close()
    assert not faults, faults


@pytest.fixture
def photo() -> bytes:
    return photograph()
