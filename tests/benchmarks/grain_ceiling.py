"""What SSIM and PSNR any eraser can reach whose grain is not the very same as the truth's.

    python -m tests.benchmarks.grain_ceiling [--each]

In the holes of `truth` lies the truth itself, blurred: a structure that is right down to some scale. Alone it says what that structure
is worth; with fresh grain (the truth's spectrum and local strength, random phases) of 0.8 of the surroundings' variance, what is left of
it when the filled place is to look like its surroundings.
"""

from __future__ import annotations

import argparse

import cv2
import numpy as np

from tests.benchmarks.erase import likeness
from tests.benchmarks.truth import SIGMA, _trimmed_box, cases, grain, variance_ratio

SCALES = (1.5, 3.0, 4.0, 6.0, 12.0, 24.0)
RATIO = 0.8
"""The least variance that counts as like the surroundings'."""


def strength(plane: np.ndarray) -> np.ndarray:
    """Local standard deviation of a plane whose local mean is 0."""
    return np.sqrt(cv2.GaussianBlur(plane * plane, (0, 0), 4.0))


def fresh(plane: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Other grain with the spectrum and the local strength of `plane`, float32 [h, w]."""
    phases = np.fft.rfft2(rng.normal(size=plane.shape))
    other = np.fft.irfft2(np.abs(np.fft.rfft2(plane)) * phases / np.abs(phases), s=plane.shape).astype(np.float32)
    other -= cv2.GaussianBlur(other, (0, 0), SIGMA)
    return other * strength(plane) / np.maximum(strength(other), 1e-3)


def filled(truth: np.ndarray, inside: np.ndarray, mask: np.ndarray) -> np.ndarray:
    return np.where(mask[..., None], np.clip(np.rint(inside), 0, 255).astype(np.uint8), truth)


def with_grain(truth: np.ndarray, blurred: np.ndarray, other: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The hole with `blurred` and the least of `other` that makes its variance ratio `RATIO`."""
    low, high = 0.0, 3.0
    if variance_ratio(filled(truth, blurred, mask), mask) >= RATIO:
        return filled(truth, blurred, mask)
    for _ in range(9):
        middle = (low + high) / 2
        enough = variance_ratio(filled(truth, blurred + middle * other[..., None], mask), mask) >= RATIO
        low, high = (low, middle) if enough else (middle, high)
    return filled(truth, blurred + high * other[..., None], mask)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--each", action="store_true", help="every hole's SSIM, too")
    options = parser.parse_args(arguments)
    cv2.setNumThreads(1)
    found = []
    for case in cases():
        box = _trimmed_box(case.mask)
        part = box.padded(max(30, max(box.size) // 3)).clipped(case.mask.shape[1], case.mask.shape[0]).slices
        truth, mask = case.truth[part], case.mask[part]
        other = fresh(grain(truth), np.random.default_rng(1))
        scores = []
        for scale in SCALES:
            blurred = cv2.GaussianBlur(truth.astype(np.float32), (0, 0), scale)
            both = filled(truth, blurred, mask), with_grain(truth, blurred, other, mask)
            scores.append([likeness(result, truth, mask) for result in both])
        found.append(scores)
        if options.each:
            print(f"{case.name:32}" + "  ".join(f"{alone[1]:.2f}/{grainy[1]:.2f}" for alone, grainy in scores), flush=True)
    means = np.array(found).mean(axis=0)
    print(
        f"\nMeans over {len(found)} holes; the truth blurred by a Gaussian of so many pixels, alone / with grain of {RATIO} of the variance"
    )
    for scale, ((psnr, ssim), (grainy_psnr, grainy_ssim)) in zip(SCALES, means, strict=True):
        print(f"{scale:6.1f} px   SSIM {ssim:.3f} / {grainy_ssim:.3f}   PSNR {psnr:.2f} / {grainy_psnr:.2f} dB")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
