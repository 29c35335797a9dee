"""Names that a fork dropped are looked for once, and told as what they are where there is no other."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from clickpaint.errors import HostUnsupported
from clickpaint.hosts.webui import probe
from clickpaint.hosts.webui.host import WebUIHost


def test_samplers_and_folder_of_extensions_wherever_a_fork_keeps_them(web, monkeypatch):
    assert probe.sampler_names() == ["Euler a", "DPM++ 2M"]
    assert probe.extensions_folder() == Path("webui/extensions_dir")
    # as in ersatzForge
    monkeypatch.delattr(web.sd_samplers, "visible_samplers")
    monkeypatch.delattr(web.paths, "extensions_dir")
    monkeypatch.setattr(web.paths_internal, "extensions_dir", "webui/internal")
    assert probe.sampler_names() == ["Euler a", "DPM++ 2M"]
    assert probe.extensions_folder() == Path("webui/internal")
    web.shared.opts.data["clickpaint_models_dir"] = ""
    assert any("internal" in folder.parts for folder in WebUIHost().folders("sam"))
    assert WebUIHost().capabilities().samplers == ("Euler a", "DPM++ 2M")
    # and where nothing is left of them
    monkeypatch.delattr(web.sd_samplers, "visible_sampler_names")
    monkeypatch.delattr(web.paths_internal, "extensions_dir")
    assert probe.sampler_names() == ["Euler a", "DPM++ 2M"]
    assert probe.extensions_folder() == Path("webui/data_path/extensions")


def raised(work) -> Exception:
    with pytest.raises((AttributeError, ImportError)) as caught:
        work()
    return caught.value


def test_a_dropped_name_is_told(web, monkeypatch):
    from modules import shared  # type: ignore[import-not-found]

    explanation = probe.explained(raised(lambda: shared.no_such_name))
    assert isinstance(explanation, HostUnsupported) and explanation.message.startswith("This web UI has no modules.shared.no_such_name")

    def from_module():
        from modules.shared import no_such_name  # type: ignore[import-not-found]  # noqa: F401

    explanation = probe.explained(raised(from_module))
    assert isinstance(explanation, HostUnsupported) and "modules.shared.no_such_name" in explanation.message

    def whole_module():
        import modules.no_such_module  # type: ignore[import-not-found]  # noqa: F401

    explanation = probe.explained(raised(whole_module))
    assert isinstance(explanation, HostUnsupported) and "modules.no_such_module" in explanation.message


def test_other_errors_stay_what_they_are(web):
    def ours():
        import no_such_package_at_all  # type: ignore[import-not-found]  # noqa: F401

    for error in (raised(ours), raised(lambda: "text".nothing), ValueError("x")):  # type: ignore[attr-defined]
        assert probe.explained(error) is error


def test_a_fork_without_a_name_that_we_log_or_ask_by_keeps_the_tab(web, monkeypatch, caplog):
    from clickpaint.hosts.webui import credentials

    # as in SD.Next, which calls its arguments otherwise and logs in its own way
    monkeypatch.delattr(web.errors, "report")
    arguments = SimpleNamespace()
    monkeypatch.setattr(web.shared, "cmd_opts", arguments)
    assert credentials.token_for_page() == "" and credentials.origin_allowed("http://a", "b") is False
    arguments.auth, arguments.cors_origins = "me:secret", "http://a"
    assert credentials.takes_passwords() and credentials.origin_allowed("http://a", "b")
    assert credentials.token_for_page() == "", "the page asks for a login of its own"
    try:
        raise ValueError("broken on purpose")
    except ValueError:
        probe.report("the tab could not be made")
    assert "the tab could not be made" in caplog.text and "broken on purpose" in caplog.text
