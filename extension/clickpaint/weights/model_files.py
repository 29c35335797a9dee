"""The model files in folders, the names that people know them by, and which of them a name means."""

from __future__ import annotations

import difflib
import os
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clickpaint.errors import NotFound
from clickpaint.weights.folders import is_file

WEIGHTS = (".safetensors", ".sft", ".pth", ".pt", ".ckpt", ".bin")
"""What files of weights are called; what they are, their first bytes tell (`weights_file`)."""

_SAYS_NOTHING = re.compile(
    r"(diffusion_pytorch_model|pytorch_model|pytorch_lora_weights|adapter_model|learned_embeds|model)([.-](fp16|bf16|fp32))?"
)
"""Names that libraries give to every file; the folder's name tells which one it is."""

_CHECKSUM = re.compile(r"\s*\[[0-9a-fA-F]{6,}\]$")


def files(folders: Iterable[Path], endings: Sequence[str] = WEIGHTS) -> Iterator[Path]:
    """The files with these endings in the folders and below them, in order, each once. Links to folders are followed, as web UIs
    do; what may not be read, and what is hidden (a dot before its name), is passed over.

    Args:
        folders: looked through in this order; those that are not there are passed over.
        endings: in small letters; the files' own may be in capitals.
    """
    seen: set[str] = set()
    entered: set[str] = set()
    for top in folders:
        for folder, below, names in os.walk(top, followlinks=True):
            real = os.path.realpath(folder)
            if real in entered:  # a link into what was seen before, or a circle
                below.clear()
                continue
            entered.add(real)
            below[:] = sorted(name for name in below if not name.startswith("."))
            for file in (Path(folder, name) for name in sorted(names) if not name.startswith(".")):
                if file.suffix.lower() in endings and str(file) not in seen and is_file(file):
                    seen.add(str(file))
                    yield file


def shown(paths: Iterable[Path]) -> dict[str, Path]:
    """Files by their names for people, each another one: without the ending, and with as many of the folders before it as it takes
    to tell it from the others ("b/sample"); always with its folder where the name is one that libraries give to every file.

    Args:
        paths: files, the first ones first.
    """
    paths = list(dict.fromkeys(paths))
    parts = {file: _parts(file) for file in paths}
    counts: dict[tuple[str, ...], int] = {}
    for own in parts.values():
        for length in range(1, len(own) + 1):
            counts[own[-length:]] = counts.get(own[-length:], 0) + 1
    names: dict[str, Path] = {}
    for file in paths:
        own = parts[file]
        least = 2 if says_nothing(own[-1]) else 1
        length = next((length for length in range(least, len(own) + 1) if counts[own[-length:]] == 1), None)
        name = "/".join(own[-length:]) if length else "/".join(own[-least:]) + file.suffix
        names["/".join(file.parts) if name in names else name] = file
    return names


def find(name: str, folders: Iterable[Path], what: str, endings: Sequence[str] = WEIGHTS) -> Path:
    """The file that a name means, of those in the folders. Only names are compared, so that no name can point out of the folders.

    Args:
        name: with or without its ending and its folders ("b/sample"); a web UI's "name [checksum]" will do. Small and capital letters
            count only where there is a choice, and it does not matter in which way accents are written.
        folders: as `files` takes them.
        what: "LoRA", "ControlNet", for messages.
        endings: as `files` takes them.

    Raises:
        NotFound: there is none; names similar ones.
    """
    known = list(files(folders, endings))
    file = by_name(name, known)
    if file is not None:
        return file
    raise not_found(name, known, what)


def by_name(name: str, known: Sequence[Path]) -> Path | None:
    """The first of the files that a name means (see `find`); None where none is meant.

    Args:
        name: as `find` takes it.
        known: the files, the first ones first.
    """
    for spoken in dict.fromkeys((name, _CHECKSUM.sub("", name))):
        wanted = tuple(_normal(spoken).replace("\\", "/").split("/"))
        for fold in (str, str.casefold):
            own = tuple(fold(part) for part in wanted)
            matching = [file for file in known if any(_ends(tuple(map(fold, parts)), own) for parts in (_parts(file), _parts(file, True)))]
            if matching:
                return matching[0]
    return None


def not_found(name: str, known: Iterable[Path], what: str) -> NotFound:
    """What is said where a name means no file.

    Args:
        name: that was asked for.
        known: the files that there are.
        what: "LoRA", "ControlNet".
    """
    names = list(shown(known))
    similar = difflib.get_close_matches(_normal(name), names, 3)
    return NotFound(
        "There is no {kind} {name!r}.",
        "Similar: {similar_names}." if similar else "Put its file into the folder of {kind}s.",
        name=name,
        similar=similar,
        similar_names=", ".join(similar),
        kind=what,
    )


def says_nothing(stem: str) -> bool:
    """Whether a file's name is one that libraries give to every file, so that only its folder's tells which one it is.

    Args:
        stem: the name without its ending.
    """
    return _SAYS_NOTHING.fullmatch(stem) is not None


def same_word(first: str, second: str) -> bool:
    """Whether two names are one, whatever their capitals and the way their accents are written."""
    return _normal(first).casefold() == _normal(second).casefold()


def below(file: Path, folders: Sequence[Path]) -> str:
    """A file's path below its folder, with forward slashes and with its ending."""
    for folder in folders:
        if file.is_relative_to(folder):
            return _normal(file.relative_to(folder).as_posix())
    return _normal(file.name)


def by_path(folders: Sequence[Path], endings: Sequence[str] = WEIGHTS) -> Mapping[str, Path]:
    """The files by their paths below their folders, with forward slashes and endings. Of several with one path the first keeps it, and
    the others are called by as many folders more as it takes ("other/models/a.safetensors").

    Args:
        folders: as `files` takes them.
        endings: as `files` takes them.
    """
    named: dict[str, Path] = {}
    for file in files(folders, endings):
        name = below(file, folders)
        length = len(name.split("/"))
        while name in named and length < len(file.parts):
            length += 1
            name = _normal("/".join(file.parts[-length:]))
        named.setdefault(name, file)
    return named


def _parts(file: Path, whole: bool = False) -> tuple[str, ...]:
    """The names of the folders above a file, and its own, without its ending unless `whole`."""
    own = [*file.parts[1:-1], file.name if whole else file.name[: -len(file.suffix)] if file.suffix else file.name]
    return tuple(_normal(part) for part in own)


def _ends(parts: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    return parts[-len(wanted) :] == wanted


def _normal(text: str) -> str:
    """macOS writes é as two characters where others write one."""
    return unicodedata.normalize("NFC", text)
