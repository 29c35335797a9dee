"""Textual inversions (Gal et al. 2022): words that were learned, as vectors for the text encoders."""

from __future__ import annotations

import logging
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import ClickpaintError, InvalidInput
from clickpaint.paint.adapters import embedding_pictures
from clickpaint.paint.adapters.controlnet_files import FAMILIES
from clickpaint.paint.checkpoint.kind import what_else
from clickpaint.paint.checkpoint.tokens import tokenizer
from clickpaint.paint.diffusion.prompt import without_networks
from clickpaint.weights.model_files import files, same_word
from clickpaint.weights.weights_file import read_weights_file

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

log = logging.getLogger(__name__)

ENDINGS = (".pt", ".bin", ".safetensors", ".sft")
_SDXL = {"clip_l": 768, "clip_g": 1280, "text_encoders_0": 768, "text_encoders_1": 1280}
_LARGEST = 64 << 20
"""Bytes. An embedding of 75 vectors, the most that a prompt takes, has a hundredth of that."""


@dataclass(frozen=True, eq=False)
class Embedding:
    """A learned word.

    Attributes:
        name: what stands for it in a prompt.
        vectors: float32 [n, width], by the width of the text encoder that they are for.
    """

    name: str
    vectors: Mapping[int, Tensor]

    @property
    def family(self) -> str:
        """What it was made for, for people."""
        return FAMILIES[2048 if len(self.vectors) > 1 else next(iter(self.vectors))]

    def for_encoders(self, checkpoint: Checkpoint) -> tuple[Tensor, ...] | None:
        """The vectors for each text encoder in its order; None if it was made for another family."""
        widths = [encoder.width for encoder in checkpoint.text_encoders]
        return tuple(self.vectors[width] for width in widths) if set(widths) == self.vectors.keys() else None


def read_embedding(path: Path) -> Embedding:
    """A learned word: the web UI's `.pt` and its pictures, diffusers' `.bin`, and safetensors of either, also those of SDXL ("clip_l",
    "clip_g"). As in the web UI its name is the file's, but for pictures, which say it.

    Args:
        path: the file.

    Raises:
        InvalidInput: it is something else.
        CorruptModel: it cannot be read; a pickle that asks for more than tensors is not.
    """
    if path.suffix.lower() in embedding_pictures.ENDINGS:
        content = embedding_pictures.embedding_in(path)
        if content is None:
            raise InvalidInput("{filename} is a picture without an embedding in it.", "Choose another file.", filename=path.name)
        return embedding_of(content, _said_name(content) or path.stem, path.name)
    size = path.stat().st_size if path.is_file() else 0
    if size > _LARGEST:
        raise InvalidInput(
            "{filename} is no textual inversion for Stable Diffusion: it has {megabytes} MB.",
            "Choose another file.",
            filename=path.name,
            megabytes=size >> 20,
        )
    content, _ = read_weights_file(path)
    return embedding_of(content, path.stem, path.name)


def embedding_of(content: Any, name: str, filename: str) -> Embedding:
    """The same, of what lies in the file already.

    Args:
        content: as trainers save it.
        name: what stands for it in a prompt.
        filename: for messages.

    Raises:
        InvalidInput: it is something else.
    """
    import torch

    loaded = content if isinstance(content, Mapping) else {}
    if "string_to_param" in loaded:
        learned = loaded["string_to_param"]
        loaded = getattr(learned, "_parameters", learned)
        loaded = loaded if isinstance(loaded, Mapping) else {}
    vectors = {key: tensor for key, value in loaded.items() if (tensor := _tensor(value)) is not None}
    for key, value in vectors.items():
        vectors[key] = value[None] if value.ndim == 1 else value
    if vectors.keys() & _SDXL.keys():
        vectors = {key: value for key, value in vectors.items() if key in _SDXL}
    widths = {value.shape[-1]: value for value in vectors.values() if value.ndim}
    wrong = any(value.ndim != 2 or not len(value) or _SDXL.get(key, value.shape[-1]) != value.shape[-1] for key, value in vectors.items())
    if not vectors or wrong or len(widths) != len(vectors) or not widths.keys() <= {768, 1024, 1280}:
        what = what_else(key for key in loaded if isinstance(key, str))
        raise InvalidInput(
            "{filename} is no textual inversion for Stable Diffusion but {kind}."
            if what and "textual inversion" not in what
            else "{filename} is no textual inversion for Stable Diffusion.",
            "Choose another file.",
            filename=filename,
            kind=what,
        )
    if not all(bool(torch.isfinite(value).all()) for value in vectors.values()):
        raise InvalidInput("{filename} is damaged: some of its numbers are not finite.", "Choose another file.", filename=filename)
    return Embedding(name, widths)


def _tensor(value: Any) -> Tensor | None:
    """A tensor, or nested lists of numbers, as float32."""
    import torch

    if isinstance(value, torch.Tensor):
        return value.detach().float()
    if not isinstance(value, list):
        return None
    try:
        return torch.tensor(value, dtype=torch.float32)
    except (TypeError, ValueError, RuntimeError):
        return None


class EmbeddingShelf:
    """The textual inversions in folders, by the words that stand for them. Which picture is one is looked up once and remembered."""

    def __init__(self) -> None:
        self._pictures: dict[tuple[str, int, int], str | None] = {}

    def words(
        self, prompt: str, folders: Iterable[Path], checkpoint: Checkpoint, bundled: Mapping[str, Mapping[str, Any]] | None = None
    ) -> dict[str, tuple[Tensor, ...]]:
        """The learned words that occur in a prompt, for `diffusion.conditioning.encode`: only their files are read.

        A word occurs where it stands whole, its tokens one behind the other. Files of another family than the checkpoint are
        no words, neither are files that cannot be read; the log says so. Where two have one name, the first counts.

        Args:
            prompt: in the web UI's syntax.
            folders: of embeddings; the first ones count first.
            checkpoint: whose text encoders are to read them.
            bundled: embeddings that come with the LoRAs of the prompt, after those of the folders: their content by their words.
        """
        plain = re.sub(r"\\([\\()\[\]])", r"\1", unicodedata.normalize("NFC", without_networks(prompt)[0]))
        tokens = _tokens(plain)
        words: dict[str, tuple[Tensor, ...]] = {}
        for name, file in [*self._named(folders), *((name, None) for name in bundled or {})]:
            if not _occurs(name, plain, tokens) or any(same_word(name, known) for known in words):
                continue
            try:
                embedding = read_embedding(file) if file is not None else embedding_of((bundled or {})[name], name, name)
            except ClickpaintError as error:
                log.warning("The embedding %s is not used: %s", name, error)
                continue
            vectors = embedding.for_encoders(checkpoint)
            if vectors is None:
                log.warning("The embedding %s is not used: it was made for %s.", name, embedding.family)
                continue
            words[name] = vectors
        return words

    def _named(self, folders: Iterable[Path]) -> Iterator[tuple[str, Path]]:
        """(word, file), weights before pictures, many of which are mere previews of weights."""
        listed = list(files(folders, (*ENDINGS, *embedding_pictures.ENDINGS)))
        stems = set()
        for file in listed:
            if file.suffix.lower() in ENDINGS:
                stems.add((file.parent, file.stem))
                yield unicodedata.normalize("NFC", file.stem), file
        for file in listed:
            preview = (file.parent, file.stem) in stems or file.stem.lower().endswith(".preview")
            if file.suffix.lower() in embedding_pictures.ENDINGS and not preview:
                name = self._name_in(file)
                if name is not None:
                    yield name, file

    def _name_in(self, picture: Path) -> str | None:
        """The word of a picture; None where it has no embedding in it."""
        try:
            state = picture.stat()
        except OSError:
            return None
        key = (str(picture), state.st_mtime_ns, state.st_size)
        if key not in self._pictures:
            content = embedding_pictures.embedding_in(picture)
            self._pictures[key] = None if content is None else unicodedata.normalize("NFC", _said_name(content) or picture.stem)
        return self._pictures[key]


def _said_name(content: Mapping[str, Any]) -> str:
    name = content.get("name")
    return name if isinstance(name, str) else ""


def _tokens(text: str) -> Sequence[int]:
    return tokenizer()(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def _occurs(name: str, text: str, tokens: Sequence[int]) -> bool:
    """Whether the tokens of a name stand in those of a text."""
    lower = text.lower()
    parts = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", name).lower())
    if not all(re.search(rf"(?<![^\W_]){re.escape(part)}(?![^\W_])", lower) for part in parts):  # “cat” is no part of “concat”
        return False
    own = list(_tokens(name))
    return bool(own) and any(list(tokens[place : place + len(own)]) == own for place in range(len(tokens) - len(own) + 1))
