"""A film that the tests draw themselves: a ball bounces through a landscape that a camera follows, at uneven times and with sound."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

SCALE = 2
"""Pixels that are drawn for one that is seen, on either side."""
HILLS = ((0.5, (150, 170, 190), 0.07), (0.62, (112, 146, 120), 0.05), (0.76, (86, 124, 72), 0.03))
"""From afar to near: where they are, as a share of the height, their colour, and how high."""


class Landscape:
    """A picture wider than the film, and what moves in front of it.

    Args:
        size: (width, height) of the film in pixels.
        count: of frames.
    """

    def __init__(self, size: tuple[int, int], count: int, seed: int = 4) -> None:
        self.size, self.count = size, count
        width, height = size[0] * SCALE, size[1] * SCALE
        rng, wide = np.random.default_rng(seed), width * 3 // 2
        rows = np.linspace(0, 1, height)[:, None, None]
        sky = (1 - rows) * np.array([92, 150, 214]) + rows * np.array([246, 226, 204])
        picture = Image.fromarray(np.broadcast_to(sky, (height, wide, 3)).astype(np.uint8))
        draw, columns = ImageDraw.Draw(picture), np.arange(0, wide + 8, 8)
        for level, colour, rough in HILLS:
            top = height * level - height * rough * sum(np.sin(columns / width * k * 6 + rng.uniform(0, 6)) / k for k in (1, 2, 3, 5))
            draw.polygon([(0, height), *zip(columns.tolist(), top.tolist(), strict=True), (wide, height)], fill=colour)
        for place in np.linspace(0.06, 0.95, 9):
            x, base, side = float(place) * wide, height * rng.uniform(0.78, 0.84), height * rng.uniform(0.09, 0.14)
            wall = tuple(int(value) for value in rng.integers(170, 245, 3))
            draw.rectangle((x, base - side, x + side, base), fill=wall)
            draw.polygon(
                [(x - 0.1 * side, base - side), (x + side / 2, base - 1.6 * side), (x + 1.1 * side, base - side)], fill=(140, 62, 48)
            )
            draw.rectangle((x + 0.2 * side, base - 0.7 * side, x + 0.45 * side, base - 0.4 * side), fill=(60, 70, 96))
        for _ in range(170):
            x, y, r = rng.uniform(0, wide), height * rng.uniform(0.8, 1), height * rng.uniform(0.006, 0.022)
            draw.ellipse(
                (x - 2 * r, y - r, x + 2 * r, y + r), fill=tuple(int(value) for value in rng.integers((40, 84, 30), (96, 140, 70)))
            )
        pixels = np.asarray(picture.filter(ImageFilter.GaussianBlur(0.8))) + rng.normal(0, 4, (height, wide, 1))
        self.picture = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))

    def ball(self, number: int) -> tuple[float, float, float]:
        """Its middle and its radius in a frame, in pixels of the film."""
        part, (width, height) = number / max(self.count - 1, 1), self.size
        return width * (0.14 + 0.72 * part), height * (0.74 - 0.3 * float(abs(np.sin(2.6 * np.pi * part)))), height * 0.11

    def frame(self, number: int) -> np.ndarray:
        """uint8 [H, W, 3]."""
        width, height = self.size
        left = round(width * 0.3 * number / max(self.count - 1, 1)) * SCALE
        seen = self.picture.crop((left, 0, left + width * SCALE, height * SCALE))
        x, y, radius = (value * SCALE for value in self.ball(number))
        draw = ImageDraw.Draw(seen)
        for share in np.linspace(0, 1, 24, endpoint=False):
            r, right, down = radius * (1 - share), x - 0.3 * radius * share, y - 0.34 * radius * share
            colour = tuple(round(a + (b - a) * float(share)) for a, b in ((178, 255), (28, 130), (38, 112)))
            draw.ellipse((right - r, down - r, right + r, down + r), fill=colour)
        return np.asarray(seen.resize(self.size, Image.Resampling.LANCZOS))


def filmed(path: Path, size: tuple[int, int] = (640, 360), count: int = 48, milliseconds: tuple[int, ...] = (33, 50, 40, 34)) -> Landscape:
    """Write the film with a quiet tone. milliseconds: for which its frames are shown, one after another, again and again."""
    import av

    scene = Landscape(size, count)
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "Ball"
        stream: Any = container.add_stream("libx264", rate=25, options={"crf": "16"})
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, 1000)
        sound: Any = container.add_stream("aac", rate=44100)
        time = 0
        for number in range(count):
            frame = av.VideoFrame.from_ndarray(scene.frame(number), format="rgb24")
            frame.pts, frame.time_base = time, Fraction(1, 1000)
            container.mux(stream.encode(frame))
            time += milliseconds[number % len(milliseconds)]
        container.mux(stream.encode(None))
        for number in range(time * 44 // 1024):
            wave = (np.sin((np.arange(1024) + 1024 * number) * 2 * np.pi * 330 / 44100) * 0.1).astype(np.float32)[None]
            audio = av.AudioFrame.from_ndarray(wave, format="fltp", layout="mono")
            audio.sample_rate, audio.pts = 44100, number * 1024
            container.mux(sound.encode(audio))
        container.mux(sound.encode(None))
    return scene
