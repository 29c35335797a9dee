"""Several frames in one sampling: what makes a batch of pictures the frames of one clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from clickpaint.paint.diffusion.attention import Attend, Layer
from clickpaint.paint.diffusion.latents import CELL
from clickpaint.paint.diffusion.loop import Inputs, Moment, Part, Residuals

if TYPE_CHECKING:
    import torch


class CrossFrame(Part):
    """Every picture of the batch looks at the first one instead of at itself: equation 8 of Text2Video-Zero (Khachatryan et al., 2023).

    Queries are each frame's own, keys and values the first frame's, so that what is the same thing in two frames gets the same looks.
    """

    def __init__(self) -> None:
        self._branches = 1  # that the network is being asked for at once

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        self._branches = len(inputs.branches)
        return inputs

    def attention(self, layer: Layer, attend: Attend) -> Attend | None:
        if layer.cross:
            return None

        def look(module: Any, hidden_states: torch.Tensor, encoder_hidden_states: Any = None, *rest: Any, **more: Any) -> torch.Tensor:
            by_branch = hidden_states.unflatten(0, (self._branches, -1))
            if by_branch.shape[1] > 1:
                encoder_hidden_states = by_branch[:, :1].expand_as(by_branch).flatten(0, 1)
            return attend(module, hidden_states, encoder_hidden_states, *rest, **more)

        return look


@dataclass(frozen=True, eq=False)
class ByFrame(Part):
    """Gives each picture of the batch the parts that its own engine wants, as if it were painted alone.

    Attributes:
        parts: of each frame.
    """

    parts: Sequence[Sequence[Part]]

    def residuals(self, inputs: Inputs, moment: Moment) -> Residuals | None:
        import torch

        residuals = []
        for number, own in enumerate(self.parts):
            added = [each for part in own if (each := part.residuals(*self._of(number, inputs, moment))) is not None]
            if not added:
                return None  # the frames' parts are of the same kinds
            total = added[0]
            for each in added[1:]:
                total = total + each
            residuals.append(total)
        branches = len(inputs.branches)

        def joined(rows: Sequence[torch.Tensor]) -> torch.Tensor:
            return torch.stack([row.unflatten(0, (branches, -1)) for row in rows], dim=1).flatten(0, 2)

        down = tuple(joined(rows) for rows in zip(*(each.down for each in residuals), strict=True))
        return Residuals(down, joined([each.mid for each in residuals]))

    def model_input(self, inputs: Inputs, moment: Moment) -> Inputs:
        import torch

        samples = []
        for number, own in enumerate(self.parts):
            alone, now = self._of(number, inputs, moment)
            for part in own:
                alone = part.model_input(alone, now)
            samples.append(alone.sample)
        return replace(inputs, sample=torch.stack(samples, dim=1).flatten(0, 1))

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        import torch

        rows = []
        for number, (own, row) in enumerate(zip(self.parts, latents.split(1), strict=True)):
            now = replace(moment, generators=moment.generators[number : number + 1])
            for part in own:
                row = part.after_step(row, now)
            rows.append(row)
        return torch.cat(rows)

    def _of(self, number: int, inputs: Inputs, moment: Moment) -> tuple[Inputs, Moment]:
        """What the network would be asked for this frame alone."""
        count = len(self.parts)
        own = replace(
            inputs, sample=inputs.sample[number::count], context=inputs.context[number::count],
            added={key: value[number::count] for key, value in inputs.added.items()},
        )  # fmt: skip
        return own, replace(moment, generators=moment.generators[number : number + 1])


def cells_along(places: np.ndarray, cell: int = CELL) -> np.ndarray:
    """Which latent of the first frame each latent of another one shows, from where its pixels were.

    Args:
        places: float32 [h, w, 2], the (x, y) in the first frame, in pixels, of each pixel of the other.
        cell: side in pixels of what one latent stands for.

    Returns:
        int64 [h/cell, w/cell], row · (w/cell) + column; -1 where that lies beyond the first frame.
    """
    height, width = places.shape[0] // cell, places.shape[1] // cell
    middle = places[: height * cell, : width * cell].reshape(height, cell, width, cell, 2).mean(axis=(1, 3), dtype=np.float64)
    columns, rows = np.floor((middle[..., 0] + 0.5) / cell), np.floor((middle[..., 1] + 0.5) / cell)
    inside = (columns >= 0) & (columns < width) & (rows >= 0) & (rows < height)
    return np.where(inside, np.where(inside, rows, 0) * width + np.where(inside, columns, 0), -1).astype(np.int64)


def carried_noise(cells: np.ndarray, fresh: torch.Generator) -> Callable[[torch.Tensor], torch.Tensor]:
    """What carries the noise of a first frame [1, 4, h, w] to another: the nearest latent, which keeps its distribution normal.

    Args:
        cells: see `cells_along`.
        fresh: where noise comes from for what the first frame does not show.
    """
    import torch

    def carry(first: torch.Tensor) -> torch.Tensor:
        index = torch.from_numpy(cells.ravel())
        taken = first.flatten(2)[..., index.clamp(min=0).to(first.device)]
        new = torch.randn(taken.shape, generator=fresh).to(taken)
        return torch.where((index >= 0).to(first.device), taken, new).reshape(first.shape)

    return carry


def moved(latents: torch.Tensor, across: float, down: float) -> torch.Tensor:
    """Latents [1, 4, h, w] of a scene that has moved by so many pixels to the right and downwards: the nearest ones, mirrored where
    they come in from beyond the border (equation 6 of Text2Video-Zero, with a motion field that is the same everywhere)."""
    import torch

    height, width = latents.shape[2:]
    index = []
    for count, shift in ((height, down / CELL), (width, across / CELL)):
        places = np.rint(np.arange(count) - shift).astype(np.int64) % (2 * count)
        index.append(torch.from_numpy(np.where(places < count, places, 2 * count - 1 - places)).to(latents.device))
    return latents[:, :, index[0][:, None], index[1][None, :]]


class SmoothBackground(Part):
    """Keeps what is behind the object near to the first frame's, moved along: section 3.3.3 of Text2Video-Zero.

    Args:
        object_mask: bool [1, 1, h, w] in latents, the object of the first frame.
        shifts: (across, down) in pixels of each picture of the batch; the first one stands still.
        share: 0 to 1, how much of the background is the first frame's.
    """

    def __init__(self, object_mask: torch.Tensor, shifts: Sequence[tuple[float, float]], share: float) -> None:
        self._masks = [moved(object_mask, *shift) for shift in shifts]
        self._shifts, self._share = shifts, share

    def after_step(self, latents: torch.Tensor, moment: Moment) -> torch.Tensor:
        import torch

        rows = [latents[:1]]
        for row, mask, shift in zip(latents[1:].split(1), self._masks[1:], self._shifts[1:], strict=True):
            rows.append(torch.where(mask, row, self._share * moved(latents[:1], *shift) + (1 - self._share) * row))
        return torch.cat(rows)
