"""Model files on this machine: where they lie, whether they are what the catalog says, and how they are read."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import json
import logging
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import CorruptModel, InvalidInput, ModelMissing, Sentence
from clickpaint.progress import SILENT, Progress
from clickpaint.weights.catalog import ModelFile, catalog, files_of, unfinished
from clickpaint.weights.device import out_of_memory
from clickpaint.weights.folders import is_file, of_error, why_unreadable

if TYPE_CHECKING:
    import torch

    from clickpaint.weights.device import Device
    from clickpaint.weights.download import Network

log = logging.getLogger(__name__)
_SUMS = ".clickpaint-sums.json"
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
        self._sums: dict[str, dict[str, Any]] = {}
        self._lock = threading.Lock()

    def for_a_list(self) -> Store:
        """This store for as long as it takes to look for many models: the host is asked for its folders once."""
        same = Store(functools.cache(self._folders))
        same._sums, same._lock = self._sums, self._lock
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
            raise CorruptModel("{title}: {reason}", _remedy(file), model=name, filename=file.filename, title=file.title, reason=wrong)
        raise ModelMissing(
            "{title} ({filename}) is not on this machine.", _remedy(file), model=name, filename=file.filename, title=file.title
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
                self._forget(file, path)
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
            self._remember(file, path, file.checksum.value if file.checksum else "")
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
                    self._forget(file, path)
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
                file.name, "corrupt", None, 0, file.bytes, Sentence("{message} {remedy}", message=wrong[corrupt], remedy=_remedy(file))
            )
        if not file.urls:
            return ModelState(file.name, "unavailable", None, 0, file.bytes, _remedy(file))
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
        known = self._known(file, path)
        if known is not None and file.checksum is not None and known != file.checksum.value:
            return _differs(file, path, known)
        return None

    def _mismatch(self, file: ModelFile, path: Path, progress: Progress) -> str | None:
        """Compare the checksum, reading the file unless its sum is remembered. None if it is right or cannot be told."""
        if file.checksum is None:
            return None
        actual = self._known(file, path)
        if actual is None:
            actual = checksum(path, file.checksum.algorithm, progress)
            self._remember(file, path, actual)
        return None if actual == file.checksum.value else _differs(file, path, actual)

    def _known(self, file: ModelFile, path: Path) -> str | None:
        with self._lock:
            entry = self._read_sums(file).get(str(path))
        if entry is None or file.checksum is None:
            return None
        try:
            stat = path.stat()
        except OSError:
            return None
        now = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "algorithm": file.checksum.algorithm}
        return entry.get("sum") if {**entry, **now} == entry else None

    def _remember(self, file: ModelFile, path: Path, value: str) -> None:
        if file.checksum is None:
            return
        stat = path.stat()
        entry = {"size": stat.st_size, "mtime_ns": stat.st_mtime_ns, "algorithm": file.checksum.algorithm, "sum": value}
        with self._lock:
            self._read_sums(file)[str(path)] = entry
            self._write_sums(file)

    def _forget(self, file: ModelFile, path: Path) -> None:
        with self._lock:
            if self._read_sums(file).pop(str(path), None) is not None:
                self._write_sums(file)

    def _read_sums(self, file: ModelFile) -> dict[str, Any]:
        folder = str(self._folders(file.kind)[0])
        if folder not in self._sums:
            try:
                stored = json.loads((Path(folder) / _SUMS).read_text(encoding="utf-8"))
            except (OSError, ValueError):
                stored = {}
            valid = stored.items() if isinstance(stored, dict) else ()
            self._sums[folder] = {path: entry for path, entry in valid if isinstance(entry, dict)}
        return self._sums[folder]

    def _write_sums(self, file: ModelFile) -> None:
        folder = self._folders(file.kind)[0]
        temporary = folder / f"{_SUMS}.{os.getpid()}.{threading.get_ident()}"
        with contextlib.suppress(OSError):  # a folder that cannot be written costs another reading after the next start
            folder.mkdir(parents=True, exist_ok=True)
            temporary.write_text(json.dumps(self._read_sums(file), indent=1), encoding="utf-8")
            temporary.replace(folder / _SUMS)


def checksum(path: Path, algorithm: str = "sha256", progress: Progress = SILENT) -> str:
    """The file's checksum in hexadecimal digits, read in blocks."""
    hasher = hashlib.new(algorithm, usedforsecurity=False)
    total, done = path.stat().st_size, 0
    with path.open("rb") as stream:
        while block := stream.read(8 * _BLOCK):
            hasher.update(block)
            done += len(block)
            progress.report(done / max(total, 1), f"Checking {path.name}", done=done, total=total, unit="B")
    return hasher.hexdigest()


def load_state_dict(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a weight file, on the CPU: safetensors, or a pickle read with `weights_only=True`, which runs no code.

    What is nested under "model", "state_dict" or "depth_model" is unwrapped.

    Raises:
        CorruptModel: the file is broken, or holds something other than tensors.
    """
    import torch

    from clickpaint.weights.weights_file import read_weights_file  # which a web UI's start has no need of

    loaded, _ = read_weights_file(path, mapped=False)
    for key in ("model", "state_dict", "depth_model"):
        if isinstance(loaded, dict) and isinstance(loaded.get(key), dict):
            loaded = loaded[key]
    if not isinstance(loaded, dict) or not loaded or not all(isinstance(value, torch.Tensor) for value in loaded.values()):
        raise CorruptModel("{filename} holds something other than a model's weights.", _REPLACE, filename=path.name)
    return loaded


def load_torchscript(file: ModelFile, path: Path, device: Device) -> torch.jit.ScriptModule:
    """A TorchScript model, ready to run. It contains code, so the bytes must be those of the catalog, checked here again, or,
    where no checksum is confirmed, come from the user's own hand: such a file cannot be downloaded.

    Raises:
        CorruptModel: the bytes are not the catalog's, or cannot be read.
    """
    import torch

    if file.checksum is not None:
        try:
            actual = checksum(path, file.checksum.algorithm)
        except OSError as error:
            raise CorruptModel(of_error(path, error), _REPLACE, filename=path.name) from error
        if actual != file.checksum.value:
            raise CorruptModel(
                "{title}: {reason}",
                _remedy(file),
                model=file.name,
                filename=path.name,
                title=file.title,
                reason=_differs(file, path, actual),
            )
    try:
        return torch.jit.load(str(path), map_location="cpu").to(device.torch).eval()
    except Exception as error:
        if out_of_memory(error):
            raise
        raise CorruptModel(
            "{filename} cannot be read as TorchScript: it is incomplete, damaged, or another kind of file.", _REPLACE, filename=path.name
        ) from error


_REPLACE = "Download it again, or put the right file there."


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


def _differs(file: ModelFile, path: Path, actual: str) -> str:
    expected = file.checksum
    assert expected is not None
    return Sentence(
        "{filename} is not what the catalog promises: its {algorithm} is {actual} instead of {expected}.",
        filename=path.name,
        algorithm=expected.algorithm,
        actual=actual,
        expected=expected.value,
    )


def _remedy(file: ModelFile) -> str:
    if file.urls:
        return Sentence("Download it (page, API, or `clickpaint models download`).")
    return Sentence("{note} Put it as {filename} into the folder of {kind} models.", note=file.note, filename=file.filename, kind=file.kind)
