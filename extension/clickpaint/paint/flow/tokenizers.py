"""The tokenizers of T5 and Qwen, from files that other programs keep beside these models: nothing is fetched."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from clickpaint.errors import ModelMissing

TokenizerKind = Literal["T5", "Qwen"]

_DEEPEST = 5
"""Folders below those that are given, in which tokenizers are looked for."""

_QWEN_SPECIAL = (
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>", "<|box_end|>",
    "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>",
    "<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>", "<|repo_name|>", "<|file_sep|>",
    "<tool_response>", "</tool_response>", "<think>", "</think>",
)  # fmt: skip
"""What follows the words of vocab.json, in this order, from number 151643 on."""

_QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)  # fmt: skip


def tokenizer(kind: TokenizerKind, folders: Sequence[Path]) -> Any:
    """A tokenizer of the library `tokenizers`.

    Args:
        folders: looked through in this order, some levels deep, for a tokenizer.json (T5's or Qwen's is told by what is in it), and for
            Qwen also for vocab.json with merges.txt, as ComfyUI has it.

    Raises:
        ModelMissing: there is none; the sentence says where to put it.
    """
    for file in _candidates(tuple(folders)):
        if _kind_of(file, file.stat().st_mtime_ns) == kind:
            return _read(file, file.stat().st_mtime_ns)
    source = "google/t5-v1_1-xxl (tokenizer_2 of Flux)" if kind == "T5" else "Qwen (the tokenizer of Qwen-Image or Z-Image)"
    raise ModelMissing(
        "The tokenizer of {kind} is missing, without which no prompt can be read for this model.",
        "Put its tokenizer.json, from {source}, into {folder}.",
        kind=kind,
        source=source,
        folder=(folders[0] if folders else Path("models/tokenizers")) / kind.lower(),
    )


def _candidates(folders: tuple[Path, ...]) -> Iterator[Path]:
    seen: set[Path] = set()

    def within(folder: Path, depth: int) -> Iterator[Path]:
        if folder in seen:
            return
        seen.add(folder)
        try:
            entries = sorted(folder.iterdir())
        except OSError:
            return
        names = {entry.name for entry in entries}
        if "tokenizer.json" in names:
            yield folder / "tokenizer.json"
        elif {"vocab.json", "merges.txt"} <= names:
            yield folder / "vocab.json"
        if depth < _DEEPEST:
            for entry in entries:
                if entry.is_dir() and not entry.name.startswith("."):
                    yield from within(entry, depth + 1)

    for folder in folders:
        yield from within(folder, 0)


@functools.lru_cache(maxsize=64)
def _kind_of(file: Path, changed: int) -> str:
    """ "T5", "Qwen" or "" for another. changed: when, so that a new file under the old name is looked at again."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return ""
    if not isinstance(content, dict):
        return ""
    if file.name == "vocab.json":
        return "Qwen" if len(content) > 100_000 and content.get("!") == 0 else ""
    model = content.get("model")
    added = {token.get("content") for token in content.get("added_tokens") or [] if isinstance(token, dict)}
    if isinstance(model, dict) and model.get("type") == "Unigram":
        return "T5" if "<extra_id_0>" in added else ""
    return "Qwen" if {"<|im_start|>", "<|im_end|>", "<|vision_start|>"} <= added else ""


@functools.lru_cache(maxsize=2)
def _read(file: Path, changed: int) -> Any:
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

    if file.name == "tokenizer.json":
        read = Tokenizer.from_file(str(file))
        read.no_padding()
        read.no_truncation()
        return read
    read = Tokenizer(models.BPE.from_file(str(file), str(file.with_name("merges.txt"))))
    read.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(_QWEN_WORDS), behavior="isolated")
    read.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    read.decoder = decoders.ByteLevel()
    read.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in _QWEN_SPECIAL])
    return read


Finder = Callable[[TokenizerKind], Any]
"""Gives the tokenizer of a kind; see `tokenizer`."""
