"""The model files that Clickpaint knows: `models/catalog.json`, parsed and checked once."""

from __future__ import annotations

import functools
import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from clickpaint.errors import NotFound, Sentence

CATALOG = Path(__file__).resolve().parents[3] / "models" / "catalog.json"
_DIGITS = {"sha256": 64, "md5": 32}


class Checksum(NamedTuple):
    """What a file's bytes are checked with.

    Attributes:
        algorithm: "sha256" or "md5".
        value: lower-case hexadecimal digits.
    """

    algorithm: str
    value: str


@dataclass(frozen=True)
class ModelFile:
    """One file of a model.

    Attributes:
        name: unique key.
        title: for people.
        role: "segmenter", "eraser", "checkpoint", "preprocessor", "captioner", "tracker", "adapter" or "system".
        family: whose code runs it ("sam", "lama", …); of a system the pipeline that its folder names.
        kind: which of the host's folders it lies in.
        filename: what it is called there; of a system usually, for it is known by what its folder says.
        licence: of the weights.
        source: the page it comes from.
        urls: tried in turn; empty where the file cannot be downloaded (see `note`).
        bytes: its size; None where unconfirmed.
        sha256, md5: in lower-case hexadecimal digits; at least one where it can be downloaded.
        aliases: other names that it is looked for by.
        note: what else the user should know.
        part_of: the model's name where it takes several files, otherwise its own name.
    """

    name: str
    title: str
    role: str
    family: str
    kind: str
    filename: str
    licence: str
    source: str
    urls: tuple[str, ...] = ()
    bytes: int | None = None
    sha256: str | None = None
    md5: str | None = None
    aliases: tuple[str, ...] = ()
    note: str = ""
    part_of: str = ""

    @property
    def checksum(self) -> Checksum | None:
        """What the file is checked against: sha256 before md5; None where neither is confirmed."""
        if self.sha256 is not None:
            return Checksum("sha256", self.sha256)
        return Checksum("md5", self.md5) if self.md5 is not None else None

    @property
    def filenames(self) -> tuple[str, ...]:
        """Every name that the file is looked for by, the one it is downloaded to first."""
        return (self.filename, *self.aliases)


@functools.cache
def catalog() -> dict[str, ModelFile]:
    """Every file of `models/catalog.json` by its name, in the order of the catalog."""
    return parse(json.loads(CATALOG.read_text(encoding="utf-8")))


def models() -> tuple[str, ...]:
    """The models' names in the order of the catalog; one that takes several files is named once."""
    return tuple(dict.fromkeys(file.part_of for file in catalog().values()))


def files_of(name: str) -> tuple[ModelFile, ...]:
    """The files of a model, or the one file of that name. Raises `NotFound` for a name that is not in the catalog."""
    files = tuple(file for file in catalog().values() if name in (file.name, file.part_of))
    if not files:
        raise NotFound("There is no model {model!r}.", "Choose one of {models}.", model=name, models=", ".join(models()))
    return files


def unfinished(target: Path) -> Path:
    """Where the bytes of an unfinished download of `target` wait."""
    return target.with_name(target.name + ".part")


def how_to_get(file: ModelFile) -> Sentence:
    """What a user does to have the file."""
    if file.urls:
        return Sentence("Download it (page, API, or `clickpaint models download`).")
    return Sentence("{note} Put it as {filename} into the folder of {kind} models.", note=file.note, filename=file.filename, kind=file.kind)


def parse(document: dict[str, Any]) -> dict[str, ModelFile]:
    """The files of a catalog. Raises `ValueError` that names the entry and what is wrong with it."""
    files: dict[str, ModelFile] = {}
    for entry in document["files"]:
        values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
        values.setdefault("part_of", values["name"])
        file = ModelFile(**values)
        if file.name in files:
            raise ValueError(f"catalog: {file.name} stands there twice")
        _check(file)
        files[file.name] = file
    return files


def _check(file: ModelFile) -> None:
    for name in file.filenames:
        if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._+-]*", name):
            raise ValueError(f"catalog: {file.name}: {name!r} is not a plain file name")
    for url in file.urls:
        if urlsplit(url).scheme != "https":
            raise ValueError(f"catalog: {file.name}: {url} is not an https address")
    for algorithm, digits in _DIGITS.items():
        value = getattr(file, algorithm)
        if value is not None and not re.fullmatch(rf"[0-9a-f]{{{digits}}}", value):
            raise ValueError(f"catalog: {file.name}: {value!r} is not a {algorithm}")
    if file.urls and file.checksum is None:
        raise ValueError(f"catalog: {file.name} has an address but no checksum to check its bytes with")
    if not file.urls and not file.note:
        raise ValueError(f"catalog: {file.name} has no address and does not say where it comes from")
