"""Hypernetworks as the web UI's training saves them, with seeded weights."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any


def content(
    sizes: Sequence[int], structure: Sequence[float] = (1, 2, 1), scale: float = 0.3, dropouts: Sequence[float] | None = None, **said: Any
) -> dict[Any, Any]:  # fmt: skip
    """What the file holds, for `torch.save`.

    Args:
        sizes: widths of what the attention looks at.
        dropouts: one for each entry of the structure.
        said: "activation_func", "is_layer_norm", "activate_output" and so on, as the file has them.
    """
    import torch

    generator = torch.Generator().manual_seed(2)
    made: dict[Any, Any] = {}
    activated = said.get("activation_func") not in (None, "linear")
    for size in sizes:
        halves = []
        for _ in range(2):
            tensors, place = {}, 0
            for number, (width, following) in enumerate(itertools.pairwise(structure)):
                inner, outer = int(size * width), int(size * following)
                tensors[f"linear.{place}.weight"] = torch.randn(outer, inner, generator=generator) * scale / inner**0.5
                tensors[f"linear.{place}.bias"] = torch.randn(outer, generator=generator) * scale / 4
                place += 1 + (activated and (number < len(structure) - 2 or said.get("activate_output", True)))
                if said.get("is_layer_norm", False):
                    tensors[f"linear.{place}.weight"] = torch.randn(outer, generator=generator) * scale + 1
                    tensors[f"linear.{place}.bias"] = torch.randn(outer, generator=generator) * scale
                    place += 1
                place += bool(dropouts and dropouts[number + 1])
            halves.append(tensors)
        made[size] = tuple(halves)
    said |= {"dropout_structure": list(dropouts)} if dropouts else {}
    return {**made, "step": 100, "name": "toy", "layer_structure": list(structure), "sd_checkpoint": None, "optional_info": None, **said}
