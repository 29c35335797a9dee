"""Captions through the text encoders, for training: token by token as they are written, with gradients where something learns."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from clickpaint.paint.diffusion.conditioning import learned_words

if TYPE_CHECKING:
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint
    from clickpaint.paint.checkpoint.text import TextEncoder

_START, _END, _CHUNK = 49406, 49407, 75


@dataclass(frozen=True, eq=False)
class CaptionTensors:
    """Captions as the U-Net takes them.

    Attributes:
        context: [n, 77 k, C], in the type that the encoders compute in.
        pooled: [n, 1280] for SDXL, None for others.
    """

    context: Tensor
    pooled: Tensor | None = None


@dataclass(frozen=True, eq=False)
class LearnedWord:
    """A word that is being learned.

    Attributes:
        word: what stands for it in captions.
        vectors: [n, width] for each text encoder in its order.
    """

    word: str
    vectors: Sequence[Tensor]


def encode_captions(
    checkpoint: Checkpoint, captions: Sequence[str], tokens: int = _CHUNK, clip_skip: int = 1, word: LearnedWord | None = None
) -> CaptionTensors:
    """What the U-Net is told, with gradients if the encoders want some.

    Args:
        captions: plain text, in which nothing is syntax.
        tokens: how many of each caption are read; every started 75 make a chunk, which the encoders read alone, as web UIs do it.
        clip_skip: as `TextEncoder.encode` takes it.
        word: is put where its name stands, and before a caption without it.
    """
    import torch

    chunks = -(-tokens // _CHUNK)
    hidden, pooled = [], None
    for number, encoder in enumerate(checkpoint.text_encoders):
        device = encoder.token_embedding.weight.device
        if word is None:
            ids = torch.tensor([_chunked(_tokens(encoder, caption), encoder, chunks) for caption in captions], device=device)
            own, first = encoder.encode_with_gradients(ids.flatten(0, 1), clip_skip)
            own, first = (
                own.unflatten(0, (len(captions), chunks)),
                None if first is None else first.unflatten(0, (len(captions), chunks))[:, 0],
            )
        else:
            answers = [_with_word(encoder, caption, word.word, word.vectors[number], chunks, clip_skip) for caption in captions]
            own = torch.stack([answer[0] for answer in answers])
            first = None if answers[0][1] is None else torch.cat([answer[1][:1] for answer in answers if answer[1] is not None])
        hidden.append(own.flatten(1, 2))
        pooled = first
    dtype = max((own.dtype for own in hidden), key=lambda kind: kind.itemsize)
    return CaptionTensors(torch.cat([own.to(dtype) for own in hidden], dim=-1), pooled)


def _tokens(encoder: TextEncoder, text: str) -> list[int]:
    return encoder.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def _chunked(tokens: Sequence[int], encoder: TextEncoder, chunks: int) -> list[list[int]]:
    """[chunks][77] token numbers, between start and end; what is too long is cut off."""
    rows = []
    for first in range(0, chunks * _CHUNK, _CHUNK):
        row = [_START, *tokens[first : first + _CHUNK], _END]
        rows.append(row + [encoder.tokenizer.pad_token_id] * (_CHUNK + 2 - len(row)))
    return rows


def _with_word(encoder: TextEncoder, caption: str, word: str, vectors: Tensor, chunks: int, clip_skip: int) -> tuple[Tensor, Tensor | None]:
    import torch

    pieces = re.split(rf"(?<!\w){re.escape(word)}(?!\w)", caption, flags=re.IGNORECASE)
    if len(pieces) == 1:
        pieces = ["", caption]
    tokens, places = _tokens(encoder, pieces[0]), []
    for piece in pieces[1:]:
        room = _CHUNK - len(tokens) % _CHUNK
        if room < len(vectors):  # no word is cut in two
            tokens += [267] * room
        places.append(len(tokens))
        tokens += [0] * len(vectors) + _tokens(encoder, piece)
    device = encoder.token_embedding.weight.device
    hidden, pooled = [], None
    for number, row in enumerate(_chunked(tokens, encoder, chunks)):
        start = number * _CHUNK
        inside = [(place - start + 1, vectors) for place in places if start <= place and place + len(vectors) <= start + _CHUNK]
        with learned_words(encoder.token_embedding, inside):
            own, first = encoder.encode_with_gradients(torch.tensor([row], device=device), clip_skip)
        hidden.append(own[0])
        pooled = first if pooled is None else pooled
    return torch.stack(hidden), pooled


def size_numbers(sizes: Sequence[Mapping[str, tuple[int, int]]]) -> Tensor:
    """What SDXL is told about sizes, float32 [n, 6]: of each example the picture's (height, width) "original", the (top, left) "crop"
    and the (height, width) "target"."""
    import torch

    return torch.tensor([[*size["original"], *size["crop"], *size["target"]] for size in sizes], dtype=torch.float32)
