"""A checkpoint whose tensors lie in memory already, as those of a web UI do."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING

from clickpaint.paint.checkpoint.source import places

if TYPE_CHECKING:
    import torch

    from clickpaint.paint.checkpoint.kind import Prediction


class TensorSource:
    """Tensors that lie in memory already. `version` follows their places, so that a mapping made anew of the same tensors is no
    other one; whoever holds the old ones keeps their places from being taken again.

    Args:
        collect: called for the tensors, each time.
    """

    def __init__(self, name: str, collect: Callable[[], Mapping[str, torch.Tensor]], prediction: Prediction | None = None) -> None:
        self.name = name
        self.prediction: Prediction | None = prediction
        self._collect = collect

    def tensors(self) -> Mapping[str, torch.Tensor]:
        return self._collect()

    def version(self) -> Hashable:
        return places(self._collect())

    def using(self, device: torch.device | str) -> AbstractContextManager[None]:
        return nullcontext()
