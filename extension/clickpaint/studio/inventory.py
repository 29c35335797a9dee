"""What of models there is: on the disk, in memory, and which of it is at work."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from clickpaint.errors import ClickpaintError
from clickpaint.hosts.base import NAMED_BY_USERS, Host
from clickpaint.studio.model_pool import ModelPool
from clickpaint.weights.catalog import catalog, files_of, models
from clickpaint.weights.folders import is_folder
from clickpaint.weights.model_files import WEIGHTS, by_path


@dataclass(frozen=True)
class OwnFile:
    """A file of the user's in a folder of models.

    Attributes:
        kind: the folder's, one of `hosts.base.NAMED_BY_USERS`.
        name: below that folder.
        bytes: its size.
        used: whether it is what paints.
    """

    kind: str
    name: str
    bytes: int
    used: bool


@dataclass(frozen=True)
class Loaded:
    """A model in memory.

    Attributes:
        name: as its cache calls it.
        bytes: what it costs.
    """

    name: str
    bytes: int


@dataclass(frozen=True)
class Usage:
    """What models take.

    Attributes:
        disk_free: bytes that are free where downloads go; None where that cannot be told.
        disk_used: bytes of the catalog's files that are here.
        memory_budget: bytes that loaded models may take now.
        memory_used: bytes that they take, encoded pictures included.
        loaded: what is in memory.
        files: the user's own files.
        folders: where the files of each kind are put; empty where strangers ask.
    """

    disk_free: int | None
    disk_used: int
    memory_budget: int
    memory_used: int
    loaded: tuple[Loaded, ...]
    files: tuple[OwnFile, ...]
    folders: dict[str, str]


class Inventory:
    """Part of the studio."""

    def __init__(self, host: Host, pool: ModelPool) -> None:
        self._host, self._pool = host, pool

    def usage(self) -> Usage:
        """Everything that models take now; nothing is read but names and sizes."""
        store, cached = self._pool.store.for_a_list(), self._pool.models
        return Usage(
            disk_free=_free(self._host.folders("sam")[0]),
            disk_used=sum(store.state(name).bytes_done for name in models()),
            memory_budget=self._pool.models_budget(),
            memory_used=cached.nbytes + self._pool.embeddings.nbytes,
            loaded=tuple(Loaded(_title(held.key), held.nbytes) for held in cached.contents()),
            files=tuple(self._own_files()),
            folders=self._folders(),
        )

    def used(self) -> frozenset[str]:
        """The catalog's names of the models that "auto", or what was chosen in the settings, stands for."""
        pool, used = self._pool, set()
        for listings, resolve in ((pool.segmenters, pool.segmenter_name), (pool.erasers, pool.eraser_name)):
            try:
                name = resolve()
            except ClickpaintError:  # a setting that names none
                continue
            used |= {listing.model for listing in listings() if listing.name == name and listing.model is not None}
        chosen = Path(self._host.capabilities().checkpoint).name
        return frozenset(used | {file.part_of for file in catalog().values() if file.role == "checkpoint" and file.filename == chosen})

    def _folders(self) -> dict[str, str]:
        if self._host.capabilities().public:
            return {}
        return {kind: str(self._host.folders(kind)[0]) for kind in (*NAMED_BY_USERS, "captioner", "diffusers")}

    def _own_files(self) -> Iterator[OwnFile]:
        known = {filename for file in catalog().values() for filename in file.filenames}
        chosen = self._host.capabilities().checkpoint
        for kind in NAMED_BY_USERS:
            for name, path in by_path(self._host.folders(kind), WEIGHTS).items():
                if path.name not in known:
                    try:
                        yield OwnFile(kind, name, path.stat().st_size, kind == "Stable-diffusion" and chosen in (name, path.name))
                    except OSError:  # gone since it was listed
                        continue


def _free(folder: Path) -> int | None:
    existing = next((place for place in (folder, *folder.parents) if is_folder(place)), None)
    try:
        return None if existing is None else shutil.disk_usage(existing).free
    except OSError:
        return None


def _title(key: object) -> str:
    """A cache's key for people: the catalog's title where it has one."""
    words = [word for word in (key if isinstance(key, tuple) else (key,)) if isinstance(word, str)]
    name = next((word for word in words if word in catalog()), words[0] if words else "")
    return files_of(name)[0].title if name in catalog() else name
