"""Drawn scenes with and without a cast shadow."""

from __future__ import annotations

import cv2
import numpy as np

HEIGHT, WIDTH = 300, 420
Y, X = np.mgrid[:HEIGHT, :WIDTH].astype(np.float32)
OBJECT = ((X - 200) / 38) ** 2 + ((Y - 130) / 62) ** 2 <= 1


def ground(kind: str, seed: int = 0) -> np.ndarray:
    """A lit surface, float32 [H, W, 3] in 0..255."""
    rng = np.random.default_rng(seed)
    grain = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), 1.0)
    if kind == "sand":
        return np.array([205, 180, 140]) * (1 + 0.07 * grain[..., None])
    if kind == "grass":
        blades = cv2.GaussianBlur(rng.normal(size=(HEIGHT, WIDTH)).astype(np.float32), (0, 0), sigmaX=0.7, sigmaY=2.5)
        return np.array([95, 150, 70]) * (1 + 0.28 * blades[..., None])
    if kind == "sloping light":
        return np.array([150, 150, 158]) * (0.65 + 0.6 * X / WIDTH)[..., None] * (1 + 0.03 * grain[..., None])
    return np.array([188, 190, 192]) * (1 + 0.015 * grain[..., None])  # a wall, a table


def thrown(dx: float, dy: float, softness: float) -> np.ndarray:
    """The object's outline, flattened and moved from its foot, 0..1 with a soft edge."""
    move = np.array([[1, -dx / 124, 200 + dx / 124 * 192 - 200], [0, -dy / 124, 192 + dy / 124 * 192]], np.float32)
    plane = cv2.warpAffine(OBJECT.astype(np.float32), move, (WIDTH, HEIGHT))
    return cv2.GaussianBlur(plane, (0, 0), softness)


def scene(surface: np.ndarray, shade: np.ndarray | float = 0.0, darkness: float = 0.5) -> np.ndarray:
    """A striped red object on `surface`, shaded where `shade`, 0..1, says."""
    light = 1 - darkness * np.asarray(shade)[..., None] * np.array([1.0, 0.97, 0.92])
    body = np.array([185, 60, 50]) + 25 * np.sin(Y / 6)[..., None]
    noise = np.random.default_rng(9).normal(0, 2, (HEIGHT, WIDTH, 3))
    return np.clip(np.where(OBJECT[..., None], body, surface * light) + noise, 0, 255).astype(np.uint8)
