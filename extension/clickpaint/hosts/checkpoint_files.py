"""The checkpoint files on this machine, and which of them the stand-alone program paints with."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from clickpaint.errors import ClickpaintError, CorruptModel, NotFound
from clickpaint.weights.folders import files_below, is_file, of_error

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.kind import Kind
    from clickpaint.paint.checkpoint.source import FileSource

_CHOOSE = "Download it again, or choose another one."
SUFFIXES = (".safetensors", ".ckpt")
_LARGEST_HEADER = 64 << 20


def files_in(folders: Sequence[Path], suffixes: Sequence[str] = SUFFIXES) -> dict[str, Path]:
    """The files below the folders, by their paths below them with forward slashes; of two with one name the first folder's counts."""
    found: dict[str, Path] = {}
    for folder in folders:
        for file in files_below(folder, suffixes):
            found.setdefault(file.relative_to(folder).as_posix(), file)
    return found


def named(files: dict[str, Path], name: str, what: str) -> Path:
    """The file of that name, with or without its folder and its ending. Raises `NotFound`."""
    for says in (lambda one: one, lambda one: Path(one).name, lambda one: Path(one).stem):
        found = next((file for one, file in files.items() if says(one) == name), None)
        if found is not None:
            return found
    known = ", ".join(files) or "there are none"
    raise NotFound(f"There is no {what} {name!r}.", f"Those that are here: {known}.", name=name)


class LocalCheckpoints:
    """Which checkpoints there are, and the one that is chosen; thread-safe.

    Args:
        folders: looked through with everything below them.
        chosen: one of their names, or the path of any file; "" for the first one that is found.
        vae: the path of a VAE that goes with all of them; None for each one's own.
    """

    def __init__(self, folders: Sequence[Path], chosen: str = "", vae: Path | None = None) -> None:
        self._folders, self._vae = folders, vae
        self._lock = threading.Lock()
        self._source: FileSource | None = None
        self._kinds: dict[tuple[Path, int], Kind | ClickpaintError] = {}
        self._given = Path(chosen).expanduser().absolute() if chosen and is_file(Path(chosen).expanduser()) else None
        self._name = chosen if chosen and self._given is None else ""

    def files(self) -> dict[str, Path]:
        """Every checkpoint by its name, the one that was given by its path first."""
        given = {self._given.name: self._given} if self._given is not None else {}
        return {**given, **files_in(self._folders)}

    def choose(self, name: str) -> None:
        """Paint with this one from now on. Raises `NotFound`, and `InvalidInput` for a file that is no checkpoint."""
        file = named(self.files(), name, "checkpoint")
        kind = self._kind(file)
        if isinstance(kind, ClickpaintError):
            raise kind
        with self._lock:
            self._name = name

    def current(self) -> tuple[str, Path] | None:
        """The name and the file of the chosen one; None where there is none."""
        files = self.files()
        if self._name:
            file = named(files, self._name, "checkpoint")
            return next(name for name, one in files.items() if one == file), file
        return next(iter(files.items()), None)

    def kind(self) -> Kind | None:
        """Of the chosen one; None where there is none. Raises what `choose` would."""
        current = self.current()
        if current is None:
            return None
        kind = self._kind(current[1])
        if isinstance(kind, ClickpaintError):
            raise kind
        return kind

    def source(self) -> FileSource | None:
        """The tensors of the chosen one, the same object until another is chosen; None where there is none."""
        from clickpaint.paint.checkpoint.source import FileSource

        current = self.current()
        with self._lock:
            if self._source is not None and (current is None or self._source.path != current[1]):
                self._source.release()
                self._source = None
            if self._source is None and current is not None:
                self._source = FileSource(current[1], self._vae)
            return self._source

    def _kind(self, file: Path) -> Kind | ClickpaintError:
        """What a file is, or why it cannot be used; remembered, for lists ask again and again."""
        try:
            key = (file, file.stat().st_mtime_ns)
        except OSError as error:
            return CorruptModel(of_error(file, error), _CHOOSE, filename=file.name)
        if key not in self._kinds:
            try:
                self._kinds[key] = _kind_of_file(file)
            except ClickpaintError as error:
                self._kinds[key] = error
        return self._kinds[key]


def _kind_of_file(file: Path) -> Kind:
    """The kind that the names and shapes of a file's tensors tell; of a safetensors file only its header is read, without torch."""
    from clickpaint.paint.checkpoint.kind import identify
    from clickpaint.paint.checkpoint.networks import split

    if file.suffix.lower() == ".safetensors":
        parts = split(_header(file))
        return identify(parts.unet.shapes(), None, parts.markers)
    from clickpaint.paint.checkpoint.source import FileSource

    source = FileSource(file)
    parts = split(source.tensors())
    return identify(parts.unet.shapes(), source.prediction, parts.markers)


class _Shaped(NamedTuple):
    """What stands in a header instead of a tensor."""

    shape: tuple[int, ...]


def _header(file: Path) -> dict[str, Any]:
    """The names and shapes of a safetensors file: its length in 8 bytes, little-endian, then JSON."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > _LARGEST_HEADER:
                raise ValueError("its header is too long")
            told = json.loads(opened.read(length))
        return {key: _Shaped(tuple(value["shape"])) for key, value in told.items() if key != "__metadata__"}
    except OSError as error:
        raise CorruptModel(of_error(file, error), _CHOOSE, filename=file.name) from error
    except (ValueError, KeyError, TypeError, AttributeError, struct.error) as error:
        raise CorruptModel(f"{file.name} cannot be read as weights: {error}.", _CHOOSE, filename=file.name) from error
