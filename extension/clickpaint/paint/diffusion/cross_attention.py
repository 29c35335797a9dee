"""Influences that look at, or change, what the picture's places see in the words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from clickpaint.paint.diffusion import attention
from clickpaint.paint.diffusion.attention import Attend, Layer
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part

if TYPE_CHECKING:
    import torch

_LOCAL_FROM, _LOCAL_THRESHOLD = 0.2, 0.3
"""Of Prompt-to-Prompt's local blend: after which share of the steps, and of a map's largest value."""


class _Looking(Part):
    """Knows in the attention's layers which rows belong to which branch.

    Args:
        size: (height, width) of the latents.
    """

    def __init__(self, size: tuple[int, int]) -> None:
        self._size = size
        self._quarter = tuple((side + 3) // 4 for side in size)
        self._branches: tuple[str, ...] = ()
        self._share = self._level = 0.0

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        self._branches, self._share, self._level = inputs.branches, moment.share, moment.level
        return inputs

    def _rows(self, hidden: torch.Tensor, branch: str) -> slice | None:
        """Those of a branch among the rows of a layer; None where this call is not about it."""
        if branch not in self._branches:
            return None
        batch = len(hidden) // len(self._branches)
        start = batch * self._branches.index(branch)
        return slice(start, start + batch)

    def _is_quarter(self, pixels: int) -> bool:
        """Whether a layer is of the level with a quarter of the latents' sides, where words show best (16 x 16 of 512 x 512 pixels)."""
        return attention.sides(pixels, *self._size) == self._quarter


class WordMaps(_Looking):
    """Keeps how much each place of the picture looks at each place of the prompt, as a mean over heads, layers and steps (Hertz et al.,
    2022; for pictures, Tang et al., 2023, call it DAAM). Changes nothing.

    Args:
        branch: of the prompt.
    """

    def __init__(self, size: tuple[int, int], branch: str = "cond") -> None:
        super().__init__(size)
        self._branch, self._count = branch, 0
        self._sum: torch.Tensor | None = None

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        if not layer.cross or layer.place == "mid":
            return None

        def attends(module: Any, hidden: torch.Tensor, encoder_hidden_states: Any = None, **more: Any) -> torch.Tensor:
            rows = self._rows(hidden, self._branch)
            if rows is not None and self._is_quarter(hidden.shape[1]):
                shares = attention.probabilities(module, hidden[rows], encoder_hidden_states[rows]).float().mean((0, 1))
                self._sum = shares if self._sum is None else self._sum + shares
                self._count += 1
            return attend(module, hidden, encoder_hidden_states=encoder_hidden_states, **more)

        return attends

    def maps(self) -> torch.Tensor | None:
        """Float32 [77 n, h / 4, w / 4]; None where the network has no such layer."""
        return None if self._sum is None else (self._sum / self._count).T.reshape(-1, *self._quarter)


@dataclass(frozen=True, eq=False)
class Exchange:
    """What Prompt-to-Prompt does to the attention.

    Attributes:
        mapper, shares: see `word_alignment.aligned`; tensors [m, m] and [m].
        strengths: [m], see `word_alignment.strengths`.
        cross_until, self_until: shares of the sampling.
        gone, new: the places of the words that only the source, or only the target, has.
        local: whether only what these look at changes.
    """

    mapper: torch.Tensor
    shares: torch.Tensor
    strengths: torch.Tensor
    cross_until: float
    self_until: float
    gone: Sequence[int] = ()
    new: Sequence[int] = ()
    local: bool = False

    def exchanged(self, source: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
        """The target's probabilities [rows, heads, n, m] with the source's where the prompts agree, each word as strong as asked."""
        mapped = source @ self.mapper.to(source)
        mixed = mapped * self.shares.to(source) + target * (1 - self.shares.to(source))
        return mixed * self.strengths.to(source)


class PromptToPrompt(_Looking):
    """Hertz et al. (2022): the first half of a batch looks at the words, and for a while at the picture, as the second half does.

    Args:
        exchange: what is taken from the second half.
        size: (height, width) of the latents.
    """

    def __init__(self, exchange: Exchange, size: tuple[int, int]) -> None:
        super().__init__(size)
        self.exchange = exchange
        self._seen: torch.Tensor | None = None
        self._layers = 0

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        across, within = self._across, self._within

        def attends(module: Any, hidden: torch.Tensor, encoder_hidden_states: Any = None, **more: Any) -> torch.Tensor:
            import torch

            rows = self._rows(hidden, "cond")
            out = attend(module, hidden, encoder_hidden_states=encoder_hidden_states, **more)
            if rows is None:
                return out
            half = (rows.stop - rows.start) // 2
            target, source = slice(rows.start, rows.start + half), slice(rows.start + half, rows.stop)
            if layer.cross:
                changed = across(layer, module, hidden, encoder_hidden_states, target, source)
            else:
                changed = within(module, hidden, target, source)
            return out if changed is None else torch.cat([out[: target.start], changed.to(out.dtype), out[target.stop :]])

        return attends

    def _across(
        self, layer: Layer, module: Any, hidden: torch.Tensor, words: torch.Tensor, target: slice, source: slice
    ) -> torch.Tensor | None:
        watched = self.exchange.local and layer.place != "mid" and self._is_quarter(hidden.shape[1])
        exchanges = self._share < self.exchange.cross_until
        if not (watched or exchanges):
            return None
        shares, theirs = (attention.probabilities(module, hidden[rows], words[rows]) for rows in (target, source))
        if exchanges:
            shares = self.exchange.exchanged(theirs, shares)
        if watched:
            self._watch(shares, theirs)
        return attention.answered(module, shares, words[target]) if exchanges else None

    def _within(self, module: Any, hidden: torch.Tensor, target: slice, source: slice) -> torch.Tensor | None:
        import torch

        if self._share >= self.exchange.self_until or hidden.shape[1] > self._quarter[0] * self._quarter[1]:
            return None  # on the finer levels the picture's shape would be held, not its composition
        keys, _ = attention.keys_values(module, hidden[source])
        _, values = attention.keys_values(module, hidden[target])
        looked = torch.nn.functional.scaled_dot_product_attention(
            attention.queries(module, hidden[source]), keys, values, scale=module.scale
        )
        return attention.projected(module, looked)

    def _watch(self, target: torch.Tensor, source: torch.Tensor) -> None:
        """Add to the map [2, rows, h / 4, w / 4] of the changed words, of which each prompt may have none."""
        import torch

        rows = [
            shares.float().mean(1)[..., list(places)].sum(-1).reshape(-1, *self._quarter)
            for shares, places in ((target, self.exchange.new), (source, self.exchange.gone))
        ]
        seen = torch.stack(rows)
        self._seen = seen if self._seen is None else self._seen + seen

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        """The local blend: outside of what the changed words look at, the first half is the second."""
        import torch

        if self._seen is None or moment.share_after < _LOCAL_FROM:
            return latents
        seen = torch.nn.functional.max_pool2d(self._seen, 3, 1, 1)
        seen = torch.nn.functional.interpolate(seen, size=latents.shape[2:])
        most = seen.amax((2, 3), keepdim=True)
        changes = ((seen > most * _LOCAL_THRESHOLD) & (most > 0)).any(0)[:, None]
        target, source = latents.chunk(2)
        return torch.cat([target.where(changes, source), source])


@dataclass(frozen=True)
class SemanticEdit:
    """One of LEDITS++'s edits.

    Attributes:
        branch: whose prompt it is.
        scale: below 0 to take away.
        threshold: quantile, 0..1, below which it does not act.
        tokens: how many its prompt has.
    """

    branch: str
    scale: float
    threshold: float
    tokens: int


class Semantic(_Looking):
    """LEDITS++ (Brack et al., 2024), equations 9 to 13: guidance of its own for each edit, only where its words are seen and the network's
    answer changes most. It is the guidance of the sampling, and a part of it.

    Args:
        size: (height, width) of the latents.
    """

    def __init__(self, edits: Sequence[SemanticEdit], size: tuple[int, int]) -> None:
        super().__init__(size)
        self.edits = tuple(edits)
        self._seen: dict[str, list[torch.Tensor]] = {}

    @property
    def branches(self) -> tuple[str, ...]:
        return "uncond", *(edit.branch for edit in self.edits)

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        if not layer.cross or layer.place == "mid":
            return None

        def attends(module: Any, hidden: torch.Tensor, encoder_hidden_states: Any = None, **more: Any) -> torch.Tensor:
            if self._is_quarter(hidden.shape[1]):
                for edit in self.edits:
                    rows = self._rows(hidden, edit.branch)
                    if rows is not None:
                        shares = attention.probabilities(module, hidden[rows], encoder_hidden_states[rows]).float().mean(1)
                        self._seen.setdefault(edit.branch, []).append(shares[..., 1 : 1 + edit.tokens].sum(-1))
            return attend(module, hidden, encoder_hidden_states=encoder_hidden_states, **more)

        return attends

    def combine(self, answers: Mapping[str, torch.Tensor]) -> torch.Tensor:
        import torch

        plain = answers["uncond"]
        guided = plain
        for edit in self.edits:
            change = (answers[edit.branch] - plain) * edit.scale
            where = self._words(edit, plain.shape[2:])
            if self._level <= 800:  # in more noise than this the answers say nothing about places
                moved = change.abs().sum(1, keepdim=True)
                least = torch.quantile(moved.flatten(1), edit.threshold, dim=1)[:, None, None, None]
                where = (moved >= least) * (1.0 if where is None else where)
            guided = guided + (change if where is None else change * where)
        self._seen.clear()
        return guided

    def _words(self, edit: SemanticEdit, size: Any) -> torch.Tensor | None:
        """Where the edit's words are seen, [batch, 1, h, w] of zeros and ones; None where the network has no layer to see it in."""
        import torch

        if edit.branch not in self._seen:
            return None
        seen = torch.stack(self._seen[edit.branch]).mean(0).reshape(-1, 1, *self._quarter)
        if min(self._quarter) > 1:
            seen = torch.nn.functional.conv2d(torch.nn.functional.pad(seen, (1, 1, 1, 1), mode="reflect"), _gaussian().to(seen))
        least = torch.quantile(seen.flatten(1), edit.threshold, dim=1)[:, None, None, None]
        return torch.nn.functional.interpolate((seen >= least).float(), size)


def _gaussian() -> torch.Tensor:
    """[1, 1, 3, 3], as wide as LEDITS++'s own code makes it, which squares half of what it calls the deviation."""
    import torch

    line = torch.exp(-(torch.tensor([-1.0, 0.0, 1.0]) ** 2))
    return (line[:, None] * line / line.sum() ** 2)[None, None]
