"""Registration, settings, the tab, who may call, and what `install.py` installs, on the stand-ins."""

from __future__ import annotations

import base64
import importlib.util
import sys
import types
from pathlib import Path
from typing import Any

import pytest

from clickpaint.app import webui
from clickpaint.hosts.webui import credentials, hooks, setup
from clickpaint.hosts.webui.host import WebUIHost
from clickpaint.hosts.webui.settings_section import OPTION, add_options
from clickpaint.settings import SETTINGS

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def own_studio():
    """A studio for each test: it holds on to the web UI that it was made in."""
    webui.front.cache_clear(), webui._studio.cache_clear()
    yield
    webui.front.cache_clear(), webui._studio.cache_clear()


def load_script():
    """Execute scripts/clickpaint.py the way the web UI does: from its file, without putting it into `sys.modules`."""
    spec = importlib.util.spec_from_file_location("clickpaint.py", ROOT / "scripts" / "clickpaint.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


# registration and settings


def test_the_script_file_registers_and_shows_one_class(web):
    module = load_script()
    kinds = ["on_after_component", "on_app_started", "on_before_ui", "on_ui_settings", "on_ui_tabs"]
    assert sorted(kind for kind, _ in web.callbacks) == kinds
    classes = [one for one in vars(module).values() if isinstance(one, type) and issubclass(one, web.scripts.Script)]
    assert len(classes) == 1 and classes[0]().title() == "Clickpaint"
    assert type(classes[0]) is type  # the web UI's "reload script bodies" looks for just this


def test_reloading_registers_the_same_again_and_keeps_the_studio(web):
    load_script()
    studio, first = webui.studio(), list(web.callbacks)
    web.callbacks.clear()  # as the web UI does before it loads scripts again
    load_script()
    assert web.callbacks == first
    assert webui.studio() is studio


def test_settings_are_added_once_and_keep_their_values(web):
    add_options()
    options = web.shared.opts
    assert {key.removeprefix(OPTION) for key in options.data_labels} == {key for key, setting in SETTINGS.items() if not setting.alone}
    options.data[OPTION + "erase_grow"] = 21
    add_options()
    assert options.data[OPTION + "erase_grow"] == 21 and WebUIHost().setting("erase_grow") == 21
    for key, setting in SETTINGS.items():
        if setting.alone:
            continue
        info = options.data_labels[OPTION + key]
        assert info.section == ("clickpaint", "Clickpaint") and info.default == setting.default
        assert bool(info.restrict_api) == setting.private


def test_a_stored_setting_that_cannot_be_used_counts_as_its_default(web):
    add_options()
    web.shared.opts.data[OPTION + "erase_grow"] = "a lot"
    assert WebUIHost().setting("erase_grow") == SETTINGS["erase_grow"].default


def test_a_tab_that_cannot_be_made_says_why(web, monkeypatch):
    monkeypatch.setitem(sys.modules, "clickpaint.ui.tab", types.SimpleNamespace(build=lambda *args, **kwargs: 1 / 0))
    monkeypatch.setattr("clickpaint.ui.tab", sys.modules["clickpaint.ui.tab"], raising=False)
    ((page, title, element),) = webui._tab()
    assert (title, element) == ("Clickpaint", "clickpaint")
    assert "ZeroDivisionError" in str(page.get_config_file() if hasattr(page, "get_config_file") else page.config)
    assert web.reported == ["Clickpaint: the tab could not be made"]


def shown_by(page):
    return str(page.get_config_file() if hasattr(page, "get_config_file") else page.config)


@pytest.mark.parametrize("module, name", [("modules.sd_models", "checkpoint_tiles"), ("modules.shared", "opts"), ("modules", "sd_models")])
def test_a_name_that_a_fork_dropped_is_told_as_such(web, monkeypatch, module, name):
    add_options()
    for path in (f"{module}.{name}",) if module == "modules" else ():
        monkeypatch.setitem(sys.modules, path, None)
    monkeypatch.delattr(sys.modules[module], name)
    ((page, _, _),) = webui._tab()
    shown = shown_by(page)
    assert f"This web UI has no {module}.{name}" in shown and "Update Clickpaint" in shown
    assert "AttributeError" not in shown and "ImportError" not in shown and "has no attribute" not in shown
    assert web.reported == ["Clickpaint: the tab could not be made"]


def test_a_fault_of_our_own_shows_no_names_of_variables(web, monkeypatch):
    monkeypatch.setitem(sys.modules, "clickpaint.ui.tab", types.SimpleNamespace(build=lambda *args, **kwargs: object().wrong))  # type: ignore[attr-defined]
    monkeypatch.setattr("clickpaint.ui.tab", sys.modules["clickpaint.ui.tab"], raising=False)
    ((page, _, _),) = webui._tab()
    assert "has no attribute" not in shown_by(page) and "Updating the extension" in shown_by(page)


def test_the_token_is_in_the_page_only_where_the_page_asks_for_no_login(web):
    add_options()
    web.shared.opts.hidden_tabs = []
    token = credentials._page_token()
    assert "clickpaint-canvas" in shown_by(webui._tab()[0][0])
    assert token not in shown_by(webui._tab()[0][0])
    web.shared.cmd_opts.api_auth = "joe:pass"
    assert token in shown_by(webui._tab()[0][0])
    for name in ("gradio_auth", "gradio_auth_path"):
        setattr(web.shared.cmd_opts, name, "x:y")
        assert token not in shown_by(webui._tab()[0][0])
        setattr(web.shared.cmd_opts, name, None)


def test_hooks_of_web_uis_without_names_for_callbacks(web, monkeypatch):
    seen = []
    for name in ("on_ui_tabs", "on_ui_settings", "on_app_started", "on_after_component", "on_before_ui"):
        monkeypatch.setattr(web.script_callbacks, name, lambda callback: seen.append(callback))

    def callback(*arguments: Any) -> Any:
        return []

    hooks.register(tab=callback, settings=callback, started=callback, after_component=callback, before_page=callback)
    assert seen == [callback] * 5


# who may call


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


def app_with(*, login: bool = False, cookie_id: str | None = None):
    from fastapi import FastAPI

    app = FastAPI()
    app.auth = {"ann": "secret"} if login else None  # type: ignore[attr-defined]
    app.tokens = {"tok-1": "ann", "tok-2": "bob"}  # type: ignore[attr-defined]
    if cookie_id is not None:
        app.cookie_id = cookie_id  # type: ignore[attr-defined]
    return app


@pytest.fixture
def client(web):
    """client(app) → a real client of our routes in that app."""
    from fastapi.testclient import TestClient

    add_options()

    def make(app):
        webui._started(None, app)
        return TestClient(app, base_url="http://webui.local:7860")

    return make


ADDRESS = "/clickpaint/v1/models"


def test_open_to_all_but_pages_from_elsewhere(client):
    one = client(app_with())
    assert one.get(ADDRESS).status_code == 200
    assert one.get(ADDRESS, headers={"origin": "http://webui.local:7860"}).status_code == 200
    assert one.get(ADDRESS, headers={"origin": "https://WebUI.local:7860"}).status_code == 200  # behind a proxy that speaks TLS
    for origin in ("http://evil.example", "null", "http://webui.local", "http://[", "", "http://webui.local:7860.evil.example"):
        answer = one.get(ADDRESS, headers={"origin": origin})
        assert answer.status_code == 403, origin
        assert answer.json()["error"] == "AccessDenied"


def test_origins_that_the_web_ui_was_told_to_allow(web, client):
    one = client(app_with())
    web.shared.cmd_opts.cors_allow_origins = "http://a.example,http://b.example"
    web.shared.cmd_opts.cors_allow_origins_regex = r"https://.*\.good\.example"
    for origin, status in (("http://b.example", 200), ("https://x.good.example", 200), ("https://x.good.example.bad", 403)):
        assert one.get(ADDRESS, headers={"origin": origin}).status_code == status
    web.shared.cmd_opts.cors_allow_origins = "*"
    assert one.get(ADDRESS, headers={"origin": "http://anyone.example"}).status_code == 200


@pytest.mark.parametrize("cookie_id", [None, "xyz"])
def test_the_pages_login(client, cookie_id):
    one = client(app_with(login=True, cookie_id=cookie_id))
    refused = one.get(ADDRESS)
    assert refused.status_code == 401 and "www-authenticate" not in refused.headers and "Log in" in refused.json()["remedy"]
    suffix = f"-{cookie_id}" if cookie_id else ""
    for name in ("access-token", "access-token-unsecure"):
        assert one.get(ADDRESS, headers={"cookie": f"{name}{suffix}=tok-2"}).status_code == 200
        assert one.get(ADDRESS, headers={"cookie": f"{name}{suffix}=tok-3"}).status_code == 401
        assert one.get(ADDRESS, headers={"cookie": f"{name}{suffix}="}).status_code == 401
        assert one.get(ADDRESS, headers={"cookie": f"{name}-other=tok-2"}).status_code == 401
    assert one.get(ADDRESS, headers={"authorization": basic("ann:secret")}).status_code == 401  # no password of the API


def test_passwords_of_the_api(web, client):
    web.shared.cmd_opts.api_auth = "joe:pass,eve:wörd"
    one = client(app_with())
    refused = one.get(ADDRESS)
    assert refused.status_code == 401 and refused.headers["www-authenticate"].startswith("Basic")
    for header, status in (
        (basic("joe:pass"), 200), (basic("eve:wörd"), 200), (basic("joe:wörd"), 401), (basic("joe"), 401), (basic(""), 401),
        ("Basic !!!", 401), ("Bearer joe:pass", 401), ("Basic", 401), (basic("joe:pass").replace("Basic", "basic"), 200),
    ):  # fmt: skip
        assert one.get(ADDRESS, headers={"authorization": header}).status_code == status, header
    assert one.get(ADDRESS, headers={"cookie": "access-token=tok-1"}).status_code == 401  # nobody logs in to this page


def test_the_page_that_everybody_is_shown_needs_no_password_of_the_api(web, client):
    web.shared.cmd_opts.api_auth = "joe:pass"
    one = client(app_with())
    token = credentials.token_for_page()
    assert len(token) >= 32
    assert one.get(ADDRESS, headers={credentials.PAGE_HEADER: token}).status_code == 200
    elsewhere = {credentials.PAGE_HEADER: token, "origin": "http://evil.example"}
    assert one.get(ADDRESS, headers=elsewhere).status_code == 403
    for wrong in ("", "yes", token[:-1], token + "x", token.swapcase()):
        refused = one.get(ADDRESS, headers={credentials.PAGE_HEADER: wrong})
        assert refused.status_code == 401, wrong
        assert "www-authenticate" not in refused.headers, "the browser would ask in the middle of the web UI's page"
        assert "Reload" in refused.json()["remedy"]
    answer = one.get(ADDRESS, headers={credentials.PAGE_HEADER: "", "authorization": basic("joe:pass")})
    assert answer.status_code == 200, "who logged in for the API before may go on"


def test_the_pages_token_opens_nothing_where_the_page_has_a_login(web, client):
    web.shared.cmd_opts.api_auth = "joe:pass"
    refused = client(app_with(login=True)).get(ADDRESS, headers={credentials.PAGE_HEADER: credentials._page_token()})
    assert refused.status_code == 401 and "www-authenticate" not in refused.headers


def test_login_and_passwords_together_take_either(web, client):
    web.shared.cmd_opts.api_auth = "joe:pass"
    one = client(app_with(login=True))
    assert one.get(ADDRESS).status_code == 401
    assert one.get(ADDRESS, headers={"cookie": "access-token=tok-1"}).status_code == 200
    assert one.get(ADDRESS, headers={"authorization": basic("joe:pass")}).status_code == 200
    elsewhere = {"cookie": "access-token=tok-1", "origin": "http://evil.example"}  # another page with the user's own cookie
    assert one.get(ADDRESS, headers=elsewhere).status_code == 403


@pytest.mark.parametrize(
    "path", ["/clickpaint/v1/capabilities", "/clickpaint/v1/workspaces/x", "/clickpaint/openapi.json", "/clickpaint/v1/"]
)
def test_no_address_is_open_without_the_login(client, path):
    assert client(app_with(login=True)).get(path).status_code == 401


def test_the_web_uis_own_addresses_are_not_ours(client):
    app = app_with(login=True)
    app.get("/clickpainting")(lambda: "theirs")
    assert client(app).get("/clickpainting").status_code == 200


def test_routes_come_up_without_a_page_and_again_after_a_reload(client):
    for app in (app_with(), app_with()):
        assert client(app).get("/clickpaint/v1/capabilities").status_code == 200


def test_nobody_asks_for_a_login_that_is_not_there(web):
    assert not credentials.needed(types.SimpleNamespace())  # --nowebui: a plain FastAPI app
    assert not credentials.logged_in(types.SimpleNamespace(), {"access-token": "x"})


# packages


def test_what_is_missing_is_installed_without_dependencies(web, monkeypatch):
    monkeypatch.setattr(setup, "missing", lambda: ["segment-anything", "loguru"])
    setup.install_missing()
    assert web.installed == ['install --no-deps "segment-anything==1.0"', 'install --no-deps "loguru==0.7.3"']


def test_nothing_is_asked_of_the_web_ui_when_nothing_is_missing(web, monkeypatch):
    monkeypatch.setattr(setup, "missing", list)
    monkeypatch.delitem(sys.modules, "launch")
    setup.install_missing()
    assert "launch" not in sys.modules
    sys.modules["launch"] = web.modules["launch"]  # taken away with the rest


def test_a_package_that_cannot_be_had_stops_nothing(web, monkeypatch, capsys):
    monkeypatch.setattr(setup, "missing", lambda: ["lama-cleaner", "loguru"])

    def run_pip(command, desc=None, live=False):
        if "lama" in command:
            raise RuntimeError("Couldn't install.\nstdout: x\nstderr: no network\n")
        web.installed.append(command)

    monkeypatch.setattr(sys.modules["launch"], "run_pip", run_pip)
    setup.install_missing()
    assert len(web.installed) == 1 and "without lama-cleaner: no network" in capsys.readouterr().out


def test_what_lama_cleaner_imports_is_brought_in_the_versions_that_stand_alone():
    if sys.version_info < (3, 11):
        pytest.skip("needs tomllib")
    import tomllib

    tables = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    pinned = set(tables["tool"]["clickpaint"]["install"]["constraints"])
    names = {"rich", "markdown-it-py", "mdurl", "pygments"}
    assert {setup.PACKAGES[name] for name in names} == {line for line in pinned if line.partition("==")[0] in names}


def test_missing_is_what_has_no_distribution(monkeypatch):
    monkeypatch.setattr(setup, "PACKAGES", {"numpy": "numpy", "no-such-thing-at-all": "x"})
    assert setup.missing() == ["no-such-thing-at-all"]
