"""Systems with files of their own: diffusers' folders that the user put into models/diffusers, and what each of them is."""

from __future__ import annotations

import functools
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickpaint.errors import HostUnsupported, InvalidInput, NotFound, Sentence
from clickpaint.paint.systems.kinds import KINDS, SystemKind
from clickpaint.paint.systems.system_options import acting
from clickpaint.weights.folders import folders_in, is_file

KIND = "diffusers"
"""The host's folders that are looked through; each system is a folder of its own, as `save_pretrained` and model hubs have it."""

OWN_PARTS = ("stable_diffusion", "deepfloyd_if", "unclip", "wuerstchen")
"""Parts of diffusers that folders name as if they were libraries."""

_LIBRARIES = {"diffusers", "transformers", *OWN_PARTS}
"""Whose classes a folder may name; a folder that brings code of its own is not run."""


@dataclass(frozen=True)
class System:
    """A system on this machine.

    Attributes:
        name: of its folder.
        kind: what it is.
        path: the folder.
        reason: why it cannot be used, "" where it can.
        partner: another folder that takes part, None where there is none (`SystemKind.partners`).
    """

    name: str
    kind: SystemKind
    path: Path
    reason: str = ""
    partner: Path | None = None

    @property
    def nbytes(self) -> int:
        """What its weights take on the disk."""
        folders = [self.path, *([] if self.partner is None else [self.partner])]
        return sum(file.stat().st_size for folder in folders for file in folder.glob("*/*.safetensors"))

    def acts(self, task: str) -> frozenset[str]:
        """The options that act with it at a task of its, by the names of `flat_options.DEFAULTS`."""
        return acting(self.kind.pipeline, task)


def systems(folders: Iterable[Path]) -> list[System]:
    """The systems in these folders by name; the first of a name counts. Nothing is loaded."""
    indexed = [(path, index) for path in folders_in(folders) if (index := _index(path)) is not None]
    known: dict[str, System] = {}
    for path, index in indexed:
        kind = KINDS.get(str(index["_class_name"]))
        if kind is not None:
            partner = next((other for other, each in indexed if each["_class_name"] in kind.partners), None)
            known.setdefault(path.name, System(path.name, kind, path, _reason(path, index, kind, partner), partner))
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


def offered(pipeline: str) -> bool:
    """Whether the installed diffusers has a pipeline of that name, without importing it; True where that cannot be told."""
    import importlib.util

    spec = importlib.util.find_spec("diffusers")
    text = None if spec is None or spec.origin is None else _text(Path(spec.origin))
    return text is None or f'"{pipeline}"' in text


@functools.lru_cache(maxsize=1)
def _text(module: Path) -> str | None:
    try:
        return module.read_text(encoding="utf-8")
    except OSError:
        return None


def _index(path: Path) -> dict[str, Any] | None:
    """What a folder says is in it; None where it says nothing."""
    try:
        index = json.loads((path / "model_index.json").read_text(encoding="utf-8"))
        return index if isinstance(index["_class_name"], str) else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _reason(path: Path, index: dict[str, Any], kind: SystemKind, partner: Path | None) -> str:
    import importlib.util

    if importlib.util.find_spec("diffusers") is None:
        return "diffusers is not installed."
    gone = next((name for name in (kind.pipeline, *(kind.partners[:1] if kind.lacking else ())) if not offered(name)), None)
    if gone is not None:
        return Sentence("the installed diffusers has no {pipeline} any more.", pipeline=gone)
    foreign = _foreign(index) or _foreign((_index(partner) or {}) if partner is not None else {})
    if foreign:
        return Sentence("its folder wants code of its own ({library}), which is not run.", library=foreign)
    for part in _parts(index):
        inner = path / part
        if is_file(inner / "config.json") and not any(inner.glob("*.safetensors")) and any(inner.glob("*.bin")):
            return Sentence("{part} is there only as a pickle; take the safetensors.", part=part)
    return kind.lacking if partner is None else ""


def _parts(index: dict[str, Any]) -> dict[str, Any]:
    return {part: entry for part, entry in index.items() if isinstance(entry, list) and len(entry) == 2 and entry[0] is not None}


def _foreign(index: dict[str, Any]) -> str:
    libraries = (str(entry[0]) for entry in _parts(index).values())
    return next((name for name in libraries if name not in _LIBRARIES and not name.startswith("diffusers.")), "")
