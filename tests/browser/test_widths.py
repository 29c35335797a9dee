"""From a phone's width to a large screen's, in English and Chinese, state by state: nothing overlaps, is cut off or untranslated."""

from __future__ import annotations

import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from PIL import Image

from tests.browser.conftest import BALL, Visit, expect, photograph, serving
from tests.browser.test_film import moving
from tests.browser.test_hands import removed
from tests.browser.test_several_pictures import choose, shown
from tests.ui.test_catalog_names import is_name

WIDTHS = (390, 640, 800, 1000, 1280, 1920)
"""640: 1280 at 200 %."""

FAULTS = """() => {
    const root = document.querySelector('dialog:modal') ?? document.body, found = new Set();
    const words = (one) => (one.ariaLabel || one.innerText || '').slice(0, 30);
    const said = (one) => `${one.tagName.toLowerCase()}${one.id ? '#' + one.id : ''}.${one.className} ${one.type ?? ''} ${words(one)}`;
    const visible = (one) => {
        const {visibility, opacity} = getComputedStyle(one);
        if (!one.checkVisibility() || visibility === 'hidden' || opacity === '0') return null;
        let {left, top, right, bottom} = one.getBoundingClientRect();
        for (let above = one.parentElement; above; above = above.parentElement) {
            if (getComputedStyle(above).overflow === 'visible') continue;
            const box = above.getBoundingClientRect();
            [left, top] = [Math.max(left, box.left), Math.max(top, box.top)];
            [right, bottom] = [Math.min(right, box.right), Math.min(bottom, box.bottom)];
        }
        return right - left > 1 && bottom - top > 1 ? {left, top, right, bottom} : null;
    };
    if (document.documentElement.scrollWidth > innerWidth) found.add(`the page is ${document.documentElement.scrollWidth} wide`);
    const all = [...root.querySelectorAll('button, input, select, textarea, a[href], [role=tab]')];
    const here = all.map((one) => [one, visible(one)]).filter(([, box]) => box);
    const lies = '.cp-strip-close, .cp-refine'; // on the picture that they belong to
    for (const [i, [a, one]] of here.entries()) {
        if (one.left < -1 || one.right > innerWidth + 1) found.add(`${said(a)} leaves the window`);
        for (const [b, other] of here.slice(i + 1)) {
            if (a.contains(b) || b.contains(a) || a.matches(lies) || b.matches(lies)) continue;
            const wide = Math.min(one.right, other.right) - Math.max(one.left, other.left);
            const high = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
            if (wide > 2 && high > 2) found.add(`${said(a)} | ${said(b)}`);
        }
    }
    for (const one of root.querySelectorAll('button, h2, h3, label, .cp-note, .cp-hint, p')) {
        if (!visible(one) || one.title) continue; // what is shortened tells the rest in its tooltip
        if (getComputedStyle(one).overflowX !== 'visible' && one.scrollWidth > one.clientWidth + 1) found.add(`${said(one)} is cut off`);
    }
    return [...found];
}"""

TEXTS = """() => {
    const root = document.querySelector('dialog:modal') ?? document.body, texts = new Set();
    const shown = (one) => one && one.checkVisibility?.({checkVisibilityCSS: true});
    const walker = document.createTreeWalker(root, NodeFilter.SHOW_TEXT);
    for (let node = walker.nextNode(); node; node = walker.nextNode()) {
        const parent = node.parentElement;
        if (shown(parent) && !parent.closest('script, style, textarea, [data-untranslated]')) texts.add(node.data.trim());
    }
    for (const one of root.querySelectorAll('[aria-label], [title], [placeholder], [alt]')) {
        if (shown(one)) for (const name of ['aria-label', 'title', 'placeholder', 'alt']) texts.add((one.getAttribute(name) ?? '').trim());
    }
    return [...texts].filter(Boolean);
}"""

NAMES = re.compile(
    r"Clickpaint|Stable Diffusion|ControlNet|MobileSAM|MI-GAN|RePaint|CLIP|BLIP|LaMa|VAE|Hugging Face|OpenAI|Ollama|LM Studio"
    r"|llama\.cpp|vLLM|qwen3:4b|https?://\S+|PNG|JPEG|WebP|AVIF|HEIC|JSON|zip|Ctrl|Shift|Alt|Tab|Esc|Enter|Delete|OpenCV Telea|English"
    r"|the red car|make it snow"
    r"|[\w.]+/[\w./-]+|\w+\.\w{3,}|--checkpoint FILE|CLICKPAINT_\w+|\w*_\w+|px|[kMG]B|\bB\b|cuda(:1)?|cpu|mps|xpu|auto\b|canny"
    r"|antelopev2|buffalo_l"
)
"""What is called the same in Chinese, and what files and keys are called."""


def is_english(text: str) -> bool:
    """Whether something in a text of the Chinese page is not said in Chinese: all of it, or two words of a sentence."""
    rest = NAMES.sub("", text)
    if re.search(r"[\u4e00-\u9fff]", text):
        return re.search(r"\b[a-z]{2,} [a-z]{2,}\b", rest) is not None
    parts = [NAMES.sub("", part) for part in re.split(" [·|] ", text)]
    return text in BUTTONS or any(re.search("[A-Za-z]{2,}", part) and not is_name(part) for part in parts)


BUTTONS = {
    "Save",
    "Stop",
    "Cancel",
    "Start",
    "Remove",
    "Fill",
    "Replace",
    "Expand",
    "Instruct",
    "Download",
    "Undo",
    "Settings",
    "Results",
    "Models",
}
"""Words that begin with a capital, as names do."""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    folder: Path = tmp_path_factory.mktemp("widths")
    overrides = {"device": "cpu", "segmenter": "classic", "eraser": "opencv_telea"}
    with serving(Studio(EmbeddedHost(folder, environment={}, overrides=overrides))) as address:
        yield address


class Look:
    """Looks at a state of the page at every width, and collects what is wrong."""

    def __init__(self, tab: Visit, chinese: bool) -> None:
        self.tab, self.chinese, self.faults = tab, chinese, []

    def __call__(self, state: str, widths: tuple[int, ...] = WIDTHS) -> None:
        page = self.tab.page
        page.evaluate("() => document.getAnimations().forEach((one) => one.cancel())")
        for width in widths:
            page.set_viewport_size({"width": width, "height": 820})
            page.wait_for_function(
                "() => { const c = document.querySelector('clickpaint-canvas'); return c.view.stage.width === c.stage.clientWidth }"
            )
            self.tab.idle()
            self.faults += [f"{state}, {width}: {fault}" for fault in page.evaluate(FAULTS)]
        if self.chinese:
            self.faults += [f"{state}: {text!r} is English" for text in page.evaluate(TEXTS) if is_english(text)]


@pytest.mark.parametrize("locale", ["en", "zh-CN"])
def test_every_state_at_every_width(visit: Callable[..., Visit], locale: str) -> None:
    tab = visit(locale=locale, expected="400")
    page, look = tab.page, Look(tab, locale == "zh-CN")
    look("welcome")
    choose(tab, {"meadow.png": photograph(), "other.png": photograph(seed=1)})
    shown(tab, "meadow.png")
    tab.click(*BALL)
    look("selection")
    for task in ("fill", "expand"):
        page.locator(f"#clickpaint_tab_{task}-button, #clickpaint_tab_{task}").first.evaluate(
            "(one, task) => (document.getElementById(`clickpaint_tab_${task}-button`) ?? one).click()", task
        )
        page.wait_for_function(f"() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === '{task}'")
        page.locator("clickpaint-checkpoint p").first.wait_for()
        look(task, (390, 1280))
    # a tall frame: its handles lie beside the bars, not below them
    tab.js("(w.diffusion.setMargins([0, 1024, 0, 1024]), c.view.fit(), e.changed())")
    look("a tall frame", (390, 1280))
    tab.js("w.diffusion.setMargins([0, 0, 0, 0])")
    page.evaluate("() => document.getElementById('clickpaint_tab_remove-button').click()")
    page.wait_for_function("() => document.querySelector('clickpaint-canvas').workbench.diffusion.task === 'remove'")
    for name, ready in (("maps", ".cp-make"), ("describe", ".cp-body, p"), ("models", "li")):
        page.locator(f"#clickpaint_{name} button").first.click()
        page.locator(f"#clickpaint_{name} :is({ready})").first.wait_for()
    look("panels", (390, 1280))
    tab.key("Delete")
    removed(tab)
    page.locator(".cp-strip-actions .cp-strong").click()
    page.locator("dialog.cp-again[open]").wait_for()
    look("the same again", (390, 1280))
    page.keyboard.press("Escape")
    tab.js("c.actions.remove()")
    page.get_by_role("alert").wait_for()
    look("a message", (390, 1280))
    page.keyboard.press("Escape")
    tab.js("c.actions.help()")
    look("help", (390, 1280))
    page.keyboard.press("Escape")
    page.locator("clickpaint-settings > .cp-icon").click()
    page.locator(".cp-setting").first.wait_for()
    look("settings")
    page.keyboard.press("Escape")
    expect(page.locator("dialog[open]")).to_have_count(0)
    choose(tab, {"moves.gif": moving([Image.open(io.BytesIO(photograph(seed=seed))).reduce(2) for seed in (0, 1)])})
    page.wait_for_function("() => document.querySelector('clickpaint-canvas').film.clip.stills.now")
    tab.click(BALL[0] / 2, BALL[1] / 2)
    look("a clip")
    assert look.faults == [], "\n".join(look.faults)
