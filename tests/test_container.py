"""What a container and a Hugging Face Space are made of. Neither can be built here: their files are held against what they name."""

from __future__ import annotations

import ast
import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

import install
from clickpaint.app.main import build_parser

ROOT = Path(__file__).resolve().parents[1]


def instructions() -> list[tuple[str, str]]:
    """(instruction, arguments) of the Dockerfile, continued lines joined."""
    text = re.sub(r"\\\n\s*", "", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return [(line.partition(" ")[0], line.partition(" ")[2]) for line in lines]


def test_the_image_copies_what_there_is_and_starts_with_options_that_there_are():
    named = dict(instructions())
    for arguments in (arguments for instruction, arguments in instructions() if instruction == "COPY"):
        *sources, _ = (word for word in arguments.split() if not word.startswith("--"))
        assert all((ROOT / source).exists() for source in sources), arguments
    entry = json.loads(named["ENTRYPOINT"])
    assert entry[:3] == [".venv/bin/python", "-m", "clickpaint"]
    options = build_parser().parse_args(entry[3:])
    assert (options.host, options.data_dir, options.no_browser, options.public) == ("0.0.0.0", Path("/data"), True, False)
    assert json.loads(named["VOLUME"]) == ["/data"] and named["USER"] == "clickpaint"
    assert str(options.port) == named["EXPOSE"]
    assert install.prepare_parser().parse_args(["--torch-index", "cpu"]).torch_index == "cpu"


def test_the_health_check_takes_the_refusal_of_a_stranger_for_a_sign_of_life():
    check = dict(instructions())["HEALTHCHECK"]
    python, flag, code = json.loads(check.partition("CMD ")[2])
    assert (python, flag) == (".venv/bin/python", "-c")
    names = [node.attr for node in ast.walk(ast.parse(code)) if isinstance(node, ast.Attribute)]
    assert "HTTPError" in names and f":{dict(instructions())['EXPOSE']}/" in code


def test_nothing_of_this_machine_gets_into_the_image():
    kept = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    assert {".*", "tests", "workspaces", "outputs", "settings.json", "models/*", "!models/catalog.json"} <= set(kept)


def test_the_services_build_the_image_with_arguments_that_it_takes():
    compose = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
    arguments = {value.partition("=")[0] for instruction, value in instructions() if instruction == "ARG"}
    assert set(compose["services"]) == {"cpu", "cuda"}
    assert set(compose["services"]["cuda"]["build"]["args"]) <= arguments
    for service in compose["services"].values():
        assert {volume.split(":")[-1] for volume in service["volumes"]} == {"/data", "/data/models"}
        assert service["ports"][0].endswith(f":{dict(instructions())['EXPOSE']}")


def test_a_space_has_all_that_serves_and_is_made_again_in_its_place(tmp_path, capsys):
    folder = tmp_path / "space"
    assert install.main(["space", str(folder)]) == 0
    _, front, _ = (folder / "README.md").read_text(encoding="utf-8").split("---\n", 2)
    front = yaml.safe_load(front)
    facts = install.probe(Path(sys.executable))
    pins = facts["extras"]["app"]
    assert f"gradio=={front['sdk_version']}" in pins and front["sdk"] == "gradio"
    assert (folder / front["app_file"]).is_file()
    wanted = (folder / "requirements.txt").read_text(encoding="utf-8").split("\n")
    assert f"gradio=={front['sdk_version']}" not in wanted and {line for line in pins if not line.startswith("gradio==")} <= set(wanted)
    package = {path.relative_to(ROOT / "extension") for path in (ROOT / "extension" / "clickpaint").rglob("*.py")}
    assert package == {path.relative_to(folder / "extension") for path in (folder / "extension").rglob("*.py")}
    (folder / "extension" / "clickpaint" / "gone.py").touch()
    (folder / ".git").mkdir()
    assert install.main(["space", str(folder)]) == 0
    assert not (folder / "extension" / "clickpaint" / "gone.py").exists() and (folder / ".git").is_dir()


@pytest.mark.parametrize("name", ["essay.txt", "README.md"])
def test_a_folder_with_something_else_in_it_is_left_alone(tmp_path, capsys, name):
    (tmp_path / name).write_text("mine", encoding="utf-8")
    assert install.main(["space", str(tmp_path)]) == 2
    assert [path.name for path in tmp_path.iterdir()] == [name] and "something else" in capsys.readouterr().err


def test_the_app_of_a_space_serves_strangers(monkeypatch):
    arguments = []
    source = (ROOT / "extension" / "space" / "app.py").read_text(encoding="utf-8")
    module: dict[str, Any] = {"__name__": "space_app", "__file__": str(ROOT / "extension" / "space" / "app.py")}
    exec(compile(source, "app.py", "exec"), module)
    monkeypatch.setattr("clickpaint.app.main.main", lambda given: arguments.extend(given) or 0)
    monkeypatch.setitem(module, "install_alone", lambda: None)
    monkeypatch.setattr("sys.path", [*sys.path])
    monkeypatch.delenv("GRADIO_SERVER_PORT", raising=False)
    monkeypatch.setenv("CLICKPAINT_DEVICE", "cpu")
    assert module["main"]() == 0
    options = build_parser().parse_args(arguments)
    assert (options.public, options.port, options.host, options.token) == (True, 7860, "0.0.0.0", None)
