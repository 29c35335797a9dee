"""Files in the GGUF format, in which ComfyUI's and Forge's users have transformers and text encoders in two to eight bits a weight.

Read with the package gguf; unpacked with diffusers' arithmetic (after city96's), layer by layer while they compute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from clickpaint.errors import CorruptModel, HostUnsupported, InvalidInput
from clickpaint.paint.checkpoint.packed_weights import Packing, packed

if TYPE_CHECKING:
    import torch
    from torch import Tensor

_AS_PLAIN = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
"""GGUF's types that are torch's as well."""

_T5 = (
    ("enc.output_norm", "encoder.final_layer_norm"), ("enc.blk.", "encoder.block."), ("token_embd", "shared"),
    (".attn_rel_b", ".layer.0.SelfAttention.relative_attention_bias"), (".attn_norm", ".layer.0.layer_norm"),
    (".attn_q", ".layer.0.SelfAttention.q"), (".attn_k", ".layer.0.SelfAttention.k"), (".attn_v", ".layer.0.SelfAttention.v"),
    (".attn_o", ".layer.0.SelfAttention.o"), (".ffn_up", ".layer.1.DenseReluDense.wi_1"), (".ffn_norm", ".layer.1.layer_norm"),
    (".ffn_gate", ".layer.1.DenseReluDense.wi_0"), (".ffn_down", ".layer.1.DenseReluDense.wo"),
)  # fmt: skip
_QWEN = (
    ("token_embd", "model.embed_tokens"), ("output_norm", "model.norm"), ("blk.", "model.layers."), (".attn_norm", ".input_layernorm"),
    (".attn_q_norm", ".self_attn.q_norm"), (".attn_k_norm", ".self_attn.k_norm"), (".attn_q.", ".self_attn.q_proj."),
    (".attn_k.", ".self_attn.k_proj."), (".attn_v.", ".self_attn.v_proj."), (".attn_output", ".self_attn.o_proj"),
    (".ffn_up", ".mlp.up_proj"), (".ffn_down", ".mlp.down_proj"), (".ffn_gate", ".mlp.gate_proj"),
    (".ffn_norm", ".post_attention_layernorm"),
)  # fmt: skip
"""llama.cpp's names of what text encoders are made of, and those of transformers."""


def is_gguf(path: Path) -> bool:
    """Whether a file is in this format, by its first bytes."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"GGUF"
    except OSError:
        return False


@dataclass(frozen=True, eq=False)
class Blocks(Packing):
    """Weights as GGUF packs them.

    Attributes:
        bytes: uint8 [blocks, bytes of a block].
        kind: GGUF's name of the type ("Q4_K").
        block: weights of a block.
        sides: the shape of the weights.
    """

    bytes: Tensor
    kind: str
    block: int
    sides: tuple[int, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        return self.sides

    @property
    def stored(self) -> tuple[Tensor, ...]:
        return (self.bytes,)

    def on(self, device: torch.device) -> Packing:
        return replace(self, bytes=self.bytes.to(device))

    def rows(self, start: int, stop: int) -> Packing:
        width = math.prod(self.shape[1:])
        if start * width % self.block or stop * width % self.block:
            return super().rows(start, stop)
        own = self.bytes[start * width // self.block : stop * width // self.block]
        return replace(self, bytes=own, sides=(stop - start, *self.shape[1:]))

    def unpacked(self) -> Tensor:
        import torch

        if self.kind == "Q3_K":
            return _three_bits(self.bytes).reshape(self.shape)
        return _known()[self.kind](self.bytes, self.block, self.bytes.shape[1], torch.float32).float().reshape(self.shape)


def read_gguf(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """The tensors of a file, mapped into memory and packed as they are there, by the names that other files have for them; and nothing
    that it says about itself.

    Raises:
        HostUnsupported: the package gguf, or diffusers' part for it, is not here.
        InvalidInput: it is packed in a way that is not known here.
        CorruptModel: it is damaged or cut off.
    """
    import torch

    known = _known()
    import gguf

    try:
        reader = gguf.GGUFReader(path, "c")  # nothing is written to the file
    except Exception as error:
        raise CorruptModel(
            "{filename} cannot be read as weights: {reason}.",
            "Download it again, or choose another one.",
            filename=path.name,
            reason="it is damaged",
        ) from error
    tensors: dict[str, Tensor] = {}
    for tensor in reader.tensors:
        kind, shape = tensor.tensor_type.name, tuple(int(side) for side in tensor.shape[::-1])
        shape = _written_shape(reader, tensor.name) or shape
        data = torch.from_numpy(tensor.data)
        if kind in _AS_PLAIN:
            plain = data.view(getattr(torch, _AS_PLAIN[kind])) if kind == "BF16" else data
            tensors[tensor.name] = plain.reshape(shape)
        elif kind in known or kind == "Q3_K":
            block, size = gguf.GGML_QUANT_SIZES[tensor.tensor_type]
            tensors[tensor.name] = packed(Blocks(data.reshape(-1, size), kind, block, shape))
        else:
            raise InvalidInput(
                "{name} is quantised in a way that is not known here ({key} is {dtype}).",
                "Choose the same model in fp16, bf16 or fp8.",
                key=tensor.name,
                name=path.name,
                dtype=kind,
            )
    return _spoken(tensors), {}


def _spoken(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Text encoders under the names that transformers has for them; anything else as it is."""
    names = _T5 if "enc.blk.0.attn_q.weight" in tensors else _QWEN if "blk.0.attn_q.weight" in tensors else ()
    out = {}
    for key, tensor in tensors.items():
        for before, after in names:
            key = key.replace(before, after)
        out[key] = tensor
    return out


def _written_shape(reader: Any, name: str) -> tuple[int, ...] | None:
    """The shape of a tensor that was put into another one so that it could be packed, which ComfyUI's converter notes."""
    field = reader.get_field(f"comfy.gguf.orig_shape.{name}")
    return None if field is None else tuple(int(field.parts[place][0]) for place in field.data)


def _known() -> dict[str, Any]:
    """What unpacks blocks, by GGUF's name of their type."""
    from clickpaint.compat import torchvision

    torchvision.available()
    try:
        import gguf  # noqa: F401
        from diffusers.quantizers.gguf.utils import dequantize_functions
    except ImportError as error:
        raise HostUnsupported(
            "GGUF files need the package gguf, which is not installed here.",
            "Install it (pip install gguf), or choose the same model as a safetensors file.",
        ) from error
    return {kind.name: function for kind, function in dequantize_functions.items() if kind.name != "Q3_K"}


def _three_bits(blocks: Tensor) -> Tensor:
    """What Q3_K stands for, float32 [blocks, 256]; diffusers' own function does not read its scales as numbers."""
    import torch

    high, low, scales, whole = blocks.split([32, 64, 12, 2], dim=1)
    count = len(blocks)

    def bits(values: Tensor, sides: tuple[int, ...], shifts: list[int], mask: int, out: tuple[int, ...]) -> Tensor:
        steps = torch.tensor(shifts, device=blocks.device, dtype=torch.uint8)
        return ((values.reshape(count, *sides) >> steps.reshape(*[1] * (len(sides) - 1), -1, 1)) & mask).reshape(count, *out)

    lower = bits(scales[:, :8], (1, 8), [0, 4], 15, (16,))
    upper = bits(scales[:, 8:], (1, 4), [0, 2, 4, 6], 3, (16,))
    scale = whole.contiguous().view(torch.float16).float() * ((lower | (upper << 4)).float() - 32)
    twos = bits(low, (-1, 1, 32), [0, 2, 4, 6], 3, (16, 16)).float()
    fours = bits(high, (-1, 1, 32), list(range(8)), 1, (16, 16)).float()
    return (scale[:, :, None] * (twos - 4 * (1 - fours))).reshape(count, 256)
