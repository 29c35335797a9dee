"""What our code uses of a web UI is there in both, and the stand-ins are as strict as the real ones."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.hosts.standin import FLAVORS, FORKS, contract, web_ui

FOLDER = Path(__file__).resolve().parents[2] / "extension" / "clickpaint" / "hosts" / "webui"
ONLY_IN = {
    ("modules_forge.main_entry",): "forge",
    ("modules_forge.shared",): "forge",
    ("modules_forge.supported_preprocessor",): "forge",
    ("scripts.supported_preprocessor",): "a1111",
    ("modules.sd_models", "forge_model_reload"): "forge",
    ("modules.lowvram", "module_in_gpu"): "a1111",
}
"""Used only where the other flavor is ruled out."""
GUARDED = (
    ("modules.lowvram",), ("modules.paths", "paths"), ("modules.devices", "device_interrogate"), ("modules.shared", "interrogator"),
    ("modules.sd_hijack",), ("modules.sd_models", "send_model_to_device"), ("modules.shared", "cmd_opts"),
)  # fmt: skip
"""Of A1111 and Forge, dropped by forks: asked for only after a look whether the web UI has BLIP, or on A1111's own branch."""
BASE = {"neo": "forge", "ersatz": "forge"}
"""Fork → the web UI whose branch of our code it runs."""
OLDER = {"modules.generation_parameters_copypaste"}
"""Looked for where the newer name is missing."""


def used(source: str) -> Iterator[tuple[str, ...]]:
    """Every chain (module, name, member …) of the web UI's that a source reads, calls or sets; through local names, too."""
    tree = ast.parse(source)
    for function in [tree, *(node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))]:
        known: dict[str, tuple[str, ...]] = {}

        def chain(node: ast.AST, known: dict[str, tuple[str, ...]] = known) -> tuple[str, ...] | None:
            if isinstance(node, ast.Name):
                return known.get(node.id)
            if isinstance(node, ast.Attribute):
                base = chain(node.value)
                return None if base is None else (*base, node.attr)
            return None

        for node in ast.walk(function):
            if isinstance(node, ast.ImportFrom) and node.module in ("modules", "modules_forge"):
                known.update({alias.asname or alias.name: (f"{node.module}.{alias.name}",) for alias in node.names})
            elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith(("modules.", "modules_forge.", "scripts.")):
                known.update({alias.asname or alias.name: (node.module or "", alias.name) for alias in node.names})
            elif isinstance(node, ast.Import):
                known.update({alias.asname or alias.name: (alias.name,) for alias in node.names if alias.name == "launch"})
        for node in ast.walk(function):  # state = shared.state; last, state.stopping_generation = …
            if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                names = chain(node.value)
                if names is not None:
                    known[node.targets[0].id] = names
        for node in ast.walk(function):
            names = chain(node) if isinstance(node, (ast.Attribute, ast.Name)) else None
            if names is not None:
                yield names


def missing(chain: tuple[str, ...], recorded: dict) -> bool:
    module, *names = chain
    if module not in recorded:
        return True
    if names and names[0] not in recorded[module]:
        return True
    if len(names) > 1:
        members = recorded[module][names[0]].get("members")
        return members is not None and names[1] not in members
    return False


def test_chains_are_found():
    source = "def f():\n    from modules import shared\n    state = shared.state\n    state.begin()\n    x = shared.opts.data.get(1)"
    assert {("modules.shared", "state", "begin"), ("modules.shared", "opts", "data", "get")} <= set(used(source))
    recorded = {"modules.shared": {"state": {"members": {"begin": "self"}}}}
    assert not missing(("modules.shared", "state", "begin"), recorded)
    assert missing(("modules.shared", "state", "start"), recorded)
    assert missing(("modules.shared", "options"), recorded)


@pytest.mark.parametrize("flavor", (*FLAVORS, *FORKS))
@pytest.mark.parametrize("file", sorted(FOLDER.glob("*.py")), ids=lambda file: file.stem)
def test_every_name_that_we_use_is_in_the_web_ui(flavor, file):
    chains = set(used(file.read_text(encoding="utf-8")))
    elsewhere = {only for only, there in ONLY_IN.items() if there != BASE.get(flavor, flavor)} | set(GUARDED if flavor in FORKS else ())
    wanted = {chain for chain in chains if chain[0] not in OLDER and not {chain[:1], chain[:2]} & elsewhere}
    assert {chain for chain in wanted if missing(chain, contract(flavor))} == set()


def test_most_files_use_something():
    assert sum(bool(set(used(file.read_text(encoding="utf-8")))) for file in FOLDER.glob("*.py")) >= 9


def test_the_standin_is_strict_and_goes_away(web):
    from modules import processing, scripts, shared  # type: ignore[import-not-found]

    with pytest.raises(TypeError):
        processing.StableDiffusionProcessingImg2Img(promt="typo")
    with pytest.raises(TypeError):
        shared.state.begin(1, 2, 3)
    p = processing.StableDiffusionProcessingImg2Img(prompt="x")
    with pytest.raises(AttributeError):
        p.denoising_strenght = 1
    with pytest.raises(AttributeError):
        shared.state.interupted  # noqa: B018
    with pytest.raises(AttributeError):
        scripts.nothing_of_that_name  # noqa: B018
    with pytest.raises(ImportError):
        from modules import no_such_module  # noqa: F401


def test_nothing_is_left_behind():
    before = set(sys.modules)
    with web_ui("forge"):
        assert "modules.shared" in sys.modules
    left = set(sys.modules) - before
    assert not any(name.split(".")[0] in ("modules", "modules_forge", "scripts", "launch") for name in left)
