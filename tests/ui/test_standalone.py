"""The stand-alone app: its files, its access, and a page that names nobody else's server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[2]

pytest.importorskip("gradio")
pytest.importorskip("httpx")


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio

    studio = Studio(EmbeddedHost(tmp_path_factory.mktemp("data"), overrides={"device": "cpu"}))
    yield studio
    studio.shut_down()


@pytest.fixture(scope="module")
def client(studio: Any) -> Iterator[Any]:
    from fastapi.testclient import TestClient

    from clickpaint.api.access import LocalGate
    from clickpaint.ui.standalone import create_app

    with TestClient(create_app(studio, LocalGate()), base_url="http://localhost") as client:
        yield client


def test_the_page_and_its_files(client: Any) -> None:
    page = client.get("/")
    assert page.status_code == 200
    for kind, name in (("text/javascript", "clickpaint.mjs"), ("text/css", "style.css")):
        matched = re.search(rf'"(clickpaint/static/[0-9a-f]+/{re.escape(name)})"', page.text)
        assert matched, f"{name}: an absolute address would fail behind a proxy"
        answer = client.get(matched[1], headers={"accept-encoding": "gzip"})
        assert answer.headers["content-type"].startswith(kind)
        assert "immutable" in answer.headers["cache-control"] and answer.headers["content-encoding"] == "gzip"
        other = client.get(re.sub("[0-9a-f]{16}", "0" * 16, matched[1]))  # of a page from before an update
        assert other.status_code == 200 and other.headers["cache-control"] == "no-cache"
        again = client.get(matched[1], headers={"accept-encoding": "gzip", "if-none-match": answer.headers["etag"]})
        assert again.status_code == 304 and not again.content
    body = page.text.partition("<body")[2]
    assert body.index("<clickpaint-canvas") < body.index("<gradio-app"), "the canvas waits for Gradio"
    assert page.text.count("<clickpaint-canvas") == 1
    assert not re.search(r'<script type="module"[^>]* src="./assets/', page.text), "Gradio's script would compete with ours"
    assert re.search(r'import\("./assets/index[^"]+"\)', page.text)


def test_modules_one_by_one_for_developers(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKPAINT_MODULES", "1")
    page = client.get("/").text
    for module in ("clickpaint.mjs", "clickpaint/host/gradio_labels.mjs"):
        assert f'"clickpaint/static/javascript/{module}"' in page
    assert client.get(f"/clickpaint/static/{'0' * 16}/clickpaint.mjs").status_code == 404


def test_gradios_own_files_are_packed_once(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    entry = re.search(r'import\("\./(assets/index[^"]+)"\)', client.get("/").text)
    assert entry
    first = client.get(entry[1])
    monkeypatch.setattr("starlette.responses.FileResponse.__call__", None)  # nobody reads it again
    again = client.get(entry[1])
    assert again.content == first.content and "immutable" in again.headers["cache-control"]
    assert again.headers["content-encoding"] == first.headers["content-encoding"]


def test_an_idle_server_seldom_looks_whether_gradio_has_something_to_do(client: Any) -> None:
    queue = next(route.app for route in client.app.routes if hasattr(getattr(route, "app", None), "get_blocks")).get_blocks()._queue
    assert min(queue.sleep_when_free, queue.progress_update_sleep_when_free) >= 0.05


def test_a_page_that_is_none_of_gradios_stays_as_it_is() -> None:
    from clickpaint.ui.shell import with_canvas

    page = b"<html><head><base href='./'></head><body>Log in</body></html>"
    assert with_canvas(page, "<title>x</title>", "", "<clickpaint-canvas></clickpaint-canvas>") == page


@pytest.mark.parametrize("path", sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "javascript").rglob("*.mjs")))
def test_modules_have_a_type_that_browsers_run(client: Any, path: str) -> None:
    answer = client.get(f"/clickpaint/static/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/javascript")
    assert answer.headers["cache-control"] == "no-cache"
    again = client.get(f"/clickpaint/static/{path}", headers={"If-None-Match": answer.headers["etag"]})
    assert again.status_code == 304


def test_the_type_does_not_hang_on_the_machine(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("starlette.responses.guess_type", lambda *_: ("text/plain", None))
    answer = client.get("/clickpaint/static/javascript/clickpaint.mjs")
    assert answer.headers["content-type"].startswith("text/javascript")


HOSTILE = ["../pyproject.toml", "%2e%2e/pyproject.toml", "..%2fpyproject.toml", "..%5cpyproject.toml", "clickpaint/../../pyproject.toml"]


@pytest.mark.parametrize("path", [*HOSTILE, "/etc/passwd", "%00", "nothing.mjs", ""])
def test_nothing_else_is_served(client: Any, path: str) -> None:
    answer = client.get(f"/clickpaint/static/javascript/{path}")
    assert answer.status_code in (400, 404)
    assert "build-system" not in answer.text and "root:" not in answer.text


def test_a_token_is_asked_for_page_files_and_api(studio: Any) -> None:
    from fastapi.testclient import TestClient

    from clickpaint.api.access import LocalGate
    from clickpaint.ui.standalone import create_app

    with TestClient(create_app(studio, LocalGate("secret")), base_url="http://localhost") as client:
        for path in ("/", "/config", "/clickpaint/static/style.css", "/clickpaint/v1/models", "/clickpaint/openapi.json"):
            assert client.get(path).status_code == 401, path
        assert client.get("/?token=secret").status_code == 200
        assert client.get("/clickpaint/v1/models").status_code == 200


def test_the_api_is_documented_without_pages_from_elsewhere(client: Any) -> None:
    paths = client.get("/clickpaint/openapi.json").json()["paths"]
    assert "/clickpaint/v1/workspaces" in paths
    for path in ("/docs", "/redoc", "/clickpaint/docs"):
        assert "cdn" not in client.get(path).text


def test_style_and_modules_name_no_other_server() -> None:
    for path in [ROOT / "style.css", *(ROOT / "javascript").rglob("*.mjs")]:
        matched = re.findall(r"(?:https?:)?//[a-z0-9-]+\.[a-z]{2,}", path.read_text("utf-8").replace("http://www.w3.org/2000/svg", ""))
        assert not matched, f"{path.name}: {matched}"


def ancestors(block: Any) -> Iterator[Any]:
    while block is not None:
        block = block.parent
        yield block


def test_every_label_of_the_page_is_translated(studio: Any) -> None:
    from clickpaint.ui import tab

    page = tab.build(studio)
    table = json.loads((ROOT / "localizations" / "zh_CN.json").read_text("utf-8"))
    shown: set[str] = set()
    for block in page.blocks.values():
        if any("cp-hidden" in (getattr(above, "elem_classes", None) or ()) for above in ancestors(block)):
            continue
        config = block.get_config()
        shown |= {
            config[key] for key in ("label", "info", "placeholder") if isinstance(config.get(key), str) and config.get("show_label", True)
        }
        if block.get_block_name() == "button":
            shown.add(config["value"])
    shown.discard("")
    assert len(shown) >= 10
    assert {one for one in shown if any(sign.isascii() and sign.isalpha() for sign in one)} - {"Clickpaint"} <= set(table), shown - set(
        table
    )


def test_the_canvas_starts_with_the_settings(tmp_path: Path) -> None:
    import html

    from clickpaint.hosts.embedded import EmbeddedHost
    from clickpaint.studio.studio import Studio
    from clickpaint.ui import tab

    host = EmbeddedHost(tmp_path, overrides={"device": "cpu", "erase_grow": 3, "eraser": "opencv_ns", "language": "zh_CN"})
    element = tab.canvas(Studio(host), host.setting("language"))
    assert 'data-language="zh_CN"' in element
    options = re.search(r'data-options="([^"]*)"', element)
    assert options is not None
    assert json.loads(html.unescape(options[1])) == {
        "segmenter": "auto", "eraser": "opencv_ns", "grow": 3, "feather": None, "auto_edge": False, "grain": 1.0,
    }  # fmt: skip


@pytest.mark.parametrize(
    "path", ["/gradio_api/queue/join", "/gradio_api/upload", "/gradio_api/info", "/queue/join", "/clickpaint/v1/capabilities"]
)
def test_a_foreign_page_gains_nothing_by_its_referer(client: Any, path: str) -> None:
    """A page may have its whole address sent along, to wherever it likes."""
    for page in ("http://evil.example/a/b.html", "https://evil.example/gradio_api/"):
        origin = page.split("/a/")[0].split("/gradio")[0]
        for method in ("GET", "POST", "OPTIONS"):
            answer = client.request(method, path, headers={"origin": origin, "referer": page, "sec-fetch-site": "cross-site"})
            assert answer.status_code == 403, (method, answer.text)
