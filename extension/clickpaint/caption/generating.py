"""From `Decoding` to transformers' generate, and back to wordings with scores."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from clickpaint.caption.base import Decoding, Wording
from clickpaint.progress import Progress

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_LEANING = 3.0
"""Added to the logit of a favoured word, taken from that of an avoided one: twenty times as likely as it was."""
_TOKENS_PER_WORD = 3
_NUCLEUS = 0.9
_WORD = re.compile(r"\w", re.UNICODE)


class Vocabulary:
    """What the tokens of a tokenizer are to words. starts: bool [V], begins a word. wordy: bool [V], is a word or a piece of one.
    stops: bool [V], ends a sentence."""

    def __init__(self, tokenizer: Any, size: int) -> None:
        import torch

        known = min(size, len(tokenizer))
        tokens = [str(token) for token in tokenizer.convert_ids_to_tokens(list(range(known)))]
        special = set(tokenizer.all_special_ids)
        marked = sum(token[:1] in ("▁", "Ġ") for token in tokens) > known // 10  # a space is part of the token, or "##" marks its absence
        self.starts = torch.zeros(size, dtype=torch.bool)
        self.wordy = torch.zeros(size, dtype=torch.bool)
        self.stops = torch.zeros(size, dtype=torch.bool)
        self._ids: dict[str, list[int]] = {}
        for index, token in enumerate(tokens):
            if index in special:
                continue
            plain = token.lstrip("▁Ġ").removeprefix("##")
            begins = token[:1] in ("▁", "Ġ") if marked else not token.startswith("##")
            self.wordy[index] = bool(_WORD.search(plain))
            self.starts[index] = begins and (self.wordy[index] or not plain)
            self.stops[index] = plain in (".", "!", "?", "。", "！", "？")
            if begins:
                self._ids.setdefault(plain.lower(), []).append(index)

    def ids(self, words: Sequence[str]) -> list[int]:
        """The tokens that are one of these words as a whole."""
        return [index for word in words for index in self._ids.get(word.lower(), ())]


def steering(vocabulary: Vocabulary, decoding: Decoding, ends: Sequence[int], progress: Progress) -> Any:
    """The processors of every step's logits, a `LogitsProcessorList`: they hear the interruption, lean to words, and count words.

    Until the fewest words are there no token of `ends` may come; with the most, no further word may begin. A sentence that closes
    in between closes the caption. Two punctuation marks never follow each other.
    """
    import torch
    from transformers import LogitsProcessor, LogitsProcessorList

    class Heard(LogitsProcessor):
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            progress.check()
            return scores

    class Leaning(LogitsProcessor):
        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            bias = scores.new_zeros(scores.shape[-1])
            bias[vocabulary.ids(decoding.favoured)] = _LEANING
            bias[vocabulary.ids(decoding.avoided)] = -_LEANING
            return scores + bias

    class Counting(LogitsProcessor):
        def __init__(self, least: int, most: int) -> None:
            self.least, self.most, self.prompt = least, most, -1

        def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
            if self.prompt < 0:
                self.prompt = input_ids.shape[1]
            starts, wordy, stops = (table.to(scores.device) for table in (vocabulary.starts, vocabulary.wordy, vocabulary.stops))
            end = torch.zeros_like(starts)
            end[list(ends)] = True
            generated = input_ids[:, self.prompt :].clamp(max=len(starts) - 1)
            within = torch.nn.functional.pad(wordy[generated], (1, 0))  # whether the token before was part of a word
            counts = (starts[generated] | (wordy[generated] & ~within[:, :-1])).sum(dim=1, keepdim=True)
            last = within[:, -1:]
            closed = (stops[generated[:, -1:]] & (counts >= self.least)) if generated.shape[1] else torch.zeros_like(last)
            piece = wordy & ~starts & last
            allowed = torch.where(counts < self.least, ~end, torch.where(counts < self.most, torch.ones_like(end), end | stops | piece))
            if generated.shape[1]:  # after a punctuation mark a word, or it might go on with marks for ever
                allowed = allowed & (last | starts | wordy | end)
            scores = scores.masked_fill(~torch.where(closed, end, allowed), -float("inf"))
            # a beam that has nothing left to say ends
            return torch.where(scores.isneginf().all(dim=1, keepdim=True) & end, scores.new_zeros(()), scores)

    made: list[Any] = [Heard()]
    if decoding.favoured or decoding.avoided:
        made.append(Leaning())
    if decoding.words is not None:
        made.append(Counting(*decoding.words))
    return LogitsProcessorList(made)


def generation(decoding: Decoding, processors: Any) -> dict[str, Any]:
    """The arguments of transformers' generate."""
    tokens = decoding.max_tokens if decoding.words is None else max(decoding.max_tokens, _TOKENS_PER_WORD * decoding.words[1])
    given: dict[str, Any] = {
        "max_new_tokens": tokens, "num_return_sequences": decoding.candidates, "logits_processor": processors,
        "return_dict_in_generate": True, "output_scores": True,
    }  # fmt: skip
    if decoding.words is not None:
        given["no_repeat_ngram_size"] = 3  # what is made to go on would otherwise say the same again
    if decoding.temperature > 0:
        return {**given, "do_sample": True, "temperature": decoding.temperature, "top_p": _NUCLEUS, "top_k": 0, "num_beams": 1}
    return {**given, "do_sample": False, "num_beams": max(decoding.beams, decoding.candidates)}


@contextlib.contextmanager
def seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Within, torch draws by this seed; afterwards its generators are as they were."""
    import torch

    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def wordings(output: Any, decode: Callable[[Tensor], list[str]], count: int, ends: Sequence[int]) -> list[list[Wording]]:
    """What generate gave for each of `count` crops: its wordings, the surest first."""
    texts, scores = decode(output.sequences), mean_log_probabilities(output, ends)
    each = len(texts) // count
    wordings = [Wording(" ".join(text.split()), score) for text, score in zip(texts, scores, strict=True)]
    return [sorted(_distinct(wordings[i * each : (i + 1) * each]), key=lambda wording: -wording.score) for i in range(count)]


def mean_log_probabilities(output: Any, ends: Sequence[int]) -> list[float]:
    """Per sequence, over its generated tokens up to and with its end."""
    import torch

    steps = torch.stack([torch.log_softmax(step.float(), dim=-1) for step in output.scores])  # [T, rows, V]
    beams = getattr(output, "beam_indices", None)
    length = len(steps) if beams is None else int((beams >= 0).sum(dim=1).max())  # a search may go on after its best has ended
    tokens = output.sequences[:, output.sequences.shape[1] - length :]
    means = []
    for row, generated in enumerate(tokens.tolist()):
        logs: list[float] = []
        for step, token in enumerate(generated):
            source = row if beams is None else int(beams[row, step])
            if source < 0:
                break
            logs.append(float(steps[step, source, token]))
            if token in ends:
                break
        finite = [value for value in logs if value > -1e30]
        means.append(sum(finite) / len(finite) if finite else 0.0)
    return means


def _distinct(wordings: list[Wording]) -> list[Wording]:
    return list({wording.text: wording for wording in sorted(wordings, key=lambda wording: wording.score)}.values())
