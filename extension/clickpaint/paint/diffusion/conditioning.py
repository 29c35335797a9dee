"""What the network is told: prompts through the text encoders, and what SDXL wants to know about sizes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion import prompt as syntax
from clickpaint.paint.diffusion.loop import JOINED
from clickpaint.paint.diffusion.prompt import CHUNK, Chunk

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint
    from clickpaint.paint.checkpoint.text import TextEncoder

Words = Mapping[str, Sequence["torch.Tensor"]]
"""Textual inversions: for the name that stands for it in a prompt, the vectors [n, width] for each text encoder in its order."""

_START, _END, _COMMA = 49406, 49407, 267  # of CLIP's vocabulary; the comma as a word of its own


@dataclass(frozen=True, eq=False)
class Text:
    """A prompt as the network takes it.

    Attributes:
        context: [1, tokens, C]; or one row for each picture of the batch.
        added: what else describes it, [1, n] each or as many rows; for SDXL "text_embeds" [1, 1280] and "time_ids"
            [1, 6] (the refiner: [1, 5]).
    """

    context: torch.Tensor
    added: Mapping[str, torch.Tensor] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Conditioning:
    """Prompt and negative prompt over the sampling: texts in order, each with the last of `steps` steps that it holds for.

    Attributes:
        further: other prompts, by the names of their branches.
    """

    cond: Sequence[tuple[int, Text]]
    uncond: Sequence[tuple[int, Text]]
    steps: int
    further: Mapping[str, Sequence[tuple[int, Text]]] = field(default_factory=dict)

    def text(self, branch: str, share: float) -> Text:
        """What holds at this share of the sampling. The branch "cond" has the prompt, those of `further` theirs, all others the negative
        one."""
        texts = self.cond if branch == "cond" else self.further.get(branch, self.uncond)
        step = round(share * self.steps)
        return next((text for end, text in texts if end >= step), texts[-1][1])


def encode(
    checkpoint: Checkpoint, prompt: str, negative: str = "", *,
    size: tuple[int, int], steps: int, clip_skip: int = 1, words: Words | None = None, further: Mapping[str, str] | None = None,
) -> Conditioning:  # fmt: skip
    """Prompt and negative prompt, in the web UI's syntax (`diffusion.prompt`), for a picture of `size` (width, height) pixels.

    Args:
        steps: that are really taken, which changes during the sampling are counted in.
        clip_skip: 1 for the last layer of CLIP, 2 for the one before; heeded by SD1 alone, as in the web UI.
        further: other prompts, by the names of the branches that they are for.
    """
    encoder = _Encoder(checkpoint, clip_skip, words or {})
    known: dict[tuple[str, bool], Text] = {}

    def texts(written: str, negative: bool) -> list[tuple[int, Text]]:
        planned = syntax.schedule(written, steps)
        for _, text in planned:
            if (text, negative) not in known:
                known[text, negative] = _text(encoder, text, negative, size)
        return [(end, known[text, negative]) for end, text in planned]

    others = {branch: texts(written, False) for branch, written in (further or {}).items()}
    return Conditioning(texts(prompt, False), texts(negative, True), steps, others)


def composition(
    checkpoint: Checkpoint, prompts: Sequence[str], negative: str, *, size: tuple[int, int], steps: int, clip_skip: int, words: Words
) -> Conditioning:  # fmt: skip
    """As `encode`, of prompts that AND joins, the second and further ones as branches called `loop.JOINED`. Shorter ones are filled up
    with their last vector, as in the web UI."""
    further = {f"{JOINED}{number}": text for number, text in enumerate(prompts[1:], 1)}
    encoded = encode(checkpoint, prompts[0], negative, size=size, steps=steps, clip_skip=clip_skip, words=words, further=further)
    longest = max(text.context.shape[1] for texts in (encoded.cond, *encoded.further.values()) for _, text in texts)

    def filled(texts: Sequence[tuple[int, Text]]) -> list[tuple[int, Text]]:
        return [(end, _lengthened(text, longest)) for end, text in texts]

    return replace(encoded, cond=filled(encoded.cond), further={branch: filled(texts) for branch, texts in encoded.further.items()})


def _lengthened(text: Text, length: int) -> Text:
    import torch

    missing = length - text.context.shape[1]
    return replace(text, context=torch.cat([text.context, text.context[:, -1:].expand(-1, missing, -1)], dim=1)) if missing else text


@dataclass(frozen=True, eq=False)
class Pairs(Conditioning):
    """For a batch whose second half is painted from another prompt than the first: `cond` for the first `count` pictures,
    `second` for the others. The negative prompt is the same."""

    second: Sequence[tuple[int, Text]] = ()
    count: int = 1
    _joined: dict[tuple[int, int], Text] = field(default_factory=dict, init=False, repr=False)

    def text(self, branch: str, share: float) -> Text:
        import torch

        first = super().text(branch, share)
        if branch != "cond":
            return first
        second = Conditioning(self.second, self.uncond, self.steps).text(branch, share)

        def both(first: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
            return torch.cat([first] * self.count + [other] * self.count)

        pair = id(first), id(second)  # of texts that this object keeps
        if pair not in self._joined:
            added = {key: both(value, second.added[key]) for key, value in first.added.items()}
            self._joined[pair] = Text(both(first.context, second.context), added)
        return self._joined[pair]


def chunk_count(checkpoint: Checkpoint, text: str, words: Words | None = None) -> int:
    """How often 77 places the text encoders need for a prompt that does not change over the sampling."""
    return len(_Encoder(checkpoint, 1, words or {}).chunks(0, text))


def words_of(checkpoint: Checkpoint, text: str, words: Words | None = None) -> list[Word]:
    """The words of a prompt that does not change over the sampling, in order, with their places among the 77 n of its context."""
    return _Encoder(checkpoint, 1, words or {}).words_of(text)


@dataclass(frozen=True)
class Word:
    """A word, number or sign of a prompt, as CLIP's vocabulary cuts it.

    Attributes:
        text: in small letters.
        places: of its tokens.
    """

    text: str
    places: tuple[int, ...]


def _text(encoder: _Encoder, text: str, negative: bool, size: tuple[int, int]) -> Text:
    import torch

    family = encoder.checkpoint.kind.family
    encoded = [encoder.encode(number, text) for number in range(len(encoder.checkpoint.text_encoders))]
    longest = max(hidden.shape[1] for hidden, _ in encoded)
    assert all(hidden.shape[1] == longest for hidden, _ in encoded)  # one vocabulary, one way to cut
    context, pooled = torch.cat([hidden for hidden, _ in encoded], dim=-1), encoded[-1][1]
    if not family.startswith("sdxl"):
        return Text(context)
    assert pooled is not None
    if negative and not text and family == "sdxl":  # as SDXL was trained
        context, pooled = torch.zeros_like(context), torch.zeros_like(pooled)
    width, height = size
    sizes = [height, width, 0, 0, *((height, width) if family == "sdxl" else (2.5 if negative else 6.0,))]  # the refiner: how beautiful
    return Text(context, {"text_embeds": pooled, "time_ids": torch.tensor([sizes], dtype=torch.float32, device=context.device)})


@dataclass(frozen=True, eq=False)
class _Encoder:
    checkpoint: Checkpoint
    clip_skip: int
    words: Words

    def encode(self, number: int, text: str) -> tuple[torch.Tensor, torch.Tensor | None]:
        """(float32 [1, 77 n, width], pooled [1, projection] of the first chunk or None) of the text encoder `number`."""
        import torch

        encoder = self.checkpoint.text_encoders[number]
        hidden, pooled = [], None
        for chunk in self.chunks(number, text):
            vectors = [(place + 1, self.words[name][number]) for place, name in chunk.words]
            with learned_words(encoder.token_embedding, vectors):
                z, first = encoder.encode(_ids(chunk, encoder).to(encoder.token_embedding.weight.device), self.clip_skip)
            hidden.append(_emphasized(z.float(), [1.0, *chunk.weights, 1.0]))
            pooled = first if pooled is None else pooled
        return torch.cat(hidden, dim=1), None if pooled is None else pooled.float()

    def chunks(self, number: int, text: str) -> list[Chunk]:
        encoder = self.checkpoint.text_encoders[number]
        names = sorted(((_tokens(encoder, name), name) for name in self.words), key=lambda known: -len(known[0]))

        def word(tokens: Sequence[int], place: int) -> tuple[str, int, int] | None:
            for known, name in names:
                if known and list(tokens[place : place + len(known)]) == known:
                    return name, len(self.words[name][number]), len(known)
            return None

        pieces = [(None if piece.text is None else _tokens(encoder, piece.text), piece.weight) for piece in syntax.pieces(text)]
        return syntax.chunks(pieces, comma=_COMMA, padding=_END, word=word)

    def words_of(self, text: str) -> list[Word]:
        tokenizer, words = self.checkpoint.text_encoders[0].tokenizer, []
        for number, chunk in enumerate(self.chunks(0, text)):
            learned = {place + k: (place, name) for place, name in chunk.words for k in range(len(self.words[name][0]))}
            beginning, places = "", list[int]()
            for place, token in enumerate(chunk.tokens):
                if place not in learned and token == _END:
                    break
                start, piece = learned.get(place, (place, tokenizer.convert_ids_to_tokens(token)))
                places.append(1 + place + (CHUNK + 2) * number)
                ends = learned.get(place + 1, (-1, ""))[0] != start if place in learned else piece.endswith("</w>")
                beginning = piece if place in learned else beginning + piece.removesuffix("</w>")
                if ends:
                    words.append(Word(beginning.lower(), tuple(places)))
                    beginning, places = "", []
        return words


def _tokens(encoder: TextEncoder, text: str) -> list[int]:
    return encoder.tokenizer(text, add_special_tokens=False, truncation=False, verbose=False)["input_ids"]


def _ids(chunk: Chunk, encoder: TextEncoder) -> torch.Tensor:
    """The chunk between start and end, int64 [1, 77]; what stands behind the first end is the encoder's own padding."""
    import torch

    ids = [_START, *chunk.tokens, _END]
    end = ids.index(_END) + 1
    return torch.tensor([ids[:end] + [encoder.tokenizer.pad_token_id] * (len(ids) - end)])


def _emphasized(hidden: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """Each token's vector times its weight, and all of them scaled so that their mean is what it was."""
    import torch

    weighted = hidden * torch.tensor(weights, device=hidden.device)[None, :, None]
    return weighted * (hidden.mean() / weighted.mean())


@contextmanager
def learned_words(embedding: torch.nn.Embedding, vectors: Sequence[tuple[int, torch.Tensor]]) -> Iterator[None]:
    """Within this block the embedding gives `vectors`, (place, [n, width]), for what stands at these places of every prompt."""

    def put(module: Any, inputs: Any, output: torch.Tensor) -> torch.Tensor:
        output = output.clone()
        for place, vector in vectors:
            output[:, place : place + len(vector)] = vector.to(output)
        return output

    handle = embedding.register_forward_hook(put) if vectors else None
    try:
        yield
    finally:
        if handle is not None:
            handle.remove()
