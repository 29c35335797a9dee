"""Where each parameter of diffusers' transformers lies in a file with the names of a model's makers."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

Shapes = Mapping[str, tuple[int, ...]]
_PARTS = {"q": 0, "k": 1, "v": 2, "last": -1}


@dataclass(frozen=True)
class Place:
    """Where a parameter lies.

    Attributes:
        key: of the tensor, without what stands before all of them.
        part: which of its stretches of the parameter's own length; -1 for the last, None for the whole.
        swapped: whether its two halves stand the other way round there (shift and scale of the last normalisation).
    """

    key: str
    part: int | None = None
    swapped: bool = False

    def of(self, tensor: torch.Tensor, length: int) -> torch.Tensor:
        """The parameter, a view of the tensor; length: its own."""
        if self.part is None:
            return tensor
        start = tensor.shape[0] - length if self.part < 0 else self.part * length
        return tensor[start : start + length]


class Names:
    """Rules that say where a layer lies.

    Args:
        rules: (regular expression of diffusers' layer, the makers' name of it). Behind the name may stand "#q", "#k", "#v" or "#last"
            for a stretch of a fused layer, "~" where its halves are swapped, and ":leaf" where the tensor is not called
            "weight" or "bias" there. An expression that begins with "=" is of a whole parameter, and so is its name. What no rule
            knows is called as it is.
    """

    def __init__(self, *rules: tuple[str, str]) -> None:
        self._rules = [(re.compile(pattern.removeprefix("=")), key, pattern.startswith("=")) for pattern, key in rules]

    def with_first(self, *rules: tuple[str, str]) -> Names:
        """These with others that are asked before them."""
        names = Names(*rules)
        names._rules += self._rules
        return names

    def place(self, name: str) -> Place:
        """Of a parameter, by diffusers' name."""
        layer, _, leaf = name.rpartition(".")
        for pattern, template, whole in self._rules:
            match = pattern.fullmatch(name if whole else layer)
            if match is not None and whole:
                return Place(match.expand(template))
            if match is not None:
                key, _, own_leaf = match.expand(template).partition(":")
                key, _, part = key.partition("#")
                swapped = key.endswith("~")
                return Place(f"{key.rstrip('~')}.{own_leaf or leaf}", _PARTS[part] if part else None, swapped)
        return Place(name)


@dataclass(frozen=True, eq=False)
class Tensors:
    """A transformer's tensors or their shapes, by whichever names they have.

    Attributes:
        shapes: by the file's keys, without what stands before all of them.
        names: the makers'.
        original: whether these are used.
    """

    shapes: Shapes
    names: Names
    original: bool

    def place(self, name: str) -> Place:
        """Where a parameter lies in this file. Some call "weight" what its makers call "scale"."""
        place = self.names.place(name) if self.original else Place(name)
        spoken = place.key.removesuffix(".scale") + ".weight"
        return replace(place, key=spoken) if place.key.endswith(".scale") and spoken in self.shapes else place

    def has(self, name: str) -> bool:
        """Whether there is a parameter, by diffusers' name."""
        return self.place(name).key in self.shapes

    def side(self, name: str, axis: int) -> int:
        """A side of a parameter that is not fused; 0 where it is missing, which `assign` tells of by its name."""
        shape = self.shapes.get(self.place(name).key, ())
        return shape[axis] if axis < len(shape) else 0

    def count(self, layers: str, within: str = "") -> int:
        """How many layers there are that are numbered at the end of a name of diffusers' ("transformer_blocks"), or that have `within`."""
        number = 0
        while self.has(f"{layers}.{number}.{within}"):
            number += 1
        return number

    def parameters(self, tensors: Mapping[str, Any], wanted: Iterable[tuple[str, torch.Tensor]]) -> dict[str, torch.Tensor]:
        """The tensor of each parameter that the file has, as a view of its own.

        Args:
            tensors: by the keys of `shapes`.
            wanted: names and modules' parameters, of whose shapes the file's tensors should be.
        """
        parameters = {}
        for name, parameter in wanted:
            place = self.place(name)
            if place.key in tensors:
                parameters[name] = place.of(tensors[place.key], parameter.shape[0])
        return parameters
