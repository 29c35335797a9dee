"""Checkpoints at full size: how much of them our networks share with the file, what opening costs in memory and in time.

    python -m tests.benchmarks.aliasing [sd1 sd2 sdxl sdxl_refiner …]

The files are written as holes, for nobody reads their values: opening maps them into memory, and that is all.
"""

from __future__ import annotations

import argparse
import json
import struct
import tempfile
import time
from pathlib import Path

from clickpaint.compat import torchvision
from clickpaint.paint.checkpoint.meta import on_meta
from clickpaint.paint.checkpoint.opening import Checkpoints, alias_report
from clickpaint.paint.checkpoint.source import FileSource
from clickpaint.paint.checkpoint.tokens import tokenizer
from clickpaint.paint.checkpoint.unet import UNetLayout
from clickpaint.paint.checkpoint.vae import vae_key

Shapes = dict[str, tuple[int, ...]]

UNETS = {
    "sd1": UNetLayout(4, 4, (320, 640, 1280, 1280), 2, (1, 1, 1, 0), 1, 768, False, 0),
    "sd1 inpainting": UNetLayout(9, 4, (320, 640, 1280, 1280), 2, (1, 1, 1, 0), 1, 768, False, 0),
    "sd2": UNetLayout(4, 4, (320, 640, 1280, 1280), 2, (1, 1, 1, 0), 1, 1024, True, 0),
    "sdxl": UNetLayout(4, 4, (320, 640, 1280), 2, (0, 2, 10), 10, 2048, True, 2816),
    "sdxl_refiner": UNetLayout(4, 4, (384, 768, 1536, 1536), 2, (0, 4, 4, 0), 4, 1280, True, 2560),
}
TEXTS = {
    "sd1": (("cond_stage_model.transformer.text_model.", 768, 12),),
    "sd2": (("cond_stage_model.model.", 1024, 24),),
    "sdxl": (("conditioner.embedders.0.transformer.text_model.", 768, 12), ("conditioner.embedders.1.model.", 1280, 32)),
    "sdxl_refiner": (("conditioner.embedders.0.model.", 1280, 32),),
}


def unet_shapes(layout: UNetLayout, head_channels: int | None) -> Shapes:
    from diffusers import UNet2DConditionModel

    with on_meta():
        unet = UNet2DConditionModel(**layout.config(head_channels))
    return {f"model.diffusion_model.{layout.key(name)}": tuple(value.shape) for name, value in unet.named_parameters()}


def vae_shapes() -> Shapes:
    from diffusers import AutoencoderKL

    widths = (128, 256, 512, 512)
    blocks = {"down_block_types": ("DownEncoderBlock2D",) * 4, "up_block_types": ("UpDecoderBlock2D",) * 4}
    with on_meta():
        vae = AutoencoderKL(block_out_channels=widths, layers_per_block=2, latent_channels=4, **blocks)
    shapes = {f"first_stage_model.{vae_key(name, 4)}": tuple(value.shape) for name, value in vae.named_parameters()}
    return {key: (*shape, 1, 1) if ".attn_1." in key and len(shape) == 2 else shape for key, shape in shapes.items()}


def text_shapes(prefix: str, width: int, layers: int) -> Shapes:
    clip = width == 768
    block = "encoder.layers.{}." if clip else "transformer.resblocks.{}."
    norms = ("layer_norm1", "layer_norm2") if clip else ("ln_1", "ln_2")
    first, second, out = ("mlp.fc1", "mlp.fc2", "self_attn.out_proj") if clip else ("mlp.c_fc", "mlp.c_proj", "attn.out_proj")
    linear = {first: (4 * width, width), second: (width, 4 * width), out: (width, width)}
    shapes: Shapes = {}
    if clip:
        linear |= {f"self_attn.{name}": (width, width) for name in ("q_proj", "k_proj", "v_proj")}
        shapes |= {"embeddings.token_embedding.weight": (49408, width), "embeddings.position_embedding.weight": (77, width)}
    else:
        shapes |= {"token_embedding.weight": (49408, width), "positional_embedding": (77, width), "text_projection": (width, width)}
    for layer in range(layers):
        here = block.format(layer)
        for name, (outputs, inputs) in linear.items():
            shapes |= {f"{here}{name}.weight": (outputs, inputs), f"{here}{name}.bias": (outputs,)}
        shapes |= {f"{here}{norm}.{leaf}": (width,) for norm in norms for leaf in ("weight", "bias")}
        if not clip:
            shapes |= {f"{here}attn.in_proj_weight": (3 * width, width), f"{here}attn.in_proj_bias": (3 * width,)}
    shapes |= {f"{'final_layer_norm' if clip else 'ln_final'}.{leaf}": (width,) for leaf in ("weight", "bias")}
    return {prefix + key: shape for key, shape in shapes.items()}


def write(path: Path, shapes: Shapes) -> int:
    """A float16 safetensors file of these shapes without content; returns its size."""
    place, header = 0, {}
    for key, shape in shapes.items():
        size = 2
        for side in shape:
            size *= side
        header[key] = {"dtype": "F16", "shape": shape, "data_offsets": (place, place + size)}
        place += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + place)
    return place


def memory() -> int:
    """Bytes of this process's own memory, without files that are mapped into it."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) * 1024
    return 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(UNETS)}; all by default")
    torchvision.available()
    import diffusers  # noqa: F401 (its import is no part of opening a file)
    import transformers

    transformers.logging.set_verbosity_error()
    print(f"{'kind':16}{'network':18}{'tensors':>9}{'MB':>9}{'aliased':>10}")
    for kind in parser.parse_args().kinds or UNETS:
        family = kind.partition(" ")[0]
        shapes = unet_shapes(UNETS[kind], None if family == "sd1" else 64) | vae_shapes()
        for text in TEXTS[family]:
            shapes |= text_shapes(*text)
        with tempfile.TemporaryDirectory() as folder:
            size = write(Path(folder) / "full.safetensors", shapes)
            source, held = FileSource(Path(folder) / "full.safetensors", prediction="epsilon"), Checkpoints()
            tokenizer(), tokenizer("!")  # made once in a process
            before = memory()
            times = []
            for _ in range(4):
                start = time.thread_time()
                with held.using(source, "cpu") as checkpoint:
                    times.append(time.thread_time() - start)
                    rows, after = alias_report(checkpoint, source.tensors()), memory()
            for row in rows:
                print(f"{kind:16}{row.module:18}{row.tensors:9}{row.bytes / 1e6:9.1f}{row.aliased_bytes / row.bytes:10.2%}")
            grown = (after - before) / size
            again = min(times[1:])
            print(f"{'':16}{size / 1e9:.2f} GB in the file; memory grew by {grown:.2%} of it;", end=" ")
            print(f"opened in {times[0]:.2f} s, again in {again * 1e3:.0f} ms (of processor time)")
            held.forget()


if __name__ == "__main__":
    main()
