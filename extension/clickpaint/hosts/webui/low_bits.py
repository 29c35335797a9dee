"""What Forge and its forks hold in low bits (GGUF, NF4, FP4), as packed tensors: the web UI's own parameters, unpacked by its own means."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from clickpaint.paint.checkpoint.packed_weights import FourBits, Packing, packed

if TYPE_CHECKING:
    import torch
    from torch import Tensor


@dataclass(frozen=True, eq=False)
class HostBlocks(Packing):
    """A parameter that Forge read from a GGUF file.

    Attributes:
        parameter: Forge's `ParameterGGUF`, blocks in whatever order Forge has brought them into.
    """

    parameter: Any

    @property
    def shape(self) -> tuple[int, ...]:
        return tuple(int(side) for side in self.parameter.shape)  # gguf's are unsigned, and divide to fractions

    @property
    def stored(self) -> tuple[Tensor, ...]:
        return (self.parameter.data,)

    def on(self, device: torch.device) -> Packing:
        return self if self.parameter.device == device else replace(self, parameter=self.parameter.to(device))

    def rows(self, start: int, stop: int) -> Packing:
        import torch

        data, shape = self.parameter.data, self.shape
        if data.shape[0] % shape[0]:
            return super().rows(start, stop)
        each = data.shape[0] // shape[0]
        part = self.parameter.copy_with_data(data[start * each : stop * each])
        part.real_shape = torch.Size((stop - start, *shape[1:]))
        return replace(self, parameter=part)

    def unpacked(self) -> Tensor:
        return self.parameter.gguf_cls.dequantize_pytorch(self.parameter)


def in_low_bits(parameter: Any) -> Any:
    """A parameter of the web UI's as a tensor like any other: itself where it is one."""
    if hasattr(parameter, "gguf_cls"):
        return parameter.data if parameter.gguf_cls is None else packed(HostBlocks(parameter))
    if not hasattr(parameter, "bnb_quantized"):
        return parameter
    if not parameter.bnb_quantized or parameter.quant_state is None:  # until it is first on the card, and never without one
        return parameter.data
    state, more = parameter.quant_state, {}
    if state.nested:
        outer = state.state2
        more = {
            "scale_table": outer.code, "scale_scales": outer.absmax, "scale_block": outer.blocksize, "offset": state.offset,
        }  # fmt: skip
    return packed(FourBits(parameter.data, state.code, state.absmax, state.blocksize, tuple(state.shape), **more))
