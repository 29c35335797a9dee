"""The files that go with a transformer that comes alone: its text encoders and its VAE, found by what is in them."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clickpaint.errors import ClickpaintError
from clickpaint.paint.checkpoint.gguf_file import is_gguf, read_gguf
from clickpaint.paint.checkpoint.packed_weights import stored_bytes
from clickpaint.paint.flow.base import FlowFamily
from clickpaint.paint.flow.flow_opening import find_vae
from clickpaint.paint.flow.registry import FAMILIES, family_among, identify
from clickpaint.weights.model_files import files
from clickpaint.weights.weights_file import TensorHeader, safetensors_header, weights_format

log = logging.getLogger(__name__)

Folders = Callable[[str], Sequence[Path]]
"""Where files of a kind ("text_encoder", "VAE", "tokenizers") may lie."""


@dataclass(frozen=True)
class Companion:
    """A file that goes with a checkpoint.

    Attributes:
        path: of the file.
        own: what stands before the keys of its network there.
        prefix: what is put before them instead.
    """

    path: Path
    own: str
    prefix: str


def companions(tensors: Mapping[str, Any], name: str, folders: Folders) -> list[Companion]:
    """The files with the networks that a checkpoint of these families lacks; what cannot be found is left out, and told of when the
    checkpoint is opened. Of other files only headers are read.

    Args:
        tensors: or what has a `shape` like them; by the keys of the checkpoint's file.
        name: of that file.
    """
    among, kind = family_among(tensors), identify(tensors, name)
    if among is None or kind is None:
        return []
    family = among[0]
    found = []
    for text, need in family.texts.items():
        if need.find(tensors, family.text_width(kind)) is None:
            for file, header in _headers(folders("text_encoder")):
                own = need.find(header, family.text_width(kind))
                if own is not None:
                    found.append(Companion(file, own, f"text_encoders.{text}."))
                    break
    if find_vae(tensors) is None:
        fitting = [(file, own) for file, header in _headers(folders("VAE")) if (own := _vae(family, header)) is not None]
        file = _best([file for file, _ in fitting], family)
        if file is not None:
            found.append(Companion(file, dict(fitting)[file], "vae."))
    for companion in found:
        log.info("%s goes with %s", companion.path.name, name)
    return found


def _vae(family: FlowFamily, header: Mapping[str, Any]) -> str | None:
    prefix = find_vae(header)
    return prefix if prefix is not None and family.takes_vae(header, prefix) else None


def _best(candidates: Sequence[Path], family: FlowFamily) -> Path | None:
    """VAEs of several families have the same shapes: the one that is called like this one's, or at least not like another one's."""

    def called(file: Path, names: Sequence[str]) -> bool:
        words = file.stem.lower().replace("-", "_").replace(".", "_").split("_")
        return any(name in words if len(name) < 3 else name in file.stem.lower() for name in names)

    others = [name for other in FAMILIES.values() for name in other.vae_names if name not in family.vae_names]
    own = [file for file in candidates if called(file, family.vae_names)]
    unnamed = [file for file in candidates if not called(file, others)]
    return next(iter(own or unnamed), None)


def _headers(folders: Sequence[Path]) -> list[tuple[Path, Mapping[str, Any]]]:
    headers = []
    for file in files(folders, (".safetensors", ".sft", ".gguf")):
        try:
            headers.append((file, _header(file, file.stat().st_mtime_ns)))
        except (OSError, ClickpaintError):
            continue  # a damaged neighbour is no reason not to paint
    return headers


@functools.lru_cache(maxsize=64)
def _header(file: Path, changed: int) -> Mapping[str, Any]:
    if is_gguf(file):
        return {key: TensorHeader(tuple(tensor.shape), "GGUF", stored_bytes(tensor)) for key, tensor in read_gguf(file)[0].items()}
    return safetensors_header(file)[0] if weights_format(file) == "safetensors" else {}
