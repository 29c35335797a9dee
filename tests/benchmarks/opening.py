"""What opening a checkpoint of full size costs: `python -m tests.benchmarks.opening [--device cuda] [--checkpoint FILE]`.

An SD1 of 2.1 GB is written as holes (nobody reads its values), or a real file taken. Stand-alone: opening it until the U-Net has answered
once, against reading the bytes and against that answer alone, in turns. In the web UIs that CLICKPAINT_A1111_DIR and CLICKPAINT_FORGE_DIR
name: the same file is loaded by them, and then opened from their memory: as the page does when one of our engines is chosen (prepared, in
the background), for the first picture after that, and for later ones.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import statistics
import tempfile
import time
from pathlib import Path

from clickpaint.compat import torchvision
from tests.benchmarks.aliasing import TEXTS, UNETS, text_shapes, unet_shapes, vae_shapes, write
from tests.hosts.real import FOLDERS, RealHost, prepare
from tests.toys import checkpoint as toys

ROUNDS = 3

_HELPER = '''"""For a benchmark: opens the loaded checkpoint with our networks."""
import time

import modules.script_callbacks


def opening():
    from clickpaint.hosts.webui.host import WebUIHost
    from clickpaint.paint.checkpoint.opening import Checkpoints

    host, held, seconds = WebUIHost(), Checkpoints(), []
    source = host.checkpoint()
    with host.exclusive():
        with source.using("cpu"):  # what the web UI does itself before it paints; Forge loads only now
            pass
        start = time.perf_counter()
        held.prepare(source)
        prepared = time.perf_counter() - start
        for _ in range(6):
            start = time.perf_counter()
            with held.using(source, "cpu") as ours:
                seconds.append(time.perf_counter() - start)
                parameters = sum(one.numel() for module in ours.modules() for one in module.parameters())
    return {"prepared": prepared, "seconds": seconds, "parameters": parameters}


def started(page, app):
    app.add_api_route("/benchmark/opening", opening, methods=["GET"])


modules.script_callbacks.on_app_started(started)
'''


def full_size(path: Path) -> None:
    """Write Stable Diffusion 1 with its real shapes, float16."""
    shapes = unet_shapes(UNETS["sd1"], None) | vae_shapes()
    for text in TEXTS["sd1"]:
        shapes |= text_shapes(*text)
    write(path, shapes)


def stand_alone(path: Path, device: str) -> None:
    import torch

    from clickpaint.paint.checkpoint.opening import Checkpoint, open_checkpoint
    from clickpaint.paint.checkpoint.source import FileSource

    def read() -> None:
        with path.open("rb", buffering=0) as stream:
            block = bytearray(1 << 24)
            while stream.readinto(block):
                pass

    def step(opened: Checkpoint) -> None:
        at = {"dtype": opened.dtype, "device": device}
        sample, context = torch.zeros(1, opened.kind.in_channels, 8, 8, **at), torch.zeros(1, 77, opened.layout.context, **at)
        with torch.inference_mode():
            opened.unet(sample, torch.tensor(1, device=device), context).sample.cpu()

    def opened_and_stepped() -> float:
        source = FileSource(path, prediction="epsilon")
        with source.using(device):
            started = time.perf_counter()
            step(open_checkpoint(source))
            seconds = time.perf_counter() - started
        source.release()
        gc.collect()  # of gigabytes: no part of opening
        return seconds

    source = FileSource(path, prediction="epsilon")
    with source.using(device):
        held = open_checkpoint(source)
        rows = [[_seconds(read), opened_and_stepped(), _seconds(lambda: step(held))] for _ in range(ROUNDS)]
    reading, whole, alone = (statistics.median(column) for column in zip(*rows, strict=True))
    print(
        f"stand-alone: {whole:.2f} s to the first answer of the U-Net (64 x 64 pixels); reading {reading:.2f} s, that answer {alone:.2f} s"
    )
    wider = ", of it most for widening the weights to float32, in which a CPU computes" if device == "cpu" else ""
    print(f"  beyond reading {whole - reading:.2f} s{wider}")


def _seconds(work) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def in_web_ui(flavor: str, path: Path, data: Path) -> None:
    prepare(data, Path(os.environ[FOLDERS[flavor]]), extension=True)
    folder = data / "models/Stable-diffusion"
    (folder / "full.safetensors").symlink_to(path)
    clip = data / "clip"
    config = toys.ldm_config(clip)
    config["model"]["params"]["unet_config"]["params"]["model_channels"] = 320
    config["model"]["params"]["first_stage_config"]["params"]["ddconfig"]["ch_mult"] = [1, 2, 4, 4]
    (folder / "full.yaml").write_text(json.dumps(config), encoding="utf-8")
    (clip / "config.json").write_text(json.dumps({**toys.clip_config(), "num_hidden_layers": 12}), encoding="utf-8")
    helper = data / "extensions/opening-helper/scripts/opening_helper.py"
    helper.parent.mkdir(parents=True)
    helper.write_text(_HELPER, encoding="utf-8")
    host = RealHost(flavor, data, "--api", checkpoint="full.safetensors")
    try:
        status, answer = host.request("GET", "/benchmark/opening")
        assert status == 200, (answer, host.log[-3000:])
        first, *again = answer["seconds"]
        print(
            f"{flavor}: {answer['parameters'] / 1e6:.0f} million parameters in its memory: prepared in {answer['prepared']:.2f} s, imports "
            f"included; then opened in {first * 1e3:.0f} ms, again in {statistics.median(again) * 1e3:.0f} ms"
        )
    finally:
        host.stop()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--checkpoint", type=Path, help="a Stable Diffusion 1 file")
    arguments = parser.parse_args()
    torchvision.available()
    with tempfile.TemporaryDirectory() as folder:
        path = (arguments.checkpoint or Path(folder) / "full.safetensors").resolve()
        if arguments.checkpoint is None:
            full_size(path)
        print(f"Stable Diffusion 1, {path.stat().st_size / 1e9:.2f} GB")
        stand_alone(path, arguments.device)
        for flavor, variable in FOLDERS.items():
            if variable in os.environ:
                with tempfile.TemporaryDirectory() as data:
                    in_web_ui(flavor, path, Path(data))


if __name__ == "__main__":
    main()
