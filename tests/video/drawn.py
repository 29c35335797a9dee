"""Clips drawn by a camera that moves in a known way over a known picture, with something that moves in front of it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

KINDS = ("static", "pan", "zoom", "rotation", "parallax", "brightness", "noise")


@dataclass(frozen=True, eq=False)
class Drawn:
    """A clip, what hides a part of it, and what is behind that. It is both `Frames` and `Masks`."""

    shown: list[np.ndarray]
    masks: list[np.ndarray]
    truth: list[np.ndarray]

    @property
    def size(self) -> tuple[int, int]:
        return self.shown[0].shape[1], self.shown[0].shape[0]

    def __len__(self) -> int:
        return len(self.shown)

    def frame(self, number: int) -> np.ndarray:
        return self.shown[number]

    def mask(self, number: int) -> np.ndarray:
        return self.masks[number]


def texture(width: int, height: int, seed: int, fineness: float = 1.0) -> np.ndarray:
    """A picture with large and small structures and edges, float32 [height, width, 3]."""
    rng = np.random.default_rng(seed)
    picture = np.full((height, width, 3), 120, np.float32)
    for scale, strength in ((48, 40), (16, 22), (6, 14), (2.5, 8)):
        grain = cv2.GaussianBlur(rng.standard_normal((height, width, 3)).astype(np.float32), (0, 0), scale / fineness)
        picture += strength * grain / grain.std()
    for _ in range(max(8, width * height // 4000)):
        center = int(rng.integers(width)), int(rng.integers(height))
        axes = int(rng.integers(4, 26)), int(rng.integers(4, 26))
        colour = [float(value) for value in rng.integers(20, 235, 3)]
        cv2.ellipse(picture, center, axes, float(rng.integers(180)), 0, 360, colour, -1, cv2.LINE_AA)
    return cv2.GaussianBlur(picture, (0, 0), 0.7)


def drawn(kind: str, size: tuple[int, int] = (64, 48), count: int = 8, seed: int = 0, hole: float = 0.3) -> Drawn:
    """A clip of one of `KINDS`. hole: height of what moves through the picture, as a share of the frame's height."""
    width, height = size
    rng = np.random.default_rng(seed + 1)
    world, near = texture(3 * width, 3 * height, seed), texture(4 * width, 3 * height, seed + 2, 0.5)
    object_ = texture(width, height, seed + 3)
    shown, masks, truth = [], [], []
    for number in range(count):
        part = number / max(count - 1, 1)
        angle, zoom, x, y = 0.0, 1.0, 0.0, 0.0
        if kind in ("pan", "brightness", "noise", "parallax"):
            x, y = 0.5 * width * part + 0.3 * np.sin(number), 0.08 * height * np.sin(3 * part)
        elif kind == "zoom":
            zoom, x = 1.0 + 0.35 * part, 0.05 * width * part
        elif kind == "rotation":
            angle, x = 14.0 * part, 0.08 * width * part
        matrix = cv2.getRotationMatrix2D((width / 2, height / 2), angle, zoom)
        matrix[:, 2] += matrix[:, :2] @ (-width - x, -height - y)
        clean = cv2.warpAffine(world, matrix, size, flags=cv2.INTER_AREA if zoom < 1 else cv2.INTER_CUBIC)
        if kind == "parallax":  # something near, below, moves twice as far
            matrix[0, 2] -= x
            front = cv2.warpAffine(near, matrix, size, flags=cv2.INTER_CUBIC)
            clean = np.where((np.arange(height) > 0.6 * height)[:, None, None], front, clean)
        if kind == "brightness":
            clean = clean * (1.0 + 0.25 * np.sin(5 * part)) + 10 * part
        if kind == "noise":
            clean = clean + rng.normal(0, 6, clean.shape)
        clean = np.clip(np.rint(clean), 0, 255).astype(np.uint8)
        mask = np.zeros((height, width), np.uint8)
        at = width * (0.15 + 0.7 * part), height * (0.5 + 0.1 * np.sin(4 * part))
        cv2.ellipse(mask, (round(at[0]), round(at[1])), (round(hole * height * 0.5), round(hole * height * 0.5)), 0, 0, 360, 1, -1)
        cv2.ellipse(
            mask,
            (round(at[0] - 0.3 * hole * height), round(at[1])),
            (round(hole * height * 0.5), round(hole * height * 0.2)),
            30,
            0,
            360,
            1,
            -1,
        )
        shown.append(np.where(mask[..., None] > 0, np.clip(np.roll(object_, round(at[0]), 1), 0, 255).astype(np.uint8), clean))
        masks.append(mask > 0)
        truth.append(clean)
    return Drawn(shown, masks, truth)


def turning(count: int = 8) -> Drawn:
    """A clip in which something moves and turns: from frame to frame more of its side, which has other colours, is seen."""
    rng = np.random.default_rng(0)
    world = cv2.GaussianBlur(texture(128, 72, 3), (0, 0), 3)
    front, side = (rng.integers(60, 230, (9, width, 3)).repeat(3, axis=0).repeat(3, axis=1) for width in (8, 16))
    shown, masks = [], []
    for number in range(count):
        wide = cv2.resize(side.astype(np.float32), (5 * number + 3, 27), interpolation=cv2.INTER_AREA)
        whole = np.hstack([front, wide])
        place = slice(22, 49), slice(20 + 3 * number, 20 + 3 * number + whole.shape[1])
        frame, mask = world.copy(), np.zeros(world.shape[:2], bool)
        frame[place], mask[place] = whole, True
        shown.append(np.clip(frame, 0, 255).astype(np.uint8))
        masks.append(mask)
    return Drawn(shown, masks, [np.clip(world, 0, 255).astype(np.uint8)] * count)
