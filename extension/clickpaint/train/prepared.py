"""Batches as tensors: latents and masks of latents, kept on the disk by what they are made of, so that nothing is encoded twice."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from clickpaint.image.whole_file import write_whole
from clickpaint.paint.diffusion.latents import CELL, Coder
from clickpaint.paint.diffusion.model_choice import model_of
from clickpaint.train.captions import CaptionTensors, encode_captions

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from clickpaint.paint.checkpoint.opening import Checkpoint

_COLUMNS = 64
"""Numbers of every tensor that a network is known by."""


_REMEMBERED = 256 << 20
"""Bytes of latents that stay in memory."""


class Example(Protocol):
    """What `dataset.loading.LoadedExample` has."""

    @property
    def pixels(self) -> np.ndarray: ...
    @property
    def mask(self) -> np.ndarray | None: ...
    @property
    def caption(self) -> str: ...
    @property
    def control_map(self) -> np.ndarray | None: ...
    @property
    def before(self) -> np.ndarray | None: ...


@dataclass(frozen=True)
class Turn:
    """One example's turn in an epoch, whatever data set it is from.

    Attributes:
        key: what its pictures are known by; equal only where they are.
        caption: what is said of it.
        load: reads it.
        sizes: see `captions.size_numbers`.
    """

    key: str
    caption: str
    load: Callable[[], Example]
    sizes: Mapping[str, tuple[int, int]]


@dataclass(frozen=True, eq=False)
class Prepared:
    """A batch before its noise.

    Attributes:
        mean, deviation: of the latents, float32 [n, 4, h, w], not scaled; on the CPU.
        masks: shares of the latents' cells within the object, float32 [n, 1, h, w], 1 where an example has no mask; None where none has.
        captions: one for each.
        sizes: see `captions.size_numbers`.
        pictures: uint8 [H, W, 3] of each, where holes or control maps are made of them; empty otherwise.
        pixel_masks: float32 [H, W] or None of each, with `pictures`.
        control_maps: uint8 [H, W, 3] of each; empty where none is needed.
        before: mean of the latents of what was there before an edit, float32 [n, 4, h, w]; None where it is not needed.
    """

    mean: Tensor
    deviation: Tensor
    masks: Tensor | None
    captions: Sequence[str]
    sizes: Sequence[Mapping[str, tuple[int, int]]]
    pictures: Sequence[np.ndarray] = ()
    pixel_masks: Sequence[np.ndarray | None] = ()
    control_maps: Sequence[np.ndarray] = ()
    before: Tensor | None = None


def fingerprint(*modules: Any) -> str:
    """What networks are known by: names, shapes and some numbers of every weight."""
    import torch

    digest = hashlib.sha256()
    for module in modules:
        for name, weight in module.named_parameters():
            flat = weight.detach().reshape(-1)
            count = min(_COLUMNS, flat.numel())
            places = torch.arange(count) * max(1, flat.numel() // max(1, count))  # whole numbers: float32 has none so large
            digest.update(f"{name}{tuple(weight.shape)}".encode())
            digest.update(flat[places.to(flat.device)].to("cpu", torch.float32).numpy().tobytes())
    return digest.hexdigest()


class Preparation:
    """Makes batches ready on one opened checkpoint.

    Args:
        checkpoint: whose VAE and text encoders are used.
        cache: the folder that results are kept in; None keeps none.
        pictures: whether pictures and masks themselves are needed besides their latents.
        control_maps, before: whether those are needed.
    """

    def __init__(
        self, checkpoint: Checkpoint, cache: Path | None, *, pictures: bool = False, control_maps: bool = False, before: bool = False
    ) -> None:
        self._checkpoint, self._cache = checkpoint, cache
        self._pictures, self._control_maps, self._before = pictures, control_maps, before
        self._vae = fingerprint(checkpoint.vae) if cache is not None else ""
        self._texts: str | None = None
        self._rows: dict[str, dict[str, Tensor]] = {}
        self._room = _REMEMBERED
        self._remembered: dict[str, CaptionTensors] = {}
        self.coder = Coder(checkpoint, model_of(checkpoint))
        self.scale: float = checkpoint.vae.config["scaling_factor"]

    def prepared(self, turns: Sequence[Turn]) -> Prepared:
        """A batch. Raises `InvalidInput`: a picture cannot be read."""
        import torch

        rows = [self._row(turn) for turn in turns]
        masks = [row["mask"] for row, _ in rows]
        whole = torch.ones(1, *rows[0][0]["mean"].shape[1:])
        examples = [example for _, example in rows if example is not None]
        return Prepared(
            mean=torch.stack([row["mean"] for row, _ in rows]),
            deviation=torch.stack([row["deviation"] for row, _ in rows]),
            masks=None if all(mask.numel() == 0 for mask in masks) else torch.stack([mask if mask.numel() else whole for mask in masks]),
            captions=[turn.caption for turn in turns],
            sizes=[turn.sizes for turn in turns],
            pictures=[example.pixels for example in examples] if self._pictures else (),
            pixel_masks=[example.mask for example in examples] if self._pictures else (),
            control_maps=[_needed(example.control_map) for example in examples] if self._control_maps else (),
            before=torch.stack([row["before"] for row, _ in rows]) if self._before else None,
        )

    def _row(self, turn: Turn) -> tuple[dict[str, Tensor], Example | None]:
        """What is kept of a turn; and the example itself where that is needed, or had to be read."""
        needed = self._pictures or self._control_maps
        file = self._file("latents", self._vae, turn.key, str(self._before))
        row = self._rows.get(turn.key) or _read(file)
        example = turn.load() if needed or row is None else None
        if row is None:
            assert example is not None
            row = self._encoded(example)
            _write(file, row)
        if self._room >= 0:
            self._room -= 0 if turn.key in self._rows else sum(tensor.nbytes for tensor in row.values())
            self._rows[turn.key] = row
        return row, example

    def _encoded(self, example: Example) -> dict[str, Tensor]:
        import torch

        with torch.no_grad():
            mean, deviation = self.coder.distribution(example.pixels)
            row = {"mean": mean[0].cpu(), "deviation": deviation[0].cpu(), "mask": torch.empty(0)}
            if example.mask is not None:
                row["mask"] = cell_shares(example.mask)
            if self._before:
                row["before"] = self.coder.distribution(_needed(example.before))[0][0].cpu()
        return row

    def fixed_captions(self, captions: Sequence[str], tokens: int, clip_skip: int) -> CaptionTensors:
        """What encoders that do not learn make of captions: each is encoded once."""
        import torch

        if self._texts is None:
            self._texts = fingerprint(*(encoder.model for encoder in self._checkpoint.text_encoders)) if self._cache is not None else ""
        for caption in captions:
            if caption in self._remembered:
                continue
            file = self._file("captions", self._texts, caption, str(tokens), str(clip_skip))
            row = _read(file)
            if row is None:
                with torch.no_grad():
                    made = encode_captions(self._checkpoint, [caption], tokens, clip_skip)
                row = {"context": made.context.cpu(), **({} if made.pooled is None else {"pooled": made.pooled.cpu()})}
                _write(file, row)
            self._remembered[caption] = CaptionTensors(row["context"], row.get("pooled"))
        own = [self._remembered[caption] for caption in captions]
        pooled = [each.pooled for each in own if each.pooled is not None]
        return CaptionTensors(torch.cat([each.context for each in own]), torch.cat(pooled) if pooled else None)

    def _file(self, kind: str, *made_of: str) -> Path | None:
        if self._cache is None:
            return None
        return self._cache / kind / f"{hashlib.sha256(repr(made_of).encode()).hexdigest()}.safetensors"


def cell_shares(mask: np.ndarray) -> Tensor:
    """A mask of pixels, float32 [H, W] in 0..1, as shares of the latents' cells, float32 [1, H/8, W/8]."""
    import torch

    height, width = mask.shape
    return torch.from_numpy(mask.reshape(height // CELL, CELL, width // CELL, CELL).mean((1, 3), dtype=np.float32))[None]


def _needed(array: np.ndarray | None) -> np.ndarray:
    from clickpaint.errors import InvalidInput

    if array is None:
        raise InvalidInput(
            "An example of the data set lacks the picture that this kind of training compares with.", "Complete the data set."
        )
    return array


def _read(file: Path | None) -> dict[str, torch.Tensor] | None:
    """What was kept; None where nothing was, or where it is damaged."""
    if file is None or not file.is_file():
        return None
    from safetensors.torch import load

    try:
        return load(file.read_bytes())
    except Exception:  # a damaged file is made anew
        return None


def _write(file: Path | None, row: Mapping[str, torch.Tensor]) -> None:
    if file is None:
        return
    from safetensors.torch import save

    write_whole(file, save({name: tensor.contiguous() for name, tensor in row.items()}))
