"""Finding the files of adapters by the names that users write, in a host's folders."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from clickpaint.errors import NotFound

WEIGHTS = (".safetensors", ".pth", ".pt", ".ckpt", ".bin")


def files(folders: Iterable[Path], suffixes: tuple[str, ...] = WEIGHTS) -> Iterator[Path]:
    """The files with these endings in the folders and below them, in order, each once."""
    seen = set()
    for folder in folders:
        for file in sorted(folder.rglob("*")) if folder.is_dir() else ():
            if file.suffix.lower() in suffixes and file not in seen and file.is_file():
                seen.add(file)
                yield file


def find(name: str, folders: Iterable[Path], what: str) -> Path:
    """The file of that name, without its ending; small and capital letters count only where there is a choice. Only names are
    compared, so that no name can point out of the folders.

    Args:
        name: a web UI's "name [checksum]" will do. what: "LoRA", "ControlNet", for messages.

    Raises:
        NotFound: there is none; names similar ones.
    """
    name = re.sub(r"\s*\[[0-9a-f]{6,}\]$", "", name)
    known = list(files(folders))
    found = [file for file in known if file.stem == name] or [file for file in known if file.stem.lower() == name.lower()]
    if found:
        return found[0]
    similar = difflib.get_close_matches(name, [file.stem for file in known], 3)
    remedy = f"Similar: {', '.join(similar)}." if similar else f"Put its file into the folder of {what}s."
    raise NotFound(f"There is no {what} {name!r}.", remedy, name=name, similar=similar)
