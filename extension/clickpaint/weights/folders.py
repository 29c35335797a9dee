"""Looking into folders of models, of which any part may be closed to this user, gone, or linked in a circle."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from clickpaint.errors import Sentence


def is_file(path: Path) -> bool:
    """Whether a file is there; False as well where that may not be known. `Path.is_file` raises below a closed folder."""
    try:
        return path.is_file()
    except (OSError, ValueError):
        return False


def is_folder(path: Path) -> bool:
    """Whether a folder is there; False as well where that may not be known."""
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def folders_in(places: Iterable[Path]) -> Iterator[Path]:
    """The folders that lie directly in these, in the order of their names; a place that is not there or closed has none."""
    for place in places:
        with suppress(OSError):
            yield from sorted(path for path in place.iterdir() if is_folder(path))


def diffusers_folder(places: Iterable[Path], pipeline: str) -> Path | None:
    """The first folder that diffusers saved of this pipeline, by its class; None where there is none."""
    for folder in folders_in(places):
        with suppress(OSError, ValueError, TypeError, KeyError):
            if json.loads((folder / "model_index.json").read_text(encoding="utf-8"))["_class_name"] == pipeline:
                return folder
    return None


def why_unreadable(path: Path) -> str | None:
    """Why the file cannot be opened, in one sentence; None if it can be, as far as its permissions say."""
    return None if os.access(path, os.R_OK) else f"{path.name} may not be read by the user that this program runs as."


def of_error(path: Path, error: OSError) -> str:
    """What an error of the file system says about a file, in one sentence, without the folders that lead to it."""
    return Sentence("{filename} cannot be read: {reason}.", filename=path.name, reason=(error.strerror or type(error).__name__).lower())


def short_hash(path: Path) -> str:
    """The eight digits that web UIs put behind a model's name: of the SHA-256 of 64 KB from its second megabyte on; "" where it
    cannot be read."""
    try:
        with path.open("rb") as opened:
            opened.seek(0x100000)
            return hashlib.sha256(opened.read(0x10000)).hexdigest()[:8]
    except OSError:
        return ""
