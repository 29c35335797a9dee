"""Prompts as users of the AUTOMATIC1111 web UI write them: attention, breaks, changes during the sampling, chunks of 75 tokens.

Syntax and numbers are the web UI's; the tests hold them against its own answers. One thing differs: BREAK inside of parentheses
ends the chunk there as well, where the web UI would take it for a word.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from clickpaint.errors import InvalidInput

CHUNK = 75
"""Tokens between start and end that the text encoder takes at once."""

BACKTRACK = 20
"""What stands behind the last comma of a full chunk moves on to the next one, if it is at most so many tokens."""

_ATTENTION = re.compile(r"\\[\\()\[\]]?|[(\[\])]|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|:|[^\\()\[\]:]+")
_BREAK = re.compile(r"\s*\bBREAK\b\s*", re.DOTALL)
_NUMBER = re.compile(r"\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*")
_AND = re.compile(r"\bAND\b")
_WEIGHTED = re.compile(r"(.*?)(?:\s*:\s*([-+]?(?:\d+\.?|\d*\.\d+)))?\s*", re.DOTALL)
_NETWORK = re.compile(r"<(\w+):([^>]+)>")
_STRONGER = 1.1


@dataclass(frozen=True)
class Piece:
    """Text with the weight of its tokens; text None is a BREAK."""

    text: str | None
    weight: float


@dataclass(frozen=True)
class Network:
    """`<kind:name:weight:…>` in a prompt, as LoRAs are asked for.

    Attributes:
        arguments: what stands behind the name.
    """

    kind: str
    name: str
    arguments: tuple[str, ...]


@dataclass
class Chunk:
    """A part of a prompt that CLIP reads at once.

    Attributes:
        tokens: one for each of the 75 places.
        weights: one for each of them.
        words: the places where the vectors of a learned word start, and its name.
    """

    tokens: list[int] = field(default_factory=list)
    weights: list[float] = field(default_factory=list)
    words: list[tuple[int, str]] = field(default_factory=list)


def without_networks(prompt: str) -> tuple[str, tuple[Network, ...]]:
    """The prompt without its `<…>`, and what those ask for."""
    networks = []
    for match in _NETWORK.finditer(prompt):
        name, *arguments = match[2].split(":")
        networks.append(Network(match[1], name, tuple(arguments)))
    return _NETWORK.sub("", prompt), tuple(networks)


def composed(prompt: str) -> list[tuple[str, float]]:
    """The prompts that AND joins, each with its weight: `a AND b:0.7` (composable diffusion, Liu et al., 2022). As in the web UI, a
    number behind a colon at the very end is a weight also where there is no AND."""
    parts = []
    for part in _AND.split(prompt):
        match = _WEIGHTED.fullmatch(part)
        assert match is not None  # which nothing fails to be
        parts.append((match[1], 1.0 if match[2] is None else float(match[2])))
    return parts


def check_constant(*prompts: str) -> None:
    """Raise `InvalidInput` where a prompt is not one and the same over the sampling."""
    for prompt in prompts:
        if len(schedule(prompt, 100)) > 1:
            raise InvalidInput(
                "A prompt that changes during the sampling cannot be edited by words.", "Leave [before:after:when] out of it."
            )
        if len(composed(prompt)) > 1:
            raise InvalidInput("Several prompts joined by AND cannot be edited by words.", "Write them as one.")


def pieces(prompt: str) -> list[Piece]:
    r"""The prompt cut where the weight changes.

    (a) is 1.1 times as strong, [a] 1 / 1.1 times, (a:1.5) 1.5 times; they multiply when nested, one that is left open reaches to the
    end, and \( \) \[ \] \\ stand for themselves.
    """
    texts: list[str | None] = []
    weights: list[float] = []
    opened: dict[str, list[int]] = {"(": [], "[": []}

    def weigh(start: int, by: float) -> None:
        weights[start:] = [weight * by for weight in weights[start:]]

    for match in _ATTENTION.finditer(prompt):
        sign = match[0]
        if sign in opened:
            opened[sign].append(len(texts))
        elif match[1] is not None and opened["("]:
            weigh(opened["("].pop(), float(match[1]))
        elif sign == ")" and opened["("]:
            weigh(opened["("].pop(), _STRONGER)
        elif sign == "]" and opened["["]:
            weigh(opened["["].pop(), 1 / _STRONGER)
        else:
            literal = sign[1:] if sign[0] == "\\" else sign
            for number, part in enumerate([literal] if sign[0] == "\\" else _BREAK.split(literal)):
                texts += [None, part] if number else [part]
            weights += [1.0] * (len(texts) - len(weights))
    for bracket, by in (("(", _STRONGER), ("[", 1 / _STRONGER)):
        for start in opened[bracket]:
            weigh(start, by)

    merged: list[Piece] = []
    for text, weight in zip(texts, weights, strict=True):
        last = merged[-1] if merged else None
        if last is not None and last.text is not None and text is not None and last.weight == weight:
            merged[-1] = Piece(last.text + text, weight)
        else:
            merged.append(Piece(text, weight))
    return merged or [Piece("", 1.0)]


def chunks(
    tokenized: Sequence[tuple[Sequence[int] | None, float]],
    *,
    comma: int,
    padding: int,
    word: Callable[[Sequence[int], int], tuple[str, int, int] | None] = lambda tokens, place: None,
) -> list[Chunk]:
    """Tokens and their weights in chunks of 75, at least one.

    Args:
        tokenized: (tokens, weight) of each piece; None for its tokens is a BREAK.
        comma, padding: tokens.
        word: finds a learned word at a place among the tokens: its name, the number of its vectors and of its tokens.
    """
    made: list[Chunk] = []
    chunk, last_comma = Chunk(), -1

    def close() -> None:
        nonlocal chunk, last_comma
        missing = CHUNK - len(chunk.tokens)
        chunk.tokens += [padding] * missing
        chunk.weights += [1.0] * missing
        made.append(chunk)
        chunk, last_comma = Chunk(), -1

    for tokens, weight in tokenized:
        if tokens is None:
            close()
            continue
        place = 0
        while place < len(tokens):
            if tokens[place] == comma:
                last_comma = len(chunk.tokens)
            elif len(chunk.tokens) == CHUNK and last_comma >= 0 and CHUNK - last_comma <= BACKTRACK:
                cut = last_comma + 1
                moved = chunk.tokens[cut:], chunk.weights[cut:], [(at - cut, name) for at, name in chunk.words if at >= cut]
                del chunk.tokens[cut:], chunk.weights[cut:]
                chunk.words = [(at, name) for at, name in chunk.words if at < cut]
                close()
                chunk.tokens, chunk.weights, chunk.words = moved
            if len(chunk.tokens) == CHUNK:
                close()
            learned = word(tokens, place)
            name, vectors, length = learned or ("", 1, 1)
            if len(chunk.tokens) + vectors > CHUNK:
                close()
            if learned:
                chunk.words.append((len(chunk.tokens), name))
            chunk.tokens += [0] * vectors if learned else [tokens[place]]
            chunk.weights += [weight] * vectors
            place += length
    if chunk.tokens or not made:
        close()
    return made


@dataclass(frozen=True)
class _Change:
    """[before:after:when]"""

    before: _Nodes
    after: _Nodes
    when: str

    def step(self, steps: int) -> int:
        """The last step with `before`: a number with a point is a share of the steps."""
        return min(steps, int(float(self.when) * steps if "." in self.when else float(self.when)))


@dataclass(frozen=True)
class _Turns:
    """[one|other|…], taking turns step by step."""

    options: tuple[_Nodes, ...]


_Nodes = tuple["str | _Change | _Turns", ...]


def schedule(prompt: str, steps: int) -> list[tuple[int, str]]:
    """The prompt over the steps: texts in order, each with the number of the last step (from 0) that it holds for.

    [a:b:0.5] or [a:b:10] goes from a to b, [a:0.5] adds a, [a::0.5] takes it away; [a|b] takes turns.
    """
    try:
        nodes = _parse(prompt)
        ends = {steps, *_ends(nodes, steps)}
        return [(end, _at(nodes, end, steps)) for end in sorted(ends)]
    except RecursionError:  # thousands of brackets within each other mean nothing
        return [(steps, prompt)]


def _parse(text: str) -> _Nodes:
    nodes: list[str | _Change | _Turns] = []
    place = 0
    while place < len(text):
        end = _closing(text, place) if text[place] == "[" else None
        if end is None:
            length = 2 if text[place] == "\\" else 1
            nodes.append(text[place : place + length])
            place += length
            continue
        inner = text[place + 1 : end]
        parts, separators = _split(inner)
        if separators in (":", "::") and _NUMBER.fullmatch(parts[-1]):
            before = _parse(parts[0]) if separators == "::" else ()
            nodes.append(_Change(before, _parse(parts[-2]), parts[-1].strip()))
        elif separators and set(separators) == {"|"}:
            nodes.append(_Turns(tuple(_parse(part) for part in parts)))
        else:
            nodes += ["[", *_parse(inner), "]"]
        place = end + 1
    return tuple(nodes)


def _closing(text: str, start: int) -> int | None:
    """Where the bracket that opens at `start` closes."""
    depth, place = 0, start
    while place < len(text):
        depth += {"[": 1, "]": -1}.get(text[place], 0)
        if depth == 0:
            return place
        place += 2 if text[place] == "\\" else 1
    return None


def _split(text: str) -> tuple[list[str], str]:
    """The parts of `text` between the colons and bars that stand in no further brackets, and these separators in order; none where
    brackets do not match."""
    parts, separators, depth, place = [""], "", 0, 0
    while place < len(text):
        letter = text[place]
        depth += {"[": 1, "(": 1, "]": -1, ")": -1}.get(letter, 0)
        if depth < 0:
            return [text], ""
        if letter in ":|" and depth == 0:
            parts.append("")
            separators += letter
            place += 1
            continue
        length = 2 if letter == "\\" else 1
        parts[-1] += text[place : place + length]
        place += length
    return (parts, separators) if depth == 0 else ([text], "")


def _ends(nodes: _Nodes, steps: int) -> set[int]:
    ends: set[int] = set()
    for node in nodes:
        if isinstance(node, _Change):
            ends |= {node.step(steps)} if node.step(steps) >= 1 else set()
            ends |= _ends(node.before, steps) | _ends(node.after, steps)
        elif isinstance(node, _Turns):
            ends |= set(range(1, steps + 1)).union(*(_ends(option, steps) for option in node.options))
    return ends


def _at(nodes: _Nodes, step: int, steps: int) -> str:
    out = ""
    for node in nodes:
        if isinstance(node, _Change):
            out += _at(node.before if step <= node.step(steps) else node.after, step, steps)
        elif isinstance(node, _Turns):
            out += _at(node.options[(step - 1) % len(node.options)], step, steps)
        else:
            out += node
    return out
