"""What erasing costs in a small and in a large picture, and how near the classic eraser comes to published results.

    python -m tests.benchmarks.erase [--out sheet.png]

The published LaMa weights are not needed: a stand-in with LaMa's encoder, 18 residual blocks of 512 channels and decoder, all
plain convolutions with random weights instead of Fourier ones, is scripted and loaded as the file would be.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import cv2
import numpy as np
import torch

from clickpaint.erase import registry
from clickpaint.erase.base import EraseOptions, Eraser
from clickpaint.erase.lama import Lama
from clickpaint.image import blend
from clickpaint.image.geometry import CropRules
from clickpaint.progress import Progress
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "samples" / "inpaint-anything"
HOLE = 120
ERASERS = ("opencv_telea", "opencv_ns", "patchmatch", "classic")


class Residual(torch.nn.Module):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = torch.nn.Conv2d(channels, channels // 2, 3, padding=1)
        self.second = torch.nn.Conv2d(channels // 2, channels, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.second(torch.relu(self.first(x)))


class StandIn(torch.nn.Module):
    """LaMa's depth and widths: 4 → 64 → 512 channels at an eighth of the size, 18 residual blocks, and back."""

    def __init__(self) -> None:
        super().__init__()
        down = [torch.nn.Conv2d(4, 64, 7, padding=3)]
        down += [torch.nn.Conv2d(c, 2 * c, 3, stride=2, padding=1) for c in (64, 128, 256)]
        up = [torch.nn.ConvTranspose2d(c, c // 2, 3, stride=2, padding=1, output_padding=1) for c in (512, 256, 128)]
        self.layers = torch.nn.Sequential(*down, *(Residual(512) for _ in range(18)), *up, torch.nn.Conv2d(64, 3, 7, padding=3))

    def forward(self, image: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(self.layers(torch.cat([image * (1 - mask), mask], 1)))


class StandInEraser(Lama):
    """LaMa's path with the stand-in's file, which no catalog knows."""

    def __init__(self, path: Path, device: Device | None = None) -> None:
        super().__init__(Store(lambda kind: []), device or Device(), ModelCache(lambda: 1 << 32))
        self._path = path

    def load(self, device: Device) -> tuple[torch.jit.ScriptModule, int]:
        return torch.jit.load(str(self._path), map_location=device.torch).eval(), self._path.stat().st_size


class Copying(Eraser):
    """Does nothing: what remains is the result's copy and looking for the mask, all that grows with the picture."""

    name = "copying"
    rules = CropRules()

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        return crop


def script_stand_in(folder: Path) -> Path:
    """The file of a stand-in with random weights."""
    path = folder / "stand-in.pt"
    torch.jit.script(StandIn()).save(str(path))
    return path


def erasers(folder: Path) -> dict[str, Eraser]:
    path = script_stand_in(folder)
    store, cache = Store(lambda kind: []), ModelCache(lambda: 1 << 32)
    return {name: registry.create(name, store, Device(), cache) for name in ERASERS} | {"lama (stand-in)": StandInEraser(path)}


def timed(eraser: Eraser, pictures: list[np.ndarray], rounds: int) -> list[tuple[float, float]]:
    """(milliseconds, processor milliseconds) per picture for one hole of `HOLE` pixels in its middle, the best of some rounds,
    in turn, so that whatever else the machine does falls on all alike."""
    best = [(float("inf"), float("inf"))] * len(pictures)
    for turn in range(rounds + 1):
        for number, pixels in enumerate(pictures):
            mask = np.zeros(pixels.shape[:2], bool)
            top, left = (side // 2 - HOLE // 2 for side in mask.shape)
            mask[top : top + HOLE, left : left + HOLE] = True
            began, worked = time.perf_counter(), time.process_time()
            eraser.erase(pixels, mask)
            took = (time.perf_counter() - began) * 1000, (time.process_time() - worked) * 1000
            if turn > 0:
                best[number] = min(best[number][0], took[0]), min(best[number][1], took[1])
    return best


def ratios() -> None:
    """The picture's middle is the same in both sizes, so that the same work is to be done."""
    middle = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    small = cv2.resize(middle, (1000, 1000), interpolation=cv2.INTER_CUBIC)
    large = cv2.copyMakeBorder(small, 1500, 1500, 1500, 1500, cv2.BORDER_REFLECT)
    print(f"A hole of {HOLE} x {HOLE} pixels, {torch.get_num_threads()} threads\n")
    print(f"{'eraser':18}{'1 MP':>12}{'16 MP':>12}{'ratio':>8}{'by processor time':>20}")
    with tempfile.TemporaryDirectory() as folder:
        for name, eraser in {"(only the copies)": Copying(), **erasers(Path(folder))}.items():
            (first, worked), (second, worked_more) = timed(eraser, [small, large], 2 if "lama" in name else 5)
            print(f"{name:18}{first:9.1f} ms{second:9.1f} ms{second / first:8.2f}{worked_more / worked:20.2f}", flush=True)


def likeness(first: np.ndarray, second: np.ndarray, where: np.ndarray) -> tuple[float, float]:
    """(PSNR in dB, SSIM after Wang et al. 2004 on grey) of the pixels in `where`."""
    error = ((first[where].astype(float) - second[where]) ** 2).mean()
    a, b = (cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float64) for picture in (first, second))

    def mean(plane: np.ndarray) -> np.ndarray:
        return cv2.GaussianBlur(plane, (11, 11), 1.5)

    ma, mb = mean(a), mean(b)
    va, vb, cov = mean(a * a) - ma * ma, mean(b * b) - mb * mb, mean(a * b) - ma * mb
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    ssim = (2 * ma * mb + c1) * (2 * cov + c2) / ((ma * ma + mb * mb + c1) * (va + vb + c2))
    return 10 * np.log10(255**2 / max(error, 1e-9)), float(ssim[where].mean())


def read(path: Path) -> np.ndarray:
    return cv2.cvtColor(cv2.imread(str(path)), cv2.COLOR_BGR2RGB)


def samples(out: Path | None) -> None:
    """Classic erasers against LaMa's published results; the fill_* and replace_* pictures have none and are only drawn."""
    store, cache = Store(lambda kind: []), ModelCache(lambda: 1 << 32)
    names, options, sheet = ("opencv_telea", "classic"), EraseOptions(), []
    print(
        f"\nAgainst LaMa's published result, inside the hole (PSNR dB / SSIM)\n\n{'photograph':18}{'':>10}"
        + "".join(f"{n:>18}" for n in names)
    )
    for entry in json.loads((SAMPLES / "index.json").read_text()):
        name = entry["name"]
        pixels, published = read(SAMPLES / f"{name}.jpg"), read(SAMPLES / f"{name}_published.jpg")
        mask = cv2.imread(str(SAMPLES / f"{name}_mask.png"), cv2.IMREAD_GRAYSCALE) > 127
        published = cv2.resize(published, pixels.shape[1::-1], interpolation=cv2.INTER_AREA)
        shown, cells, took = pixels.copy(), [], 0.0
        shown[mask] = (255, 0, 0)
        row = [shown]
        for eraser in names:
            began = time.perf_counter()
            result = registry.create(eraser, store, Device(), cache).erase(pixels, mask, options)
            took = time.perf_counter() - began
            psnr, ssim = likeness(result, published, blend.hole(mask, options.grow, 0))
            cells.append(f"{psnr:10.1f} / {ssim:.2f}" if entry["mode"] == "remove" else "")
            row.append(result)
        print(f"{name:18}{took:8.1f} s" + "".join(f"{cell:>18}" for cell in cells))
        sheet.append(np.hstack([cv2.resize(cell, (640, 480), interpolation=cv2.INTER_AREA) for cell in (*row, published)]))
    if out is not None:
        cv2.imwrite(str(out), cv2.cvtColor(np.vstack(sheet), cv2.COLOR_RGB2BGR))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, help="a contact sheet of the sample photographs")
    arguments = parser.parse_args()
    ratios()
    if SAMPLES.exists():
        samples(arguments.out)
    else:
        print(f"\nThe sample photographs are not at {SAMPLES}.")


if __name__ == "__main__":
    main()
