"""Model files on this machine: where they lie, and whether they are what the catalog says."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from clickpaint.errors import CorruptModel, InvalidInput, ModelMissing, Sentence
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.catalog import ModelFile, catalog, files_of, how_to_get, unfinished
from clickpaint.weights.checksums import RememberedSums, checksum, mismatch
from clickpaint.weights.folders import diffusers_folder, is_file, of_error, why_unreadable

if TYPE_CHECKING:
    from clickpaint.weights.transfer import Network

log = logging.getLogger(__name__)
_BLOCK = 1 << 20


@dataclass(frozen=True)
class ModelState:
    """What there is of a model (or of one file of it).

    Attributes:
        name: the model's, or the file's.
        state: "present" (all files are there), "partial" (a download was begun), "corrupt" (a file is not what the catalog says, or may
            not be read), "missing" (can be downloaded) or "unavailable" (not here, and only the user can get it).
        path: of the first file, where present.
        bytes_done: of all its files, those that are here.
        bytes: of all its files; None where a size is unconfirmed.
        reason: one sentence for people, "" where present.
    """

    name: str
    state: str
    path: Path | None = None
    bytes_done: int = 0
    bytes: int | None = None
    reason: str = ""


class Store:
    """The model files in a host's folders.

    Args:
        folders: the folders where files of a kind may lie. Downloads go to the first, which is ours; the others are only read.

    A file's checksum is computed once and remembered by path, size and time of change, in a small file in the first folder.
    """

    def __init__(self, folders: Callable[[str], list[Path]]) -> None:
        self._folders = folders
        self._sums = RememberedSums(folders)

    def for_a_list(self) -> Store:
        """This store for as long as it takes to look for many models: the host is asked for its folders once."""
        same = Store(functools.cache(self._folders))
        same._sums = self._sums
        return same

    def find(self, name: str) -> Path | None:
        """Where the file lies, without reading it: by its name, and its size where that is known. None if it is not here."""
        file = _only_file(name)
        return next((path for path in self._candidates(file) if self._known_wrong(file, path) is None), None)

    def require(self, name: str, progress: Progress = SILENT) -> Path:
        """The file, known to be what the catalog says (the first time by reading all of it).

        Raises:
            ModelMissing: it is not here.
            CorruptModel: what lies there is something else; it was set aside if the folder is ours.
        """
        file = _only_file(name)
        wrong = None
        for path in self._candidates(file):
            try:
                fault = why_unreadable(path)
                readable = fault is None
                fault = fault or self._known_wrong(file, path) or self._mismatch(file, path, progress)
            except OSError as error:
                fault, readable = of_error(path, error), False
            if fault is None:
                return path
            if path.name in file.aliases:
                continue  # another file that happens to have this name
            kept = self.set_aside(path) if readable else path
            wrong = fault if kept == path else Sentence("{reason} It was set aside as {name}.", reason=fault, name=kept.name)
        if wrong is not None:
            raise CorruptModel("{title}: {reason}", how_to_get(file), model=name, filename=file.filename, title=file.title, reason=wrong)
        raise ModelMissing(
            "{title} ({filename}) is not on this machine.", how_to_get(file), model=name, filename=file.filename, title=file.title
        )

    def state(self, name: str) -> ModelState:
        """What there is of a model or a file; cheap enough for lists, since nothing is read but names and sizes."""
        states = [self._state(file) for file in files_of(name)]
        if len(states) == 1:
            return states[0]
        sizes = [state.bytes for state in states]
        total = sum(size for size in sizes if size is not None) if None not in sizes else None
        done = sum(state.bytes_done for state in states)
        worst = next((s for kind in ("unavailable", "corrupt") for s in states if s.state == kind), None)
        absent = next((s for s in states if s.state != "present"), None)
        if absent is None:
            return ModelState(name, "present", states[0].path, done, total)
        if worst is not None:
            return ModelState(name, worst.state, None, done, total, worst.reason)
        return ModelState(name, "partial" if done else "missing", None, done, total, absent.reason)

    def verify(self, name: str, progress: Progress = SILENT) -> ModelState:
        """Read every file of the model that is here and compare its checksum, even if that was done before."""
        files = files_of(name)
        for number, file in enumerate(files):
            part = progress.part(number / len(files), (number + 1) / len(files))
            for path in list(self._candidates(file)):
                self._sums.forget(file, path)
                try:
                    wrong = self._known_wrong(file, path) or self._mismatch(file, path, part)
                except OSError as error:
                    log.warning("%s", of_error(path, error))
                    continue
                if wrong is not None and path.name not in file.aliases:
                    log.warning("%s", wrong)
                    if why_unreadable(path) is None:
                        self.set_aside(path)
        return self.state(name)

    def set_aside(self, path: Path) -> Path:
        """Rename a file that cannot be used to `*.corrupt`, in folders that are ours; elsewhere it stays. Returns where it is now."""
        ours = {self._folders(file.kind)[0].resolve() for file in catalog().values()}
        if path.parent.resolve() not in ours:
            return path
        from clickpaint.weights.download import set_aside

        try:
            return set_aside(path)
        except OSError as error:
            log.warning("%s cannot be renamed: %s", path, error)
            return path

    def download(self, name: str, network: Network, progress: Progress = SILENT) -> Path:
        """Download the files of the model that are not here. Returns the path of the first one.

        Raises:
            ModelMissing: a file has no confirmed address or checksum; the remedy says where to put it. DownloadFailed.
        """
        from clickpaint.weights.download import download

        files = files_of(name)
        missing = []
        for file in files:
            try:
                self.require(file.name, progress.part(0.0, 0.0))
            except ModelMissing:
                if not file.urls:
                    raise
                missing.append(file)
        weights = [file.bytes or _BLOCK for file in missing]
        for number, file in enumerate(missing):
            part = progress.part(sum(weights[:number]) / sum(weights), sum(weights[: number + 1]) / sum(weights))
            path = download(file, self._folders(file.kind)[0], network, part)
            self._sums.remember(file, path, file.checksum.value if file.checksum else "")
        return self.require(files[0].name)

    def remove(self, name: str) -> int:
        """Delete the model's files in the folders that are ours, with what is left there of downloads.

        Returns:
            The bytes that this freed.

        Raises:
            NotFound: the catalog has no such model.
            InvalidInput: it is not here, lies in a folder of another program, or may not be deleted.
        """
        files, freed, elsewhere = files_of(name), 0, False
        for file in files:
            folder = self._folders(file.kind)[0]
            kept = unfinished(folder / file.filename)
            aside = [folder / other for other in _names(folder) if other.startswith(file.filename) and other.endswith(".corrupt")]
            mine = [
                path
                for path in self._candidates(file)
                if path.parent == folder and not (path.name in file.aliases and self._known_wrong(file, path))
            ]
            for path in (*mine, kept, kept.with_name(kept.name + ".json"), *aside):
                if is_file(path):
                    size = _size(path)
                    try:
                        path.unlink()
                    except OSError as error:
                        raise InvalidInput(
                            "{filename} cannot be deleted: {reason}.", "Close the programs that use it, then try again.",
                            filename=path.name, reason=(error.strerror or type(error).__name__).lower(),
                        ) from error  # fmt: skip
                    self._sums.forget(file, path)
                    freed += size
            elsewhere = elsewhere or any(True for _ in self._candidates(file))
        if not freed:
            raise InvalidInput(
                "{title} lies in a folder of another program." if elsewhere else "{title} is not on this machine.",
                "Delete it there." if elsewhere else "", model=name, title=files[0].title,
            )  # fmt: skip
        return freed

    def removable(self, name: str) -> bool:
        """Whether `remove` would find something to delete."""
        folders = [(file, self._folders(file.kind)[0]) for file in files_of(name)]
        return any(
            is_file(folder / named) for file, folder in folders for named in (file.filename, unfinished(folder / file.filename).name)
        )

    def _candidates(self, file: ModelFile) -> Iterator[Path]:
        seen = set()
        for folder in self._folders(file.kind):
            for filename in file.filenames:
                path = folder / filename
                if path not in seen and is_file(path):
                    seen.add(path)
                    yield path

    def _state(self, file: ModelFile) -> ModelState:
        if file.role == "system":
            folder = diffusers_folder(self._folders(file.kind), file.family)
            if folder is None:
                return ModelState(file.name, "unavailable", None, 0, file.bytes, how_to_get(file))
            return ModelState(file.name, "present", folder, sum(map(_size, folder.glob("*/*.safetensors"))), file.bytes)
        candidates = list(self._candidates(file))
        wrong = {path: self._known_wrong(file, path) for path in candidates}
        good = next((path for path in candidates if wrong[path] is None), None)
        if good is not None:
            return ModelState(file.name, "present", good, _size(good), file.bytes)
        part = unfinished(self._folders(file.kind)[0] / file.filename)
        if is_file(part) and file.urls:
            return ModelState(file.name, "partial", None, _size(part), file.bytes, "Its download was begun and can be resumed.")
        corrupt = next((path for path in candidates if path.name not in file.aliases), None)
        if corrupt is not None:
            return ModelState(
                file.name, "corrupt", None, 0, file.bytes, Sentence("{message} {remedy}", message=wrong[corrupt], remedy=how_to_get(file))
            )
        if not file.urls:
            return ModelState(file.name, "unavailable", None, 0, file.bytes, how_to_get(file))
        aside = [filename for filename in _names(part.parent) if filename.startswith(file.filename) and filename.endswith(".corrupt")]
        reason = Sentence("It was corrupt and was set aside as {name}.", name=max(aside)) if aside else "It has not been downloaded yet."
        return ModelState(file.name, "missing", None, 0, file.bytes, reason)

    def _known_wrong(self, file: ModelFile, path: Path) -> str | None:
        """Why the file cannot be the catalog's, as far as that is known without reading it; None if it may be."""
        fault = why_unreadable(path)
        if fault is not None:
            return fault
        try:
            size = path.stat().st_size
        except OSError as error:  # gone since it was listed
            return of_error(path, error)
        if file.bytes is not None and size != file.bytes:
            return Sentence("{filename} has {count} bytes instead of {expected}.", filename=path.name, count=size, expected=file.bytes)
        known = self._sums.known(file, path)
        if known is not None and file.checksum is not None and known != file.checksum.value:
            return mismatch(file, path, known)
        return None

    def _mismatch(self, file: ModelFile, path: Path, progress: Progress) -> str | None:
        """Compare the checksum, reading the file unless its sum is remembered. None if it is right or cannot be told."""
        if file.checksum is None:
            return None
        actual = self._sums.known(file, path)
        if actual is None:
            actual = checksum(path, file.checksum.algorithm, progress)
            self._sums.remember(file, path, actual)
        return None if actual == file.checksum.value else mismatch(file, path, actual)


def _size(path: Path) -> int:
    """In bytes; 0 for a file that is gone since it was listed."""
    with contextlib.suppress(OSError):
        return path.stat().st_size
    return 0


def _names(folder: Path) -> list[str]:
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


def _only_file(name: str) -> ModelFile:
    file, *others = files_of(name)
    if others:
        raise ValueError(f"{name} has several files: {', '.join(part.name for part in (file, *others))}")
    return file
