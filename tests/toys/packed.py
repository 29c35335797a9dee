"""Files whose weights are packed, as their makers write them."""

from __future__ import annotations

import json
from pathlib import Path

import torch

from tests.toys import flow as toy


def written_gguf(path: Path, weights: toy.Weights, kind: str) -> Path:
    """A GGUF file as ComfyUI's users have transformers: matrices packed, where their rows are blocks, all else in float32."""
    import gguf

    how, block = gguf.GGMLQuantizationType[kind], gguf.GGML_QUANT_SIZES[gguf.GGMLQuantizationType[kind]][0]
    writer = gguf.GGUFWriter(path, "flux")
    for key, tensor in weights.items():
        values = tensor.float().numpy()
        if tensor.ndim == 2 and tensor.shape[1] % block == 0:
            values = gguf.quants.quantize(values, how)
            writer.add_tensor(key, values, raw_dtype=how)
        else:
            writer.add_tensor(key, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def in_eight_bits(weights: toy.Weights) -> toy.Weights:
    """As ComfyUI writes "scaled fp8"."""
    out = {}
    for key, tensor in weights.items():
        if tensor.ndim == 2 and _packs(key):
            scale = tensor.abs().max().clamp(min=1e-6) / 448  # one of zeros has a scale, too
            out |= {key: (tensor / scale).to(torch.float8_e4m3fn), key.removesuffix("weight") + "scale_weight": scale.reshape(1)}
        else:
            out[key] = tensor
    return out | {"scaled_fp8": torch.zeros(2, dtype=torch.float8_e4m3fn)}


def in_four_bits(weights: toy.Weights, *, nested: bool) -> toy.Weights:
    """As bitsandbytes writes NF4."""
    table = torch.tensor([
        -1.0, -0.6962, -0.5251, -0.3949, -0.2844, -0.1848, -0.0911, 0.0, 0.0796, 0.1609, 0.2461, 0.3379, 0.4407, 0.5626, 0.723, 1.0
    ])  # fmt: skip
    out = {}
    for key, tensor in weights.items():
        if tensor.ndim != 2 or not _packs(key):
            out[key] = tensor
            continue
        blocks = tensor.reshape(-1, 64)
        scales = blocks.abs().amax(1)
        codes = ((blocks / scales[:, None])[..., None] - table).abs().argmin(-1).reshape(-1).to(torch.uint8)
        state: dict[str, object] = {"quant_type": "nf4", "blocksize": 64, "dtype": "bfloat16", "shape": list(tensor.shape)}
        absmax = {f"{key}.absmax": scales}
        if nested:
            offset, steps = float(scales.mean()), torch.linspace(-1, 1, 256)
            groups = torch.nn.functional.pad(scales - offset, (0, -len(scales) % 256)).reshape(-1, 256)
            outer = groups.abs().amax(1)
            numbers = ((groups / outer[:, None])[..., None] - steps).abs().argmin(-1).reshape(-1)[: len(scales)].to(torch.uint8)
            absmax = {f"{key}.absmax": numbers, f"{key}.nested_absmax": outer, f"{key}.nested_quant_map": steps}
            state |= {"nested_blocksize": 256, "nested_offset": offset, "nested_dtype": "float32"}
        written = torch.tensor(list(json.dumps(state).encode()), dtype=torch.uint8)
        out |= {key: (codes[0::2] << 4 | codes[1::2])[:, None], f"{key}.quant_map": table.clone(), **absmax}
        out[f"{key}.quant_state.bitsandbytes__nf4"] = written
    return out


def _packs(key: str) -> bool:
    """Whether it is a matrix of a block: what goes in and comes out stays as it is."""
    return any(part in key for part in ("double_blocks.", "single_blocks.", "encoder.block."))
