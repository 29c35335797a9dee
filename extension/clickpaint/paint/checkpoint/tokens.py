"""CLIP's tokenizer, from the vocabulary that a package brings along: nothing is fetched."""

from __future__ import annotations

import functools
import gzip
import importlib.util
from pathlib import Path
from typing import Any

from clickpaint.errors import ModelMissing

_PACKAGES = ("open_clip", "clip")
"""Both carry OpenAI's file. A web UI has the one or the other; stand-alone there is the second."""
_FILE = "bpe_simple_vocab_16e6.txt.gz"
_MERGES = 49152 - 256 - 2
START, END = "<|startoftext|>", "<|endoftext|>"
_WORDS = r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"


@functools.lru_cache(maxsize=2)
def tokenizer(pad: str = END) -> Any:
    """A `transformers` tokenizer with CLIP's 49408 tokens that answers as OpenAI's does, the same in every version of transformers.
    All who ask share it: add no tokens to it.

    Args:
        pad: what fills up a prompt: the end for CLIP ViT-L/14, "!" (token 0) for OpenCLIP.
    """
    from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words, merges = vocabulary()
    model = models.BPE(vocab=words, merges=merges, continuing_subword_prefix="", end_of_word_suffix="</w>", unk_token=END)
    backend = Tokenizer(model)
    backend.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    split = pre_tokenizers.Split(Regex(_WORDS), behavior="removed", invert=True)
    backend.pre_tokenizer = pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    backend.decoder = decoders.Sequence([decoders.Replace("</w>", " "), decoders.ByteLevel()])
    backend.post_processor = processors.RobertaProcessing(
        (END, words[END]), (START, words[START]), trim_offsets=False, add_prefix_space=False
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=backend, model_max_length=77, bos_token=START, eos_token=END, unk_token=END, pad_token=pad, padding_side="right"
    )


@functools.lru_cache(maxsize=1)
def vocabulary() -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Every token's number, and the pairs that are merged, the most frequent first.

    Raises:
        ModelMissing: no installed package has the vocabulary.
    """
    text = gzip.decompress(_file().read_bytes()).decode("utf-8")
    merges = [(left, right) for left, right in (line.split() for line in text.split("\n")[1 : _MERGES + 1])]
    letters = _letters()
    words = [*letters, *(letter + "</w>" for letter in letters), *(left + right for left, right in merges), START, END]
    return {word: number for number, word in enumerate(words)}, merges


def _file() -> Path:
    for package in _PACKAGES:
        spec = importlib.util.find_spec(package)  # looks, without importing it
        for folder in (spec.submodule_search_locations if spec is not None else None) or ():
            if (Path(folder) / _FILE).is_file():
                return Path(folder) / _FILE
    raise ModelMissing(
        "CLIP's vocabulary is missing, without which no prompt can be read.", "Install it: pip install --no-deps clip-anytorch"
    )


def _letters() -> list[str]:
    """A printable letter for every byte (GPT-2's table), in the order of the vocabulary: first those that stand for themselves."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [*map(chr, plain), *(chr(256 + number) for number in range(256 - len(plain)))]
