"""Changes that turn a layer's weights in place of adding to them: OFT (Qiu et al. 2023) and BOFT (Liu et al. 2024, butterflies)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


def turned(weight: Tensor, blocks: Tensor, constraint: float, rescale: Tensor | None, finished: bool) -> Tensor:
    """The weights after the turn, of the same shape.

    Args:
        weight: the layer's own, float32 [outputs, …].
        blocks: [blocks, n, n] for OFT, [stages, blocks, n, n] for BOFT: what the turns are made of (Cayley's transform), or with
            `finished` the turns themselves, as old versions of LyCORIS wrote them.
        constraint: the longest that all blocks together may be, 0 for no limit.
        rescale: what each output is multiplied by afterwards, [outputs, 1 …], or None.
        finished: see `blocks`.

    Raises:
        ValueError: the blocks do not fit the layer.
    """
    import torch

    size = blocks.shape[-1]
    turns = blocks
    if not finished:
        skew = blocks - blocks.transpose(-1, -2)
        length = torch.linalg.vector_norm(skew)
        if constraint > 0 and length > constraint:
            skew = skew * (constraint / length)
        identity = torch.eye(size)
        turns = (identity + skew) @ torch.linalg.inv(identity - skew)
    if turns.shape[-3] * size != weight.shape[0]:
        raise ValueError(f"its {turns.shape[-3]} blocks of {size} are not {weight.shape[0]} outputs")
    if turns.ndim == 3:
        result = torch.einsum("knm,kn...->km...", turns, weight.unflatten(0, (-1, size))).flatten(0, 1)
    else:
        result = weight
        for stage, turn in enumerate(turns):
            apart = 2**stage * (size // 2)
            result = result.unflatten(0, (-1, 2, apart)).transpose(1, 2).flatten(0, 2).unflatten(0, (-1, size))
            result = torch.einsum("bij,bj...->bi...", turn, result).flatten(0, 1)
            result = result.unflatten(0, (-1, apart, 2)).transpose(1, 2).flatten(0, 2)
    return result if rescale is None else result * rescale.reshape(-1, *[1] * (weight.ndim - 1))
