"""CLIP's tokenizer files for the toy checkpoint, from the vocabulary that a web UI's `clip` or `open_clip` package brings along."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

_MERGES = 49152 - 256 - 2


def write_tokenizer(folder: Path, host: Path) -> None:
    """Write vocab.json, merges.txt and tokenizer_config.json into `folder`; `host` is the web UI's installation.

    The order of the vocabulary is that of OpenAI's CLIP: bytes, bytes that end a word, merges, start and end of text.
    """
    source = next(host.rglob("bpe_simple_vocab_16e6.txt.gz"), None)
    if source is None:
        raise FileNotFoundError(f"{host} has neither clip nor open_clip installed, which bring CLIP's vocabulary")
    merges = gzip.decompress(source.read_bytes()).decode("utf-8").split("\n")[1 : _MERGES + 1]
    letters = list(_byte_letters().values())
    words = [*letters, *(letter + "</w>" for letter in letters), *("".join(merge.split()) for merge in merges)]
    words += ["<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({word: index for index, word in enumerate(words)}), encoding="utf-8")
    (folder / "merges.txt").write_text("\n".join(["#version: 0.2", *merges, ""]), encoding="utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer", "model_max_length": 77, "do_lower_case": True, "add_prefix_space": False, "errors": "replace",
        "bos_token": "<|startoftext|>", "eos_token": "<|endoftext|>", "unk_token": "<|endoftext|>", "pad_token": "<|endoftext|>",
    }  # fmt: skip
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")


def _byte_letters() -> dict[int, str]:
    """A printable letter for every byte (GPT-2's table): printable ones stand for themselves, the others for letters from 256 on."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    table = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(256 + len(table) - len(plain))
    return table
