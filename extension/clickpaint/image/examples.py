"""Pictures to try at once, painted by code: each has something in it that can be clicked on and removed."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable

import numpy as np
from PIL import Image

from clickpaint.errors import NotFound

_SIZE = (768, 512)

Colour = tuple[float, float, float]


@functools.cache
def _picture(name: str) -> Image.Image:
    if name not in _PAINTED:
        raise NotFound("There is no sample {name!r}.", "Choose one of {titles}.", name=name, titles=", ".join(TITLES))
    return Image.fromarray(_PAINTED[name]())


@functools.cache
def png(name: str) -> bytes:
    """The file of a picture of `TITLES`, the same each time. Raises `NotFound`."""
    stream = io.BytesIO()
    _picture(name).save(stream, "PNG")
    return stream.getvalue()


@functools.cache
def thumbnail(name: str) -> bytes:
    """A small JPEG of it, of 288 × 192 pixels. Raises `NotFound`."""
    stream = io.BytesIO()
    _picture(name).resize((288, 192), Image.Resampling.LANCZOS).save(stream, "JPEG", quality=85)
    return stream.getvalue()


class _Painting:
    """float [h, w, 3] in 0..1, with shapes laid over each other; their covers are soft at the edge, which smoothes it."""

    def __init__(self, seed: int) -> None:
        self.width, self.height = _SIZE
        self.random = np.random.default_rng(seed)
        rows, columns = np.mgrid[: self.height, : self.width]
        self.x, self.y = columns / self.width, rows / self.height  # 0..1; ratio 3 : 2
        self.image = np.zeros((self.height, self.width, 3))

    def noise(self, columns: int, rows: int) -> np.ndarray:
        """Smooth random values of mean 0 and about ±1, with so many waves across and down."""
        small = Image.fromarray(self.random.standard_normal((rows + 2, columns + 2)).astype(np.float32))
        return np.asarray(small.resize((self.width, self.height), Image.Resampling.BICUBIC), float)

    def ramp(self, top: Colour, bottom: Colour, start: float, end: float) -> np.ndarray:
        """Colours from `top` at the height `start` to `bottom` at `end`."""
        share = np.clip((self.y - start) / (end - start), 0, 1)[..., None]
        return np.array(top) * (1 - share) + np.array(bottom) * share

    def lay(self, colour: np.ndarray | Colour, cover: np.ndarray) -> None:
        """`colour` over the picture, as opaque as `cover`, [h, w] in 0..1."""
        share = np.clip(cover, 0, 1)[..., None]
        self.image = self.image * (1 - share) + np.asarray(colour) * share

    def ellipse(self, x: float, y: float, across: float, down: float, soft: float = 0.004) -> np.ndarray:
        """Cover of an ellipse with these half axes, in widths of the picture."""
        distance = np.hypot((self.x - x) / across, (self.y - y) / 1.5 / down)
        return np.clip((1 - distance) * across / soft + 0.5, 0, 1)

    def finished(self) -> np.ndarray:
        grain = self.random.standard_normal(self.image.shape[:2])[..., None] * 0.01
        return (np.clip(self.image + grain, 0, 1) * 255).round().astype(np.uint8)


def _ball(paint: _Painting, x: float, y: float, radius: float) -> None:
    """A beach ball that stands on the ground and throws a shadow to the right."""
    u, v = (paint.x - x) / radius, (paint.y - y) / 1.5 / radius
    paint.lay((0.25, 0.18, 0.12), 0.55 * paint.ellipse(x + 0.75 * radius, y + 1.4 * radius, 1.35 * radius, 0.3 * radius, 0.03))
    z = np.sqrt(np.clip(1 - u**2 - v**2, 0, 1))
    # six panels meet at a pole that is turned towards the viewer
    pole = np.array([0.3, -0.55, 0.78])
    side = np.cross(pole, [0.0, 1.0, 0.0])
    side /= np.linalg.norm(side)
    up = np.cross(side, pole)
    angle = np.arctan2(u * up[0] + v * up[1] + z * up[2], u * side[0] + v * side[1] + z * side[2])
    panel = (np.floor(angle / np.pi * 3).astype(int) % 6)[..., None]
    red, white, blue, yellow = [0.86, 0.13, 0.12], [0.97, 0.97, 0.94], [0.10, 0.33, 0.70], [0.98, 0.76, 0.10]
    colours = np.array([red, white, blue, white, yellow, white])
    light = np.clip(0.35 + 0.75 * (-0.45 * u - 0.6 * v + 0.66 * z), 0.2, 1.1)[..., None]
    shine = np.clip(-0.42 * u - 0.56 * v + 0.71 * z, 0, 1)[..., None] ** 40 * 0.6
    near_pole = (u * pole[0] + v * pole[1] + z * pole[2] > 0.975)[..., None]
    paint.lay(np.where(near_pole, 0.95, colours[panel[..., 0]]) * light + shine, paint.ellipse(x, y, radius, radius))


def _beach() -> np.ndarray:
    paint = _Painting(1)
    paint.image = paint.ramp((0.30, 0.55, 0.86), (0.80, 0.90, 0.97), 0.0, 0.42)
    clouds = sum(paint.noise(4 * 2**i, 3 * 2**i) / 1.7**i for i in range(5))
    paint.lay((0.98, 0.98, 0.99), np.clip(clouds - 0.7, 0, 1) * np.clip(1.2 - paint.y * 3, 0, 1))
    waves = paint.noise(30, 260) * 0.6 + paint.noise(90, 420) * 0.4
    sea = paint.ramp((0.08, 0.32, 0.52), (0.25, 0.62, 0.68), 0.42, 0.60) + waves[..., None] * 0.045
    paint.lay(sea, (paint.y - 0.42) * 700)
    shore = paint.y - 0.60 - 0.012 * np.sin(paint.x * 9) - 0.004 * paint.noise(20, 3)
    grains = 0.025 * paint.noise(400, 300) + 0.03 * paint.noise(60, 60) + 0.03 * paint.noise(12, 24)
    sand = paint.ramp((0.80, 0.69, 0.50), (0.92, 0.82, 0.62), 0.60, 1.0) + grains[..., None]
    paint.lay(sand, shore * 500)
    paint.lay(sand * 0.82, np.clip(shore * 500, 0, 1) * np.clip(1 - shore * 22, 0, 1) * 0.8)
    paint.lay((0.97, 0.98, 0.98), np.exp(-((shore / 0.006) ** 2)) * 0.9)
    _ball(paint, 0.60, 0.77, 0.085)
    return paint.finished()


def _bricks() -> np.ndarray:
    paint = _Painting(2)
    rows, across = 16, 9
    row = np.floor(paint.y * rows).astype(int)
    along = paint.x * across + 0.5 * (row % 2)
    column = np.floor(along).astype(int)
    inside_x, inside_y = along - column, paint.y * rows - row
    edge = np.minimum(np.minimum(inside_x, 1 - inside_x) / across * 1.5, np.minimum(inside_y, 1 - inside_y) / rows)
    edge = edge + 0.0012 * paint.noise(150, 100)
    tint = paint.random.standard_normal((rows, across + 1))[row, column][..., None]
    rough = 0.05 * paint.noise(240, 160) + 0.05 * paint.noise(70, 46)
    brick = np.array([0.58, 0.27, 0.20]) + tint * np.array([0.06, 0.045, 0.04]) + rough[..., None]
    bevel = 0.12 * np.clip(1 - inside_y * 8, 0, 1) - 0.12 * np.clip(1 - (1 - inside_y) * 8, 0, 1)
    paint.image = np.array([0.66, 0.62, 0.56]) + (0.05 * paint.noise(200, 130))[..., None]
    paint.lay(brick + bevel[..., None], (edge - 0.0045) * 600)
    paint.image *= (1.06 - 0.25 * np.hypot(paint.x - 0.4, paint.y - 0.3))[..., None]
    x, y, across_sign = 0.62, 0.46, 0.105
    paint.lay((0.1, 0.06, 0.05), 0.5 * paint.ellipse(x + 0.012, y + 0.03, across_sign, across_sign, 0.02))
    paint.lay((0.93, 0.93, 0.91), paint.ellipse(x, y, across_sign, across_sign))
    paint.lay((0.78, 0.10, 0.12), paint.ellipse(x, y, across_sign * 0.95, across_sign * 0.95))
    paint.lay((0.95, 0.95, 0.93), paint.ellipse(x, y, across_sign * 0.72, across_sign * 0.72))
    bar = np.minimum(0.066 - np.abs(paint.x - x), 0.018 - np.abs(paint.y - y) / 1.5)
    paint.lay((0.14, 0.14, 0.16), bar * 400)
    return paint.finished()


def _meadow() -> np.ndarray:
    paint = _Painting(3)
    paint.image = paint.ramp((0.42, 0.62, 0.86), (0.93, 0.88, 0.80), 0.0, 0.5)
    for height, colour, waves in ((0.40, (0.50, 0.58, 0.66), 5), (0.46, (0.36, 0.48, 0.46), 8)):
        outline = height + 0.05 * paint.noise(waves, 1)[0]
        paint.lay(np.array(colour) + (0.02 * paint.noise(80, 60))[..., None], (paint.y - outline) * 500)
    depth = np.clip((paint.y - 0.52) / 0.48, 0, 1)
    blades = 0.07 * paint.noise(500, 90) * (0.3 + depth) + 0.05 * paint.noise(120, 40) + 0.05 * paint.noise(10, 14)
    paint.lay(
        paint.ramp((0.55, 0.62, 0.28), (0.24, 0.42, 0.13), 0.52, 1.0) + blades[..., None] * np.array([1, 1.1, 0.6]), (paint.y - 0.52) * 500
    )
    for x, y, radius, tone in ((0.27, 0.70, 0.07, 0.0), (0.66, 0.61, 0.038, 0.05), (0.84, 0.80, 0.055, -0.05)):
        _bale(paint, x, y, radius, tone)
    return paint.finished()


def _bale(paint: _Painting, x: float, y: float, radius: float, tone: float) -> None:
    """A round hay bale, seen from the front."""
    u, v = (paint.x - x) / radius, (paint.y - y) / 1.5 / radius
    paint.lay((0.08, 0.14, 0.04), 0.6 * paint.ellipse(x + 0.5 * radius, y + 1.42 * radius, 1.5 * radius, 0.28 * radius, 0.03))
    straw = 0.06 * paint.noise(260, 170)
    body = np.maximum(np.abs(u - 0.45) - 0.45, 0)
    side = np.clip((1 - np.hypot(body, v)) * radius / 0.004 + 0.5, 0, 1)
    light = (0.92 - 0.38 * v + tone)[..., None]
    paint.lay((np.array([0.72, 0.57, 0.28]) + straw[..., None]) * light * 0.8, side)
    rings = 0.07 * np.sin(np.hypot(u, v) * 38 + 1.5 * np.arctan2(v, u))
    paint.lay((np.array([0.88, 0.74, 0.42]) + (straw + rings)[..., None]) * light, paint.ellipse(x, y, radius, radius))


TITLES = {"beach": "A ball on the beach", "bricks": "A sign on a brick wall", "meadow": "Hay bales in a meadow"}
"""The pictures' names and what they show."""

_PAINTED: dict[str, Callable[[], np.ndarray]] = {"beach": _beach, "bricks": _bricks, "meadow": _meadow}
