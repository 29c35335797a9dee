"""Systems with files of their own: diffusers' folders that the user put into models/diffusers, and what each of them is."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from clickpaint.errors import HostUnsupported, InvalidInput, NotFound, Sentence
from clickpaint.paint.systems.kinds import KINDS, SystemKind
from clickpaint.weights.folders import folders_in, is_file

KIND = "diffusers"
"""The host's folders that are looked through; each system is a folder of its own, as `save_pretrained` and model hubs have it."""

_LIBRARIES = {"diffusers", "transformers", "stable_diffusion", "deepfloyd_if"}
"""Whose classes a folder may name; a folder that brings code of its own is not run."""


@dataclass(frozen=True)
class System:
    """A system on this machine.

    Attributes:
        name: of its folder.
        kind: what it is.
        path: the folder.
        reason: why it cannot be used, "" where it can.
    """

    name: str
    kind: SystemKind
    path: Path
    reason: str = ""


def systems(folders: Iterable[Path]) -> list[System]:
    """The systems in these folders by name; the first of a name counts. Nothing is loaded."""
    known: dict[str, System] = {}
    for path in folders_in(folders):
        system = _recognised(path)
        if system is not None:
            known.setdefault(system.name, system)
    return list(known.values())


def require(name: str, task: str, folders: Iterable[Path]) -> System:
    """The system of that name, or with "auto" the first that does the task.

    Raises:
        NotFound: there is none of that name.
        InvalidInput: it does something else.
        HostUnsupported: it cannot be used here.
    """
    known = systems(folders)
    able = [system for system in known if task in system.kind.tasks]
    if name == "auto":
        if not able:
            raise NotFound("There is no system here that can {task}.", "Put one's folder into models/diffusers.", task=task)
        chosen = next((system for system in able if not system.reason), able[0])
    else:
        chosen = next((system for system in known if system.name == name), None)
        if chosen is None:
            raise NotFound(
                "There is no system {name!r} in models/diffusers.",
                "Choose one of {known}." if known else "Put its folder there, as diffusers saves it.",
                name=name, known=", ".join(system.name for system in known),
            )  # fmt: skip
    if chosen.reason:
        raise HostUnsupported("{name} cannot be used: {reason}", "Choose another system.", name=chosen.name, reason=chosen.reason)
    if task not in chosen.kind.tasks:
        raise InvalidInput(
            "{name} cannot {task}; it can {tasks}.", "Choose another system, or what it can do.",
            name=chosen.name, task=task, tasks=", ".join(chosen.kind.tasks),
        )  # fmt: skip
    return chosen


@functools.cache
def offered(pipeline: str) -> bool:
    """Whether the installed diffusers has a pipeline of that name, without importing it; True where that cannot be told."""
    import importlib.util

    spec = importlib.util.find_spec("diffusers")
    try:
        return spec is None or spec.origin is None or f'"{pipeline}"' in Path(spec.origin).read_text(encoding="utf-8")
    except OSError:
        return True


def _recognised(path: Path) -> System | None:
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        kind = KINDS[str(index["_class_name"])]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return System(path.name, kind, path, _reason(path, index, kind))


def _reason(path: Path, index: dict[str, object], kind: SystemKind) -> str:
    import importlib.util

    if importlib.util.find_spec("diffusers") is None:
        return "diffusers is not installed."
    if not offered(kind.pipeline):
        return Sentence("the installed diffusers has no {pipeline} any more.", pipeline=kind.pipeline)
    parts = {part: entry for part, entry in index.items() if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None}
    foreign = next((str(entry[0]) for entry in parts.values() if entry[0] not in _LIBRARIES), "")
    if foreign:
        return Sentence("its folder wants code of its own ({library}), which is not run.", library=foreign)
    for part in parts:
        inner = path / part
        if is_file(inner / "config.json") and not any(inner.glob("*.safetensors")) and any(inner.glob("*.bin")):
            return Sentence("{part} is there only as a pickle; take the safetensors.", part=part)
    return ""
