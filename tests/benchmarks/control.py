"""How fast the preprocessors without weights are: `python -m tests.benchmarks.control [--picture FILE]`.

Each is compared, in one run and in turns, with the same steps written down plainly with OpenCV and NumPy as sd-webui-controlnet's users run
them (resize, pad, filter, crop, three channels), and with controlnet_aux where that has the same preprocessor. Ratios under 1 are ours.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from clickpaint.control import registry
from clickpaint.control.base import Tools
from clickpaint.errors import ModelMissing
from tests.control.pictures import scene

PICTURE = Path(__file__).resolve().parents[3] / "shared" / "samples" / "inpaint-anything" / "remove_dog.jpg"
TOOLS = Tools(None, None, None)  # type: ignore[arg-type]  # these need none
RESOLUTION = 512
ROUNDS = 60


def padded(pixels: np.ndarray) -> tuple[np.ndarray, int, int]:
    """The picture with a short side of `RESOLUTION`, padded to multiples of 64; and its height and width without the padding."""
    import cv2

    scale = RESOLUTION / min(pixels.shape[:2])
    height, width = (int(np.round(side * scale)) for side in pixels.shape[:2])
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_CUBIC if scale > 1 else cv2.INTER_AREA)
    return np.pad(resized, ((0, -height % 64), (0, -width % 64), (0, 0)), mode="edge"), height, width


def canny(pixels: np.ndarray) -> np.ndarray:
    import cv2

    at, height, width = padded(pixels)
    return cv2.cvtColor(cv2.Canny(at, 100, 200), cv2.COLOR_GRAY2RGB)[:height, :width].copy()


def threshold(pixels: np.ndarray) -> np.ndarray:
    at, height, width = padded(pixels)
    lines = np.where(at.min(axis=2) > 127, np.uint8(255), np.uint8(0))
    return np.repeat(lines[..., None], 3, axis=2)[:height, :width].copy()


def scribble_xdog(pixels: np.ndarray) -> np.ndarray:
    import cv2

    at, height, width = padded(pixels)
    values = at.astype(np.float32)
    darker = np.min(cv2.GaussianBlur(values, (0, 0), 5.0) - cv2.GaussianBlur(values, (0, 0), 0.5), axis=2)
    lines = np.where(2 * (255 - (255 - darker).clip(0, 255).astype(np.uint8)) > 32, np.uint8(255), np.uint8(0))
    return np.repeat(lines[..., None], 3, axis=2)[:height, :width].copy()


def lineart_standard(pixels: np.ndarray) -> np.ndarray:
    import cv2

    at, height, width = padded(pixels)
    values = at.astype(np.float32)
    darker = np.min(cv2.GaussianBlur(values, (0, 0), 6.0) - values, axis=2).clip(0, 255)
    darker = darker / max(16, np.median(darker[darker > 8])) * 127
    return np.repeat(darker.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)[:height, :width].copy()


def blur_gaussian(pixels: np.ndarray) -> np.ndarray:
    import cv2

    at, height, width = padded(pixels)
    return cv2.GaussianBlur(at[:height, :width].copy(), (0, 0), 9.0)


def recolor_luminance(pixels: np.ndarray) -> np.ndarray:
    import cv2

    lightness = cv2.cvtColor(pixels, cv2.COLOR_BGR2LAB)[..., 0].astype(np.float32) / 255.0
    return cv2.cvtColor((lightness**1.0 * 255.0).clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def recolor_intensity(pixels: np.ndarray) -> np.ndarray:
    import cv2

    value = cv2.cvtColor(pixels, cv2.COLOR_BGR2HSV)[..., 2].astype(np.float32) / 255.0
    return cv2.cvtColor((value**1.0 * 255.0).clip(0, 255).astype(np.uint8), cv2.COLOR_GRAY2RGB)


def color(pixels: np.ndarray) -> np.ndarray:
    import cv2

    height, width = pixels.shape[:2]
    scale = RESOLUTION / min(height, width)
    width, height = round(width * scale), round(height * scale)
    resized = cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)
    cells = cv2.resize(resized, (width // 64, height // 64), interpolation=cv2.INTER_CUBIC)
    return cv2.resize(cells, (width, height), interpolation=cv2.INTER_NEAREST)


def shuffle(pixels: np.ndarray) -> np.ndarray:
    import cv2

    at, height, width = padded(pixels)
    random, noise = np.random.RandomState(0), []
    for _ in range(2):
        knots = random.uniform(0, 1, (height // 256 + 2, width // 256 + 2, 1))
        surface = cv2.resize(knots, (width + 512, height + 512), interpolation=cv2.INTER_CUBIC)[256 : 256 + height, 256 : 256 + width]
        surface = surface - surface.min()
        noise.append((surface / surface.max())[..., None])
    flow = np.concatenate([noise[0] * (width - 1.0), noise[1] * (height - 1.0)], axis=2).astype(np.float32)
    return cv2.remap(at[:height, :width].copy(), flow, None, cv2.INTER_LINEAR)  # type: ignore[arg-type]


def invert(pixels: np.ndarray) -> np.ndarray:
    return 255 - pixels


def tile_resample(pixels: np.ndarray) -> np.ndarray:
    import cv2

    height, width = (int(side / 4.0) for side in pixels.shape[:2])
    return cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA)


def inpaint(pixels: np.ndarray) -> np.ndarray:
    """As a client gives the mask and sees the map: it comes as a fourth channel and is shown half transparent."""
    whole = np.concatenate([pixels, hole(pixels).astype(np.uint8)[..., None] * 255], axis=2)
    shown = whole.copy()
    shown[:, :, 3] = 255 - shown[:, :, 3] // 2
    return shown


def hole(pixels: np.ndarray) -> np.ndarray:
    """bool [H, W]: the middle of the picture."""
    height, width = pixels.shape[:2]
    mask = np.zeros((height, width), bool)
    mask[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4] = True
    return mask


PLAIN: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    canny, threshold, scribble_xdog, lineart_standard, blur_gaussian, color, shuffle, recolor_luminance, recolor_intensity, invert,
    tile_resample, inpaint,
)  # fmt: skip
"""The rest (none, tile_colorfix, tile_colorfix+sharp, reference_*) gives the picture back as it is, here as there; inpaint_only and
inpaint_global_harmonious are one function."""

VALUES = {"tile_resample": {"down_sampling": 4.0}}

PACKAGE = {"canny": "CannyDetector", "lineart_standard": "LineartStandardDetector", "shuffle": "ContentShuffleDetector"}
"""By preprocessor: the class of controlnet_aux, in the module of the same name."""


def packages_own(name: str) -> Callable[[np.ndarray], np.ndarray] | None:
    """controlnet_aux's, at the same resolution; None where it has none, or is not installed."""
    from clickpaint.control.controlnet_aux_modules import module

    if name not in PACKAGE:
        return None
    try:
        detector = getattr(module(name), PACKAGE[name])()
    except ModelMissing:
        return None
    return lambda pixels: detector(pixels, detect_resolution=RESOLUTION, output_type="np")


def milliseconds(works: Sequence[Callable[[], object]]) -> tuple[list[float], list[float]]:
    """The median time of each, and the median of the first one's ratio to each, over rounds in which all take their turns: what slows the
    machine down for a while slows a whole round. Who begins changes from round to round."""
    rounds: list[list[float]] = []
    for number in range(ROUNDS):
        times = [0.0] * len(works)
        for index in range(len(works))[:: 1 if number % 2 else -1]:
            began = time.perf_counter()
            works[index]()
            times[index] = (time.perf_counter() - began) * 1000
        rounds.append(times)
    columns = [*zip(*rounds, strict=True)]
    ratios = [statistics.median(mine / other for mine, other in zip(columns[0], column, strict=True)) for column in columns]
    return [statistics.median(column) for column in columns], ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--picture", type=Path, default=PICTURE)
    file = parser.parse_args().picture
    pixels = np.asarray(Image.open(file).convert("RGB")) if file.exists() else scene(534, 800)
    print(f"{file.name if file.exists() else 'a drawing'}, {pixels.shape[1]} x {pixels.shape[0]}, at {RESOLUTION}; median of {ROUNDS}")
    print(f"{'':20}{'ours':>9}{'plain':>9}{'ratio':>7}  {'controlnet_aux':>14}{'ratio':>7}")
    for plain in PLAIN:
        name = plain.__name__
        one, request = registry.info(name), registry.request(name, VALUES.get(name), RESOLUTION, hole(pixels))
        works: list[Callable[[], object]] = [partial(registry.detect, one.name, pixels, request, TOOLS), partial(plain, pixels)]
        other = packages_own(name)
        if other is not None:
            works.append(partial(other, pixels))
        same = np.array_equal(registry.detect(name, pixels, request, TOOLS).pixels, plain(pixels))
        (ours, straight, *rest), (_, ratio, *others) = milliseconds(works)
        beside = f"{rest[0]:>11.2f} ms{others[0]:>7.2f}" if rest else f"{'-':>14}"
        print(f"{name:20}{ours:>6.2f} ms{straight:>6.2f} ms{ratio:>7.2f}  {beside}{'' if same else '  (differs)'}")


if __name__ == "__main__":
    main()
