"""How near erasers come to what truly lies behind a hole, against the other ways that need no weights.

    python -m tests.benchmarks.truth [--cases N] [--only NAME …] [--out folder]

A mask (an object of the sample photographs, or a drawn shape) is moved to a place of a photograph where nothing is to be removed,
so that the truth is the photograph itself. Everything is seeded: the same cases, the same figures. Photographs come from the samples
folder and from scikit-image's package, as far as they are there. `pypatchmatch` (`pip install --no-deps pypatchmatch`) and OpenCV's
xphoto take part where they can be imported. All get the same crop; time is the processor's.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import cv2
import numpy as np

from clickpaint.erase import registry
from clickpaint.erase.base import EraseOptions, Eraser
from clickpaint.erase.classic_eraser import PatchMatchEraser
from clickpaint.image.geometry import Box
from clickpaint.progress import Progress
from clickpaint.weights.cache import ModelCache
from clickpaint.weights.device import Device
from clickpaint.weights.store import Store
from tests.benchmarks.erase import SAMPLES, likeness, read

BUNDLED = (
    "astronaut.png", "coffee.png", "chelsea.png", "rocket.jpg", "brick.png", "grass.png", "gravel.png", "camera.png", "coins.png",
    "page.png", "text.png", "ihc.png", "hubble_deep_field.jpg", "moon.png", "motorcycle_left.png", "retina.jpg", "clock_motion.png",
)  # fmt: skip
"""Files of scikit-image's package, read as files: its reader wants packages that nothing else here needs."""
SHAPES = ("object", "ellipse", "box", "blob", "stroke", "star")
SIZES = (60, 90, 130, 180, 250, 350, 500)
FREELY = EraseOptions(grow=0, feather=0)
WITHOUT_GRAIN = "classic, no grain"
SLOW = {"xphoto shiftmap": 130}
"""Who is asked only for holes up to so many pixels: minutes each beyond."""
SIGMA = 1.5
"""Standard deviation in pixels of the Gaussian that parts grain from what is coarser."""


@dataclass(frozen=True, eq=False)
class Case:
    """One hole whose truth is known.

    Attributes:
        name: the photograph, the mask's shape and its longer side in pixels.
        truth: uint8 [H, W, 3] RGB.
        mask: bool [H, W].
    """

    name: str
    truth: np.ndarray
    mask: np.ndarray

    @property
    def damaged(self) -> np.ndarray:
        """The truth with its negative in the hole: who peeps, loses."""
        return np.where(self.mask[..., None], 255 - self.truth, self.truth)


@dataclass(frozen=True)
class Score:
    """What one eraser made of one case, inside the hole only.

    Attributes:
        psnr: dB.
        ssim: 0..1, on grey (Wang et al. 2004).
        variance: geometric mean of the grain's local variance in the fill, over the same in a ring around the hole; best is 1.
        spectrum: mean absolute difference in nepers between the log power spectra of the fill and of the truth; best is 0.
        rim: the mean step of the smoothed picture across the hole's rim, over the same step in the truth; best is 1.
        seconds: of processor time.
    """

    psnr: float
    ssim: float
    variance: float
    spectrum: float
    rim: float
    seconds: float


def photographs() -> Iterator[tuple[str, np.ndarray, np.ndarray | None]]:
    """(name, pixels, mask of an object that no hole should touch) of all photographs that are there."""
    if SAMPLES.exists():
        for entry in json.loads((SAMPLES / "index.json").read_text()):
            mask = read(SAMPLES / f"{entry['name']}_mask.png")[..., 0] > 127
            yield entry["name"], read(SAMPLES / f"{entry['name']}.jpg"), mask
    else:
        print(f"Without the sample photographs, which are not at {SAMPLES}.")
    package = importlib.util.find_spec("skimage")
    if package is None or not package.submodule_search_locations:
        print("Without scikit-image's pictures, as the package is not installed.")
        return
    for name in BUNDLED:
        file = Path(package.submodule_search_locations[0]) / "data" / name
        if file.exists():
            yield file.stem, read(file), None
        else:
            print(f"Without {name}, which this release of scikit-image does not carry.")


def cases() -> list[Case]:
    """Two holes per photograph, of all shapes and sizes in turn."""
    pictures = list(photographs())
    objects = [_trimmed(mask) for _, _, mask in pictures if mask is not None]
    result = []
    for number, (name, pixels, taken) in enumerate(pictures):
        rng = np.random.default_rng(number)
        for turn in range(2):
            shape = SHAPES[(2 * number + turn) % (len(SHAPES) if objects else len(SHAPES) - 1) + (0 if objects else 1)]
            fitting = [size for size in SIZES if size <= 0.5 * min(pixels.shape[:2])] or [SIZES[0]]
            size = fitting[-1 - int(rng.integers(min(3, len(fitting))))] if turn == 0 else fitting[int(rng.integers(len(fitting)))]
            piece = objects[int(rng.integers(len(objects)))] if shape == "object" else _drawn(shape, rng)
            scale = size / max(piece.shape)
            small = (max(1, round(piece.shape[1] * scale)), max(1, round(piece.shape[0] * scale)))
            piece = cv2.resize(piece.astype(np.uint8), small, interpolation=cv2.INTER_NEAREST) > 0
            result.append(Case(f"{name} {shape} {size}", pixels, _placed(piece, pixels.shape[:2], taken, rng)))
    return result


def _trimmed(mask: np.ndarray) -> np.ndarray:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _drawn(shape: str, rng: np.random.Generator) -> np.ndarray:
    """A shape that fills its array, bool, some 500 pixels long."""
    plane = np.zeros((500, 500), np.uint8)
    if shape == "ellipse":
        cv2.ellipse(plane, (250, 250), (249, int(rng.integers(120, 250))), int(rng.integers(180)), 0, 360, 1, -1)
    elif shape == "box":
        cv2.rectangle(plane, (0, 0), (499, int(rng.integers(150, 499))), 1, -1)
    elif shape == "blob":
        noise = cv2.GaussianBlur(rng.normal(size=plane.shape), (0, 0), 45)
        y, x = np.mgrid[-1:1:500j, -1:1:500j]
        plane = (noise / noise.std() * 0.35 + 0.75 - np.hypot(x, y) > 0).astype(np.uint8)
        pieces, labels = cv2.connectedComponents(plane)
        plane = (labels == 1 + np.argmax(np.bincount(labels.ravel(), minlength=pieces)[1:])).astype(np.uint8)
    elif shape == "stroke":
        points = rng.integers(60, 440, (5, 2))
        cv2.polylines(plane, [points.astype(np.int32)], False, 1, 60)
    else:
        angles = np.arange(10) * np.pi / 5 + rng.random()
        reach = np.where(np.arange(10) % 2, 110, 249)
        points = np.stack([250 + reach * np.cos(angles), 250 + reach * np.sin(angles)], axis=1)
        cv2.fillPoly(plane, [points.astype(np.int32)], 1)
    return _trimmed(plane > 0)


def _placed(piece: np.ndarray, shape: tuple[int, int], taken: np.ndarray | None, rng: np.random.Generator) -> np.ndarray:
    """`piece` in an empty mask of `shape`, at the one of some random places that has least of `taken` in and around it."""
    height, width = piece.shape
    best, least = (0, 0), float("inf")
    for _ in range(1 if taken is None else 200):
        top, left = (int(rng.integers(0, max(1, whole - side + 1))) for whole, side in zip(shape, piece.shape, strict=True))
        if taken is None:
            best = top, left
            continue
        touched = float((taken[top : top + height, left : left + width] & piece).sum())
        if touched < least:
            best, least = (top, left), touched
    mask = np.zeros(shape, bool)
    mask[best[0] : best[0] + height, best[1] : best[1] + width] = piece[: shape[0], : shape[1]]
    return mask


class Foreign(Eraser):
    """Someone else's function behind our cutting and blending, so that all see the same."""

    rules = PatchMatchEraser.rules

    def __init__(self, name: str, function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> None:
        self.name = name
        self._function = function

    def fill(self, crop: np.ndarray, hole: np.ndarray, progress: Progress) -> np.ndarray:
        return self._function(np.ascontiguousarray(crop), np.ascontiguousarray(hole.astype(np.uint8) * 255))


def contenders() -> dict[str, Eraser]:
    """All that take part, the measure of things first."""
    store, cache = Store(lambda kind: []), ModelCache(lambda: 1 << 32)
    result: dict[str, Eraser] = {name: registry.create("classic", store, Device(), cache) for name in ("classic", WITHOUT_GRAIN)}
    for name, flag in (("cv2 telea", cv2.INPAINT_TELEA), ("cv2 ns", cv2.INPAINT_NS)):
        result[name] = Foreign(name, lambda crop, hole, flag=flag: cv2.inpaint(crop, hole, 3, flag))
    if hasattr(cv2, "xphoto"):
        for name, method in (("xphoto shiftmap", cv2.xphoto.INPAINT_SHIFTMAP), ("xphoto fsr", cv2.xphoto.INPAINT_FSR_FAST)):
            result[name] = Foreign(name, lambda crop, hole, method=method: _xphoto(crop, hole, method))
    else:
        print("Without xphoto, which this build of OpenCV does not have.")
    if importlib.util.find_spec("patchmatch") is not None:
        from patchmatch import patch_match  # pyright: ignore[reportMissingImports]

        patch_match.set_random_seed(0)
        result["pypatchmatch"] = Foreign("pypatchmatch", lambda crop, hole: patch_match.inpaint(crop, hole, patch_size=3))
    else:
        print("Without pypatchmatch, which is not installed.")
    return result


def _xphoto(crop: np.ndarray, hole: np.ndarray, method: int) -> np.ndarray:
    shiftmap = method == cv2.xphoto.INPAINT_SHIFTMAP  # the only one that wants CIE L*a*b*
    source = cv2.cvtColor(crop, cv2.COLOR_RGB2LAB) if shiftmap else crop
    result = np.zeros_like(source)
    cv2.xphoto.inpaint(source, 255 - hole, result, method)
    return cv2.cvtColor(result, cv2.COLOR_LAB2RGB) if shiftmap else result


def grain(picture: np.ndarray) -> np.ndarray:
    """The luma without what is coarser than `SIGMA`, float32 [H, W]."""
    gray = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY).astype(np.float32)
    return gray - cv2.GaussianBlur(gray, (0, 0), SIGMA)


def variance_ratio(picture: np.ndarray, mask: np.ndarray) -> float:
    """`Score.variance`."""
    square = grain(picture) ** 2
    distance = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    box = _trimmed_box(mask)
    around = (distance > 0) & (distance <= max(12, 0.25 * max(box.size)))

    def level(where: np.ndarray) -> float:
        share = where.astype(np.float32)
        local = cv2.blur(square * share, (9, 9)) / np.maximum(cv2.blur(share, (9, 9)), 1e-6)
        return float(np.log(local[where] + 0.25).mean())  # 0.25: below half a level there is nothing but rounding

    return float(np.exp(level(mask) - level(around)))


def _trimmed_box(mask: np.ndarray) -> Box:
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return Box(int(columns[0]), int(rows[0]), int(columns[-1]) + 1, int(rows[-1]) + 1)


def spectrum_distance(picture: np.ndarray, truth: np.ndarray, mask: np.ndarray, side: int = 16) -> float:
    """`Score.spectrum`, over all windows of `side` pixels that lie in the hole."""
    fy, fx = np.meshgrid(np.fft.fftfreq(side), np.fft.rfftfreq(side), indexing="ij")
    band = np.minimum((np.hypot(fy, fx) * side).astype(int), side // 2)
    window = np.outer(np.hanning(side), np.hanning(side))
    box = _trimmed_box(mask)
    powers = []
    for plane in (cv2.cvtColor(p, cv2.COLOR_RGB2GRAY).astype(float) for p in (picture, truth)):
        total, count = np.zeros(side // 2 + 1), 0
        for top in range(box.top, box.bottom - side + 1, side // 2):
            for left in range(box.left, box.right - side + 1, side // 2):
                if mask[top : top + side, left : left + side].mean() > 0.9:
                    block = plane[top : top + side, left : left + side]
                    power = np.abs(np.fft.rfft2((block - block.mean()) * window)) ** 2
                    total += np.bincount(band.ravel(), power.ravel()) / np.bincount(band.ravel())
                    count += 1
        powers.append(np.log(total / max(count, 1) + 4.0)[1:])
    return float(np.abs(powers[0] - powers[1]).mean())


def rim_step(picture: np.ndarray, mask: np.ndarray) -> float:
    """Mean difference between the smoothed picture just inside and just outside the rim, in levels."""

    def side(where: np.ndarray) -> np.ndarray:
        share = cv2.GaussianBlur(where.astype(np.float32), (0, 0), 2)
        return cv2.GaussianBlur(picture.astype(np.float32) * where[..., None], (0, 0), 2) / np.maximum(share, 1e-6)[..., None]

    rim = mask & (cv2.erode(mask.astype(np.uint8), np.ones((3, 3), np.uint8), borderType=cv2.BORDER_CONSTANT, borderValue=1) == 0)
    return float(np.abs(side(mask) - side(~mask))[rim].mean())


def score(case: Case, result: np.ndarray, seconds: float) -> Score:
    psnr, ssim = likeness(result, case.truth, case.mask)
    rim = (rim_step(result, case.mask) + 0.5) / (rim_step(case.truth, case.mask) + 0.5)
    spectrum = spectrum_distance(result, case.truth, case.mask)
    return Score(min(psnr, 60.0), ssim, variance_ratio(result, case.mask), spectrum, rim, seconds)


HEAD = f"{'':18}{'PSNR dB':>9}{'SSIM':>8}{'variance':>10}{'off by':>8}{'in goal':>9}{'spectrum':>10}{'rim':>7}{'seconds':>9}{'time':>8}"


def row(name: str, scores: list[Score], measure: list[Score]) -> str:
    """One contender's means; `off by`: how far the variance ratio is from 1, as a factor; `time`: seconds over the measure's."""
    logs = np.log([s.variance for s in scores])
    goal = np.mean([0.8 <= s.variance <= 1.25 for s in scores])
    seconds, base = (np.mean([s.seconds for s in many]) for many in (scores, measure))
    return (
        f"{name:18}{np.mean([s.psnr for s in scores]):9.2f}{np.mean([s.ssim for s in scores]):8.3f}{np.exp(logs.mean()):10.2f}"
        f"{np.exp(np.abs(logs).mean()):8.2f}{100 * goal:7.0f} %{np.mean([s.spectrum for s in scores]):10.2f}"
        f"{np.exp(np.mean(np.log([s.rim for s in scores]))):7.2f}{seconds:9.2f}{seconds / max(base, 1e-9):8.2f}"
    )


def sheet(case: Case, results: dict[str, np.ndarray], file: Path) -> None:
    """All results of a case side by side: the hole and as much around it."""
    box = _trimmed_box(case.mask)
    box = box.padded(max(box.size) // 3).clipped(case.mask.shape[1], case.mask.shape[0])
    shown = {"hole": np.where(case.mask[..., None], np.array([255, 0, 255], np.uint8), case.truth), "truth": case.truth} | results
    cells = []
    for name, picture in shown.items():
        cell = picture[box.slices]
        scale = 360 / max(cell.shape)
        cell = cv2.resize(cell, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST)
        cell = cv2.copyMakeBorder(cell, 18, 360 - cell.shape[0], 0, 364 - cell.shape[1], cv2.BORDER_CONSTANT)
        cells.append(cv2.putText(cell, name, (2, 13), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255)))
    cv2.imwrite(str(file), cv2.cvtColor(np.hstack(cells), cv2.COLOR_RGB2BGR))


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, help="only so many, evenly chosen")
    parser.add_argument("--only", nargs="+", help="only these contenders")
    parser.add_argument("--out", type=Path, help="a folder for a strip of pictures per case")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    every = cases()
    if options.cases:
        every = [every[i] for i in np.unique(np.linspace(0, len(every) - 1, options.cases).astype(int))]
    taking_part = {name: eraser for name, eraser in contenders().items() if not options.only or name in options.only}
    scores: dict[str, dict[Case, Score]] = {name: {} for name in ("truth", *taking_part)}
    for case in every:
        results = {}
        scores["truth"][case] = score(case, case.truth, 0)
        for name, eraser in taking_part.items():
            if max(_trimmed_box(case.mask).size) > SLOW.get(name, 10**6):
                continue
            began = time.process_time()
            results[name] = eraser.erase(case.damaged, case.mask, replace(FREELY, grain=0.0) if name == WITHOUT_GRAIN else FREELY)
            seconds = time.process_time() - began
            if (results[name] != case.truth)[~case.mask].any():
                raise SystemExit(f"{name} changed pixels outside the mask of {case.name}.")
            scores[name][case] = score(case, results[name], seconds)
        if options.out is not None:
            options.out.mkdir(parents=True, exist_ok=True)
            sheet(case, results, options.out / f"{case.name.replace(' ', '_')}.png")
        of_case = (many[case] for many in scores.values() if case in many)
        print(f"{case.name:32}" + " |".join(f"{s.psnr:5.1f} {s.ssim:.2f} {s.variance:5.2f} {s.seconds:6.2f}s" for s in of_case), flush=True)
    measure = next(iter(taking_part))
    print(f"\nMeans over {len(every)} holes; seconds are the processor's on one core, time over {measure}'s\n\n{HEAD}")
    for name, many in scores.items():
        same = [scores[measure][case] for case in many]
        print(row(name, list(many.values()), same))
        if 0 < len(many) < len(every):
            print(row(f"  {measure}", same, same), f"(the same {len(many)})")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
