"""Finding LoRAs by their names: the file's, or the one that the trainer gave it."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from clickpaint.errors import CorruptModel, InvalidInput, NotFound
from clickpaint.paint.adapters.lora import BUNDLED, Lora
from clickpaint.weights.model_files import by_name, files, not_found, same_word
from clickpaint.weights.weights_file import safetensors_header, weights_format


class LoraShelf:
    """The LoRAs in folders. What a file calls itself is read once and remembered; thread-safe."""

    def __init__(self) -> None:
        self._aliases: dict[tuple[str, int, int], str] = {}
        self._lock = threading.Lock()

    def get(self, name: str, folders: Sequence[Path]) -> Lora:
        """A LoRA.

        Args:
            name: of the file, with or without its folder ("b/sample"); or the one that its metadata say (`ss_output_name`), which
                prompts of the web UI have where the file was renamed.
            folders: looked through with everything below them.

        Raises:
            NotFound: there is none, or several call themselves so.
            InvalidInput: it is something other than a LoRA.
            CorruptModel: it cannot be read.
        """
        return Lora.read(self._path(name, list(folders)))

    def embeddings(self, name: str, folders: Sequence[Path]) -> Mapping[str, Mapping[str, Any]]:
        """The textual inversions that a LoRA brings along: the content of each by the word that stands for it. Of a safetensors file
        without any only the header is read.

        Args:
            name: as `get` takes it.
            folders: as `get` takes them.

        Raises:
            NotFound, InvalidInput, CorruptModel: as `get`.
        """
        path = self._path(name, list(folders))
        if weights_format(path) == "safetensors" and not any(key.startswith(BUNDLED) for key in safetensors_header(path)[0]):
            return {}
        return Lora.read(path).embeddings

    def _path(self, name: str, folders: Sequence[Path]) -> Path:
        known = list(files(folders))
        path = by_name(name, known)
        if path is not None:
            return path
        matching = [file for file in known if same_word(self._alias(file), name)]
        if not matching:
            raise not_found(name, known, "LoRA")
        if len(matching) > 1:
            stems = ", ".join(file.stem for file in matching)
            raise NotFound("Several LoRAs call themselves {name!r}: {files}.", "Write the name of the file.", name=name, files=stems)
        return matching[0]

    def _alias(self, file: Path) -> str:
        """What a file's metadata call it; "" where they do not."""
        key = _state(file)
        if key is None:
            return ""
        with self._lock:
            if key in self._aliases:
                return self._aliases[key]
        try:
            alias = safetensors_header(file)[1].get("ss_output_name", "") if weights_format(file) == "safetensors" else ""
        except (InvalidInput, CorruptModel):
            alias = ""
        with self._lock:
            self._aliases[key] = alias
        return alias


def _state(file: Path) -> tuple[str, int, int] | None:
    """What tells a file from what it was before; None where it is gone."""
    try:
        state = file.stat()
    except OSError:
        return None
    return str(file), state.st_mtime_ns, state.st_size
