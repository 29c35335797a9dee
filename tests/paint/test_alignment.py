"""An answer that is shifted, zoomed and tinted comes back into register, and nothing is moved where there is nothing to hold on to."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from clickpaint.paint.alignment import align
from clickpaint.paint.flat_options import grouped
from clickpaint.paint.in_picture import paint
from clickpaint.paint.paint_job import Painted

SIZE = 256


def scene(seed: int = 0) -> np.ndarray:
    """Smooth clouds, edges and grain: what registration meets in photographs."""
    random = np.random.default_rng(seed)
    clouds = sum(
        cv2.resize(random.normal(size=(n, n, 3)).astype(np.float32), (SIZE, SIZE), interpolation=cv2.INTER_CUBIC) * 60 / n**0.5
        for n in (4, 9, 20, 45)
    )
    image = np.clip(118 + np.asarray(clouds), 20, 225).astype(np.uint8)
    for _ in range(12):
        x, y, side = random.integers(10, SIZE - 60, 3)
        cv2.rectangle(image, (int(x), int(y)), (int(x + side // 5 + 6), int(y + side // 4 + 6)), random.integers(40, 215, 3).tolist(), -1)
    return image


def changed(picture: np.ndarray, free: np.ndarray) -> np.ndarray:
    answer = picture.copy()
    answer[free] = (40, 160, 90)
    return answer


def moved(picture: np.ndarray, shift: tuple[float, float], zoom: float) -> tuple[np.ndarray, np.ndarray]:
    """The picture as a model gives it back, and the motion from the picture to that."""
    middle = SIZE / 2
    motion = np.array([[zoom, 0, middle - zoom * middle + shift[0]], [0, zoom, middle - zoom * middle + shift[1]]])
    return cv2.warpAffine(picture, motion, (SIZE, SIZE), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REFLECT), motion


def disc(radius: int = 50) -> np.ndarray:
    y, x = np.mgrid[:SIZE, :SIZE]
    return (x - 120) ** 2 + (y - 130) ** 2 < radius**2


def tinted(picture: np.ndarray) -> np.ndarray:
    return np.rint(picture * np.array([0.93, 1.0, 1.05]) + np.array([9, -4, 3])).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize(("shift", "zoom"), [((3.0, 0.0), 1.01), ((-2.4, 3.3), 0.99), ((0.0, 0.0), 1.0)])
def test_shift_zoom_and_tint_are_taken_back(shift, zoom):
    picture, free = scene(), disc()
    shown, motion = moved(changed(picture, free), shift, zoom)
    result = align(tinted(shown), picture, free)
    points = np.array([(x, y, 1.0) for x in (16, SIZE / 2, SIZE - 16) for y in (16, SIZE / 2, SIZE - 16)])
    assert np.hypot(*(points @ (result.motion - motion).T).T).max() <= 0.3  # pixels
    rim = ~free & cv2.dilate(free.astype(np.uint8), np.ones((13, 13), np.uint8)).astype(bool)
    difference = result.pixels[rim].astype(float) - picture[rim]
    assert np.abs(difference.mean(axis=0)).max() <= 1.0  # levels
    before = tinted(shown)[rim].astype(float) - picture[rim]
    assert np.abs(before.mean(axis=0)).max() > 3 or np.abs(before).mean() > 3  # what there was to mend
    inside = cv2.erode(free.astype(np.uint8), np.ones((9, 9), np.uint8)).astype(bool)
    assert np.abs(result.pixels[inside].astype(float) - (40, 160, 90)).mean() < 4  # what was painted, in the colours it was meant in


@pytest.mark.parametrize("anew", [True, False])
def test_an_answer_comes_back_into_register_before_it_is_put_into_the_picture(anew):
    """What lies in the mask and was not changed is where it was, in its colours, to a level; nothing outside moves at all."""
    picture, mask, free = scene(), disc(64), disc(40)

    def run(job, progress):
        shown, _ = moved(changed(job.pixels, free), (3.0, 0.0), 1.01)
        return [Painted(tinted(shown), job.seed, "")]

    options = grouped(task="instruct", prompt="make it green", grow=0, feather=0, seed=1, resolution=SIZE)
    result = paint(picture, mask, options, run, native=SIZE, anew=anew).results[0].placed_in(picture)
    assert np.array_equal(result[~mask], picture[~mask])
    rim = mask & ~cv2.dilate(free.astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    off = np.abs((result[rim].astype(float) - picture[rim]).mean(axis=0)).max()
    assert off <= 1.0 if anew else off > 3


def test_a_shadow_that_the_edit_added_does_not_bend_the_colours():
    picture, free = scene(3), disc(40)
    answer = changed(picture, free)
    shadow = np.zeros((SIZE, SIZE), bool)
    shadow[165:200, 90:150] = True
    answer[shadow & ~free] //= 2
    result = align(tinted(answer), picture, free)
    far = ~free & ~cv2.dilate((free | shadow).astype(np.uint8), np.ones((25, 25), np.uint8)).astype(bool)
    assert np.abs((result.pixels[far].astype(float) - picture[far]).mean(axis=0)).max() <= 1.0


def test_what_has_nothing_in_common_is_left_where_it_is():
    picture, free = scene(1), disc()
    other = scene(2)
    result = align(other, picture, free)
    assert np.array_equal(result.motion, np.eye(2, 3)) and np.array_equal(result.pixels, other)
    flat = np.full_like(picture, 90)
    assert np.array_equal(align(flat, picture, free).pixels, flat)


def test_where_everything_may_change_the_colours_stay():
    picture = scene(4)
    shown, _ = moved(picture, (3.0, -1.0), 1.01)
    result = align(tinted(shown), picture, np.ones((SIZE, SIZE), bool))
    inner = (slice(20, -20), slice(20, -20))
    assert np.abs(result.pixels[inner].astype(float) - tinted(picture)[inner]).mean() < 3.5


def test_the_arguments_are_not_written_to():
    picture, free = scene(), disc()
    shown, _ = moved(picture, (2.0, 1.0), 1.0)
    copies = picture.copy(), shown.copy(), free.copy()
    align(shown, picture, free)
    assert all(np.array_equal(now, then) for now, then in zip((picture, shown, free), copies, strict=True))
