"""Weights that stay as small as their file has them: tensors that look like any other and are unpacked by whoever computes with them.

A packed tensor has the shape of its weights. Rows of it and moves to another device stay packed; conversion to another type, and every
other operation, unpacks it for that operation alone. So a network on packed weights takes about the file's memory and a layer more.
"""

from __future__ import annotations

import functools
import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    class PackedTensor(Tensor):
        packing: Packing


class Packing(ABC):
    """How weights are packed, with what they are packed into."""

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Of the weights."""

    @property
    @abstractmethod
    def stored(self) -> tuple[Tensor, ...]:
        """What takes memory, the weights' own tensor first."""

    @abstractmethod
    def on(self, device: torch.device) -> Packing:
        """The same on a device; itself where it is there."""

    @abstractmethod
    def unpacked(self) -> Tensor:
        """The weights, floating-point of `shape`, on the device where they are stored."""

    def rows(self, start: int, stop: int) -> Packing:
        """A part of them along the first side."""
        return _Rows(self, start, stop)

    @property
    def device(self) -> torch.device:
        return self.stored[0].device


@dataclass(frozen=True, eq=False)
class _Rows(Packing):
    """Rows that do not begin or end with a block."""

    whole: Packing
    start: int
    stop: int

    @property
    def shape(self) -> tuple[int, ...]:
        return (self.stop - self.start, *self.whole.shape[1:])

    @property
    def stored(self) -> tuple[Tensor, ...]:
        return self.whole.stored

    def on(self, device: torch.device) -> Packing:
        return replace(self, whole=self.whole.on(device))

    def unpacked(self) -> Tensor:
        return self.whole.unpacked()[self.start : self.stop]


@dataclass(frozen=True, eq=False)
class Scaled(Packing):
    """Eight bits with a scale, as ComfyUI writes them ("scaled fp8").

    Attributes:
        weight: float8 of `shape`.
        scale: float32, one number or one for each row.
    """

    weight: Tensor
    scale: Tensor

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(self.weight.shape)

    @property
    def stored(self) -> tuple[Tensor, ...]:
        return self.weight, self.scale

    def on(self, device: torch.device) -> Packing:
        return Scaled(self.weight.to(device), self.scale.to(device))

    def rows(self, start: int, stop: int) -> Packing:
        return Scaled(self.weight[start:stop], self.scale if self.scale.numel() == 1 else self.scale[start:stop])

    def unpacked(self) -> Tensor:
        scale = self.scale.float()
        rows = scale.numel() > 1
        return self.weight.float() * (scale.reshape(-1, *[1] * (self.weight.ndim - 1)) if rows else scale.reshape(()))


@dataclass(frozen=True, eq=False)
class FourBits(Packing):
    """Two weights in a byte, each the number of an entry of a table, with a scale for each block: bitsandbytes' NF4 and FP4.

    After "QLoRA: Efficient Finetuning of Quantized LLMs" (Dettmers et al. 2023), with its double quantisation.

    Attributes:
        codes: uint8, two weights each, the first one in the upper half.
        table: float32 [16].
        scales: of the blocks: float32, or uint8, the numbers of entries of `scale_table`.
        block: weights that share a scale.
        sides: the shape of the weights.
        scale_table: float32 [256]; None where the scales are plain.
        scale_scales: float32, of the blocks of scales.
        scale_block: scales that share one of these.
        offset: that is added to every scale, a number.
    """

    codes: Tensor
    table: Tensor
    scales: Tensor
    block: int
    sides: tuple[int, ...]
    scale_table: Tensor | None = None
    scale_scales: Tensor | None = None
    scale_block: int = 256
    offset: Tensor | float = 0.0

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sides

    @property
    def stored(self) -> tuple[Tensor, ...]:
        nested = (self.scale_table, self.scale_scales)
        return (self.codes, self.table, self.scales, *(tensor for tensor in nested if tensor is not None))

    def on(self, device: torch.device) -> Packing:
        def moved(tensor: Any) -> Any:
            return tensor.to(device) if hasattr(tensor, "to") else tensor

        return replace(
            self, codes=moved(self.codes), table=moved(self.table), scales=moved(self.scales), scale_table=moved(self.scale_table),
            scale_scales=moved(self.scale_scales), offset=moved(self.offset),
        )  # fmt: skip

    def rows(self, start: int, stop: int) -> Packing:
        width = math.prod(self.shape[1:])
        blocks = self.block if self.scale_table is None else self.block * self.scale_block
        if start * width % blocks or (stop * width % blocks and stop != self.shape[0]):
            return super().rows(start, stop)
        first, last = start * width // self.block, -(-stop * width // self.block)
        outer = None
        if self.scale_scales is not None:
            outer = self.scale_scales[first // self.scale_block : -(-last // self.scale_block)]
        return replace(
            self, codes=self.codes.reshape(-1)[start * width // 2 : -(-stop * width // 2)], scales=self.scales[first:last],
            sides=(stop - start, *self.shape[1:]), scale_scales=outer,
        )  # fmt: skip

    def unpacked(self) -> Tensor:
        import torch

        codes = self.codes.reshape(-1)
        numbers = torch.stack([codes >> 4, codes & 15], dim=-1).reshape(-1)[: math.prod(self.shape)]
        scales = self.scales
        if self.scale_table is not None and self.scale_scales is not None:
            scales = _scaled(self.scale_table.float()[scales.long()], self.scale_scales.float(), self.scale_block) + self.offset
        return _scaled(self.table.float()[numbers.int()], scales.float(), self.block).reshape(self.shape)


def _scaled(values: Tensor, scales: Tensor, block: int) -> Tensor:
    """[n], each block of them multiplied by its scale; the last block may be shorter."""
    import torch

    missing = -len(values) % block
    blocks = torch.nn.functional.pad(values, (0, missing)).reshape(-1, block)
    return (blocks * scales[: len(blocks), None]).reshape(-1)[: len(values)]


def packed(packing: Packing) -> PackedTensor:
    """Weights that are packed in this way as a tensor. It is of the type bfloat16: in half precision some of these models overflow."""
    return _kind()(packing)


def packing_of(tensor: Any) -> Packing | None:
    """How a tensor is packed; None for one that is not."""
    return getattr(tensor, "packing", None)


def stored(tensor: Tensor) -> tuple[Tensor, ...]:
    """The plain tensors that a tensor's weights lie in: itself, or what it is packed into."""
    packing = packing_of(tensor)
    return (tensor,) if packing is None else packing.stored


def stored_bytes(tensor: Tensor) -> int:
    """That a tensor takes."""
    return sum(each.numel() * each.element_size() for each in stored(tensor))


@functools.cache
def _kind() -> Any:
    import torch
    from torch.utils import _pytree as trees

    tensors: Any = torch.Tensor

    class Packed(tensors):
        packing: Packing

        __torch_function__ = torch._C._disabled_torch_function_impl

        @staticmethod
        def __new__(cls: Any, packing: Packing) -> Any:
            with torch.inference_mode(False):  # what is made inside could not become a parameter
                made: Any = tensors._make_wrapper_subclass(cls, packing.shape, dtype=torch.bfloat16, device=packing.device)
            made.packing = packing
            return made

        def __init__(self, packing: Packing) -> None:
            super().__init__()

        def __repr__(self) -> str:
            return f"{type(self.packing).__name__}{tuple(self.shape)}"

        @classmethod
        def __torch_dispatch__(cls: Any, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs, name = kwargs or {}, func._schema.name.removeprefix("aten::")
            own = args[0] if args and isinstance(args[0], Packed) else None
            if own is not None and name == "to":  # what it comes to, "_to_copy", is asked again
                return func.decompose(*args, **kwargs)
            if own is not None and name in ("detach", "alias"):
                return cls(own.packing)
            if own is not None and name == "empty_like":
                return torch.empty(own.shape, dtype=kwargs.get("dtype") or own.dtype, device=kwargs.get("device") or own.device)
            if own is not None and name == "slice":
                side, start, stop, step = (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
                if (side, step) == (0, 1):
                    start, stop, _ = slice(start, stop).indices(own.shape[0])
                    return cls(own.packing.rows(start, max(stop, start)))
            if own is not None and name == "_to_copy":
                moved = own.packing.on(torch.device(kwargs.get("device") or own.device))
                dtype = kwargs.get("dtype") or own.dtype
                return cls(moved) if dtype == own.dtype else moved.unpacked().to(dtype)
            args, kwargs = trees.tree_map(plain, (args, kwargs))
            return func(*args, **kwargs)

    def plain(leaf: Any) -> Any:
        return leaf.packing.unpacked().to(leaf.dtype) if isinstance(leaf, Packed) else leaf

    return Packed
