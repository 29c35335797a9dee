"""The checkpoint files on this machine, and which of them the stand-alone program paints with."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, CorruptModel, NotFound
from clickpaint.weights.folders import is_file
from clickpaint.weights.model_files import by_name, by_path, same_word
from clickpaint.weights.weights_file import safetensors_header, weights_format

if TYPE_CHECKING:
    from clickpaint.paint.checkpoint.opening import AnyKind
    from clickpaint.paint.checkpoint.source import FileSource

ENDINGS = (".safetensors", ".sft", ".ckpt", ".gguf")
_VAE = ".vae"
"""How files of VAEs that lie beside checkpoints end, before their endings."""


def checkpoints_in(folders: Sequence[Path]) -> dict[str, Path]:
    """The files below the folders that may be checkpoints, by their paths below them with forward slashes."""
    return {name: file for name, file in by_path(folders, ENDINGS).items() if not file.stem.lower().endswith(_VAE)}


def named(files: Mapping[str, Path], name: str) -> Path:
    """The file that a name means.

    Args:
        files: by their names for people.
        name: one of them, or the file's with or without its folder, ending and a web UI's checksum.

    Raises:
        NotFound: there is none.
    """
    file = (
        files.get(name)
        or next((file for known, file in files.items() if same_word(known, name)), None)
        or by_name(name, list(files.values()))
    )
    if file is not None:
        return file
    known = ", ".join(files) or "there are none"
    raise NotFound("There is no checkpoint {name!r}.", "Those that are here: {known}.", name=name, known=known)


class LocalCheckpoints:
    """Which checkpoints there are, and the one that is chosen; thread-safe.

    Args:
        folders: looked through with everything below them.
        chosen: one of their names, or the path of any file; "" for the first one that is found.
        vae: the path of a VAE that goes with all of them; None for each one's own.
        companions: where files that go with a checkpoint may lie, by kind: "text_encoder", "VAE", "tokenizers".
    """

    def __init__(
        self, folders: Sequence[Path], chosen: str = "", vae: Path | None = None,
        companions: Callable[[str], Sequence[Path]] = lambda kind: (),
    ) -> None:  # fmt: skip
        self._folders, self.vae, self._companions = folders, vae, companions
        self._lock = threading.Lock()
        self._source: FileSource | None = None
        self._kinds: dict[tuple[Path, int], AnyKind | ClickpaintError] = {}
        self._take(chosen)

    def look_in(self, folders: Sequence[Path], chosen: str | None, vae: Path | None) -> None:
        """Other folders, another choice (None: as it is) and another VAE, as when this was made; what paints now paints to its end."""
        with self._lock:
            self._folders, self.vae = folders, vae
            if chosen is not None:
                self._take(chosen)

    def _take(self, chosen: str) -> None:
        self._given = Path(chosen).expanduser().absolute() if chosen and is_file(Path(chosen).expanduser()) else None
        self._name = chosen if chosen and self._given is None else ""

    def files(self) -> dict[str, Path]:
        """Every checkpoint by its name, the one that was given by its path first."""
        given = {self._given.name: self._given} if self._given is not None else {}
        return {**given, **checkpoints_in(self._folders)}

    def choose(self, name: str) -> None:
        """Paint with this one from now on. Raises `NotFound`, and `InvalidInput` for a file that is no checkpoint."""
        file = named(self.files(), name)
        kind = self._kind(file)
        if isinstance(kind, ClickpaintError):
            raise kind
        with self._lock:
            self._name = name

    def current(self) -> tuple[str, Path] | None:
        """The name and the file of the chosen one, or of the first that can be used where none was chosen; None where there is no file."""
        files = self.files()
        if self._name:
            file = named(files, self._name)
            return next(name for name, path in files.items() if path == file), file
        usable = (item for item in files.items() if item[1] == self._given or not isinstance(self._kind(item[1]), ClickpaintError))
        return next(usable, None) or next(iter(files.items()), None)

    def kind(self) -> AnyKind | None:
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
            if self._source is not None and (current is None or (self._source.path, self._source.vae) != (current[1], self.vae)):
                self._source.release()
                self._source = None
            if self._source is None and current is not None:
                self._source = FileSource(current[1], self.vae, folders=self._companions)
            return self._source

    def _kind(self, file: Path) -> AnyKind | ClickpaintError:
        """What a file is, or why it cannot be used; remembered, for lists ask again and again."""
        try:
            key = (file, file.stat().st_mtime_ns)
        except OSError as error:
            return CorruptModel(
                "{filename} cannot be read: {reason}.",
                "See to it that the file may be read.",
                filename=file.name,
                reason=error.strerror,
            )
        if key not in self._kinds:
            try:
                self._kinds[key] = _kind_of_file(file)
            except ClickpaintError as error:
                self._kinds[key] = error
        return self._kinds[key]


def _kind_of_file(file: Path) -> AnyKind:
    """The kind that the names and shapes of a file's tensors tell; of a safetensors file only its header is read, without torch."""
    from clickpaint.paint.checkpoint.gguf_file import is_gguf
    from clickpaint.paint.checkpoint.kind import identify
    from clickpaint.paint.checkpoint.networks import split
    from clickpaint.paint.flow import registry

    header: Any = {} if is_gguf(file) or weights_format(file) != "safetensors" else safetensors_header(file)[0]
    if header and not any(".quant_state." in key for key in header):  # which has shapes, and no more is asked for
        flow = registry.identify(header, file.name)
        if flow is not None:
            return flow
        parts = split(header)
        return identify(parts.unet.shapes(), None, parts.markers)
    from clickpaint.paint.checkpoint.source import FileSource

    source = FileSource(file)
    flow = registry.identify(source.tensors(), file.name)
    if flow is not None:
        return flow
    parts = split(source.tensors())
    return identify(parts.unet.shapes(), source.prediction, parts.markers)
