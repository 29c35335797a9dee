"""The plan of the house, held: which room may know which, what may be imported when, and what lies where."""

from __future__ import annotations

import ast
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "extension" / "clickpaint"

ROOMS = (
    "__init__", "errors", "progress", "settings", "compat", "image", "weights", "segment", "erase", "paint", "caption", "control",
    "video", "train", "hosts", "session", "studio", "api", "ui", "cli", "app", "__main__",
)  # fmt: skip
"""From the ground up: a room imports only rooms that stand before it."""

LOOSE = {"__init__", "__main__", "errors", "progress", "settings"}
"""Files of the package that need no room."""

STUDIO = (
    "tasks", "queue", "zipping", "model_pool", "map_cache", "request", "selecting", "reading", "erasing", "vitmatte", "extracting",
    "own_sampler", "systems", "painting", "generation", "steering", "control_maps", "word_masks", "words", "several_pictures",
    "training_data", "trainings", "video_readers", "video_library", "animating", "video_views", "video_work", "video_objects",
    "video_painting", "video_results", "videos", "downloads", "inventory", "own_files", "studio", "touchup",
)  # fmt: skip
"""The same order among the files of the studio."""

CHANGING = {
    "push", "select", "undo", "redo", "add_result", "add_expanded", "add_cropped", "hold_regions", "hold_results", "forget_oldest", "turn",
}  # fmt: skip
"""Methods of a workspace that its use-cases alone may call, each in its turn."""

HEAVY = ("torch", "torchvision", "cv2", "diffusers", "transformers", "gradio", "scipy", "segment_anything", "lama_cleaner", "timm")
"""Imported in the function that needs them, never by importing a module of the package."""

TOP_LEVEL = {
    "extension", "scripts", "javascript", "models", "tests", "install.py", "README.md",
    "pyproject.toml", "metadata.ini", "style.css", "LICENSE", "CHANGELOG.md", ".ci", ".gitignore", "localizations",
    "CONTRIBUTING.md", ".pre-commit-config.yaml", ".github", "Dockerfile", ".dockerignore", "compose.yaml",
}  # fmt: skip


def modules() -> dict[str, Path]:
    """Every module of the package by its dotted name."""
    places = {}
    for file in sorted(PACKAGE.rglob("*.py")):
        parts = ["clickpaint", *file.relative_to(PACKAGE).with_suffix("").parts]
        places[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = file
    return places


def imports(source: str, module: str, is_package: bool = False) -> Iterator[str]:
    """The dotted name of everything that a module imports, wherever in it."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parts = module.split(".")
                base = ".".join(parts[: len(parts) - node.level + is_package] + ([node.module] if node.module else []))
            yield from (f"{base}.{alias.name}" for alias in node.names)


def room(name: str) -> str | None:
    """The room that a dotted name belongs to, None for what is not ours."""
    parts = name.split(".")
    if parts[0] != "clickpaint":
        return None
    inner = parts[1] if len(parts) > 1 else "__init__"
    return inner if inner in ROOMS or (PACKAGE / inner).is_dir() or (PACKAGE / f"{inner}.py").exists() else "__init__"


def wrong_arrows(source: str, module: str, is_package: bool = False) -> list[str]:
    """The imports of a module that point up the list of rooms, or into a web UI from outside `hosts.webui`."""
    here = room(module)
    assert here in ROOMS, f"{module} is in no room of the plan: give it its place in ROOMS"
    wrong = []
    for name in imports(source, module, is_package):
        target = room(name)
        upward = target is not None and target != here and (target not in ROOMS or ROOMS.index(target) > ROOMS.index(here))
        host = name.split(".")[0] in ("modules", "modules_forge", "backend") and not module.startswith("clickpaint.hosts.webui")
        if upward or host:
            wrong.append(name)
    return wrong


def test_the_arrows_are_read_right():
    assert wrong_arrows("from clickpaint.errors import InvalidInput\nimport numpy", "clickpaint.image.mask") == []
    assert wrong_arrows("from clickpaint import studio", "clickpaint.image.mask") == ["clickpaint.studio"]
    assert wrong_arrows("def f():\n    import clickpaint.api.router", "clickpaint.studio.studio") == ["clickpaint.api.router"]
    assert wrong_arrows("from ..hosts import base", "clickpaint.segment.sam") == ["clickpaint.hosts.base"]
    assert wrong_arrows("from .. import hosts", "clickpaint.segment", is_package=True) == ["clickpaint.hosts"]
    assert wrong_arrows("from . import base, mask", "clickpaint.image", is_package=True) == []
    assert wrong_arrows("from modules import shared", "clickpaint.studio.studio") == ["modules.shared"]
    assert wrong_arrows("from modules import shared", "clickpaint.hosts.webui") == []


def test_a_room_imports_only_rooms_before_it():
    wrong = {
        module: wrong_arrows(file.read_text(encoding="utf-8"), module, file.name == "__init__.py") for module, file in modules().items()
    }
    assert {module: names for module, names in wrong.items() if names} == {}


GROUND = {"__init__", "errors", "progress", "settings", "compat"}
"""What every room may import, and the picture of the rooms leaves out."""


def test_the_picture_of_the_rooms_is_drawn_from_the_imports():
    """The table of CONTRIBUTING.md: its rooms in their order, each with exactly the rooms that it imports."""
    arrows: dict[str, set[str]] = {}
    for module, file in modules().items():
        targets = {room(name) for name in imports(file.read_text(encoding="utf-8"), module, file.name == "__init__.py")}
        arrows.setdefault(str(room(module)), set()).update(str(target) for target in targets if target is not None)
    expected = {
        here: [other for other in ROOMS if other in arrows[here] - GROUND - {here}]
        for here in ROOMS
        if here in arrows and here not in LOOSE | GROUND
    }
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| `(\w+)` \| ([^|]+) \|([^|]*)\|$", text, flags=re.MULTILINE)
    drawn = {name: re.findall(r"`(\w+)`", cells) for name, _, cells in rows}
    for name, targets in expected.items():
        assert drawn.get(name) == targets, f"CONTRIBUTING.md: | `{name}` | … | {' '.join(f'`{target}`' for target in targets)} |"
    assert list(drawn) == list(expected)


def test_every_file_of_the_package_is_in_a_room():
    assert {path.stem for path in PACKAGE.glob("*.py")} == LOOSE
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and any(path.glob("*.py"))} <= {*ROOMS} - LOOSE


def test_the_files_of_the_studio_import_only_those_before_them():
    wrong = []
    for file in sorted((PACKAGE / "studio").glob("*.py")):
        if file.stem == "__init__":
            continue
        for name in imports(file.read_text(encoding="utf-8"), f"clickpaint.studio.{file.stem}"):
            inner = name.split(".")[2] if name.startswith("clickpaint.studio.") else file.stem
            if STUDIO.index(inner) > STUDIO.index(file.stem):
                wrong.append((file.stem, name))
    assert wrong == []


def changes_of_workspaces(source: str) -> list[str]:
    """What a module does to a workspace or a video by itself."""
    changes = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, (ast.Assign, ast.AugAssign)):
            targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else [node.target]
        else:
            targets = [node.func] if isinstance(node, ast.Call) and getattr(node.func, "attr", "") in CHANGING else []
        changes += [
            ast.unparse(target) for target in targets if re.match(r"(workspace|video)\.|.*\.workspace\(.*\)\.", ast.unparse(target))
        ]
    return changes


def test_only_use_cases_change_a_workspace():
    assert changes_of_workspaces("workspace.chat = ()") == ["workspace.chat"]
    assert changes_of_workspaces("studio.workspace(id).undo()") == ["studio.workspace(id).undo"]
    assert changes_of_workspaces("studio.undo(workspace)\nstate = workspace.state") == []
    faces = [file for module, file in modules().items() if room(module) in ("api", "ui", "cli", "app", "hosts")]
    changed = {file.name: changes_of_workspaces(file.read_text(encoding="utf-8")) for file in faces}
    assert {name: changes for name, changes in changed.items() if changes} == {}


SAME_FACE = {
    "cutting": {"api", "cli"},
    "systems": {"api", "cli", "studio"},
    "caption": {"api", "cli"},
    "control": {"api", "cli", "ui"},
    "examples": {"api", "image", "train"},  # those of the trade: pictures to learn from
    "loading": {"caption", "train"},
    "datasets": {"api", "cli"},
    "models": {"api", "cli"},
    "painting": {"api", "cli", "studio"},
    "videos": {"api", "studio"},
    "trainings": {"api", "studio"},
    "workspaces": {"api", "session"},
}
"""Names that several rooms may give to a file, since it is the same thing's face there."""


def test_no_two_files_of_the_package_share_a_name():
    rooms: dict[str, list[str]] = {}
    for module, file in modules().items():
        if file.name != "__init__.py" and file.stem not in ("base", "registry"):
            rooms.setdefault(file.stem, []).append(module.split(".")[1])
    twice = {stem: places for stem, places in rooms.items() if len(places) > 1 and not set(places) <= SAME_FACE.get(stem, set())}
    assert twice == {}


def python(code: str, *arguments: str) -> str:
    """What this code prints in a process of its own."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "extension")}
    result = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, env=environment, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_package_types_and_schemas_import_where_heavy_libraries_are_missing():
    needed = """clickpaint clickpaint.errors clickpaint.progress clickpaint.settings clickpaint.image.geometry clickpaint.segment.base
        clickpaint.erase.base clickpaint.hosts.base clickpaint.hosts.embedded clickpaint.segment.registry clickpaint.erase.registry
        clickpaint.api.schemas clickpaint.app.main"""
    code = """
import importlib, sys
blocked = sys.argv[1].split()
class Blocked:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in blocked:
            raise ImportError(f"{name} is blocked")
sys.meta_path.insert(0, Blocked())
for name in sys.argv[2].split():
    importlib.import_module(name)
from clickpaint.weights.catalog import catalog
print(len(catalog()))
"""
    assert int(python(code, " ".join(HEAVY), needed)) > 10


def test_importing_every_module_imports_nothing_heavy():
    code = """
import importlib, json, sys
for name in sys.argv[1].split():
    importlib.import_module(name)
print(json.dumps(sorted(set(sys.argv[2].split()) & set(sys.modules))))
"""
    names = [name for name in modules() if name != "clickpaint.__main__"]
    assert json.loads(python(code, " ".join(names), " ".join(HEAVY))) == []


def test_the_start_of_a_web_ui_imports_little():
    """What `register`, the always-on script and the tab import, everybody's start of the web UI waits for."""
    code = """
import sys
import clickpaint.app.webui, clickpaint.studio.model_pool, clickpaint.ui.tab
from clickpaint.hosts.webui import captioning, hooks, host, preprocessors, settings_section, runner, script, sending, within
print(" ".join(name for name in sys.modules if name.startswith("clickpaint.")))
"""
    allowed = """compat compat.packages studio studio.model_pool erase erase.registry errors hosts hosts.base hosts.model_family hosts.webui
        hosts.webui.captioning
        hosts.webui.hooks hosts.webui.host hosts.webui.image_stitch hosts.webui.img2img_scripts
        hosts.webui.settings_section hosts.webui.preprocessors hosts.webui.probe
        hosts.webui.runner hosts.webui.script hosts.webui.sending hosts.webui.within progress segment segment.registry settings
        ui ui.control ui.describe ui.gradio_compat ui.task_tabs ui.panels ui.pasting ui.tab ui.words_tab app app.webui weights weights.cache
        weights.catalog weights.checksums weights.device weights.folders weights.recommended weights.store"""
    assert {name.removeprefix("clickpaint.") for name in python(code).split()} <= set(allowed.split())


def test_code_is_clean_and_formatted():
    for arguments in (["check"], ["format", "--check"]):
        result = subprocess.run([sys.executable, "-m", "ruff", *arguments, "."], capture_output=True, text=True, cwd=ROOT)
        assert result.returncode == 0, result.stdout + result.stderr


@pytest.fixture(scope="module")
def tracked() -> list[str]:
    """The files of the repository, as paths from its root."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("needs the git checkout, to tell the repository's files from others")
    listed = subprocess.run(["git", "-c", "safe.directory=*", "ls-files", "-z"], capture_output=True, text=True, cwd=ROOT, check=True)
    return [path for path in listed.stdout.split("\0") if path and (ROOT / path).exists()]


def test_the_top_level_is_as_planned(tracked):
    top_level = {path.split("/")[0] for path in tracked}
    assert top_level - TOP_LEVEL == set()
    assert {
        "install.py",
        "README.md",
        "pyproject.toml",
        "LICENSE",
        "CHANGELOG.md",
        ".ci",
        "extension",
        "javascript",
        "models",
        "tests",
    } <= top_level
    below = {
        folder: {path.split("/")[1] for path in tracked if path.startswith(folder + "/")} for folder in ("scripts", "javascript", "models")
    }
    assert below["scripts"] <= {"clickpaint.py"}
    assert below["javascript"] == {"clickpaint.mjs", "clickpaint"}
    assert below["models"] == {"catalog.json", "README.md"}


def test_no_machines_paths_and_no_registries_are_in_the_files(tracked):
    # in halves, so that this file does not hold them either; /home/me and /home/user are nobody's
    machines = [r"/(?:ro" + r"ot|wo" + r"rk)/", r"/ho" + r"me/(?!me\b|user\b)\w", r"[A-Z]:\\+Us" + r"ers"]
    registries = ["py" + r"pi\.org", "pythonho" + r"sted\.org", r"registry\.np" + r"mjs", r"/opt/py" + r"pi"]
    forbidden = re.compile("|".join(machines + registries))
    wrong = []
    for path in tracked:
        try:
            lines = (ROOT / path).read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        wrong += [f"{path}:{number}: {line.strip()[:100]}" for number, line in enumerate(lines, 1) if forbidden.search(line)]
    assert wrong == []


def readme_commands() -> list[list[str]]:
    """Every command line in the code blocks of the README and its pages."""
    pages = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "extension" / "docs").glob("*.md"))]
    text = "\n".join(page.read_text(encoding="utf-8") for page in pages)
    blocks = re.findall(r"^```(?:bash|sh|shell|console|text|powershell)?\n(.*?)^```", text, flags=re.MULTILINE | re.DOTALL)
    lines = [line.strip().removeprefix("$ ") for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    commands = [shlex.split(line, comments=True) for line in lines if re.match(r"(python3?|clickpaint|\.venv\S*clickpaint)\s", line)]
    return [["python" if re.fullmatch(r"python3?", words[0]) else "clickpaint", *words[1:]] for words in commands]


def test_every_command_of_the_readme_exists():
    import install
    from clickpaint.app.main import build_parser

    commands = readme_commands()
    assert ["python", "install.py", "run"] in commands
    assert ["python", "install.py", "test"] in commands
    for command in commands:
        if command[0] == "clickpaint" or command[1:3] == ["-m", "clickpaint"]:
            build_parser().parse_args(command[3:] if command[0] == "python" else command[1:])
        elif command[1] == "install.py":
            assert command[2] in ("run", "test"), command
            if command[2] == "run":
                install.run_parser().parse_args(command[3:])
        elif command[1] == "-m" and command[2].startswith("tests.benchmarks."):
            assert (ROOT / Path(*command[2].split("."))).with_suffix(".py").exists(), command
        else:
            assert command[1] == "-m" and command[2] in ("pytest", "venv", "ruff", "pyrefly"), f"who checks {shlex.join(command)}?"
        places = [word for word in command if re.match(r"(tests|extension)/", word)]
        assert [place for place in places if not (ROOT / place).exists()] == []


def test_every_option_of_every_command_says_what_it_is():
    import argparse

    from clickpaint.app.main import build_parser

    silent, parsers = [], [("clickpaint", build_parser())]
    for name, parser in parsers:  # which grows as commands of commands are met
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                parsers += [(f"{name} {command}", inner) for command, inner in action.choices.items()]
            elif action.option_strings and not action.help:
                silent.append((name, action.option_strings[-1]))
    assert len(parsers) > 40 and silent == []


def test_the_licence_is_whole():
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")
    assert "Apache License" in text and "Version 2.0, January 2004" in text and "END OF TERMS AND CONDITIONS" in text


def test_the_readme_is_short_and_its_links_lead_somewhere():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) < 150
    for page in [ROOT / "README.md", *sorted((ROOT / "extension" / "docs").glob("*.md"))]:
        text = page.read_text(encoding="utf-8")
        links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)\s]+)\)", text) if "://" not in link]
        assert [link for link in links if link and not (page.parent / link).exists()] == [], page.name
