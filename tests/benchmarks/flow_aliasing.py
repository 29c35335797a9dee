"""How much of the flow-matching families' transformers lies in the file's memory, at their real widths and a block of each kind:

python -m tests.benchmarks.flow_aliasing

Tensors are asked for and never touched, so that they take addresses and no memory.
"""

from __future__ import annotations

import time

import torch

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.flow_checkpoint import FlowCheckpoint
from clickpaint.paint.checkpoint.meta import main_dtype
from clickpaint.paint.checkpoint.opening import alias_report
from clickpaint.paint.flow.registry import FAMILIES, identify
from tests.toys import flow as toy

WIDE = {
    "sd3": lambda: toy.sd3(2432, 64, 2, 2048, tokens=4096, positions=192),
    "flux": lambda: toy.flux(3072, 128, tokens=4096, pooled=768),
    "z_image": lambda: toy.z_image(3840, 128, tokens=2560),
    "qwen_image": lambda: toy.qwen_image(3072, 128, tokens=3584),
    "flux2": lambda: toy.flux2(3072, 128, tokens=7680),
    "chroma": lambda: toy.chroma(3072, head=128, tokens=4096),
}
"""The shapes of each family's transformer in its real widths."""


def main() -> None:
    torchvision.available()
    for name, shapes in WIDE.items():
        tensors = {f"model.diffusion_model.{key}": torch.empty(shape, dtype=torch.bfloat16) for key, shape in shapes().items()}
        began = time.perf_counter()
        kind = identify(tensors, f"{name}.safetensors")
        assert kind is not None and kind.family == name
        from clickpaint.paint.checkpoint.networks import Part
        from clickpaint.paint.flow.flow_opening import transformer_of

        part = Part("model.diffusion_model.", {key.removeprefix("model.diffusion_model."): tensor for key, tensor in tensors.items()})
        transformer = transformer_of(FAMILIES[name], kind, part)
        seconds = time.perf_counter() - began
        nothing = torch.nn.Module()
        opened = FlowCheckpoint(name, kind, transformer, nothing, {}, main_dtype(transformer), torch.device("cpu"))
        row = alias_report(opened, tensors)[0]
        share = row.aliased_bytes / row.bytes
        print(f"{kind.title:24} {row.tensors:4} tensors {row.bytes / 2**20:7.0f} MiB  in the file's memory {share:.2%}  {seconds:.2f} s")


if __name__ == "__main__":
    main()
