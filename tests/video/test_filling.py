"""Filling an object in a clip: what is painted in key frames goes with the object, and nothing else changes."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
import pytest

from clickpaint.errors import InvalidInput
from clickpaint.image import mask as masks_
from clickpaint.image.geometry import Box
from clickpaint.video.filling import FillOptions, KeyFrame, fill
from clickpaint.video.object_motion import ObjectScene, Way
from tests.video.drawn import Drawn, texture

SIZE = (112, 80)


@dataclass
class Turning:
    """An object that moves, turns and grows over a background that moves otherwise; and the same with another skin.

    skins: the object's and the one that is painted over it. painted: numbers of the frames that were painted.
    """

    clip: Drawn
    truth: list[np.ndarray]
    matrices: list[np.ndarray]
    painted: list[int] = field(default_factory=list)

    def paint(self, keys: list[KeyFrame], progress: object) -> list[np.ndarray]:
        self.painted += [key.number for key in keys]
        return [self.truth[key.number].copy() for key in keys]


def turning(count: int = 13, hidden: range = range(0)) -> Turning:
    width, height = SIZE
    world, skin, other = texture(3 * width, 3 * height, 1), texture(64, 64, 2), texture(64, 64, 3)
    other[..., 0] += 60  # reddish, so that it differs everywhere
    yes = np.zeros((64, 64), np.float32)
    cv2.ellipse(yes, (32, 32), (24, 16), 20, 0, 360, 1, -1, cv2.LINE_AA)
    shown, masks, truth, matrices = [], [], [], []
    for number in range(count):
        matrix = cv2.getRotationMatrix2D((32, 32), 4.0 * number, 0.9 + 0.02 * number)
        matrix[:, 2] += (4 + 3.0 * number, 8 + 4 * np.sin(number / 3))
        matrices.append(matrix)
        back = world[40 : 40 + height, 60 + number : 60 + number + width]
        share = cv2.warpAffine(yes, matrix, SIZE, flags=cv2.INTER_LINEAR)[..., None]
        frames = [back * (1 - share) + share * cv2.warpAffine(each, matrix, SIZE, flags=cv2.INTER_CUBIC) for each in (skin, other)]
        if number in hidden:
            frames, share = [back, back], share * 0
        shown.append(np.clip(np.rint(frames[0]), 0, 255).astype(np.uint8))
        truth.append(np.clip(np.rint(frames[1]), 0, 255).astype(np.uint8))
        masks.append(share[..., 0] > 0.5)
    return Turning(Drawn(shown, masks, shown), truth, matrices)


def psnr(a: np.ndarray, b: np.ndarray, where: np.ndarray) -> float:
    return float(10 * np.log10(255**2 / max(((a.astype(float) - b)[where] ** 2).mean(), 1e-3)))


def test_the_object_is_followed_to_about_a_pixel_over_eight_frames():
    scene = turning()
    moves = ObjectScene(scene.clip, scene.clip, 20)
    way = Way.still(box_of(scene, 0))
    for number in range(8):
        way = way.after(moves, number, 1, box_of(scene, number + 1))
    inverse = cv2.invertAffineTransform(scene.matrices[8])
    points = Way.still(way.box).places
    right = points @ inverse[:, :2].T + inverse[:, 2]
    right = right @ scene.matrices[0][:, :2].T + scene.matrices[0][:, 2]
    missed = np.linalg.norm(way.places - right, axis=2)[scene.clip.masks[8][way.box.slices]]
    assert np.median(missed) < 1 and np.quantile(missed, 0.9) < 1.5  # of 40 pixels that it went


def box_of(scene: Turning, number: int) -> Box:
    found = masks_.bounds(scene.clip.masks[number])
    assert found is not None
    return found


def test_what_was_painted_goes_with_the_object_and_the_rest_stays():
    scene = turning()
    before = [frame.copy() for frame in scene.clip.shown]
    frames = list(fill(scene.clip, scene.clip, scene.paint, FillOptions(grow=2, every=6, grain=False)))
    assert sorted(set(scene.painted)) == [0, 6, 12] and len(frames) == 13
    for number, (frame, mask) in enumerate(zip(frames, scene.clip.masks, strict=True)):
        assert (frame == before[number])[~masks_.grow(mask, 2)].all()
        inner = masks_.shrink(mask, 1)
        assert psnr(frame, scene.truth[number], inner) > 32
        assert psnr(scene.truth[number - number % 6], scene.truth[number], inner) < 24 or number % 6 == 0  # where it was before
    assert all((a == b).all() for a, b in zip(before, scene.clip.shown, strict=True))


def test_a_long_clip_is_filled_window_by_window_with_the_first_key_frame_shown_each_time():
    scene, calls = turning(13), []

    def paint(keys: list[KeyFrame], progress: object) -> list[np.ndarray]:
        calls.append([key.number for key in keys])
        assert keys[0].before is None and all(key.before is not None for key in keys[1:])
        return scene.paint(keys, progress)

    frames = list(fill(scene.clip, scene.clip, paint, FillOptions(every=2, grain=False, budget=1)))
    assert calls == [[0, 2, 4], [0, 6, 8], [0, 10, 12]] and len(frames) == 13
    assert min(psnr(a, b, masks_.shrink(m, 1)) for a, b, m in zip(frames, scene.truth, scene.clip.masks, strict=True)) > 33


def test_an_object_that_was_hidden_is_painted_anew_when_it_comes_back():
    scene = turning(9, hidden=range(4, 6))
    frames = list(fill(scene.clip, scene.clip, scene.paint, FillOptions(every=12, grain=False)))
    assert sorted(set(scene.painted)) == [0, 6]
    for number in (4, 5):
        assert (frames[number] == scene.clip.shown[number]).all()
    assert psnr(frames[8], scene.truth[8], masks_.shrink(scene.clip.masks[8], 1)) > 28


def test_a_clean_painting_gets_the_grain_of_its_surroundings():
    scene, rng = turning(3), np.random.default_rng(0)
    rough = [np.clip(frame + rng.normal(0, 6, frame.shape), 0, 255).astype(np.uint8) for frame in scene.clip.shown]
    clip = Drawn(rough, scene.clip.masks, rough)
    with_, without = (list(fill(clip, clip, scene.paint, FillOptions(grain=grain))) for grain in (True, False))
    inner = masks_.shrink(scene.clip.masks[1], 3)
    assert 3 < np.std(with_[1].astype(float) - without[1], where=inner[..., None]) < 8


def test_what_cannot_be_filled_is_said():
    scene = turning(2)
    with pytest.raises(InvalidInput, match="The masks are 50 × 80"):
        fill(scene.clip, Drawn(scene.clip.shown, [mask[:, :50] for mask in scene.clip.masks], []), scene.paint)
    with pytest.raises(InvalidInput, match="Every 0 frames"):
        FillOptions(every=0)
