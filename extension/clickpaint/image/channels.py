"""Arithmetic on the channels of pictures and of motions.

What NumPy does over a last axis of two or three, over two axes at once, or by repeating a plane for three channels, takes ten to fifty
times as long as the same by OpenCV or a channel at a time; the results differ in the last bits of a float32.
"""

from __future__ import annotations

import numpy as np


def mean_of(pixels: np.ndarray) -> np.ndarray:
    """The mean of the channels of `pixels` (float32 [h, w, C]), float32 [h, w]."""
    import cv2

    channels = pixels.shape[2]
    return cv2.transform(pixels, np.full((1, channels), 1 / channels, np.float32))


def greatest_of(pixels: np.ndarray) -> np.ndarray:
    """The greatest of the channels of `pixels` ([h, w, C]), [h, w]."""
    result = pixels[..., 0]
    for channel in range(1, pixels.shape[2]):
        result = np.maximum(result, pixels[..., channel])
    return result


def length_of(vectors: np.ndarray) -> np.ndarray:
    """The length of `vectors` (float32 [h, w, 2]), float32 [h, w]."""
    x, y = vectors[..., 0], vectors[..., 1]
    return np.sqrt(x * x + y * y)


def repeated(plane: np.ndarray, channels: int = 3) -> np.ndarray:
    """`plane` ([h, w], bool, uint8 or float32) once for each channel, [h, w, channels]."""
    import cv2

    kind = plane.dtype
    plane = np.ascontiguousarray(plane).view(np.uint8) if kind == np.bool_ else np.ascontiguousarray(plane)
    return cv2.merge([plane] * channels).view(kind).reshape(*plane.shape, channels)


def chosen(where: np.ndarray, first: np.ndarray, second: np.ndarray | float) -> np.ndarray:
    """`first` (float32 [h, w, C]) where that is wanted (bool [h, w]), else `second`, of the same shape or a number: a new array."""
    import cv2

    result = second.copy() if isinstance(second, np.ndarray) else np.full(first.shape, second, first.dtype)
    return cv2.copyTo(first, np.ascontiguousarray(where).view(np.uint8), result)


def extent_of(places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The least and the greatest x and y of `places` (float32 [h, w, 2]), [2] each."""
    return places.min(axis=0).min(axis=0), places.max(axis=0).max(axis=0)


def scaled(pixels: np.ndarray, gains: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """`pixels` (float32 [h, w, C]) with each channel times its gain (float32 [C]) and its offset ([C]) added: a new array."""
    import cv2

    return cv2.transform(pixels, np.hstack([np.diag(gains), offsets[:, None]]).astype(np.float32))
